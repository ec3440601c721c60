package test

import (
	"flag"
	"fmt"
	"maps"
	pathpkg "path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/wait"
)

var everyLeafFlag = flag.Bool("every-leaf", false,
	"TestOddLeaves also tries what it has tried at the same place of another body")

// matters are the places where a value of another kind may change the status or the decision, by provider, as
// patterns of path.Match, with the reason. At every other place, only the value itself is lost.
var matters = map[string]map[string]string{
	"ondato": {
		"/payload":                        "holds identity and decision",
		"/type":                           "decision: what the message is",
		"/payload/status":                 "decision",
		"/payload/identityverificationid": "identity of a KYC identification",
		"/payload/id":                     "identity of an IDV, and the attempt",
		"/id":                             "identity of a fetched IDV",
		"/identityverificationid":         "identity of a fetched identification",
		"/status":                         "decision of a fetched body",
	},
	"idwise": {
		"/event":                             "decision: what the message is",
		"/body":                              "holds identity and decision",
		"/body/journeyid":                    "identity",
		"/body/spotcheckjourneyid":           "identity of a spot check",
		"/body/ongoingcheckid":               "identity of an ongoing check",
		"/body/systemdecision":               "decision",
		"/body/manualdecision":               "decision",
		"/body/finaldecision":                "decision, as a cross-check",
		"/body/trigger":                      "decision: a renewal or a resubmission",
		"/journey_id":                        "identity of a fetched body",
		"/system_decision":                   "decision",
		"/manual_decision":                   "decision",
		"/final_decision":                    "decision, as a cross-check",
		"/is_completed":                      "status of a summary",
		"/step_summaries":                    "status of a summary: whether anything was handed in",
		"/step_summaries/*":                  "status of a summary: whether anything was handed in",
		"/step_summaries/*/result":           "status of a summary: whether anything was handed in",
		"/step_summaries/*/result/status":    "status of a summary: whether anything was handed in",
		"/step_summaries/*/definition":       "status of a summary: whether anything was handed in",
		"/body/previoussystemdecision":       "decision: marks a monitoring update",
		"/body/updatedamlversionnumber":      "decision: marks a monitoring update",
		"/body/previousfinaldecision":        "decision: marks a monitoring update",
		"/step_summaries/*/result/is_passed": "status of a summary: whether anything was handed in",
	},
	"kwikid": {
		"/event":                         "decision of a webhook",
		"/type":                          "decision of a webhook",
		"/session_id":                    "identity of a webhook",
		"/eventname":                     "decision of a webhook",
		"/data":                          "holds the identity of a webhook",
		"/data/session_id":               "identity of a webhook",
		"/payload":                       "holds the identity of a webhook",
		"/payload/sessionid":             "identity of a webhook",
		"/session_status":                "decision of a webhook, as a cross-check",
		"/session_data":                  "holds identity and decision",
		"/session_data/session_id":       "identity",
		"/session_data/session_status":   "decision",
		"/session_data/feedback":         "decision: a person's refusal or the end of time, and whether to call again",
		"/session_data/feedback/type":    "decision: whether to call again",
		"/session_data/audit_result":     "decision of the checker",
		"/session_data/audit_lock":       "decision: the checker has it",
		"/session_data/auditor_feedback": "decision: open again",
		"/session_data/auditor_fdbk":     "decision: open again",
	},
	"signzy": {
		"/result":        "wraps identity and decision",
		"/data":          "wraps identity and decision",
		"/result/data":   "wraps identity and decision",
		"/journeyid":     "identity",
		"/currentstatus": "decision",
		"/step":          "decision",
		"/completedat":   "decision: whether an unknown status is an end",

		"/merchantdata":                               "holds identity and decision of the back office",
		"/merchantdata/id":                            "identity",
		"/merchantdata/status":                        "decision",
		"/merchantdata/isdeleted":                     "decision: what was deleted is not approved",
		"/result/merchantdata":                        "holds identity and decision",
		"/result/merchantdata/basicdetails":           "holds identity and decision",
		"/result/merchantdata/basicdetails/id":        "identity",
		"/result/merchantdata/basicdetails/status":    "decision",
		"/result/merchantdata/basicdetails/isdeleted": "decision: what was deleted is not approved",
		"/id":     "identity of a new application",
		"/status": "decision of a new application",
	},
}

// unopposed are the places, and changes at places, that may remove the only objection to an approval,
// by provider, with the reason why the rest is an approval.
var unopposed = map[string]map[string]string{
	"idwise": {
		"/body/finaldecision is null":       "the decision by precedence stands alone, as in most bodies",
		"/body/finaldecision is empty text": "the same",
		"/final_decision is null":           "the same",
		"/final_decision is empty text":     "the same",
	},
	"kwikid": {
		"/session_data/feedback":                    "without a type it says nothing against the result",
		"/session_data/feedback/type is null":       "no type",
		"/session_data/feedback/type is empty text": "no type",
		"/session_data/audit_lock is null":          "not locked, as in a session that has none",
		"/session_data/audit_lock is empty text":    "not locked, as in a session that has none",
	},
	"signzy": {
		"/externalapiresponses is an empty list":                      "no look-ups, as the documentation writes it",
		"/documentintelligence/extractedfielderrors is an empty list": "no errors, as the documentation writes it",
		"/captureddata/idtype2 is null":                               "no second document",
		"/captureddata/idtype2 is empty text":                         "no second document",
		"/captureddata/verificationtype2 is null":                     "no second document",
		"/captureddata/verificationtype2 is empty text":               "no second document",
	},
}

// underPolicy are the places that matter in addition if the account decides by a policy: the evidence.
var underPolicy = map[string][]string{
	"signzy": {
		"/documentintelligence*", "/documentintelligence*/completestatus", "/documentintelligence*/completestatus/*",
		"/documentintelligence*/completestatus/detailsoptical/*", "/documentintelligence*/imagequality",
		"/documentintelligence*/imagequality/*",
		"/documentintelligence*/imagequality/*/*", "/documentintelligence*/idexpired",
		"/documentintelligence*/extractedfielderrors",
		"/documentintelligence*/extractedfielderrors/*", "/documentintelligence*/predictedidtype*",
		"/documentintelligence*/predictedidtype*/documentname", "/documentintelligence*/predictedidtype*/fdsidlist",
		"/documentintelligence*/predictedidtype*/fdsidlist/*", "/documentintelligence*/authenticitycheck",
		"/documentintelligence*/authenticitycheck/*", "/documentintelligence*/authenticitycheck/*/*",
		"/documentintelligence*/authenticitycheck/*/*/*", "/documentintelligence*/authenticitycheck/*/*/*/element*",
		"/matchpercentage", "/matchpercentage/*", "/selfieanalysis", "/selfieanalysis/passiveliveliness",
		"/selfieanalysis/passiveliveliness/*",
		"/selfieanalysis/facematch", "/selfieanalysis/facematch/*", "/selfieanalysis/additionalfacechecks",
		"/selfieanalysis/additionalfacechecks/*", "/selfieanalysis/additionalfacechecks/*/status",
		"/selfieanalysis/additionalfacechecks/*/result", "/selfieanalysis/additionalfacechecks/*/result/*",
		"/captureddata", "/captureddata/consent", "/captureddata/idtype*", "/captureddata/verificationtype*",
		"/ipaddresses", "/ipaddresses/*", "/ipaddresses/*/*",
		"/externalapiresponses", "/externalapiresponses/*", "/externalapiresponses/*/response",
		"/externalapiresponses/*/response/*",
	},
}

// odd are the values that a leaf is replaced by.
var odd = map[string]string{
	"a number": `7`, "a text": `"something"`, "true": `true`, "false": `false`, "null": `null`, "empty text": `""`,
	"an empty list":   `[]`,
	"an empty object": `{}`, "a list of an object": `[{"a":null}]`, "an object": `{"value":{"value":[1]}}`,
	"a huge text": `"` + strings.Repeat("huge ", 4_000) + `"`, "a huge number": `1e300`,
	"a long number":          strings.Repeat("9", 120),
	"a number of 400 digits": strings.Repeat("9", 400), "a number beyond all bounds": `-1e99999`,
}

// leafVariants is the number of variants under which a provider's bodies are changed.
var leafVariants = map[string]int{"ondato": 1, "idwise": 1, "kwikid": 2, "signzy": 2}

// leafRun is a body in which every value is changed.
type leafRun struct {
	base
	was said
}

// TestOddLeaves changes every value of every fixture and outside case: another type, null, empty, huge, its name
// twice and in another case. The status and the decision change only if the value is an identity, a decision or, for
// a policy, evidence; no other change makes the body invalid; and no change makes an approval.
func TestOddLeaves(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range everyProvider {
		t.Run(provider, func(t *testing.T) {
			var runs []leafRun
			for _, b := range bases(t, provider, leafVariants[provider]) {
				was, err := ingest(table[provider], b.Case)
				if err != nil {
					t.Fatal(err)
				}
				if was.refused == "" {
					runs = append(runs, leafRun{b, was})
				}
			}
			var next, tried atomic.Int64
			var seen sync.Map
			found := &findings{}
			var workers sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				workers.Go(func() {
					for i := next.Add(1) - 1; i < int64(len(runs)); i = next.Add(1) - 1 {
						if wait.Race && i%32 > 0 {
							continue
						}
						tried.Add(int64(runs[i].changeAll(found, table[provider], &seen)))
					}
				})
			}
			workers.Wait()
			t.Logf("%d changes of %d bodies", tried.Load(), len(runs))
			found.report(t)
		})
	}
}

// changeAll makes every change to every value of the body, and returns how many.
func (run leafRun) changeAll(found *findings, provider kycbridge.Provider, seen *sync.Map) (tried int) {
	run.tree.each(func(places []int, at string, v *tree) {
		key := fmt.Sprint(run.Own, run.Via, at, v.form())
		if run.mayMatter(at) {
			key += fmt.Sprint(run.was, v.raw)
		}
		if _, twice := seen.LoadOrStore(key, true); twice && !*everyLeafFlag {
			return
		}
		for _, c := range changesOf(run.tree, places) {
			body := run.tree.clone()
			c.do(body)
			changed := run.Case
			changed.Body = body.bytes()
			is, err := ingest(provider, changed)
			tried++
			if fault := run.compare(at, c, body, is); err != nil || fault != "" {
				found.add("%s: %s %s: %s: was %+v, is %+v, %v", run.name, at, c.what, fault, run.was, is, err)
			}
		}
	})
	return tried
}

// compare describes the fault in the result of a changed body; "" if the result is allowed.
func (run leafRun) compare(at string, c leafChange, body *tree, is said) (fault string) {
	const approved = string(event.OutcomeApproved)
	switch {
	case is.outcome == approved && run.was.outcome != approved && !run.mayApprove(at, c, body):
		return "became an approval"
	case c.kind == leafDoubled && c.embedded:
		return "" // the name is not part of the body itself
	case c.kind == leafDoubled && !strings.HasSuffix(pathpkg.Dir(at), "/extractedfields"):
		if is.refused != kycbridge.QuarantineMalformed {
			return "must be malformed"
		}
	case c.kind == leafReplaced && run.mayMatter(at):
	case is != run.was:
		return "must change nothing"
	}
	return ""
}

// mayApprove reports whether a change may turn a body that is not approved into an approval: it inserts a value that
// approves, or removes the only objection.
func (run leafRun) mayApprove(at string, c leafChange, body *tree) bool {
	if at = unwrapped(at); !run.mayMatter(at) || !approvable(run.Case, body) {
		return false
	}
	return c.word || unopposed[run.Provider][at] != "" || unopposed[run.Provider][at+" "+c.what] != ""
}

// mayMatter reports whether a value at this place may change the status or the decision.
func (run leafRun) mayMatter(at string) bool {
	at = unwrapped(at)
	if matters[run.Provider][at] != "" {
		return true
	}
	return len(policyOf(run.Case)) > 0 && slices.ContainsFunc(underPolicy[run.Provider], func(pattern string) bool {
		matched, err := pathpkg.Match(pattern, at)
		return err == nil && matched
	})
}

// unwrapped is a place in a journey without the wrapper of an API answer.
func unwrapped(at string) string {
	if within, wrapped := strings.CutPrefix(at, "/result/data/"); wrapped {
		return "/" + within
	}
	return at
}

// leafChange is a change of one value; kind defines the allowed results.
type leafChange struct {
	change
	kind     leafKind
	embedded bool // it is inside a string
	word     bool // the odd value is true or false, which the place may allow
}

type leafKind int

const (
	leafReplaced leafKind = iota // by an odd value
	leafDoubled                  // its name occurs twice
	leafRenamed                  // its name is in another case
)

// form is the JSON type of t.
func (t *tree) form() string {
	if t.kind != treeLeaf {
		return fmt.Sprint(t.kind)
	}
	return strings.TrimLeft(t.raw[:1], "-0123456789") // digits vary, so all numbers have one form
}

// changesOf are the changes of the value at places.
func changesOf(body *tree, places []int) (out []leafChange) {
	embedded := false
	for n := range places {
		embedded = embedded || body.at(places[:n]).kind == treeEmbedded
	}
	add := func(what string, kind leafKind, do func(*tree)) {
		out = append(out, leafChange{change: change{what, do}, kind: kind, embedded: embedded})
	}
	for _, what := range slices.Sorted(maps.Keys(odd)) {
		add("is "+what, leafReplaced, func(body *tree) { *body.at(places) = tree{raw: odd[what]} })
		out[len(out)-1].word = what == "true" || what == "false"
	}
	above, i := places[:len(places)-1], places[len(places)-1]
	holder := body.at(above)
	if i >= len(holder.members) {
		return out // an item of an array has no name
	}
	name, value := holder.members[i].name, string(holder.members[i].value.bytes())
	insert := func(to int, raw string) func(*tree) {
		return func(body *tree) {
			holder := body.at(above)
			holder.members = slices.Insert(holder.members, to, treeMember{name, leafOf(raw)})
		}
	}
	add("stands twice", leafDoubled, insert(len(holder.members), value))
	add("stands twice, null first", leafDoubled, insert(i, `null`))
	add("stands twice, another last", leafDoubled, insert(len(holder.members), `"something"`))
	for _, other := range []string{strings.ToLower(name), strings.ToUpper(name)} {
		if other != name {
			add("is called "+other, leafRenamed, func(body *tree) { body.at(above).members[i].name = other })
		}
	}
	return out
}

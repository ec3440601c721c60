package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// These are the numbers of items in the checklist of each provider's sheet (section 6), in its order. Traps with more
// are named by the acceptance in addition.
const (
	trapsSignzy = 12
	trapsOndato = 13
	trapsIDWise = 14
	trapsKwikID = 14
)

// Reasons why an item, or a part of it, cannot be tested here.
const (
	byOperators = "stored payloads are encrypted by the NATS server or the disk below it, which is the operator's"
)

// trap is one way to misread a provider, with the tests that prevent it.
type trap struct {
	provider string
	short    string
	tests    []string // directory:function, and /subtest if the function has one for it
	reason   string   // why (a part of) it is not tested; usually ""
	more     bool     // named by the acceptance, but not an item of the checklist
}

var traps = []trap{
	{provider: "signzy", short: "completed is not approved",
		tests: []string{"normalize/signzy:TestStatuses/completed", "normalize/signzy:TestFixtures",
			"normalize/signzy:FuzzMap"}},
	{provider: "signzy", short: "liveliness, not liveness", tests: []string{"normalize/signzy:TestPassiveLiveliness"}},
	{provider: "signzy", short: "booleans in three encodings",
		tests: []string{"normalize/values:TestTriState", "normalize/signzy:TestChecks",
			"test:TestOddBodies/signzy booleans as they like"}},
	{provider: "signzy", short: "times in two encodings, or none",
		tests: []string{"normalize/signzy:TestTimes", "normalize/signzy:TestFacts",
			"normalize/signzy/client:TestStarted/ISO"}},
	{provider: "signzy", short: "percentages as text, scores of different ranges",
		tests: []string{"normalize/values:TestPercent", "normalize/signzy:TestSelfieChecks", "normalize/signzy:TestChecks"}},
	{provider: "signzy", short: "status of a check is text",
		tests: []string{"normalize/signzy:TestSelfieChecks", "test:TestOddBodies/signzy status of a check as number"}},
	{provider: "signzy", short: "labels of extracted fields",
		tests: []string{"normalize/signzy:TestLabels", "normalize/signzy:TestIsPure", "normalize/signzy:TestFacts"}},
	{provider: "signzy", short: "letters and separators of keys",
		tests: []string{"normalize/signzy:TestKeysKeepTheirLetters", "normalize/signzy:TestLabels"}},
	{provider: "signzy", short: "members that the sample lacks",
		tests: []string{"test:TestUnknownMembers", "test:TestGolden"}},
	{provider: "signzy", short: "secrets and personal values come back",
		tests: []string{"test:TestLeak", "normalize/signzy:TestFixtures", "handlers:TestNothingLeaks",
			"normalize/signzy/client:TestErrorsKeepSecrets"}},
	{provider: "signzy", short: "no callback may ever come",
		tests: []string{"test:TestSafetyNet", "test:TestPersons", "internal/poll:TestTheDeadlineEndsASession"}},
	{provider: "signzy", short: "a browser that returns proves nothing",
		tests: []string{"handlers:TestRefusedBeforeReceive/get", "normalize/signzy:TestFixtures"}},
	{provider: "signzy", short: "wrong method",
		tests: []string{"normalize/signzy/client:TestMethods/404 for the wrong method",
			"normalize/signzy/client:TestMethodIsFoundAndKept"}, more: true},
	{provider: "signzy", short: "unknown wrapper",
		tests: []string{"normalize/signzy/client:TestAnswersThatAreNoJourney/unknown wrapper",
			"normalize/signzy/client:TestStarted/unknown wrapper", "normalize/signzy:TestIdentify/too deep"}, more: true},

	{provider: "ondato", short: "completed is not approved",
		tests: []string{"normalize/ondato:TestStatuses/idv completed is no approval", "normalize/ondato:FuzzMap"}},
	{provider: "ondato", short: "envelope in any letters, its type last",
		tests: []string{"normalize/ondato:TestIdentify/pascal-case envelope",
			"normalize/ondato:TestIdentify/lower-case members", "normalize/ondato:TestTypeComesLast"}},
	{provider: "ondato", short: "digits behind the second",
		tests: []string{"normalize/ondato:TestFractions", "normalize/values:TestDates", "normalize/ondato:TestFacts"}},
	{provider: "ondato", short: "number here, text there",
		tests: []string{"normalize/ondato:TestNumbersOrText", "test:TestOddBodies/ondato phone as number",
			"test:TestOddBodies/ondato age as number", "test:TestOddBodies/ondato age as text",
			"normalize/ondato/client:TestStart"}},
	{provider: "ondato", short: "signature over the raw bytes",
		tests: []string{"normalize/ondato:TestVerify/hmac, body encoded again", "handlers:TestRequestIsHandedOverUntouched",
			"normalize/ondato:TestWhyRefused", "test:TestConstantTime"}},
	{provider: "ondato", short: "no 4xx for a fault of ours",
		tests: []string{"handlers:TestReceiverErrors/ours and theirs at once", "handlers:TestProblemTable",
			"handlers:TestBrokenBodyIsNeverAccepted", "test:TestOutage"}},
	{provider: "ondato", short: "durable, then answered in time",
		tests: []string{"test:TestKill", "handlers:TestReceiverErrors/slower than the deadline",
			"publisher:TestStoredPayloadsSurviveARestart"}},
	{provider: "ondato", short: "one id once, ordered by its time, verdicts may turn",
		tests: []string{".:TestIDs", ".:TestNext/approved becomes rejected", "test:TestReplicas", "test:TestLateVerdict"}},
	{provider: "ondato", short: "a webhook only triggers",
		tests: []string{"test:TestForgedApproval", "internal/poll:TestATriggerIsFetchedAfterTheEnd"}},
	{provider: "ondato", short: "words that are unknown",
		tests: []string{"normalize/ondato:TestIgnores", "normalize/ondato:TestStatuses/kyc unknown status",
			"normalize/ondato:TestMentions", "normalize/ondato:TestReasons", "normalize/ondato:TestChecks"}},
	{provider: "ondato", short: "another application",
		tests: []string{"normalize/ondato:TestApplication", "test:TestForeignApplication", "test:TestCases"}},
	{provider: "ondato", short: "a last event that was dropped",
		tests: []string{"test:TestSafetyNet", "test:TestPersons", "internal/poll:TestTheDeadlineEndsASession"}},
	{provider: "ondato", short: "personal values",
		tests:  []string{"test:TestLeak", "handlers:TestNothingLeaks", "normalize/ondato/client:TestErrorsTellNothing"},
		reason: byOperators},

	{provider: "idwise", short: "event names with spaces and capitals",
		tests: []string{"normalize/idwise:TestDecisions/event and decision in another spelling",
			"normalize/idwise:TestFixtures"}},
	{provider: "idwise", short: "200 and nothing else",
		tests: []string{"handlers:TestReceiptAnswers/stored before", "handlers:TestReceiptAnswers/schema"}},
	{provider: "idwise", short: "no times, so results are compared",
		tests: []string{"normalize/idwise:TestFixtures", "test:TestForgedApproval",
			"internal/poll:TestATriggerWithoutAResultIsPolledAgain", "internal/poll:TestARepeatedStateIsANewFact"}},
	{provider: "idwise", short: "a decision that is not final",
		tests: []string{"normalize/idwise:TestFixtures/finished-user-steps", "normalize/idwise:TestOneFactTwoWays"}},
	{provider: "idwise", short: "completed says nothing of the verdict",
		tests: []string{"normalize/idwise:TestFixtures/journey-summary-completed"}},
	{provider: "idwise", short: "rejected by the system, and unknown decisions",
		tests: []string{"normalize/idwise:TestFixtures/finished-journey-rejected",
			"normalize/idwise:TestDecisions/an unknown system decision",
			"normalize/idwise:TestDecisions/result with an unknown decision", "normalize/idwise:FuzzMap"}},
	{provider: "idwise", short: "a reviewer turns the verdict",
		tests: []string{"normalize/idwise:TestDecisions/a reviewer overrules an approval",
			".:TestNext/approved becomes rejected", ".:TestNext/rejected becomes approved", "test:TestPersons"}},
	{provider: "idwise", short: "spot checks without a journey",
		tests: []string{"normalize/idwise:TestIdentity/finished-spot-check",
			"normalize/idwise:TestFixtures/finished-spot-check"}},
	{provider: "idwise", short: "ids, dates and flags of several types, image keys of two spellings",
		tests: []string{"normalize/idwise:TestStepIDs", "normalize/idwise:TestImageKeys", "normalize/idwise:TestWithholds",
			"normalize/idwise/client:TestTolerance", "test:TestOddBodies/idwise step id as number",
			"test:TestOddBodies/idwise step id as text", "test:TestOddBodies/idwise dates of birth as numbers and text",
			"test:TestOddBodies/idwise flags as null"}},
	{provider: "idwise", short: "times without a zone",
		tests: []string{"normalize/idwise:TestTimesWithoutZone", "document:TestParseTime",
			"test:TestOddBodies/idwise times without a zone"}},
	{provider: "idwise", short: "three spellings of the reference, two forms of an id",
		tests: []string{"normalize/idwise:TestReferences"}},
	{provider: "idwise", short: "journeys that end in silence",
		tests: []string{"test:TestPersons", "test:TestSafetyNet", "internal/poll:TestTheDeadlineEndsASession"}},
	{provider: "idwise", short: "no id of the event",
		tests: []string{".:TestIDs", "normalize/idwise:TestIdentity/finished-journey-old-no-event-id"}},
	{provider: "idwise", short: "samples that are no JSON", tests: []string{"test:TestFixturesAreJSON"}},

	{provider: "kwikid", short: "the header is auth", tests: []string{"normalize/kwikid/client:TestRequests"}},
	{provider: "kwikid", short: "success on failed calls",
		tests: []string{"normalize/kwikid/client:TestErrors/lying token call",
			"normalize/kwikid/client:TestErrors/generate-token-error-401.json",
			"normalize/kwikid/client:TestErrors/lying push_user_data"}},
	{provider: "kwikid", short: "errors as pages, and under odd statuses",
		tests: []string{"normalize/kwikid/client:TestErrors/send-link-error-400.html",
			"normalize/kwikid/client:TestErrors/get-details-error-500.html",
			"normalize/kwikid/client:TestErrors/get-details-error-401.json",
			"normalize/kwikid/client:TestErrors/send-link-error-401.json",
			"normalize/kwikid/client:TestErrors/get-details-error-400.json", "test:TestUnknownSession"}},
	{provider: "kwikid", short: "slash at the end, redirects are not followed",
		tests: []string{"normalize/kwikid/client:TestPrefixes", "normalize/kwikid/client:TestErrors/redirect",
			"internal/rest:TestRetries/redirect"}},
	{provider: "kwikid", short: "a second link ends the first session",
		tests: []string{"normalize/kwikid/client:TestSendLinkIsSentOnce", "test:TestIdempotencyKeys"}},
	{provider: "kwikid", short: "three rejections that differ",
		tests: []string{"normalize/kwikid:TestSessions/get-details-request-rejected",
			"normalize/kwikid:TestSessions/get-details-rejected",
			"normalize/kwikid:TestSessions/get-details-superseded-kyc-rejected"}},
	{provider: "kwikid", short: "a rejection by nobody",
		tests: []string{"normalize/kwikid:TestSessions/get-details-rejected-auto-after-expiry",
			"normalize/kwikid:TestFeedback"}},
	{provider: "kwikid", short: "an approval that waits for a checker",
		tests: []string{"normalize/kwikid:TestSessions/get-details-approved", "normalize/kwikid:FuzzMap",
			"test:TestPersons"}},
	{provider: "kwikid", short: "slips of spelling",
		tests: []string{"normalize/kwikid:TestSpellings", "normalize/kwikid:TestSessions/get-details-agent-alloted"}},
	{provider: "kwikid", short: "JSON inside text, nulls, a decoy of the status",
		tests: []string{"normalize/kwikid:TestFeedback", "normalize/kwikid:TestOddSessions", "normalize/kwikid:TestDecoy",
			"test:TestOddBodies/kwikid nulls in the summary"}},
	{provider: "kwikid", short: "times of no defined form",
		tests: []string{"normalize/kwikid:TestTimes", "document:TestParseTime"}},
	{provider: "kwikid", short: "a status that is unknown",
		tests: []string{"normalize/kwikid:TestSessions/get-details-unknown-status", "normalize/kwikid:FuzzMap",
			"test:TestPersons"}},
	{provider: "kwikid", short: "personal values and tokens in logs",
		tests: []string{"test:TestLeak", "handlers:TestNothingLeaks", "normalize/kwikid/client:TestErrorsKeepSecrets",
			"normalize/kwikid:TestSessions"}},
	{provider: "kwikid", short: "webhooks that never come",
		tests: []string{"test:TestPolling", "test:TestPersons", "internal/poll:TestASessionIsPolledUntilItsEndIsPublished"}},
	{provider: "kwikid", short: "text in place of objects",
		tests: []string{"normalize/kwikid:TestStringsInPlaceOfObjects", "test:TestOddBodies/kwikid text in place of objects",
			"test:TestTextInPlaceOfObjects", "internal/poll:TestAQuarantinedBodyEndsNothing"}, more: true},
}

// TestTraps: every test that is named for an item exists, and every item has a test or a reason.
func TestTraps(t *testing.T) {
	t.Parallel()
	counts, shorts := map[string]int{}, map[string]bool{}
	folders := map[string]map[string]string{}
	for _, row := range traps {
		if !row.more {
			counts[row.provider]++
		}
		if name := row.provider + " " + row.short; shorts[name] || row.short == "" {
			t.Errorf("%q is there twice, or nothing", name)
		} else {
			shorts[name] = true
		}
		if len(row.tests) == 0 && row.reason == "" {
			t.Errorf("%s, %s: neither a test nor a reason", row.provider, row.short)
		}
		for _, test := range row.tests {
			folder, name, _ := strings.Cut(test, ":")
			if folders[folder] == nil {
				folders[folder] = testsIn(t, filepath.Join("..", folder))
			}
			function, subtest, named := strings.Cut(name, "/")
			source, found := folders[folder][function]
			switch {
			case !found:
				t.Errorf("%s, %s: there is no %s in %s", row.provider, row.short, function, folder)
			case named && !strings.Contains(source, `"`+subtest+`"`):
				t.Errorf("%s, %s: %s in %s has no %q", row.provider, row.short, function, folder, subtest)
			}
		}
	}
	want := map[string]int{"signzy": trapsSignzy, "ondato": trapsOndato, "idwise": trapsIDWise, "kwikid": trapsKwikID}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("items of the checklists (-sheet +table):\n%s", diff)
	}
}

// testsIn lists the test and fuzz functions of a folder, each with the text of its file.
func testsIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	tests := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil &&
				(strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				tests[f.Name.Name] = string(text)
			}
		}
	}
	return tests
}

// judged validates a body as the intake does and maps it.
func judged(
	t *testing.T, provider kycbridge.Provider, via event.Via, body []byte, s kycbridge.Settings,
) ([]kycbridge.FieldError, kycbridge.Observation) {
	t.Helper()
	doc, faults := provider.Read(body)
	if len(faults) > 0 {
		t.Fatalf("%v: %s", faults, body)
	}
	id := provider.Identify(doc, via)
	if id.Reference == "" {
		t.Fatalf("no reference in %s", body)
	}
	o, err := provider.Map(doc, kycbridge.Payload{Provider: provider.Name, Via: via, Body: body}, s)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return provider.Validate(id.Schema, id.Document), o
}

func providerTable(t *testing.T) map[string]kycbridge.Provider {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	return app.Providers(set)
}

// TestOddBodies: bodies whose types differ from the sample pass the schema, so that none of them is quarantined, and
// have the same meaning as the usual ones.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	table := providerTable(t)
	const (
		idwiseResult  = `{"journey_id":"65f000000000000000000001","system_decision":"Complete","model_version":"3.0",%s}`
		idwiseSummary = `{"journey_id":"65f000000000000000000001","reference_no":"ref-1","is_completed":false,"step_summaries":[%s]}`
		kwikidSession = `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001","session_status":"kyc_result_approved",%s}}`
		signzyJourney = `{"journeyId":"AB12CD34EF","currentStatus":"COMPLETED","step":"COMPLETE",%s}`
		ondatoIDV     = `{"id":"b0000000-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","status":"Completed","createdUtc":"2026-03-02T08:55:00.12Z",%s}`
		ondatoKYC     = `{"id":"c0000000-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","identityVerificationId":"b0000000-0000-4000-8000-000000000001","status":"Approved","createdUtc":"2026-03-02T08:55:00.12Z",%s}`
	)
	for name, tt := range map[string]struct {
		frame   string
		members []string
		status  event.Status
		outcome event.Outcome
	}{
		"signzy booleans as they like": {signzyJourney, []string{
			`"documentIntelligence":{"idExpired":"False","completeStatus":{"overallStatus":"True"}}`,
			`"documentIntelligence":{"idExpired":"false","completeStatus":{"overallStatus":"true"}}`,
			`"documentIntelligence":{"idExpired":false,"completeStatus":{"overallStatus":true}}`,
			`"documentIntelligence":{"idExpired":"NA","completeStatus":{"overallStatus":"None"}}`,
			`"documentIntelligence":{"idExpired":null,"completeStatus":{"overallStatus":null}}`,
		}, event.StatusCompleted, ""},
		"signzy status of a check as number": {signzyJourney,
			[]string{`"selfieAnalysis":{"faceMatch":{"status":200,"verified":true}}`,
				`"selfieAnalysis":{"faceMatch":{"status":"200","verified":true}}`}, event.StatusCompleted, ""},
		"ondato phone as number": {ondatoIDV,
			[]string{`"registration":{"phoneNumber":370600000001}`, `"registration":{"phoneNumber":"370600000001"}`,
				`"registration":{"phoneNumber":null}`}, event.StatusProcessing, ""},
		"ondato age as number": {ondatoKYC,
			[]string{`"face":{"ageEstimation":30}`, `"face":{"ageEstimation":30.5}`}, event.StatusCompleted,
			event.OutcomeApproved},
		"ondato age as text": {ondatoKYC,
			[]string{`"face":{"ageEstimation":"Age30AndOver"}`, `"face":{"ageEstimation":null}`}, event.StatusCompleted,
			event.OutcomeApproved},
		"idwise step id as number": {idwiseSummary,
			[]string{`{"definition":{"step_id":0},"result":null}`, `{"definition":{"step_id":-1},"result":null}`},
			event.StatusInProgress, ""},
		"idwise step id as text": {idwiseSummary,
			[]string{`{"definition":{"step_id":"0"},"result":null}`,
				`{"definition":{"step_id":"additional_face"},"result":null}`}, event.StatusInProgress, ""},
		"idwise flags as null": {idwiseSummary,
			[]string{`{"definition":{"step_id":0},"result":{"has_passed_rules":null,"is_concluded":null}}`,
				`{"definition":{"step_id":0},"result":{"has_passed_rules":true,"is_concluded":false}}`}, event.StatusInProgress,
			""},
		"idwise dates of birth as numbers and text": {idwiseResult, []string{
			`"aml":{"applicability":"Applicable","matches":[{"score":1,"datesOfBirth":[1990,1991]}]}`,
			`"aml":{"applicability":"Applicable","matches":[{"score":1,"datesOfBirth":["1990-02-01","1990"]}]}`,
			`"aml":{"applicability":"Applicable","matches":[{"score":1,"datesOfBirth":[1990,"1990-02-01"]}]}`,
			`"aml":{"applicability":"Applicable","matches":[{"score":1,"datesOfBirth":null}]}`,
		}, event.StatusCompleted, event.OutcomeApproved},
		"idwise times without a zone": {idwiseResult,
			[]string{`"start_time":"2026-03-02T09:00:00.962462","end_time":"2026-03-02T09:03:00"`}, event.StatusCompleted,
			event.OutcomeApproved},
		"kwikid nulls in the summary": {kwikidSession,
			[]string{`"summary_data":{"overall_summary":[null,{"success":true,"title":"Qna"},null]}`, `"summary_data":null`},
			event.StatusCompleted, event.OutcomeApproved},
		"kwikid text in place of objects": {kwikidSession, []string{
			`"feedback":"{\"type\":\"Approve\"}"`, `"feedback":{"type":"Approve"}`, `"feedback":"no JSON"`, `"feedback":""`,
			`"feedback":7`, `"feedback":null`,
			`"agent_tl":"n/a"`, `"captured_images":"n/a"`, `"summary_data":{"user_info":"n/a","qna":"n/a"}`,
		}, event.StatusCompleted, event.OutcomeApproved},
	} {
		t.Run(name, func(t *testing.T) {
			provider, _, _ := strings.Cut(name, " ")
			for _, members := range tt.members {
				faults, o := judged(t, table[provider], event.ViaFetch, fmt.Appendf(nil, tt.frame, members), kycbridge.Settings{})
				if len(faults) > 0 {
					t.Errorf("%s: %v", members, faults)
				}
				if o.Status != tt.status || o.Decision.Outcome != tt.outcome &&
					(tt.outcome != "" || o.Decision.Outcome != event.OutcomeNone) {
					t.Errorf("%s: %s %s", members, o.Status, o.Decision.Outcome)
				}
			}
		})
	}
}

// TestTextInPlaceOfObjects: if a body has text where KwikID's sheet has an object, only the content of that object is
// lost: the verdict is published.
func TestTextInPlaceOfObjects(t *testing.T) {
	t.Parallel()
	kwikid := providerTable(t)["kwikid"]
	for _, members := range []string{
		`"extras":"n/a"`,
		`"summary_data":"n/a"`,
		`"summary_data":{"docs":"n/a"}`,
		`"summary_data":{"docs":["n/a"]}`,
		`"summary_data":{"overall_summary":"n/a"}`,
		`"summary_data":{"docs":[{"name":"Pan","validator":"n/a"}]}`,
	} {
		body := fmt.Appendf(nil, `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001","session_status":"kyc_result_approved",%s}}`, members)
		faults, o := judged(t, kwikid, event.ViaPoll, body, kycbridge.Settings{})
		if len(faults) > 0 {
			t.Errorf("%s: %v", members, faults)
		}
		if o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: %+v", members, o.Decision)
		}
	}
}

// TestUnknownMembers: an unknown member, in any object of any body, causes no fault and changes no verdict.
func TestUnknownMembers(t *testing.T) {
	t.Parallel()
	table := providerTable(t)
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		doc, faults := table[c.Provider].Read(c.Body)
		id := table[c.Provider].Identify(doc, c.Via)
		if len(faults) > 0 || id.Reference == "" || len(table[c.Provider].Validate(id.Schema, id.Document)) > 0 {
			continue // the fixture must be refused unchanged
		}
		foreign, settings := table[c.Provider].Foreign, c.SettingsAt(table[c.Provider])
		if foreign != nil && id.Application != "" && foreign(settings.Own, id.Application) != "" {
			continue // the account does not accept it
		}
		_, before := judged(t, table[c.Provider], c.Via, c.Body, settings)
		more, err := json.Marshal(withMore(doc))
		if err != nil {
			t.Fatal(err)
		}
		found, after := judged(t, table[c.Provider], c.Via, more, settings)
		if len(found) > 0 {
			t.Errorf("%s: %v", c.Dir(), found)
		}
		said := func(o kycbridge.Observation) string {
			return fmt.Sprint(o.Effect, o.Status, o.StatusDetail, o.Decision, o.Ignored, o.ExternalReference)
		}
		if said(before) != said(after) {
			t.Errorf("%s: %s, and with more members %s", c.Dir(), said(before), said(after))
		}
	}
}

// withMore adds an unknown member to every object of a tree.
func withMore(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		out := map[string]any{"syntheticNovelty": map[string]any{"deep": []any{1, nil, "x"}}}
		for name, value := range tree {
			out[name] = withMore(value)
		}
		return out
	case []any:
		out := make([]any, len(tree))
		for i, item := range tree {
			out[i] = withMore(item)
		}
		return out
	}
	return tree
}

// TestFixturesAreJSON: every example that is named JSON is valid JSON, unlike some samples of vendors.
func TestFixturesAreJSON(t *testing.T) {
	read := 0
	for _, root := range []string{"fixture/testdata", "../normalize"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".json" {
				return err
			}
			text, err := os.ReadFile(path)
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // some senders write a byte order mark
			if read++; err == nil && !json.Valid(text) {
				t.Errorf("%s is no JSON", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("only %d files: the test has lost its object", read)
	}
}

// TestConstantTime: every check of a credential compares it in constant time: in its files, the operators == and !=
// are not used with a member of the configured credentials, except to compare it with the empty text.
func TestConstantTime(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"../normalize/credential/*.go", "../normalize/*/verify.go",
		"../normalize/*/signature.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	constant := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if equality := n.Op == token.EQL || n.Op == token.NEQ; equality && !emptyText(n.X) && !emptyText(n.Y) &&
					(isSecret(n.X) || isSecret(n.Y)) {
					t.Errorf("%s compares a credential by itself", path)
				}
			case *ast.SelectorExpr:
				if from, ok := n.X.(*ast.Ident); ok && (from.Name == "subtle" || from.Name == "hmac" && n.Sel.Name == "Equal") {
					constant++
				}
			}
			return true
		})
	}
	if constant < 2 {
		t.Errorf("%d comparisons in constant time: the test has lost its object", constant)
	}
}

func emptyText(e ast.Expr) bool {
	text, ok := e.(*ast.BasicLit)
	return ok && text.Value == `""`
}

// isSecret reports whether an expression is a secret member of the credentials, or one item of it.
func isSecret(e ast.Expr) bool {
	if item, ok := e.(*ast.IndexExpr); ok {
		e = item.X
	}
	member, ok := e.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Username", "Password", "Value", "Bearer", "Secrets", "Keys", "URLTokens"},
		member.Sel.Name)
}

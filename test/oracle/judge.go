package oracle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Findings are the result of a run.
type Findings struct {
	Verifications, Taken, Events, Subscriber int
	Slowest                                  time.Duration // longest wait for a 200 after a fault ended
	Silence                                  time.Duration // longest time between two answers 200
	Ended                                    int           // how often a process ended unexpectedly
	Lost                                     int           // payloads that were answered 200 and are missing
	ReportedBy                               []string      // how damage was reported, each way once
	Forgiven                                 map[string]int
	Violations                               []string // the first of each kind
	Counts                                   map[string]int
}

// Judge compares the stored and published data with the sent callbacks.
type Judge struct {
	*World
	Findings
	stored  map[string]int // payloads by digest
	shelved map[string]int // quarantined ones by digest
	notices map[string]bool
	sent    map[string]*Delivery
	history map[string][]Event
	byID    map[string]Event
	reports map[*Damage]string // how each was reported; "": not reported
}

// shown limits the listed violations of a kind.
const shown = 5

// judge waits for the backlog, reads everything back and compares.
func judge(ctx context.Context, w *World) Findings {
	j := &Judge{World: w, stored: map[string]int{}, shelved: map[string]int{}, notices: map[string]bool{},
		sent:    map[string]*Delivery{},
		history: map[string][]Event{}, byID: map[string]Event{}, reports: map[*Damage]string{}}
	j.Findings = Findings{Forgiven: map[string]int{}, Counts: map[string]int{}, Slowest: w.slowest, Ended: w.ended}
	for _, what := range w.faulty {
		j.find("fault", "%s", what)
	}
	j.restarted(ctx)
	report := settle(ctx, w.bridges[0], cmp.Or(w.Settle, 90*time.Second))
	if err := j.read(ctx); err != nil {
		j.find("read", "%v", err)
		return j.Findings
	}
	j.checkDamage(ctx, report)
	j.answers()
	j.kept()
	for _, v := range w.ledger.all() {
		j.verification(v)
	}
	j.unknownVerifications()
	j.listeners()
	j.Silence = j.ledger.longest()
	return j.Findings
}

func (j *Judge) find(kind, format string, args ...any) {
	if j.Counts[kind]++; j.Counts[kind] <= shown {
		j.Violations = append(j.Violations, kind+": "+fmt.Sprintf(format, args...))
	}
}

// restarted restarts missing processes, which must succeed.
func (j *Judge) restarted(ctx context.Context) {
	for i, b := range j.bridges {
		if !b.alive() {
			j.find("down", "process %d was not running at the end: %s", i, tail(b.logged(0)))
			_ = b.spawn()
		}
		if err := until(ctx, startup, "process is ready", b.ready); err != nil {
			j.find("down", "process %d: %v: %s", i, err, tail(b.logged(0)))
		}
	}
}

func (j *Judge) read(ctx context.Context) error {
	parcels, err := export(ctx, j.bridges[0])
	if err != nil {
		return err
	}
	for _, p := range parcels {
		switch {
		case p.Notice:
			j.notices[digest(p.Body)] = true
		case p.Shelf == "quarantine":
			j.shelved[digest(p.Body)]++
		default:
			j.stored[digest(p.Body)]++
		}
	}
	connect := j.bridges[0].connect
	if j.Mode == Edge {
		connect = func(o ...nats.Option) (*nats.Conn, error) { return nats.Connect(j.nats.url(), o...) }
	}
	nc, err := connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	all, err := readEvents(ctx, nc)
	for _, e := range all {
		j.history[e.Verification] = append(j.history[e.Verification], e)
		j.byID[e.ID] = e
	}
	for _, v := range j.ledger.all() {
		j.Verifications++
		for _, d := range v.deliveries() {
			j.sent[d.Digest] = d
		}
	}
	j.Taken, j.Events, j.Subscriber = j.ledger.taken(), len(all), len(j.subscriber.all())
	return err
}

// checkDamage determines how each damage was reported, and whether the report may be unsound.
func (j *Judge) checkDamage(ctx context.Context, report Report) {
	unsound := ""
	if report.code != nil {
		unsound = cmp.Or(report.Verdict, report.code.Error())
	}
	reported := false
	for _, d := range j.damages {
		j.reports[d] = j.reportOf(ctx, d, unsound)
		reported = reported || j.reports[d] != ""
		how, _, _ := strings.Cut(j.reports[d], ":")
		if how != "" && !slices.Contains(j.ReportedBy, how) {
			j.ReportedBy = append(j.ReportedBy, how)
		}
		j.say("%s %s: %s", d.Stream, d.What, cmp.Or(j.reports[d], "not told"))
	}
	if unsound != "" && !reported {
		j.find("report", "%s", unsound)
	}
	if report.Total.Pending != 0 {
		j.find("pending", "%d payloads are not worked at the end", report.Total.Pending)
	}
}

// explainedBy reports whether a damage of one of the streams explains a loss at t. reported is false if
// that damage was not reported.
func (j *Judge) explainedBy(t time.Time, streams ...string) (explained, reported bool) {
	for _, d := range j.damages {
		if t.Before(d.At) && slices.Contains(streams, d.Stream) {
			explained, reported = true, reported || j.reports[d] != ""
		}
	}
	return explained, reported
}

// missing records a loss, unless a reported damage explains it.
func (j *Judge) missing(kind string, t time.Time, streams []string, format string, args ...any) {
	switch explained, reported := j.explainedBy(t, streams...); {
	case reported:
		j.Forgiven[kind]++
	case explained:
		j.find(kind+", in silence", format, args...)
	default:
		j.find(kind, format, args...)
	}
}

// answers checks the answers to callbacks.
func (j *Judge) answers() {
	for code, bodies := range j.ledger.strange {
		j.find("answer", "%d answers %d: %.200s", len(bodies), code, bodies[0])
	}
	for _, d := range j.sent {
		answers, tries, _ := d.taken()
		if tries > 0 && len(answers) == 0 {
			j.find("not taken", "%s was sent %d times and never taken", d.Name, tries)
		}
		for i, a := range answers {
			if ok := a.Status == d.Want || d.Want == "accepted" && a.Status == "duplicate"; !ok {
				j.find("answer", "%s was answered %q, not %q", d.Name, a.Status, d.Want)
			}
			before := func(b Answer) bool { return b.At.Before(a.Sent) }
			if a.Status == "accepted" && slices.ContainsFunc(answers[:i], before) {
				j.missing("forgotten", answers[0].At, []string{payloads},
					"%s was answered accepted a second time, though nothing took it", a.PayloadID)
			}
		}
	}
}

// kept checks the stored payloads.
func (j *Judge) kept() {
	for _, d := range j.sent {
		answers, _, _ := d.taken()
		shelf := j.stored
		if d.Want == "quarantined" {
			shelf = j.shelved
		}
		purged := d.Of.erased()
		switch gone := !purged.IsZero() && before(d, purged); {
		case gone && shelf[d.Digest] > 0:
			j.find("erased, and there", "%s of %s", d.Name, d.Of.id())
		case gone || len(answers) == 0:
		case shelf[d.Digest] == 0:
			j.Lost++
			j.missing("not kept", answers[len(answers)-1].At, []string{payloads}, "%s %s was answered %s at %.1f s", d.Name,
				answers[0].PayloadID, answers[0].Status, j.since(answers[0].At))
		case shelf[d.Digest] > 1:
			j.missing("kept twice", answers[0].At, []string{payloads}, "%s %s is stored %d times", d.Name, answers[0].PayloadID,
				shelf[d.Digest])
		}
	}
	for sum := range j.stored {
		if j.sent[sum] == nil {
			j.find("altered", "the log holds a body %s that nobody sent", sum)
		}
	}
}

// before reports whether d was sent before t.
func before(d *Delivery, t time.Time) bool {
	_, tries, first := d.taken()
	return tries > 0 && first.Before(t)
}

func (j *Judge) since(t time.Time) float64 { return t.Sub(j.began).Seconds() }

// verification checks the history of one verification.
func (j *Judge) verification(v *Verification) {
	id := v.id()
	if id == "" {
		return
	}
	var facts []Fact
	first := time.Now()
	for _, d := range v.deliveries() {
		answers, tries, _ := d.taken()
		switch {
		case !v.erased().IsZero() && before(d, v.erased()):
			continue
		case tries > 0 && len(answers) == 0:
			return // the fault is already recorded; the required result is unknown
		case len(answers) == 0:
			continue
		case d.Want == "accepted" && answers[0].VerificationID != id:
			j.find("identity", "%s is of %s and of %s", d.Name, id, answers[0].VerificationID)
		}
		facts = append(facts, d.Fact)
		if answers[0].At.Before(first) {
			first = answers[0].At
		}
	}
	history := j.history[id]
	explained, reported := j.explainedBy(first, events)
	if !explained || !reported {
		j.chain(v, id, history)
	}
	j.causes(v, id, history)
	j.end(v, id, facts, first, history)
}

// chain checks the sequence of revisions. That of an erased verification goes on from the erased ones.
func (j *Judge) chain(v *Verification, id string, history []Event) {
	erased := 0
	if len(history) > 0 && !v.erased().IsZero() {
		erased = history[0].Data.Revision - 1
	}
	for i, e := range history {
		supersedes := ""
		if i > 0 {
			supersedes = history[i-1].ID
		}
		if e.Data.Revision != erased+i+1 || e.Data.Supersedes != supersedes {
			j.find("forked", "%s (purged %v): at place %d stands %s, which supersedes %q", id, !v.erased().IsZero(), i+1, e,
				e.Data.Supersedes)
		}
		token := strings.Split(e.Subject, ".")
		if len(token) != 7 || token[6] != id || e.MsgID != e.ID || e.Partition != id ||
			!strings.HasSuffix(e.Type, "."+token[5]+".v1") || e.Data.Provider.Name != v.Provider {
			j.find("envelope", "%s %s on %s", id, e, e.Subject)
		}
		changed := i == 0 || history[i-1].state() != e.state()
		if e.Data.Status == "completed" && changed && !strings.HasSuffix(e.Type, ".completed.v1") {
			j.find("envelope", "%s %s is told as %s", id, e, e.Type)
		}
	}
}

// causes checks that each event is based on a payload of its verification and adds nothing to it, and that no older
// verdict follows a newer one.
func (j *Judge) causes(v *Verification, id string, history []Event) {
	seen := map[string]bool{}
	approvable := slices.ContainsFunc(v.deliveries(), func(d *Delivery) bool { return d.Fact.State.Outcome == "approved" })
	var newest *Fact
	for i, e := range history {
		if e.Data.Decision.Outcome == "approved" && !approvable {
			j.find("invented", "%s %s: no callback approves", id, e)
		}
		sum := strings.TrimPrefix(e.Data.Payload.Digest, "sha256:")
		d := j.sent[sum]
		switch {
		case d == nil && v.Watched && !isCallback(e):
			continue // a notice of a watch
		case d == nil || d.Of != v:
			j.find("invented", "%s %s rests on a payload that was not sent about it", id, e)
			continue
		case !v.erased().IsZero() && before(d, v.erased()):
			j.find("erased, and there", "%s %s rests on what was erased", id, e)
		case seen[sum] && e.Data.Provider.Event.Via != "replay":
			if explained, reported := j.explainedBy(time.Now(), payloads, events); !explained || !reported {
				j.find("doubled", "%s %s: its payload has made an event before", id, e)
			}
		case d.EventID != "" && e.Data.Provider.Event.ID != d.EventID:
			j.find("envelope", "%s %s names provider event %s, not %s", id, e, e.Data.Provider.Event.ID, d.EventID)
		}
		seen[sum] = true
		f := d.Fact
		if f.Weight != Verdict || f.Untimed {
			continue
		}
		changed := i == 0 || history[i-1].Data.Decision.Outcome != e.Data.Decision.Outcome
		if newest != nil && changed && f.Attempt == newest.Attempt && f.At.Before(newest.At) &&
			(!newest.Machine || !f.Person) {
			j.find("old over new", "%s %s replaced a newer verdict", id, e)
		}
		if newest == nil || f.Attempt > newest.Attempt || f.At.After(newest.At) {
			newest = &f
		}
	}
}

func isCallback(e Event) bool { return e.Data.Provider.Event.Via == "callback" }

// end checks the final state of a verification.
func (j *Judge) end(v *Verification, id string, facts []Fact, first time.Time, history []Event) {
	allowed := Allowed(facts)
	if len(allowed) == 0 {
		return // no fact leads to an event
	}
	reported := []string{}
	for _, f := range facts {
		reported = append(reported, fmt.Sprintf("%s/%s@%s", f.State.Status, f.State.Outcome, f.At.Format("15:04:05.000")))
	}
	if len(history) == 0 {
		j.missing("no event", first, []string{payloads, events}, "%s of %s: %s", id, v.Account, strings.Join(reported, " "))
		return
	}
	if last := history[len(history)-1]; !allowed[last.state()] {
		j.missing("wrong end", first, []string{payloads, events},
			"%s of %s ends %s after %v; callbacks: %s; it must be one of %v", id, v.Account, last, history[:len(history)-1],
			strings.Join(reported, " "), slices.Collect(maps.Keys(allowed)))
	}
}

// unknownVerifications finds histories of verifications that no answer named.
func (j *Judge) unknownVerifications() {
	known := map[string]bool{}
	for _, v := range j.ledger.all() {
		known[v.id()] = true
	}
	for id, history := range j.history {
		if !known[id] && slices.ContainsFunc(history, isCallback) {
			j.find("invented", "nobody was told of %s: %v", id, history)
		}
	}
}

// listeners checks that received events are stored.
func (j *Judge) listeners() {
	erased := map[string]bool{}
	for _, v := range j.ledger.all() {
		erased[v.id()] = !v.erased().IsZero()
	}
	for _, body := range j.subscriber.all() {
		var e Event
		if err := json.Unmarshal(body, &e); err != nil {
			j.find("heard", "no JSON: %v", err)
			continue
		}
		held, there := j.byID[e.ID]
		if erased[e.Verification] || there && bytes.Equal(held.Body, body) {
			continue
		}
		if _, reported := j.explainedBy(j.began, events); reported {
			j.Forgiven["heard"]++
			continue
		}
		j.find("heard", "%s %s; the stream holds it: %v", e.Verification, e, there)
	}
}

package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// Generator generates verifications from a seed. Times are real; everything else depends on the seed.
type Generator struct {
	r *rand.Rand
	n int
	// clock is the offset of the provider's clock; a fault sets it.
	clock atomic.Int64
}

// NewGenerator creates the generator of a seed.
func NewGenerator(seed uint64) *Generator { return &Generator{r: rand.New(rand.NewPCG(seed, 1))} }

// far is the offset of an untimed fact into the future, including the longest delivery.
const far = 10 * time.Minute

// Next generates the next verification.
func (g *Generator) Next(now time.Time) *Verification {
	g.n++
	now = now.Truncate(time.Millisecond)
	switch x := g.r.IntN(100); {
	case x < 42:
		return g.session(now)
	case x < 52:
		return g.repeatedVerdict(now)
	case x < 62:
		return g.attempts(now)
	case x < 68:
		return g.watched(now)
	case x < 83:
		return g.journey()
	case x < 93:
		return g.evidence()
	}
	return g.garbage(now)
}

func (g *Generator) begin(account, reference string) *Verification {
	provider, _, _ := strings.Cut(account, "/")
	return &Verification{Provider: provider, Account: account, Reference: reference}
}

func (g *Generator) attempt(number int, created time.Time) attempt {
	return attempt{number: number, id: uuid(g.r), created: created, person: fmt.Sprintf("X%06d", g.r.IntN(1e6))}
}

func (g *Generator) pick(words ...string) string { return words[g.r.IntN(len(words))] }

// ago returns when a session began, by the provider's clock, and whether its facts are untimed.
func (g *Generator) ago(now time.Time) (began time.Time, untimed bool) {
	off := time.Duration(g.clock.Load())
	if off > 0 {
		return now.Add(off), off >= far
	}
	return now.Add(off - []time.Duration{2 * time.Minute, time.Hour, 26 * time.Hour}[g.r.IntN(3)]), false
}

// addCallbacks adds callbacks of Ondato, each some milliseconds or seconds later than the previous one.
func (g *Generator) addCallbacks(v *Verification, a attempt, at time.Time, untimed bool, names ...string) time.Time {
	for _, name := range names {
		at = at.Add([]time.Duration{time.Millisecond, 20 * time.Millisecond, 2 * time.Second}[g.r.IntN(3)])
		d := ondato(g.r, v, a, name, at)
		d.Fact.Untimed = untimed
		v.Deliveries = append(v.Deliveries, d)
	}
	return at
}

// session is an Ondato session with one attempt, in any order.
func (g *Generator) session(now time.Time) *Verification {
	v := g.begin(ondatoAccount, uuid(g.r))
	names := []string{"begun", "consent", "created"}
	if g.r.IntN(5) == 0 {
		names = append(names, "paused")
	}
	switch g.r.IntN(10) {
	case 0, 1:
		names = append(names, g.pick("expired", "aborted"))
	case 2:
		names = append(names, "processed", "finished")
	default:
		names = append(names, "processed")
		for range 1 + g.r.IntN(3) {
			names = append(names, g.pick("approved", "rejected", "approved by a person"))
		}
		names = append(names, "finished", "processed")[:len(names)+g.r.IntN(3)]
	}
	if g.r.IntN(10) == 0 {
		names = append(names, "form")
	}
	began, untimed := g.ago(now)
	g.addCallbacks(v, g.attempt(1, began), began, untimed, names...)
	g.sameIDTwice(v)
	return g.schedule(v)
}

// sameIDTwice sometimes adds a delivery with the same event id of the provider and a body with different bytes
// and the same content.
func (g *Generator) sameIDTwice(v *Verification) {
	if g.r.IntN(20) > 0 {
		return
	}
	d := v.Deliveries[g.r.IntN(len(v.Deliveries))]
	other := deliver(v, d.Name, append(append([]byte(nil), d.Body...), ' '))
	other.EventID, other.Fact, other.Twin, d.Twin = d.EventID, d.Fact, d, other
	v.Deliveries = append(v.Deliveries, other)
}

// repeatedVerdict repeats a verdict, so that its last delivery may change nothing, together with an older
// verdict that must not overwrite it.
func (g *Generator) repeatedVerdict(now time.Time) *Verification {
	v := g.begin(ondatoAccount, uuid(g.r))
	began, untimed := g.ago(now)
	word, other := "approved", "rejected"
	if g.r.IntN(2) == 0 {
		word, other = other, word
	}
	g.addCallbacks(v, g.attempt(1, began), began, untimed, "created", word, other, word)
	return g.schedule(v)
}

// attempts is an Ondato session with two attempts.
func (g *Generator) attempts(now time.Time) *Verification {
	v := g.begin(ondatoAccount, uuid(g.r))
	began := now.Add(-time.Hour)
	at := g.addCallbacks(v, g.attempt(1, began), began, false, "begun", "created", "processed",
		g.pick("approved", "rejected", "rejected"))
	second := []string{"created"}
	if g.r.IntN(3) > 0 {
		second = append(second, "processed", g.pick("approved", "rejected"))
	}
	g.addCallbacks(v, g.attempt(2, at.Add(time.Minute)), at.Add(time.Minute), false, second...)
	return g.schedule(v)
}

// watched is a session whose watch is requested before an older fact of the provider arrives.
func (g *Generator) watched(now time.Time) *Verification {
	v := g.begin(watchedAccount, uuid(g.r))
	v.Watched = true
	began := now.Add(-5 * time.Minute)
	names := []string{"begun", "created", g.pick("processed", "approved", "rejected")}
	g.addCallbacks(v, g.attempt(1, began), began, false, names...)
	for _, d := range v.Deliveries {
		d.Delay = time.Duration(g.r.IntN(2000)) * time.Millisecond
	}
	return v
}

// journey is a journey of IDWise, whose callbacks have no time: they are ordered by receipt.
func (g *Generator) journey() *Verification {
	v := g.begin(idwiseAccount, fmt.Sprintf("%024x", g.r.Uint64()))
	v.InOrder = true
	word := g.pick("Complete", "Refer", "Rejected")
	machine := map[string]Fact{
		"Complete": byMachine(decided("approved")), "Rejected": byMachine(decided("rejected")),
		"Refer": {Weight: Verdict, State: State{"in_review", "review"}, Machine: true},
	}[word]
	v.Deliveries = append(v.Deliveries,
		idwise(g.r, v, "Finished Step", object{"stepId": "0", "stepType": "Document"}, progress("in_progress")),
		idwise(g.r, v, "Finished User Steps", object{"systemDecision": "Incomplete"}, progress("processing")),
		idwise(g.r, v, "Finished Journey", object{"systemDecision": word}, machine))
	if word == "Refer" && g.r.IntN(5) > 0 {
		by := g.pick("Approved", "Rejected")
		members := object{"systemDecision": word, "manualDecision": by, "finalDecision": by}
		v.Deliveries = append(v.Deliveries,
			idwise(g.r, v, "Manually Reviewed", members, byPerson(decided(strings.ToLower(by)))),
			idwise(g.r, v, "Finished Journey", object{"systemDecision": word}, machine))
	}
	for i, d := range v.Deliveries {
		d.Fact.At = time.Unix(int64(i+1), 0) // any increasing times
	}
	return v
}

// evidence is a journey of Signzy without a verdict.
func (g *Generator) evidence() *Verification {
	v := g.begin(signzyAccount, fmt.Sprintf("J%09d%06x", g.n, g.r.IntN(1<<24)))
	d := signzy(g.r, v, "COMPLETED", "COMPLETE", Fact{Weight: Ended, State: State{"completed", "none"}})
	if g.r.IntN(3) == 0 {
		d = signzy(g.r, v, "TERMINATED", "RETRIES_EXCEEDED", Fact{Weight: Ended, State: State{"failed", "none"}})
	}
	v.Deliveries = []*Delivery{d}
	return g.schedule(v)
}

// garbage is authentic and invalid: not JSON, or a body that parsers may read differently.
func (g *Generator) garbage(now time.Time) *Verification {
	v := g.begin(ondatoAccount, uuid(g.r))
	genuine := string(ondato(g.r, v, g.attempt(1, now), "approved", now).Body)
	other := fmt.Sprintf(`"identityVerificationId":%q,`, uuid(g.r))
	inPayload := func(member string) string {
		return strings.Replace(genuine, `"applicationId"`, member+`"applicationId"`, 2)
	}
	body := [...]string{
		fmt.Sprintf(`{"oops":%d`, g.r.Uint64()), fmt.Sprintf(`{"oops":%d}`, g.r.Uint64()), inPayload(other),
		inPayload(`"Status":"Rejected","status":"Approved",`), strings.Replace(genuine, "TESTA", "TEST\xff", 1),
	}[g.r.IntN(5)]
	d := deliver(v, "garbage", []byte(body))
	d.Want = "quarantined"
	v.Deliveries = []*Delivery{d}
	return g.schedule(v)
}

// schedule shuffles and spreads the deliveries of v, and repeats some.
func (g *Generator) schedule(v *Verification) *Verification {
	style := g.r.IntN(4)
	if style < 2 {
		g.r.Shuffle(len(v.Deliveries), func(i, j int) { v.Deliveries[i], v.Deliveries[j] = v.Deliveries[j], v.Deliveries[i] })
	}
	for i, d := range v.Deliveries {
		switch style {
		case 1, 2:
			d.Delay = time.Duration(g.r.IntN(3000)) * time.Millisecond
		case 3:
			d.Delay = time.Duration(i) * 300 * time.Millisecond
		}
		for range g.r.IntN(6) / 4 {
			d.Repeats = append(d.Repeats, time.Duration(g.r.IntN(8000))*time.Millisecond)
		}
	}
	return v
}

// Package model is a second implementation of the contract of events: the state of a verification after each
// message. It shares no code with the product, so that an error in one of them appears as a disagreement.
//
// A Fact is the content of one message, independent of the provider's format. A Machine processes facts in
// the order of arrival. It implements the rules on order, doubts, untimed facts, attempts and notices of
// kycbridge; the values of a provider are mapped in the file of that provider.
//
// Where the contract is not explicit, the comment of the rule begins with "Reading:".
package model

import "slices"

// Word is the kind of a fact.
type Word int

// The kinds of facts.
const (
	Note     Word = iota // a start or watch of kycbridge
	Deadline             // an end set by kycbridge
	Progress             // the state of the process
	Submit               // progress that answers a request for resubmission
	Verdict              // approved, rejected or review
	Resubmit             // the person must do something again
	Reopen               // the provider revokes its decision
	End                  // ended without a decision
	Doubt                // contradicting or unknown values
	Remark               // an update that mentions an outcome and decides nothing
)

// Fact is the content of one message.
type Fact struct {
	Word     Word
	Status   string
	Outcome  string
	Stage    string // system or manual_review
	Rank     int    // 0: a machine's or a maker's verdict; 2: a person's or a checker's, which takes precedence; else 1
	Final    bool
	Reason   string // of a doubt, or of an unknown status: contradiction or unmapped_status
	Mentions string // an outcome that progress or an end mentions beside what it is about; "": none
	Maker    string // the maker's outcome in the message; "": none
	At       int    // minute; when it happened
	Received int    // minute of receipt
	Untimed  bool   // the provider sends no plausible time
	Attempt  int    // 0: the session as a whole
	Undated  bool   // the message does not contain the time of creation of its attempt
	Person   string // the person of the document in the body; "" is none
	Actions  bool   // the applicant must do something
	Repeats  bool   // the message states the current decision, whenever it was made
	Cross    Cross  // the checker's verdict, if it comes from two sources
	Asked    bool   // of an answer of the API: it is so, but not since when
	Seq      int    // number of the payload

	Contradicts bool // another source than that of the current approval disagrees, whichever was received first
}

// Cross is the checker's verdict in a webhook and in an answer of the API; "": no verdict. The machine adds when each
// was received.
type Cross struct {
	Webhook, API     string
	webhookAt, apiAt int
}

// with replaces the verdict of each source by that of f, unless it was received before. isNews: it replaced one.
func (c Cross) with(f Fact) (crossed Cross, isNews bool) {
	if f.Cross.Webhook != "" && f.Received >= c.webhookAt {
		c.Webhook, c.webhookAt, isNews = f.Cross.Webhook, f.Received, true
	}
	if f.Cross.API != "" && f.Received >= c.apiAt {
		c.API, c.apiAt, isNews = f.Cross.API, f.Received, true
	}
	return c, isNews
}

// stored are the verdicts of both sources since the last reopening, from the payloads that were stored before f.
func (m *Machine) storedCross(f Fact) (c Cross) {
	for _, k := range m.kept {
		if k.Word == Reopen || k.Word == Resubmit {
			c = Cross{}
		}
		if k.Seq != f.Seq {
			c, _ = c.with(k)
		}
	}
	return c
}

func (c Cross) disagrees() bool { return c.Webhook != "" && c.API != "" && c.Webhook != c.API }

// State is the content of an event.
type State struct {
	Status, Outcome, Stage string
	Final                  bool
	Contradiction          bool // reason system.contradiction
	Unmapped               bool // reason system.unmapped_status
	Untimed                bool // reason system.untimed
	Person                 string
	Actions                bool
	InDoubt                bool // the status is unknown because of a decision; no member of the event
}

// Rules are the rules that a test may disable, to show that a violation is detected.
type Rules struct {
	OlderVerdictWins, NoticeSetsBar, AttemptsMerge, UntimedIsNow, DoubtIgnored bool
}

// Machine is one verification.
type Machine struct {
	State
	Broken Rules

	begun    bool
	repeats  bool // the last fact adds nothing: it repeats the current state, or does not count
	received bool
	newest   int      // minute of the newest applied fact of the provider
	timed    bool     // newest is set
	memory            // of the facts that led to events
	earlier  memory   // before the last fact
	kept     []Fact   // facts on the verdict whose payloads are stored, events or not
	answers  []Fact   // stored submissions
	makers   []Fact   // stored facts with the maker's outcome
	gap      []string // persons of late facts of the attempt
	ended    Fact     // the provider's end that closed the session
	before   *State   // the state before an end set by kycbridge
	last     Fact     // the last fact that counted
	seen     []Fact   // all stored facts with a person
	was      State    // before the last fact
	caught   *Fact    // applied after the last fact, though received before it
	fresh    bool     // the last fact began a newer attempt
}

// memory is the information of events on the verdict, independent of the stored payloads.
type memory struct {
	verdict  *Fact  // the current one, in doubt or not
	askedBy  int    // rank of the last request for resubmission
	reopened int    // minute of the newest request or reopening: earlier decisions are revoked
	answered int    // minute of the submission that answered the request; earlier verdicts of a machine are old
	doubts   []Fact // the doubts that no verdict has settled
	denied   *Fact  // the newest update that mentions another outcome than an approval
	cross    Cross  // the last verdict of each source
	maker    Fact   // the maker's verdict in the chain of decisions
	revoked  *approval
	unseen   bool      // the newest request or reopening found no decision: it may have revoked one that came later
	current  int       // the attempt that facts belong to
	attempts []attempt // in their order, as far as it is known
	began    int       // minute of receipt of the first fact of a newer attempt
}

// attempt is an attempt whose time of creation is known, or of which only the first message is known.
type attempt struct {
	number int
	dated  bool
}

// approval is one that the newest request or reopening revoked, and when the provider approved again; 0: it did not.
type approval struct{ rank, again int }

// Step processes the next fact.
func (m *Machine) Step(f Fact) {
	if f.Untimed && m.Broken.UntimedIsNow {
		f.Untimed, f.At = false, 1<<20
	}
	m.last, m.repeats, m.fresh, m.was = Fact{Untimed: true}, false, false, m.State
	m.earlier, m.caught = m.memory, nil
	m.earlier.doubts, m.earlier.attempts = slices.Clone(m.doubts), slices.Clone(m.attempts)
	if m.own(f) {
		return
	}
	m.revokeOurEnd()
	m.was = m.State
	first := !m.received
	m.received = true
	m.begun = true
	if m.repeatsRevoked(f) {
		m.repeats = true
		return
	}
	m.remember(f)
	if m.attempt(f) == stale {
		return
	}
	if m.refute(f) {
		m.last = Fact{Untimed: true}
		return
	}
	f = m.compare(f)
	switch f.Word {
	case Progress, Submit, End:
		m.proceed(f)
	case Verdict, Resubmit, Reopen:
		m.decide(f)
	case Doubt:
		m.contradict(f)
	case Remark:
		m.remark(f, first)
	}
	m.applyHeld(f)
	m.show(f)
	m.last = f
}

// compare turns a checker's verdict into a doubt if the webhook and the session contain different verdicts. A
// verdict that a reopening or a request revokes is not compared.
func (m *Machine) compare(f Fact) Fact {
	if (f.Word == Reopen || f.Word == Resubmit) && !m.outranked(f) {
		m.cross, _ = Cross{}.with(f)
		return f
	}
	isAdverse := m.Outcome == "rejected" || m.Outcome == "review" && f.Outcome == "approved"
	if f.Word == Verdict && f.Outcome != "rejected" && isAdverse {
		known := m.storedCross(f)
		m.cross, _ = m.cross.with(Fact{Cross: Cross{Webhook: known.Webhook}, Received: known.webhookAt})
		m.cross, _ = m.cross.with(Fact{Cross: Cross{API: known.API}, Received: known.apiAt})
	}
	var isNews bool
	m.cross, isNews = m.cross.with(f)
	f.Contradicts = isNews && m.Outcome == "approved"
	if f.Word == Verdict && f.Cross != (Cross{}) && m.cross.disagrees() && (f.Contradicts || !m.outranked(f)) {
		f.Word, f.Status, f.Outcome, f.Final, f.Reason = Doubt, "", "", false, "contradiction"
	}
	return f
}

func (f Fact) approvesAsChecker() bool {
	return f.Word == Verdict && f.Stage == "checker" && f.Outcome == "approved"
}

// refute turns a checker's approval into a review if f is a maker's rejection from before it, and the newest known
// verdict of the maker: in the other order of arrival the result is the same.
func (m *Machine) refute(f Fact) bool {
	isApproved := m.Stage == "checker" && m.Outcome == "approved"
	if !isApproved || f.Maker != "rejected" || f.At >= m.verdict.At && !m.outranked(f) {
		return false
	}
	if known := m.makersVerdict(f); known.Maker != "" && known.At > f.At {
		return false
	}
	m.refer()
	m.tell(f)
	return true
}

// proceed applies progress or an end. One that denies an approval is a doubt about an approval that is current.
func (m *Machine) proceed(f Fact) {
	if m.refuse(f) {
		return
	}
	if f.Word == End {
		m.end(f)
		return
	}
	m.progress(f)
}

// denies reports whether a fact that decides nothing mentions another outcome than an approval.
func (f Fact) denies() bool {
	switch f.Word {
	case Remark:
		return f.Outcome != "" && f.Outcome != "approved"
	case Progress, Submit, End:
		return f.Mentions != "" && f.Mentions != "approved"
	}
	return false
}

// refuse applies a fact that mentions another outcome than an approval, and reports whether an approval is current. It
// is revoked unless it is newer. The fact is recorded, because an older approval may still arrive.
func (m *Machine) refuse(f Fact) bool {
	if !f.denies() {
		return false
	}
	if m.denied == nil || !f.Untimed && (m.denied.Untimed || m.denied.At < f.At) {
		m.denied = &f
	}
	if m.Outcome != "approved" {
		return false
	}
	if f.Rank = 1; f.Attempt == 0 {
		f.Attempt = m.current
	}
	m.contradict(f)
	return true
}

// applyHeld applies the facts of a newer attempt that were received while an older one's approval was
// current, and are newer than the fact that began it: the result is independent of the arrival order.
func (m *Machine) applyHeld(f Fact) {
	if !m.fresh || !f.decides() {
		return
	}
	m.fresh = false
	var newest *Fact
	for _, k := range m.kept {
		isNewer := m.beats(k, f)
		if f.Untimed {
			isNewer = k.decides() && k.Word != Doubt && !k.Untimed && (k.Word != Verdict || !below(k, f))
		}
		if k.Attempt == f.Attempt && k.Seq != f.Seq && isNewer && (newest == nil || m.beats(k, *newest)) {
			newest = &k
		}
	}
	switch {
	case newest == nil:
	case f.Untimed && !m.undecided():
		if newest.Word == Verdict && newest.Outcome != m.Outcome {
			m.review() // the times do not show which of the two is newer
		}
	default:
		m.caught = newest
		m.decide(*newest)
	}
}

// Done records whether the last fact led to an event.
//
// Reading: "the last applied" fact is the last one that changed something. A fact that repeated the current state
// led to no event, does not block older facts, and is known only as long as its payload is stored.
func (m *Machine) Done(published bool) {
	if !published {
		m.memory, m.InDoubt = m.earlier, m.was.InDoubt
		return
	}
	m.pass(m.last)
	if m.caught != nil {
		m.pass(*m.caught)
	}
}

// Forget drops a stored payload.
func (m *Machine) Forget(seq int) {
	gone := func(f Fact) bool { return f.Seq == seq }
	m.kept, m.seen = slices.DeleteFunc(m.kept, gone), slices.DeleteFunc(m.seen, gone)
	m.answers, m.makers = slices.DeleteFunc(m.answers, gone), slices.DeleteFunc(m.makers, gone)
}

// own applies a notice of kycbridge. A notice begins a verification or ends an open one, and does not change the
// newest time.
func (m *Machine) own(f Fact) bool {
	switch {
	case f.Word == Note && !m.begun:
		m.State = State{Status: "created", Outcome: "none"}
	case f.Word == Deadline && !m.closed():
		before := m.State
		if !m.begun {
			before = State{}
		}
		m.before = &before
		m.State = State{Status: f.Status, Outcome: "none", Person: m.Person}
	case f.Word != Note && f.Word != Deadline:
		return false
	}
	m.begun = true
	if m.Broken.NoticeSetsBar {
		m.newest, m.timed = max(m.newest, f.At), true
	}
	return true
}

// revokeOurEnd revokes an end that kycbridge set. Any fact of the provider does this, whatever its time.
func (m *Machine) revokeOurEnd() {
	if m.before != nil {
		m.State, m.before = *m.before, nil
	}
}

func (m *Machine) closed() bool { return over(m.Status) }

// over reports whether a status ends the verification.
func over(status string) bool {
	return slices.Contains([]string{"completed", "expired", "abandoned", "canceled", "failed"}, status)
}

// old reports whether f is older than an applied fact. An untimed fact is never newer than a timed one.
func (m *Machine) old(f Fact) bool {
	return m.timed && (f.Untimed || f.At < m.newest)
}

// pass records the time of a fact that was not old.
func (m *Machine) pass(f Fact) {
	if !f.Untimed && (!m.timed || f.At > m.newest) {
		m.newest, m.timed = f.At, true
	}
}

// progress changes the status of an undecided, open verification. It settles no doubt.
func (m *Machine) progress(f Fact) {
	if m.old(f) || m.closed() || m.Outcome == "review" || m.InDoubt || len(m.doubts) > 0 && m.Outcome != "resubmit" {
		return
	}
	isAnswer := m.Outcome == "resubmit"
	if isAnswer && f.Word != Submit {
		return
	}
	m.Status, m.Outcome, m.Stage, m.Final, m.Actions = f.Status, "none", "", false, f.Actions
	m.Contradiction = f.Status == "unknown" && f.Reason == "contradiction"
	m.Unmapped = f.Status == "unknown" && !m.Contradiction
	m.tell(f)
	if isAnswer {
		m.answered = f.At
		m.reapplyDoubts() // Reading: the answer settles no doubt newer than the request
	}
}

// end closes an open and undecided verification.
//
// Reading: an end is old only if an applied fact is newer. It closes a doubt too; the doubt remains recorded for an
// earlier verdict. It does not close a review caused by two verdicts: one of them ended the session. An end
// received before the doubted verdict, or before the doubt, ended the earlier state only.
func (m *Machine) end(f Fact) {
	if m.inDoubt() && m.verdict != nil && max(m.verdict.Received, m.lastDoubted()) > f.Received {
		m.repeats = true
		return
	}
	if m.closed() || m.old(f) && !f.Untimed || (f.Untimed || m.reviewed()) && m.Outcome == "review" || m.Untimed {
		return
	}
	m.State, m.ended = State{Status: f.Status, Outcome: "none", Person: m.Person}, f
}

// reviewed reports whether the current verdict is a person's.
func (m *Machine) reviewed() bool { return m.verdict != nil && m.verdict.Rank == 2 }

// decide compares a verdict with the current one and with the stored ones.
//
// Reading: a fact that leaves the session open and is older than the provider's end does not reopen the session.
func (m *Machine) decide(f Fact) {
	if f.Untimed {
		m.decideUntimed(f)
		return
	}
	if f.Word == Resubmit && f.At < m.answered {
		m.repeats = true // Reading: the answer to the earlier request answers this one too
		return
	}
	isDoubted := func(d Fact) bool { return d.Received < m.ended.Received && !settles(f, d) }
	isHeldBack := !over(f.Status) && !m.ended.Untimed && f.At < m.ended.At ||
		f.Received < m.ended.Received && f.Outcome != "rejected" && slices.ContainsFunc(m.doubts, isDoubted) &&
			!slices.ContainsFunc(m.kept, m.doubtsAgain(f))
	if isHeldBack && m.closed() && m.undecided() {
		m.repeats = true
		return
	}
	if !m.fresh && m.outranked(f) {
		if m.verdict != nil && below(f, *m.verdict) {
			m.caught = m.waiting(f) // the current verdict overrides both; the newer of the two makes older facts old
			m.recall()
		}
		isNewer := func(k Fact) bool {
			return k.Attempt == f.Attempt && k.Seq != f.Seq && k.At >= f.At && m.beats(k, f) && !m.idle(k)
		}
		m.repeats = m.verdict == nil || f.At <= m.verdict.At || slices.ContainsFunc(m.kept, isNewer)
		return
	}
	waiting := m.waiting(f)
	if waiting != nil && m.isPassed(*waiting, f) {
		waiting = nil
	}
	was := m.State
	m.apply(f)
	m.answer(f, was)
	if m.overrules(f) {
		m.conclude(f)
	}
	if waiting != nil && !m.repeatsRevoked(*waiting) && (m.Outcome != "review" || !below(*waiting, *m.verdict)) {
		m.settle(f)
		m.caught, f = waiting, *waiting
		m.apply(f)
	}
	m.conclude(f)
}

// answer applies the first submission after the request f, if it was received before f, to an open verification without
// a decision: was is its state.
func (m *Machine) answer(f Fact, was State) {
	if f.Word != Resubmit || was.Outcome != "none" || was.InDoubt || over(was.Status) {
		return
	}
	var first *Fact
	for _, s := range m.answers {
		if s.Attempt == f.Attempt && !s.Untimed && s.At > f.At && (first == nil || s.At < first.At) {
			first = &s
		}
	}
	if first != nil {
		m.State, m.answered = was, first.At
	}
}

// conclude applies the doubts and denials about the verdict f, which has just been applied.
func (m *Machine) conclude(f Fact) {
	m.recall()
	m.settle(f)
	m.reapplyDoubts()
	m.deny(f)
	if m.Outcome == "approved" && m.overrules(f) {
		m.refer()
	}
}

// overrules reports whether f is a checker's approval without the maker's verdict, and the known one is a rejection.
func (m *Machine) overrules(f Fact) bool {
	return f.approvesAsChecker() && f.Maker == "" && m.maker.Maker == "rejected"
}

// makersVerdict is the newest of the maker's verdicts: that in the chain, or one that was stored before f.
func (m *Machine) makersVerdict(f Fact) Fact {
	known := m.maker
	for _, k := range m.makers {
		if k.Seq < f.Seq && (known.Maker == "" || k.At > known.At) {
			known = k
		}
	}
	return known
}

// refer turns a checker's approval into a review: nothing describes a checker who overrules a maker.
func (m *Machine) refer() {
	m.State = State{Status: "in_review", Outcome: "review", Stage: "checker", Person: m.Person}
	verdict := *m.verdict
	verdict.Outcome = "review"
	m.verdict = &verdict
}

// settle ends the doubts that f settles, unless one of the doubts has a higher rank than f.
func (m *Machine) settle(f Fact) {
	if !slices.ContainsFunc(m.doubts, func(d Fact) bool { return below(f, d) }) {
		m.doubts = slices.DeleteFunc(m.doubts, func(d Fact) bool { return settles(f, d) })
	}
}

// doubtsAgain returns a filter for the stored doubts about f that were received after the session had ended.
func (m *Machine) doubtsAgain(f Fact) func(Fact) bool {
	return func(d Fact) bool {
		return d.Word == Doubt && d.Attempt == f.Attempt && d.Received > m.ended.Received && !settles(f, d)
	}
}

// waiting is the newest stored verdict that the current one overrides and that is newer than f. It counts after f
// has replaced the current verdict.
func (m *Machine) waiting(f Fact) (newest *Fact) {
	for _, k := range m.kept {
		gaveWay := m.verdict != nil && below(k, *m.verdict)
		if gaveWay && k.Attempt == f.Attempt && k.Seq != f.Seq && m.beats(k, f) && (newest == nil || m.beats(k, *newest)) {
			newest = &k
		}
	}
	return newest
}

// isPassed reports whether a verdict that waits is older than another one that f would override.
func (m *Machine) isPassed(waiting, f Fact) bool {
	return slices.ContainsFunc(m.kept, func(k Fact) bool {
		return k.Word == Verdict && below(k, f) && k.Attempt == f.Attempt && m.beats(k, waiting)
	})
}

// recall adds the newest stored denial, and the stored doubts that no stored verdict has settled.
func (m *Machine) recall() {
	for _, k := range m.kept {
		isNewest := m.denied == nil || !k.Untimed && (m.denied.Untimed || m.denied.At < k.At)
		if k.denies() && together(k, *m.verdict) && isNewest {
			m.denied = &k
		}
	}
	for _, d := range m.kept {
		isSettled := func(k Fact) bool {
			isOver := (k.Word == Reopen || k.Word == Resubmit) && k.At > d.At
			return k.decides() && k.Word != Doubt && k.Attempt == d.Attempt &&
				(isOver || settles(k, d) && !below(k, *m.verdict))
		}
		was := m.earlier.verdict
		isKnown := func(k Fact) bool { return k.Seq == d.Seq }
		if d.Word == Doubt && !d.Untimed && d.Attempt == m.verdict.Attempt && !m.over(d) &&
			(was == nil || !isSettled(*was)) && !slices.ContainsFunc(m.kept, isSettled) &&
			!slices.ContainsFunc(m.doubts, isKnown) {
			m.doubts = append(m.doubts, d)
		}
	}
}

// settles reports whether f ends a doubt.
//
// Reading: a machine's verdict ends no doubt about a person's decision, since it does not override a person's
// decision either.
func settles(f, doubt Fact) bool {
	isNewer := doubt.At < f.At
	if doubt.Untimed {
		isNewer = doubt.Received < f.Received
	}
	return !f.Untimed && isNewer && !below(f, doubt)
}

// below reports whether a has a lower rank than b, so that b takes precedence whatever the times. A maker who does not
// approve is not below a checker who does.
func below(a, b Fact) bool {
	isMakers := a.Stage == "maker" && a.Outcome != "approved" && b.approvesAsChecker()
	return a.Rank == 0 && b.Rank == 2 && !isMakers
}

// deny raises a doubt about an approval that is not newer than a fact with another outcome.
func (m *Machine) deny(f Fact) {
	isDenial := func(d Fact) bool { return d.denies() && together(d, f) && m.isNewer(d, f) }
	reason := "contradiction"
	if m.was.Unmapped && !m.fresh {
		reason = "unmapped_status"
	}
	if m.Outcome == "approved" && (m.denied != nil && m.isNewer(*m.denied, f) || slices.ContainsFunc(m.kept, isDenial)) {
		m.shake(reason)
	}
}

// isNewer reports whether a denial is as new as the approval f, as far as that is known. Of two facts of which one has
// no time the denial counts, unless the approval has a time and was received later, or a verdict has followed the
// denial.
func (m *Machine) isNewer(denial, f Fact) bool {
	since := m.reopened
	if was := m.earlier.verdict; was != nil && !was.Untimed {
		since = max(since, was.At)
	}
	switch {
	case f.Untimed:
		return m.fresh || denial.Untimed || denial.At >= since
	case denial.Untimed:
		return denial.Received >= f.Received
	}
	return denial.At >= f.At
}

// outranked reports whether a known verdict is newer than f, or of a higher stage, or of the same instant and
// not an approval.
func (m *Machine) outranked(f Fact) bool {
	if m.Broken.OlderVerdictWins {
		return false
	}
	if m.over(f) {
		return true
	}
	known := slices.Clone(m.kept)
	if m.verdict != nil {
		if f.Word == Verdict && (m.Outcome == "review" || m.InDoubt && m.verdict.Word == Verdict) && below(f, *m.verdict) {
			return true
		}
		if f.Word == Verdict && m.verdict.Untimed && m.verdict.Word == Verdict && below(f, *m.verdict) {
			return true // a machine's verdict never overrides a person's decision, of any time
		}
		if f.Outcome == "approved" && m.Outcome != "approved" && m.verdict.At == f.At && !m.verdict.Untimed &&
			m.verdict.Seq != f.Seq && !below(*m.verdict, f) {
			return true // a revocation counts against another approval of the same instant
		}
		known = append(known, *m.verdict)
	}
	return slices.ContainsFunc(known, func(k Fact) bool {
		return together(k, f) && k.Seq != f.Seq && !m.idle(k) && m.beats(k, f)
	})
}

// together reports whether two facts may be of one attempt.
func together(a, b Fact) bool { return a.Attempt == b.Attempt || a.Attempt == 0 || b.Attempt == 0 }

// idle reports whether a verdict does not block older facts, because it is revoked or the current verdict overrides
// it.
func (m *Machine) idle(k Fact) bool { return m.over(k) || m.verdict != nil && below(k, *m.verdict) }

// replaced reports whether a newer verdict of no lower rank, a request or a reopening has replaced k: the rank
// of k no longer counts.
//
// Reading: a request received after the session had ended reopened nothing, so it replaces no verdict either.
func (m *Machine) replaced(k Fact) bool {
	if m.verdict != nil && k.Seq == m.verdict.Seq && m.closed() {
		return m.reopened > k.At
	}
	return slices.ContainsFunc(append(slices.Clone(m.kept), m.standing()...), func(w Fact) bool {
		isWord := w.Word == Verdict && !below(w, k) || w.Word == Resubmit || w.Word == Reopen
		isNewer := w.At > k.At || w.At == k.At && w.Outcome != "approved" && k.Outcome == "approved"
		return isWord && w.Attempt == k.Attempt && w.Seq != k.Seq && !w.Untimed && isNewer
	})
}

// standing is the current verdict, if there is one.
func (m *Machine) standing() []Fact {
	if m.verdict == nil {
		return nil
	}
	return []Fact{*m.verdict}
}

// over reports whether a later request or reopening has revoked a verdict. A person's verdict counts from the
// request on, a machine's from the applicant's answer on.
//
// Reading: if a person decides between the request and the answer, that verdict had ended the session and the
// answer was progress. An approval of the same instant as the request or the answer is revoked too.
func (m *Machine) over(f Fact) bool {
	since := m.reopened
	if below(f, Fact{Rank: m.askedBy}) {
		since = max(since, m.answered)
	}
	return f.At < since || f.At == since && f.Outcome == "approved"
}

// beats reports whether a prevails over b.
func (m *Machine) beats(a, b Fact) bool {
	switch {
	case a.Untimed || a.Word == Doubt || !a.decides():
		return false
	case a.Word == Resubmit && b.Rank == 0 && a.At < m.answered:
		return false // it was answered
	case b.Word == Verdict && below(b, a) && !m.replaced(a):
		return true
	case a.Word == Verdict && below(a, b):
		return false
	case a.At != b.At:
		return a.At > b.At
	}
	return a.Outcome != "approved" && b.Outcome == "approved"
}

// decideUntimed applies an untimed verdict. It counts if nothing is decided yet; if it differs from the current
// verdict, a person must review the verification.
func (m *Machine) decideUntimed(f Fact) {
	switch {
	case m.Untimed: // it is under review already
		m.repeats = true
	case m.verdict != nil && m.verdict.Word == Verdict && below(f, *m.verdict):
		m.repeats = true // a machine's verdict overrides no decision of a person, in doubt or not
	case m.inDoubt() && f.Outcome == "none":
		m.repeats = true // Reading: an end without a verdict of the provider's settles nothing
	case m.inDoubt(): // Reading: the verdict differs from a doubt
		m.review()
	case m.undecided() && m.closed() && !m.ended.Untimed && f.Status == "in_review":
		m.repeats = true // Reading: the session may have ended after this verdict
	case m.undecided():
		m.apply(f)
		m.reapplyDoubts()
		m.deny(f)
	case m.Outcome == f.Outcome:
		m.repeats = true
	default:
		m.review()
	}
}

// inDoubt reports whether the status is unknown because of a decision, not because there is none.
func (m *Machine) inDoubt() bool { return m.InDoubt }

// undecided reports whether no decision exists. A revoked decision does not count. A decision in doubt does, so callers
// check inDoubt first.
func (m *Machine) undecided() bool { return m.Outcome == "none" || m.Outcome == "" }

// review leaves the decision to a person, and does not change the recorded facts.
func (m *Machine) review() {
	m.repeats = true
	m.State = State{Status: "in_review", Outcome: "review", Stage: m.Stage, Untimed: true, Person: m.Person}
}

// apply makes f the current verdict.
func (m *Machine) apply(f Fact) {
	switch {
	case f.Word == Resubmit || f.Word == Reopen:
		m.revoke(f)
		m.reopened, m.askedBy = f.At, f.Rank
	case m.revoked != nil && m.revoked.again == 0 && f.Outcome == "approved":
		m.revoked = &approval{rank: m.revoked.rank, again: f.At}
	}
	m.verdict = &f
	if f.Rank > 0 {
		m.answered = 0 // there is a newer request, or a person has decided
	}
	shown := m.Person
	m.State = State{Status: f.Status, Outcome: f.Outcome, Final: f.Final, Stage: f.Stage,
		Person: shown, Actions: f.Actions}
	if isRepeated := m.was.Outcome == "approved" && m.was.Stage == "checker"; f.approvesAsChecker() && f.Maker == "" &&
		!isRepeated {
		m.tell(m.makersVerdict(f))
	}
	m.tell(f)
}

// tell adds the maker's outcome to the chain of decisions.
func (m *Machine) tell(f Fact) {
	if f.Maker != "" {
		m.maker = f
	}
}

// contradict applies a body that contradicts itself. It revokes an approval; a rejection, an end and a
// resubmission remain.
func (m *Machine) contradict(f Fact) {
	if m.Broken.DoubtIgnored {
		return
	}
	if !f.Untimed && !f.Contradicts && m.outranked(f) {
		m.repeats = true
		return
	}
	if !f.Untimed {
		m.caught = m.waiting(f) // the current verdict still overrides it, and it makes older facts old
	}
	if f.denies() { // it concerns approvals only, and is no doubt about other verdicts
		m.tell(f)
		m.shake(f.Reason)
		return
	}
	m.doubts = append(m.doubts, f)
	if m.repeats = m.newestDoubt().Seq != f.Seq; !m.repeats {
		if m.mayDoubt() {
			m.tell(f)
		}
		m.reapplyDoubts()
	}
}

// reapplyDoubts revokes the current state if an unsettled doubt may revoke it.
func (m *Machine) reapplyDoubts() {
	if len(m.doubts) > 0 {
		m.shake(m.newestDoubt().Reason)
	}
}

// newestDoubt is the newest doubt of the highest rank.
func (m *Machine) newestDoubt() Fact {
	newest := m.doubts[0]
	for _, d := range m.doubts[1:] {
		if below(newest, d) || !below(d, newest) && (newest.Untimed || !d.Untimed && d.At >= newest.At) {
			newest = d
		}
	}
	return newest
}

// lastDoubted is when the newest doubt was received.
func (m *Machine) lastDoubted() int {
	if len(m.doubts) == 0 {
		return 0
	}
	return m.newestDoubt().Received
}

// mayDoubt reports whether a doubt changes the state: a rejection, an end and a request remain.
func (m *Machine) mayDoubt() bool {
	return m.Outcome != "rejected" && m.Outcome != "resubmit" && (!m.closed() || m.Outcome == "approved")
}

func (m *Machine) shake(reason string) {
	if !m.mayDoubt() {
		return
	}
	m.State = State{Status: "unknown", Outcome: "none", Person: m.Person, InDoubt: true}
	m.Contradiction, m.Unmapped = reason != "unmapped_status", reason == "unmapped_status"
}

// remark applies an update. An update decides nothing; one that contradicts the current verdict is a doubt.
func (m *Machine) remark(f Fact, first bool) {
	if first { // Reading: the update shows that an identification exists whose decision has not arrived
		m.Status, m.Outcome = "processing", "none"
	}
	m.repeats = m.old(f)
	// Reading: an update that mentions an approval does not change a rejection, and contradicts no approval.
	m.refuse(f)
}

// show replaces the person by the one in the body, if the body contains a person and f is not old.
//
// Reading: an approval belongs to the person it was given for. An end of the session, its progress and a verdict that
// does not count do not change it. A policy has judged the person in its own body, however late that arrives.
func (m *Machine) show(f Fact) {
	isJudged := f.Word == Verdict && f.Outcome == "approved" && f.Stage == "policy"
	isOther := f.Word == End || f.Word == Progress || f.Word == Submit || f.Word == Verdict && f.Outcome != "approved"
	switch {
	case f.Person == "":
	case m.old(f) && !isJudged || m.repeats || m.Outcome == "approved" && isOther:
		m.gap = append(m.gap, f.Person)
	default:
		m.Person = f.Person
	}
}

func (m *Machine) remember(f Fact) {
	if f.decides() || f.denies() {
		m.kept = append(m.kept, f)
	}
	if f.Person != "" {
		m.seen = append(m.seen, f)
	}
	if f.Word == Submit && !f.Asked {
		m.answers = append(m.answers, f)
	}
	if f.Maker != "" {
		m.makers = append(m.makers, f)
	}
}

// decides reports whether a fact is about the decision.
func (f Fact) decides() bool {
	return f.Word == Verdict || f.Word == Resubmit || f.Word == Reopen || f.Word == Doubt
}

// repeatsRevoked reports whether f is an approval that a request or a reopening has revoked and that the provider
// states again. It counts if it is of a higher stage, or if the applicant has submitted something since.
func (m *Machine) repeatsRevoked(f Fact) bool {
	revoked := m.revoked
	if revoked == nil {
		revoked = m.revokedUnseen()
	}
	if !f.Repeats || f.Word != Verdict || f.Outcome != "approved" || revoked == nil || f.At <= m.reopened {
		return false
	}
	isAnswered := m.answered > 0 || slices.ContainsFunc(m.answers, func(s Fact) bool { return s.At > m.reopened })
	isAgain := revoked.again > 0 && f.At >= revoked.again
	return !isAnswered && !isAgain && !below(Fact{Rank: revoked.rank}, f)
}

// revokedUnseen is the approval that the newest request or reopening revoked before it was received: the newest stored
// verdict, or overdue renewal, of before it.
func (m *Machine) revokedUnseen() *approval {
	var newest *Fact
	for _, k := range m.kept {
		counts := k.Word == Verdict || k.Word == Reopen && over(k.Status)
		if m.unseen && counts && k.At < m.reopened && (newest == nil || k.At >= newest.At) {
			newest = &k
		}
	}
	switch {
	case newest == nil || newest.Word == Verdict && newest.Outcome != "approved":
		return nil
	case newest.Word == Reopen:
		return &approval{rank: 2}
	}
	return &approval{rank: newest.Rank}
}

// revoke records the approval that f revokes, before it is applied.
//
// Reading: a renewal that is overdue revokes an approval, received or not.
func (m *Machine) revoke(f Fact) {
	defer func() { m.unseen = m.revoked == nil && m.Outcome != "rejected" && m.Outcome != "review" }()
	switch {
	case m.Outcome == "approved" || m.inDoubt() && m.verdict != nil:
		m.revoked = &approval{rank: m.verdict.Rank}
	case m.Outcome == "rejected" || m.Outcome == "review":
		m.revoked = nil
	case m.revoked == nil && over(f.Status):
		m.revoked = &approval{rank: 2}
	}
}

type place int

const (
	ours place = iota
	stale
)

// attempt reports whether f belongs to the current attempt, and begins a newer one. Attempts are numbered by their
// time of creation.
func (m *Machine) attempt(f Fact) place {
	if f.Attempt == 0 || m.Broken.AttemptsMerge {
		return ours
	}
	if m.current == 0 {
		m.current = f.Attempt
	}
	at, current := m.enter(attempt{f.Attempt, !f.Undated}), m.position(m.current)
	isUncertain := m.attempts[at].dated != m.attempts[current].dated && m.attempts[at].dated == (at < current)
	switch {
	case isUncertain:
		return m.uncertain(f, at > current)
	case at < current:
		return stale
	case at > current:
		return m.renew(f)
	}
	return ours
}

func (m *Machine) position(number int) int {
	return slices.IndexFunc(m.attempts, func(a attempt) bool { return a.number == number })
}

// enter records an attempt and returns its position: before the first one that was created later, otherwise last.
func (m *Machine) enter(a attempt) int {
	if at := m.position(a.number); at >= 0 {
		if m.attempts[at].dated || !a.dated {
			return at
		}
		m.attempts = slices.Delete(m.attempts, at, at+1) // the time was not known
	}
	at := len(m.attempts)
	for i, b := range m.attempts {
		if a.dated && b.dated && b.number > a.number {
			at = i
			break
		}
	}
	m.attempts = slices.Insert(m.attempts, at, a)
	return at
}

// uncertain applies a fact of an attempt that may be older or newer than the current one: one of them has no time of
// creation, and was seen later. isUndated: that is the attempt of f.
//
// Reading: the contract orders such attempts by their first message. That is no reason for an approval that replaces
// another decision, or that remains beside one.
func (m *Machine) uncertain(f Fact, isUndated bool) place {
	isApproved := m.Outcome == "approved"
	refuses := f.Word == Verdict && f.Outcome != "approved" || f.Word == Doubt && f.Received >= m.began &&
		(m.verdict == nil || f.Received >= m.verdict.Received)
	isDecided := !m.undecided() || m.verdict != nil || len(m.doubts) > 0
	switch {
	case isUndated && isDecided && (!isApproved || !refuses), !isUndated && isApproved && refuses:
		differs := f.Word == Verdict && f.Outcome == "approved" && !isApproved || isApproved && refuses
		isPassed := func(k Fact) bool { return k.Attempt == f.Attempt && k.Seq != f.Seq && m.beats(k, f) }
		if !differs || m.Untimed || !f.Untimed && slices.ContainsFunc(m.kept, isPassed) {
			return stale
		}
		if isApproved && (m.denied == nil || !f.Untimed && (m.denied.Untimed || f.At > m.denied.At)) {
			m.denied = &f
		}
		m.review()
		return stale
	case isUndated || !isDecided && refuses:
		return m.renew(f)
	}
	return stale
}

// Fill sets the person from an event if none is known.
//
// Reading: the contract does not define whether a late or untimed fact of the attempt fills gaps. It may, but
// it replaces nothing.
func (m *Machine) Fill(shown string) {
	if m.Person == "" && slices.Contains(m.gap, shown) {
		m.Person = shown
	}
}

// renew begins a newer attempt: the facts of the older one are cleared, but an approval remains until the
// newer attempt's own verdict.
func (m *Machine) renew(f Fact) place {
	// Reading: a doubt about the newer attempt is treated as its verdict, but does not count.
	if m.Outcome == "approved" && f.Word != Verdict && f.Word != Doubt {
		return stale
	}
	m.fresh, m.current, m.began = true, f.Attempt, f.Received
	m.verdict, m.doubts, m.denied, m.gap = nil, nil, nil, nil
	m.reopened, m.answered, m.askedBy = 0, 0, 0
	m.State = State{Status: "in_progress", Outcome: "none"}
	for _, s := range m.seen {
		if s.Attempt == f.Attempt {
			m.gap = append(m.gap, s.Person)
		}
	}
	return ours
}

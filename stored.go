package kycbridge

import (
	"context"
	"slices"

	"kycbridge/event"
)

// storedFacts is what the stored payloads of a verification contain about a late fact.
type storedFacts struct {
	Known
	newer   *Fact         // the fact that outranks it: of the highest stage, then the newest
	earlier []Observation // earlier facts of the fact's attempt

	decisive  []Fact  // the facts with a decisive effect, in the order in which they were stored
	reopening *Fact   // the newest of them that reopens the verification
	newest    *Moment // of the verdicts, the reopenings and the ends
	isWhole   bool    // the payloads that made the latest events are stored
}

// readStored reads the payloads of the verification of f that were stored before p. Payloads after p are
// processed after it: whether they are already stored must not affect the events.
func (n *Normalizer) readStored(
	ctx context.Context, k Key, p Payload, f Fact, last *Revision,
) (t storedFacts, err error) {
	var before []Fact
	missing := len(last.Memory.Applied)
	err = n.past(ctx, k, f.Account, func(other Payload, fact func() (Fact, error)) {
		if last.Memory.hasApplied(other.ID) {
			missing--
		}
		if other.ID == p.ID || other.isStoredAfter(p) {
			return
		}
		g, err := fact()
		if err != nil || g.Notice || g.otherAttempt(f) || f.Attempt.ID == "" && last.isOtherAttempt(g) {
			return // an unmappable payload has no event of its own either
		}
		before = append(before, g)
	})
	t.isWhole = missing <= 0
	for _, g := range before {
		t.add(g, f, last)
	}
	t.Doubt, t.Revoked = unsettledDoubt(f, t.decisive), last.revokedUnseen(t.decisive)
	if t.newer == nil {
		t.newer = higherVerdict(f, t.decisive)
	}
	return t, err
}

// past passes each stored payload of a verification on, oldest first, with a function that maps it.
func (n *Normalizer) past(
	ctx context.Context, k Key, a *Account, each func(p Payload, fact func() (Fact, error)),
) error {
	position := 0
	return n.Log.History(ctx, k, func(p Payload) error {
		position++
		each(p, func() (Fact, error) {
			return n.Recalled.get(a, p, position, func() (Fact, error) { return n.fact(a, p, n.document(p)) })
		})
		return nil
	})
}

// add adds g, the next stored fact of the attempt of f.
func (t *storedFacts) add(g, f Fact, last *Revision) {
	at := g.moment()
	if g.submits() && (t.Answered == nil || at.after(*t.Answered)) {
		t.Answered = &at
	}
	if g.answers(f) && (t.Answer == nil || t.Answer.after(at)) {
		t.Answer = &at
	}
	g.Known.Answered, g.Known.Revoked = t.Answered, last.revokedUnseen(t.decisive)
	t.addReopening(last, &g)
	if last.repeatsRevoked(g) {
		return
	}
	t.recordReopening(g)
	if g.denies() {
		t.recordDenial(at, nil)
	}
	if t.Cross, _ = t.Cross.merge(g.cross()); g.Effect == EffectReopen {
		t.Cross = g.cross()
	}
	if step := makersStep(g.Decisions); step != nil && (t.Maker == nil || !t.Maker.after(at)) {
		t.Maker = &MakersVerdict{*step, at}
	}
	if g.Effect.Decisive() && (!g.untimed() || g.Effect == EffectDoubt) {
		t.decisive = append(t.decisive, g)
	}
	if g.Effect != EffectDoubt && Outranks(g, f) &&
		(t.newer == nil || t.newer.moment().below(at) || Outranks(g, *t.newer)) {
		t.newer = &g
	}
	if f.Attempt.ID != "" && g.Attempt.ID == f.Attempt.ID && !at.after(f.moment()) {
		t.earlier = append(t.earlier, g.Observation)
	}
}

// submits reports whether f states when the applicant submitted a step. A fetched body states that the steps are
// complete, not since when.
func (f Fact) submits() bool { return f.Submission && !f.Via.Asked() }

// answers reports whether the applicant submitted a step in f after the request g. The order of two clocks is not known
// precisely enough for that.
func (f Fact) answers(g Fact) bool {
	at, asked := f.moment(), g.moment()
	return f.submits() && !at.Untimed && !asked.Untimed && at.Ours == asked.Ours && at.after(asked)
}

// higherVerdict is a verdict of a higher stage than that of the verdict f, unless a verdict of at least
// its stage, a request or a reopening has replaced it. f yields to it, whichever is newer. It need not
// have made an event: the session may have ended before it was received.
func higherVerdict(f Fact, decisive []Fact) *Fact {
	for _, g := range decisive {
		replaces := func(h Fact) bool { return h.Effect != EffectDoubt && Outranks(h, g) }
		isAbove := f.Effect == EffectVerdict && g.Effect == EffectVerdict && f.moment().below(g.moment())
		if isAbove && !slices.ContainsFunc(decisive, replaces) {
			return &g
		}
	}
	return nil
}

// storedAfter returns the payloads stored after p, up to the last one that may change what f has led to; none if
// nothing may.
func (n *Normalizer) storedAfter(ctx context.Context, k Key, p Payload, f Fact) (found []Payload, err error) {
	end := 0
	err = n.past(ctx, k, f.Account, func(other Payload, fact func() (Fact, error)) {
		if !other.isStoredAfter(p) {
			return
		}
		found = append(found, other)
		if g, err := fact(); err == nil && g.mayChange(f) {
			end = len(found)
		}
	})
	return found[:end], err
}

// mayChange reports whether f may change what g, the fact of an earlier payload, has led to.
func (f Fact) mayChange(g Fact) bool {
	return Outranks(f, g) || f.contests(g) || g.Effect == EffectReopen && f.answers(g)
}

// revokes reports whether f may revoke the approval g, or answers the request g.
func (f Fact) revokes(g Fact) bool {
	if g.approves() {
		return Outranks(f, g) || f.contests(g)
	}
	return g.Effect == EffectReopen && f.answers(g)
}

// storedBefore returns the payloads stored before p that decide something which last does not contain.
func (n *Normalizer) storedBefore(ctx context.Context, k Key, p Payload, last *Revision) (found []Payload, err error) {
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil {
		return nil, err
	}
	err = n.past(ctx, k, account, func(other Payload, fact func() (Fact, error)) {
		if other.Notice || !p.isStoredAfter(other) {
			return
		}
		if g, err := fact(); err == nil && g.Effect.Decisive() && g.changes(last) {
			found = append(found, other)
		}
	})
	return found, err
}

// changes reports whether f alone would give last another status or verdict.
func (f Fact) changes(last *Revision) bool {
	next, _, noEvent := Next(last, f)
	return noEvent == "" && (last == nil || next.Status != last.Status || !sameVerdict(last, &next))
}

// isStoredAfter reports whether p was stored after q.
func (p Payload) isStoredAfter(q Payload) bool { return p.Seq > q.Seq && q.Seq != 0 }

// unsettledDoubt merges the doubts among the decisive facts that apply to f: neither f settles them, nor another
// verdict of at least the stage of f, nor a later reopening.
func unsettledDoubt(f Fact, decisive []Fact) (doubt *Doubt) {
	for _, g := range decisive {
		at, of := g.moment(), f.moment()
		isSettled := func(h Fact) bool {
			isOver := h.Effect == EffectReopen && h.moment().after(at)
			return isOver || h.Effect != EffectDoubt && h.moment().settles(at) && !h.moment().below(of)
		}
		if g.Effect == EffectDoubt && !at.below(of) && !of.settles(at) && !slices.ContainsFunc(decisive, isSettled) {
			doubt = doubt.merge(g.doubt())
		}
	}
	return doubt
}

// next applies f together with the stored payloads.
func (t storedFacts) next(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	f.Known = t.Known
	t.addReopening(last, &f)
	if holdsOlderAttempt(last, f) {
		return t.startAttempt(last, f)
	}
	if f.untimed() {
		f.Known = Known{Denials: t.Denials} // it is compared with the last event alone otherwise
		return Next(last, f)
	}
	if t.newer != nil && !Outranks(*t.newer, f) && !last.Memory.outranksByStage(f, t.newer.moment()) {
		t.newer = nil
	}
	isReplaced := t.newer != nil && t.newer.Effect == EffectVerdict && !t.newer.approves() &&
		last.Decision.Outcome == event.OutcomeApproved
	if isReplaced && f.Effect == EffectVerdict && !f.approves() {
		t.newer = nil // f is compared with the approval that has replaced it; after a reopening it would count again
	}
	// A verdict that the current one overrules outranks nothing. It counts once f has replaced that one.
	standing, overruled := last.Memory.Verdict, last.Memory.Overruled
	isOverruled := t.newer != nil && standing != nil && t.newer.moment().below(*standing)
	f.Known.Outranked = t.newer != nil && !isOverruled
	f.Known.Weighed = isOverruled && overruled != nil && !overruled.after(t.newer.moment())
	next, kind, noEvent = Next(last, f)
	if noEvent != "" || !isOverruled {
		return next, kind, noEvent
	}
	return t.applyFollowing(last, next, f)
}

// outranksByStage reports whether a stored verdict, given at the moment above and of a higher stage than
// f, outranks f: no request, reopening or newer verdict of its stage has replaced it. If the current verdict is of a
// higher stage too, f is compared with that one instead.
func (m *Memory) outranksByStage(f Fact, higherVerdict Moment) bool {
	isOver := m.Reopened != nil && !higherVerdict.after(*m.Reopened) ||
		m.Verdict != nil && !m.Verdict.below(higherVerdict) && m.Verdict.after(higherVerdict)
	return !isOver && (m.Verdict == nil || !f.moment().below(*m.Verdict))
}

// startAttempt applies f, which begins a newer attempt, together with the facts of that attempt that
// arrived while the approval of the older one was current. The approval is removed, also if a newer
// payload outranks f.
func (t storedFacts) startAttempt(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	next, kind, noEvent = Next(last, f.withEarlier(t.earlier))
	if noEvent != "" || t.newer == nil {
		return next, kind, noEvent
	}
	return t.applyFollowing(last, next, f)
}

// applyFollowing applies the newer payload to next, which f has produced from last: both make one event, caused
// by f.
func (t storedFacts) applyFollowing(last *Revision, next Revision, f Fact) (Revision, event.Kind, string) {
	newer, noEvent := applyFact(&next, *t.newer)
	if noEvent != "" {
		return next, kindOf(last, &next), ""
	}
	finish(&newer, f)
	if same(last, &newer) {
		return Revision{}, "", NoEventUnchanged
	}
	newer.Revision, newer.Supersedes = next.Revision, next.Supersedes
	return newer, kindOf(last, &newer), ""
}

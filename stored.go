package kycbridge

import (
	"context"
	"slices"

	"kycbridge/event"
)

// toldBefore is what the stored payloads of a verification say about a late fact.
type toldBefore struct {
	Known
	newer   *Fact         // what the fact must give way to: of the highest stage, then the newest
	earlier []Observation // what was told of the fact's attempt before it
}

// told reads what was stored of the verification of f before p. What lies behind p is worked after it:
// whether it is stored already must not decide which events there are.
func (n *Normalizer) told(ctx context.Context, k Key, p Payload, f Fact) (t toldBefore, err error) {
	var words []Fact // on the verdict
	err = n.Log.History(ctx, k, func(other Payload) error {
		if other.ID == p.ID || other.isBehind(p) {
			return nil
		}
		g, err := n.fact(f.Account, other)
		if err != nil || g.Notice || g.otherAttempt(f) {
			return nil // one that cannot be mapped has no event of its own either
		}
		at := g.moment()
		if g.denies() && (t.Denied == nil || at.after(*t.Denied)) {
			t.Denied = &at
		}
		if g.Effect.Decisive() && !g.untimed() {
			words = append(words, g)
		}
		if g.Effect != EffectDoubt && Outranks(g, f) && (t.newer == nil || t.newer.moment().below(at) || Outranks(g, *t.newer)) {
			t.newer = &g
		}
		if f.Attempt.ID != "" && g.Attempt.ID == f.Attempt.ID && !at.after(f.moment()) {
			t.earlier = append(t.earlier, g.Observation)
		}
		return nil
	})
	t.Doubt = doubtOf(f, words)
	if t.newer == nil {
		t.newer = above(f, words)
	}
	return t, err
}

// above is a verdict of a higher stage than that of the verdict f, if no word of at least its stage, no request
// and no reopening has replaced it. f gives way to it, whichever is the newer. It need not have made an event:
// the session may have ended before it came.
func above(f Fact, words []Fact) *Fact {
	for _, g := range words {
		replaces := func(h Fact) bool { return h.Effect != EffectDoubt && Outranks(h, g) }
		isAbove := f.Effect == EffectVerdict && g.Effect == EffectVerdict && f.moment().below(g.moment())
		if isAbove && !slices.ContainsFunc(words, replaces) {
			return &g
		}
	}
	return nil
}

// behind returns what was stored behind p, up to the last payload that outranks f; none if nothing does.
func (n *Normalizer) behind(ctx context.Context, k Key, p Payload, f Fact) (found []Payload, err error) {
	end := 0
	err = n.Log.History(ctx, k, func(other Payload) error {
		if !other.isBehind(p) {
			return nil
		}
		found = append(found, other)
		g, err := n.fact(f.Account, other)
		if err == nil && Outranks(g, f) {
			end = len(found)
		}
		return nil
	})
	return found[:end], err
}

// isBehind reports whether p was stored after q.
func (p Payload) isBehind(q Payload) bool { return p.Seq > q.Seq && q.Seq != 0 }

// doubtOf merges the doubts among words that stand against f: f does not settle them, and neither does
// another word of at least the stage of f.
func doubtOf(f Fact, words []Fact) (doubt *Doubt) {
	for _, g := range words {
		at, of := g.moment(), f.moment()
		isSettled := func(h Fact) bool {
			return h.Effect != EffectDoubt && h.moment().settles(at) && !h.moment().below(of)
		}
		if g.Effect == EffectDoubt && !at.below(of) && !of.settles(at) && !slices.ContainsFunc(words, isSettled) {
			doubt = doubt.with(g.doubt())
		}
	}
	return doubt
}

// next applies f with what the stored payloads say.
func (t toldBefore) next(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	f.Known = t.Known
	if heldBack(last, f) {
		return t.begin(last, f)
	}
	if t.newer != nil && !Outranks(*t.newer, f) && !last.Memory.holdsBack(f, t.newer.moment()) {
		t.newer = nil
	}
	// A verdict that the standing one overrules outranks nothing. It counts once f has replaced that one.
	standing, overruled := last.Memory.Verdict, last.Memory.Overruled
	isOverruled := t.newer != nil && standing != nil && t.newer.moment().below(*standing)
	f.Known.Outranked = t.newer != nil && !isOverruled
	f.Known.Weighed = isOverruled && overruled != nil && overruled.Payload == t.newer.Payload.ID
	next, kind, noEvent = Next(last, f)
	if noEvent != "" || !isOverruled {
		return next, kind, noEvent
	}
	return t.follow(last, next, f)
}

// holdsBack reports whether a stored verdict, given at the moment above and of a higher stage than f, makes f give
// way: no request or reopening has replaced it. Where the standing verdict is of a higher stage too, f is compared
// with that one instead.
func (m *Memory) holdsBack(f Fact, above Moment) bool {
	isOver := m.Reopened != nil && !above.after(*m.Reopened)
	return !isOver && (m.Verdict == nil || !f.moment().below(*m.Verdict))
}

// begin applies f, which begins a newer attempt, together with what was told of that attempt while the
// approval of the older one stood. The approval goes, also where a newer payload outranks f.
func (t toldBefore) begin(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	next, kind, noEvent = Next(last, f.over(t.earlier))
	if noEvent != "" || t.newer == nil {
		return next, kind, noEvent
	}
	return t.follow(last, next, f)
}

// follow applies the newer payload to next, which f has made of last: both make one event, which f caused.
func (t toldBefore) follow(last *Revision, next Revision, f Fact) (Revision, event.Kind, string) {
	newer, noEvent := heard(&next, *t.newer)
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

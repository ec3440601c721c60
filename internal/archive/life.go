package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/event"
)

const (
	// mostSteps bounds the payloads and the revisions of a life, each.
	mostSteps = 500
	// mostLooks bounds how often dispositions are read for one life, and fateEntries how many each time.
	mostLooks   = 20
	fateEntries = 20_000
	// fateSlack is how much earlier than the receipt of a payload its disposition is looked for: clocks.
	fateSlack = 5 * time.Second
	// fateSpan is how long after its receipt.
	fateSpan = 10 * time.Minute
)

// Life is all that is stored of a verification, in the order in which it happened.
type Life struct {
	Key     kycbridge.Key
	Last    *event.Data        // nil: nothing has been published
	Session *kycbridge.Session // nil: it is not being asked about
	Steps   []LifeStep
	Cut     bool // there is more than is shown here
}

// LifeStep is a payload that came, or a revision that was published.
type LifeStep struct {
	At       time.Time
	Payload  *LifePayload
	Revision *LifeRevision
}

// LifePayload is a payload and what became of it.
type LifePayload struct {
	Kept     kycbridge.Kept
	Entry    Entry
	Revision int    // that it led to; 0: none
	NoEvent  string // why there is none; "" where that is not known
	Pending  bool   // the Normalizer has not come to it yet
}

// LifeRevision is a revision and what it changed.
type LifeRevision struct {
	Data        *event.Data
	Differences []event.Difference // from the revision before
}

// Life reads everything about a verification. It returns ErrNotFound if nothing came of it, also where its
// session is asked about.
func (a *Archive) Life(ctx context.Context, k kycbridge.Key) (Life, error) {
	l := &Life{Key: k}
	revisions := map[string]int{} // by the payload that led to them
	if err := a.addRevisions(ctx, l, revisions); err != nil {
		return *l, err
	}
	if err := a.addPayloads(ctx, l, revisions); err != nil {
		return *l, err
	}
	slices.SortStableFunc(l.Steps, func(x, y LifeStep) int { return x.At.Compare(y.At) })
	var err error
	if l.Session, err = a.Sessions.Session(ctx, k); err == nil && len(l.Steps) == 0 {
		err = fmt.Errorf("verification %s: %w", k.VerificationID, kycbridge.ErrNotFound)
	}
	return *l, err
}

func (a *Archive) addRevisions(ctx context.Context, l *Life, revisions map[string]int) error {
	n := 0
	return a.Events.Revisions(ctx, l.Key, func(s kycbridge.State) error {
		if n++; n > mostSteps {
			l.Cut = true
			return kycbridge.ErrEnough
		}
		data := s.Data.Published()
		step := LifeStep{At: s.At, Revision: &LifeRevision{data, event.Differences(l.Last, data)}}
		if data.Provider.Event.Via != event.ViaReplay {
			revisions[data.Payload.ID] = data.Revision
		}
		l.Last, l.Steps = data, append(l.Steps, step)
		return nil
	})
}

func (a *Archive) addPayloads(ctx context.Context, l *Life, revisions map[string]int) error {
	q := kycbridge.KeptQuery{
		Provider:       l.Key.Provider,
		Account:        l.Key.Account,
		VerificationID: l.Key.VerificationID,
		HeadersOnly:    true,
	}
	var all []*LifePayload
	err := a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		if len(all) == mostSteps {
			l.Cut = true
			return kycbridge.ErrEnough
		}
		all = append(all, &LifePayload{Kept: k, Entry: a.entryOf(k), Revision: revisions[k.ID]})
		return nil
	})
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return err
	}
	if err := a.addFates(ctx, all); err != nil {
		return err
	}
	quarantined, err := a.quarantinedOf(ctx, l.Key)
	all = append(all, quarantined...)
	for _, p := range all {
		l.Steps = append(l.Steps, LifeStep{At: p.Kept.ReceivedAt, Payload: p})
	}
	return err
}

// quarantinedOf are the payloads in quarantine that name the verification and are not in the log too.
func (a *Archive) quarantinedOf(ctx context.Context, k kycbridge.Key) (all []*LifePayload, err error) {
	places, err := a.Index.QuarantinedOf(ctx, k.VerificationID)
	if err != nil {
		return nil, err
	}
	for _, seq := range places[max(0, len(places)-mostSteps):] {
		p, err := a.Shelves.KeptAt(ctx, kycbridge.ShelfQuarantine, seq)
		if errors.Is(err, kycbridge.ErrNotFound) {
			continue // it has gone by its age, or was admitted
		}
		if err != nil {
			return nil, err
		}
		if p.VerificationID == k.VerificationID && p.Reason != kycbridge.QuarantineUnmapped {
			all = append(all, &LifePayload{Kept: p, Entry: a.entryOf(p)})
		}
	}
	return all, nil
}

// addFates adds why payloads led to no event. What was recorded much later than they came, as when a bus
// was away for long, or stands among very many records, is left open.
func (a *Archive) addFates(ctx context.Context, all []*LifePayload) error {
	open := map[uint64]*LifePayload{}
	for _, p := range all {
		if p.Revision == 0 {
			open[p.Kept.Seq] = p
		}
	}
	if len(open) == 0 {
		return nil
	}
	position, err := a.Ledger.Position(ctx)
	if err != nil {
		return err
	}
	for look := 0; look < mostLooks && len(open) > 0; look++ {
		first := slices.MinFunc(
			sorted(open),
			func(x, y *LifePayload) int { return x.Kept.ReceivedAt.Compare(y.Kept.ReceivedAt) },
		)
		if first.Pending = first.Kept.Seq > position.Floor; first.Pending {
			delete(open, first.Kept.Seq)
			continue
		}
		if err := a.fatesFrom(ctx, first.Kept.ReceivedAt, open); err != nil {
			return err
		}
		delete(open, first.Kept.Seq)
	}
	return nil
}

// fatesFrom reads what was recorded around a moment of the payloads that are open, and takes those it met out.
func (a *Archive) fatesFrom(ctx context.Context, at time.Time, open map[uint64]*LifePayload) error {
	n := 0
	err := a.Ledger.Dispositions(ctx, at.Add(-fateSlack), func(d kycbridge.Disposition) error {
		if p, ok := open[d.Seq]; ok && d.Of(p.Kept.ID, p.Kept.ReceivedAt) {
			p.Revision, p.NoEvent = d.Revision, d.Why
			delete(open, d.Seq)
		}
		if n++; n >= fateEntries || len(open) == 0 || d.At.After(at.Add(fateSpan)) {
			return kycbridge.ErrEnough
		}
		return nil
	})
	if errors.Is(err, kycbridge.ErrEnough) {
		return nil
	}
	return err
}

func sorted(open map[uint64]*LifePayload) []*LifePayload {
	all := make([]*LifePayload, 0, len(open))
	for _, p := range open {
		all = append(all, p)
	}
	slices.SortFunc(all, func(x, y *LifePayload) int { return cmp.Compare(x.Kept.Seq, y.Kept.Seq) })
	return all
}

// View is a payload as it may be shown, without what became of it; see Show.
func (a *Archive) View(k kycbridge.Kept, reveal bool) Shown {
	s := Shown{
		Entry: a.entryOf(k), ContentType: k.ContentType, Digest: k.Digest, Admitted: k.Placement,
		Reference: discreet(k.Reference, reveal || event.HarmlessID(k.Reference)),
		Part:      k.Part, Trigger: k.Trigger, Headers: k.Header, Errors: k.Errors, Masked: !reveal,
	}
	if reveal {
		s.Event = k.Event
	}
	s.Body, s.Text = a.body(k, reveal)
	return s
}

// Became tells what became of a payload of the log, with a bounded reading.
func (a *Archive) Became(ctx context.Context, k kycbridge.Kept) (LifePayload, error) {
	p := &LifePayload{Kept: k, Entry: a.entryOf(k)}
	if k.Shelf != kycbridge.ShelfPayloads {
		return *p, nil
	}
	return *p, a.addFates(ctx, []*LifePayload{p})
}

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
	// maxSteps limits the payloads and the revisions of a history, each.
	maxSteps = 500
	// maxReads limits how often dispositions are read for one history, and maxOutcomeEntries how many each
	// time.
	maxReads          = 20
	maxOutcomeEntries = 20_000
	// outcomeSlack is how long before the receipt of a payload its disposition may be recorded, because clocks differ.
	outcomeSlack = 5 * time.Second
	// outcomeSpan is how long after the receipt its disposition is searched.
	outcomeSpan = 10 * time.Minute
)

// History is everything that is stored of a verification, in chronological order.
type History struct {
	Key     kycbridge.Key
	Last    *event.Data        // nil: nothing was published
	Session *kycbridge.Session // nil: it is not polled
	Steps   []HistoryStep
	Cut     bool // the history is longer than Steps
}

// HistoryStep is a received payload, or a published revision.
type HistoryStep struct {
	At       time.Time
	Payload  *HistoryPayload
	Revision *HistoryRevision
}

// HistoryPayload is a payload and its result.
type HistoryPayload struct {
	Kept     kycbridge.Kept
	Entry    Entry
	Revision int    // the revision that it led to; 0: none
	NoEvent  string // why it led to no revision; "" if not known
	Pending  bool   // not processed yet
}

// HistoryRevision is a revision and its changes.
type HistoryRevision struct {
	Data        *event.Data
	Differences []event.Difference // from the previous revision
}

// History reads everything about a verification. It returns ErrNotFound if it has neither payloads nor
// events, even if its session is polled.
func (a *Archive) History(ctx context.Context, k kycbridge.Key) (History, error) {
	l := &History{Key: k}
	revisions := map[string]int{} // by the payload that caused them
	if err := a.addRevisions(ctx, l, revisions); err != nil {
		return *l, err
	}
	if err := a.addPayloads(ctx, l, revisions); err != nil {
		return *l, err
	}
	slices.SortStableFunc(l.Steps, func(x, y HistoryStep) int { return x.At.Compare(y.At) })
	var err error
	if l.Session, err = a.Sessions.Session(ctx, k); err == nil && len(l.Steps) == 0 {
		err = fmt.Errorf("verification %s: %w", k.VerificationID, kycbridge.ErrNotFound)
	}
	return *l, err
}

func (a *Archive) addRevisions(ctx context.Context, l *History, revisions map[string]int) error {
	n := 0
	return a.Events.Revisions(ctx, l.Key, func(s kycbridge.State) error {
		if n++; n > maxSteps {
			l.Cut = true
			return kycbridge.ErrEnough
		}
		data := s.Data.Published()
		step := HistoryStep{At: s.At, Revision: &HistoryRevision{data, event.Differences(l.Last, data)}}
		if data.Provider.Event.Via != event.ViaReplay {
			revisions[data.Payload.ID] = data.Revision
		}
		l.Last, l.Steps = data, append(l.Steps, step)
		return nil
	})
}

func (a *Archive) addPayloads(ctx context.Context, l *History, revisions map[string]int) error {
	q := kycbridge.KeptQuery{
		Provider:       l.Key.Provider,
		Account:        l.Key.Account,
		VerificationID: l.Key.VerificationID,
		HeadersOnly:    true,
	}
	var all []*HistoryPayload
	err := a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		if len(all) == maxSteps {
			l.Cut = true
			return kycbridge.ErrEnough
		}
		all = append(all, &HistoryPayload{Kept: k, Entry: a.entryOf(k), Revision: revisions[k.ID]})
		return nil
	})
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return err
	}
	if err := a.addOutcomes(ctx, all); err != nil {
		return err
	}
	quarantined, err := a.quarantinedOf(ctx, l.Key)
	all = append(all, quarantined...)
	for _, p := range all {
		l.Steps = append(l.Steps, HistoryStep{At: p.Kept.ReceivedAt, Payload: p})
	}
	return err
}

// quarantinedOf returns the payloads in quarantine that name the verification and are not also in the log.
func (a *Archive) quarantinedOf(ctx context.Context, k kycbridge.Key) (all []*HistoryPayload, err error) {
	places, err := a.Index.QuarantinedOf(ctx, k.VerificationID)
	if err != nil {
		return nil, err
	}
	for _, seq := range places[max(0, len(places)-maxSteps):] {
		p, err := a.Shelves.KeptAt(ctx, kycbridge.ShelfQuarantine, seq)
		if errors.Is(err, kycbridge.ErrNotFound) {
			continue // it has expired, or was admitted
		}
		if err != nil {
			return nil, err
		}
		if p.VerificationID == k.VerificationID && p.Reason != kycbridge.QuarantineUnmapped {
			all = append(all, &HistoryPayload{Kept: p, Entry: a.entryOf(p)})
		}
	}
	return all, nil
}

// addOutcomes adds why payloads led to no event. A disposition that was recorded much later than its
// payload, for example after a long outage of the bus, or among very many records, is omitted.
func (a *Archive) addOutcomes(ctx context.Context, all []*HistoryPayload) error {
	open := map[uint64]*HistoryPayload{}
	for _, p := range all {
		if p.Revision == 0 {
			open[p.Kept.Seq] = p
		}
	}
	if len(open) == 0 {
		return nil
	}
	position, err := a.DispositionLog.Position(ctx)
	if err != nil {
		return err
	}
	for look := 0; look < maxReads && len(open) > 0; look++ {
		first := slices.MinFunc(
			sorted(open),
			func(x, y *HistoryPayload) int { return x.Kept.ReceivedAt.Compare(y.Kept.ReceivedAt) },
		)
		if err := a.readOutcomes(ctx, first.Kept.ReceivedAt, open); err != nil {
			return err
		}
		if _, isOpen := open[first.Kept.Seq]; isOpen {
			first.Pending = first.Kept.Seq > position.Floor
			delete(open, first.Kept.Seq)
		}
	}
	return nil
}

// readOutcomes reads the dispositions around a time for the payloads in open, and removes those it finds.
func (a *Archive) readOutcomes(ctx context.Context, at time.Time, open map[uint64]*HistoryPayload) error {
	n := 0
	err := a.DispositionLog.Dispositions(ctx, at.Add(-outcomeSlack), func(d kycbridge.Disposition) error {
		if p, ok := open[d.Seq]; ok && d.Of(p.Kept.ID, p.Kept.ReceivedAt) {
			p.Revision, p.NoEvent = d.Revision, d.Why
			delete(open, d.Seq)
		}
		if n++; n >= maxOutcomeEntries || len(open) == 0 || d.At.After(at.Add(outcomeSpan)) {
			return kycbridge.ErrEnough
		}
		return nil
	})
	if errors.Is(err, kycbridge.ErrEnough) {
		return nil
	}
	return err
}

func sorted(open map[uint64]*HistoryPayload) []*HistoryPayload {
	all := make([]*HistoryPayload, 0, len(open))
	for _, p := range open {
		all = append(all, p)
	}
	slices.SortFunc(all, func(x, y *HistoryPayload) int { return cmp.Compare(x.Kept.Seq, y.Kept.Seq) })
	return all
}

// View is a payload in its visible form, without its disposition; see Show.
func (a *Archive) View(k kycbridge.Kept, reveal bool) Shown {
	s := Shown{
		Entry: a.entryOf(k), ContentType: mediaType(k.ContentType), Digest: k.Digest, Admitted: k.Placement,
		Reference: maskUnless(k.Reference, reveal || event.HarmlessID(k.Reference)),
		Part:      k.Part, Trigger: k.Trigger, Headers: headers(k), Errors: places(k.Errors, k.Provider), Masked: !reveal,
	}
	if reveal {
		secrets := a.secrets(k)
		s.Event, s.Errors = k.Event, k.Errors
		s.ContentType, s.Headers = withoutSecrets(k.ContentType, secrets), revealed(k.Header, secrets)
	}
	s.Body, s.Text = a.body(k, reveal)
	return s
}

// OutcomeOf returns the result of a payload of the log, from a limited number of records.
func (a *Archive) OutcomeOf(ctx context.Context, k kycbridge.Kept) (HistoryPayload, error) {
	p := &HistoryPayload{Kept: k, Entry: a.entryOf(k)}
	if k.Shelf != kycbridge.ShelfPayloads {
		return *p, nil
	}
	return *p, a.addOutcomes(ctx, []*HistoryPayload{p})
}

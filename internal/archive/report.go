package archive

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Report accounts for every stored payload.
type Report struct {
	Rows    []Row  `json:"rows"`
	Total   Row    `json:"total"`
	Lost    []Loss `json:"lost"`     // the first ones
	LostAll int    `json:"lost_all"` // the total number
	New     []New  `json:"new_values"`

	Missing    []Missing `json:"missing"`     // the first of the messages that are missing from the streams, or altered
	MissingAll int       `json:"missing_all"` // the total number
	Inspected  bool      `json:"inspected"`   // every message was read; otherwise only the servers' counts were checked

	LostRecords []kycbridge.LostRecords `json:"lost_records,omitempty"` // nothing is erased or imported until accepted

	Log     *LogAudit `json:"log,omitempty"` // of the tamper-evident log, with Inspected
	Holds   int       `json:"holds"`         // verifications that are held now
	Removed int       `json:"removed"`       // payloads that were removed because of their age, until now
	Aging   []Aging   `json:"aging"`         // what is older than its retention now
}

// Row counts the payloads of one account on one day, by when they were received (UTC).
type Row struct {
	Day         string         `json:"day"`
	Provider    string         `json:"provider"`
	Account     string         `json:"account"`
	Received    int            `json:"received"` // accepted, quarantined on receipt, and refused
	Accepted    int            `json:"accepted"`
	WithEvent   int            `json:"with_event"`  // led to an event
	NoEvent     map[string]int `json:"no_event"`    // led to none, by reason
	Pending     int            `json:"pending"`     // not processed yet
	Quarantined map[string]int `json:"quarantined"` // by reason; unmapped ones count as accepted too
	Refused     int            `json:"refused"`
	Events      int            `json:"events"`  // published that day
	Overdue     int            `json:"overdue"` // open sessions whose deadline has passed
	Lost        int            `json:"lost"`
}

// Agrees reports whether every accepted payload of the row is accounted for.
func (r Row) Agrees() bool {
	n := r.WithEvent + r.Pending + r.Lost
	for _, c := range r.NoEvent {
		n += c
	}
	return n == r.Accepted
}

// Loss is a payload with an unknown disposition.
type Loss struct {
	Entry
	Why      string `json:"why"`
	Revision int    `json:"revision,omitempty"` // of the missing event
}

// Reasons of a loss.
const (
	lossUnrecorded = "neither an event nor a reason for none is recorded"
	lossEvent      = "the event that it led to is not in the event stream"
)

// maxLosses limits the list of losses.
const maxLosses = 1000

// Sound reports whether nothing is missing.
func (r Report) Sound() bool {
	return r.LostAll == 0 && r.MissingAll == 0 && len(r.LostRecords) == 0 && r.Total.Agrees() &&
		(r.Log == nil || r.Log.FaultsAll == 0)
}

// New is a value that the schema did not know when payloads were processed.
type New struct {
	Provider string `json:"provider"`
	kycbridge.NewValue
	Payloads  int    `json:"payloads"`   // accepted payloads that contain it
	FirstSeen string `json:"first_seen"` // receipt of the first and the last payload that contain it
	LastSeen  string `json:"last_seen"`

	first, last time.Time
}

// rowKey identifies a row.
type rowKey struct{ day, provider, account string }

// reportBuilder builds a report.
type reportBuilder struct {
	*Archive
	rows   map[rowKey]*Row
	report Report

	whole      bool // the filter excludes nothing
	inspection *inspection
	position   kycbridge.Position
	outcomes   *outcomes
	seed       maphash.Seed
	events     map[uint64]struct{} // hashes of the ids of all events: 16 bytes each, for a million of them
}

// Account counts everything that f selects. It ignores status, limit and sequence of f.
func (a *Archive) Account(ctx context.Context, f Filter, progress func(done int)) (Report, error) {
	f.Status, f.Limit, f.From, f.Reason = "", 0, 0, ""
	if err := f.Check(); err != nil {
		return Report{}, err
	}
	c := &reportBuilder{Archive: a, whole: f == Filter{},
		report: Report{Rows: []Row{}, Lost: []Loss{}, New: []New{}, Missing: []Missing{}, Aging: []Aging{}},
		rows:   map[rowKey]*Row{},
		seed:   maphash.MakeSeed(), events: map[uint64]struct{}{}}
	var err error
	if c.inspection, err = a.inspect(ctx); err != nil {
		return Report{}, err
	}
	// The position is read before the dispositions: payloads processed in between count as pending, never as lost.
	if c.position, err = a.DispositionLog.Position(ctx); err != nil {
		return Report{}, err
	}
	for _, step := range []func(context.Context, Filter) error{c.readOutcomes, c.readEvents, c.readWatches} {
		if err := step(ctx, f); err != nil {
			return Report{}, err
		}
	}
	done := 0
	err = a.find(ctx, f, !c.whole, func(k kycbridge.Kept) error {
		c.count(k)
		if c.whole {
			c.inspection.kept(k)
		}
		if done++; progress != nil {
			progress(done)
		}
		return nil
	})
	if err == nil {
		err = c.inspect(ctx)
	}
	if err == nil && c.whole && a.Ledger != nil {
		c.report.Log, err = a.Audit(ctx, a.Witness)
	}
	if err == nil {
		err = c.readAging(ctx)
	}
	if err == nil {
		c.report.LostRecords, err = a.Records.LostRecords(ctx)
	}
	c.finish()
	return c.report, err
}

// inspect adds what is missing from the streams.
func (c *reportBuilder) inspect(ctx context.Context) error {
	end := c.inspection.checkGaps
	if c.whole {
		end = func(ctx context.Context) error { return c.inspection.end(ctx, c.outcomes) }
	}
	if err := end(ctx); err != nil {
		return err
	}
	found := c.inspection.found
	c.report.Inspected, c.report.MissingAll = c.whole, len(found)
	c.report.Missing = append(c.report.Missing, found[:min(len(found), maxMissing)]...)
	return nil
}

func (c *reportBuilder) readOutcomes(ctx context.Context, _ Filter) error {
	c.outcomes = newOutcomes(c.position.Last)
	return c.DispositionLog.Dispositions(ctx, time.Time{}, func(d kycbridge.Disposition) error {
		c.outcomes.add(d)
		return nil
	})
}

func (c *reportBuilder) readEvents(ctx context.Context, f Filter) error {
	return c.Events.Published(ctx, f.Provider, f.Account, time.Time{}, func(e kycbridge.EventMeta) error {
		c.events[maphash.String(c.seed, e.ID)] = struct{}{}
		if c.whole {
			c.inspection.event(e)
		}
		if f.Verification == "" || f.Verification == e.VerificationID {
			c.row(e.At, e.Provider, e.Account).Events++
		}
		return nil
	})
}

func (c *reportBuilder) readWatches(ctx context.Context, f Filter) error {
	now := c.Now()
	return c.Watches.Watches(ctx, func(w kycbridge.Watch, _ bool) error {
		k := w.Key()
		if (f.Provider == "" || f.Provider == k.Provider) && (f.Account == "" || f.Account == k.Account) &&
			!w.Deadline.IsZero() && w.Deadline.Before(now) {
			c.row(w.Since, k.Provider, k.Account).Overdue++
		}
		return nil
	})
}

// count accounts for one stored payload.
func (c *reportBuilder) count(k kycbridge.Kept) {
	row := c.row(k.ReceivedAt, k.Provider, k.Account)
	switch k.Shelf {
	case kycbridge.ShelfRefused:
		row.Received++
		row.Refused++
	case kycbridge.ShelfQuarantine:
		row.Quarantined[k.Reason]++
		if k.Reason != kycbridge.QuarantineUnmapped {
			row.Received++
		}
	default:
		row.Received++
		row.Accepted++
		c.accepted(row, k)
	}
}

// accepted looks up the result of a payload of the log.
func (c *reportBuilder) accepted(row *Row, k kycbridge.Kept) {
	what := c.outcomes.of(k)
	c.outcomes.newValues.count(k, what.newValues)
	revision := what.outcome.revision()
	switch {
	case revision > 0:
		id := event.ID(k.VerificationID, revision)
		if _, there := c.events[maphash.String(c.seed, id)]; there {
			row.WithEvent++
			return
		}
		if c.inspection.eventAged(what) {
			row.WithEvent++
			return
		}
		if what.again != noOutcome && unix(c.Restored()) <= what.recorded {
			row.NoEvent[c.outcomes.words[what.again]]++ // processed again without a new result
			return
		}
		c.addLoss(row, k, lossEvent, revision)
	case what.outcome != noOutcome:
		row.NoEvent[c.outcomes.words[what.outcome]]++
	case k.Seq > c.position.Floor:
		row.Pending++
	case c.inspection.recordAged(k):
		row.NoEvent[recordExpired]++
	default:
		c.addLoss(row, k, lossUnrecorded, 0)
	}
}

// readAging adds the holds, and what the retention has removed and will remove.
func (c *reportBuilder) readAging(ctx context.Context) error {
	holds, err := c.Holds.Holds(ctx)
	if err != nil {
		return err
	}
	c.report.Holds = len(activeHolds(holds, c.Now()))
	for _, shelf := range classes {
		n, err := c.Ageing.Expired(ctx, shelf)
		if err != nil {
			return err
		}
		c.report.Removed += n
	}
	all, err := c.Retain(ctx, true, false)
	for _, a := range all {
		if a.Due+a.Held+a.Unread > 0 {
			c.report.Aging = append(c.report.Aging, a)
		}
	}
	return err
}

func (c *reportBuilder) addLoss(row *Row, k kycbridge.Kept, why string, revision int) {
	row.Lost++
	c.report.LostAll++
	if len(c.report.Lost) < maxLosses {
		c.report.Lost = append(c.report.Lost, Loss{c.entryOf(k), why, revision})
	}
}

func (c *reportBuilder) row(at time.Time, provider, account string) *Row {
	key := rowKey{at.UTC().Format(time.DateOnly), provider, account}
	row, ok := c.rows[key]
	if !ok {
		row = &Row{Day: key.day, Provider: provider, Account: account, NoEvent: map[string]int{},
			Quarantined: map[string]int{}}
		c.rows[key] = row
	}
	return row
}

// finish sorts and sums the rows.
func (c *reportBuilder) finish() {
	total := Row{NoEvent: map[string]int{}, Quarantined: map[string]int{}}
	for _, row := range c.rows {
		c.report.Rows = append(c.report.Rows, *row)
		total.Received += row.Received
		total.Accepted += row.Accepted
		total.WithEvent += row.WithEvent
		total.Pending += row.Pending
		total.Refused += row.Refused
		total.Events += row.Events
		total.Overdue += row.Overdue
		total.Lost += row.Lost
		for why, n := range maps.All(row.NoEvent) {
			total.NoEvent[why] += n
		}
		for reason, n := range maps.All(row.Quarantined) {
			total.Quarantined[reason] += n
		}
	}
	slices.SortFunc(c.report.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account))
	})
	c.report.Total = total
	c.report.New = c.outcomes.newValues.sorted()
}

// PassedOver are the payloads before the Normalizer's position without a disposition: the first of them
// and their number.
func (r Report) PassedOver() (from uint64, n int) {
	for _, l := range r.Lost {
		if l.Why == lossUnrecorded {
			if n == 0 || l.Seq < from {
				from = l.Seq
			}
			n++
		}
	}
	return from, n
}

// Verdict summarizes the report in one sentence.
func (r Report) Verdict() string {
	switch {
	case r.Sound():
		if r.Total.Accepted == 1 {
			return "Nothing is lost: 1 payload was accepted, and what became of it is known."
		}
		return fmt.Sprintf("Nothing is lost: %d payloads were accepted, and what became of each is known.", r.Total.Accepted)
	case r.MissingAll == 0 && r.LostAll == 0 && len(r.LostRecords) > 0:
		return "Holds, or records of who was erased, are lost: nothing is erased or imported until the loss is accepted."
	case r.MissingAll == 0 && r.LostAll == 0 && r.Log != nil && r.Log.lacksKey():
		return "The tamper-evident log cannot be checked: states of it are signed with a key that is not in " +
			"integrity.signing_key."
	case r.MissingAll == 0 && r.LostAll == 0 && r.Log != nil && r.Log.FaultsAll > 0:
		if r.Log.FaultsAll == 1 {
			return "The tamper-evident log and the store differ in one place: stored messages were altered."
		}
		return fmt.Sprintf("The tamper-evident log and the store differ in %d places: stored messages were altered.",
			r.Log.FaultsAll)
	case r.MissingAll == 0:
		return fmt.Sprintf("%d of %d accepted payloads are not accounted for.", r.LostAll, r.Total.Accepted)
	case r.LostAll == 0:
		return fmt.Sprintf("The store is damaged: %d stored messages are missing or altered; what became of the %d "+
			"payloads that are there is known.", r.MissingAll, r.Total.Accepted)
	}
	return fmt.Sprintf("The store is damaged: %d stored messages are missing or altered, and %d of the %d payloads "+
		"that are there are not accounted for.", r.MissingAll, r.LostAll, r.Total.Accepted)
}

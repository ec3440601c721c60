package archive

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/event"
)

// DefaultWorkers is how many verifications a replay processes concurrently. Most of the time they wait for a flush,
// and those that wait together share it.
const DefaultWorkers = 64

// ReplayOptions configure a replay.
type ReplayOptions struct {
	Filter
	DryRun bool
	// To, if set, receives every event of the recomputed histories instead of the event stream.
	To        func(ctx context.Context, e *event.Event) error
	PerSecond float64 // payloads; 0: no limit
	Workers   int     // 0: DefaultWorkers
	// Progress receives the number of examined payloads, and the sequence up to which all are done.
	Progress func(done int, through uint64)
}

// Replayed is the result, actual or predicted, for one verification or one stored payload.
type Replayed struct {
	Provider       string `json:"provider"`
	Account        string `json:"account"`
	VerificationID string `json:"verification_id,omitempty"`
	PayloadID      string `json:"payload_id,omitempty"` // of a quarantined or refused one
	// changed, blocked, admitted, still quarantined, still refused
	Result      string             `json:"result"`
	Reason      string             `json:"reason,omitempty"`
	Revision    int                `json:"revision,omitempty"` // published
	Differences []event.Difference `json:"differences,omitempty"`
}

// Results of a replay.
const (
	ResultChanged          = "changed"
	ResultUnchanged        = "unchanged"
	ResultBlocked          = "blocked" // a payload no longer fits the current schema or mapping
	ResultAdmitted         = "admitted"
	ResultDuplicate        = "stored before" // the provider has sent it again meanwhile, and it was accepted
	ResultStillQuarantined = "still quarantined"
	ResultStillRefused     = "still refused"
	ResultSent             = "sent"
	ResultWouldSend        = "would be sent" // by a dry run
)

// still is the result of a payload that stays where it is.
func still(s kycbridge.Shelf) string {
	if s == kycbridge.ShelfRefused {
		return ResultStillRefused
	}
	return ResultStillQuarantined
}

// Summary counts the results of a replay.
type Summary struct {
	Payloads      int            `json:"payloads"`
	Verifications int            `json:"verifications"`
	Results       map[string]int `json:"results"`
	Events        int            `json:"events"`
	Through       uint64         `json:"through"` // sequence up to which all is done
}

// Replay processes the payloads that o selects. Quarantined ones are validated again and refused ones
// authenticated again, with the current secrets, and move to the payload log if they pass; for accepted
// ones the verifications are recomputed, and a revision is published if something differs. each receives
// every result except unchanged ones. A replay may be interrupted and repeated at any time.
func (a *Archive) Replay(ctx context.Context, o ReplayOptions, each func(Replayed) error) (Summary, error) {
	if o.Status == "" && o.Reason != "" {
		o.Status = StatusQuarantined
	}
	if err := o.Check(); err != nil {
		return Summary{}, err
	}
	r := &replay{Archive: a, o: o, each: each, sum: Summary{Results: map[string]int{}}, held: map[uint64]bool{},
		pace: rate.NewLimiter(rate.Inf, 1)}
	if o.PerSecond > 0 {
		r.pace = rate.NewLimiter(rate.Limit(o.PerSecond), max(1, int(o.PerSecond/10)))
	}
	var err error
	switch o.Status {
	case StatusQuarantined, StatusRefused:
		err = r.readmit(ctx)
	default:
		err = r.recompute(ctx)
	}
	return r.sum, err
}

// replay is one run.
type replay struct {
	*Archive
	o    ReplayOptions
	pace *rate.Limiter

	mu         sync.Mutex
	each       func(Replayed) error
	sum        Summary
	held       map[uint64]bool // sequences whose verification is in progress
	newestSeen uint64          // the sequence of the newest examined payload
	notMapped  map[string]bool // unmapped, once it was read
}

// report counts a result and passes it on.
func (r *replay) report(out Replayed, events int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Results[out.Result]++
	r.sum.Events += events
	if out.Result == ResultUnchanged {
		return nil
	}
	return r.each(out)
}

// seen counts an examined payload. A held one must be released with done.
func (r *replay) seen(seq uint64, held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Payloads++
	r.newestSeen = seq
	if held {
		r.held[seq] = true
	}
	r.progress()
}

// done releases a held payload.
func (r *replay) done(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, seq)
	r.progress()
}

// progress reports the sequence up to which everything is done: before the first held one.
func (r *replay) progress() {
	r.sum.Through = r.newestSeen
	for seq := range r.held {
		r.sum.Through = min(r.sum.Through, seq-1)
	}
	if r.o.Progress != nil {
		r.o.Progress(r.sum.Payloads, r.sum.Through)
	}
}

// task is a verification to be recomputed, and the payload that selected it.
type task struct {
	key kycbridge.Key
	seq uint64
}

// recompute recomputes every verification with a selected payload.
func (r *replay) recompute(ctx context.Context) error {
	unmapped, err := r.unmapped(ctx)
	if err != nil {
		return err
	}
	replayer := *r.Replayer
	replayer.Unmapped = func(id string) bool { return unmapped[id] }
	position, err := r.DispositionLog.Position(ctx)
	if err != nil {
		return err
	}
	replayer.Base, replayer.Whole = r.base, position.Whole
	workers := r.o.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan task)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for t := range tasks {
				if err := r.recomputeOne(ctx, &replayer, t.key); err != nil {
					cancel(err)
					return // the held payloads are not released, because they are not done
				}
				r.done(t.seq)
			}
		})
	}
	err = r.verifications(ctx, func(t task) error {
		select {
		case tasks <- t:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(tasks)
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// verifications returns every verification with a selected payload, once each.
func (r *replay) verifications(ctx context.Context, each func(task) error) error {
	f := r.o.Filter
	if f.Status == "" {
		f.Status = StatusAccepted
	}
	seed := maphash.MakeSeed()
	known := map[uint64]struct{}{} // hashes, to save memory for a million of them
	return r.find(ctx, f, true, func(k kycbridge.Kept) error {
		if err := r.pace.Wait(ctx); err != nil {
			return err
		}
		hash := maphash.String(seed, k.Provider+"."+k.Account+"."+k.VerificationID)
		if _, twice := known[hash]; twice {
			r.seen(k.Seq, false)
			return nil
		}
		if f.Limit > 0 && len(known) >= f.Limit {
			return kycbridge.ErrEnough
		}
		known[hash] = struct{}{}
		r.seen(k.Seq, true)
		return each(task{kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}, k.Seq})
	})
}

// recomputeOne recomputes a verification and handles the result as configured.
func (r *replay) recomputeOne(ctx context.Context, replayer *kycbridge.Replayer, k kycbridge.Key) error {
	out := Replayed{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Result: ResultUnchanged}
	if _, err := r.Accounts.Find(k.Provider, k.Account); err != nil {
		out.Result, out.Reason = ResultBlocked, "account is not configured here"
		return r.report(out, 0)
	}
	var again kycbridge.Recomputed
	var e *event.Event
	var err error
	if r.o.DryRun || r.o.To != nil {
		again, err = replayer.Recompute(ctx, k)
	} else {
		again, e, err = replayer.Replay(ctx, k)
	}
	if err != nil {
		return fmt.Errorf("verification %s: %w", k.VerificationID, err)
	}
	r.mu.Lock()
	r.sum.Verifications++
	r.mu.Unlock()
	events := 0
	switch {
	case again.Blocked != "":
		out.Result, out.PayloadID, out.Reason = ResultBlocked, again.Blocked, again.Why
	case r.o.To != nil:
		out.Result = ResultWouldSend
		if events = len(again.Events); !r.o.DryRun {
			out.Result = ResultSent
			for _, e := range again.Events {
				if err := r.o.To(ctx, e); err != nil {
					return fmt.Errorf("send event: %w", err)
				}
			}
		}
	case again.Differs():
		out.Result, out.Differences = ResultChanged, again.Differences()
		if e != nil {
			out.Revision, events = e.Data.Revision, 1
		}
	}
	return r.report(out, events)
}

// unmapped are the ids of payloads that were quarantined because they could not be mapped: the published
// histories are not based on them.
func (r *replay) unmapped(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	q := kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine, Provider: r.o.Provider, Account: r.o.Account,
		Reason: kycbridge.QuarantineUnmapped, HeadersOnly: true}
	err := r.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		out[k.ID] = true
		return nil
	})
	return out, err
}

// base is the last revision that is based on an expired payload: the payload caused the revision, or it contains
// the verdict that this revision is the first to state.
func (r *replay) base(ctx context.Context, k kycbridge.Key, kept []kycbridge.Payload) (*kycbridge.Revision, error) {
	stored := make(map[string]bool, len(kept))
	for _, p := range kept {
		stored[p.ID] = true
	}
	var base *kycbridge.Revision
	err := r.Events.Revisions(ctx, k, func(s kycbridge.State) error {
		verdict := s.Data.VerdictPayload()
		isGone := verdict != "" && !stored[verdict] && (base == nil || base.VerdictPayload() != verdict)
		if !stored[s.Data.Payload.ID] || isGone {
			base = s.Data
		}
		return nil
	})
	return base, err
}

// ToSubject sends events to another subject.
func (a *Archive) ToSubject(subject string) func(context.Context, *event.Event) error {
	return func(ctx context.Context, e *event.Event) error {
		body, err := a.Bus.Encode(e)
		if err != nil {
			return err
		}
		return a.Bus.Send(ctx, subject, body, e.ID)
	}
}

// IsSubject reports whether a target is a subject and not a file.
func IsSubject(target string) bool {
	return target != "-" && !strings.ContainsAny(target, `/\`) && !strings.HasSuffix(target, ".ndjson") &&
		!strings.HasSuffix(target, ".json")
}

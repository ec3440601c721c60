package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/handlers"
	"kycbridge/internal/archive"
)

// payloadTool serves the API of stored payloads with the archive.
type payloadTool struct{ *App }

// PayloadTool is the backend of the API of stored payloads.
func (a *App) PayloadTool() handlers.PayloadTool { return payloadTool{a} }

// Payloads handles operations on stored payloads (see handlers.PayloadTool).
func (p payloadTool) Payloads(ctx context.Context, r handlers.PayloadRequest, out io.Writer) error {
	if p.bus.Load() == nil {
		return fmt.Errorf("read stored payloads: %w: the bus has not been reached yet", kycbridge.ErrUnavailable)
	}
	operations := map[string]func(context.Context, *archive.Archive, handlers.PayloadRequest, io.Writer) error{
		handlers.PayloadsList:   p.list,
		handlers.PayloadsShow:   p.show,
		handlers.PayloadsReplay: p.replay,
		handlers.PayloadsExport: p.export,
		handlers.PayloadsImport: p.importPayloads,
		handlers.PayloadsPurge:  p.purge,
		handlers.PayloadsReport: p.report,
		handlers.PayloadsFind:   p.find,
		handlers.PayloadsAccess: p.access,

		handlers.PayloadsHold:    p.hold,
		handlers.PayloadsRelease: p.release,
		handlers.PayloadsHolds:   p.holds,
	}
	work, ok := operations[r.Operation]
	if !ok {
		return fmt.Errorf("there is no operation %s", r.Operation)
	}
	return work(ctx, p.Archive(), r, out)
}

// options decodes the options of a request and checks the filter in them.
func options[T any](r handlers.PayloadRequest, filter func(*T) *archive.Filter) (o T, err error) {
	if err := decode(r, &o); err != nil {
		return o, err
	}
	if err := filter(&o).Check(); err != nil {
		return o, handlers.InvalidRequest("", err.Error())
	}
	return o, nil
}

// decode decodes the options of a request. The schema permits numbers in forms and sizes that no field takes, such as
// 1e3 for a limit: that is a fault of the request.
func decode(r handlers.PayloadRequest, o any) error {
	err := json.Unmarshal(r.Options, o)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && strings.HasPrefix(wrong.Value, "number") {
		return handlers.InvalidRequest("/"+strings.ReplaceAll(wrong.Field, ".", "/"),
			"must be a number in digits that is not too large")
	}
	if err != nil {
		return fmt.Errorf("a valid request cannot be decoded: %w", err)
	}
	return nil
}

// filter is the argument of options for requests that consist of a filter only.
func filter(f *archive.Filter) *archive.Filter { return f }

func (p payloadTool) list(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	f, err := options(r, filter)
	if err != nil {
		return err
	}
	return a.List(ctx, f, func(e archive.Entry) error { return writeLine(out, e) })
}

func (p payloadTool) show(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	type question struct {
		Reveal bool   `json:"reveal"`
		Status string `json:"status"`
	}
	q, err := options(r, func(q *question) *archive.Filter { return &archive.Filter{Status: q.Status, ID: r.ID} })
	if err != nil {
		return err
	}
	k, err := a.Get(ctx, archive.Filter{ID: r.ID, Status: q.Status})
	if err != nil {
		return err
	}
	about := kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}
	if err := r.About(about); err != nil {
		return err
	}
	if q.Reveal {
		p.log.Warn("payload revealed", zap.String("provider", k.Provider), zap.String("account", k.Account),
			zap.String("payload_id", k.ID))
	}
	shown, err := a.Show(ctx, k, q.Reveal)
	if err != nil {
		return err
	}
	return writeLine(out, shown)
}

func (p payloadTool) replay(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	type question struct {
		Filter    archive.Filter `json:"filter"`
		DryRun    bool           `json:"dry_run"`
		To        string         `json:"to"`
		PerSecond float64        `json:"per_second"`
		Workers   int            `json:"workers"`
		Reveal    bool           `json:"reveal"`
	}
	q, err := options(r, func(q *question) *archive.Filter { return &q.Filter })
	if err != nil {
		return err
	}
	o := archive.ReplayOptions{Filter: Replayable(q.Filter), DryRun: q.DryRun, PerSecond: q.PerSecond, Workers: q.Workers}
	if q.To != "" {
		if !archive.IsSubject(q.To) {
			return handlers.InvalidRequest("/to", "must be a subject: a file is written by kycbridge payloads replay only")
		}
		if err := ForeignSubject(p.config, q.To); err != nil {
			return handlers.InvalidRequest("/to", "is "+err.Error())
		}
		if o.Status == archive.StatusQuarantined || o.Status == archive.StatusRefused {
			return handlers.InvalidRequest("/to", "takes the events of accepted payloads, and these have none")
		}
		o.To = a.ToSubject(q.To)
	}
	if q.Reveal {
		p.log.Warn("differences revealed", zap.String("verification_id", q.Filter.Verification))
	}
	sum, err := a.Replay(ctx, o, func(result archive.Replayed) error {
		if !q.Reveal {
			result = WithoutValues(result)
		}
		return writeLine(out, result)
	})
	if err != nil {
		return err
	}
	return writeLine(out, map[string]archive.Summary{"summary": sum})
}

func (p payloadTool) export(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	f, err := options(r, filter)
	if err != nil {
		return err
	}
	if f.Status == archive.StatusIgnored {
		return handlers.InvalidRequest("/status", "must be one of accepted, quarantined, refused here")
	}
	n, err := a.Export(ctx, f, out, nil)
	p.log.Warn("payloads exported as they are", zap.Int("payloads", n))
	return err
}

// importPayloads reports every error, except those of the store and a loss of records, as an invalid request; the error
// names the line.
func (p payloadTool) importPayloads(
	ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer,
) error {
	var q struct {
		DryRun bool `json:"dry_run"`
	}
	if err := decode(r, &q); err != nil {
		return err
	}
	read := 0
	done, err := a.Import(ctx, r.Body, q.DryRun, func(int) { read++ })
	switch {
	case errors.Is(err, kycbridge.ErrUnavailable), errors.Is(err, kycbridge.ErrRecordsLost), ctx.Err() != nil:
		return err
	case err != nil:
		return handlers.InvalidRequest("", err.Error())
	}
	return writeLine(out, struct {
		DryRun bool `json:"dry_run"`
		Read   int  `json:"read"`
		archive.Imported
	}{q.DryRun, read, done})
}

// purge counts what matches, and erases it only if the request confirms this.
func (p payloadTool) purge(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	type question struct {
		Verification string         `json:"verification"`
		OlderThan    string         `json:"older_than"`
		Filter       archive.Filter `json:"filter"`
		DryRun       *bool          `json:"dry_run"`
		Confirm      bool           `json:"confirm"`
	}
	q, err := options(r, func(q *question) *archive.Filter { return &q.Filter })
	if err != nil {
		return err
	}
	dryRun := !q.Confirm || q.DryRun != nil && *q.DryRun
	if q.Verification != "" {
		if err := (archive.Filter{Verification: q.Verification}).Check(); err != nil {
			return handlers.InvalidRequest("/verification", "must be the id of a verification")
		}
		erased, err := a.Purge(ctx, q.Verification, dryRun)
		if err != nil {
			return err
		}
		return writeLine(out, struct {
			DryRun bool `json:"dry_run"`
			archive.Erasure
		}{dryRun, erased})
	}
	before, ok := before(q.OlderThan, a.Now())
	switch {
	case !ok:
		return handlers.InvalidRequest("/older_than", "must be an age such as 720h or 30d, or a time that lies behind")
	case q.Filter.Status == archive.StatusIgnored:
		return handlers.InvalidRequest("/filter/status", "must be one of accepted, quarantined, refused here")
	case q.Filter.Limit != 0 || q.Filter.From != 0:
		return handlers.InvalidRequest("/filter", "takes no limit and no from here")
	}
	counts, err := a.PurgeOld(ctx, q.Filter, before, dryRun, nil)
	if err != nil {
		return err
	}
	return writeLine(out, map[string]any{"dry_run": dryRun, "before": event.Instant(before), "payloads": counts})
}

func (p payloadTool) report(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	f, err := options(r, filter)
	if err != nil {
		return err
	}
	report, err := a.Account(ctx, f, nil)
	if err != nil {
		return err
	}
	return writeLine(out, Verified(report))
}

// find searches for a verification, and returns its timeline if requested.
func (p payloadTool) find(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	var q struct {
		Q        string `json:"q"`
		Timeline bool   `json:"timeline"`
	}
	if err := decode(r, &q); err != nil {
		return err
	}
	result, err := a.Search(ctx, q.Q, q.Timeline)
	if err != nil {
		return err
	}
	if len(result.Found) == 1 {
		one := result.Found[0]
		about := kycbridge.Key{Provider: one.Provider, Account: one.Account, VerificationID: one.VerificationID}
		if err := r.About(about); err != nil {
			return err
		}
	}
	return writeLine(out, result)
}

// access passes records of the access log.
func (p payloadTool) access(ctx context.Context, _ *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	var q struct {
		Since        time.Time `json:"since"`
		Until        time.Time `json:"until"`
		By           string    `json:"by"`
		Verification string    `json:"verification"`
		Limit        int       `json:"limit"`
	}
	if err := decode(r, &q); err != nil {
		return err
	}
	query := kycbridge.AccessQuery{Since: q.Since, Until: q.Until, By: q.By, VerificationID: q.Verification,
		Limit: q.Limit}
	return p.store.Accesses(ctx, query, func(a kycbridge.Access) error { return writeLine(out, a) })
}

// before parses an age or an instant, neither in the future nor the zero time, which means none.
func before(s string, now time.Time) (time.Time, bool) {
	if age, err := kycbridge.ParseAge(s); err == nil {
		return now.Add(-age), true
	}
	at, err := time.Parse(time.RFC3339, s)
	return at, err == nil && !at.After(now) && at.After(time.Time{})
}

// writeLine writes a value as one line of JSON.
func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// VerifiedReport is a report with its verdict.
type VerifiedReport struct {
	Sound   bool   `json:"sound"`
	Verdict string `json:"verdict"`
	archive.Report
}

// Verified adds the verdict to a report.
func Verified(r archive.Report) VerifiedReport {
	if r.Rows == nil {
		r.Rows = []archive.Row{}
	}
	if r.Lost == nil {
		r.Lost = []archive.Loss{}
	}
	if r.Aging == nil {
		r.Aging = []archive.Aging{}
	}
	if r.New == nil {
		r.New = []archive.New{}
	}
	return VerifiedReport{r.Sound(), r.Verdict(), r}
}

// WithoutValues is a result of a replay without personal values.
func WithoutValues(r archive.Replayed) archive.Replayed {
	masked := make([]event.Difference, len(r.Differences))
	for i, d := range r.Differences {
		masked[i] = d.Masked()
	}
	r.Differences = masked
	return r
}

// Replayable is a filter for a replay: a reason implies the quarantine.
func Replayable(f archive.Filter) archive.Filter {
	if f.Reason != "" {
		f.Status = archive.StatusQuarantined
	}
	return f
}

// ForeignSubject refuses a subject to which a replay must not send events: an invalid one, or one of kycbridge
// itself, where the event would be misinterpreted.
func ForeignSubject(config *Config, to string) error {
	prefix := config.Names.SubjectPrefix
	switch {
	case !subject(to) || strings.ContainsAny(to, "*>") || strings.HasPrefix(to, "$") || strings.HasPrefix(to, "_INBOX"):
		return errors.New("no subject that can be sent to; write one such as rebuild.verifications")
	case to == prefix || strings.HasPrefix(to, prefix+"."):
		return fmt.Errorf("among the subjects below %s, which are kycbridge's own; write one such as rebuild.verifications",
			prefix)
	}
	return nil
}

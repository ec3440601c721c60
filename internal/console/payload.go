package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

func payloadAddress(e archive.Entry) string {
	return "/console/payloads/" + e.Status + "/" + strconv.FormatUint(e.Seq, 10)
}

// payloadView is one payload.
type payloadView struct {
	Address  string
	Shown    archive.Shown
	Body     string
	Group    string // address of its group; "": it has none
	Key      kycbridge.Key
	Fate     archive.HistoryPayload
	Preview  *archive.Admission // of a quarantined or refused payload
	Mapped   *eventView
	JSON     string // of the mapping's result
	Origins  []origin
	Revealed bool
}

// onePayload reads a payload for a page.
func (c *Console) onePayload(v visit, reveal bool) (view payloadView, k kycbridge.Kept, err error) {
	a, err := c.Archive()
	if err != nil {
		return view, k, err
	}
	if k, err = a.At(v.r.Context(), v.r.PathValue("status"), number(v.r.PathValue("seq"))); err != nil {
		return view, k, err
	}
	view.Shown, view.Revealed = a.View(k, reveal), reveal
	view.Address = payloadAddress(view.Shown.Entry)
	view.Key = kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}
	v.about(view.Key)
	if view.Body = view.Shown.Text; len(view.Shown.Body) > 0 {
		view.Body = pretty(brief(view.Shown.Body))
	}
	if k.Shelf == kycbridge.ShelfPayloads {
		view.Fate, err = a.OutcomeOf(v.r.Context(), k)
		return view, k, err
	}
	view.Group = groupOf(k).Address()
	preview, err := a.Preview(v.r.Context(), k)
	if err != nil {
		return view, k, err
	}
	view.Preview = &preview
	if preview.Mapped != nil {
		view.Mapped, view.JSON = viewOf(preview.Mapped, reveal), pretty(event.Masked(preview.Mapped))
		if reveal {
			view.JSON = pretty(preview.Mapped)
		}
		view.Origins = originsOf(k, preview.Mapped)
	}
	if !reveal {
		preview.Replayed = masked(preview.Replayed)
	}
	return view, k, nil
}

func (c *Console) payload(v visit) error {
	view, _, err := c.onePayload(v, false)
	if err != nil {
		return err
	}
	return c.show(v, "payload", "Payload", view)
}

// revealPayload shows all values once, and logs the session and the reason.
func (c *Console) revealPayload(v visit) error {
	why, err := reason(v)
	if err != nil {
		return err
	}
	if _, _, err := c.onePayload(v, false); err != nil {
		return err // there is nothing to reveal
	}
	if err := c.begin(v, why); err != nil {
		return err
	}
	view, k, err := c.onePayload(v, true)
	if err != nil {
		return err
	}
	c.Logger.Warn("payload revealed", zap.String("provider", k.Provider), zap.String("account", k.Account),
		zap.String("payload_id", k.ID), zap.String("by", v.by), zap.String("reason", why))
	return c.show(v, "payload", "Payload", view)
}

// admitOne replays one payload, and redirects to its verification.
func (c *Console) admitOne(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	k, err := a.At(v.r.Context(), v.r.PathValue("status"), number(v.r.PathValue("seq")))
	if err != nil {
		return err
	}
	v.about(kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID})
	done, err := a.Readmit(v.r.Context(), k, false)
	if err != nil {
		return err
	}
	c.Logger.Info(
		"payload replayed",
		zap.String("provider", k.Provider),
		zap.String("account", k.Account),
		zap.String("payload_id", k.ID),
		zap.String("result", done.Result),
		zap.String("by", v.by),
	)
	if done.Result != archive.ResultAdmitted {
		return errInput("The payload was not admitted: " + done.Result + ", " + done.Reason + ".")
	}
	to := verificationAddress(
		kycbridge.Key{Provider: done.Provider, Account: done.Account, VerificationID: done.VerificationID},
	)
	c.waitProcessed(v.r.Context(), a, done)
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// waitProcessed waits briefly until the payload is processed, so that the next page shows the result.
func (c *Console) waitProcessed(ctx context.Context, a *archive.Archive, done archive.Replayed) {
	k := kycbridge.Key{Provider: done.Provider, Account: done.Account, VerificationID: done.VerificationID}
	const tries, pause = 20, 50 * time.Millisecond
	for range tries {
		if position, err := a.DispositionLog.Position(ctx); err != nil || position.Pending == 0 {
			return
		}
		if last, err := a.NewestEvents.Last(
			ctx,
			k,
			true,
		); err != nil ||
			last.Data != nil && last.Data.Payload.ID == done.PayloadID {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

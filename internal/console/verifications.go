package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// onPage is the number of rows of a list.
const onPage = 50

// choices are the values of the filters.
type choices struct {
	Providers, Accounts, Statuses, Outcomes []string
}

func (c *Console) choices() choices {
	o := choices{
		Statuses: words(
			event.StatusCreated,
			event.StatusInProgress,
			event.StatusProcessing,
			event.StatusInReview,
			event.StatusRequiresInput,
			event.StatusCompleted,
			event.StatusExpired,
			event.StatusAbandoned,
			event.StatusCanceled,
			event.StatusFailed,
			event.StatusUnknown,
		),
		Outcomes: words(
			event.OutcomeNone,
			event.OutcomeApproved,
			event.OutcomeRejected,
			event.OutcomeReview,
			event.OutcomeResubmit,
		),
	}
	for _, a := range c.Accounts() {
		o.Providers, o.Accounts = added(o.Providers, a.Provider), added(o.Accounts, a.Name)
	}
	return o
}

func words[W ~string](all ...W) []string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = string(w)
	}
	return out
}

// added is list including one.
func added(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

// age is the maximum time since a change.
type age struct {
	Value, Words string
	within       time.Duration
}

// ages are the choices of the age filter.
var ages = []age{
	{"1h", "an hour", time.Hour},
	{"24h", "a day", 24 * time.Hour},
	{"7d", "a week", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
}

// listView is a list of verifications.
type listView struct {
	choices
	Filter archive.VerificationFilter
	Age    string
	Rows   []kycbridge.PublishedEvent
	Older  string // address of the next page; "": none
}

// verifications lists the newest verifications.
func (c *Console) verifications(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	view := listView{choices: c.choices(), Age: q.Get("age"), Filter: archive.VerificationFilter{
		Provider: q.Get("provider"), Account: q.Get("account"), Status: q.Get("status"), Outcome: q.Get("outcome")}}
	for _, age := range ages {
		if age.Value == view.Age {
			view.Filter.Since = c.Now().Add(-age.within)
		}
	}
	var next uint64
	if view.Rows, next, err = a.Verifications(v.r.Context(), view.Filter, number(q.Get("before")), onPage); err != nil {
		return err
	}
	view.Older = older(v.r, next)
	return c.show(v, "verifications", "Verifications", view)
}

// older is the address of the next page, before a sequence.
func older(r *http.Request, next uint64) string { return onward(r, "before", next) }

func onward(r *http.Request, parameter string, next uint64) string {
	if next == 0 {
		return ""
	}
	q := r.URL.Query()
	q.Set(parameter, strconv.FormatUint(next, 10))
	return r.URL.Path + "?" + q.Encode()
}

// number parses a sequence; 0 if s is empty or not a number.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// sessionsView are open sessions.
type sessionsView struct {
	Now  time.Time
	Rows []kycbridge.Session
	More string
}

// openSessions lists the polled sessions.
func (c *Console) openSessions(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	view := sessionsView{Now: c.Now()}
	next, err := a.Sessions.Sessions(
		v.r.Context(),
		number(v.r.URL.Query().Get("from")),
		func(s kycbridge.Session) bool {
			if len(view.Rows) == onPage {
				return false
			}
			view.Rows = append(view.Rows, s)
			return true
		},
	)
	if err != nil {
		return err
	}
	view.More = onward(v.r, "from", next)
	return c.show(v, "sessions", "Open sessions", view)
}

// verificationView is everything about one verification.
type verificationView struct {
	archive.History
	Address  string
	Event    *eventView
	JSON     string
	Revealed bool
	Replayed *archive.Replayed // the prediction or result of a replay
	Done     bool
}

// Title is a short name.
func (v verificationView) Title() string {
	return "Verification " + v.Key.VerificationID[:min(8, len(v.Key.VerificationID))]
}

func keyOf(r *http.Request) kycbridge.Key {
	return kycbridge.Key{
		Provider:       r.PathValue("provider"),
		Account:        r.PathValue("account"),
		VerificationID: r.PathValue("id"),
	}
}

// historyView reads a verification for a page.
func (c *Console) historyView(v visit, reveal bool) (verificationView, error) {
	a, err := c.Archive()
	if err != nil {
		return verificationView{}, err
	}
	k := keyOf(v.r)
	f := archive.Filter{Provider: k.Provider, Account: k.Account, Verification: k.VerificationID}
	if f.Check() != nil {
		return verificationView{}, kycbridge.ErrNotFound
	}
	life, err := a.History(v.r.Context(), k)
	if err != nil {
		return verificationView{}, err
	}
	v.about(k)
	view := verificationView{History: life, Address: verificationAddress(k), Revealed: reveal}
	if !reveal {
		mask(&view.History)
	}
	if life.Last != nil {
		view.Event = viewOf(life.Last, reveal)
		view.JSON = pretty(event.Masked(life.Last))
		if reveal {
			view.JSON = pretty(life.Last)
		}
	}
	return view, nil
}

// mask removes personal values from the differences of a history.
func mask(l *archive.History) {
	for _, s := range l.Steps {
		if s.Revision == nil {
			continue
		}
		for i, d := range s.Revision.Differences {
			s.Revision.Differences[i] = d.Masked()
		}
	}
}

func (c *Console) verification(v visit) error { return c.showHistory(v, false, nil) }

// showHistory shows a verification, modified by edit.
func (c *Console) showHistory(v visit, reveal bool, edit func(*verificationView)) error {
	view, err := c.historyView(v, reveal)
	if err != nil {
		return err
	}
	if edit != nil {
		edit(&view)
	}
	return c.show(v, "verification", view.Title(), view)
}

const longestReason = 200 // bytes of the reason to reveal values

// reason is the stated reason to reveal personal values.
func reason(v visit) (string, error) {
	why := strings.TrimSpace(visible(v.r.PostFormValue("reason")))
	if len(why) < 3 || len(why) > longestReason {
		return "", errInput(
			"Say in up to 200 characters why you need to see values about a person: the reason is logged. " +
				"A case number is enough.",
		)
	}
	return why, nil
}

// revealVerification shows all values once, and logs the session and the reason.
func (c *Console) revealVerification(v visit) error {
	why, err := reason(v)
	if err != nil {
		return err
	}
	k := keyOf(v.r)
	if _, err := c.historyView(v, false); err != nil {
		return err // there is nothing to reveal
	}
	if err := c.begin(v, why); err != nil {
		return err
	}
	view, err := c.historyView(v, true)
	if err != nil {
		return err
	}
	c.Logger.Warn("verification revealed", zap.String("provider", k.Provider), zap.String("account", k.Account),
		zap.String("verification_id", k.VerificationID), zap.String("by", v.by), zap.String("reason", why))
	return c.show(v, "verification", view.Title(), view)
}

// previewReplay predicts the changes of a replay of the verification.
func (c *Console) previewReplay(v visit) error { return c.replay(v, true) }

// replayOne replays the verification.
func (c *Console) replayOne(v visit) error { return c.replay(v, false) }

func (c *Console) replay(v visit, dryRun bool) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	k := keyOf(v.r)
	o := archive.ReplayOptions{DryRun: dryRun, Filter: archive.Filter{Status: archive.StatusAccepted,
		Provider: k.Provider, Account: k.Account, Verification: k.VerificationID}}
	if o.Check() != nil {
		return kycbridge.ErrNotFound
	}
	result := archive.Replayed{Result: archive.ResultUnchanged}
	_, err = a.Replay(v.r.Context(), o, func(r archive.Replayed) error {
		result = masked(r)
		return nil
	})
	if err != nil {
		return err
	}
	if !dryRun {
		c.Logger.Info(
			"verification replayed",
			zap.String("provider", k.Provider),
			zap.String("account", k.Account),
			zap.String(
				"verification_id",
				k.VerificationID,
			),
			zap.String("result", result.Result),
			zap.String("by", v.by),
		)
	}
	return c.showHistory(v, false, func(view *verificationView) { view.Replayed, view.Done = &result, !dryRun })
}

// masked is a result without personal values.
func masked(r archive.Replayed) archive.Replayed {
	all := make([]event.Difference, len(r.Differences))
	for i, d := range r.Differences {
		all[i] = d.Masked()
	}
	r.Differences = all
	return r
}

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

const (
	maxViewers  = 64                     // concurrent live views
	maxOwn      = 4                      // of one session: a browser keeps six connections to a host, and pages need some
	maxWaiting  = 2048                   // rows that wait for one view; above that the oldest are dropped
	maxShown    = 200                    // rows of one message: a page shows no more
	livePace    = 100 * time.Millisecond // between messages at least
	liveCheck   = 2 * time.Second        // how often the session is checked
	liveWrite   = 10 * time.Second       // a reader that receives nothing for so long is disconnected
	listenAgain = time.Second            // before a broken subscription is renewed
)

// The kinds of rows in a live view.
const (
	whatEvent    = "event"
	whatCallback = "callback"
	whatCall     = "call"
)

// row is one line of a live view.
type row struct {
	At       string `json:"at"`
	What     string `json:"what"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Status   string `json:"status"`
	Outcome  string `json:"outcome"`
	Detail   string `json:"detail"`
	Href     string `json:"href"`
}

func eventRow(e kycbridge.PublishedEvent) row {
	d := e.Event.Data
	outcome := string(d.Decision.Outcome)
	return row{
		At:       e.Event.RecordedTime,
		What:     whatEvent,
		Provider: e.Provider,
		Account:  e.Account,
		Status:   string(d.Status),
		Outcome:  outcome,
		Detail: fmt.Sprintf(
			"%s r%d%s",
			e.VerificationID[:min(8, len(e.VerificationID))],
			d.Revision,
			final(d.Decision),
		),
		Href: verificationAddress(e.Key),
	}
}

func final(d event.Decision) string {
	if d.Final {
		return " final"
	}
	return ""
}

func callbackRow(key kycbridge.AccountKey, outcome, verificationID string, at time.Time) row {
	r := row{At: event.Instant(at), What: whatCallback, Provider: key.Provider, Account: key.Account, Outcome: outcome}
	if verificationID != "" {
		r.Detail = verificationID[:min(8, len(verificationID))]
	}
	isStored := outcome == kycbridge.ReceiptAccepted || outcome == kycbridge.ReceiptDuplicate
	switch {
	case verificationID != "" && outcome != kycbridge.ReceiptQuarantined:
		r.Href = verificationAddress(
			kycbridge.Key{Provider: key.Provider, Account: key.Account, VerificationID: verificationID},
		)
	case !isStored:
		r.Href = "/console/quarantine"
	}
	return r
}

func callRow(key kycbridge.AccountKey, call, outcome string, took time.Duration, at time.Time) row {
	return row{At: event.Instant(at), What: whatCall, Provider: key.Provider, Account: key.Account, Outcome: outcome,
		Detail: call + " " + took.Round(time.Millisecond).String(), Href: "/console/providers"}
}

// live distributes rows to all live views. It subscribes to events only while there are views.
type live struct {
	background context.Context
	listener   Listener
	log        *zap.Logger
	n          atomic.Int32 // viewers

	mu      sync.Mutex
	joined  uint64 // views so far
	viewers map[*viewing]bool
	stop    context.CancelFunc // stops the subscription to events; nil: there are no views
	running sync.WaitGroup
}

func newLive(background context.Context, h Listener, log *zap.Logger) *live {
	return &live{background: background, listener: h, log: log, viewers: map[*viewing]bool{}}
}

// watched reports whether there are views; without them no row is created.
func (l *live) watched() bool { return l != nil && l.n.Load() > 0 }

// wait returns when all views have ended; background must be cancelled.
func (l *live) wait() { l.running.Wait() }

// join adds a view; false: there are too many.
func (l *live) join(v *viewing) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom(v.session)
	if len(l.viewers) >= maxViewers || l.background.Err() != nil {
		return false
	}
	l.joined++
	v.number = l.joined
	l.viewers[v] = true
	l.n.Store(int32(len(l.viewers)))
	if l.stop == nil && l.listener != nil {
		var ctx context.Context
		ctx, l.stop = context.WithCancel(l.background)
		l.running.Go(func() { l.listen(ctx) })
	}
	return true
}

// makeRoom ends the oldest view of a session that has as many as it may have.
func (l *live) makeRoom(session string) {
	var oldest *viewing
	own := 0
	for v := range l.viewers {
		if v.session != session {
			continue
		}
		if own++; oldest == nil || v.number < oldest.number {
			oldest = v
		}
	}
	if own >= maxOwn {
		delete(l.viewers, oldest)
		close(oldest.over)
	}
}

func (l *live) leave(v *viewing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, v)
	l.n.Store(int32(len(l.viewers)))
	if len(l.viewers) == 0 && l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// listen passes events on until ctx ends.
func (l *live) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.listener.Listen(ctx, func(e kycbridge.PublishedEvent) { l.add(eventRow(e)) }, l.reportMissed)
		if err != nil && ctx.Err() == nil {
			l.log.Warn("console cannot subscribe to events, trying again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// add passes a row to all matching views.
func (l *live) add(r row) {
	var encoded json.RawMessage
	l.mu.Lock()
	defer l.mu.Unlock()
	for v := range l.viewers {
		if !v.wants(r) {
			continue
		}
		if encoded == nil {
			encoded, _ = json.Marshal(r) // encoding strings never fails
		}
		v.push(encoded)
	}
}

// reportMissed reports to all views that events were dropped before.
func (l *live) reportMissed(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for v := range l.viewers {
		v.countMissed(n)
	}
}

// viewing is one live view: its filters, and its waiting rows, in a limited number.
type viewing struct {
	what, provider, account, status, outcome string

	session string        // whose view it is
	number  uint64        // in the order of their beginning
	news    chan struct{} // there are rows
	over    chan struct{} // closed: the session has newer views

	mu     sync.Mutex
	rows   []json.RawMessage
	passed int // dropped rows since the last message
}

// viewingOf reads the filters of a visit.
func viewingOf(v visit) *viewing {
	q := v.r.URL.Query()
	return &viewing{
		session:  v.csrf,
		what:     q.Get("what"),
		provider: q.Get("provider"),
		account:  q.Get("account"),
		status:   q.Get("status"),
		outcome:  q.Get("outcome"),
		news:     make(chan struct{}, 1),
		over:     make(chan struct{}),
	}
}

func (v *viewing) wants(r row) bool {
	return (v.what == "" || v.what == r.What) && (v.provider == "" || v.provider == r.Provider) &&
		(v.account == "" || v.account == r.Account) && (v.status == "" || v.status == r.Status) &&
		(v.outcome == "" || v.outcome == r.Outcome)
}

func (v *viewing) push(r json.RawMessage) {
	v.mu.Lock()
	if len(v.rows) >= maxWaiting {
		n := copy(v.rows, v.rows[maxWaiting/2:])
		v.passed += len(v.rows) - n
		v.rows = v.rows[:n]
	}
	v.rows = append(v.rows, r)
	v.mu.Unlock()
	v.wake()
}

func (v *viewing) countMissed(n int) {
	v.mu.Lock()
	v.passed += n
	v.mu.Unlock()
	v.wake()
}

func (v *viewing) wake() {
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// message is the content of one message: rows, oldest first, and the number of omitted ones.
type message struct {
	Rows   []json.RawMessage `json:"rows"`
	Passed int               `json:"passed"`
}

// take empties the queue. Rows above the limit of a page are omitted and counted in Passed: they would
// scroll away at once.
func (v *viewing) take() message {
	v.mu.Lock()
	defer v.mu.Unlock()
	m := message{Rows: v.rows[max(0, len(v.rows)-maxShown):], Passed: v.passed + max(0, len(v.rows)-maxShown)}
	v.rows, v.passed = nil, 0
	return m
}

// liveView is the page of a live view. Without script it shows the newest events.
type liveView struct {
	choices
	Whats  []string
	Filter *viewing
	Query  string
	Rows   []row
	Most   int
}

// What is the selected kind of rows.
func (v *viewing) What() string { return v.what }

// Provider is the selected provider.
func (v *viewing) Provider() string { return v.provider }

// Account is the selected account.
func (v *viewing) Account() string { return v.account }

// Status is the selected status.
func (v *viewing) Status() string { return v.status }

// Outcome is the selected outcome.
func (v *viewing) Outcome() string { return v.outcome }

func (c *Console) livePage(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	view := liveView{choices: c.choices(), Whats: []string{whatEvent, whatCallback, whatCall}, Filter: viewingOf(v),
		Query: v.r.URL.Query().Encode(), Most: maxShown}
	if view.Filter.what == "" || view.Filter.what == whatEvent {
		_, err = a.NewestEvents.NewestEvents(
			v.r.Context(),
			view.Filter.provider,
			view.Filter.account,
			0,
			func(e kycbridge.PublishedEvent) bool {
				if r := eventRow(e); view.Filter.wants(r) {
					view.Rows = append(view.Rows, r)
				}
				return len(view.Rows) < onPage
			},
		)
	}
	if err != nil {
		return err
	}
	return c.show(v, "live", "Live", view)
}

// liveStream sends rows as server-sent events, until the client disconnects or the session ends.
func (c *Console) liveStream(v visit) error {
	looking := viewingOf(v)
	if !c.live.join(looking) {
		return fmt.Errorf("live view: too many at once: %w", kycbridge.ErrUnavailable)
	}
	defer c.live.leave(looking)
	s := stream{v.w, http.NewResponseController(v.w)}
	extendDeadlines(v.w, time.Time{})
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	v.w.WriteHeader(http.StatusOK)
	if s.send("open", []byte("{}")) != nil {
		return nil
	}
	check := time.NewTicker(liveCheck)
	defer check.Stop()
	for {
		select {
		case <-v.r.Context().Done():
			return nil
		case <-c.background.Done():
			return nil
		case <-looking.over:
			_ = s.send("over", []byte("{}"))
			return nil
		case <-check.C:
			if in := c.session(v.r); in == nil || !in.rights.Has(kycbridge.RightRead) {
				_ = s.send("ended", []byte("{}")) // the stream ends in any case, so the error is ignored
				return nil
			}
			if s.send("beat", []byte("{}")) != nil {
				return nil
			}
		case <-looking.news:
			m := looking.take()
			if len(m.Rows) == 0 && m.Passed == 0 {
				continue // the rows were sent with the previous message
			}
			body, err := json.Marshal(m)
			if err != nil || s.send("rows", body) != nil {
				return nil
			}
			time.Sleep(livePace) // collect rows meanwhile
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s stream) send(name string, body []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(liveWrite)); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(body)
	b.WriteString("\n\n")
	if _, err := s.w.Write([]byte(b.String())); err != nil {
		return err
	}
	return s.control.Flush()
}

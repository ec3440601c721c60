package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// TestStalledViewIsBounded: a view that reads nothing receives the number of dropped rows later, and its
// memory is limited.
func TestStalledViewIsBounded(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	v := &viewing{news: make(chan struct{}, 1)}
	if !f.live.join(v) {
		t.Fatal("no room")
	}
	defer f.live.leave(v)
	const all = 100_000
	for range all {
		f.Day.Received(kycbridge.AccountKey{Provider: "ondato", Account: "acme"}, "accepted", "")
	}
	if len(v.rows) > maxWaiting || cap(v.rows) > 2*maxWaiting {
		t.Errorf("%d rows wait, in room for %d", len(v.rows), cap(v.rows))
	}
	m := v.take()
	if len(m.Rows) != maxShown || m.Passed != all-maxShown {
		t.Errorf("%d rows, %d passed over of %d", len(m.Rows), m.Passed, all)
	}
	if again := v.take(); len(again.Rows)+again.Passed > 0 {
		t.Errorf("reported twice: %v", again)
	}
}

func newViewing(session string) *viewing {
	return &viewing{session: session, news: make(chan struct{}, 1), over: make(chan struct{})}
}

// TestOneSessionHasFewViews: a browser keeps six connections to a host, and loads no page if all of them are live
// views. So the newest views of a session replace its oldest, and take no room from others.
func TestOneSessionHasFewViews(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	other, own := newViewing("other"), make([]*viewing, maxViewers+maxOwn)
	if !f.live.join(other) {
		t.Fatal("no room")
	}
	for i := range own {
		if own[i] = newViewing("own"); !f.live.join(own[i]) {
			t.Fatalf("no room for view %d", i)
		}
	}
	isOver := func(v *viewing) bool {
		select {
		case <-v.over:
			return true
		default:
			return false
		}
	}
	for i, v := range own {
		if want := i < len(own)-maxOwn; isOver(v) != want || f.live.viewers[v] == want {
			t.Errorf("view %d of %d is over: %t", i, len(own), isOver(v))
		}
	}
	if isOver(other) || !f.live.viewers[other] {
		t.Error("the view of another session has ended")
	}
}

// TestViewsAreLimited: the number of views never exceeds the limit, and a closed one makes room.
func TestViewsAreLimited(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	all := make([]*viewing, maxViewers)
	for i := range all {
		if all[i] = newViewing(strconv.Itoa(i)); !f.live.join(all[i]) {
			t.Fatalf("no room for view %d", i)
		}
	}
	more := newViewing("more")
	if f.live.join(more) {
		t.Error("there is room for ever")
	}
	f.live.leave(all[0])
	if !f.live.join(more) {
		t.Error("no room after one has left")
	}
}

func TestViewWants(t *testing.T) {
	r := row{What: whatEvent, Provider: "ondato", Account: "acme", Status: "completed", Outcome: "approved"}
	for query, want := range map[string]bool{
		"": true, "what=event": true, "what=call": false, "provider=ondato&account=acme": true, "provider=kwikid": false,
		"account=other": false, "status=completed&outcome=approved": true, "outcome=rejected": false,
		"status=created": false,
	} {
		v := visit{session: &session{}, r: httptest.NewRequest(http.MethodGet, "/?"+query, nil)}
		if got := viewingOf(v).wants(r); got != want {
			t.Errorf("%q wants it: %v", query, got)
		}
	}
}

// countingListener is a listener that counts its subscriptions.
type countingListener struct{ n atomic.Int32 }

func (q *countingListener) Listen(ctx context.Context, each func(kycbridge.PublishedEvent), missed func(int)) error {
	q.n.Add(1)
	defer q.n.Add(-1)
	each(
		kycbridge.PublishedEvent{
			Key: kycbridge.Key{
				Provider:       "ondato",
				Account:        "acme",
				VerificationID: "00000000-0000-5000-8000-000000000000",
			},
			Event: &event.Event{RecordedTime: "2026-03-02T09:00:00Z", Data: event.Data{Status: event.StatusCompleted}},
		},
	)
	missed(7)
	<-ctx.Done()
	return nil
}

// TestStreamNeedsTheRightToRead: a live view ends when the right is withdrawn, as when the token is.
func TestStreamNeedsTheRightToRead(t *testing.T) {
	var rights atomic.Pointer[kycbridge.Rights]
	all, few := kycbridge.AllRights(), only(kycbridge.RightPurge)
	rights.Store(&all)
	c := New(Options{Tokens: func() []kycbridge.AdminToken {
		tokens := tokensOf("token-a")
		tokens[0].Rights = *rights.Load()
		return tokens
	}})
	defer c.Close()
	server := httptest.NewServer(c)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*liveCheck)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/console/live/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: cookieName, Value: c.sessions.begin(tokensOf("token-a")[0])})
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines, last := bufio.NewScanner(res.Body), ""
	for lines.Scan() && last != "ended" {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			last = name
			rights.Store(&few)
		}
	}
	if last != "ended" {
		t.Errorf("the stream ends after %q", last)
	}
}

// TestStream reads a live view over HTTP: the subscription to events exists only while it is open, and it
// ends when the token is revoked.
func TestStream(t *testing.T) {
	q := &countingListener{}
	var tokens atomic.Pointer[[]string]
	tokens.Store(&[]string{"token-a"})
	c := New(Options{Tokens: func() []kycbridge.AdminToken { return tokensOf(*tokens.Load()...) }, Listener: q})
	defer c.Close()
	server := httptest.NewServer(c)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/console/live/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: cookieName, Value: c.sessions.begin(kycbridge.NamelessToken(1, "token-a"))})
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	name, rows, passed := "", 0, 0
	for lines.Scan() {
		if after, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = after
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if name == "ended" {
			break
		}
		if name == "rows" {
			var m message
			if err := json.Unmarshal([]byte(data), &m); err != nil || q.n.Load() != 1 {
				t.Errorf("%s: %v, %d subscriptions", data, err, q.n.Load())
			}
			rows, passed = rows+len(m.Rows), passed+m.Passed
			tokens.Store(&[]string{"token-b"}) // revoked
		}
	}
	if name != "ended" || rows != 1 || passed != 7 {
		t.Errorf("the stream ends after %q with %d rows, %d passed over", name, rows, passed)
	}
	for deadline := time.Now().Add(5 * time.Second); q.n.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("events are received without a view")
		}
	}
}

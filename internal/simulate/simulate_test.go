package simulate

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/test/receiver"
	"kycbridge/test/wait"
)

// plain is a minimal provider: a call, a token call, and one callback for each verification.
func plain() Provider {
	say := func(status int, text string) func(string) Canned {
		return func(call string) Canned {
			return Canned{Status: status, ContentType: "text/plain", Body: []byte(text + " " + call)}
		}
	}
	return Provider{
		Name: "plain",
		Routes: func(s *Server, mux *http.ServeMux) {
			ok := func(w http.ResponseWriter, _ *http.Request) {
				Answer(w, http.StatusOK, []byte(`{"answer": "it is well"}`))
			}
			mux.HandleFunc("/call", s.Call("call", false, ok))
			mux.HandleFunc("/token", s.Call("token", true, ok))
		},
		Fault500: say(http.StatusInternalServerError, "documented fault of"),
		Fault429: say(http.StatusTooManyRequests, "too many of"),
		Begin: func(s *Server, externalReference, _ string) string {
			s.Send(Message{URL: s.CallbackURL, Header: http.Header{"Content-Type": {"text/plain"}},
				Body: []byte(externalReference)}, time.Second)
			return externalReference
		},
		Retries:   []time.Duration{time.Minute, time.Hour},
		Delivered: func(status int) bool { return status == http.StatusOK },
	}
}

func started(t *testing.T, p Provider, o Options) *Server {
	t.Helper()
	s, err := Start(p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask makes one call and returns its answer.
func ask(t *testing.T, method, url, body string) (status int, h http.Header, answered string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(read), err
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	wait.For(t, 10*time.Second, "it happens", condition)
}

func TestLimitCountsAnySecond(t *testing.T) {
	s := started(t, plain(), Options{Limit: 3})
	var statuses []int
	for range 5 {
		status, h, _, err := ask(t, "GET", s.URL()+"/call", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusTooManyRequests && h.Get("Retry-After") != "1" {
			t.Error("no Retry-After")
		}
		statuses = append(statuses, status)
	}
	if want := []int{200, 200, 200, 429, 429}; !slices.Equal(statuses, want) {
		t.Errorf("statuses %v", statuses)
	}
	// Refused calls count too, so the limit admits a call again a second after the last call.
	eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.recent) == 0 || time.Since(s.recent[len(s.recent)-1]) >= time.Second
	})
	if status, _, _, err := ask(t, "GET", s.URL()+"/token", ""); status != 200 || err != nil {
		t.Errorf("a second later %d, %v", status, err)
	}
	want := Stats{Calls: map[string]int{"call": 5, "token": 1}, Answers: map[int]int{200: 4, 429: 2}, MostInSecond: 5}
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestCannedAnswersComeFirst(t *testing.T) {
	s := started(t, plain(), Options{Limit: 1, Faults: Faults{Error500: 1}})
	s.Can("call",
		Canned{Status: 418, ContentType: "application/json", Header: http.Header{"X-Canned": {"yes"}},
			Body: []byte(`{"n": 1}`)},
		Canned{Status: 204})
	status, h, body, err := ask(t, "GET", s.URL()+"/call", "")
	if err != nil || status != 418 || body != `{"n": 1}` || h.Get("X-Canned") != "yes" ||
		h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %q %v %v", status, body, h, err)
	}
	for _, want := range []int{204, 429} {
		if status, _, _, err := ask(t, "GET", s.URL()+"/call", ""); status != want || err != nil {
			t.Errorf("%d instead of %d, %v", status, want, err)
		}
	}
}

func TestFaultsHaveTheirShares(t *testing.T) {
	const calls = 600
	s := started(t, plain(), Options{Seed: 7,
		Faults: Faults{Error500: .1, HTML: .1, RateLimited: .1, Slow: .1, Broken: .1, SlowBy: time.Millisecond}})
	got := map[string]int{}
	for range calls {
		status, h, body, err := ask(t, "GET", s.URL()+"/call", "")
		switch {
		case err != nil && status == 200 && body == `{"answer": "`:
			got["broken"]++
		case err != nil:
			t.Fatalf("%d %q: %v", status, body, err)
		case status == 500 && body == "documented fault of call", status == 429 && body == "too many of call" &&
			h.Get("Retry-After") == "1":
			got[fmt.Sprint(status)]++
		case status == 502 && h.Get("Content-Type") == "text/html":
			got["502"]++
		case status == 200 && body == `{"answer": "it is well"}`:
			got["200"]++
		default:
			t.Fatalf("%d %q", status, body)
		}
	}
	for what, share := range map[string]float64{"500": .1, "502": .1, "429": .1, "broken": .1, "200": .6} {
		if n := float64(got[what]); n < calls*share*.6 || n > calls*share*1.4 {
			t.Errorf("%s came %v times of %d", what, n, calls)
		}
	}
	for range 20 {
		if status, _, _, err := ask(t, "GET", s.URL()+"/token", ""); status != 200 || err != nil {
			t.Errorf("a token call failed: %d, %v", status, err)
		}
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	run := func() (statuses []int) {
		s := started(t, plain(), Options{Seed: 3, Faults: Faults{Error500: .5}})
		for range 40 {
			status, _, _, err := ask(t, "GET", s.URL()+"/call", "")
			if err != nil {
				t.Fatal(err)
			}
			statuses = append(statuses, status)
		}
		return statuses
	}
	if diff := cmp.Diff(run(), run()); diff != "" {
		t.Error(diff)
	}
}

func TestSlowAnswer(t *testing.T) {
	s := started(t, plain(), Options{Faults: Faults{Slow: 1, SlowBy: 150 * time.Millisecond}})
	began := time.Now()
	if status, _, _, err := ask(t, "GET", s.URL()+"/call", ""); status != 200 || err != nil ||
		time.Since(began) < 150*time.Millisecond {
		t.Errorf("%d after %v, %v", status, time.Since(began), err)
	}
}

func TestCallbackIsTakenOnce(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, plain(), Options{Speed: 100, CallbackURL: r.URL})
	s.Begin("ref-1", "")
	eventually(t, func() bool { return s.Stats().Accepted == 1 })
	if got := r.Bodies(); !slices.Equal(got, []string{"ref-1"}) || s.Stats().Callbacks != 1 || s.Stats().Waiting != 0 {
		t.Errorf("%v, %+v", got, s.Stats())
	}
}

func TestNowhereToCall(t *testing.T) {
	s := started(t, plain(), Options{Speed: 100})
	s.Begin("ref-1", "")
	if stats := s.Stats(); stats.Waiting != 0 {
		t.Errorf("%+v", stats)
	}
}

// The waits between deliveries are in simulated time, so they become shorter at a higher speed.
func TestRetrySchedule(t *testing.T) {
	r := receiver.New(t, func(n int) int { return []int{503, 202, 200}[min(n, 2)] })
	s := started(t, plain(), Options{Speed: 36000, CallbackURL: r.URL})
	s.Begin("ref-1", "")
	eventually(t, func() bool { return s.Stats().Accepted == 1 })
	got := r.Callbacks()
	if len(got) != 3 {
		t.Fatalf("%d deliveries", len(got))
	}
	if wait := got[2].At.Sub(got[1].At); wait < time.Hour/36000 || wait > 5*time.Second {
		t.Errorf("an hour took %v", wait)
	}
	if stats := s.Stats(); stats.Callbacks != 3 || stats.GivenUp != 0 || stats.Waiting != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestScheduleRunsOut(t *testing.T) {
	r := receiver.New(t, func(int) int { return 500 })
	s := started(t, plain(), Options{Speed: 1e6, CallbackURL: r.URL})
	s.Begin("ref-1", "")
	eventually(t, func() bool { return s.Stats().GivenUp == 1 })
	if stats := s.Stats(); stats.Callbacks != 3 || stats.Accepted != 0 || stats.Waiting != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestTakenAndVoid(t *testing.T) {
	r := receiver.New(t, func(n int) int { return []int{503, 200}[min(n, 1)] })
	s := started(t, plain(), Options{Speed: 1e6, CallbackURL: r.URL})
	taken := make(chan time.Time, 2)
	s.Send(Message{URL: r.URL, Body: []byte("a"), Taken: func(at time.Time) { taken <- at }}, 0)
	at := <-taken
	if got := r.Callbacks(); len(got) != 2 || at.Before(got[1].At.Add(-time.Second)) {
		t.Errorf("taken at %v after %d deliveries", at, len(got))
	}
	s.Send(Message{URL: r.URL, Void: func() bool { return true }, Taken: func(at time.Time) { taken <- at }}, 0)
	eventually(t, func() bool { return s.Stats().Waiting == 0 })
	if len(taken) != 0 || s.Stats().Callbacks != 2 {
		t.Errorf("a void callback was sent: %+v", s.Stats())
	}
}

func TestDuplicates(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, plain(), Options{Speed: 100, CallbackURL: r.URL, Callbacks: CallbackOptions{Duplicates: 1}})
	s.Begin("ref-1", "")
	eventually(t, func() bool { return s.Stats().Accepted == 2 })
	if got := r.Bodies(); !slices.Equal(got, []string{"ref-1", "ref-1"}) {
		t.Errorf("%v", got)
	}
}

func TestLate(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, plain(), Options{Speed: 600, CallbackURL: r.URL, Callbacks: CallbackOptions{Late: 1}})
	began := time.Now()
	s.Begin("ref-1", "")
	eventually(t, func() bool { return s.Stats().Accepted == 1 })
	if wait := r.Callbacks()[0].At.Sub(began); wait < time.Minute/600 {
		t.Errorf("came after %v", wait)
	}
}

func TestShuffle(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, plain(), Options{Speed: 300, CallbackURL: r.URL, Callbacks: CallbackOptions{Shuffle: true}})
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("ref-%02d", i))
		s.Begin(want[i], "")
	}
	eventually(t, func() bool { return s.Stats().Accepted == 20 })
	got := r.Bodies()
	if slices.Equal(got, want) {
		t.Error("in order")
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithholdAndRelease(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, plain(), Options{Speed: 1e6, CallbackURL: r.URL, Callbacks: CallbackOptions{Withhold: true}})
	s.Begin("ref-1", "")
	s.Begin("ref-2", "")
	if stats := s.Stats(); stats.Waiting != 2 || stats.Callbacks != 0 {
		t.Errorf("%+v", stats)
	}
	s.Release()
	s.Begin("ref-3", "")
	eventually(t, func() bool { return s.Stats().Accepted == 3 })
	got := r.Bodies()
	slices.Sort(got)
	if !slices.Equal(got, []string{"ref-1", "ref-2", "ref-3"}) {
		t.Errorf("%v", got)
	}
}

func TestLifeRunsAhead(t *testing.T) {
	s := started(t, plain(), Options{Speed: 3600})
	began := s.Now()
	eventually(t, func() bool { return s.Now().Sub(began) > time.Minute })
	if s.Clock(time.Hour) != time.Second {
		t.Errorf("an hour takes %v", s.Clock(time.Hour))
	}
}

func TestPeople(t *testing.T) {
	for reference, want := range map[string]string{
		"": "approve", "ref-1": "approve", "user-reject-17": "reject", "Flip": "flip", "rejected": "approve",
		"7/secondlook": "secondlook",
	} {
		if got := PersonOf(reference, Approve); got != want {
			t.Errorf("%q is taken by %s", reference, got)
		}
	}
	sc := Script{{0, "a", nil}, {time.Minute, "b", nil}}
	if sc.Now(0).State != "a" || sc.Now(time.Minute).State != "b" || sc.Last(time.Minute-1) || !sc.Last(time.Minute) {
		t.Error("a beat begins at its time")
	}
}

func TestListenFails(t *testing.T) {
	s := started(t, plain(), Options{})
	if second, err := Start(plain(), Options{Listen: strings.TrimPrefix(s.URL(), "http://")}); err == nil {
		second.Close()
		t.Error("two servers at one address")
	}
}

// Close ends everything: callbacks that wait, are being delivered or are withheld, and slow answers, to
// reading calls and to requests whose body has not been read.
func TestCloseEndsEverything(t *testing.T) {
	hang := make(chan struct{})
	var hanging sync.WaitGroup
	r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer func() { close(hang); hanging.Wait(); r.Close() }()
	s, err := Start(plain(), Options{CallbackURL: r.URL, Faults: Faults{Slow: 1, SlowBy: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	s.Begin("on its way", "")
	s.Send(Message{URL: r.URL, Body: []byte("under delivery")}, 0)
	for _, method := range []string{"GET", "POST"} {
		hanging.Go(func() {
			if _, _, _, err := ask(t, method, s.URL()+"/call", strings.Repeat("x", 10000)); err == nil {
				t.Error("was answered")
			}
		})
	}
	eventually(t, func() bool { return s.Stats().Callbacks == 1 && s.Stats().Calls["call"] == 2 })
	s.Close()
	s.Send(Message{URL: r.URL}, 0)
	s.Begin("too late", "")
	s.Close()
	eventually(t, func() bool { return running("simulate.(*Server)") == 0 })
}

// running counts the goroutines whose stack holds a name.
func running(name string) int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, name) {
			n++
		}
	}
	return n
}

func TestCloseWhileCallbacksBegin(t *testing.T) {
	r := receiver.New(t, nil)
	for range 20 {
		s, err := Start(plain(), Options{Speed: 1e6, CallbackURL: r.URL})
		if err != nil {
			t.Fatal(err)
		}
		var begun sync.WaitGroup
		for range 8 {
			begun.Go(func() { s.Begin("ref", "") })
		}
		s.Close()
		begun.Wait()
	}
}

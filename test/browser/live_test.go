package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"kycbridge/event"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

const (
	liveRate  = 1000             // events a second; half of it after a run for which the processors did not suffice
	liveTime  = 20 * time.Second // duration
	liveBatch = 50               // events that are stored by one flush
	liveRuns  = 3                // maximum number of attempts, because other load on the machine may slow one down
	liveLimit = 300              // ms from the publishing of an event to the screen, for 95 of 100
)

// watchRows records the time at which each row is on the screen, by the id of its verification.
const watchRows = `
window.seen = [];
new MutationObserver((changes) => {
  const rows = changes.flatMap((c) => [...c.addedNodes]).filter((n) => n.dataset?.at);
  requestAnimationFrame(() => setTimeout(() => {
    const now = Date.now();
    for (const row of rows) window.seen.push({ id: row.querySelector('a').href.split('/').pop(), at: now });
  }));
}).observe(document.querySelector('#live tbody'), { childList: true });`

// seen is a row on the screen.
type seen struct {
	ID string `json:"id"`
	At int64  `json:"at"` // ms since 1970
}

// published is when subscribers of the event stream received each event, by the id of its verification.
type published struct {
	mu sync.Mutex
	at map[string]time.Time
}

// delays are the times from receipt by a subscriber to the screen, in ms, the shortest first.
func (p *published) delays(rows []seen) []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var delays []float64
	for _, row := range rows {
		if at, ok := p.at[row.ID]; ok {
			delays = append(delays, float64(time.UnixMilli(row.At).Sub(at).Microseconds())/1000)
		}
	}
	slices.Sort(delays)
	return delays
}

// TestLive publishes 1,000 events a second for 20 s, and measures when each is on the screen of a tab, while another
// tab shows a part of them and a third client reads nothing from its stream.
func TestLive(t *testing.T) {
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	p, other := newTab(t, browser, b), newTab(t, browser, b)
	p.signIn(token)
	p.open("/console/live")
	other.open("/console/live?what=event&outcome=rejected")
	stalled := b.stalled(t, p)
	defer stalled.Close()
	wait.For(t, 10*time.Second, "the live view goes on", func() bool { return strings.Contains(p.text(), "Pause") })
	p.do(chromedp.Evaluate[chromedp.Void](watchRows))
	before := b.memory(t)

	p95, stored := 0.0, 0.0
	for run, rate := 0, liveRate; run < liveRuns; run++ {
		stored += float64(rate) * liveTime.Seconds()
		busy := processors(t)
		if p95 = p.measured(t, b, run, rate); p95 <= liveLimit {
			break
		}
		if math.IsInf(p95, 1) && busy() > 0.8 {
			rate /= 2
		}
	}
	if p95 > liveLimit {
		t.Errorf("95 of 100 events are on the screen within %.0f ms, %d are allowed", p95, liveLimit)
	}
	rows := evaluate[int](p, "document.querySelectorAll('#live tbody tr').length")
	heap := evaluate[float64](p, "performance.memory.usedJSHeapSize")
	after := b.memory(t)
	t.Logf("the page holds %d rows and %.1f MB; the server's heap went from %.1f MB to %.1f MB",
		rows, heap/(1<<20), before/(1<<20), after/(1<<20))
	if rows > 200 || heap > 64<<20 {
		t.Errorf("the page grows: %d rows, %.1f MB", rows, heap/(1<<20))
	}
	// The store itself keeps an index of its messages, recently written data, and the ids for the search.
	if grown := after - before; grown > 64<<20+stored*(8<<10) {
		t.Errorf("the server's heap has grown by %.1f MB", grown/(1<<20))
	}
	if n := evaluate[int](other, "document.querySelectorAll('#live tbody tr').length"); n != 0 {
		t.Errorf("a view of rejected ones shows %d approved ones", n)
	}
	p.pauses(t, b)
	p.clean()
	other.clean()
}

// measured publishes events at a rate and returns the time in ms within which 95 of 100 were on the screen. It is
// infinite if the machine could not publish and show that many.
func (p *tab) measured(t *testing.T, b *bridge, run, rate int) float64 {
	t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void]("window.seen = []"))
	began := time.Now()
	sent, published := b.publish(t, run, rate)
	took := time.Since(began).Round(time.Millisecond)
	for wait := time.Now(); time.Since(wait) < 5*time.Second && evaluate[int](p, "window.seen.length") < sent; {
		time.Sleep(100 * time.Millisecond)
	}
	delays := published.delays(evaluate[[]seen](p, "window.seen"))
	if len(delays) == 0 {
		t.Fatal("no event was on the screen")
	}
	p95 := delays[len(delays)*95/100]
	t.Logf("%d events in %s, %d on the screen: half of them %.0f ms after they were published, "+
		"95 of 100 within %.0f ms, all within %.0f ms",
		sent, took, len(delays), delays[len(delays)/2], p95, delays[len(delays)-1])
	if len(delays) < sent*95/100 || took > liveTime+liveTime/10 {
		t.Log("this run does not count: this machine was too busy with something else for that many events")
		return math.Inf(1)
	}
	return p95
}

// processors returns a function for the part of the machine's processor time that was in use since then.
func processors(t *testing.T) (busy func() float64) {
	t.Helper()
	times := func() (idle, all float64) {
		text, err := os.ReadFile("/proc/stat")
		if err != nil {
			t.Skip(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		for n, field := range strings.Fields(first)[1:] {
			ticks, _ := strconv.ParseFloat(field, 64)
			if all += ticks; n == 3 || n == 4 { // idle, and waiting for a disk
				idle += ticks
			}
		}
		return idle, all
	}
	idle, all := times()
	return func() float64 {
		idleNow, allNow := times()
		return 1 - (idleNow-idle)/(allNow-all)
	}
}

// pauses makes sure that a paused view does not change and can be continued.
func (p *tab) pauses(t *testing.T, b *bridge) {
	t.Helper()
	p.do(chromedp.Click("#pause", chromedp.NodeVisible))
	p.shows("Paused")
	first := "document.querySelector('#live tbody tr').dataset.at"
	at := evaluate[string](p, first)
	b.live(t, 1, "KycIdentification.Rejected Rejected")
	time.Sleep(500 * time.Millisecond)
	if evaluate[string](p, first) != at {
		t.Error("a paused view continues")
	}
	p.do(chromedp.Click("#pause", chromedp.NodeVisible))
	wait.For(
		t,
		5*time.Second,
		"live again",
		func() bool { return strings.Contains(p.text(), "Live") && !strings.Contains(p.text(), "Paused") },
	)
	b.live(t, 2, "KycIdentification.Rejected Rejected")
	wait.For(
		t,
		5*time.Second,
		"a row of a rejected one",
		func() bool {
			return evaluate[bool](p, "document.querySelector('#live tbody').innerText.includes('rejected')")
		},
	)
	p.click("//table[@id='live']//tr[contains(., 'rejected')]//a[contains(., 'final')]")
	p.shows("Rejected, final")
}

// stalled opens the stream and does not read from it.
func (b *bridge) stalled(t *testing.T, p *tab) io.Closer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+b.admin+"/console/live/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", p.cookie())
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %v", res, err)
	}
	return res.Body
}

// publish stores events at a rate, many in one flush as the publisher does, and returns how many, and when
// subscribers received each.
func (b *bridge) publish(t *testing.T, run, rate int) (sent int, received *published) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(b.dir, "data", "operator-password"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("nats://"+b.events, nats.UserInfo("kycbridge", strings.TrimSpace(string(password))))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	received = &published{at: map[string]time.Time{}}
	_, err = nc.Subscribe("kyc.event.v1.>", func(m *nats.Msg) {
		now := time.Now()
		received.mu.Lock()
		defer received.mu.Unlock()
		received.at[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]] = now
	})
	if err != nil {
		t.Fatal(err)
	}
	e := approved(t)
	failed := make(chan error, 1)
	var storing sync.WaitGroup
	tick := time.NewTicker(time.Second * liveBatch / time.Duration(rate))
	defer tick.Stop()
	for batch := range int(liveTime.Seconds()) * rate / liveBatch {
		messages := make([]*nats.Msg, liveBatch)
		for n := range messages {
			messages[n] = nextEvent(t, &e, fmt.Sprint(run, "-", sent))
			sent++
		}
		storing.Go(func() {
			if err := store(nc, fmt.Sprintf("live-%d-%d", run, batch), messages); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		<-tick.C
	}
	storing.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	return sent, received
}

// store stores messages with one flush.
func store(nc *nats.Conn, id string, messages []*nats.Msg) error {
	for n, m := range messages {
		m.Header.Set("Nats-Batch-Id", id)
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(n+1))
		if n < len(messages)-1 {
			if err := nc.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		m.Header.Set("Nats-Batch-Commit", "1")
		answer, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			return err
		}
		if strings.Contains(string(answer.Data), `"error"`) {
			return errors.New(string(answer.Data))
		}
	}
	return nil
}

// approved is an event of a fixture.
func approved(t *testing.T) event.Event {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.Dir() == "ondato/kyc-identification-approved" {
			e, err := event.Decode(c.Golden)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
	}
	t.Fatal("the fixture is gone")
	return event.Event{}
}

// nextEvent is the first event of another verification.
func nextEvent(t *testing.T, e *event.Event, reference string) *nats.Msg {
	t.Helper()
	id := event.VerificationID("ondato", "acme", reference)
	e.Data.VerificationID, e.Data.Account, e.Data.Provider.Name, e.Data.Revision = id, "acme", "ondato", 1
	e.ID, e.RecordedTime = event.ID(id, 1), event.Instant(time.Now())
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: "kyc.put.v1.ondato.acme.completed." + id, Data: body,
		Header: nats.Header{"Content-Type": {"application/cloudevents+json"}, nats.MsgIdHdr: {e.ID}}}
}

// heapInUse finds the heap in the metrics.
var heapInUse = regexp.MustCompile(`(?m)^go_memstats_heap_inuse_bytes (\S+)$`)

// memory is the heap of the server.
func (b *bridge) memory(t *testing.T) float64 {
	t.Helper()
	res, err := http.Get("http://" + b.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := heapInUse.FindSubmatch(text)
	if found == nil {
		t.Fatal("the metrics do not tell the heap")
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

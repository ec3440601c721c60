package publisher

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
	"kycbridge/test/wait"
)

// rawClient speaks the protocol directly, so that it can violate it.
type rawClient struct{ net.Conn }

func (h *readersFixture) raw(user string) *rawClient {
	h.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.server.ClientURL(), "nats://"))
	must(h.T, err)
	h.Cleanup(func() { conn.Close() })
	connectOptions := map[string]any{"verbose": false, "headers": true, "no_responders": true}
	for _, u := range testUsers {
		if u.Username == user {
			connectOptions["user"], connectOptions["pass"] = u.Username, u.Password
		}
	}
	said, err := json.Marshal(connectOptions)
	must(h.T, err)
	_, err = fmt.Fprintf(conn, "CONNECT %s\r\n", said)
	must(h.T, err)
	return &rawClient{conn}
}

// request1 is a request with the reply subject _INBOX.x.1.
func request1(subject, body string) string {
	return fmt.Sprintf("PUB %s _INBOX.x.1 %d\r\n%s\r\n", subject, len(body), body)
}

// fill publishes n events of about the given size.
func (h *readersFixture) fill(n, size int) {
	h.Helper()
	before := h.events()
	for i := range n {
		p := payload(fmt.Sprint("fill-", before+i), "", "{}")
		e, body := eventOf(p, 1)
		e.ID = event.ID(p.VerificationID, 1)
		body = append(body[:len(body)-1], fmt.Sprintf(`,"fill":"%s"}`, strings.Repeat("x", size))...)
		h.publishFirst(key(p), sealed(event.KindUpdated, e, body))
	}
}

// TestSlowReaders: readers that request everything and read nothing use a limited amount of memory, are
// disconnected, and affect neither the bus nor another reader.
func TestSlowReaders(t *testing.T) {
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	h.fill(80, 500<<10) // 40 MB, to each of them
	g := h.server.proxy.users["crm"]
	var slow []*rawClient
	for i := range 12 {
		c := h.raw("crm")
		name := fmt.Sprint("slow", i)
		_, err := io.WriteString(c, "SUB _INBOX.x.* 1\r\n"+
			request1("$JS.API.CONSUMER.CREATE.KYC_EVENTS."+name,
				`{"stream_name":"KYC_EVENTS","config":{"name":"`+name+`","ack_policy":"none"}}`))
		must(t, err)
		slow = append(slow, c)
	}
	eventually(t, "their consumers are there", func() bool {
		s, err := h.bus.js.Stream(t.Context(), "KYC_EVENTS")
		return err == nil && s.CachedInfo().State.Consumers == len(slow)
	})
	for i, c := range slow {
		_, _ = io.WriteString(c, request1(fmt.Sprint("$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.slow", i),
			`{"batch":200,"expires":30000000000}`))
	}
	most, cut := 0, 0
	for deadline := time.Now().Add(6 * time.Second * wait.Slowdown); time.Now().Before(deadline) &&
		cut == 0; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		most = max(most, g.backlog)
		cut = len(slow) - len(g.conns)
		g.mu.Unlock()
	}
	if most > userBacklog || cut == 0 {
		t.Errorf("%d MB waited for them at most, %d of %d were cut off", most>>20, cut, len(slow))
	}
	_, js := h.client("bi")
	var honest jetstream.Consumer
	wait.For(t, 5*time.Second, "another reader makes a consumer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		honest, err = js.CreateConsumer(ctx, "KYC_EVENTS", jetstream.ConsumerConfig{
			AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Minute})
		return err == nil
	})
	began := time.Now()
	h.publish(1)
	h.next(honest, 3)
	if took := time.Since(began); took > 3*time.Second*wait.Slowdown {
		t.Errorf("an event and another reader took %s", took)
	}
	t.Logf("%d MB waited for them at most, %d of %d were cut off", most>>20, cut, len(slow))
}

// publishAndRead publishes n events, reads each from a consumer before the next, and returns how long all of them and
// the slowest took.
func (h *readersFixture) publishAndRead(c jetstream.Consumer, n int) (all, slowest time.Duration) {
	h.Helper()
	for range n {
		began := time.Now()
		h.publish(1)
		h.next(c, 1)
		took := time.Since(began)
		all, slowest = all+took, max(slowest, took)
	}
	return all, slowest
}

// TestFloods: unlimited requests of one reader delay neither the bus nor another reader.
func TestFloods(t *testing.T) {
	const create = `{"stream_name":"KYC_EVENTS","config":{"name":"flood","durable_name":"flood","ack_policy":"explicit"}}`
	for name, line := range map[string]string{
		"requests":           request1("$JS.API.STREAM.INFO.KYC_EVENTS", ""),
		"refused requests":   request1("$JS.API.STREAM.INFO.KYC_PAYLOADS", ""),
		"consumers":          request1("$JS.API.CONSUMER.CREATE.KYC_EVENTS.flood", create),
		"pulls":              request1("$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.flood", `{"batch":10000,"no_wait":true}`),
		"gets":               request1("$JS.API.DIRECT.GET.KYC_EVENTS", `{"seq":1,"batch":1000}`),
		"acknowledgements":   "PUB $JS.ACK.KYC_EVENTS.crm~flood.1.1.1.1.0 4\r\n+ACK\r\n",
		"subscriptions":      "SUB kyc.event.v1.> 7\r\nUNSUB 7\r\n",
		"pings":              "PING\r\n",
		"many subscriptions": "",
	} {
		t.Run(name, func(t *testing.T) {
			h := newReadersFixture(t, t.TempDir(), testUsers...)
			h.fill(50, 2<<10)
			_, js := h.client("bi")
			honest, err := js.CreateConsumer(t.Context(), "KYC_EVENTS",
				jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy,
					InactiveThreshold: time.Minute})
			must(t, err)
			allBefore, slowestBefore := h.publishAndRead(honest, 20)
			var flooding sync.WaitGroup
			var floods []*rawClient
			for range 4 {
				c := h.raw("crm")
				go func() { _, _ = io.Copy(io.Discard, c) }()
				flooding.Go(func() {
					_, _ = io.WriteString(c, "SUB _INBOX.x.* 1\r\n")
					if line == "" {
						for i := range readerSubscriptions - 1 {
							_, _ = fmt.Fprintf(c, "SUB kyc.event.v1.> %d\r\n", i+2)
						}
						return
					}
					for flood := []byte(strings.Repeat(line, 500)); ; {
						if _, err := c.Write(flood); err != nil {
							return
						}
					}
				})
				floods = append(floods, c)
			}
			defer flooding.Wait()
			defer func() {
				for _, c := range floods {
					c.Close()
				}
			}()
			all, slowest := h.publishAndRead(honest, 20)
			// Where even an undisturbed event takes long, because other tests use the machine, so does one of these.
			if slowest > max(2*time.Second*wait.Slowdown, 20*slowestBefore) ||
				all > max(5*time.Second*wait.Slowdown, 20*allBefore) {
				t.Errorf("20 events took %s, one of them %s; before the flood %s and %s", all, slowest, allBefore, slowestBefore)
			}
			t.Logf("20 events, published and read by another, took %s, the slowest %s; before the flood %s and %s",
				all, slowest, allBefore, slowestBefore)
		})
	}
}

// TestFirstSubscriptionsTogether: clients of one user make its first subscriptions at the same moment. The
// race detector checks it.
func TestFirstSubscriptionsTogether(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	var clients []*nats.Conn
	for range readerConnections / 2 {
		nc, _ := h.client("crm")
		clients = append(clients, nc)
	}
	begin := make(chan struct{})
	var subscribing sync.WaitGroup
	for _, nc := range clients {
		subscribing.Go(func() {
			<-begin
			for _, subject := range []string{"_INBOX.first", "kyc.event.v1.ondato.acme.completed.first"} {
				if _, err := nc.SubscribeSync(subject); err != nil {
					t.Error(err)
				}
			}
			if err := nc.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	subscribing.Wait()
}

// TestProxySendsRefusalReason: a client that the server refuses receives the reason, and a wrong name
// counts as unknown.
func TestProxySendsRefusalReason(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	for what, option := range map[string]nats.Option{
		"no user": nats.Name("nobody"), "a wrong password": nats.UserInfo("crm", "wrong"),
		"the operator's name": nats.UserInfo(operator, "wrong"),
	} {
		if nc, err := nats.Connect(h.server.ClientURL(), option); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", what, err)
			nc.Close()
		}
	}
	for range readerConnections {
		h.client("crm")
	}
	if _, err := nats.Connect(h.server.ClientURL(), nats.UserInfo("crm", "crm-password-1")); err == nil ||
		!strings.Contains(err.Error(), "maximum account active connections") {
		t.Errorf("one connection too many: %v", err)
	}
	if _, js := h.client("bi"); js == nil {
		t.Error("another reader is kept out")
	}
	for line, password := range map[string]string{
		`CONNECT {"user":"crm","pass":"crm-password-1"}`:             "crm-password-1",
		`connect {"User":"crm","PASS":"crm-password-1"}`:             "crm-password-1",
		`CONNECT {"user":"bi","user":"crm","pass":"crm-password-1"}`: "crm-password-1",
		`CONNECT {"user":"crm","pass":"bi-password-12"}`:             "",
		`CONNECT {"user":"kycbridge","pass":""}`:                     "",
		`CONNECT {`:                                                  "",
		`PING`:                                                       "",
	} {
		if g := h.server.proxy.userOf([]byte(line + "\r\n")); g.password != password || g.limiter == nil {
			t.Errorf("%s: taken for a user with the password %q", line, g.password)
		}
	}
}

// TestProxyHandshake: a client that sends nothing, or garbage, is disconnected.
func TestProxyHandshake(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir())
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.server.ClientURL(), "nats://"))
	must(t, err)
	defer conn.Close()
	from := bufio.NewReader(conn)
	if line, err := from.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO {") {
		t.Fatalf("greeted with %q, %v", line, err)
	}
	_, err = conn.Write(bytes.Repeat([]byte("x"), maxConnectLine+1))
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(connectTimeout)))
	began := time.Now()
	received, _ := io.ReadAll(from)
	if took := time.Since(began); !strings.HasPrefix(string(received), "-ERR '") || took > connectTimeout/2 {
		t.Errorf("after a first line without end the client receives %q, and the end after %s", received, took)
	}
}

func TestLineCosts(t *testing.T) {
	t.Parallel()
	whole := "SUB a 1\r\nPUB a 3\r\nabc\r\nunsub 1\r\nPING\r\n"
	want := len(whole) + 2*subscribeCost + 3*lineCost
	for cut := range len(whole) {
		var pieces lineCosts
		if got := pieces.of([]byte(whole[:cut])) + pieces.of([]byte(whole[cut:])); got != want {
			t.Errorf("cut at %d it costs %d, want %d", cut, got, want)
		}
	}
}

// TestIdleConnections: thousands of idle connections use little memory, receive the reason for their
// refusal, and block no regular client.
func TestIdleConnections(t *testing.T) {
	const idle = 5000
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	address := strings.TrimPrefix(h.server.ClientURL(), "nats://")
	before := inUse()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	most, slowest := uint64(0), time.Duration(0)
	for i := range idle {
		c, err := net.Dial("tcp", address)
		must(t, err)
		open = append(open, c)
		if i%1000 == 999 {
			began := time.Now()
			nc, js := h.client("bi")
			_, err := js.Stream(t.Context(), "KYC_EVENTS")
			must(t, err)
			nc.Close()
			slowest, most = max(slowest, time.Since(began)), max(most, inUse())
		}
	}
	if most > before+64<<20 || slowest > 3*time.Second*wait.Slowdown {
		t.Errorf("%d idle connections: %d MB more, an honest client took %s", idle, (most-before)>>20, slowest)
	}
	must(t, open[0].SetReadDeadline(time.Now().Add(connectTimeout)))
	if said, err := io.ReadAll(open[0]); err != nil || !strings.HasSuffix(string(said), authenticationTimeout) {
		t.Errorf("a silent client receives %q, %v", said, err)
	}
	h.server.proxy.unauthenticated.mu.Lock()
	defer h.server.proxy.unauthenticated.mu.Unlock()
	if n := len(h.server.proxy.unauthenticated.conns); n > maxUnauthenticated {
		t.Errorf("%d silent clients are kept", n)
	}
	t.Logf("%d idle connections: %d MB more, an honest client took %s at most", idle, (most-min(most, before))>>20,
		slowest)
}

// inUse is the memory in use, stacks included.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestReaderThatStopsReading: the data that waits for live subscribers that stopped reading is limited for
// each and for all of a user, while publishing continues and another reader receives events in time.
func TestReaderThatStopsReading(t *testing.T) {
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	_, js := h.client("bi")
	honest, err := js.CreateConsumer(t.Context(), "KYC_EVENTS",
		jetstream.ConsumerConfig{
			AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Minute})
	must(t, err)
	var stopped []*rawClient
	for range 4 {
		c := h.raw("crm")
		_, err := io.WriteString(c, "SUB kyc.event.v1.> 1\r\nSUB kyc.event.v1.> 2\r\nPING\r\n")
		must(t, err)
		stopped = append(stopped, c)
	}
	g := h.server.proxy.users["crm"]
	eventually(t, "they are admitted", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.conns) == len(stopped)
	})
	mostOfOne, mostOfAll, slowest := 0, 0, time.Duration(0)
	for range 80 {
		began := time.Now()
		h.fill(1, 500<<10)
		h.next(honest, 1)
		slowest = max(slowest, time.Since(began))
		g.mu.Lock()
		for p := range g.conns {
			mostOfOne = max(mostOfOne, p.backlog)
		}
		mostOfAll = max(mostOfAll, g.backlog)
		g.mu.Unlock()
	}
	if mostOfOne > 16<<20 || mostOfAll > 32<<20 || mostOfAll == 0 || slowest > 3*time.Second*wait.Slowdown {
		t.Errorf("%d MB waited for one, %d MB for all, an event took %s", mostOfOne>>20, mostOfAll>>20, slowest)
	}
	t.Logf("%d MB waited for one, %d MB for all at most, the slowest event took %s", mostOfOne>>20, mostOfAll>>20, slowest)
}

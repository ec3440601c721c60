package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/keys"
	"kycbridge/publisher"
	"kycbridge/schemas"
	"kycbridge/test/bench/body"
	"kycbridge/test/fixture"
)

// benchBodies are a 1.3 kB Ondato webhook and a 12.8 kB Signzy result.
func benchBodies(tb testing.TB) []body.Body {
	tb.Helper()
	bodies, err := body.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return bodies
}

func benchConfig(b *testing.B, dir, key, more string) *app.Config {
	b.Helper()
	path := filepath.Join(dir, "kycbridge.yaml")
	text := fmt.Sprintf("listen: '127.0.0.1:0'\nadmin: {listen: '127.0.0.1:0'}\nembedded: {listen: "+
		"'127.0.0.1:0'}\ndata_dir: %q\n%saccounts:\n", dir, more)
	for _, provider := range []string{"ondato", "signzy"} {
		text += fmt.Sprintf("  - {name: acme, provider: %s, environment: test, confirm: false, auth: {bearer: [%s]}}\n",
			provider, key)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		b.Fatal(err)
	}
	return config
}

// BenchmarkPath sends payloads over 64 connections to a whole process, with an fsync before every
// answer, as fast as they are answered, and waits for all events. The load generator shares the
// processors.
func BenchmarkPath(b *testing.B) {
	for _, body := range benchBodies(b) {
		b.Run(fmt.Sprintf("%s_%dB", body.Provider, body.Size()), func(b *testing.B) { benchPath(b, body, 0, "") })
	}
}

// BenchmarkSealedPath is BenchmarkPath with features that are off by default: encrypted bodies, signed events, these
// two with the tamper-evident log, and none for comparison.
func BenchmarkSealedPath(b *testing.B) {
	dir := b.TempDir()
	master, signing := filepath.Join(dir, "master.keys"), filepath.Join(dir, "log.key")
	line, err := keys.Generate("bench")
	if err != nil {
		b.Fatal(err)
	}
	private, _ := newSigningKey(b)
	for name, text := range map[string]string{master: line, signing: private} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	encryption := "encryption: {key_file: " + master + "}\n"
	signed := "integrity: {signing_key_file: " + signing + "}\n"
	log := "integrity: {log: true, signing_key_file: " + signing + "}\n"
	for _, body := range benchBodies(b) {
		for name, more := range map[string]string{"none": "", "encryption": encryption, "signatures": signed,
			"all": encryption + log} {
			b.Run(body.Provider+"/"+name, func(b *testing.B) { benchPath(b, body, 0, more) })
		}
	}
}

// BenchmarkPaced measures the rate of payloads with their events, sends payloads at shares of it, and reports how long
// the answers took, and after what time from its receipt an event was at a live subscriber.
func BenchmarkPaced(b *testing.B) {
	for _, body := range benchBodies(b) {
		rate := 0.0
		b.Run(body.Provider+"/as_fast_as_possible", func(b *testing.B) { rate = benchPath(b, body, 0, "") })
		for _, percent := range []float64{60, 30, 10} {
			b.Run(fmt.Sprintf("%s/at_%.0f_percent", body.Provider, percent), func(b *testing.B) {
				if rate > 0 {
					benchPath(b, body, int(rate*percent/100), "")
				}
			})
		}
	}
}

// processorTime is the processor time that all threads of this process have used so far.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchPath sends b.N payloads: rate per second or, if rate is 0, as fast as they are answered. It returns the payloads
// per second until the last event.
func benchPath(b *testing.B, body body.Body, rate int, more string) (perSecond float64) {
	app.TuneMemory()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0)) // which TuneProcessors changes
	dir, err := os.MkdirTemp("", "kycbridge-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	config := benchConfig(b, dir, "bench-key-bench-key", more)
	app.TuneProcessors(config)
	a, err := app.Start(b.Context(), config, app.AllRoles(), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	defer a.Stop()
	requests := make([][]byte, b.N)
	for i := range requests {
		payload := body.Next(i)
		requests[i] = fmt.Appendf(nil,
			"POST /webhooks/%s/acme HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer "+
				"bench-key-bench-key\r\nContent-Length: %d\r\n\r\n%s", body.Provider, len(payload), payload)
	}
	delays := func() []time.Duration { return nil }
	if rate > 0 {
		delays = subscribeForDelays(b, a.ClientURL())
	}
	b.SetBytes(int64(body.Size()))
	b.ResetTimer()
	start, used := time.Now(), processorTime(b)
	took := blast(b, a.CallbackAddr(), requests, 64, rate)
	sent := time.Since(start)
	_, events, err := a.Progress(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N-events), "events-behind")
	for events < b.N {
		if time.Since(start) > 5*time.Minute {
			b.Fatalf("%d of %d events", events, b.N)
		}
		time.Sleep(5 * time.Millisecond)
		if _, events, err = a.Progress(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	if lag, err := a.Archive().Indexing.Lag(context.Background()); err == nil {
		b.ReportMetric(float64(lag.Events), "unindexed-events")
	}
	slices.Sort(took)
	b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-us/payload")
	b.ReportMetric(float64(b.N)/sent.Seconds(), "payloads/s")
	perSecond = float64(b.N) / time.Since(start).Seconds()
	b.ReportMetric(perSecond, "events/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	if late := delays(); len(late) > 0 {
		b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "event-p50-ms")
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "event-p99-ms")
	}
	return perSecond
}

// subscribeForDelays subscribes to the events. delays returns the times from the receipt of the payload to the
// subscriber, in ascending order.
func subscribeForDelays(b *testing.B, url string) (delays func() []time.Duration) {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	var mu sync.Mutex
	var all []time.Duration
	sub, err := nc.Subscribe("kyc.event.v1.>", func(m *nats.Msg) {
		now := time.Now()
		_, rest, _ := bytes.Cut(m.Data, []byte(`"received_at":"`))
		text, _, _ := bytes.Cut(rest, []byte(`"`))
		at, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			b.Errorf("an event without the time of its receipt: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, now.Sub(at))
	})
	if err != nil || nc.Flush() != nil || sub.SetPendingLimits(-1, -1) != nil {
		b.Fatal("subscribe to the events: ", err)
	}
	return func() []time.Duration {
		if err := nc.Flush(); err != nil {
			b.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(all)
		return all
	}
}

// blast sends every request, fails on any answer other than 200 and returns how long each answer took.
func blast(b testing.TB, addr string, requests [][]byte, connections, rate int) []time.Duration {
	took := make([]time.Duration, len(requests))
	start := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				if rate > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				began := time.Now()
				if _, err := conn.Write(requests[i]); err != nil {
					b.Error(err)
					return
				}
				if status := readAnswer(r); status != 200 {
					b.Errorf("answered %d", status)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	return took
}

// readAnswer reads one HTTP answer and returns its status; 0 if the connection broke.
func readAnswer(r *bufio.Reader) int {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 12 {
		return 0
	}
	status, _ := strconv.Atoi(line[9:12])
	length := 0
	for {
		if line, err = r.ReadString('\n'); err != nil {
			return 0
		}
		if line == "\r\n" {
			break
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
	}
	if _, err := r.Discard(length); err != nil {
		return 0
	}
	return status
}

// BenchmarkSteps times each step of the path on its own.
func BenchmarkSteps(b *testing.B) {
	set, err := schemas.New()
	if err != nil {
		b.Fatal(err)
	}
	for _, body := range benchBodies(b) {
		raw := body.Next(1)
		c := fixture.Case{Provider: body.Provider, Profile: event.ProfileFull, Via: event.ViaCallback, Body: raw}
		p := newPath(set, c)
		p.account.Credentials.Bearer = []string{"bench-key-bench-key"}
		request := kycbridge.Request{Header: map[string][]string{"Authorization": {"Bearer bench-key-bench-key"}}, Body: raw,
			ReceivedAt: received}
		ctx := context.Background()
		if _, err := p.intake.Ingest(ctx, p.account, kycbridge.Payload{Body: raw, Via: c.Via}); err != nil {
			b.Fatal(err)
		}
		step := func(name string, work func() error) {
			b.Run(body.Provider+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					if err := work(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		step("authenticate", func() error { _, err := p.account.Provider.Verify(p.account.Credentials, request); return err })
		step("validate", func() error {
			doc, _ := p.account.Provider.Read(raw)
			id := p.account.Provider.Identify(doc, c.Via)
			if faults := p.account.Provider.Validate(id.Schema, id.Document); len(faults) > 0 {
				return fmt.Errorf("%v", faults)
			}
			return nil
		})
		step("map", func() error { _, err := p.account.Observe(*p.memory.stored); return err })
		step("map_merge_write_check", func() error { _, err := p.normalizer.Process(ctx, *p.memory.stored); return err })
		benchStreams(b, body)
	}
}

// benchStreams times storing a payload and publishing an event, 64 at a time, on a real server with
// an fsync before every acknowledgement.
func benchStreams(b *testing.B, body body.Body) {
	names := publisher.Names{Subject: "kyc", Stream: "KYC"}
	server, err := publisher.StartEmbedded(publisher.EmbeddedOptions{Dir: b.TempDir(), Names: names, MaxBody: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	dial := func(name string) *publisher.Connection {
		c, err := publisher.Connect(b.Context(), publisher.Dial{Name: name, Options: server.Dial(), Server: server}, 1<<20,
			zap.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	store, err := publisher.OpenStore(b.Context(), dial("store"), names, 1<<20, 1, kycbridge.DefaultRetention())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	bus, err := publisher.OpenBus(b.Context(), dial("bus"), names, 1<<20, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bus.Close)
	var n atomic.Int64
	payload := func() kycbridge.Payload {
		i := int(n.Add(1))
		raw := body.Next(i)
		digest := kycbridge.Digest(raw)
		return kycbridge.Payload{ID: fmt.Sprint("bench.", i), Provider: body.Provider, Account: "acme", Digest: digest,
			VerificationID: event.VerificationID(body.Provider, "acme", strconv.Itoa(i)), Via: event.ViaCallback,
			ReceivedAt: received, Body: raw}
	}
	parallel := func(name string, work func(context.Context) error) {
		b.Run(body.Provider+"/"+name, func(b *testing.B) {
			b.SetBytes(int64(body.Size()))
			b.SetParallelism(32) // per processor
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := work(context.Background()); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	parallel("store_64", func(ctx context.Context) error { _, err := store.Append(ctx, payload()); return err })
	parallel("publish_64", func(ctx context.Context) error {
		p := payload()
		k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
		e := kycbridge.Outgoing{Event: &event.Event{ID: event.ID(p.VerificationID, 1)}, Kind: event.KindCompleted,
			Body: p.Body}
		return bus.Publish(ctx, k, e, 0)
	})
}

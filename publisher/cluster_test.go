package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// TestReadsOnAClusterSeeEveryAcknowledgedWrite runs three servers with streams of three replicas and reads
// through one server what another has just acknowledged. A lagging replica must not answer: a newer
// verdict would be taken for a new one, or a second body for a known one.
func TestReadsOnAClusterSeeEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	store0, bus0 := join(t, urls[0])
	store1, bus1 := join(t, urls[1])
	store2, bus2 := join(t, urls[2])
	// A lagging replica cannot be produced on demand, so the read mode is checked as well.
	if store1.payloadLog.CachedInfo().Config.AllowDirect || bus1.stream.CachedInfo().Config.AllowDirect {
		t.Error("reads may be answered by any replica")
	}
	for i := range 150 {
		p := payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d}`, i))
		if _, err := store0.Append(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		for n, s := range []*Store{store1, store2} {
			seen := 0
			if err := s.History(t.Context(), key(p), func(kycbridge.Payload) error { seen++; return nil }); err != nil ||
				seen != 1 {
				t.Errorf("payload %d: server %d sees %d stored payloads (%v), want 1", i, n+1, seen, err)
			}
		}
		second := p
		second.Body = fmt.Appendf(nil, `{"other":%d}`, i)
		second.Digest = kycbridge.Digest(second.Body)
		if stored, err := store1.Append(t.Context(), second); err != nil || !stored.Duplicate || stored.Digest != p.Digest {
			t.Errorf("payload %d: another body under its id: %+v, %v; want the digest of the first", i, stored, err)
		}
		e, body := eventOf(p, 1)
		if err := bus0.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0); err != nil {
			t.Fatal(err)
		}
		for n, b := range []*Bus{bus1, bus2} {
			if last, err := b.Last(t.Context(), key(p), true); err != nil || last.Data == nil {
				t.Errorf("event %d: server %d does not see it (%v)", i, n+1, err)
			}
		}
	}
}

// TestConcurrentPublishThroughTwoNodes: a provider posts a payload to two replicas at the same moment, and
// both publish the same revision. The cluster refuses a message whose id is being replicated; that lasts
// milliseconds, and must give the final result: a duplicate, and a conflict.
func TestConcurrentPublishThroughTwoNodes(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	store0, bus0 := join(t, urls[0])
	store1, bus1 := join(t, urls[1])
	for i := range 100 {
		p := payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d}`, i))
		var stored [2]kycbridge.Stored
		atOnce(t, func(n int) (err error) {
			stored[n], err = []*Store{store0, store1}[n].Append(t.Context(), p)
			return err
		})
		if stored[0].Duplicate == stored[1].Duplicate {
			t.Errorf("payload %d: %+v; want one stored and one duplicate", i, stored)
		}
		e, body := eventOf(p, 1)
		var conflicts atomic.Int32
		atOnce(t, func(n int) error {
			err := []*Bus{bus0, bus1}[n].Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0)
			if errors.Is(err, kycbridge.ErrConflict) {
				conflicts.Add(1)
				return nil
			}
			return err
		})
		if conflicts.Load() != 1 {
			t.Errorf("event %d: %d of two lost the race, want one", i, conflicts.Load())
		}
	}
}

// atOnce runs do for 0 and 1 at the same moment.
func atOnce(t *testing.T, do func(n int) error) {
	t.Helper()
	var both sync.WaitGroup
	for n := range 2 {
		both.Go(func() {
			if err := do(n); err != nil {
				t.Errorf("%d: %v", n, err)
			}
		})
	}
	both.Wait()
}

// TestStartBeforeTheLastNode: all starts at once, and the first process asks for its streams before the last server is
// there. Streams of three replicas cannot be placed then; the server answers with an error that does not last.
func TestStartBeforeTheLastNode(t *testing.T) {
	t.Parallel()
	nodes := clusterOptions(t, 3)
	var known [3]*server.Server // the nodes know each other from here
	for i, o := range nodes {
		known[i] = newNode(t, o)
	}
	wait.For(t, 30*time.Second, "the cluster complete", func() bool { return create(t, known[0], "COMPLETE") == nil })
	for _, s := range known {
		s.Shutdown()
		s.WaitForShutdown()
	}

	first := newNode(t, nodes[0])
	newNode(t, nodes[1])
	var refused *jetstream.APIError
	wait.For(t, 30*time.Second, "an answer of two nodes with a leader", func() bool {
		return errors.As(create(t, first, "WITHOUT"), &refused) && refused.Code != http.StatusServiceUnavailable
	})
	if !leaderless(refused) {
		t.Errorf("two of three nodes say %v, which counts as permanent", refused)
	}
	last := prepareNode(t, nodes[2])
	time.AfterFunc(2*time.Second, last.Start)
	store, _ := join(t, first.ClientURL()) // no stream of three replicas can be made before that
	if _, err := store.Append(t.Context(), payload("idv-1", "e1", `{"n":1}`)); err != nil {
		t.Error(err)
	}
}

// create creates a stream of three replicas through one node.
func create(t *testing.T, at *server.Server, name string) error {
	t.Helper()
	nc, err := nats.Connect(at.ClientURL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Replicas: 3})
	return err
}

// cluster starts n servers that know each other and returns their addresses.
func cluster(t *testing.T, n int) (urls []string) {
	t.Helper()
	for _, o := range clusterOptions(t, n) {
		urls = append(urls, startNode(t, o))
	}
	return urls
}

// clusterOptions are the options of n servers that know each other.
func clusterOptions(t *testing.T, n int) (all []*server.Options) {
	t.Helper()
	nodes, routes := make([]int, n), make([]string, n)
	for i := range nodes {
		nodes[i] = freeport.New(t)
		routes[i] = "nats://" + freeport.Local(nodes[i])
	}
	for i, port := range nodes {
		o := &server.Options{
			ServerName: fmt.Sprint("node-", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
			StoreDir: t.TempDir(),
			NoLog:    true, NoSigs: true, MaxPayload: 8 << 20, Routes: server.RoutesFromStr(strings.Join(routes, ",")),
		}
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}
		all = append(all, o)
	}
	return all
}

func startNode(t *testing.T, o *server.Options) string {
	t.Helper()
	s := newNode(t, o)
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("a node did not start")
	}
	return s.ClientURL()
}

// newNode starts a server that runs until the end of the test at most.
func newNode(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	s := prepareNode(t, o)
	s.Start()
	return s
}

// prepareNode makes a server that is not started yet.
func prepareNode(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// join opens store and bus through one node, at once: it is for the product to wait for the cluster.
func join(t *testing.T, url string) (*Store, *Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	dial := func(name string) *Connection {
		c, err := Connect(ctx, Dial{Name: name, URL: url}, testMaxBody, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	atStore, atBus := dial("store"), dial("bus")
	store, err := OpenStore(ctx, atStore, testNames, testMaxBody, 3, kycbridge.DefaultRetention())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	bus, err := OpenBus(ctx, atBus, testNames, testMaxBody, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return store, bus
}

// TestOnlyTheLeaderIsRead: with replicas no operation of the store reads by a direct get, which a replica that is
// behind may answer. The client library returns to direct gets when it is asked for information on a stream.
func TestOnlyTheLeaderIsRead(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	store, bus := join(t, urls[0])
	seen := make(chan string, 1000)
	_, err := store.nc.Subscribe("$JS.API.DIRECT.GET.>", func(m *nats.Msg) { seen <- m.Subject })
	must(t, err)
	must(t, store.nc.Flush())
	k := indexed(t, store, bus, 1, "case-one")
	eventually(t, "the index has caught up",
		func() bool { return NewIndexer(store, bus).CatchUp(t.Context(), nil) == nil })
	for range 2 {
		h := kycbridge.Hold{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Since: time.Now()}
		must(t, store.PutHold(t.Context(), h))
		if _, err := store.ClaimOne(t.Context(), k, time.Now()); !errors.Is(err, kycbridge.ErrHeld) {
			t.Errorf("a held verification was claimed: %v", err)
		}
		if got := standingFor(t, store, "case-one", false); len(got) != 1 {
			t.Errorf("found %v", got)
		}
		_, err := bus.Last(t.Context(), k, true)
		must(t, err)
		must(t, store.removeGarbage(t.Context()))
	}
	must(t, store.nc.Flush())
	select {
	case subject := <-seen:
		t.Errorf("a replica may have answered %s", subject)
	case <-time.After(100 * time.Millisecond):
	}
}

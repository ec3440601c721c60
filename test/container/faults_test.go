package container

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
	"golang.org/x/time/rate"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

var (
	holdFlag = flag.Duration("hold", 6*time.Second, "how long each fault of TestFaults lasts")
	rateFlag = flag.Float64("rate", 150, "callbacks a second during the faults")
)

// fault is an injected fault of a cluster, and its end.
type fault struct {
	name string
	hurt func(*faultyCluster)
	heal func(*faultyCluster)
}

// faultyCluster is a cluster into which a fault is injected.
type faultyCluster struct {
	*cluster
	engine *testcontainers.DockerClient
	leader *node // of the payload log
}

// faults are those of the table in docs/reliability.md, in its order.
var faults = []fault{
	{"the leader of the payload log killed, and started again", func(h *faultyCluster) { h.kill(h.leader) },
		func(h *faultyCluster) { h.start(h.leader) }},
	{"the leader paused, and continued", func(h *faultyCluster) { h.pause(h.leader) },
		func(h *faultyCluster) { h.unpause(h.leader) }},
	{"the leader cut from the network, and connected again", func(h *faultyCluster) { h.cut(h.leader) },
		func(h *faultyCluster) { h.connectAgain(h.leader) }},
	{"two of three NATS servers killed: no majority", func(h *faultyCluster) { h.kill(h.nats[0], h.nats[1]) },
		func(h *faultyCluster) { h.start(h.nats[0], h.nats[1]) }},
	{"all three NATS servers killed at once", func(h *faultyCluster) { h.kill(h.nats...) },
		func(h *faultyCluster) { h.start(h.nats...) }},
	{"a replica killed, and started again", func(h *faultyCluster) { h.kill(h.replicas[0]) },
		func(h *faultyCluster) { h.start(h.replicas[0]) }},
	{"a replica cut from the network, and connected again", func(h *faultyCluster) { h.cut(h.replicas[1]) },
		func(h *faultyCluster) { h.connectAgain(h.replicas[1]) }},
	{"all restarted, one after the other", func(h *faultyCluster) { h.roll() }, func(*faultyCluster) {}},
}

// TestFaults injects faults into a cluster of three NATS servers with two replicas behind a proxy, under a steady
// load of callbacks. Each time it checks whether a payload that was answered 200 is lost, duplicated or forked, and
// how long no callback was answered 200. Its log is the table of docs/reliability.md.
func TestFaults(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2, twoAccounts)
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	var rows []string
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			h := &faultyCluster{cluster: c.on(t), engine: engine}
			rows = append(rows, h.runFault(f, uint32(0xfa00+i)))
		})
	}
	t.Logf("\n| fault | callbacks answered 200 | lost | doubled | forked | longest time without a 200 "+
		"|\n|---|---|---|---|---|---|\n%s", strings.Join(rows, "\n"))
}

// runFault runs one fault under load and returns its row of the table.
func (h *faultyCluster) runFault(f fault, run uint32) string {
	h.t.Helper()
	h.healthy()
	h.leader = h.cluster.leader("KYC_PAYLOADS")
	l := &traffic.Load{Post: h.post, Ledger: traffic.NewLedger(), Run: run, Seed: uint64(run),
		Pace: rate.NewLimiter(rate.Limit(*rateFlag), 16)}
	l.Ledger.Proxied = true
	ctx, cancel := context.WithCancel(h.t.Context())
	defer func() { cancel(); l.Wait() }()
	l.Start(ctx, 24)
	h.more(l, int64(*rateFlag))
	_ = l.Ledger.Silence()

	f.hurt(h)
	pause := time.NewTimer(*holdFlag)
	select {
	case <-pause.C:
	case <-h.t.Context().Done():
		pause.Stop()
	}
	f.heal(h)
	h.more(l, int64(*rateFlag))
	h.healthy()
	h.more(l, int64(*rateFlag))
	cancel()
	l.Wait()
	silence := l.Ledger.Silence()
	h.settled(90 * time.Second)
	all := traffic.Histories(h.t, h.urls(), h.as("reader", readerPassword)...)
	sound, verdict := traffic.Sound(h.t, all), l.Ledger.Judge(h.t, all)
	for v, history := range all {
		if restored := history[len(history)-1].RestoredTime; restored != "" {
			h.t.Errorf("verification %s: its events say that the history was restored at %s; nothing was lost", v, restored)
			break
		}
	}
	for _, v := range verdict.Without {
		h.t.Logf("verification %s:%s", v, h.dispositionsOf(v))
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %.1f s |", f.name, verdict.Promised, verdict.Lost, sound.Doubled,
		sound.Forked, silence.Seconds())
}

// dispositionsOf are the stored dispositions of the payloads of a verification, to explain a missing
// event.
func (h *faultyCluster) dispositionsOf(verification string) string {
	h.t.Helper()
	var text strings.Builder
	stored := map[uint64]string{}
	h.read("KYC_PAYLOADS", "kyc.payload.*.*."+verification, func(seq uint64, m jetstream.Msg) {
		stored[seq] = m.Headers().Get(jetstream.MsgIDHeader)
	})
	h.read("KYC_DISPOSITIONS", "kyc.disposition", func(at uint64, m jetstream.Msg) {
		var entries []json.RawMessage
		if json.Unmarshal(m.Data(), &entries) != nil {
			return
		}
		for _, entry := range entries {
			var seq uint64
			if json.Unmarshal(entry, &[]any{&seq}) == nil && stored[seq] != "" {
				fmt.Fprintf(&text, "\n  payload %d %s: disposition %d %s", seq, stored[seq], at, entry)
			}
		}
	})
	h.read("KYC_EVENTS", "kyc.event.v1.*.*.*."+verification, func(seq uint64, m jetstream.Msg) {
		fmt.Fprintf(&text, "\n  event %d %s", seq, m.Subject())
	})
	return fmt.Sprintf(" stored %v%s", stored, text.String())
}

// read passes on the current messages of a stream on a subject. A new consumer may be requested before all
// servers have it, so a failure is retried.
func (h *faultyCluster) read(stream, subject string, each func(seq uint64, m jetstream.Msg)) {
	h.t.Helper()
	js, err := jetstream.New(h.connect("kycbridge", bridgePassword))
	if err != nil {
		h.t.Fatal(err)
	}
	wait.For(h.t, 30*time.Second, "the messages of "+stream, func() bool {
		found, err := messages(h.t.Context(), js, stream, subject)
		for _, m := range found {
			meta, _ := m.Metadata()
			if err == nil && meta != nil {
				each(meta.Sequence.Stream, m)
			}
		}
		return err == nil
	})
}

// messages reads the messages of a stream on a subject.
func messages(ctx context.Context, js jetstream.JetStream, stream, subject string) (all []jetstream.Msg, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		return nil, err
	}
	for left := consumer.CachedInfo().NumPending; left > 0; left-- {
		m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// more waits until some more callbacks have been answered 200.
func (h *faultyCluster) more(l *traffic.Load, n int64) {
	h.t.Helper()
	want := l.Ledger.Accepted.Load() + n
	wait.For(h.t, 90*time.Second, "more callbacks answered 200", func() bool { return l.Ledger.Accepted.Load() >= want })
}

// healthy waits until both replicas are ready and every stream has its leader and all its copies.
func (h *faultyCluster) healthy() {
	h.t.Helper()
	for _, r := range h.replicas {
		h.waitReady(r)
	}
	js, err := jetstream.New(h.connect("kycbridge", bridgePassword))
	if err != nil {
		h.t.Fatal(err)
	}
	wait.For(h.t, 90*time.Second, "every stream with a leader and all copies", func() bool { return h.current(js) })
}

// do makes a call to the engine, which must succeed.
func (h *faultyCluster) do(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

// kill ends containers as a power failure does, all at once.
func (h *faultyCluster) kill(nodes ...*node) {
	h.t.Helper()
	errs := make(chan error)
	for _, n := range nodes {
		go func() {
			_, err := h.engine.ContainerKill(h.t.Context(), n.GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"})
			errs <- err
		}()
	}
	for range nodes {
		h.do("kill", <-errs)
	}
}

func (h *faultyCluster) start(nodes ...*node) {
	h.t.Helper()
	for _, n := range nodes {
		_, err := h.engine.ContainerStart(h.t.Context(), n.GetContainerID(), client.ContainerStartOptions{})
		h.do("start", err)
	}
}

// pause stops the processes of a container. On a busy machine the engine cannot freeze one that is in a system call,
// gives up and lets it run: then it is paused again.
func (h *faultyCluster) pause(n *node) {
	h.t.Helper()
	var err error
	for range 5 {
		_, err = h.engine.ContainerPause(h.t.Context(), n.GetContainerID(), client.ContainerPauseOptions{})
		if err == nil || !strings.Contains(err.Error(), "unable to freeze") {
			break
		}
		time.Sleep(time.Second)
	}
	h.do("pause", err)
}

func (h *faultyCluster) unpause(n *node) {
	h.t.Helper()
	_, err := h.engine.ContainerUnpause(h.t.Context(), n.GetContainerID(), client.ContainerUnpauseOptions{})
	h.do("unpause", err)
}

// cut disconnects a container from the network silently: no connection is closed.
func (h *faultyCluster) cut(n *node) {
	h.t.Helper()
	_, err := h.engine.NetworkDisconnect(h.t.Context(), h.network.ID,
		client.NetworkDisconnectOptions{Container: n.GetContainerID(), Force: true})
	h.do("disconnect", err)
}

func (h *faultyCluster) connectAgain(n *node) {
	h.t.Helper()
	_, err := h.engine.NetworkConnect(h.t.Context(), h.network.ID, client.NetworkConnectOptions{
		Container: n.GetContainerID(), EndpointConfig: &network.EndpointSettings{Aliases: []string{n.name}}})
	h.do("connect", err)
}

// roll restarts every server and every replica, each only after the cluster is healthy again.
func (h *faultyCluster) roll() {
	h.t.Helper()
	patience := 45 // seconds until the engine kills the container; both programs end before that
	for _, n := range append(append([]*node{}, h.nats...), h.replicas...) {
		_, err := h.engine.ContainerRestart(h.t.Context(), n.GetContainerID(),
			client.ContainerRestartOptions{Timeout: &patience})
		h.do("restart", err)
		h.healthy()
	}
}

// TestReliabilityTable compares the table of docs/reliability.md with the faults: each has its row, and in every row
// nothing is lost, duplicated or forked.
func TestReliabilityTable(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "<!-- table: faults -->\n")
	rows := strings.Split(table, "\n")
	for i, f := range faults {
		at := i + 2 // below the header
		if at >= len(rows) || !strings.HasPrefix(rows[at], "|") {
			t.Fatalf("docs/reliability.md has no row %q", f.name)
		}
		cells := strings.Split(strings.Trim(rows[at], "| "), " | ")
		if len(cells) != 6 || cells[0] != f.name || strings.Join(cells[2:5], " ") != "0 0 0" {
			t.Errorf("row %d of docs/reliability.md is %q, expected %q with nothing lost, doubled or forked", i+1, rows[at],
				f.name)
		}
	}
}

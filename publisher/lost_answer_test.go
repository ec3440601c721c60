package publisher

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// losing is a connection to the server on which the answer to one message is lost.
type losing struct {
	net.Conn
	stream string
	lose   *atomic.Bool
}

func (l losing) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	at := bytes.Index(b[:n], []byte(`{"stream":"`))
	if at > 0 && bytes.Contains(b[:n], []byte(l.stream)) && l.lose.CompareAndSwap(true, false) {
		if in := bytes.LastIndex(b[:at], []byte("_INBOX.")); in >= 0 {
			dot := in + 7 + bytes.IndexByte(b[in+7:n], '.')
			b[dot+1] ^= 1 // to an inbox of nobody
		}
	}
	return n, err
}

type losingServer struct {
	nats.InProcessConnProvider
	stream string
	lose   *atomic.Bool
}

func (l losingServer) InProcessConn() (net.Conn, error) {
	c, err := l.InProcessConnProvider.InProcessConn()
	return losing{c, l.stream, l.lose}, err
}

// connectLosing connects to the server. The next answer of a stream is lost when the result is set to true.
func connectLosing(t *testing.T, server *Embedded, stream string) (*Connection, *atomic.Bool) {
	t.Helper()
	var lose atomic.Bool
	c, err := Connect(t.Context(), Dial{Name: "losing", Options: []nats.Option{
		nats.InProcessServer(losingServer{server.server, stream, &lose}), nats.UserInfo(operator, server.password)},
		Server: server}, testMaxBody, zap.NewNop())
	must(t, err)
	return c, &lose
}

// TestLostAnswerToAPayload: the answer to a payload is lost, and it is sent again: it is stored once, and no duplicate
// of itself. The same payload from another request, or from an archive, is one.
func TestLostAnswerToAPayload(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	c, lose := connectLosing(t, server, "KYC_PAYLOADS")
	store, err := OpenStore(t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(store.Close)
	p := payload("i", "first", "{}")
	add := func() kycbridge.Stored {
		t.Helper()
		stored, err := store.Append(t.Context(), p)
		must(t, err)
		return stored
	}
	lose.Store(true)
	if got := add(); got.Duplicate || lose.Load() {
		t.Errorf("a duplicate of itself, or no answer was lost: %+v", got)
	}
	if !add().Duplicate {
		t.Error("stored twice from an archive")
	}
	lose.Store(true)
	p.ReceivedAt = p.ReceivedAt.Add(time.Second)
	if !add().Duplicate || lose.Load() {
		t.Error("a second request is no duplicate")
	}
}

// TestLostAnswer: the answer to the event of an older verdict is lost, for example because the leader changes. It is
// sent again, and refused because it is stored already. A newer verdict that another process had judged before, when it
// changed nothing, must still be looked at afterwards.
func TestLostAnswer(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(map[bool]string{false: "answered", true: "lost"}[lost], func(t *testing.T) {
			t.Parallel()
			olderAfterNewer(t, lost)
		})
	}
}

func olderAfterNewer(t *testing.T, lost bool) {
	server, store, busB := start(t, t.TempDir())
	c, lose := connectLosing(t, server, "KYC_EVENTS")
	busA, err := OpenBus(t.Context(), c, testNames, testMaxBody, 1)
	must(t, err)
	t.Cleanup(busA.Close)
	account := &kycbridge.Account{Name: "acme", Environment: event.EnvironmentTest, Profile: event.ProfileFull}
	verdict := func(minute int, o event.Outcome) kycbridge.Observation {
		return kycbridge.Observation{Effect: kycbridge.EffectVerdict, Status: event.StatusCompleted, EventName: "verdict",
			OccurredAt: time.Date(2026, 3, 2, 8, minute, 0, 0, time.UTC), References: map[string]string{"idv_id": "i"},
			Decision:  event.Decision{Outcome: o, Final: true, Stage: event.StageSystem, ActorType: event.ActorSystem},
			Decisions: []event.DecisionStep{{Stage: event.StageSystem, Outcome: o, ActorType: event.ActorSystem}}}
	}
	says := map[string]kycbridge.Observation{
		"first": verdict(1, event.OutcomeRejected), "older": verdict(5, event.OutcomeApproved), "newer": verdict(9, event.OutcomeRejected)}
	account.Provider = kycbridge.Provider{Name: "ondato", Read: document.Decode,
		Map: func(_ document.Object, p kycbridge.Payload, _ kycbridge.Settings) (kycbridge.Observation, error) {
			return says[p.Event], nil
		}}
	process := func(bus *Bus) *kycbridge.Normalizer {
		return &kycbridge.Normalizer{Accounts: kycbridge.Accounts{{Provider: "ondato", Account: "acme"}: account},
			Events: NewPredicting(bus), Log: store, Quarantine: store, Mapping: "1", TypePrefix: "io.kycbridge",
			SourcePrefix: "/kycbridge", MaxAttempts: 5, RevisionOf: bus.RevisionOf, Now: time.Now}
	}
	stored := map[string]kycbridge.Payload{}
	for i, name := range []string{"first", "older", "newer"} {
		p := payload("i", name, `{"n":"`+name+`"}`)
		p.Event, p.Seq = name, uint64(i+1)
		_, err := store.Append(t.Context(), p)
		must(t, err)
		stored[name] = p
	}
	a, b := process(busA), process(busB)
	work := func(n *kycbridge.Normalizer, name string) {
		t.Helper()
		if _, retryIn, err := n.Work(t.Context(), stored[name], 1); err != nil || retryIn != 0 {
			t.Errorf("%s: again in %s, %v", name, retryIn, err)
		}
	}
	work(b, "first")
	work(b, "newer") // another process is faster; rejected already: no change
	if lost {
		lose.Store(true)
	}
	work(a, "older") // the answer to its event is lost
	state, err := busB.Last(t.Context(), key(stored["older"]), true)
	must(t, err)
	if state.Data.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("lost %v: the last event says %s, the newest verdict is rejected", lost, state.Data.Decision.Outcome)
	}
}

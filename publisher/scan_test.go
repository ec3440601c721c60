package publisher

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// forgetting is a connection on which requests are lost: the node that should answer has just failed.
type forgetting struct {
	net.Conn
	what string // a part of the subject of these requests
	lose *atomic.Int32
}

func (l forgetting) Write(b []byte) (int, error) {
	if at := bytes.Index(b, []byte(l.what)); at > 0 && l.lose.Load() > 0 {
		l.lose.Add(-1)
		c := bytes.Clone(b)
		c[at] = 'X' // nobody listens there
		return l.Conn.Write(c)
	}
	return l.Conn.Write(b)
}

type forgettingServer struct {
	nats.InProcessConnProvider
	what string
	lose *atomic.Int32
}

func (l forgettingServer) InProcessConn() (net.Conn, error) {
	c, err := l.InProcessConnProvider.InProcessConn()
	return forgetting{c, l.what, l.lose}, err
}

// forgettingStore opens a store whose requests are lost as often as lose says.
func forgettingStore(t *testing.T, server *Embedded, what string, lose *atomic.Int32) *Store {
	t.Helper()
	c, err := Connect(t.Context(), Dial{Name: "store", Options: []nats.Option{
		nats.InProcessServer(forgettingServer{server.server, what, lose}), nats.UserInfo(operator, server.password)},
		Server: server}, testMaxBody, zap.NewNop())
	must(t, err)
	store, err := OpenStore(t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(store.Close)
	return store
}

// TestSilentServer: a scan for which the server delivers nothing, although it has messages, is an error. If it ended as
// if the stream were empty, a purge would report success and leave a body behind.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	var lose atomic.Int32
	store := forgettingStore(t, server, "CONSUMER.MSG.NEXT.KYC_QUARANTINE", &lose)
	must(t, store.Quarantine(t.Context(), payload("victim", "", `{"name":"Erased Person"}`), kycbridge.QuarantineSchema, nil))
	read := func() (n int, err error) {
		err = store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine},
			func(kycbridge.Kept) error { n++; return nil })
		return n, err
	}
	lose.Store(1)
	if n, err := read(); err == nil || n != 0 {
		t.Errorf("the request for messages was lost: %d read, %v", n, err)
	}
	wait.For(t, 10*time.Second, "a scan that is answered", func() bool { n, err := read(); return err == nil && n == 1 })
}

// early is a consumer whose answers arrive before a message that it counts as delivered: a busy server takes a message
// of many megabytes from its queue later than a small answer from another.
type early struct{ jetstream.Consumer }

func (early) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	return &jetstream.ConsumerInfo{Name: "scan", Delivered: jetstream.SequenceInfo{Consumer: 2, Stream: 9}}, nil
}

// late are messages of which the next one does not arrive in time, so often.
type late struct {
	jetstream.MessagesContext
	quiet int
}

func (l *late) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	if l.quiet--; l.quiet >= 0 {
		return nil, nats.ErrTimeout
	}
	return arrived{}, nil
}

// arrived is a message that has arrived from a consumer.
type arrived struct {
	jetstream.Msg
	consumer string
	seq      uint64
}

func (a arrived) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Consumer: a.consumer, Sequence: jetstream.SequencePair{Consumer: a.seq}}, nil
}

// TestMessagesUnderWayAreAwaited: a server that has nothing left to deliver may have messages under way. A scan that
// ended before them would be a report, an export or a purge that misses some and does not say so.
func TestMessagesUnderWayAreAwaited(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		after jetstream.Msg
		want  error
	}{
		"all of them":                 {nil, nil},
		"one of two":                  {arrived{consumer: "scan", seq: 1}, nil},
		"those of a renewed consumer": {arrived{consumer: "before", seq: 7}, nil},
		"none":                        {arrived{consumer: "scan", seq: 2}, errNoMore},
	} {
		m, err := next(t.Context(), early{}, &late{quiet: 3}, tc.after)
		if !errors.Is(err, tc.want) || (m == nil) != (tc.want != nil) {
			t.Errorf("%s under way: %v, %v, want %v", name, m, err, tc.want)
		}
	}
}

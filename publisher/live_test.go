package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

// TestLiveEventsAreStored has three buses race for the revisions of the same verifications: live
// subscribers, internal and external, receive exactly the content of the stream, in its order.
func TestLiveEventsAreStored(t *testing.T) {
	t.Parallel()
	server, _, first := start(t, t.TempDir())
	buses := []*Bus{first}
	for range 2 {
		bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
		must(t, err)
		t.Cleanup(bus.Close)
		buses = append(buses, bus)
	}
	consumer, err := nats.Connect(server.ClientURL())
	must(t, err)
	t.Cleanup(consumer.Close)
	live := map[string]*nats.Subscription{}
	for name, nc := range map[string]*nats.Conn{"ours": first.nc, "a consumer": consumer} {
		live[name], err = nc.SubscribeSync("kyc.event.v1.>")
		must(t, err)
		must(t, nc.Flush())
	}

	const verifications, revisions = 40, 5
	var refused atomic.Int64
	for n := range verifications {
		p := payload(fmt.Sprint("idv-", n), "", "{}")
		var all sync.WaitGroup
		for i := range 3 * revisions {
			all.Go(func() {
				e, body := eventOf(p, i/3+1)
				body = append(body[:len(body)-1], fmt.Sprintf(`,"from":%d}`, i)...) // each has a distinct content
				after := uint64(0)
				if last, err := buses[i%3].Last(t.Context(), key(p), true); err == nil {
					after = last.Seq
				}
				switch err := buses[i%3].Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), after); {
				case errors.Is(err, kycbridge.ErrConflict):
					refused.Add(1)
				case err != nil:
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	held := storedEvents(t, first)
	if refused.Load() == 0 {
		t.Fatal("nothing was refused: the buses did not race")
	}
	for name, sub := range live {
		var received []string
		for range held {
			m, err := sub.NextMsg(10 * time.Second)
			if err != nil {
				t.Fatalf("%s: received %d of %d: %v", name, len(received), len(held), err)
			}
			received = append(received, m.Subject+" "+string(m.Data))
		}
		if diff := cmp.Diff(held, received); diff != "" {
			t.Errorf("%s (-held +received):\n%s", name, diff)
		}
		if m, err := sub.NextMsg(200 * time.Millisecond); err == nil {
			t.Errorf("%s: received an event that the stream does not hold: %s %s", name, m.Subject, m.Data)
		}
	}
}

// storedEvents are subject and body of the events in the stream, oldest first.
func storedEvents(t *testing.T, b *Bus) (events []string) {
	t.Helper()
	must(t, b.scanAll(t.Context(), b.names.events(), scanOptions{}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		events = append(events, m.Subject()+" "+string(m.Data()))
		return nil
	}))
	return events
}

// TestEventStreamOfAnEarlierVersion: a stream that still listens on the subjects of events is migrated
// when it is opened. Consumers keep their position, and every event is there and received once.
func TestEventStreamOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for name, subjects := range map[string][]string{
		"as it was made":       {"kyc.event.v1.>"},
		"with one more":        {"kyc.event.v1.>", "legacy.event.>"},
		"with wider subjects":  {"kyc.event.>"},
		"with subjects of two": {"kyc.event.v1.ondato.>", "kyc.event.v1.idwise.>"},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Names: testNames,
				MaxBody: testMaxBody})
			must(t, err)
			t.Cleanup(server.Close)
			c := connect(t, server, "bus")
			config := busStreams(testNames, testMaxBody, 1)[0].config
			config.Subjects, config.SubjectTransform, config.RePublish = subjects, nil, nil
			stream, err := c.js.CreateStream(t.Context(), config)
			must(t, err)
			consumer, err := stream.CreateConsumer(t.Context(),
				jetstream.ConsumerConfig{Durable: "onboarding", AckPolicy: jetstream.AckExplicitPolicy})
			must(t, err)
			live, err := c.nc.SubscribeSync("kyc.event.v1.>")
			must(t, err)
			const before, after = 5, 5
			p := payload("idv-1", "", "{}")
			_, body := eventOf(p, 1)
			for range before {
				_, err := c.js.Publish(t.Context(), testNames.event(key(p), event.KindUpdated), body)
				must(t, err)
			}
			bus, err := OpenBus(t.Context(), c, testNames, testMaxBody, 1)
			must(t, err)
			t.Cleanup(bus.Close)
			for n := range after {
				e, body := eventOf(p, before+n+1)
				must(t, bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), uint64(before+n)))
			}
			want := storedEvents(t, bus)
			if len(want) != before+after {
				t.Fatalf("%d events in the stream, want %d", len(want), before+after)
			}
			var received, read []string
			for range want {
				m, err := live.NextMsg(5 * time.Second)
				must(t, err)
				received = append(received, m.Subject+" "+string(m.Data))
				next, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
				must(t, err)
				must(t, next.DoubleAck(t.Context()))
				read = append(read, next.Subject()+" "+string(next.Data()))
			}
			if diff := cmp.Diff(want, received); diff != "" {
				t.Errorf("received live (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, read); diff != "" {
				t.Errorf("read by the consumer (-want +got):\n%s", diff)
			}
			info, err := stream.Info(t.Context())
			must(t, err)
			if has := slices.Contains(info.Config.Subjects, "legacy.event.>"); has != slices.Contains(subjects,
				"legacy.event.>") {
				t.Errorf("subjects are %v; a subject of the operator's own stays", info.Config.Subjects)
			}
			again, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
			must(t, err)
			again.Close()
			if now := storedEvents(t, bus); !slices.Equal(want, now) {
				t.Errorf("opened again the stream holds %d events, want %d", len(now), len(want))
			}
		})
	}
}

// TestEventStreamWithOtherRouting: a foreign transform or republication is not discarded.
func TestEventStreamWithOtherRouting(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*jetstream.StreamConfig){
		"--no-republish": func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		},
		"--no-transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "kyc.event.v1.>", Destination: "other.>"}
		},
	} {
		t.Run(says, func(t *testing.T) {
			server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Names: testNames, MaxBody: testMaxBody})
			must(t, err)
			t.Cleanup(server.Close)
			c := connect(t, server, "bus")
			t.Cleanup(c.Close)
			config := busStreams(testNames, testMaxBody, 1)[0].config
			config.Subjects, config.SubjectTransform, config.RePublish = []string{"kyc.event.v1.>"}, nil, nil
			change(&config)
			_, err = c.js.CreateStream(t.Context(), config)
			must(t, err)
			_, err = OpenBus(context.Background(), c, testNames, testMaxBody, 1)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want it to say %s", err, says)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b         string
		meet, within bool // a within b
	}{
		{"kyc.event.v1.>", "kyc.event.v1.>", true, true},
		{"kyc.event.v1.ondato.>", "kyc.event.v1.>", true, true},
		{"kyc.event.v1.>", "kyc.event.v1.ondato.>", true, false},
		{"kyc.event.v1", "kyc.event.v1.>", false, false},
		{"kyc.*.v1.>", "kyc.event.v1.>", true, false},
		{"kyc.event.v1.*.acme.>", "kyc.event.v1.*.*.>", true, true},
		{"kyc.event.v1.*.acme", "kyc.event.v1.ondato.*", true, false},
		{">", "kyc.event.v1.>", true, false},
		{"kyc.payload.>", "kyc.event.v1.>", false, false},
		{"kyc.watch.ondato.acme", "kyc.watch.*.*", true, true},
		{"kyc.watch.>", "kyc.watch.*.*", true, false},
		{"kyc.watch.ondato", "kyc.watch.*.*", false, false},
		{"kyc.watch.ondato.acme.x", "kyc.watch.*.*", false, false},
	} {
		if got := meet(c.a, c.b); got != c.meet || meet(c.b, c.a) != c.meet {
			t.Errorf("meet(%q, %q) is %t, and the other way round %t", c.a, c.b, got, meet(c.b, c.a))
		}
		if got := within(c.a, c.b); got != c.within {
			t.Errorf("within(%q, %q) is %t", c.a, c.b, got)
		}
	}
}

package oracle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Event is the checked part of a published event.
type Event struct {
	Seq     uint64
	Subject string
	MsgID   string
	Body    []byte

	ID           string `json:"id"`
	Type         string `json:"type"`
	Verification string `json:"subject"`
	Partition    string `json:"partitionkey"`
	Data         struct {
		Revision   int    `json:"revision"`
		Supersedes string `json:"supersedes"`
		Status     string `json:"status"`
		Decision   struct {
			Outcome string `json:"outcome"`
			Final   bool   `json:"final"`
		} `json:"decision"`
		Provider struct {
			Name  string `json:"name"`
			Event struct {
				ID   string    `json:"id"`
				Name string    `json:"name"`
				Via  string    `json:"via"`
				At   time.Time `json:"occurred_at"`
			} `json:"event"`
		} `json:"provider"`
		Payload struct {
			Digest string `json:"digest"`
		} `json:"payload"`
	} `json:"data"`
}

func (e Event) state() State { return State{e.Data.Status, e.Data.Decision.Outcome} }

func (e Event) String() string {
	return fmt.Sprintf("r%d %s/%s (%s)", e.Data.Revision, e.Data.Status, e.Data.Decision.Outcome,
		e.Data.Provider.Event.Name)
}

// readEvents reads the event stream from its beginning.
func readEvents(ctx context.Context, nc *nats.Conn) (out []Event, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, events)
	if err != nil {
		return nil, err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	for left := stream.CachedInfo().State.Msgs; left > 0; {
		m, err := consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			return nil, fmt.Errorf("%d events before the end: %w", left, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		e := Event{Seq: meta.Sequence.Stream, Subject: m.Subject(), MsgID: m.Headers().Get(nats.MsgIdHdr), Body: m.Data()}
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return nil, fmt.Errorf("event %d is no JSON: %w", e.Seq, err)
		}
		out, left = append(out, e), meta.NumPending
	}
	return out, nil
}

// ExportedPayload is a payload in the format of the command line's export.
type ExportedPayload struct {
	Shelf  string `json:"shelf"`
	ID     string `json:"id"`
	Notice bool   `json:"notice"`
	Body   []byte `json:"body"`
}

// export returns all stored payloads.
func export(ctx context.Context, b *Bridge) (out []ExportedPayload, err error) {
	raw, err := b.run(ctx, 2*time.Minute, "payloads", "export", "--why", "a test")
	if err != nil {
		return nil, fmt.Errorf("payloads export: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var p ExportedPayload
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("payloads export: %w", err)
		}
		out = append(out, p)
	}
	return out, lines.Err()
}

// Report is the output of payloads report.
type Report struct {
	Total struct {
		Pending int `json:"pending"`
	} `json:"total"`
	Verdict string `json:"verdict"`
	code    error
}

// settle waits until no payload is pending and returns the last report.
func settle(ctx context.Context, b *Bridge, patience time.Duration) (r Report) {
	_ = until(ctx, patience, "the backlog is worked", func() bool {
		var raw []byte
		raw, r.code = b.run(ctx, 60*time.Second, "payloads", "report", "--json")
		r.Total.Pending = -1
		return json.Unmarshal(raw, &r) == nil && r.Total.Pending == 0
	})
	return r
}

// Subscriber records the events that a subscriber of the bus receives.
type Subscriber struct {
	mu     sync.Mutex
	bodies [][]byte
}

// listen subscribes as soon as possible, until ctx ends.
func (h *Subscriber) listen(ctx context.Context, connect func() (*nats.Conn, error)) {
	nc, err := connect()
	for err != nil {
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
		nc, err = connect()
	}
	defer nc.Close()
	_, err = nc.Subscribe("kyc.event.v1.>", func(m *nats.Msg) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies = append(h.bodies, m.Data)
	})
	if err == nil {
		<-ctx.Done()
	}
}

func (h *Subscriber) all() [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bodies
}

package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// asideMessage is a delivered message without its content, which is read again when it is its turn. So a verification
// with thousands of payloads that wait takes little memory, and leaves the room to the others.
type asideMessage struct {
	jetstream.Msg // nil: only the methods below are called
	nc            *nats.Conn
	subject       string
	reply         string                  // where the server expects the answer
	content       *jetstream.RawStreamMsg // that was read again; nil: not yet
}

func (m *asideMessage) Subject() string      { return m.subject }
func (m *asideMessage) Data() []byte         { return m.content.Data }
func (m *asideMessage) Headers() nats.Header { return m.content.Header }

func (m *asideMessage) Ack() error        { return m.answer("+ACK") }
func (m *asideMessage) Nak() error        { return m.answer("-NAK") }
func (m *asideMessage) Term() error       { return m.answer("+TERM") }
func (m *asideMessage) InProgress() error { return m.answer("+WPI") }

func (m *asideMessage) NakWithDelay(d time.Duration) error {
	return m.answer(fmt.Sprintf(`-NAK {"delay": %d}`, d.Nanoseconds()))
}

func (m *asideMessage) answer(word string) error { return m.nc.Publish(m.reply, []byte(word)) }

// aside is d without its content.
func (d delivery) aside(nc *nats.Conn) delivery {
	d.Msg = &asideMessage{nc: nc, subject: d.Subject(), reply: d.Reply()}
	return d
}

// isAside reports whether d is without its content.
func (d delivery) isAside() bool {
	m, ok := d.Msg.(*asideMessage)
	return ok && m.content == nil
}

// readAgain adds the content of a message that was put aside. ok is false if the message must not be processed now: it
// was erased, or the log has lost it and has given its sequence to another message, which the server delivers.
func (s *Store) readAgain(ctx context.Context, m delivery) (_ delivery, ok bool) {
	for m.isAside() {
		if !s.isThere(ctx, m) {
			putBack(ctx, m)
			return m, false
		}
		raw, err := s.content(ctx, m)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			s.settle(m, m.Ack)
			return m, false
		case err != nil:
			keepHeld(ctx, m, retryPause)
		case !raw.Time.Equal(m.stored):
			return m, false
		default:
			of := *m.Msg.(*asideMessage)
			of.content = raw // of a copy: the lanes use the message meanwhile
			m.Msg = &of
		}
	}
	return m, true
}

func (s *Store) content(ctx context.Context, m delivery) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	return s.payloadLog.GetMsg(ctx, m.seq)
}

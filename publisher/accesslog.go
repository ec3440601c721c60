package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	// accessWaiting is how many records may wait to be stored, of requests that are already answered.
	accessWaiting = 4096
	accessAtOnce  = 16
)

// accessLog is the access log of a store.
type accessLog struct {
	writes  *committer
	waiting chan *nats.Msg
	ending  context.Context // ends when no more records are added
	end     context.CancelFunc
	storing sync.WaitGroup
	dropped atomic.Int64
}

// startAccessLog starts storing records.
func (s *Store) startAccessLog() {
	s.access.writes = newCommitter(s.Connection, s.names.access())
	s.access.waiting = make(chan *nats.Msg, accessWaiting)
	s.access.ending, s.access.end = context.WithCancel(context.Background())
	for range accessAtOnce {
		s.access.storing.Go(s.storeAccesses)
	}
}

// closeAccessLog stores the waiting records, unless the store does not answer, and ends.
func (s *Store) closeAccessLog() {
	s.access.end()
	stop := time.AfterFunc(accessDrain, s.access.writes.cancel)
	s.access.storing.Wait()
	stop.Stop()
	s.access.writes.Close()
}

// accessDrain is how long a stop waits for the records of requests that are already answered.
const accessDrain = 2 * time.Second

// StoreAccess stores a record of the access log and returns when it is durable.
func (s *Store) StoreAccess(ctx context.Context, a kycbridge.Access) error {
	m, err := s.accessMessage(a)
	if err != nil {
		return err
	}
	if _, err := s.access.writes.Publish(ctx, m); err != nil {
		return fmt.Errorf("store access: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return nil
}

// NoteAccess queues a record, which is stored soon afterwards. While the store does not answer, at most
// accessWaiting records wait; further records are dropped and counted, and ok is false.
func (s *Store) NoteAccess(a kycbridge.Access) (ok bool) {
	m, err := s.accessMessage(a)
	if err == nil {
		select {
		case s.access.waiting <- m:
			return true
		default:
		}
	}
	s.access.dropped.Add(1)
	return false
}

// AccessesDropped is the number of records that were not stored.
func (s *Store) AccessesDropped() int64 { return s.access.dropped.Load() }

func (s *Store) accessMessage(a kycbridge.Access) (*nats.Msg, error) {
	if !token(a.Operation) {
		return nil, fmt.Errorf("store access: %s is not the name of an operation", a.Operation)
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("store access: %w", err)
	}
	return &nats.Msg{Subject: s.names.accessOf(a.Operation), Data: body}, nil
}

// storeAccesses stores records until the access log is closed. If a record cannot be stored, for example because
// the server is unavailable, it tries again.
func (s *Store) storeAccesses() {
	for {
		select {
		case m := <-s.access.waiting:
			s.storeWaiting(m)
		case <-s.access.ending.Done():
			select {
			case m := <-s.access.waiting:
				s.storeWaiting(m)
			default:
				return
			}
		}
	}
}

func (s *Store) storeWaiting(m *nats.Msg) {
	for {
		_, err := s.access.writes.Publish(s.access.writes.ctx, m)
		if err == nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-s.access.writes.ctx.Done():
			s.access.dropped.Add(1)
			return
		}
	}
}

// Accesses passes the records of the access log that a query selects, oldest first. each may return
// kycbridge.ErrEnough to stop.
func (s *Store) Accesses(ctx context.Context, q kycbridge.AccessQuery, each func(kycbridge.Access) error) error {
	o := scanOptions{since: q.Since}
	if !q.Since.IsZero() {
		o.since = q.Since.Add(-accessDrain) // if clocks differ, a record may be stored a little before its own time
	}
	n := 0
	err := s.scanAll(ctx, s.names.access(), o, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var a kycbridge.Access
		if json.Unmarshal(m.Data(), &a) != nil || a.ID == "" {
			s.countForeign(s.names.access())
			return nil
		}
		if !q.Selects(a) {
			return nil
		}
		if err := each(a); err != nil {
			return err
		}
		if n++; n == q.Limit {
			return kycbridge.ErrEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return fmt.Errorf("read access log: %w", err)
	}
	return nil
}

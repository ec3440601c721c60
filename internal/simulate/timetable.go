package simulate

import (
	"container/heap"
	"sync"
	"time"
)

// Timetable sends callbacks when they are due. One goroutine serves all of them, so that many thousand
// sessions need no more memory than their entries.
type Timetable struct {
	server *Server
	wake   chan struct{}

	mu      sync.Mutex
	entries entries
}

// entry is a callback that is due at a simulated time. make is called then; false means that the
// callback is no longer to be sent.
type entry struct {
	due  time.Time
	make func() (Message, bool)
}

// NewTimetable makes an empty timetable, which works until the server is closed.
func (s *Server) NewTimetable() *Timetable {
	t := &Timetable{server: s, wake: make(chan struct{}, 1)}
	s.running.Go(t.run)
	return t
}

// Add adds a callback, which counts in Stats.Waiting. The caller holds the server's lock.
func (t *Timetable) Add(due time.Time, make func() (Message, bool)) {
	if t.server.CallbackURL == "" {
		return
	}
	t.server.stats.Waiting++
	t.mu.Lock()
	heap.Push(&t.entries, entry{due, make})
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run sends until the server is closed.
func (t *Timetable) run() {
	for {
		e, wait := t.take(t.server.Now())
		if e != nil {
			t.send(*e)
			continue
		}
		timer := time.NewTimer(t.server.Clock(wait))
		select {
		case <-timer.C:
		case <-t.wake:
		case <-t.server.life.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// take removes the next entry if it is due, else it returns how long to wait.
func (t *Timetable) take(now time.Time) (*entry, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 {
		return nil, time.Hour
	}
	if wait := t.entries[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	e := heap.Pop(&t.entries).(entry)
	return &e, 0
}

func (t *Timetable) send(e entry) {
	if m, ok := e.make(); ok {
		t.server.Send(m, 0)
	}
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.server.stats.Waiting-- // Send counts the delivery separately
}

// entries is a heap by time.
type entries []entry

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (e entries) Len() int           { return len(e) }
func (e entries) Less(i, j int) bool { return e[i].due.Before(e[j].due) }
func (e entries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push adds an entry.
func (e *entries) Push(x any) { *e = append(*e, x.(entry)) }

// Pop takes the last entry.
func (e *entries) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = entry{}
	*e = (*e)[:last]
	return x
}

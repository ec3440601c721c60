package publisher

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// lanes are the queues of payloads that wait for a worker, one for each verification. Those of one verification are
// processed one after another, in their order; whichever worker is free takes the next lane. So a verification with
// hundreds of payloads keeps one worker busy, and no other verification waits behind it.
//
// The server delivers payloads again that wait here, or are processed, if its consumer was reset or created again, or
// if the connection was lost for a while. A payload waits once: with its newest delivery, which is the one that the
// server expects to be acknowledged.
type lanes struct {
	mu      sync.Mutex
	changed *sync.Cond
	of      map[string]*lane // by subject: those in which payloads wait, or one is processed
	ready   []*lane          // those in which payloads wait and none is processed
	isDone  bool
	room    chan struct{}           // an element for each delivery that waits with its content
	aside   func(delivery) delivery // returns a delivery without its content
}

// laneShare is the part of the room that one verification may take: an eighth.
const laneShare = 8

// lane is the queue of one verification.
type lane struct {
	subject string
	waiting []delivery // by sequence
	current *delivery  // that is processed; nil: none
}

func newLanes(workers int, aside func(delivery) delivery) *lanes {
	l := &lanes{of: map[string]*lane{}, room: make(chan struct{}, workers*perWorker), aside: aside}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// put adds a delivery to the lane of its verification, without its content if the lane is long. Otherwise it waits
// while there is no room. Only one goroutine may call it.
func (l *lanes) put(d delivery) {
	if l.replace(d) {
		return
	}
	if l.isLong(d.Subject()) {
		d = l.aside(d)
	} else {
		l.room <- struct{}{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of, known := l.of[d.Subject()]
	if !known {
		of = &lane{subject: d.Subject()}
		l.of[of.subject] = of
		l.offer(of)
	}
	i, _ := of.find(d.seq)
	of.waiting = slices.Insert(of.waiting, i, d)
}

// replace puts a repeated delivery into the place of the earlier one, if that still waits.
func (l *lanes) replace(d delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of, known := l.of[d.Subject()]
	if !known {
		return false
	}
	i, waits := of.find(d.seq)
	if !waits {
		return false
	}
	if of.waiting[i].isAside() { // it has no room
		d = l.aside(d)
	}
	of.waiting[i] = d
	return true
}

// find is the place of a sequence in a lane, and whether it waits there. l.mu is held.
func (of *lane) find(seq uint64) (i int, waits bool) {
	return slices.BinarySearchFunc(of.waiting, seq, func(d delivery, seq uint64) int { return cmp.Compare(d.seq, seq) })
}

// isLong reports whether a lane takes no more contents.
func (l *lanes) isLong(subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of, known := l.of[subject]
	return known && len(of.waiting) >= cap(l.room)/laneShare
}

// offer makes a lane available to a worker. l.mu is held.
func (l *lanes) offer(of *lane) {
	l.ready = append(l.ready, of)
	l.changed.Signal()
}

// work passes deliveries on, one after another, until the lanes have been closed and nothing waits. Several workers may
// call it.
func (l *lanes) work(pass func(delivery)) {
	for of, d := l.next(); of != nil; of, d = l.next() {
		if !d.isAside() {
			<-l.room
		}
		pass(d)
		l.done(of)
	}
}

// next waits for a lane with a delivery; nil if none comes any more. Until done is called, no other worker gets the
// lane.
func (l *lanes) next() (of *lane, d delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ready) == 0 && !l.isDone {
		l.changed.Wait()
	}
	if len(l.ready) == 0 {
		return nil, d
	}
	of, l.ready[0] = l.ready[0], nil
	l.ready = l.ready[1:]
	d, of.waiting[0] = of.waiting[0], delivery{}
	of.waiting, of.current = of.waiting[1:], &d
	return of, d
}

// done makes the rest of a lane available to the workers, behind the other lanes.
func (l *lanes) done(of *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if of.current = nil; len(of.waiting) > 0 {
		l.offer(of)
		return
	}
	delete(l.of, of.subject)
}

// close ends the lanes: nothing is put into them any more.
func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isDone = true
	l.changed.Broadcast()
}

// keep tells the server until ctx ends that the deliveries which wait, or are processed for long, are in progress. It
// would deliver them again, and each delivery costs as much as the first.
func (l *lanes) keep(ctx context.Context) {
	for pause(ctx, heartbeat); ctx.Err() == nil; pause(ctx, heartbeat) {
		for _, d := range l.held() {
			_ = d.InProgress()
		}
	}
}

// held are the deliveries that wait or are processed.
func (l *lanes) held() (all []delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, of := range l.of {
		if all = append(all, of.waiting...); of.current != nil {
			all = append(all, *of.current)
		}
	}
	return all
}

package publisher

import (
	"context"
	"slices"
	"sync"
)

// lanes are the queues of payloads that wait for a worker, one for each verification. Those of one verification are
// processed one after another, in their order; whichever worker is free takes the next lane. So a verification with
// hundreds of payloads keeps one worker busy, and no other verification waits behind it.
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
	waiting []delivery
	last    uint64    // the highest sequence that ever waited
	current *delivery // that is processed; nil: none
}

func newLanes(workers int, aside func(delivery) delivery) *lanes {
	l := &lanes{of: map[string]*lane{}, room: make(chan struct{}, workers*perWorker), aside: aside}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// put adds a delivery to the lane of its verification, without its content if the lane is long. Otherwise it waits
// while there is no room. If the payload waits already, the delivery takes the place of the earlier one: after a lost
// connection or consumer the server delivers everything again that is not acknowledged. Only one goroutine may call it.
func (l *lanes) put(d delivery) {
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
	if earlier, waits := of.add(d); waits && !earlier.isAside() {
		<-l.room
	}
}

// add makes a delivery the last one that waits, or puts it in the place of an earlier one of the same payload, which
// it returns. The server expects the answer to the later one.
func (of *lane) add(d delivery) (earlier delivery, waits bool) {
	if d.seq <= of.last {
		same := func(e delivery) bool { return e.seq == d.seq }
		if i := slices.IndexFunc(of.waiting, same); i >= 0 {
			earlier, of.waiting[i] = of.waiting[i], d
			return earlier, true
		}
	}
	of.last = max(of.last, d.seq)
	of.waiting = append(of.waiting, d)
	return earlier, false
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

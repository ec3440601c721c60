package publisher

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
)

// lanes are the queues of the workers. Payloads of one verification wait in one lane, in their order. The lanes share
// their room: hundreds of payloads of one verification do not block those of all others.
type lanes struct {
	seed maphash.Seed
	all  []*lane
	room chan struct{} // an element for each delivery that waits
}

// lane is the queue of one worker.
type lane struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []delivery
	isDone  bool
}

func newLanes(workers int) *lanes {
	l := &lanes{seed: maphash.MakeSeed(), all: make([]*lane, workers), room: make(chan struct{}, workers*perWorker)}
	for i := range l.all {
		l.all[i] = &lane{}
		l.all[i].changed = sync.NewCond(&l.all[i].mu)
	}
	return l
}

// put adds a delivery to the lane of its verification. While there is no room, it waits.
func (l *lanes) put(d delivery) {
	l.room <- struct{}{}
	of := l.all[maphash.String(l.seed, d.Subject())%uint64(len(l.all))]
	of.mu.Lock()
	defer of.mu.Unlock()
	of.waiting = append(of.waiting, d)
	of.changed.Signal()
}

// each passes the deliveries of a lane on, one after another, until the lanes have been closed and nothing waits in it.
func (l *lanes) each(of *lane, pass func(delivery)) {
	for d, ok := of.next(); ok; d, ok = of.next() {
		<-l.room
		pass(d)
	}
}

// next waits for a delivery; ok is false if none comes any more.
func (l *lane) next() (d delivery, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.isDone {
		l.changed.Wait()
	}
	if len(l.waiting) == 0 {
		return d, false
	}
	d, l.waiting[0] = l.waiting[0], delivery{}
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil // what a long queue needed is not kept
	}
	return d, true
}

// close ends the lanes: nothing is put into them any more.
func (l *lanes) close() {
	for _, of := range l.all {
		of.mu.Lock()
		of.isDone = true
		of.changed.Signal()
		of.mu.Unlock()
	}
}

// keep tells the server until ctx ends that the deliveries which wait are in progress. It would deliver them again, and
// each delivery costs as much as the first.
func (l *lanes) keep(ctx context.Context) {
	for pause(ctx, heartbeat); ctx.Err() == nil; pause(ctx, heartbeat) {
		for _, of := range l.all {
			of.mu.Lock()
			waiting := slices.Clone(of.waiting)
			of.mu.Unlock()
			for _, d := range waiting {
				_ = d.InProgress()
			}
		}
	}
}

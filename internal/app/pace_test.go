package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"kycbridge/test/wait"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

// TestPaceDecides: only a backlog of more than three seconds of work, while work is done, slows callbacks
// down.
func TestPaceDecides(t *testing.T) {
	for name, c := range map[string]struct {
		perSecond, backlog int
		want               bool
	}{
		"idle":                       {0, 0, false},
		"events keep up":             {2000, 1500, false},
		"two seconds of work":        {2000, 4000, false},
		"more":                       {2000, 4100, true},
		"little work, few payloads":  {10, 900, false},
		"little work, many payloads": {10, 1100, true},
		"nothing can be processed: all is accepted": {0, 1_000_000, false},
	} {
		p := &pace{log: zap.NewNop()}
		at := time.Now()
		for i := range paceOver + 1 {
			if p.slows() {
				t.Errorf("%s: decided after %d measurements", name, i)
			}
			p.note(progress{at: at.Add(time.Duration(i) * time.Second), backlog: c.backlog,
				processed: uint64(i * c.perSecond)})
		}
		if p.slows() != c.want {
			t.Errorf("%s: slows callbacks down %v, want %v", name, p.slows(), c.want)
		}
		p.note(progress{at: at.Add(time.Hour), backlog: 10, processed: 1 << 40})
		if p.slows() {
			t.Errorf("%s: still slow after the backlog is gone", name)
		}
	}
}

// TestPaceIsShared: processes that store together share the rate in proportion to what each has stored.
func TestPaceIsShared(t *testing.T) {
	for name, c := range map[string]struct {
		own  int // of 200 stored a second
		want float64
	}{"alone": {200, 1}, "half": {100, 0.5}, "none": {0, paceOwn}} {
		p := &pace{log: zap.NewNop()}
		at := time.Now()
		for i := range paceOver + 1 {
			p.note(progress{at: at.Add(time.Duration(i) * time.Second), backlog: 10_000 + 100*i, processed: uint64(100 * i),
				own: uint64(c.own * i)})
		}
		if got := p.ownPart(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: a share of %v, want %v", name, got, c.want)
		}
	}
}

// TestPaceWaits: callbacks get their turn at a share of the rate of processing; a callback whose turn
// does not come in time is refused as busy, so that the provider sends it again.
func TestPaceWaits(t *testing.T) {
	p := &pace{log: zap.NewNop()}
	at := time.Now()
	for i := range paceOver + 1 {
		p.note(progress{at: at.Add(time.Duration(i) * time.Second), backlog: 1_000_000, processed: uint64(100 * i),
			own: uint64(100 * i)})
	}
	for range 10 { // the burst
		if err := p.wait(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for range 40 {
		if err := p.wait(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond || took > 8*time.Second*wait.Slowdown {
		t.Errorf("40 callbacks at 40 a second took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.wait(ctx, 0); !errors.Is(err, kycbridge.ErrBusy) {
		t.Errorf("out of time: %v", err)
	}
	p.forget()
	if err := p.wait(t.Context(), 0); err != nil || p.slows() {
		t.Errorf("after NATS is away: %v", err)
	}
}

// TestPaceRefusesSlowly: a callback without a turn is not refused at once, because many senders would repeat it at
// once.
func TestPaceRefusesSlowly(t *testing.T) {
	p := &pace{log: zap.NewNop(), limit: rate.NewLimiter(0.1, 1)}
	if err := p.wait(t.Context(), 0); err != nil {
		t.Fatal(err) // the burst
	}
	began := time.Now()
	err := p.wait(t.Context(), 0)
	if took := time.Since(began); !errors.Is(err, kycbridge.ErrBusy) || took < paceRefuse || took > paceWait {
		t.Errorf("refused after %s: %v", took, err)
	}
}

// perSecondMeasured is how many measurements a second has.
const perSecondMeasured = int(time.Second / paceEvery)

// TestPaceFollows: when processing becomes slower, the backlog stops growing within two seconds, and a
// short pause of processing does not stop callbacks.
func TestPaceFollows(t *testing.T) {
	p := &pace{log: zap.NewNop()}
	at, backlog, processed := time.Now(), 8000, 0
	step := func(perSecond int) (allowed float64) {
		taken := 2000.0 // nothing limits the senders
		if p.limit != nil {
			taken = float64(p.limit.Limit())
		}
		done := perSecond / perSecondMeasured
		at, backlog, processed = at.Add(paceEvery), backlog+int(taken)/perSecondMeasured-done, processed+done
		p.note(progress{at: at, backlog: backlog, processed: uint64(processed), own: uint64(backlog + processed)})
		return taken
	}
	for range 2 * paceOver {
		step(1000)
	}
	if !p.slows() {
		t.Fatal("callbacks are not slowed down")
	}
	for range 2 * perSecondMeasured {
		step(500)
	}
	for before, i := backlog, 0; i < 400; i++ {
		if step(500); backlog > before {
			t.Errorf("%d measurements later the backlog still grows: from %d to %d", i, before, backlog)
		}
	}
	for range perSecondMeasured {
		step(0)
	}
	if allowed := step(0); allowed < 50 {
		t.Errorf("processing stopped for a second, and %.0f callbacks a second are taken", allowed)
	}
}

// TestPaceKeepsTheLimit: callbacks arrive at four times the rate of processing for ten minutes. At most five seconds of
// work wait; if processing becomes three times slower or faster, that is so again a quarter of a minute later. Where
// processing is slow, 700 connections make up several seconds of work.
func TestPaceKeepsTheLimit(t *testing.T) {
	for _, rate := range []int{200, 1000} {
		t.Run(fmt.Sprint(rate, " a second"), func(t *testing.T) { paceKeepsTheLimit(t, rate) })
	}
}

func paceKeepsTheLimit(t *testing.T, rate int) {
	p := &pace{log: zap.NewNop()}
	at, backlog, processed := time.Now(), 0, 0
	seconds := func() float64 {
		taken := max(4*rate, 1400)
		if p.limit != nil {
			taken = min(taken, int(p.limit.Limit()))
		}
		taken /= perSecondMeasured
		done := min(rate/perSecondMeasured, backlog+taken)
		at, backlog, processed = at.Add(paceEvery), backlog+taken-done, processed+done
		p.note(progress{at: at, backlog: backlog, processed: uint64(processed), own: uint64(backlog + processed)})
		return float64(backlog) / float64(rate)
	}
	for range paceOver {
		seconds()
	}
	backlog = 0 // the process has just started to receive so much
	// Until a quarter of a minute after the start, and after a change of the rate.
	const first, second, settled = 200 * perSecondMeasured, 400 * perSecondMeasured, 15 * perSecondMeasured
	changed := func(i int) bool {
		return i < settled || i >= first && i < first+settled || i >= second && i < second+settled
	}
	for i := range 600 * perSecondMeasured {
		switch i {
		case first:
			rate /= 3
		case second:
			rate *= 3
		}
		if got := seconds(); got > 5 && backlog > paceLeast && !changed(i) {
			t.Fatalf("after %s %.1f s of work wait", time.Duration(i)*paceEvery, got)
		}
	}
}

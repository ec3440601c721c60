package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Fault is an injected fault.
type Fault struct {
	Name  string
	modes string // the modes in which it is possible; "" all
	disk  bool   // needs a separate file system, and so root
	takes bool   // removes stored data
	slow  bool   // callbacks are refused for a long time
	run   func(context.Context, *World, *rand.Rand) error
}

// Faults are all faults.
func Faults() []Fault {
	return []Fault{
		{Name: "kill", run: kill},
		{Name: "stop", run: stop},
		{Name: "term", run: term},
		{Name: "second", modes: Embedded + Edge, run: second},
		{Name: "nats-kill", modes: External + Edge, run: natsKill},
		{Name: "nats-stop", modes: External + Edge, run: natsStop},
		{Name: "nats-slow", modes: External + Edge, run: natsSlow},
		{Name: "full", modes: Embedded + Edge, disk: true, slow: true, run: full},
		{Name: "readonly", modes: Embedded + Edge, disk: true, run: readOnly},
		{Name: "replay", run: replay},
		{Name: "replay-kill", run: replayKill},
		{Name: "purge", run: purge},
		{Name: "clock", run: clock},
		{Name: "flip", takes: true, run: damageOf(payloads, flipBit)},
		{Name: "cut", takes: true, run: damageOf(payloads, cutTail)},
		{Name: "wipe", takes: true, run: damageOf(payloads, wipe)},
		{Name: "restore", takes: true, run: restoreOf(payloads)},
		{Name: "flip-events", takes: true, run: damageOf(events, flipBit)},
		{Name: "cut-events", takes: true, run: damageOf(events, cutTail)},
		{Name: "wipe-events", takes: true, run: damageOf(events, wipe)},
		{Name: "restore-events", takes: true, run: restoreOf(events)},
		{Name: "nats-wipe", modes: External + Edge, takes: true, run: natsWipe},
	}
}

// Able returns the names of the faults of a mode. root includes the faults that mount file systems; all includes
// those that lose data or take long.
func Able(mode string, root, all bool) (out []string) {
	for _, f := range Faults() {
		if (f.modes == "" || strings.Contains(f.modes, mode)) && (root || !f.disk) && (all || !f.takes && !f.slow) {
			out = append(out, f.Name)
		}
	}
	return out
}

// hold locks a process, so that the supervisor does not restart it.
func (w *World) hold(r *rand.Rand) (*Bridge, func()) {
	i := r.IntN(len(w.bridges))
	w.held[i].Lock()
	return w.bridges[i], w.held[i].Unlock
}

// kill ends a process with SIGKILL and starts it again.
func kill(ctx context.Context, w *World, r *rand.Rand) error {
	b, release := w.hold(r)
	defer release()
	b.stop(syscall.SIGKILL)
	pause(ctx, time.Duration(r.IntN(800))*time.Millisecond)
	_, err := b.start(ctx, startup)
	return err
}

// stop suspends a process for some seconds.
func stop(ctx context.Context, w *World, r *rand.Rand) error {
	b, release := w.hold(r)
	defer release()
	return halt(ctx, &b.program, time.Duration(1000+r.IntN(6000))*time.Millisecond)
}

func halt(ctx context.Context, p *program, d time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, d)
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// term is an orderly restart.
func term(ctx context.Context, w *World, r *rand.Rand) error {
	b, release := w.hold(r)
	defer release()
	if !b.stop(syscall.SIGTERM) {
		return fmt.Errorf("SIGTERM did not end the process")
	}
	_, err := b.start(ctx, startup)
	return err
}

// second starts another process on the same data directory, which must be refused.
func second(ctx context.Context, w *World, _ *rand.Rand) error {
	_, err := w.bridges[0].run(ctx, 20*time.Second, "serve")
	if err == nil {
		return fmt.Errorf("a second process on the data directory was not refused")
	}
	return nil
}

// natsKill stops the nats-server for a while.
func natsKill(ctx context.Context, w *World, r *rand.Rand) error {
	w.nats.stop([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[r.IntN(2)])
	pause(ctx, time.Duration(100+r.IntN(4000))*time.Millisecond)
	return w.nats.start(ctx)
}

func natsStop(ctx context.Context, w *World, r *rand.Rand) error {
	return halt(ctx, &w.nats.program, time.Duration(1000+r.IntN(6000))*time.Millisecond)
}

// natsSlow lets the nats-server run only in short intervals.
func natsSlow(ctx context.Context, w *World, _ *rand.Rand) error {
	for range 25 {
		if err := halt(ctx, &w.nats.program, 120*time.Millisecond); err != nil {
			return err
		}
		pause(ctx, 30*time.Millisecond)
	}
	return nil
}

// replay processes all stored payloads again, while callbacks arrive.
func replay(ctx context.Context, w *World, _ *rand.Rand) error {
	if _, err := w.bridges[0].run(ctx, 60*time.Second, "payloads", "replay", "--yes"); err != nil {
		w.say("replay: %v", err) // it may fail during other faults
	}
	return nil
}

// replayKill is a replay that is killed while it runs.
func replayKill(ctx context.Context, w *World, r *rand.Rand) error {
	_, _ = w.bridges[0].run(ctx, time.Duration(200+r.IntN(1500))*time.Millisecond, "payloads", "replay", "--yes")
	return nil
}

// purge erases an idle verification, and then sends callbacks about it again.
func purge(ctx context.Context, w *World, r *rand.Rand) error {
	all := w.ledger.all()
	for range 200 {
		if len(all) == 0 {
			return nil
		}
		v := all[r.IntN(len(all))]
		if v.Account != ondatoAccount || v.id() == "" || !v.erasing() {
			continue
		}
		if err := w.purgeUntilDone(ctx, v.id()); err != nil {
			return err
		}
		at := time.Now().Truncate(time.Millisecond)
		d := ondato(r, v, attempt{1, uuid(r), at, "X1"}, []string{"approved", "rejected"}[r.IntN(2)], at)
		v.mu.Lock()
		v.Deliveries = append(slices.Clip(v.Deliveries), d)
		v.mu.Unlock()
		v.add(1)
		w.senders.running.Go(func() { w.senders.play(d) })
		return nil
	}
	return nil
}

// purgeUntilDone repeats a failed purge, as its error message requires: during other faults a purge may fail, after
// it has erased nothing or a part.
func (w *World) purgeUntilDone(ctx context.Context, verification string) (err error) {
	for range 4 {
		_, err = w.bridges[0].run(ctx, 60*time.Second, "payloads", "purge", "--verification", verification, "--yes",
			"--why", "a test")
		if err == nil {
			return nil
		}
		w.say("purge of %s: %v", verification, err)
		if strings.Contains(err.Error(), "nothing is known") && len(w.damages) > 0 {
			return nil // a damage has removed it
		}
		pause(ctx, 3*time.Second)
	}
	return fmt.Errorf("purge: %w", err)
}

// clock shifts the clock of the provider by minutes, for the sessions that begin meanwhile.
func clock(ctx context.Context, w *World, r *rand.Rand) error {
	w.generator.clock.Store(int64([]time.Duration{-7 * time.Minute, 3 * time.Minute, far + 2*time.Minute}[r.IntN(3)]))
	pause(ctx, 3*time.Second)
	w.generator.clock.Store(0)
	return nil
}

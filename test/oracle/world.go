package oracle

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/internal/keys"
	"kycbridge/internal/ports"
)

// The modes define where the store and the bus are.
const (
	Embedded = "embedded" // both in the one process
	External = "external" // both in a nats-server, for one process or several
	Edge     = "edge"     // the store in the process, the bus in a nats-server
)

// Options describe a run.
type Options struct {
	Binary, NATS string // programs
	Dir          string // an empty folder
	Mode         string
	Processes    int
	Seed         uint64
	For          time.Duration // how long callbacks and faults are generated
	Rate         float64       // verifications a second
	Faults       []string      // names, see Faults
	Log          func(format string, args ...any)
	Sealed       bool          // bodies are encrypted, and the tamper-evident log is kept
	Settle       time.Duration // limit of the backlog at the end; 0: 90 s
}

// World is a running test.
type World struct {
	Options
	bridges    []*Bridge
	held       []sync.Mutex // by bridge: locked by a fault
	nats       *NATS        // nil: everything is embedded
	senders    *Senders
	generator  *Generator
	ledger     *Ledger
	subscriber *Subscriber
	damages    []*Damage
	disk       string // mounted for this run; "": none
	began      time.Time
	ended      int // how often a process ended unexpectedly
	slowest    time.Duration
	faulty     []string // violations that a fault itself has found
}

// Run generates callbacks and faults for a while, waits for the end of processing and judges.
func Run(ctx context.Context, o Options) (Findings, error) {
	w := &World{Options: o, ledger: &Ledger{}, generator: NewGenerator(o.Seed), subscriber: &Subscriber{},
		began: time.Now()}
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer api.Close()
	defer w.close()
	if err := w.prepare(ctx, api.URL); err != nil {
		return Findings{}, err
	}
	if err := w.startAll(ctx); err != nil {
		return Findings{}, err
	}
	w.traffic(ctx)
	return judge(ctx, w), ctx.Err()
}

// prepare mounts what faults need and writes the configurations.
func (w *World) prepare(ctx context.Context, api string) (err error) {
	root := w.Dir
	for _, f := range w.chosen() {
		if f.disk && w.disk == "" {
			if w.disk, err = mountDisk(filepath.Join(w.Dir, "disk"), w.For); err != nil {
				return err
			}
			root = w.disk
		}
	}
	addresses, err := ports.Free(ctx, 1+3*w.Processes)
	if err != nil {
		return err
	}
	if w.Mode != Embedded {
		if w.nats, err = newNATS(w.NATS, w.Dir, addresses[0]); err != nil {
			return err
		}
	}
	w.held = make([]sync.Mutex, w.Processes)
	for i := range w.Processes {
		b, err := w.newBridge(i, root, api, addresses[1+3*i:])
		if err != nil {
			return err
		}
		w.bridges = append(w.bridges, b)
	}
	return nil
}

func (w *World) newBridge(i int, root, api string, addresses []string) (*Bridge, error) {
	b := &Bridge{binary: w.Binary, embedded: w.Mode != External}
	b.callbacks, b.admin, b.store = addresses[0], addresses[1], addresses[2]
	b.config, b.log = filepath.Join(w.Dir, fmt.Sprintf("bridge%d.yaml", i)), filepath.Join(w.Dir,
		fmt.Sprintf("bridge%d.log", i))
	b.data = filepath.Join(root, fmt.Sprintf("data%d", i))
	b.words = []string{w.Binary, "serve", "--config", b.config}
	store, bus := "embedded", "embedded"
	switch w.Mode {
	case External:
		store, bus, b.store = w.nats.url(), w.nats.url(), w.nats.address
	case Edge:
		bus = w.nats.url()
	}
	text := fmt.Sprintf("listen: %q\nadmin: {listen: %q, tokens: [%s]}\ndata_dir: %q\nstore: {url: %q}\nbus: {url: %q}\n",
		b.callbacks, b.admin, adminToken, b.data, store, bus)
	if b.embedded {
		text += fmt.Sprintf("embedded: {listen: %q, users: []}\n", b.store)
	}
	if w.Sealed {
		keys, err := w.keys()
		if err != nil {
			return nil, err
		}
		text += keys
	}
	return b, os.WriteFile(b.config, []byte(text+fmt.Sprintf(accounts, api)), 0o600)
}

// keys are the lines of a configuration with encryption and the tamper-evident log, the same for all processes.
func (w *World) keys() (string, error) {
	master, signing := filepath.Join(w.Dir, "master.keys"), filepath.Join(w.Dir, "log.key")
	if _, err := os.Stat(master); err != nil {
		line, err := keys.Generate("oracle")
		if err != nil {
			return "", err
		}
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return "", err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return "", err
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		err = errors.Join(os.WriteFile(master, []byte(line+"\n"), 0o600), os.WriteFile(signing, block, 0o600))
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("encryption: {key_file: %q}\nintegrity: {log: true, signing_key_file: %q}\n", master, signing), nil
}

func (w *World) startAll(ctx context.Context) error {
	if w.nats != nil {
		if err := w.nats.start(ctx); err != nil {
			return err
		}
	}
	for _, b := range w.bridges {
		if _, err := b.start(ctx, startup); err != nil {
			return fmt.Errorf("%w: %s", err, tail(b.logged(0)))
		}
	}
	return nil
}

// traffic sends callbacks and injects faults until the time has passed, and then sends the remaining callbacks.
func (w *World) traffic(ctx context.Context) {
	sending, stop := context.WithCancel(ctx)
	w.senders = newSenders(sending, w.bridges, w.ledger)
	watching, calm := context.WithCancel(ctx)
	var around sync.WaitGroup
	around.Go(func() { w.supervise(watching) })
	around.Go(func() { w.subscriber.listen(watching, w.subscribe) })
	feeding, over := context.WithCancel(ctx)
	var feed sync.WaitGroup
	feed.Go(func() { w.feed(feeding) })
	w.breakThings(ctx)
	over()
	feed.Wait()
	left := make(chan struct{})
	go func() { w.senders.running.Wait(); close(left) }()
	select {
	case <-left:
	case <-time.After(patienceAfter):
		w.say("callbacks are still not taken %s after the last fault", patienceAfter)
	}
	stop()
	<-left
	calm()
	around.Wait()
}

// patienceAfter is the limit for accepting all callbacks after the last fault.
const patienceAfter = 60 * time.Second

// feed starts verifications at the rate.
func (w *World) feed(ctx context.Context) {
	for pause(ctx, time.Duration(float64(time.Second)/w.Rate)) {
		w.senders.Play(w.generator.Next(time.Now()))
	}
}

// breakThings injects the faults in the order that the seed determines.
func (w *World) breakThings(ctx context.Context) {
	r := rand.New(rand.NewPCG(w.Seed, 2))
	chosen := w.chosen()
	for end := time.Now().Add(w.For); pause(ctx, time.Duration(500+r.IntN(1500))*time.Millisecond) &&
		time.Now().Before(end); {
		if len(chosen) == 0 {
			continue
		}
		f := chosen[r.IntN(len(chosen))]
		w.say("fault: %s", f.Name)
		if err := f.run(ctx, w, r); err != nil {
			w.say("the fault itself failed: %v", err)
			w.faulty = append(w.faulty, fmt.Sprintf("fault %s: %v", f.Name, err))
		}
	}
}

func (w *World) chosen() (out []Fault) {
	for _, f := range Faults() {
		for _, name := range w.Faults {
			if name == f.Name {
				out = append(out, f)
			}
		}
	}
	return out
}

// supervise restarts processes that ended unexpectedly, like a service manager.
func (w *World) supervise(ctx context.Context) {
	for pause(ctx, 200*time.Millisecond) {
		for i, b := range w.bridges {
			if !w.held[i].TryLock() {
				continue
			}
			if !b.alive() {
				w.ended++
				w.say("process %d ended by itself: %s", i, tail(b.logged(0)))
				pause(ctx, time.Second)
				_ = b.spawn() // retried soon
			}
			w.held[i].Unlock()
		}
	}
}

// subscribe opens a connection to the bus that reconnects by itself.
func (w *World) subscribe() (*nats.Conn, error) {
	options := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.Timeout(time.Second)}
	if w.Mode == Embedded {
		return w.bridges[0].connect(options...)
	}
	return nats.Connect(w.nats.url(), options...)
}

// waitTaken waits for the next 200 after the end of a fault.
func (w *World) waitTaken(ctx context.Context, patience time.Duration) error {
	known, began := w.ledger.taken(), time.Now()
	err := until(ctx, patience, "a callback is taken after the fault was mended",
		func() bool { return w.ledger.taken() > known })
	w.slowest = max(w.slowest, time.Since(began))
	return err
}

func (w *World) say(format string, args ...any) {
	w.Log("%6.1fs "+format, append([]any{time.Since(w.began).Seconds()}, args...)...)
}

func (w *World) close() {
	for _, b := range w.bridges {
		b.stop(syscall.SIGTERM)
	}
	if w.nats != nil {
		w.nats.stop(syscall.SIGTERM)
	}
	if w.disk != "" {
		_ = syscall.Unmount(w.disk, syscall.MNT_DETACH)
	}
}

func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	last := lines[len(lines)-1]
	return last[:min(len(last), 300)]
}

// errNoBlock means that the stream has no data to damage yet.
var errNoBlock = errors.New("the stream has no file yet")

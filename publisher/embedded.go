package publisher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge/publisher/blocks"
)

// operator is the user of the embedded server with all permissions; its password is in the data directory,
// readable by the owner of the directory only.
const operator = "kycbridge"

// embeddedName is the server name that the embedded server reports to clients.
const embeddedName = "kycbridge"

// User is a consumer of the embedded server. Without subjects it may only read events.
type User struct {
	Username, Password string
	Publish            []string // further subjects that it may publish to
	Subscribe          []string // subjects that it may subscribe to; none: all events
}

// EmbeddedOptions configure the data directory of the embedded server and its clients.
type EmbeddedOptions struct {
	Dir     string // data directory
	Listen  string // host:port of the client port; "" opens none, port 0 picks one
	Users   []User // none: every client that can connect to the port may read events, but nothing else
	Names   Names
	MaxBody int // largest payload, bytes

	// Scrub is the maximum age of the last check of an unchanged file; 0: any age.
	Scrub   time.Duration
	Log     *zap.Logger                 // nil: nothing is logged
	Observe func(owner, outcome string) // receives the requests of consumers; may be nil
	Closed  func(error)                 // called when consumers are not served any more, with the reason; may be nil
}

// Embedded is a nats-server in this process. A message that it has acknowledged is durable once disk has flushed it.
type Embedded struct {
	server   *server.Server
	lock     *os.File
	password string
	dir      string
	readers  []*Readers   // one for each consumer, so that no consumer waits for another
	lives    []*live      // one for each consumer, for the same reason
	proxy    *clientProxy // nil: no port

	log    *zap.Logger
	said   *serverLog
	files  blocks.Options
	damage []blocks.Finding

	disk     *flushers
	close    context.CancelFunc // called by Close
	watching sync.WaitGroup     // ends after close
	flushing *Connection        // serves flushes to other processes
}

// StartEmbedded locks the data directory and starts the server. It returns an error that names
// the directory if another process holds it.
func StartEmbedded(o EmbeddedOptions) (*Embedded, error) {
	if err := o.sound(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	e := &Embedded{lock: lock, dir: o.Dir, disk: newFlushers(o.Dir), log: o.Log, said: &serverLog{log: o.Log}}
	e.disk.displaced, e.disk.refusing = e.displaced, e.refusing
	open, cancel := context.WithCancel(context.Background())
	e.close = cancel
	if err := e.start(open, o); err != nil {
		e.Close()
		return nil, explain(err, o.Dir)
	}
	return e, nil
}

// start starts everything; open ends with Close.
func (e *Embedded) start(open context.Context, o EmbeddedOptions) (err error) {
	if e.password, err = operatorPassword(o.Dir); err != nil {
		return err
	}
	opts, err := serverOptions(o, e.password)
	if err != nil {
		return err
	}
	if e.server, err = server.NewServer(opts); err != nil {
		return fmt.Errorf("set up embedded NATS server: %w", err)
	}
	if o.Listen != "" {
		if e.proxy, err = listenProxy(o.Listen); err != nil {
			return err
		}
	}
	e.forget(payloadAge)
	if err := e.checkFiles(o); err != nil {
		return fmt.Errorf("check the files of the embedded store: %w", err)
	}
	removeMemoryStaging(o.Dir, o.Names)
	if err := roomToOpen(filepath.Join(o.Dir, "jetstream")); err != nil {
		return fmt.Errorf("the embedded NATS server is not started, because it would delete streams in whose folders it "+
			"cannot create files; free space and inodes (df -i): %w", err)
	}
	e.server.SetLogger(e.said, false, false)
	e.server.Start()
	if err := e.waitReady(o); err != nil {
		return err
	}
	e.watching.Go(func() { e.watchState(open) })
	if err := e.serveFlushes(o); err != nil {
		return err
	}
	return e.serveReaders(o)
}

// serveReaders serves consumers, each over connections of its own, and opens the port for them.
func (e *Embedded) serveReaders(o EmbeddedOptions) error {
	for i, owner := range owners(o) {
		asked, err := Connect(context.Background(), Dial{Name: "readers", Options: e.Dial(), Closed: o.Closed}, 0, o.Log)
		if err != nil {
			return err
		}
		sendBudget := newBudget()
		readers, err := NewReaders(asked,
			ReadersOptions{sendBudget: sendBudget, Names: o.Names, Owner: owner.Name, Filters: owner.Filters, Events: true,
				Watches: true, Observe: o.Observe, Log: o.Log})
		if err != nil {
			return err
		}
		e.readers = append(e.readers, readers)
		liveConn, err := Connect(context.Background(), Dial{Name: "live", Options: e.Dial(), Closed: o.Closed}, 0, o.Log)
		if err != nil {
			return err
		}
		l := newLive(liveConn, o.Names, owner.Name, sendBudget)
		e.lives = append(e.lives, l)
		var u User
		if len(o.Users) > 0 {
			u = o.Users[i]
		}
		if e.proxy != nil {
			if err := e.prime(u, owner); err != nil {
				return err
			}
			e.proxy.users[u.Username] = newProxyUser(u.Password, sendBudget, l.start, l.end)
		}
	}
	if e.proxy == nil {
		return nil
	}
	e.proxy.users[operator] = newProxyOperator(e.password)
	return e.proxy.serve(e.server.InProcessConn)
}

// prime makes the first subscriptions of a consumer's account before any client connects. At the first
// subscription that is narrower than an import the server builds its subject transform, without a lock
// (addShadowSub of nats-server 2.14): two clients that subscribe at the same moment would race.
func (e *Embedded) prime(u User, owner Owner) error {
	options := []nats.Option{nats.InProcessServer(e.server),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if u.Username != "" {
		options = append(options, nats.UserInfo(u.Username, u.Password))
	}
	nc, err := nats.Connect("", options...)
	if err != nil {
		return fmt.Errorf("make the first subscriptions of the NATS user %q: %w", u.Username, err)
	}
	defer nc.Close()
	literal := strings.NewReplacer("*", "0", ">", "0")
	for _, subject := range append([]string{"_INBOX.0"}, owner.Filters...) {
		if _, err := nc.SubscribeSync(literal.Replace(subject)); err != nil {
			return fmt.Errorf("make the first subscriptions of the NATS user %q: %w", u.Username, err)
		}
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("make the first subscriptions of the NATS user %q: %w", u.Username, err)
	}
	return nil
}

// waitReady waits until the server accepts connections and has opened its store.
func (e *Embedded) waitReady(o EmbeddedOptions) error {
	const look = 100 * time.Millisecond
	for patience := openTimeout + e.openDuration(); !e.server.ReadyForConnections(look); patience -= look {
		switch why := e.said.gaveUp(); {
		case why != "":
			return fmt.Errorf("embedded NATS server did not start on %s: %s", o.Dir, why)
		case patience <= 0:
			return fmt.Errorf("embedded NATS server did not start: is %s free and %s writable?", o.Listen, o.Dir)
		}
	}
	if !e.server.JetStreamEnabled() {
		return fmt.Errorf("embedded NATS server could not open its store in %s", o.Dir)
	}
	return nil
}

// serverOptions configure flushing, size and access.
func serverOptions(o EmbeddedOptions, password string) (*server.Options, error) {
	opts := &server.Options{}
	if err := opts.ProcessConfigString(accounts(o, password)); err != nil {
		return nil, fmt.Errorf("set up users of the embedded NATS server: %w", err)
	}
	opts.ServerName = embeddedName
	opts.JetStream = true
	opts.StoreDir = o.Dir
	opts.SyncInterval = syncInterval // messages that a caller waits for are flushed by kycbridge, see disk
	opts.MaxPayload = int32(LargestMessage(o.MaxBody) +
		headRoom) // with the default of 1 MB the server would refuse the largest payload that kycbridge accepts
	opts.JetStreamMaxStore = 1 << 50 // in effect, the size of the disk is the limit
	opts.JetStreamMaxMemory = 64 << 20
	opts.MaxPending = 256 << 20
	opts.AuthTimeout = 30 // seconds; clients connect from this process or through the proxy, which has its own timeout
	opts.NoSigs, opts.NoLog = true, true
	opts.DontListen = true // the proxy listens
	return opts, nil
}

// Dial are the options that connect this process to the server without a socket.
func (e *Embedded) Dial() []nats.Option {
	return []nats.Option{nats.InProcessServer(e.server), nats.UserInfo(operator, e.password)}
}

// ClientURL is the address for consumers; "" if no port is open.
func (e *Embedded) ClientURL() string {
	if e.proxy == nil {
		return ""
	}
	return "nats://" + e.proxy.listener.Addr().String()
}

// Close stops the server, waits until its store is closed and releases the directory.
func (e *Embedded) Close() {
	e.close()
	e.watching.Wait()
	if e.proxy != nil {
		e.proxy.Close()
	}
	for _, l := range e.lives {
		l.conn.Close()
		l.end()
	}
	for _, r := range e.readers {
		r.Close()
	}
	if e.flushing != nil {
		e.flushing.Close()
	}
	defer e.lock.Close() // releases the lock
	if e.server == nil || e.displaced() != nil {
		return // at its end a server writes files, which would be put into the directory that another one may use
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
	if e.files.Dir != "" {
		_ = blocks.RecordClosed(e.files) // it only makes the next start faster
	}
}

// ErrInUse means that another process holds the data directory.
var ErrInUse = errors.New("is in use by another kycbridge")

// Operator is the user of the embedded server with all permissions. Any process with read access to the data
// directory can obtain these credentials.
func Operator(dir string) (user, password string, err error) {
	password, err = operatorPassword(dir)
	return operator, password, err
}

// roomPerStream is how many files are created in each stream's folder before the server opens it. The server creates
// one in each folder at the same time, and some more for consumers and indexes.
const roomPerStream = 4

// roomToOpen returns an error if the files that the server creates while it opens its streams cannot be created: all
// inodes are used, the disk is full or read-only. The server removes the folder of a stream in which it cannot create a
// file, with all its messages.
func roomToOpen(dir string) error {
	folders, err := filepath.Glob(filepath.Join(dir, "*", "streams", "*"))
	if err != nil {
		return err
	}
	// The server ignores files that a file manager or an editor has put among the folders.
	folders = slices.DeleteFunc(folders, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && !info.IsDir()
	})
	for range roomPerStream {
		for _, folder := range folders {
			f, err := os.CreateTemp(folder, "_test_")
			if err != nil {
				return err
			}
			defer func() { _ = os.Remove(f.Name()) }() // not before all are there
			f.Close()
		}
	}
	return nil
}

// lockFile is the file in the data directory that the process of its server locks.
const lockFile = "kycbridge.lock"

// lockDir prevents a second process from using the directory: two servers would destroy their common store.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s %w: stop it, or give this one another data_dir", dir, ErrInUse)
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return f, nil
}

// operatorPassword reads the operator's password, or creates one at the first start.
func operatorPassword(dir string) (string, error) {
	path := filepath.Join(dir, "operator-password")
	raw, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(raw))) >= 16 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read operator password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write operator password: %w", err)
	}
	return password, nil
}

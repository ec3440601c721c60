package publisher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// operator is the user of the embedded server that may do everything; its password lies in the
// data directory, readable by its owner only.
const operator = "kycbridge"

// User is a consumer of the embedded server. Without subjects it may read events and nothing else.
type User struct {
	Username, Password string
	Publish, Subscribe []string
}

// EmbeddedOptions say where the embedded server keeps its data and who may reach it.
type EmbeddedOptions struct {
	Dir     string // data directory
	Listen  string // host:port of the client port; "" opens none, port 0 picks one
	Users   []User // none: whoever reaches the port may read events and nothing else
	Names   Names
	MaxBody int // largest payload, bytes
}

// Embedded is a nats-server in this process, with an fsync before every acknowledgement.
type Embedded struct {
	server   *server.Server
	lock     *os.File
	password string
	dir      string

	stageOnce sync.Once
	staging   string // where batches are staged in memory; "" if they are staged on disk
}

// StartEmbedded locks the data directory and starts the server. It returns an error that names
// the directory if another process holds it.
func StartEmbedded(o EmbeddedOptions) (*Embedded, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{lock: lock, dir: o.Dir}
	if err := e.start(o); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Embedded) start(o EmbeddedOptions) (err error) {
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
	if err := listenable(o.Listen); err != nil {
		return err
	}
	left := leftStaging(o.Dir, o.Names.payloads())
	e.server.Start()
	if !e.server.ReadyForConnections(30 * time.Second) {
		return fmt.Errorf("embedded NATS server did not start: is %s free and %s writable?", o.Listen, o.Dir)
	}
	if !e.server.JetStreamEnabled() {
		return fmt.Errorf("embedded NATS server could not open its store in %s", o.Dir)
	}
	if left != "" {
		os.RemoveAll(left) // the server has taken from it what it could
	}
	return nil
}

// listenable finds out at once what the server would try for half a minute.
func listenable(listen string) error {
	if listen == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("embedded.listen: %w", err)
	}
	return l.Close()
}

// serverOptions: SyncAlways is the promise; the rest is size and access.
func serverOptions(o EmbeddedOptions, password string) (*server.Options, error) {
	opts := &server.Options{}
	if err := opts.ProcessConfigString(accounts(o, password)); err != nil {
		return nil, fmt.Errorf("set up users of the embedded NATS server: %w", err)
	}
	opts.ServerName = "kycbridge"
	opts.JetStream = true
	opts.StoreDir = o.Dir
	opts.SyncAlways = true
	opts.MaxPayload = int32(LargestMessage(o.MaxBody) + headRoom) // the default of 1 MB refuses the largest payload we accept
	opts.JetStreamMaxStore = 1 << 50                              // the disk is the limit
	opts.JetStreamMaxMemory = 64 << 20
	opts.MaxPending = 256 << 20
	opts.NoSigs, opts.NoLog = true, true
	if o.Listen == "" {
		opts.DontListen = true
		return opts, nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("embedded.listen %q: %w", o.Listen, err)
	}
	opts.Host = host
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("embedded.listen %q: the port must be a number", o.Listen)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// Dial gives the options that connect this process to the server, without a socket.
func (e *Embedded) Dial() []nats.Option {
	return []nats.Option{nats.InProcessServer(e.server), nats.UserInfo(operator, e.password)}
}

// ClientURL is where consumers connect; "" if no port is open.
func (e *Embedded) ClientURL() string {
	if e.server.Addr() == nil {
		return ""
	}
	return "nats://" + e.server.Addr().String()
}

// Close stops the server, waits until its store is closed and releases the directory.
func (e *Embedded) Close() {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	e.unstage()
	e.lock.Close() // closing releases the lock
}

// ErrInUse says that another process holds the data directory.
var ErrInUse = errors.New("is in use by another kycbridge")

// Operator is the user of the embedded server who may do everything. Whoever can read the data
// directory is the operator.
func Operator(dir string) (user, password string, err error) {
	password, err = operatorPassword(dir)
	return operator, password, err
}

// lockDir keeps a second process out of the directory: two servers on one store destroy it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "kycbridge.lock"), os.O_CREATE|os.O_RDWR, 0o600)
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

// operatorPassword reads the operator's password, or makes one at the first start.
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

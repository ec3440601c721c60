package publisher

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	unstage  func() // removes what stages batches in memory
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
	e := &Embedded{lock: lock, dir: o.Dir, unstage: func() {}}
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

// Staged makes group commit fast on the streams that exist by now.
func (e *Embedded) Staged(n Names) {
	e.unstage = stageInMemory(e.dir, n.payloads(), n.events(), n.quarantine())
}

// serverOptions: SyncAlways is the promise; the rest is size and access.
func serverOptions(o EmbeddedOptions, password string) (*server.Options, error) {
	opts := &server.Options{
		ServerName: "kycbridge",
		JetStream:  true,
		StoreDir:   o.Dir,
		SyncAlways: true,
		// The default of 1 MB would refuse the largest payload that we accept.
		MaxPayload:                 int32(2*o.MaxBody + 2*headRoom),
		JetStreamMaxStore:          1 << 50, // the disk is the limit
		JetStreamMaxMemory:         64 << 20,
		NoSigs:                     true,
		NoLog:                      true,
		DisableShortFirstPing:      true,
		MaxPending:                 256 << 20,
		NoSystemAccount:            false,
		JetStreamRequestQueueLimit: 0,
	}
	if o.Listen == "" {
		opts.DontListen = true
	} else {
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
	}
	opts.Users = users(o, password)
	if len(o.Users) == 0 {
		opts.NoAuthUser = "consumer"
	}
	return opts, nil
}

// users are the operator, and the consumers that the configuration names, or one without a password.
func users(o EmbeddedOptions, password string) []*server.User {
	all := []*server.User{{Username: operator, Password: password}}
	for _, u := range o.Users {
		p := consumerPermissions(o.Names)
		if len(u.Subscribe) > 0 {
			p.Subscribe.Allow = append(u.Subscribe, "_INBOX.>")
		}
		if len(u.Publish) > 0 {
			p.Publish.Allow = append(p.Publish.Allow, u.Publish...)
		}
		all = append(all, &server.User{Username: u.Username, Password: u.Password, Permissions: p})
	}
	if len(o.Users) == 0 {
		all = append(all, &server.User{Username: "consumer", Password: rand.Text(), Permissions: consumerPermissions(o.Names)})
	}
	return all
}

// consumerPermissions let a consumer read events, live or from the stream, and nothing else: not
// the payloads, and no publishing.
func consumerPermissions(n Names) *server.Permissions {
	s := n.events()
	return &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{n.EventSubjects(), "_INBOX.>"}},
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO." + s,
			"$JS.API.STREAM.MSG.GET." + s, "$JS.API.DIRECT.GET." + s, "$JS.API.DIRECT.GET." + s + ".>",
			"$JS.API.CONSUMER.CREATE." + s, "$JS.API.CONSUMER.CREATE." + s + ".>",
			"$JS.API.CONSUMER.DURABLE.CREATE." + s + ".>", "$JS.API.CONSUMER.DELETE." + s + ".>",
			"$JS.API.CONSUMER.INFO." + s + ".>", "$JS.API.CONSUMER.NAMES." + s, "$JS.API.CONSUMER.LIST." + s,
			"$JS.API.CONSUMER.MSG.NEXT." + s + ".>", "$JS.ACK." + s + ".>", "$JS.FC." + s + ".>",
		}},
	}
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

// lockDir keeps a second process out of the directory: two servers on one store destroy it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "kycbridge.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another kycbridge: stop it, or give this one another data_dir", dir)
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

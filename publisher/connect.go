package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Dial describes a connection to one NATS system.
type Dial struct {
	URL     string        // nats://, tls://, ws://, several by comma; ignored with in-process options
	Options []nats.Option // credentials, TLS, or an embedded server's in-process connection
	Name    string        // "store" or "bus", for log lines and the server's connection list
	Once    bool          // one attempt: if no server answers, Connect returns an error
	Server  *Embedded     // the server of this process, if Options lead to it; else nil

	// Closed is called when the connection has ended permanently without Close, with the reason; may be
	// nil.
	Closed func(error)
}

// NodesConnection is the name of the auxiliary connections to the same servers (Nodes).
const NodesConnection = "nodes"

// Connection is a NATS connection with JetStream.
type Connection struct {
	nc   *nats.Conn
	js   jetstream.JetStream // its PublishMsg flushes
	name string

	disk        disk
	sharesFlush bool // messages that are sent at the same moment share one flush
	ownServer   bool // the server is part of this process

	mu sync.Mutex
	up context.Context // ends when the connection is lost; replaced when it is restored
	// down cancels the context up.
	down  context.CancelFunc
	lives int
	lost  time.Time // when the connection was last lost

	foreignMessages
	maxMessage int           // bytes of a message that the server must accept
	unsafe     unsafeStreams // whose settings were changed while this process uses them
	forbidden  atomic.Bool   // the server has denied a request of this user
	clocks     clocks

	unreachable warningByReason
	closing     atomic.Bool // Close has been called

	erasing func(ctx context.Context, stream string, seq uint64) error // nil: erasures are not recorded
	// lifted are the streams whose age limit this process has removed, with their first sequence at that time.
	lifted map[string]uint64
	// checkNeeded holds at most one request to check streams and consumers.
	checkNeeded chan struct{}
}

// oldestServer is the first version with atomic batches and scheduled messages.
const oldestServer = "2.12"

// Connect dials until a server answers or ctx ends, and checks that the server supports the guarantees of
// kycbridge. A connection that is lost later is restored for as long as the process runs; meanwhile every publish
// fails at once. The client library closes a connection permanently after an error that it does not know, such as
// "authentication timeout": Dial.Closed reports it.
func Connect(ctx context.Context, d Dial, maxMessage int, log *zap.Logger) (*Connection, error) {
	log = log.With(zap.String("connection", d.Name))
	c := &Connection{name: d.Name, maxMessage: maxMessage, checkNeeded: make(chan struct{}, 1),
		foreignMessages: foreignMessages{log: log}}
	c.begin()
	options := slices.Concat(lasting(d.Name), c.handlers(d, log), d.Options)
	nc, err := nats.Connect(d.URL, options...)
	for errors.Is(err, nats.ErrNoServers) && ctx.Err() == nil && !d.Once {
		log.Warn("no NATS server answers yet, trying again", zap.String("url", Redacted(d.URL)))
		pause(ctx, time.Second)
		nc, err = nats.Connect(d.URL, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("connect %s to NATS at %s: %w", d.Name, Redacted(d.URL), err)
	}
	if err := fit(nc, maxMessage); err != nil {
		c.closing.Store(true)
		nc.Close()
		return nil, fmt.Errorf("%s at %s: %w", d.Name, Redacted(d.URL), err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		c.closing.Store(true)
		nc.Close()
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	c.nc, c.js, c.disk = nc, flushingJetStream{js, c}, flushedByServer{}
	switch {
	case d.Server != nil:
		c.disk, c.ownServer, c.sharesFlush = d.Server.disk, true, true
	case nc.ConnectedServerName() == embeddedName:
		c.disk, c.sharesFlush = &remoteDisk{nc: nc}, true
	}
	return c, nil
}

// flushingJetStream flushes what it publishes.
type flushingJetStream struct {
	jetstream.JetStream
	c *Connection
}

// PublishMsg returns when the message is durable. A store that does not answer within publishTimeout counts as
// unavailable, even if ctx has a later deadline.
func (f flushingJetStream) PublishMsg(
	ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ack, err := f.JetStream.PublishMsg(ctx, m, options...)
	if err == nil {
		err = f.c.disk.flush(ctx, ack.Stream)
	}
	return ack, err
}

// lasting are the options of a connection that is restored for as long as the process runs.
func lasting(name string) []nats.Option {
	return []nats.Option{
		nats.Name("kycbridge " + name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // refused credentials may be valid again after the server's next reload
		nats.ReconnectWait(250 * time.Millisecond),
		nats.FlusherTimeout(publishTimeout), // limits the wait for a server that does not read
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond),
		// No buffering while disconnected: publishing a message that is not sent must fail.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
	}
}

// handlers are the options that report what happens to the connection.
func (c *Connection) handlers(d Dial, log *zap.Logger) []nats.Option {
	lost := log.Warn
	if d.Name == NodesConnection {
		lost = log.Debug // the primary connection to the same servers logs it
	}
	var refused rateLimitedWarning
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.end()
			if err != nil {
				lost("nats connection lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			refused.reset()
			c.unreachable.reset()
			c.begin()
			c.requestCheck()
			log.Info("nats connection back", zap.String("url", Redacted(nc.ConnectedUrl())))
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if d.Name != NodesConnection {
				c.warnUnreachable(log, err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				c.forbidden.Store(true)
			}
			if deniesCredentials(err) {
				refused.warn(log, "nats refuses the credentials, trying again", zap.Error(err))
				return
			}
			log.Warn("nats reports an error", append(aboutSubscription(sub), zap.Error(err))...)
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if d.Closed != nil && !c.closing.Load() {
				d.Closed(fmt.Errorf("the connection %q to NATS has ended for good: %w", d.Name,
					cmp.Or(nc.LastError(), nats.ErrConnectionClosed)))
			}
		}),
	}
}

// ignoreDropped makes the connection log no messages that a subscription has dropped. All else is logged as before: of
// a connection whose credentials are refused, several lines a second would be.
func (c *Connection) ignoreDropped() {
	logged := c.nc.ErrorHandler()
	c.nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if !errors.Is(err, nats.ErrSlowConsumer) {
			logged(nc, sub, err)
		}
	})
}

// aboutSubscription says which subscription an error is about, and how many messages it has missed so far. There is
// none if the error is about the whole connection.
func aboutSubscription(sub *nats.Subscription) []zap.Field {
	if sub == nil {
		return nil
	}
	missed, _ := sub.Dropped() // 0 if it has ended
	return []zap.Field{zap.String("subject", sub.Subject), zap.Int("missed", missed)}
}

// deniesCredentials reports whether a server does not accept the user, or no longer accepts it.
func deniesCredentials(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

// unreachableAfter is for how long a connection is lost before the reason is logged: a server that restarts is back
// sooner.
const unreachableAfter = 5 * time.Second

// warnUnreachable logs why a lost connection cannot be restored.
func (c *Connection) warnUnreachable(log *zap.Logger, err error) {
	c.mu.Lock()
	isLong := c.up.Err() != nil && time.Since(c.lost) >= unreachableAfter
	c.mu.Unlock()
	if isLong && err != nil && !deniesCredentials(err) {
		c.unreachable.warn(log, "nats cannot be reached, trying again", err)
	}
}

// Forbidden reports whether the server has denied a request of this user. A denied request gets no answer,
// so it looks like a server that is unavailable.
func (c *Connection) Forbidden() bool { return c.forbidden.Load() }

func (c *Connection) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up == nil || c.up.Err() != nil {
		c.lives++
		c.up, c.down = context.WithCancel(context.Background())
	}
}

// life is the number of times that the connection was established.
func (c *Connection) life() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lives
}

func (c *Connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up.Err() == nil {
		c.lost = time.Now()
	}
	c.down()
}

// whileUp is ctx, which also ends when the connection is lost: a request in flight at that moment is never
// answered.
func (c *Connection) whileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(up, func() { cancel(nats.ErrDisconnected) })
	return ctx, func() { stop(); cancel(nil) }
}

// ErrForbidden means that the server denies this user the access to its streams that kycbridge needs.
var ErrForbidden = errors.New("not allowed to this user")

// fit refuses a server that is too old or whose message limit is too low.
func fit(nc *nats.Conn, maxMessage int) error {
	largest := nc.MaxPayload() // the embedded server lowers it for a reader of events once it has answered the reader
	if nc.ConnectedServerName() == embeddedName && largest <= readerPayload {
		return ErrForbidden // a reader of events at the embedded server
	}
	if !atLeast(nc.ConnectedServerVersion(), 2, 12) {
		return fmt.Errorf("nats-server %s is too old: atomic batches and scheduled messages need %s or newer",
			nc.ConnectedServerVersion(), oldestServer)
	}
	if largest < int64(maxMessage) {
		return fmt.Errorf(
			"max_payload is %d bytes, must be at least %d: raise it in the server's configuration, or lower receive.max_body",
			largest, maxMessage)
	}
	return nil
}

func atLeast(version string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(version, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

// ready reports whether the connection is up, the server still supports the guarantees, no stream has settings that
// would break one, and the leader of a stream answers.
func (c *Connection) ready(ctx context.Context, stream string) error {
	if !c.nc.IsConnected() {
		return fmt.Errorf("not connected: %w", cmp.Or(c.nc.LastError(), nats.ErrDisconnected))
	}
	if err := errors.Join(fit(c.nc, c.maxMessage), c.unsafe.fault()); err != nil {
		return err
	}
	if _, err := c.js.Stream(ctx, stream); err != nil {
		return fmt.Errorf("stream %s does not answer", stream)
	}
	return nil
}

// Connected reports whether the connection is up.
func (c *Connection) Connected() bool { return c.nc.IsConnected() }

// Close flushes pending messages and closes.
func (c *Connection) Close() {
	c.closing.Store(true)
	if c.nc.IsConnected() {
		// Acknowledgements may still be in the buffer; losing them causes only redeliveries.
		_ = c.nc.FlushTimeout(2 * time.Second)
	}
	c.nc.Close()
	c.end()
}

const (
	// answerTimeout limits one request at a time when a cluster may have no leader. A request that arrives while
	// no leader exists, or that is sent to a leader that fails, is never answered.
	answerTimeout = 3 * time.Second
	// openTimeout is how long streams and consumers may take to become available.
	openTimeout = 30 * time.Second
)

// retryRequest repeats a request until there is an answer, a permanent error, or ctx ends: a cluster that
// was just started, or has lost a node, elects a leader within seconds. Each attempt may take growth times as long as
// the one before.
func retryRequest(
	ctx context.Context, wait time.Duration, growth int, passes func(error) bool, ask func(context.Context) error,
) error {
	for timeout := answerTimeout; ; timeout *= time.Duration(growth) {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := ask(attempt)
		cancel()
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		pause(ctx, wait)
	}
}

// retryUntilReady requests streams and consumers until they are available, for openTimeout at most.
func retryUntilReady(ctx context.Context, ask func(context.Context) error) error {
	patience, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	// Without growth, a server so busy that it never answers within the first timeout would never be available.
	err := retryRequest(patience, retryPause, 2, leaderless, ask)
	if err != nil && patience.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: has the cluster a leader and as many servers as replicas, is JetStream enabled, "+
			"is there room for the streams?", err)
	}
	return err
}

// readUntilReady repeats a reading, which may take long, while a cluster has no leader yet, for openTimeout at most.
func readUntilReady(ctx context.Context, read func() error) error {
	for began := time.Now(); ; pause(ctx, retryPause) {
		err := read()
		if err == nil || !leaderless(err) || ctx.Err() != nil || time.Since(began) > openTimeout {
			return err
		}
	}
}

// ignoreShutdown is the error of work that runs until ctx ends; a shutdown during its start is no error.
func ignoreShutdown(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// unanswered reports whether there was no answer.
func unanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders)
}

// startingCluster are the error codes of a server in a cluster of which some nodes are not there, or not yet again.
// The client library has no names for them.
var startingCluster = []jetstream.ErrorCode{
	10005, // no suitable peers: fewer nodes are connected than a stream has replicas
	10006, // not in clustered mode: the server has not joined yet
	10007, // the server is not yet assigned to the stream
	10009, // the server is not the leader
	10041, // the group of replicas is not running yet
	10118, // the stream is offline
	10119, // the consumer is offline
}

// leaderless reports whether an error means that a cluster has no leader, too few nodes or not all streams
// yet: a stream that another process is creating is not found for a moment.
func leaderless(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok &&
		(api.Code == http.StatusServiceUnavailable || slices.Contains(startingCluster, api.ErrorCode)) {
		return true
	}
	return unanswered(err) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// reader opens a stream for reads that must see every previously acknowledged write. If a stream has
// replicas, a lagging replica may answer a direct get, so the leader is asked.
func (c *Connection) reader(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := c.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	reads := leaderReads{Stream: stream, js: c.js}
	if info := stream.CachedInfo(); info.Config.Replicas > 1 {
		info.Config.AllowDirect = false
	}
	return reads, nil
}

// leaderReads is a stream whose messages are read from the leader. The client library decides this by the last
// stream information that it received, and jetstream.Stream.Info would replace that information.
type leaderReads struct {
	jetstream.Stream
	js jetstream.JetStream
}

// Info requests the information through another handle of the stream.
func (r leaderReads) Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	stream, err := r.js.Stream(ctx, r.CachedInfo().Config.Name)
	switch {
	case err != nil:
		return nil, err
	case len(opts) == 0:
		return stream.CachedInfo(), nil
	}
	return stream.Info(ctx, opts...)
}

// Redacted is a NATS address, or a list of them with commas, without user, password or token.
func Redacted(addresses string) string {
	var all []string
	for address := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil {
			return "[unreadable address]"
		}
		u.User = nil
		all = append(all, u.String())
	}
	return strings.Join(all, ",")
}

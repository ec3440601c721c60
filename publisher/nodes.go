package publisher

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// Nodes are the servers of a cluster. A request of a reader and the subscription of its inbox reach the
// answering node on different routes, so a forwarded request can arrive before the subscription. The
// server then silently drops the pull or the answer. So kycbridge sends a message from each node to all others
// and waits for its arrival: the subscription updates of a node travel on the same route as the message, so
// they have arrived when the message has.
type Nodes struct {
	home        *Connection
	dial        NodeDial
	log         *zap.Logger
	subject     string // of messages between the nodes
	unreachable rateLimitedWarning

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	conns    map[string]*Connection // to the other nodes, by address
	ids      map[string]string      // of the servers found at an address
	next     chan struct{}          // closed at the end of the next round
	asked    chan struct{}          // requests a round
	arrivals chan crossing
}

// NodeDial connects to one node of a cluster, with one attempt.
type NodeDial func(ctx context.Context, address string, more ...nats.Option) (*Connection, error)

// crossing is a message from one node that has arrived at another.
type crossing struct {
	round uint64
	from  uint32
	to    *Connection
}

const (
	nodesEvery   = 5 * time.Second // how often the list of nodes is updated
	nodesTimeout = time.Second     // limits the start
	settleWait   = 500 * time.Millisecond
	settleApart  = 2 * time.Millisecond // between two rounds
)

// NewNodes connects to the nodes of a cluster, of which home is connected to one. A node that does not
// answer does not delay the start.
func NewNodes(home *Connection, dial NodeDial, log *zap.Logger) *Nodes {
	ctx, cancel := context.WithCancel(context.Background())
	n := &Nodes{
		home: home, dial: dial, log: log, subject: nats.NewInbox(), ctx: ctx, cancel: cancel,
		conns: map[string]*Connection{}, ids: map[string]string{},
		next: make(chan struct{}), asked: make(chan struct{}, 1), arrivals: make(chan crossing, 1024),
	}
	tried := make(chan struct{})
	n.work.Go(func() {
		n.listen(home)
		n.meetAll()
		close(tried)
		for pause(ctx, nodesEvery); ctx.Err() == nil; pause(ctx, nodesEvery) {
			n.meetAll()
		}
	})
	n.work.Go(n.run)
	select {
	case <-tried:
	case <-time.After(nodesTimeout):
	}
	return n
}

// Close ends the connections.
func (n *Nodes) Close() {
	n.cancel()
	for _, c := range n.all() {
		c.Close()
	}
	n.work.Wait()
}

// Settle returns when every node has received the subscriptions that the other nodes had before the call, or
// after a short timeout.
func (n *Nodes) Settle(ctx context.Context) {
	if n == nil || len(n.all()) < 2 {
		return
	}
	n.mu.Lock()
	round := n.next
	n.mu.Unlock()
	select {
	case n.asked <- struct{}{}:
	default:
	}
	select {
	case <-round:
	case <-n.ctx.Done():
	case <-ctx.Done():
	}
}

// run makes rounds on request; all waiting callers share one.
func (n *Nodes) run() {
	for round := uint64(1); ; round++ {
		select {
		case <-n.ctx.Done():
			return
		case <-n.asked:
		}
		n.mu.Lock()
		done := n.next
		n.next = make(chan struct{})
		n.mu.Unlock()
		n.round(round)
		close(done)
		pause(n.ctx, settleApart)
	}
}

// round has each node send to all others, and waits until the messages have arrived.
func (n *Nodes) round(round uint64) {
	var up []*Connection
	for _, c := range n.all() {
		if c.Connected() {
			up = append(up, c)
		}
	}
	missing := map[crossing]bool{}
	for from, c := range up {
		body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, round), uint32(from))
		if c.nc.Publish(n.subject, body) != nil {
			continue
		}
		for _, to := range up {
			missing[crossing{round, uint32(from), to}] = true
		}
	}
	late := time.After(settleWait)
	for len(missing) > 0 {
		select {
		case c := <-n.arrivals:
			delete(missing, c)
		case <-late:
			return
		case <-n.ctx.Done():
			return
		}
	}
}

// listen receives the messages between the nodes.
func (n *Nodes) listen(c *Connection) {
	_, err := c.nc.Subscribe(n.subject, func(m *nats.Msg) {
		if len(m.Data) != 12 {
			return
		}
		select {
		case n.arrivals <- crossing{binary.BigEndian.Uint64(m.Data), binary.BigEndian.Uint32(m.Data[8:]), c}:
		default: // of a round that has no waiting caller any more
		}
	})
	if err == nil {
		err = c.nc.FlushTimeout(nodesTimeout)
	}
	if err != nil && n.ctx.Err() == nil {
		n.log.Warn("the nodes of the cluster cannot be synchronized", zap.Error(err))
	}
}

// all are the connections, home first.
func (n *Nodes) all() []*Connection {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []*Connection{n.home}
	for _, c := range n.conns {
		all = append(all, c)
	}
	return all
}

// meetAll connects to the nodes in the cluster's list that have no connection yet, and closes the connections to
// nodes that have left the cluster.
func (n *Nodes) meetAll() {
	known := n.home.nc.Servers()
	for address, c := range n.conns {
		if !slices.Contains(known, address) && !c.Connected() {
			n.set(address, nil)
			c.Close()
		}
	}
	for _, address := range known {
		if n.conns[address] == nil && !n.at(n.ids[address]) && !n.isHome(address) {
			n.meet(address)
		}
	}
}

// meet connects to a node.
func (n *Nodes) meet(address string) {
	full, options := n.home.node(address)
	c, err := n.dial(n.ctx, full, options...)
	if err != nil {
		n.unreachable.warn(n.log, "a node of the cluster cannot be reached: answers to readers there may be late",
			zap.String("url", Redacted(address)), zap.Error(err))
		return
	}
	n.ids[address] = c.nc.ConnectedServerId()
	if n.at(n.ids[address]) {
		c.Close() // the server has several addresses
		return
	}
	n.listen(c)
	n.set(address, c)
}

// set stores the connection to a node so that Close finds it; nil removes it.
func (n *Nodes) set(address string, c *Connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c == nil:
		delete(n.conns, address)
	case n.ctx.Err() != nil:
		c.Close()
	default:
		n.conns[address] = c
	}
}

// at reports whether there is a connection to this server.
func (n *Nodes) at(id string) bool {
	return id != "" && slices.ContainsFunc(n.all(), func(c *Connection) bool { return c.nc.ConnectedServerId() == id })
}

// isHome reports whether home is connected to this address.
func (n *Nodes) isHome(address string) bool {
	u, err := url.Parse(n.home.nc.ConnectedUrl())
	return err == nil && u.Scheme+"://"+u.Host == address
}

// node are the address and the options to connect to another node of the same cluster, and to no other node.
// The user is that of the existing connection, as when a NATS client reconnects to another node.
func (c *Connection) node(address string) (string, []nats.Option) {
	options := []nats.Option{nats.IgnoreDiscoveredServers()}
	u, err := url.Parse(address)
	home, err2 := url.Parse(c.nc.ConnectedUrl())
	if err != nil || err2 != nil {
		return address, options
	}
	u.User = home.User
	if _, err := c.nc.TLSConnectionState(); err == nil && net.ParseIP(u.Hostname()) != nil &&
		net.ParseIP(home.Hostname()) == nil {
		options = append(options, named(home.Hostname())) // its certificate is for names
	}
	return u.String(), options
}

// named expects a server certificate for this name.
func named(host string) nats.Option {
	return func(o *nats.Options) error {
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig.ServerName = host
		return nil
	}
}

package publisher

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Sustained rate and burst of bytes that the clients of one user may send. Each line is charged according to
// its cost for the server, so that many small requests are not cheaper than a few large ones.
const (
	clientRate    = 8 << 20
	clientBurst   = 16 << 20
	lineCost      = 200  // bytes
	subscribeCost = 2000 // of a line that subscribes or unsubscribes
	connectCost   = 80 << 10
	readChunk     = 4 << 10
)

// Limits of the bytes that are buffered for clients that do not read: for one connection, and for all
// connections of a user. Events that are pulled faster than they are read are buffered there.
const (
	connBacklog        = 16 << 20
	userBacklog        = 32 << 20
	operatorBacklog    = 256 << 20 // for one connection of the operator
	maxIdleBuffer      = 256 << 10 // a larger buffer is released once it is written
	maxConnectLine     = 64 << 10  // bytes of the CONNECT of a client
	connectTimeout     = 5 * time.Second
	closeTimeout       = 2 * time.Second
	drainBytes         = 1 << 20 // bytes of a refused client that are read, so that it receives the reason
	maxUnauthenticated = 512     // clients that have not sent CONNECT yet
	maxClosing         = 256     // refused clients whose connection is still draining
	maxConnecting      = 64      // clients of one user that wait for admission
)

// Refusals with the texts that nats-server sends.
const (
	tooManyConnections    = "-ERR 'maximum connections exceeded'\r\n"
	authenticationTimeout = "-ERR 'Authentication Timeout'\r\n"
)

// clientProxy is the client port of the embedded server. The proxy exists because the server limits neither
// the total that the clients of one user send, nor what it buffers for clients that do not read. The rate of
// the operator's clients is not limited.
type clientProxy struct {
	listener        net.Listener
	greeting        []byte
	dialServer      func() (net.Conn, error) // opens a connection to the server
	users           map[string]*proxyUser    // by user name; "" is a client without one
	unknownUser     *proxyUser               // a client with another name, which the server refuses
	unauthenticated unauthenticated
	closing         chan struct{} // a slot for each refused client that is draining

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// listenProxy listens at an address. It accepts no client before serve.
func listenProxy(listen string) (*clientProxy, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("embedded.listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	noop := func() {}
	return &clientProxy{listener: l, users: map[string]*proxyUser{}, unknownUser: newProxyUser("", nil, noop, noop),
		closing: make(chan struct{}, maxClosing), ctx: ctx, cancel: cancel}, nil
}

// serve accepts clients until Close.
func (c *clientProxy) serve(dialServer func() (net.Conn, error)) error {
	server, err := dialServer()
	if err != nil {
		return fmt.Errorf("open the client port: %w", err)
	}
	defer server.Close()
	if c.greeting, err = bufio.NewReaderSize(server, maxConnectLine).ReadBytes('\n'); err != nil {
		return fmt.Errorf("open the client port: %w", err)
	}
	c.dialServer = dialServer
	c.work.Go(func() {
		for {
			client, err := c.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // for example, no file descriptors are left
				pause(c.ctx, 50*time.Millisecond)
				continue
			}
			c.work.Go(func() { c.handle(client) })
		}
	})
	return nil
}

// Close ends all connections.
func (c *clientProxy) Close() {
	c.cancel()
	c.listener.Close()
	c.work.Wait()
}

// handle connects a client with the server until either side closes. The server is dialed only when the
// user is known and within its connection rate: a connection costs the server more than a thousand
// requests.
func (c *clientProxy) handle(client net.Conn) {
	p := &proxiedConn{client: client, readable: make(chan struct{}, 1)}
	stop := context.AfterFunc(c.ctx, func() { client.Close() })
	defer stop()
	defer client.Close()
	from, connectLine, err := c.handshake(client)
	if err != nil {
		c.refuse(client, from, authenticationTimeout)
		return
	}
	u := c.userOf(connectLine)
	if err := u.wait(c.ctx); err != nil {
		c.refuse(client, from, tooManyConnections)
		return
	}
	if p.server, err = c.dialServer(); err != nil {
		return
	}
	defer p.server.Close()
	if u.limiter != nil && !verbose(connectLine) {
		p.unsubscriber = &unsubscriber{}
	}
	u.add(p)
	defer u.remove(p)
	var toClient sync.WaitGroup
	toClient.Go(func() { p.copyToClient(u) })
	if _, err := p.server.Write(connectLine); err == nil {
		p.copyToServer(c.ctx, from, u.limiter)
	}
	// The remaining output of the server still goes to the client, whichever side has closed first.
	p.server.Close()
	toClient.Wait()
	if !p.disconnected() {
		c.refuse(client, from, "")
	}
}

// refuse sends a client the reason for its refusal. It reads what the client has sent: closing a
// connection with unread input discards the output that the client has not read yet.
func (c *clientProxy) refuse(client net.Conn, from io.Reader, why string) {
	if client.SetDeadline(time.Now().Add(closeTimeout)) != nil {
		return
	}
	if _, err := io.WriteString(client, why); err != nil || !closeWrite(client) {
		return
	}
	select {
	case c.closing <- struct{}{}:
		_, _ = io.CopyN(io.Discard, from, drainBytes)
		<-c.closing
	default: // too many connections are draining
	}
}

// closeWrite closes the sending direction, while input is still read.
func closeWrite(client net.Conn) bool {
	half, ok := client.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// handshake sends the server's greeting to a client and reads its first line.
func (c *clientProxy) handshake(client net.Conn) (from *bufio.Reader, connectLine []byte, err error) {
	from = bufio.NewReader(client)
	c.unauthenticated.add(client)
	defer c.unauthenticated.remove(client)
	if err := client.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return from, nil, err
	}
	if _, err := client.Write(c.greeting); err != nil {
		return from, nil, err
	}
	for {
		part, err := from.ReadSlice('\n')
		connectLine = append(connectLine, part...)
		switch {
		case err == nil:
			c.unauthenticated.remove(client)
			return from, connectLine, client.SetDeadline(time.Time{})
		case !errors.Is(err, bufio.ErrBufferFull):
			return from, nil, err
		case len(connectLine) >= maxConnectLine: // a partial line: later input is read in pieces and may not fill one
			return from, nil, errors.New("the first line is too long")
		}
	}
}

// unauthenticated are the clients that have not sent CONNECT, the oldest first. If there are too many the
// oldest is refused: a regular client sends CONNECT at once.
type unauthenticated struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (s *unauthenticated) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns = append(s.conns, c); len(s.conns) > maxUnauthenticated {
		_ = s.conns[0].SetReadDeadline(time.Now()) // it receives a timeout
		s.conns = s.conns[1:]
	}
}

func (s *unauthenticated) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.conns, c); at >= 0 {
		s.conns = slices.Delete(s.conns, at, at+1)
	}
}

// verbose reports whether the server answers each line of a client with +OK, which is its default. Such a client would
// take the answer to a line that it did not send for that to its next one.
func verbose(connectLine []byte) bool {
	options := struct {
		Verbose bool `json:"verbose"`
	}{true}
	if at := bytes.IndexByte(connectLine, '{'); at >= 0 {
		_ = json.Unmarshal(connectLine[at:], &options) // the server refuses what cannot be read
	}
	return options.Verbose
}

// userOf is the user that a CONNECT line names with the correct password; else unknownUser, which the server
// refuses.
func (c *clientProxy) userOf(line []byte) *proxyUser {
	var credentials struct { // parsed as the server parses them
		User     string `json:"user"`
		Password string `json:"pass"`
	}
	const word = "CONNECT"
	if len(line) > len(word) && bytes.EqualFold(line[:len(word)], []byte(word)) {
		_ = json.Unmarshal(line[len(word):], &credentials)
	}
	if u, ok := c.users[credentials.User]; ok &&
		subtle.ConstantTimeCompare([]byte(u.password), []byte(credentials.Password)) == 1 {
		return u
	}
	return c.unknownUser
}

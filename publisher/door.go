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

	"golang.org/x/time/rate"
)

// What the clients of one user may send in a second, lasting, and how much at once. A line costs what
// it makes the server do, so that many small requests are no cheaper than a few large ones.
const (
	sentRate      = 8 << 20
	sentBurst     = 16 << 20
	lineCost      = 200  // bytes
	subscribeCost = 2000 // of a line that subscribes, or ends that
	connectCost   = 80 << 10
	sentChunk     = 4 << 10
)

// What may wait for clients that do not read: for one connection, and for all of a user. Events that
// are pulled faster than they are read wait there.
const (
	backlogOfOne  = 16 << 20
	backlogOfAll  = 32 << 20
	backlogOfHost = 256 << 20 // for one connection of the operator
	keptBuffer    = 256 << 10 // a larger one is given back when it has been written
	longestHello  = 64 << 10  // bytes of the CONNECT of a client
	helloPatience = 5 * time.Second
	goodbye       = 2 * time.Second
	unheard       = 1 << 20 // bytes of a client that is turned away, read so that it hears why
	mostSilent    = 512     // clients that have not said who they are
	mostLeaving   = 256     // clients that are turned away and still heard
	mostAtDoor    = 64      // clients of one user that wait to be let in
)

// Refusals, as the server words them.
const (
	sayTooMany = "-ERR 'maximum connections exceeded'\r\n"
	sayTooLate = "-ERR 'Authentication Timeout'\r\n"
)

// door is the client port of the embedded server. It stands before the server because the server
// knows no bound to what the clients of one user send together, nor to what it holds for those who do
// not read. The clients of the operator pass as they are.
type door struct {
	listener net.Listener
	greeting []byte
	inside   func() (net.Conn, error) // a connection to the server
	guests   map[string]*guest        // by user; "" is whoever names none
	stranger *guest                   // whoever names another, and will be turned away by the server
	silent   silent
	leaving  chan struct{} // clients that are turned away

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// guest is a user with all its connections.
type guest struct {
	password string
	sent     *rate.Limiter // nil: no bound
	// Bytes that may wait for one connection, and for all.
	mostOfOne, mostOfAll int
	told                 *budget // is charged with what its connections are sent
	// first and last are called when the first connection of the guest comes, before it is heard, and
	// when the last has gone.
	first, last func()

	mu      sync.Mutex
	atDoor  int // connections that wait to be let in
	present map[*passage]struct{}
	backlog int // bytes that wait for its connections
}

// newGuest is a user with the bounds that hold for consumers.
func newGuest(password string, told *budget, first, last func()) *guest {
	return &guest{password: password, sent: rate.NewLimiter(sentRate, sentBurst), told: told, mostOfOne: backlogOfOne, mostOfAll: backlogOfAll, first: first, last: last}
}

// newHost is the operator, who may send what he likes.
func newHost(password string) *guest {
	nothing := func() {}
	return &guest{password: password, mostOfOne: backlogOfHost, mostOfAll: 2 * backlogOfHost, first: nothing, last: nothing}
}

// openDoor listens at an address. It lets nobody in before serve.
func openDoor(listen string) (*door, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("embedded.listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	nothing := func() {}
	return &door{listener: l, guests: map[string]*guest{}, stranger: newGuest("", nil, nothing, nothing),
		leaving: make(chan struct{}, mostLeaving), ctx: ctx, cancel: cancel}, nil
}

// serve lets clients in until Close.
func (d *door) serve(inside func() (net.Conn, error)) error {
	server, err := inside()
	if err != nil {
		return fmt.Errorf("open the client port: %w", err)
	}
	defer server.Close()
	if d.greeting, err = bufio.NewReaderSize(server, longestHello).ReadBytes('\n'); err != nil {
		return fmt.Errorf("open the client port: %w", err)
	}
	d.inside = inside
	d.work.Go(func() {
		for {
			client, err := d.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // no file descriptors, for one
				pause(d.ctx, 50*time.Millisecond)
				continue
			}
			d.work.Go(func() { d.let(client) })
		}
	})
	return nil
}

// Close ends all connections.
func (d *door) Close() {
	d.cancel()
	d.listener.Close()
	d.work.Wait()
}

// let connects a client with the server until one of the two leaves. The server hears of it when it is
// known who the client is and that it has not come too often: a connection costs the server more than
// a thousand requests.
func (d *door) let(client net.Conn) {
	p := &passage{client: client, more: make(chan struct{}, 1)}
	stop := context.AfterFunc(d.ctx, func() { client.Close() })
	defer stop()
	defer client.Close()
	from, first, err := d.greet(client)
	if err != nil {
		d.turnAway(client, from, sayTooLate)
		return
	}
	g := d.guest(first)
	if err := g.wait(d.ctx); err != nil {
		d.turnAway(client, from, sayTooMany)
		return
	}
	if p.server, err = d.inside(); err != nil {
		return
	}
	defer p.server.Close()
	g.enter(p)
	defer g.leave(p)
	var outward sync.WaitGroup
	outward.Go(func() { p.outward(g) })
	if _, err := p.server.Write(first); err == nil {
		p.inward(d.ctx, from, g.sent)
	}
	// Whichever of the two has left, what the server has said still goes to the client.
	p.server.Close()
	outward.Wait()
	if !p.gone() {
		d.turnAway(client, from, "")
	}
}

// turnAway tells a client why it is turned away. It reads what the client has sent: bytes that nobody
// has read when a connection is closed cost the client what it has not read itself.
func (d *door) turnAway(client net.Conn, from io.Reader, why string) {
	if client.SetDeadline(time.Now().Add(goodbye)) != nil {
		return
	}
	if _, err := io.WriteString(client, why); err != nil || !closeWrite(client) {
		return
	}
	select {
	case d.leaving <- struct{}{}:
		_, _ = io.CopyN(io.Discard, from, unheard)
		<-d.leaving
	default: // too many at once
	}
}

// closeWrite tells a client that nothing more comes, while it may still be heard.
func closeWrite(client net.Conn) bool {
	half, ok := client.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// greet says to a client what the server says first, and reads its answer.
func (d *door) greet(client net.Conn) (from *bufio.Reader, first []byte, err error) {
	from = bufio.NewReader(client)
	d.silent.add(client)
	defer d.silent.remove(client)
	if err := client.SetDeadline(time.Now().Add(helloPatience)); err != nil {
		return from, nil, err
	}
	if _, err := client.Write(d.greeting); err != nil {
		return from, nil, err
	}
	for {
		part, err := from.ReadSlice('\n')
		first = append(first, part...)
		switch {
		case err == nil:
			d.silent.remove(client)
			return from, first, client.SetDeadline(time.Time{})
		case !errors.Is(err, bufio.ErrBufferFull):
			return from, nil, err
		case len(first) >= longestHello: // at once: what else comes is read in pieces and may not fill one
			return from, nil, errors.New("the first line is too long")
		}
	}
}

// silent are the clients that have not said who they are, the oldest first. Where there are too many
// the oldest has to go: an honest client says it at once.
type silent struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (s *silent) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns = append(s.conns, c); len(s.conns) > mostSilent {
		_ = s.conns[0].SetReadDeadline(time.Now()) // it is told so
		s.conns = s.conns[1:]
	}
}

func (s *silent) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.conns, c); at >= 0 {
		s.conns = slices.Delete(s.conns, at, at+1)
	}
}

// wait returns when one more connection of the guest may be let in. It is an error if too many wait.
func (g *guest) wait(ctx context.Context) error {
	if g.sent == nil {
		return ctx.Err()
	}
	g.mu.Lock()
	full := g.atDoor >= mostAtDoor
	if !full {
		g.atDoor++
	}
	g.mu.Unlock()
	if full {
		return errors.New("too many connections at once")
	}
	err := g.sent.WaitN(ctx, connectCost)
	g.mu.Lock()
	g.atDoor--
	g.mu.Unlock()
	return err
}

// guest is who says this as its first word, with the right password; else a stranger, whom the server
// turns away.
func (d *door) guest(line []byte) *guest {
	var said struct { // read as the server reads it
		User     string `json:"user"`
		Password string `json:"pass"`
	}
	const word = "CONNECT"
	if len(line) > len(word) && bytes.EqualFold(line[:len(word)], []byte(word)) {
		_ = json.Unmarshal(line[len(word):], &said)
	}
	if g, ok := d.guests[said.User]; ok && subtle.ConstantTimeCompare([]byte(g.password), []byte(said.Password)) == 1 {
		return g
	}
	return d.stranger
}

func (g *guest) enter(p *passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.present == nil {
		g.present = map[*passage]struct{}{}
	}
	if g.present[p] = struct{}{}; len(g.present) == 1 {
		g.first()
	}
}

func (g *guest) leave(p *passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(p)
	if delete(g.present, p); len(g.present) == 0 {
		g.last()
	}
}

// hold counts n more bytes that wait for a connection. Where that is too much, the connections that
// have let most gather are cut off.
func (g *guest) hold(p *passage, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.cut {
		return
	}
	p.held += n
	g.backlog += n
	if p.held > g.mostOfOne {
		g.drop(p)
	}
	for g.backlog > g.mostOfAll {
		slowest := p
		for other := range g.present {
			if other.held > slowest.held {
				slowest = other
			}
		}
		g.drop(slowest)
	}
}

// drop cuts a connection off. Its bytes count no more: they go with it.
func (g *guest) drop(p *passage) {
	g.backlog -= p.held
	p.held, p.cut = 0, true
	p.end()
}

func (g *guest) release(p *passage, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.cut {
		p.held -= n
		g.backlog -= n
	}
}

// passage is one connection through the door.
type passage struct {
	client, server net.Conn
	// They belong to the guest: the bytes that wait for the client, and whether it has been cut off.
	held int
	cut  bool

	mu      sync.Mutex
	ended   bool
	waiting []byte
	more    chan struct{} // something waits
}

func (p *passage) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.client.Close()
	p.server.Close()
}

// gone reports whether the client has been cut off.
func (p *passage) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// inward carries what the client sends, no faster than its user may.
func (p *passage) inward(ctx context.Context, from *bufio.Reader, sent *rate.Limiter) {
	chunk := make([]byte, sentChunk)
	var t toll
	for {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		if sent != nil && sent.WaitN(ctx, t.of(chunk[:n])) != nil {
			return
		}
		if _, err := p.server.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// toll tells what a client's bytes cost, by the first letter of each line. Lines of a message's body
// are lines as well.
type toll struct{ within bool } // a line

func (t *toll) of(chunk []byte) int {
	cost := len(chunk)
	for len(chunk) > 0 {
		if !t.within {
			switch chunk[0] {
			case 'S', 's', 'U', 'u':
				cost += subscribeCost
			default:
				cost += lineCost
			}
		}
		end := bytes.IndexByte(chunk, '\n')
		if t.within = end < 0; t.within {
			break
		}
		chunk = chunk[end+1:]
	}
	return cost
}

// outward carries what the server sends. The server never waits: what the client does not read is
// held here, within the bounds of its user.
func (p *passage) outward(g *guest) {
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() { p.write(g, done) })
	chunk := make([]byte, 64<<10)
	_, err := p.server.Read(chunk) // its greeting, one piece; the client has been greeted already
	for n := 0; err == nil; {
		if n, err = p.server.Read(chunk); err != nil {
			break
		}
		g.told.spend(n)
		g.hold(p, n)
		p.mu.Lock()
		p.waiting = append(p.waiting, chunk[:n]...)
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
	}
	// Its last word may be why it turns the client away.
	_ = p.client.SetWriteDeadline(time.Now().Add(goodbye))
	close(done)
	writing.Wait()
	p.server.Close()
	_ = p.client.SetReadDeadline(time.Now().Add(goodbye))
	closeWrite(p.client)
}

// write sends what waits until done, and what waits then.
func (p *passage) write(g *guest, done <-chan struct{}) {
	var batch []byte
	for last := false; !last; {
		select {
		case <-p.more:
		case <-done:
			last = true
		}
		if cap(batch) > keptBuffer {
			batch = nil
		}
		p.mu.Lock()
		batch, p.waiting = p.waiting, batch[:0]
		p.mu.Unlock()
		n, err := p.client.Write(batch)
		g.release(p, n)
		if err != nil {
			p.end()
			return
		}
	}
}

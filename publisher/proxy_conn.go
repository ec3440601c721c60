package publisher

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// proxiedConn is one connection through the proxy.
type proxiedConn struct {
	client, server net.Conn
	// nil: the operator, whose subscriptions the server ends itself, and a client that waits for the answer to each line.
	unsubscriber *unsubscriber
	// Guarded by the user: the bytes that wait for the client, and whether it was disconnected.
	backlog int
	cut     bool

	mu       sync.Mutex
	ended    bool
	waiting  []byte
	readable chan struct{} // signals that data is waiting
}

func (p *proxiedConn) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.client.Close()
	p.server.Close()
}

// disconnected reports whether the client was disconnected.
func (p *proxiedConn) disconnected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// copyToServer forwards what the client sends, within the rate limit of its user.
func (p *proxiedConn) copyToServer(ctx context.Context, from *bufio.Reader, limiter *rate.Limiter) {
	chunk := make([]byte, readChunk)
	var t lineCosts
	for {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		if limiter != nil && limiter.WaitN(ctx, t.of(chunk[:n])) != nil {
			return
		}
		sent := chunk[:n]
		if p.unsubscriber != nil {
			sent = p.unsubscriber.toServer(sent)
		}
		if _, err := p.server.Write(sent); err != nil {
			return
		}
	}
}

// lineCosts computes the cost of a client's bytes by the first letter of each line. Lines of a message
// body count as lines as well.
type lineCosts struct{ inLine bool }

func (t *lineCosts) of(chunk []byte) int {
	cost := len(chunk)
	for len(chunk) > 0 {
		if !t.inLine {
			switch chunk[0] {
			case 'S', 's', 'U', 'u':
				cost += subscribeCost
			default:
				cost += lineCost
			}
		}
		end := bytes.IndexByte(chunk, '\n')
		if t.inLine = end < 0; t.inLine {
			break
		}
		chunk = chunk[end+1:]
	}
	return cost
}

// copyToClient forwards what the server sends. The server never waits: unread data is buffered here,
// within the limits of the user.
func (p *proxiedConn) copyToClient(u *proxyUser) {
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() { p.writeToClient(u, done) })
	chunk := make([]byte, 64<<10)
	_, err := p.server.Read(chunk) // the server's greeting, one piece; the client has its greeting already
	for n := 0; err == nil; {
		if n, err = p.server.Read(chunk); err != nil {
			break
		}
		if p.unsubscriber != nil {
			p.unsubscriber.toClient(chunk[:n])
		}
		u.sendBudget.spend(n)
		u.addBacklog(p, n)
		p.mu.Lock()
		p.waiting = append(p.waiting, chunk[:n]...)
		p.mu.Unlock()
		select {
		case p.readable <- struct{}{}:
		default:
		}
	}
	// The last output may be the reason for a refusal.
	_ = p.client.SetWriteDeadline(time.Now().Add(closeTimeout))
	close(done)
	writing.Wait()
	p.server.Close()
	_ = p.client.SetReadDeadline(time.Now().Add(closeTimeout))
	closeWrite(p.client)
}

// writeToClient sends waiting data until done, and then the rest.
func (p *proxiedConn) writeToClient(u *proxyUser, done <-chan struct{}) {
	var batch []byte
	for last := false; !last; {
		select {
		case <-p.readable:
		case <-done:
			last = true
		}
		if cap(batch) > maxIdleBuffer {
			batch = nil
		}
		p.mu.Lock()
		batch, p.waiting = p.waiting, batch[:0]
		p.mu.Unlock()
		n, err := p.client.Write(batch)
		u.reduceBacklog(p, n)
		if err != nil {
			p.end()
			return
		}
	}
}

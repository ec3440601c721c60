package publisher

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/time/rate"
)

// proxyUser is a user with all its connections.
type proxyUser struct {
	password string
	limiter  *rate.Limiter // nil: no limit
	// Limits of the bytes that wait for one connection, and for all.
	maxConnBacklog, maxUserBacklog int
	sendBudget                     *budget // is charged with the bytes that its connections receive
	// onFirst is called before the first connection of the user is served, onLast after the last has
	// closed.
	onFirst, onLast func()

	mu         sync.Mutex
	connecting int // connections that wait for admission
	conns      map[*proxiedConn]struct{}
	backlog    int // bytes that wait for its connections
}

// newProxyUser is a user with the limits of consumers.
func newProxyUser(password string, sendBudget *budget, onFirst, onLast func()) *proxyUser {
	return &proxyUser{password: password, limiter: rate.NewLimiter(clientRate, clientBurst), sendBudget: sendBudget,
		maxConnBacklog: connBacklog, maxUserBacklog: userBacklog, onFirst: onFirst, onLast: onLast}
}

// newProxyOperator is the operator, who has no rate limit.
func newProxyOperator(password string) *proxyUser {
	noop := func() {}
	return &proxyUser{password: password, maxConnBacklog: operatorBacklog, maxUserBacklog: 2 * operatorBacklog,
		onFirst: noop, onLast: noop}
}

// wait returns when one more connection of the user may be admitted. It is an error if too many wait.
func (g *proxyUser) wait(ctx context.Context) error {
	if g.limiter == nil {
		return ctx.Err()
	}
	g.mu.Lock()
	full := g.connecting >= maxConnecting
	if !full {
		g.connecting++
	}
	g.mu.Unlock()
	if full {
		return errors.New("too many connections at once")
	}
	err := g.limiter.WaitN(ctx, connectCost)
	g.mu.Lock()
	g.connecting--
	g.mu.Unlock()
	return err
}

func (g *proxyUser) add(p *proxiedConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		g.conns = map[*proxiedConn]struct{}{}
	}
	if g.conns[p] = struct{}{}; len(g.conns) == 1 {
		g.onFirst()
	}
}

func (g *proxyUser) remove(p *proxiedConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disconnect(p)
	if delete(g.conns, p); len(g.conns) == 0 {
		g.onLast()
	}
}

// addBacklog counts n more bytes that wait for a connection. Above the limit of one connection, p is closed;
// above the limit of the user, the connections with the largest backlogs are closed.
func (g *proxyUser) addBacklog(p *proxiedConn, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.cut {
		return
	}
	p.backlog += n
	g.backlog += n
	if p.backlog > g.maxConnBacklog {
		g.disconnect(p)
	}
	for g.backlog > g.maxUserBacklog {
		slowest := p
		for other := range g.conns {
			if other.backlog > slowest.backlog {
				slowest = other
			}
		}
		g.disconnect(slowest)
	}
}

// disconnect closes a connection. Its backlog is released with it.
func (g *proxyUser) disconnect(p *proxiedConn) {
	g.backlog -= p.backlog
	p.backlog, p.cut = 0, true
	p.end()
}

func (g *proxyUser) reduceBacklog(p *proxiedConn, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.cut {
		p.backlog -= n
		g.backlog -= n
	}
}

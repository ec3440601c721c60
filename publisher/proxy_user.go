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
func (u *proxyUser) wait(ctx context.Context) error {
	if u.limiter == nil {
		return ctx.Err()
	}
	u.mu.Lock()
	full := u.connecting >= maxConnecting
	if !full {
		u.connecting++
	}
	u.mu.Unlock()
	if full {
		return errors.New("too many connections at once")
	}
	err := u.limiter.WaitN(ctx, connectCost)
	u.mu.Lock()
	u.connecting--
	u.mu.Unlock()
	return err
}

func (u *proxyUser) add(p *proxiedConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conns == nil {
		u.conns = map[*proxiedConn]struct{}{}
	}
	if u.conns[p] = struct{}{}; len(u.conns) == 1 {
		u.onFirst()
	}
}

func (u *proxyUser) remove(p *proxiedConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.disconnect(p)
	if delete(u.conns, p); len(u.conns) == 0 {
		u.onLast()
	}
}

// addBacklog counts n more bytes that wait for a connection. Above the limit of one connection, p is closed;
// above the limit of the user, the connections with the largest backlogs are closed.
func (u *proxyUser) addBacklog(p *proxiedConn, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.cut {
		return
	}
	p.backlog += n
	u.backlog += n
	if p.backlog > u.maxConnBacklog {
		u.disconnect(p)
	}
	for u.backlog > u.maxUserBacklog {
		slowest := p
		for other := range u.conns {
			if other.backlog > slowest.backlog {
				slowest = other
			}
		}
		u.disconnect(slowest)
	}
}

// disconnect closes a connection. Its backlog is released with it.
func (u *proxyUser) disconnect(p *proxiedConn) {
	u.backlog -= p.backlog
	p.backlog, p.cut = 0, true
	p.end()
}

func (u *proxyUser) reduceBacklog(p *proxiedConn, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !p.cut {
		p.backlog -= n
		u.backlog -= n
	}
}

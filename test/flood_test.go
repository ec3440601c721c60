package test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

var floodFlag = flag.Duration("flood", 0, "how long each attack of TestFlood lasts; 0: it is skipped")

// attack is hostile traffic that accompanies genuine callbacks.
type attack struct {
	name string
	run  func(ctx context.Context, t *testing.T, b *bridge) (sent int64)
}

// TestFlood measures how long genuine callbacks wait during an attack: 20 per second, each of a separate
// verification. It sends to this machine only.
func TestFlood(t *testing.T) {
	if *floodFlag == 0 {
		t.Skip("measures for minutes; run it with -flood 30s on a quiet machine")
	}
	large := []byte(`{"result":{"data":{"processingConfig":{"authKeyForCallback":"wrong"},"x":"` +
		strings.Repeat(`\"{`, 340_000) + `"}}}`)
	small := []byte(`{"journeyId":"x","processingConfig":{"authKeyForCallback":"wrong"}}`)
	for _, a := range []attack{
		{"nobody", func(ctx context.Context, _ *testing.T, _ *bridge) int64 { <-ctx.Done(); return 0 }},
		{"3,000 small forged callbacks a second",
			func(ctx context.Context, t *testing.T, b *bridge) int64 { return forge(ctx, t, b, 3000, 64, small) }},
		{"40 forged megabytes a second",
			func(ctx context.Context, t *testing.T, b *bridge) int64 { return forge(ctx, t, b, 40, 40, large) }},
		{"5,000 idle connections", idle},
		{"3,000 requests for a token a second, with a wrong secret",
			func(ctx context.Context, t *testing.T, b *bridge) int64 { return guessTokens(ctx, t, b, 3000) }},
	} {
		t.Run(a.name, func(t *testing.T) {
			b := newBridge(t, edgeAccounts)
			b.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), *floodFlag)
			defer cancel()
			var sent int64
			var attacking sync.WaitGroup
			attacking.Go(func() { sent = a.run(ctx, t, b) })
			took := genuineWaits(ctx, t, b)
			attacking.Wait()
			slices.Sort(took)
			at := func(share float64) time.Duration { return took[min(len(took)-1, int(share*float64(len(took))))] }
			t.Logf("%d genuine beside %d forged: median %s, p99 %s, slowest %s", len(took), sent, at(0.5), at(0.99), at(1))
			if at(0.99) > 100*time.Millisecond {
				t.Errorf("one in a hundred genuine callbacks took %s or more", at(0.99))
			}
		})
	}
}

// genuineWaits sends callbacks until ctx ends and returns the time of each until its 200.
func genuineWaits(ctx context.Context, t *testing.T, b *bridge) (took []time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 1000; ; n++ {
		select {
		case <-ctx.Done():
			return took
		case <-tick.C:
		}
		began := time.Now()
		reply, err := b.post(context.WithoutCancel(ctx), kycHook(n, 1, "Approved", "Approved", ""))
		if err != nil || reply.Code != http.StatusOK {
			t.Errorf("genuine: %d %v", reply.Code, err)
			continue
		}
		took = append(took, time.Since(began))
	}
}

// forge posts one forged body at a rate over several connections.
func forge(ctx context.Context, t *testing.T, b *bridge, perSecond float64, connections int, body []byte) int64 {
	var sent atomic.Int64
	limit := rate.NewLimiter(rate.Limit(perSecond), 1)
	client := &http.Client{Timeout: 20 * wait.Slowdown * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var forging sync.WaitGroup
	for range connections {
		forging.Go(func() {
			for limit.Wait(ctx) == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.callbackURL("signzy", "keyed"),
					bytes.NewReader(body))
				if err != nil {
					return
				}
				res, err := client.Do(req)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK {
					t.Errorf("a forged callback was answered %d", res.StatusCode)
				}
				sent.Add(1)
			}
		})
	}
	forging.Wait()
	return sent.Load()
}

// guessTokens requests access tokens with a wrong secret at a rate over several connections. The client is that of
// oauth2Config.
func guessTokens(ctx context.Context, t *testing.T, b *bridge, perSecond float64) int64 {
	const connections = 64
	var sent atomic.Int64
	limit := rate.NewLimiter(rate.Limit(perSecond), 1)
	client := &http.Client{Timeout: 20 * wait.Slowdown * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var guessing sync.WaitGroup
	for range connections {
		guessing.Go(func() {
			for limit.Wait(ctx) == nil {
				token, err := fetchToken(ctx, client, "http://"+freeport.Local(b.callbacks)+"/oauth2/token", "ondato-acme",
					fmt.Sprint("guess-", sent.Add(1)))
				if err == nil {
					t.Errorf("a guess was answered with a token of %d bytes", len(token))
				}
			}
		})
	}
	guessing.Wait()
	return sent.Load()
}

// TestTokenFlood: while secrets are guessed a thousand times a second, the genuine client gets its tokens and its
// callbacks are answered, and the log stays short.
func TestTokenFlood(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oauth2Config("{id: ondato-acme, secret: secret-of-the-client}"))
	b.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second*wait.Slowdown)
	defer cancel()
	var guessing sync.WaitGroup
	var guesses int64
	guessing.Go(func() { guesses = guessTokens(ctx, t, b, 1000) })
	genuine := 0
	for began := time.Now(); ctx.Err() == nil && (genuine < 10 || time.Since(began) < 5*time.Second); genuine++ {
		token, err := fetchToken(t.Context(), b.client, "http://"+freeport.Local(b.callbacks)+"/oauth2/token", "ondato-acme",
			"secret-of-the-client")
		if err != nil {
			t.Fatalf("the genuine client: %v", err)
		}
		code, answer, err := postTo(t.Context(), b.client, b.callbackURL("ondato", "acme"), token,
			kycHook(genuine, 1, "Approved", "Approved", ""))
		if err != nil || code != http.StatusOK {
			t.Fatalf("callback %d: %d %s %v", genuine, code, answer, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // the sending rate, not a wait for success
		}
	}
	cancel()
	guessing.Wait()
	if lines := strings.Count(b.stderr.String(), "token request"); lines == 0 || lines > 100 {
		t.Errorf("%d lines in the log about %d guesses", lines, guesses)
	}
	if genuine < 10 || guesses < 500 {
		t.Errorf("%d genuine callbacks beside %d guesses", genuine, guesses)
	}
	t.Logf("%d genuine callbacks beside %d guesses", genuine, guesses)
}

// TestFloodOfHandshakes measures how long genuine callbacks wait, each on a new connection with TLS, while 5,000
// connections begin a handshake and wait.
func TestFloodOfHandshakes(t *testing.T) {
	if *floodFlag == 0 {
		t.Skip("measures; run it with -flood 10s on a quiet machine")
	}
	s := newSecured(t, oneAccount)
	s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), *floodFlag)
	defer cancel()
	var silent sync.WaitGroup
	silent.Go(func() { begun(ctx, t, s.bridge, "\x16\x03\x01\x02\x00\x01") })
	client := s.sender(t, false)
	var took []time.Duration
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		code, answer, err := postTo(t.Context(), client, s.url("/webhooks/ondato/acme"), loadToken,
			kycHook(n, 1, "Approved", "Approved", ""))
		if err != nil || code != http.StatusOK {
			t.Fatalf("callback %d: %d %s %v", n, code, answer, err)
		}
		took = append(took, time.Since(began))
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // the sending rate, not a wait for success
		}
	}
	silent.Wait()
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d genuine: median %s, p99 %s, slowest %s", len(took), took[len(took)/2], p99, took[len(took)-1])
	if p99 > 100*time.Millisecond {
		t.Errorf("one in a hundred genuine callbacks took %s or more", p99)
	}
}

// idle opens connections that send the first bytes of a request and wait.
func idle(ctx context.Context, t *testing.T, b *bridge) int64 {
	return begun(ctx, t, b, "POST /webhooks/signzy/keyed HTTP/1.1\r\nHost: x\r\n")
}

// begun opens connections that send these bytes and wait.
func begun(ctx context.Context, t *testing.T, b *bridge, first string) int64 {
	const connections = 5000
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	var d net.Dialer
	for range connections {
		c, err := d.DialContext(ctx, "tcp", freeport.Local(b.callbacks))
		if err != nil {
			t.Logf("after %d connections: %v", len(open), err)
			break
		}
		open = append(open, c)
		fmt.Fprint(c, first)
	}
	<-ctx.Done()
	return int64(len(open))
}

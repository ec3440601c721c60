package publisher

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
)

const (
	longestLine = 8 << 10  // of the protocol, the server's limit is 4 KB
	largestBody = 64 << 20 // of a message, the server's limit is 64 MB at most
	mostCounted = 1024     // subscriptions of one connection; the server allows fewer
)

// unsubscriber ends subscriptions of a reader after a number of messages (UNSUB with a maximum), as a client that uses
// a new inbox for each request expects. The server does not: answers are imported from another account, for which it
// copies the subscription, and it does not apply the maximum to the copy. The subscriptions would add up until the
// server closes the connection, because it has too many.
type unsubscriber struct {
	mu       sync.Mutex
	up, down frames
	counted  map[string]*countedSub // by the client's id of the subscription
	ended    []byte                 // requests to end subscriptions that the server has not received yet
}

// countedSub is a subscription.
type countedSub struct{ received, most int } // most 0: without a maximum

// toServer follows what a client sends, and returns it with the requests to end subscriptions, between two others. They
// are sent no earlier: they make room for the next subscription.
func (u *unsubscriber) toServer(chunk []byte) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	gap := -1
	for n := 0; n < len(chunk) && !u.up.lost; {
		if gap < 0 && u.up.between() {
			gap = n
		}
		used, line := u.up.next(chunk[n:])
		n += used
		if line != nil {
			u.requested(bytes.Fields(line))
		}
	}
	if gap < 0 || len(u.ended) == 0 {
		return chunk
	}
	out := slices.Concat(chunk[:gap], u.ended, chunk[gap:])
	u.ended = nil
	return out
}

// requested takes a line of the client.
func (u *unsubscriber) requested(words [][]byte) {
	if len(words) < 2 {
		return
	}
	switch verb := string(bytes.ToUpper(words[0])); {
	case verb == "PUB", verb == "HPUB":
		u.up.body(words)
	case verb == "SUB" && len(u.counted) < mostCounted:
		if u.counted == nil {
			u.counted = map[string]*countedSub{}
		}
		u.counted[string(words[len(words)-1])] = &countedSub{}
	case verb == "UNSUB" && len(words) == 2:
		delete(u.counted, string(words[1]))
	case verb == "UNSUB":
		if sub := u.counted[string(words[1])]; sub != nil {
			if sub.most, _ = strconv.Atoi(string(words[2])); sub.most <= 0 { // for the server this is UNSUB without a number
				delete(u.counted, string(words[1]))
			}
			u.endIfDone(string(words[1]), sub)
		}
	}
}

// toClient follows what the server sends.
func (u *unsubscriber) toClient(chunk []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for n := 0; n < len(chunk) && !u.down.lost; {
		used, line := u.down.next(chunk[n:])
		n += used
		if line == nil {
			continue
		}
		words := bytes.Fields(line)
		if len(words) < 4 || string(words[0]) != "MSG" && string(words[0]) != "HMSG" {
			continue
		}
		u.down.body(words)
		if sub := u.counted[string(words[2])]; sub != nil {
			sub.received++
			u.endIfDone(string(words[2]), sub)
		}
	}
}

// endIfDone ends a subscription that has received its messages.
func (u *unsubscriber) endIfDone(id string, sub *countedSub) {
	if sub.most > 0 && sub.received >= sub.most {
		u.ended = append(u.ended, "UNSUB "+id+"\r\n"...)
		delete(u.counted, id)
	}
}

// frames finds the lines of the NATS protocol in a stream of bytes, and skips the bodies behind them.
type frames struct {
	line []byte // an incomplete line
	skip int    // bytes of a body that are still to come
	lost bool   // a line cannot be read: where the next one begins is not known
}

// between reports whether the next byte begins a line.
func (f *frames) between() bool { return f.skip == 0 && len(f.line) == 0 && !f.lost }

// next takes the first part of b and returns its length. If it completes a line it returns the line, too, which is
// valid until the next call.
func (f *frames) next(b []byte) (n int, line []byte) {
	if f.skip > 0 {
		n = min(f.skip, len(b))
		f.skip -= n
		return n, nil
	}
	n = bytes.IndexByte(b, '\n') + 1
	if n == 0 {
		f.line = append(f.line, b...)
		f.lost = len(f.line) > longestLine
		return len(b), nil
	}
	line = b[:n]
	if len(f.line) > 0 {
		line = append(f.line, line...)
		f.line = line[:0]
	}
	return n, line
}

// body skips the body that follows a line: its last word is the length, without the line end behind the body.
func (f *frames) body(words [][]byte) {
	size, err := strconv.Atoi(string(words[len(words)-1]))
	if err != nil || size < 0 || size > largestBody {
		f.lost = true
		return
	}
	f.skip = size + len("\r\n")
}

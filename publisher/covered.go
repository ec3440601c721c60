package publisher

import (
	"context"
	"slices"
	"sync"
	"time"
)

// The embedded server delivers a message as soon as it is appended. Whoever acts on it before it is flushed acts on
// something that a loss of power may undo.

// coverPatience is how long a reader waits for the flush that the writer of a message has requested. It is longer than
// most flushes take. A message that another process has written through the port of the server gets a flush of its own
// after that.
const coverPatience = 50 * time.Millisecond

// covered is the sequence up to which flushes are known to have covered a stream.
type covered struct {
	mu      sync.Mutex
	upTo    uint64
	waiting []awaited
}

// awaited is a sequence that somebody waits for.
type awaited struct {
	sequence uint64
	reached  chan struct{} // is closed then
}

// note records that a flush has covered a stream up to a sequence.
func (c *covered) note(sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence <= c.upTo {
		return
	}
	c.upTo = sequence
	c.waiting = slices.DeleteFunc(c.waiting, func(a awaited) bool {
		if a.sequence > sequence {
			return false
		}
		close(a.reached)
		return true
	})
}

// wait reports whether flushes have covered a sequence. It waits for that, but not for long.
func (c *covered) wait(ctx context.Context, sequence uint64) bool {
	reached := c.await(sequence)
	if reached == nil {
		return true
	}
	patience := time.NewTimer(coverPatience)
	defer patience.Stop()
	select {
	case <-reached:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = slices.DeleteFunc(c.waiting, func(a awaited) bool { return a.reached == reached })
	return sequence <= c.upTo
}

// await is closed when a sequence is covered; nil if it is.
func (c *covered) await(sequence uint64) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence <= c.upTo {
		return nil
	}
	reached := make(chan struct{})
	c.waiting = append(c.waiting, awaited{sequence, reached})
	return reached
}

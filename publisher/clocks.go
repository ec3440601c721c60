package publisher

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// toleratedClock is how much the clocks of this process and of a server may differ before times are converted.
const toleratedClock = time.Second

// clocks compare the clock of this process with those of the servers that lead the streams. A server dates what it
// stores and decides when a timer is due, so its times must not be compared with those of this process as they are: one
// of the two clocks may be wrong by hours. The zero value knows no difference.
type clocks struct {
	now     func() time.Time // of this process; nil: time.Now
	mu      sync.Mutex
	ahead   map[string]time.Duration // of this process, by stream
	warning rateLimitedWarning
}

// read is the time of this process.
func (c *clocks) read() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}

// note records the time that the leader of a stream has told in an answer to a request of this process. How long the
// request was under way is no difference. A known difference remains while it is about right.
func (c *clocks) note(log *zap.Logger, stream string, asked, told, answered time.Time) {
	if told.IsZero() {
		return
	}
	ahead := max(asked.Sub(told), 0) + min(answered.Sub(told), 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if (ahead - c.ahead[stream]).Abs() > toleratedClock {
		if c.ahead == nil {
			c.ahead = map[string]time.Duration{}
		}
		c.ahead[stream] = ahead
	}
	if ahead.Abs() > clockSlack {
		c.warning.warn(log, "the clocks of this process and of a NATS server differ: times of receipt, holds with an end "+
			"and signatures with a time depend on them, so correct the wrong one", zap.String("stream", stream),
			zap.Duration("ahead", ahead.Round(time.Second)))
	}
}

// ClockAhead is by how much the clock of this process is ahead of that of the server that leads a stream; negative if
// it is behind. It is the largest difference of all streams, as of the last time that they were checked.
func (c *Connection) ClockAhead() (most time.Duration) {
	c.clocks.mu.Lock()
	defer c.clocks.mu.Unlock()
	for _, ahead := range c.clocks.ahead {
		if ahead.Abs() > most.Abs() {
			most = ahead
		}
	}
	return most
}

// here is a time of the leader of a stream by the clock of this process.
func (c *clocks) here(stream string, at time.Time) time.Time { return at.Add(c.difference(stream)) }

// there is a time of this process by the clock of the leader of a stream.
func (c *clocks) there(stream string, at time.Time) time.Time { return at.Add(-c.difference(stream)) }

func (c *clocks) difference(stream string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead[stream]
}

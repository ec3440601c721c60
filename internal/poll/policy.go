package poll

import (
	"time"

	"kycbridge"
)

// Policy is how often a session is polled, and for how long.
type Policy struct {
	Interval  time.Duration
	Intervals map[string]time.Duration // by a status of the provider, or by a status of kycbridge
	Jitter    float64                  // share of the interval, 0 to 1
	Deadline  time.Duration            // from the start of the watch
	First     time.Duration            // from a start to the first poll
	Rechecks  []time.Duration          // further polls after a trigger without a new result
}

const (
	firstBackoff = time.Second
	maxBackoff   = 15 * time.Minute
)

// OverriddenBy returns p with the values that are set in own, key by key.
func (p Policy) OverriddenBy(own Policy) Policy {
	if own.Interval > 0 {
		p.Interval = own.Interval
		p.Intervals = nil // the provider's defaults do not fit the configured interval
		p.First = min(p.First, own.Interval)
	}
	if len(own.Intervals) > 0 {
		merged := map[string]time.Duration{}
		for status, d := range p.Intervals {
			merged[status] = d
		}
		for status, d := range own.Intervals {
			merged[status] = d
		}
		p.Intervals = merged
	}
	if own.First > 0 {
		p.First = own.First
	}
	if own.Jitter > 0 {
		p.Jitter = own.Jitter
	}
	if own.Deadline > 0 {
		p.Deadline = own.Deadline
	}
	if len(own.Rechecks) > 0 {
		p.Rechecks = own.Rechecks
	}
	return p
}

// interval is the wait after a poll with the result o: the shortest for its statuses.
func (p Policy) interval(o kycbridge.Observation) time.Duration {
	shortest := time.Duration(0)
	consider := func(status string) {
		if d, ok := p.Intervals[status]; ok && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	for _, v := range o.ProviderStatus {
		if status, ok := v.(string); ok {
			consider(status)
		}
	}
	if shortest == 0 {
		consider(string(o.Status))
	}
	if shortest == 0 {
		return p.Interval
	}
	return shortest
}

// backoff grows with the failures in a row, from a second to a quarter of an hour, and is never shorter
// than retryAfter.
func (p Policy) backoff(failures int, retryAfter time.Duration) time.Duration {
	d := min(firstBackoff<<min(failures-1, 12), maxBackoff, max(10*p.Interval, 10*firstBackoff))
	return max(withJitter(d, .5), retryAfter)
}

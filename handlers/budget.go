package handlers

import "sync/atomic"

// bodyBudget limits the bytes of all bodies in memory. Bodies are read before authentication, so the
// number of senders must not determine the memory use.
const bodyBudget = 256 << 20

// budget is the number of bytes that remain of a limit such as bodyBudget.
type budget struct{ left atomic.Int64 }

// share is the part of a budget that one request has reserved.
type share struct {
	of    *budget
	taken int64
}

// take reserves n bytes more; false means that the budget is exhausted.
func (s *share) take(n int) bool {
	if s.of.left.Add(-int64(n)) < 0 {
		s.of.left.Add(int64(n))
		return false
	}
	s.taken += int64(n)
	return true
}

// release returns all reserved bytes.
func (s *share) release() { s.of.left.Add(s.taken) }

package handlers

import "sync/atomic"

// bodyBudget is how many bytes of bodies may be in memory at once. Senders need no credential to
// have a body read, so their number alone must not decide how much memory they take.
const bodyBudget = 256 << 20

// budget is what is left of it.
type budget struct{ left atomic.Int64 }

// share is what one request has taken.
type share struct {
	of    *budget
	taken int64
}

// take reserves n bytes more; false means that there are none left.
func (s *share) take(n int) bool {
	if s.of.left.Add(-int64(n)) < 0 {
		s.of.left.Add(int64(n))
		return false
	}
	s.taken += int64(n)
	return true
}

// release gives everything back.
func (s *share) release() { s.of.left.Add(s.taken) }

package publisher

import (
	"sync"

	"go.uber.org/zap"
)

// foreignMessages counts messages in kycbridge's streams that another program wrote. Any client that may
// publish on the subjects can add them; they are skipped, so that they block nothing.
type foreignMessages struct {
	log *zap.Logger

	mu     sync.Mutex
	counts map[string]int // by stream
	warned map[string]*rateLimitedWarning
}

// countForeign counts a foreign message of a stream and logs it at a limited rate.
func (s *foreignMessages) countForeign(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts, s.warned = map[string]int{}, map[string]*rateLimitedWarning{}
	}
	if s.warned[stream] == nil {
		s.warned[stream] = &rateLimitedWarning{}
	}
	s.counts[stream]++
	s.warned[stream].warn(s.log, "a message in a stream is not from kycbridge; it is skipped",
		zap.String("stream", stream), zap.Int("so_far", s.counts[stream]))
}

// Streams are the streams of the store, by name.
func (s *Store) Streams() (names []string) {
	for _, stream := range s.wanted() {
		names = append(names, stream.config.Name)
	}
	return names
}

// Foreign is the number of skipped foreign messages of a stream.
func (s *foreignMessages) Foreign(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[stream]
}

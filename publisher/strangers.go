package publisher

import (
	"sync"

	"go.uber.org/zap"
)

// strangers counts messages in our streams that this program did not write. Whoever may publish on
// our subjects can put them there; they are passed over, so that they stop nothing.
type strangers struct {
	log *zap.Logger

	mu     sync.Mutex
	met    map[string]int // by stream
	warned map[string]*nag
}

// passOver counts a message of a stream that is not ours, and says so now and then.
func (s *strangers) passOver(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.met == nil {
		s.met, s.warned = map[string]int{}, map[string]*nag{}
	}
	if s.warned[stream] == nil {
		s.warned[stream] = &nag{}
	}
	s.met[stream]++
	s.warned[stream].warn(s.log, "a message in a stream is not ours; it is passed over", zap.String("stream", stream), zap.Int("so_far", s.met[stream]))
}

// Streams are the streams of the store, by name.
func (s *Store) Streams() (names []string) {
	for _, stream := range storeStreams(s.names, 0, 1) {
		names = append(names, stream.config.Name)
	}
	return names
}

// Foreign is how many messages of a stream were passed over because they are not ours.
func (s *strangers) Foreign(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met[stream]
}

package publisher

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// nagEvery is how often a condition that lasts is logged.
const nagEvery = time.Minute

// nag logs a condition when it begins and once a minute while it lasts. The zero value has said
// nothing yet.
type nag struct {
	mu   sync.Mutex
	last time.Time
}

func (n *nag) warn(log *zap.Logger, message string, fields ...zap.Field) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.last.IsZero() || now.Sub(n.last) >= nagEvery {
		n.last = now
		log.Warn(message, fields...)
	}
}

// over says that the condition has ended.
func (n *nag) over() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Time{}
}

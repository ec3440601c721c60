package publisher

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// warningInterval is how often a condition is logged while it lasts.
const warningInterval = time.Minute

// rateLimitedWarning logs a condition when it starts and once a minute while it lasts.
type rateLimitedWarning struct {
	mu   sync.Mutex
	last time.Time
}

func (n *rateLimitedWarning) warn(log *zap.Logger, message string, fields ...zap.Field) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.last.IsZero() || now.Sub(n.last) >= warningInterval {
		n.last = now
		log.Warn(message, fields...)
	}
}

// reset marks the condition as ended.
func (n *rateLimitedWarning) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Time{}
}

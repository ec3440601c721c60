package publisher

import (
	"errors"
	"net"
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

// mostReasons limits the reasons that a warningByReason remembers.
const mostReasons = 16

// warningByReason is a rateLimitedWarning for each reason of a condition: the first one may not be the one to correct,
// such as a refused connection while a server restarts.
type warningByReason struct {
	mu      sync.Mutex
	reasons map[string]*rateLimitedWarning
}

func (w *warningByReason) warn(log *zap.Logger, message string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	reason := withoutAddress(err)
	if w.reasons[reason] == nil {
		if w.reasons == nil || len(w.reasons) >= mostReasons {
			w.reasons = map[string]*rateLimitedWarning{}
		}
		w.reasons[reason] = &rateLimitedWarning{}
	}
	w.reasons[reason].warn(log, message, zap.Error(err))
}

// reset marks the condition as ended.
func (w *warningByReason) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reasons = nil
}

// withoutAddress is the text of an error without the addresses of a connection, whose ports differ each time.
func withoutAddress(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

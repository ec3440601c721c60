package publisher

import (
	"errors"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// unsafeStream is the error of an existing stream whose settings would break a guarantee.
type unsafeStream struct {
	name   string
	broken []string // each difference, with its correction
}

func (u unsafeStream) Error() string {
	return "stream " + u.name + " exists with settings that would lose or double messages:\n  " +
		strings.Join(u.broken, "\n  ")
}

// unsafeStreams are the streams of a connection that have become unsafe since the start, which refuses them: somebody
// has edited them at the server. The zero value has none.
type unsafeStreams struct {
	mu      sync.Mutex
	why     error // nil: there is none
	warning rateLimitedWarning
}

// note records what the last check found, and logs it.
func (u *unsafeStreams) note(log *zap.Logger, found []error) {
	u.mu.Lock()
	u.why = errors.Join(found...)
	u.mu.Unlock()
	if len(found) == 0 {
		u.warning.reset()
		return
	}
	u.warning.warn(log, "streams were edited: acknowledged messages may be lost or doubled until this is corrected",
		zap.Errors("faults", found))
}

// fault is what the last check found; nil: nothing.
func (u *unsafeStreams) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.why
}

package publisher

import (
	"errors"
	"strings"
	"sync/atomic"

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
	found   atomic.Pointer[[]unsafeStream] // nil: not checked yet
	warning rateLimitedWarning
}

// note records what the last check found, and logs it.
func (u *unsafeStreams) note(log *zap.Logger, found []unsafeStream) {
	u.found.Store(&found)
	if len(found) == 0 {
		u.warning.reset()
		return
	}
	u.warning.warn(log, "streams were edited: acknowledged messages may be lost or doubled until this is corrected",
		zap.Errors("faults", asErrors(found)))
}

// fault is what the last check found; nil: nothing.
func (u *unsafeStreams) fault() error {
	if found := u.found.Load(); found != nil {
		return errors.Join(asErrors(*found)...)
	}
	return nil
}

// of is what the last check found about one stream; nil: nothing. What must not be lost is not stored there until it is
// corrected.
func (u *unsafeStreams) of(stream string) error {
	found := u.found.Load()
	if found == nil {
		return nil
	}
	for _, f := range *found {
		if f.name == stream {
			return f
		}
	}
	return nil
}

func asErrors(found []unsafeStream) (all []error) {
	for _, f := range found {
		all = append(all, f)
	}
	return all
}

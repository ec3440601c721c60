package handlers

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kycbridge"
)

// unknown replaces names in logs and metrics that are not configured.
const unknown = "unknown"

// longest limits a provider's event name in a log line, in bytes.
const longest = 100

// Outcome is the result of one request, for metrics. No field ever contains a value that a caller chose.
type Outcome struct {
	Provider string // "unknown" if no account was found
	Account  string // "unknown" if no account was found
	Outcome  string // accepted, duplicate, quarantined, or the end of a problem's type
	Duration time.Duration

	VerificationID string // internal id; "" if the payload named none
	Credential     string // which one of its kind admitted a callback: first or later; "" if none did
}

// requestLog collects the data of a request, a callback or one of the admin API, for its answer, its one log
// line and its metrics.
type requestLog struct {
	operation                         // of the admin API
	account        *kycbridge.Account // nil while none is known
	verificationID string
	bytes          int64 // of the request's body, or of the media sent
	outcome        string
	status         int
	took           time.Duration
	stack          []byte // of a panic
	use            *use   // of the admin API, once the holder is known
}

func (t *requestLog) names() (provider, account string) {
	if t.account == nil {
		return unknown, unknown
	}
	return t.account.Provider.Name, t.account.Name
}

// run converts a panic of work into an error.
func (t *requestLog) run(work func() error) (err error) {
	defer func() {
		cause := recover()
		if cause == any(http.ErrAbortHandler) {
			panic(cause) // the server ends the response
		}
		if cause != nil {
			err, t.stack = panicked(cause), debug.Stack()
		}
	}()
	return work()
}

// maxFields is the most fields of a log line.
const maxFields = 18

// write writes the log line of a request. It contains no part of the body, header, query, path or response.
func (t *requestLog) write(entry *zapcore.CheckedEntry, err error, own ...zap.Field) {
	provider, account := t.names()
	var space [maxFields]zap.Field // on the stack: a line for each callback
	fields := append(space[:0], zap.String("provider", provider), zap.String("account", account),
		zap.String("verification_id", t.verificationID))
	fields = append(fields, own...)
	fields = append(fields, zap.Int64("bytes", t.bytes), zap.String("outcome", t.outcome),
		zap.Int("status", t.status), zap.Duration("took", t.took))
	if err != nil {
		fields = append(fields, zap.String("error", err.Error()))
	}
	if t.stack != nil {
		fields = append(fields, zap.ByteString("stack", t.stack))
	}
	entry.Write(fields...)
}

// step handles a callback.
type step func(echo.Context, *requestLog) (kycbridge.Receipt, error)

// handle runs a step, responds, logs one line and reports the outcome.
func (h *Callbacks) handle(s step) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		var t requestLog
		var receipt kycbridge.Receipt
		err := t.run(func() (err error) {
			receipt, err = s(c, &t)
			return err
		})
		if err != nil && problemFor(err).status < http.StatusInternalServerError {
			discard(c.Response().Writer, c.Request())
		}
		t.verificationID = receipt.VerificationID
		t.outcome, t.status = answer(c.Response(), t.account, receipt, err)
		t.took = time.Since(start)
		h.log(&t, receipt, err)
		provider, account := t.names()
		h.options.Observe(Outcome{Provider: provider, Account: account, Outcome: t.outcome, Duration: t.took,
			VerificationID: receipt.VerificationID, Credential: receipt.Credential})
		return nil
	}
}

// panicked describes a panic by its type: its value may contain anything, even a payload. Only messages of
// the runtime itself are included.
func panicked(cause any) error {
	if err, ok := cause.(runtime.Error); ok {
		return fmt.Errorf("panic: %w: %w", errFault, err)
	}
	return fmt.Errorf("panic with a %T: %w", cause, errFault)
}

// log writes the line of a callback.
func (h *Callbacks) log(t *requestLog, receipt kycbridge.Receipt, err error) {
	entry := h.options.Logger.Check(t.level(err), "callback")
	if entry == nil {
		return
	}
	unlogged := 0
	if t.status != http.StatusOK && t.level(err) == zap.WarnLevel && t.outcome != kycbridge.ReceiptQuarantined {
		due, skipped := h.refusals.pass()
		if !due {
			return // it is counted; the next line reports how many were skipped
		}
		unlogged = skipped
	}
	more := zap.Skip()
	if unlogged > 0 {
		more = zap.Int("not_logged", unlogged)
	}
	t.write(entry, err,
		zap.String("payload_id", receipt.PayloadID), zap.String("event", t.event(receipt)),
		zap.String("placement", receipt.Placement), zap.String("credential", receipt.Credential),
		zap.String("reason", receipt.Reason), zap.Int("errors", len(receipt.Errors)), more)
}

// level is debug for requests without an account, such as those of a scanner. It is error for internal
// faults only: any client can abort a body or send too many.
func (t *requestLog) level(err error) zapcore.Level {
	switch {
	case errors.Is(err, errInterrupted) && t.account == nil:
		return zapcore.DebugLevel
	case errors.Is(err, errInterrupted), errors.Is(err, errBusy), errors.Is(err, errDraining):
		return zapcore.WarnLevel
	case t.status >= http.StatusInternalServerError:
		return zapcore.ErrorLevel
	case t.account == nil:
		return zapcore.DebugLevel
	case t.status == http.StatusOK && t.outcome != kycbridge.ReceiptQuarantined:
		return zapcore.InfoLevel
	}
	return zapcore.WarnLevel
}

// newEcho returns an echo without output of its own that answers every error with a problem document.
func newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if !c.Response().Committed {
			problemFor(routing(err)).write(c.Response(), nil)
		}
	}
	return e
}

// routing converts echo's errors.
func routing(err error) error {
	var e *echo.HTTPError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case http.StatusNotFound:
		return kycbridge.ErrNotFound
	case http.StatusMethodNotAllowed:
		return errMethod
	}
	return err
}

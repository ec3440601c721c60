package handlers

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/event"
)

// maxUnknownBody is the largest stored body of a callback to an unknown account, in bytes.
const maxUnknownBody = 128 << 10

// The rate and the burst of log lines about refused callbacks. Further ones are counted.
const (
	refusalLines = 5
	refusalBurst = 20
)

// sampler lets few log lines through and counts the others.
type sampler struct {
	limit   *rate.Limiter
	skipped atomic.Int64
}

// pass reports whether a line is due, and how many were omitted since the last one.
func (s *sampler) pass() (due bool, skipped int) {
	if !s.limit.Allow() {
		s.skipped.Add(1)
		return false, 0
	}
	return true, int(s.skipped.Swap(0))
}

// keepUnknownAccount stores a callback for an account that is not configured, and logs once a minute that
// there are such callbacks and what is configured. The line contains nothing that the caller chose.
func (h *Callbacks) keepUnknownAccount(c echo.Context, t *requestLog, provider, account string) {
	if due, skipped := h.unknownAccounts.pass(); due {
		h.options.Logger.Warn("callbacks arrive for an account that is not configured; they are kept as refused, see "+
			"payloads list --status refused",
			zap.Int("more_since_last_line", skipped), zap.Strings("configured", h.addresses()))
	}
	r := c.Request()
	if h.options.KeepUnknown == nil || r.Method != http.MethodPost || r.ContentLength > maxUnknownBody {
		return
	}
	memory := share{of: &h.bodies}
	defer memory.release()
	body, err := readBody(r, maxUnknownBody, &memory)
	t.bytes = int64(len(body))
	if err != nil || !looksLikeJSON(body, r.Header) {
		return
	}
	h.options.KeepUnknown(r.Context(), provider, account, kycbridge.Request{
		Header: r.Header, Query: query(r.URL), Path: r.URL.Path, Body: bytes.Clone(body), ReceivedAt: h.options.Now().UTC(),
	})
}

// looksLikeJSON reports whether a body may be an object, so that the posts of a scanner are not stored.
func looksLikeJSON(body []byte, h http.Header) bool {
	if h.Get("Content-Encoding") != "" {
		return len(body) > 0
	}
	return bytes.HasPrefix(bytes.TrimLeft(body, "\xef\xbb\xbf \t\r\n"), []byte("{"))
}

// addresses are the callback addresses of the configured accounts.
func (h *Callbacks) addresses() []string {
	var all []string
	for key := range maps.Keys(h.options.Accounts.All()) {
		all = append(all, "/webhooks/"+key.Provider+"/"+key.Account)
	}
	slices.Sort(all)
	const most = 20
	return all[:min(len(all), most)]
}

// discard reads the rest of the body of a refused request, within limits. A sender that waits for 100
// Continue has sent nothing yet.
func discard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Expect") != "" {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), discardTime)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardTime))
	for left := int64(maxDiscard); left > 0 && ctx.Err() == nil; {
		n, err := io.CopyN(io.Discard, r.Body, min(left, 64<<10))
		if left -= n; err != nil {
			return
		}
	}
}

// event is the provider's name of the message type, if it is a word and not a person's name.
func (t *requestLog) event(receipt kycbridge.Receipt) string {
	word := receipt.Event[:min(len(receipt.Event), longest)]
	if t.account == nil || !event.HarmlessWord(word, t.account.Provider.Name) {
		return ""
	}
	return word
}

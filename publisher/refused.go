package publisher

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	refusedWaiting = 1024 // callbacks that wait to be stored
	refusedAtOnce  = 16   // stored in one batch

	// refusedBody is the largest stored body, in bytes. It is larger than any genuine callback; unauthenticated requests
	// must not displace genuine ones.
	refusedBody = 128 << 10
)

// Refuse stores a callback that failed authentication, with everything that is needed to authenticate it
// again once the secrets are corrected. It never waits: a flood of refusals is dropped in part.
func (s *Store) Refuse(_ context.Context, p kycbridge.Payload, r kycbridge.Request, why string) {
	if len(p.Body) > refusedBody {
		s.dropped.Add(1)
		return
	}
	select {
	case s.refused <- refusedPayload{p, s.refusal(p, r, why)}:
	default:
		s.dropped.Add(1)
	}
}

// refusal is the message of a refused callback.
func (s *Store) refusal(p kycbridge.Payload, r kycbridge.Request, why string) *nats.Msg {
	m := message(s.names.refusal(p.Provider, p.Account), p)
	// Stored once for each body and credential: a wrong credential that came first must not hide the right
	// one, and a retry adds nothing.
	credential := credentialOf(r)
	m.Header[nats.MsgIdHdr] = []string{p.ID + "." + credential}
	m.Header[headerCredential] = []string{credential}
	if why != "" {
		m.Header[headerRefused] = []string{headerText(why)}
	}
	if p.Addressed != (kycbridge.AccountKey{}) {
		m.Header[headerAddressed] = []string{addressed(p.Addressed)}
	}
	if r.Path != "" {
		m.Header[headerPath] = []string{pathText(r.Path)}
	}
	size := 0
	for name, values := range r.Header {
		if v := headerText(strings.Join(values, ",")); size+len(name)+len(v) < headRoom/2 {
			m.Header[headerRequest+name] = []string{v}
			size += len(name) + len(v)
		}
	}
	if token := r.Query.Get("token"); token != "" && len(token) < 4096 {
		m.Header[headerQuery] = []string{url.Values{"token": {token}}.Encode()}
	}
	if r.Certificate != nil && len(r.Certificate.Raw) < headRoom/4 {
		m.Header[headerCertificate] = []string{base64.StdEncoding.EncodeToString(r.Certificate.Raw)}
	}
	return m
}

// longestAddress is the stored length of the path of a callback without an account.
const longestAddress = 128

func addressed(to kycbridge.AccountKey) string {
	escaped := url.PathEscape(to.Provider) + "/" + url.PathEscape(to.Account)
	return escaped[:min(len(escaped), longestAddress)]
}

// pathText is the beginning of a path, encoded for a header.
func pathText(path string) string {
	for len((&url.URL{Path: path}).EscapedPath()) > 2*longestAddress {
		path = path[:len(path)/2]
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// passingHeaders differ between deliveries of a callback, or do not identify the sender. Many are ids that a proxy, a
// load balancer or a tracer gives to each request.
var passingHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connection": true, "Content-Length": true, "Date": true, "User-Agent": true,

	"Forwarded": true, "Via": true, "X-Client-Ip": true, "X-Forwarded-For": true, "X-Forwarded-Host": true,
	"X-Forwarded-Port": true, "X-Forwarded-Proto": true, "X-Forwarded-Server": true, "X-Original-Forwarded-For": true,
	"X-Real-Ip": true, "Cf-Connecting-Ip": true, "True-Client-Ip": true,

	"Age": true, "Cdn-Loop": true, "Cf-Ray": true, "X-Amz-Cf-Id": true, "X-Amzn-Trace-Id": true, "X-Azure-Ref": true,
	"X-Cloud-Trace-Context": true, "X-Envoy-Attempt-Count": true, "X-Request-Id": true, "X-Request-Start": true,
	"X-Varnish": true, "Fly-Request-Id": true, "Request-Id": true, "X-Arr-Log-Id": true, "X-Appgw-Trace-Id": true,
	"X-Correlation-Id": true, "X-Vercel-Id": true,

	"B3": true, "Baggage": true, "Traceparent": true, "Tracestate": true, "Uber-Trace-Id": true, "X-B3-Parentspanid": true,
	"X-B3-Sampled": true, "X-B3-Spanid": true, "X-B3-Traceid": true, "Elastic-Apm-Traceparent": true, "Sentry-Trace": true,
	"X-Datadog-Parent-Id": true, "X-Datadog-Trace-Id": true,
}

// credentialOf is a short digest of everything in a request that may be a credential. The header that an
// account uses may change before the callback is authenticated again, so every header that is not in
// passingHeaders counts.
func credentialOf(r kycbridge.Request) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !passingHeaders[name] {
			fmt.Fprintf(h, "%q:%q\n", name, r.Header[name])
		}
	}
	fmt.Fprintf(h, "token:%q", r.Query["token"])
	if r.Certificate != nil {
		fmt.Fprintf(h, "certificate:%q", r.Certificate.Raw)
	}
	if r.Path != "" { // two wrong addresses are two separate mistakes, so each is stored
		fmt.Fprintf(h, "path:%q", r.Path)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// keepRefused stores refused callbacks until the store is closed. This is best effort: the caller was
// answered 401, without a guarantee.
func (s *Store) keepRefused() {
	for {
		select {
		case r := <-s.refused:
			if _, err := s.putRefused(s.refusals.ctx, r); err != nil {
				s.dropped.Add(1)
			}
		case <-s.refusals.ctx.Done():
			return
		}
	}
}

// refusedPayload is a refused callback on its way to the store.
type refusedPayload struct {
	kycbridge.Payload
	msg *nats.Msg
}

func (s *Store) putRefused(ctx context.Context, r refusedPayload) (jetstream.PubAck, error) {
	if err := s.seal(ctx, kycbridge.ShelfRefused, r.msg, r.Payload); err != nil {
		return jetstream.PubAck{}, err
	}
	return s.refusals.Publish(ctx, r.msg)
}

// Dropped is the number of refused callbacks that were not stored: too large, too many at once, or the
// store unavailable.
func (s *Store) Dropped() int64 { return s.dropped.Load() }

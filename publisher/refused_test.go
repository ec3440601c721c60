package publisher

import (
	"net/http"
	"testing"

	"kycbridge"
)

// TestRefusedBehindProxies: a callback that is refused again is stored once, although proxies give every request an id
// of its own. Every header that may be a credential still counts.
func TestRefusedBehindProxies(t *testing.T) {
	t.Parallel()
	of := func(header ...string) string {
		h := http.Header{"Authorization": {"Bearer wrong"}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return credentialOf(kycbridge.Request{Header: h})
	}
	for _, name := range []string{"X-Varnish", "X-Amzn-Trace-Id", "X-Request-ID", "CF-Ray", "CF-Connecting-IP",
		"X-Azure-Ref", "X-Cloud-Trace-Context", "X-B3-TraceId", "X-B3-SpanId", "traceparent",
		"X-Forwarded-For", "X-Forwarded-Server", "Via",
		"X-Appgw-Trace-Id", "X-ARR-LOG-ID", "X-Correlation-ID", "Request-Id", "X-Datadog-Trace-Id", "Elastic-Apm-Traceparent"} {
		if of(name, "1") != of(name, "2") {
			t.Errorf("%s: a repeated callback is stored again", name)
		}
	}
	for _, name := range []string{"X-Api-Key", "Ondato-Signature", "X-Auth-Key", "X-Any"} {
		if of(name, "1") == of(name, "2") {
			t.Errorf("%s may be the credential, and does not count", name)
		}
	}
}

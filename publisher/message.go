package publisher

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/keys"
)

// Headers of a stored payload.
const (
	headerReceived    = "Kyc-Received-At"
	headerVia         = "Kyc-Via"
	headerDigest      = "Kyc-Digest"
	headerEvent       = "Kyc-Event"
	headerReference   = "Kyc-Reference" // query-escaped, because it comes from the provider
	headerPart        = "Kyc-Part"
	headerPlacement   = "Kyc-Placement"
	headerTrigger     = "Kyc-Trigger"
	headerTriggeredAt = "Kyc-Triggered-At"
	headerNotice      = "Kyc-Notice"
	headerErased      = "Kyc-Erased-Revision" // the newest erased revision of the verification; absent: none
	headerType        = "Content-Type"
	headerRequest     = "Http-" // prefix of the name of a stored request header
)

// Headers that only a quarantined payload has.
const (
	headerErrors       = "Kyc-Errors"
	headerVerification = "Kyc-Verification-Id" // that the payload belongs to; absent if not known
)

// Headers that only a refused callback has.
const (
	headerCredential  = "Kyc-Credential"         // a digest of its credential
	headerRefused     = "Kyc-Refused"            // the reason
	headerAddressed   = "Kyc-Addressed"          // the account in its address, if it is not configured
	headerQuery       = "Kyc-Query"              // of its URL: only the token
	headerPath        = "Kyc-Path"               // of its URL, if it led to no account
	headerCertificate = "Kyc-Client-Certificate" // the verified certificate, DER in base64
)

// headerSize is the header with the size of the body, which the server adds when it omits the body.
const headerSize = "Nats-Msg-Size"

// payloadHeaders are the request headers of a refused callback that a payload has too; the others are
// credentials.
var payloadHeaders = [...]string{"User-Agent", "X-Request-Id", "Traceparent", "Content-Encoding"}

// message encodes a payload for a stream: the body unchanged, the rest in headers.
func message(subject string, p kycbridge.Payload) *nats.Msg {
	h := nats.Header{
		nats.MsgIdHdr:  {p.ID},
		headerReceived: {event.Instant(p.ReceivedAt)},
		headerVia:      {string(p.Via)},
		headerDigest:   {p.Digest},
	}
	if p.ContentType != "" {
		h[headerType] = []string{headerText(p.ContentType)}
	}
	if p.Event != "" {
		h[headerEvent] = []string{headerText(p.Event)}
	}
	if p.Reference != "" {
		h[headerReference] = []string{url.QueryEscape(p.Reference)}
	}
	if p.Placement != "" {
		h[headerPlacement] = []string{headerText(p.Placement)}
	}
	if p.Part != "" {
		h[headerPart] = []string{headerText(p.Part)}
	}
	if p.Trigger != "" {
		h[headerTrigger] = []string{headerText(p.Trigger)}
		h[headerTriggeredAt] = []string{event.Instant(p.TriggeredAt)}
	}
	if p.Notice {
		h[headerNotice] = []string{"1"}
	}
	for name, v := range p.Header {
		h[headerRequest+name] = []string{headerText(v)}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: p.Body}
}

// payloadOf decodes the result of message.
func payloadOf(subject string, h nats.Header, body []byte) kycbridge.Payload {
	p := kycbridge.Payload{
		ID:          payloadID(h.Get(nats.MsgIdHdr)),
		Via:         event.Via(h.Get(headerVia)),
		ReceivedAt:  event.ParseInstant(h.Get(headerReceived)),
		ContentType: h.Get(headerType),
		Digest:      h.Get(headerDigest),
		Event:       h.Get(headerEvent),
		Placement:   h.Get(headerPlacement),
		Part:        h.Get(headerPart),
		Trigger:     h.Get(headerTrigger),
		TriggeredAt: event.ParseInstant(h.Get(headerTriggeredAt)),
		Notice:      h.Get(headerNotice) != "",
		Body:        body,
	}
	p.Reference, _ = url.QueryUnescape(h.Get(headerReference))
	if v := h.Get(headerErased); v != "" {
		p.Erased, _ = strconv.Atoi(v)
	}
	for _, name := range [...]string{"Traceparent", "Content-Encoding"} { // needed for processing
		if v := h.Get(headerRequest + name); v != "" {
			if p.Header == nil {
				p.Header = make(map[string]string, 1)
			}
			p.Header[name] = v
		}
	}
	tokens := strings.Split(subject, ".")
	if n := len(tokens); n >= 4 {
		p.Provider, p.Account, p.VerificationID = tokens[n-3], tokens[n-2], tokens[n-1]
	}
	return p
}

// ours reports whether a message of a shelf has the headers that kycbridge writes.
func ours(h nats.Header) bool { return h.Get(headerDigest) != "" }

// whole reports whether a message of the payload log was written by kycbridge and is unchanged: its digest
// is that of its body and its id names its provider and account. A message that another program writes to
// the stream, permitted or not, leads to no event.
func whole(p kycbridge.Payload) bool {
	return p.Digest == kycbridge.Digest(p.Body) && strings.HasPrefix(p.ID, p.Provider+"."+p.Account+".")
}

// headerText makes s valid for a header: printable ASCII, 8192 bytes at most.
func headerText(s string) string {
	if len(s) > 8192 {
		s = s[:8192]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// keptOf decodes a message of a shelf; an encrypted body stays encrypted.
func keptOf(shelf kycbridge.Shelf, subject string, h nats.Header, body []byte, seq uint64) kycbridge.Kept {
	k := kycbridge.Kept{Payload: payloadOf(subject, h, body), Shelf: orPayloads(shelf), Seq: seq, Size: len(body)}
	if n, err := strconv.Atoi(h.Get(headerSize)); err == nil {
		k.Size = n
	}
	if k.Key = h.Get(headerKey); k.Key != "" {
		k.Size = max(k.Size-keys.Overhead, 0)
	}
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	k.Header = requestHeaders(h)
	switch {
	case n < 4:
	case k.Shelf == kycbridge.ShelfQuarantine:
		k.Reason, k.VerificationID = tokens[n-1], h.Get(headerVerification)
		k.ID = strings.TrimSuffix(k.ID, "."+k.Reason)
		_ = json.Unmarshal([]byte(h.Get(headerErrors)), &k.Errors) // a list that was too long is missing
	case k.Shelf == kycbridge.ShelfRefused:
		k.Provider, k.Account, k.VerificationID = tokens[n-2], tokens[n-1], ""
		readRefused(&k, h)
	}
	return k
}

// readRefused reads from the headers what only a refused callback has. k.Header contains the headers of its request;
// those that a payload has too remain there.
func readRefused(k *kycbridge.Kept, h nats.Header) {
	k.ID, k.Reason = strings.TrimSuffix(k.ID, "."+h.Get(headerCredential)), h.Get(headerRefused)
	k.Addressed = addressOf(h.Get(headerAddressed))
	k.Request = &kycbridge.Request{Header: http.Header{}, Body: k.Body, ReceivedAt: k.ReceivedAt}
	for name, v := range k.Header {
		k.Request.Header[name] = []string{v}
	}
	k.Request.Query, _ = url.ParseQuery(h.Get(headerQuery))
	k.Request.Path, _ = url.PathUnescape(h.Get(headerPath))
	k.Request.Certificate = certificateOf(h.Get(headerCertificate))
	k.Header = nil
	for _, name := range payloadHeaders {
		if v := k.Request.Header.Get(name); v != "" {
			if k.Header == nil {
				k.Header = map[string]string{}
			}
			k.Header[name] = v
		}
	}
}

// requestHeaders are the stored headers of the request that carried a payload. The Normalizer needs only two of
// them, which payloadOf reads by name.
func requestHeaders(h nats.Header) map[string]string {
	var kept map[string]string
	for name, values := range h {
		if own, ok := strings.CutPrefix(name, headerRequest); ok && len(values) > 0 {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[own] = values[0]
		}
	}
	return kept
}

// certificateOf decodes a stored certificate; nil if it is missing or invalid.
func certificateOf(text string) *x509.Certificate {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil
	}
	return certificate
}

// addressOf decodes the result of addressed.
func addressOf(s string) kycbridge.AccountKey {
	provider, account, _ := strings.Cut(s, "/")
	provider, errProvider := url.PathUnescape(provider)
	account, errAccount := url.PathUnescape(account)
	if errProvider != nil || errAccount != nil {
		return kycbridge.AccountKey{}
	}
	return kycbridge.AccountKey{Provider: provider, Account: account}
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kycbridge"
)

// Environment variables of the commands that use the admin API.
const (
	apiVariable   = "KYCBRIDGE_API"
	tokenVariable = "KYCBRIDGE_TOKEN"
	apiDefault    = "http://127.0.0.1:8081"
)

const (
	apiWait    = 2 * time.Minute // for an answer; the server limits a provider call to one minute
	apiLargest = 1 << 20         // bytes of an answer, and of a small file
)

// apiFlags are the address of the admin API and the token for it.
type apiFlags struct {
	address, tokenFile string
	tls                tlsFlags
	environ            []string
}

// add adds the flags to a command.
func (f *apiFlags) add(cmd *cobra.Command) { f.addTo(cmd.Flags()) }

func (f *apiFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "api", "", "`address` of the admin API; default: "+apiVariable+" or "+apiDefault)
	flags.StringVar(&f.tokenFile, "token-file", "",
		"`file` with an admin token in its first line; default: the token in "+tokenVariable)
	f.tls.add(flags, "")
}

// named reports whether a flag selects an API.
func (f *apiFlags) named() bool { return f.address != "" || f.tokenFile != "" || f.tls.given() }

// client creates the client from the flags and the environment.
func (f *apiFlags) client() (*apiClient, error) {
	base, err := apiAddress(f.address, f.environ)
	if err != nil {
		return nil, err
	}
	c := &apiClient{base: base, tokenFrom: tokenVariable, token: variable(f.environ, tokenVariable)}
	if c.http, err = f.tls.client(); err != nil {
		return nil, err
	}
	if f.tokenFile != "" {
		raw, err := readInput(f.tokenFile, nil, apiLargest)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
		c.tokenFrom, c.token = "file "+f.tokenFile, strings.TrimSpace(first)
	}
	if c.token == "" && f.tokenFile != "" {
		return nil, fmt.Errorf("--token-file: %s is empty; write one of admin.tokens of the running process into it",
			f.tokenFile)
	}
	if c.token == "" && f.tls.cert == "" {
		return nil, fmt.Errorf(
			"no admin token: write --token-file FILE or set %s, to one of admin.tokens of the running process", tokenVariable)
	}
	if strings.ContainsFunc(c.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("the admin token of %s contains a character that is not allowed in a token", c.tokenFrom)
	}
	return c, nil
}

// variable is the value of an environment variable, the last one of that name.
func variable(environ []string, name string) string {
	value := ""
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// apiClient calls the admin API of a running process.
type apiClient struct {
	base, token, tokenFrom string
	http                   *http.Client // nil: a client without files for TLS
	reason                 string       // for the access log
}

// do sends a request with the token, if one is set: a client certificate may replace it.
func (c *apiClient) do(r *http.Request) (*http.Response, error) {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.reason != "" {
		r.Header.Set("X-Reason", url.PathEscape(c.reason))
	}
	client := c.http
	if client == nil {
		client = noRedirects()
	}
	return client.Do(r)
}

// answer is an answer of the admin API.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// unsent is the error of a request that was not processed.
type unsent struct{ error }

// post sends a JSON body and expects the status. Its errors are readable sentences and wrap nothing that
// would end the command quietly: an interrupted request is no success.
func (c *apiClient) post(ctx context.Context, path string, body *bytes.Reader, key string, want int) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiWait+uploading(body.Len()))
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, body)
	if err != nil {
		return answer{}, unsent{errors.New("the address of the admin API cannot be used")}
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := c.do(r)
	if err != nil {
		if !sent.Load() {
			return answer{}, unsent{c.unreachable(err)}
		}
		return answer{}, fmt.Errorf("no answer from the admin API at %s: %s", c.base, cause(err))
	}
	defer res.Body.Close()
	got := answer{status: res.StatusCode, header: res.Header}
	if got.body, err = io.ReadAll(io.LimitReader(res.Body, apiLargest)); err != nil {
		return answer{}, fmt.Errorf("the answer of the admin API at %s is incomplete: %s", c.base, cause(err))
	}
	if got.status != want {
		return answer{}, c.refused(got)
	}
	return got, nil
}

// slowestUpload is the minimum upload rate, in bytes per second.
const slowestUpload = 256 << 10

// uploading is the time limit of a body, from here to the server and from there to the provider.
func uploading(size int) time.Duration { return 2 * time.Duration(size/slowestUpload) * time.Second }

// cause describes a failed connection in a few words, without its address.
func cause(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case isTimeout(err):
		return "it took too long"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks http there, not https"
	case isForeign(err.Error()):
		return "it does not speak HTTP there"
	case strings.Contains(err.Error(), "server closed idle connection"):
		return "the connection was closed"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "no such host"
	}
	if why := tlsCause(err); why != "" {
		return why
	}
	if system, ok := errors.AsType[*os.SyscallError](err); ok {
		return system.Err.Error()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return printable(u.Err.Error())
	}
	return printable(err.Error())
}

// isForeign reports whether the text of an error of net/http means that the other side does not speak HTTP: its answer
// is malformed, or it spoke before it was asked. There is no value for these errors, and the texts quote the answer.
func isForeign(text string) bool {
	return strings.Contains(text, "malformed HTTP") || strings.Contains(text, "malformed MIME header") ||
		strings.Contains(text, "readLoopPeekFailLocked: %!w(<nil>)")
}

// isTimeout reports whether an error means that a time limit has passed.
func isTimeout(err error) bool {
	var inner interface{ Timeout() bool }
	return errors.As(err, &inner) && inner.Timeout()
}

// tlsCause describes a failed TLS handshake; "" for any other error.
func tlsCause(err error) string {
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return "it refuses the TLS connection: " + strings.TrimPrefix(alert.Err.Error(), "tls: ")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS there"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return ""
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for another host"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is of an authority that is not trusted here: name a file with the authority (--ca-file)"
	}
	return "its certificate has expired, or cannot be verified"
}

// apiProblem is a problem document of the admin API.
type apiProblem struct {
	Type            string                 `json:"type"`
	Title           string                 `json:"title"`
	Detail          string                 `json:"detail"`
	Errors          []kycbridge.FieldError `json:"errors"`
	ProviderMessage string                 `json:"provider_message"`
	ProviderCode    string                 `json:"provider_code"`
	ProviderStatus  int                    `json:"provider_status"`
	MayHaveStarted  bool                   `json:"may_have_started"`

	MayHaveSubmitted bool   `json:"may_have_submitted"`
	VerificationID   string `json:"verification_id"`
	Reference        string `json:"reference"`
	URL              string `json:"url"`
	MissingRight     string `json:"missing_right"`
	status           int
	retryAfter       string
}

// refused decodes an unexpected answer.
func (c *apiClient) refused(got answer) error {
	p := apiProblem{status: got.status, retryAfter: got.header.Get("Retry-After")}
	if json.Unmarshal(got.body, &p) != nil || !strings.HasPrefix(p.Type, "urn:kycbridge:problem:") {
		err := fmt.Errorf("%s answered %d %s, which is not an answer of a kycbridge admin API; name its address with --api",
			c.base, got.status, http.StatusText(got.status))
		if got.status >= http.StatusInternalServerError || got.status < http.StatusMultipleChoices {
			return err // possibly from a proxy whose server still processes it
		}
		return unsent{err}
	}
	switch p.name() {
	case "unauthenticated":
		if c.token == "" {
			return unsent{fmt.Errorf("the admin API at %s rejects the client certificate: it must be one of "+
				"admin.client_certs of the running process, and of an authority in admin.tls.client_ca", c.base)}
		}
		return unsent{fmt.Errorf(
			"the admin API at %s rejects the token of %s: it must be one of admin.tokens of the running process", c.base,
			c.tokenFrom)}
	case "not_found", "method_not_allowed":
		return unsent{fmt.Errorf(
			"there is no admin API at %s: kycbridge serve needs admin.tokens, and --api the address of admin.listen", c.base)}
	}
	return &p
}

func (p *apiProblem) name() string { return strings.TrimPrefix(p.Type, "urn:kycbridge:problem:") }

// Error is the problem in one line: title, pointers of faults, the provider's text, remedy.
func (p *apiProblem) Error() string {
	b := strings.ToLower(p.Title[:min(1, len(p.Title))]) + p.Title[min(1, len(p.Title)):]
	for i, f := range p.Errors {
		place := f.Path
		if place == "" {
			place = "the request"
		}
		b += map[bool]string{true: ": ", false: ", "}[i == 0] + place + " " + f.Message
	}
	if p.MissingRight != "" {
		b += ": " + p.MissingRight + "; use a token that has it, or have it added to the rights of this token or " +
			"certificate in the configuration"
	}
	if said := p.said(); said != "" {
		b += " (" + said + ")"
	}
	if p.Detail != "" && len(p.Errors) == 0 && p.MissingRight == "" {
		b += ": " + strings.TrimSuffix(p.Detail, ".")
	}
	if p.retryAfter != "" {
		b += "; retry after " + p.retryAfter + " s"
	}
	return printable(b)
}

// said is the provider's error text.
func (p *apiProblem) said() string {
	var words []string
	if p.ProviderStatus != 0 {
		words = append(words, fmt.Sprintf("the provider answered %d", p.ProviderStatus))
	}
	if p.ProviderCode != "" {
		words = append(words, "code "+p.ProviderCode)
	}
	if p.ProviderMessage != "" {
		words = append(words, fmt.Sprintf("%q", p.ProviderMessage))
	}
	return strings.Join(words, ", ")
}

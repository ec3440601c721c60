package keys

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// VaultOptions name a key of the transit engine of HashiCorp Vault or OpenBao.
type VaultOptions struct {
	Address   string // https://host:port
	Mount     string // of the transit engine; "": transit
	Key       string // its name; a key that encrypts, such as aes256-gcm96
	Token     string
	Namespace string       // "": none
	Client    *http.Client // nil: a client with a timeout of 10 s per request
}

// Vault wraps keys with a key that never leaves the key service. It uses the requests encrypt and decrypt of
// the transit engine, so its policy needs "update" on <mount>/encrypt/<key> and <mount>/decrypt/<key>.
// Source: https://developer.hashicorp.com/vault/api-docs/secret/transit
type Vault struct {
	o    VaultOptions
	base *url.URL
}

// vaultPrefix starts the ids of keys in a key service.
const vaultPrefix = "vault:"

// vaultAnswer is the maximum size of an answer in bytes.
const vaultAnswer = 1 << 20

// NewVault prepares requests; it sends none.
func NewVault(o VaultOptions) (*Vault, error) {
	base, err := url.Parse(o.Address)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("address: write https://host:port, without user and query")
	case o.Key == "" || strings.Contains(o.Key, "/"):
		return nil, errors.New("key: write the name of a key of the transit engine")
	case o.Token == "":
		return nil, errors.New("token: write a token that may encrypt and decrypt with the key, or token_file")
	}
	if o.Mount == "" {
		o.Mount = "transit"
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	client := *o.Client
	// net/http would send the token, and with 307 and 308 the key itself, to any other host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.Client = &client
	return &Vault{o: o, base: base}, nil
}

// Wrap has the service encrypt a key, and decrypt the result: if that does not return the key, everything that is
// encrypted with it would be lost. The answer may be that of a cache, or of another service at the same address. The id
// contains mount, key and the version that the service used.
func (v *Vault) Wrap(ctx context.Context, key []byte) (id string, wrapped []byte, err error) {
	var data struct {
		Ciphertext string `json:"ciphertext"` // vault:v1:…
	}
	request := map[string]string{"plaintext": base64.StdEncoding.EncodeToString(key)}
	if err := v.call(ctx, "encrypt", request, &data); err != nil {
		return "", nil, err
	}
	version, _, ok := strings.Cut(strings.TrimPrefix(data.Ciphertext, "vault:"), ":")
	if !ok || !strings.HasPrefix(version, "v") {
		return "", nil, errors.New("key service: the answer to encrypt contains no ciphertext with a version")
	}
	wrapped = []byte(data.Ciphertext)
	opened, err := v.Unwrap(ctx, wrapped)
	if err != nil {
		return "", nil, fmt.Errorf("decrypt a key that was just encrypted: %w", err)
	}
	if !bytes.Equal(opened, key) {
		return "", nil, errors.New("key service: a key that it has just encrypted is another one when it decrypts it: " +
			"do several services, or a cache, answer at its address?")
	}
	return v.name() + ":" + version, wrapped, nil
}

// Unwrap has the service decrypt a key.
func (v *Vault) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	var data struct {
		Plaintext []byte `json:"plaintext"` // base64
	}
	if err := v.call(ctx, "decrypt", map[string]string{"ciphertext": string(wrapped)}, &data); err != nil {
		return nil, err
	}
	if len(data.Plaintext) != Size {
		return nil, errors.New("key service: the answer to decrypt contains no key")
	}
	return data.Plaintext, nil
}

func (v *Vault) name() string { return vaultPrefix + v.o.Mount + "/" + v.o.Key }

func (v *Vault) owns(id string) bool { return strings.HasPrefix(id, v.name()+":") }

// call sends one request. Errors contain the error texts of the service, but neither token nor key.
func (v *Vault) call(ctx context.Context, operation string, request map[string]string, data any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	address := v.base.JoinPath("v1", v.o.Mount, operation, v.o.Key).String()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("key service: %w", err)
	}
	r.Header.Set("X-Vault-Token", v.o.Token)
	r.Header.Set("X-Vault-Request", "true") // agents and proxies may require it
	r.Header.Set("Content-Type", "application/json")
	if v.o.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", v.o.Namespace)
	}
	answer, err := v.o.Client.Do(r)
	if err != nil {
		return fmt.Errorf("key service: %s: %w", operation, unanswered(err))
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, vaultAnswer))
	if err != nil {
		return fmt.Errorf("key service: read the answer to %s: %w", operation, unanswered(err))
	}
	var envelope struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	unreadable := json.Unmarshal(raw, &envelope)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("key service: %s with key %s: %s", operation, v.o.Key,
			refusal(answer.StatusCode, v.without(request, strings.Join(envelope.Errors, "; "))))
	}
	if unreadable != nil || json.Unmarshal(envelope.Data, data) != nil {
		return fmt.Errorf("key service: the answer to %s is not that of a transit engine: is the address right?", operation)
	}
	return nil
}

// unanswered describes a request without an answer. The texts of net/http for answers that it cannot read quote them,
// and the answer to decrypt contains a key.
func unanswered(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	var network *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &network), errors.As(err, &untrusted), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, http.ErrSchemeMismatch):
		return err
	}
	return errors.New("its answer cannot be read as HTTP")
}

// longestWords limits the words of the service in an error, in bytes.
const longestWords = 300

// without is what the service said, without the token, the values of the request and control characters.
func (v *Vault) without(request map[string]string, words string) string {
	for _, secret := range append(slices.Collect(maps.Values(request)), v.o.Token) {
		if secret != "" {
			words = strings.ReplaceAll(words, secret, "[secret]")
		}
	}
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, words)
	return strings.ToValidUTF8(words[:min(len(words), longestWords)], "")
}

// refusal explains an error of the service.
func refusal(status int, words string) string {
	text := fmt.Sprintf("status %d", status)
	if words != "" {
		text += ": " + words
	}
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		text += " (it redirects, which is not followed: write the address that answers)"
	case http.StatusForbidden:
		text += " (is the token valid, and does its policy permit this key?)"
	case http.StatusServiceUnavailable:
		text += " (it is sealed or in maintenance)"
	case http.StatusNotFound:
		text += " (are mount and namespace right?)"
	}
	return text
}

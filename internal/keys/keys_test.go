package keys

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func generated(t *testing.T, id string) string {
	t.Helper()
	line, err := Generate(id)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestParseLocal(t *testing.T) {
	good := generated(t, "2026-11")
	secret := strings.Fields(good)[1]
	for text, want := range map[string]string{
		"":                                    "kycbridge keys generate",
		"# nothing\n\n":                       "kycbridge keys generate",
		secret:                                "line 1: the id",
		"a b":                                 "line 1: after the id",
		"a " + secret[:20]:                    "line 1: after the id",
		good + "\n" + good:                    "line 2: there is another key with the id 2026-11",
		"#c\n" + good + "\nb c":               "line 3: after the id",
		good + "\n" + strings.Repeat("x", 65): "line 2: the id",
	} {
		_, err := ParseLocal(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	if _, err := ParseLocal("# first\r\n  " + good + "\r\n\n" + generated(t, "b") + "\n"); err != nil {
		t.Error(err)
	}
}

func TestLocalMaster(t *testing.T) {
	older, newer := generated(t, "older"), generated(t, "newer")
	before, err := NewMaster(older, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := NewMaster(newer+"\n"+older, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := New()
	id, wrapped, err := before.Wrap(t.Context(), key)
	if err != nil || id != "older" || bytes.Contains(wrapped, key) {
		t.Fatalf("wrapped as %s: %x, %v", id, wrapped, err)
	}
	if got, err := after.Unwrap(t.Context(), id, wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("unwrapped %x, %v", got, err)
	}
	if id, _, _ := after.Wrap(t.Context(), key); id != "newer" {
		t.Errorf("the first key does not wrap: %s", id)
	}
	if _, err := after.Unwrap(t.Context(), "newer", wrapped); !errors.Is(err, ErrAltered) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := before.Unwrap(t.Context(), "newer", wrapped); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("under an unknown key: %v", err)
	}
	for i := range wrapped {
		altered := bytes.Clone(wrapped)
		altered[i] ^= 1
		if _, err := before.Unwrap(t.Context(), id, altered); err == nil {
			t.Errorf("byte %d may be altered", i)
		}
	}
}

// transit is a stand-in for the transit engine: its addresses, bodies, errors and key versions, as documented at
// https://developer.hashicorp.com/vault/api-docs/secret/transit. It is not the real service.
type transit struct {
	mu      sync.Mutex
	keys    [][]byte
	oldest  int    // versions before it no longer decrypt (min_decryption_version)
	cached  string // answers every request to encrypt; "": none
	sealed  bool
	token   string
	headers http.Header // of the last request
}

func (v *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.headers = r.Header
	fail := func(status int, words ...string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": append([]string{}, words...)})
	}
	switch {
	case v.sealed:
		fail(http.StatusServiceUnavailable, "Vault is sealed")
		return
	case r.Header.Get("X-Vault-Token") != v.token:
		fail(http.StatusForbidden, "permission denied")
		return
	case r.Method != http.MethodPost:
		fail(http.StatusMethodNotAllowed)
		return
	}
	var in struct{ Plaintext, Ciphertext string }
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		fail(http.StatusBadRequest, "error parsing JSON")
		return
	}
	answer := func(data map[string]any) { _ = json.NewEncoder(w).Encode(map[string]any{"data": data}) }
	switch r.URL.Path {
	case "/v1/transit/encrypt/kyc":
		plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			fail(http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		version := len(v.keys)
		sealed, _ := Seal(v.keys[version-1], plain, nil)
		text := "vault:v" + strconv.Itoa(version) + ":" + base64.StdEncoding.EncodeToString(sealed)
		answer(map[string]any{"key_version": version, "ciphertext": cmp.Or(v.cached, text)})
	case "/v1/transit/decrypt/kyc":
		parts := strings.SplitN(in.Ciphertext, ":", 3)
		version := 0
		if len(parts) == 3 {
			version, _ = strconv.Atoi(strings.TrimPrefix(parts[1], "v"))
		}
		if version < 1 || version > len(v.keys) {
			fail(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		if version < v.oldest {
			fail(http.StatusBadRequest, "ciphertext or signature version is disallowed by policy (too old)")
			return
		}
		raw, _ := base64.StdEncoding.DecodeString(parts[2])
		plain, err := Open(v.keys[version-1], raw, nil)
		if err != nil {
			fail(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer(map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)})
	default:
		fail(http.StatusNotFound)
	}
}

func TestVault(t *testing.T) {
	service := &transit{keys: [][]byte{New()}, token: "s.token"}
	server := httptest.NewServer(service)
	defer server.Close()
	open := func(o VaultOptions) *Master {
		t.Helper()
		v, err := NewVault(o)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewMaster("", v)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	o := VaultOptions{Address: server.URL, Key: "kyc", Token: "s.token", Namespace: "bank"}
	m, key := open(o), New()
	id, wrapped, err := m.Wrap(t.Context(), key)
	if err != nil || id != "vault:transit/kyc:v1" {
		t.Fatalf("wrapped as %s, %v", id, err)
	}
	if service.headers.Get("X-Vault-Namespace") != "bank" {
		t.Error("the namespace is not sent")
	}
	service.keys = append(service.keys, New()) // the service has rotated the key
	if got, err := m.Unwrap(t.Context(), id, wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("after a rotation: %x, %v", got, err)
	}
	if id, _, err := m.Wrap(t.Context(), key); err != nil || id != "vault:transit/kyc:v2" {
		t.Errorf("after a rotation wrapped as %s, %v", id, err)
	}
	says := func(what string, m *Master, want string) {
		t.Helper()
		_, err := m.Unwrap(t.Context(), id, wrapped)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s.token") {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	service.oldest = 2
	says("a version that is no longer permitted", m, "too old")
	service.oldest = 0
	wrong := o
	wrong.Token = "s.token-of-another"
	says("a wrong token", open(wrong), "permission denied (is the token valid")
	wrong = o
	wrong.Mount = "elsewhere"
	says("another mount", open(wrong), "not configured")
	if _, _, err := open(wrong).Wrap(t.Context(), key); err == nil || !strings.Contains(err.Error(), "mount") {
		t.Errorf("another mount: %v", err)
	}
	service.sealed = true
	says("a sealed service", m, "Vault is sealed")
	server.Close()
	says("no service", m, "key service")
	both, err := NewMaster(generated(t, "local"), m.vault)
	if err != nil || !both.Has("local") || !both.Has(id) || both.Has("vault:transit/kyc2:v1") {
		t.Errorf("a service and a local key: %v", err)
	}
}

// TestWrappedKeysCanBeUnwrapped: a key that the service does not decrypt again does not count as wrapped, because
// everything that is encrypted with it would be lost.
func TestWrappedKeysCanBeUnwrapped(t *testing.T) {
	service := &transit{keys: [][]byte{New()}, token: "s.token"}
	server := httptest.NewServer(service)
	defer server.Close()
	v, err := NewVault(VaultOptions{Address: server.URL, Key: "kyc", Token: "s.token"})
	if err != nil {
		t.Fatal(err)
	}
	_, earlier, err := v.Wrap(t.Context(), New())
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := Seal(New(), New(), nil)
	for what, answer := range map[string]string{
		"the answer to an earlier request":     string(earlier),
		"the answer of a service with its own": "vault:v1:" + base64.StdEncoding.EncodeToString(foreign),
	} {
		service.cached = answer
		if id, _, err := v.Wrap(t.Context(), New()); err == nil {
			t.Errorf("%s counts as wrapped, as %s", what, id)
		}
	}
}

func TestVaultOptions(t *testing.T) {
	for want, o := range map[string]VaultOptions{
		"address": {Address: "vault:8200", Key: "k", Token: "t"},
		"key":     {Address: "https://vault:8200", Key: "a/b", Token: "t"},
		"token":   {Address: "https://vault:8200", Key: "k"},
	} {
		if _, err := NewVault(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestVaultSecretsStay: neither the token nor a key goes to the host of a redirect, or into an error.
func TestVaultSecretsStay(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	for name, service := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		},
		"echo": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string][]string{
				"errors": {"no " + r.Header.Get("X-Vault-Token") + "\x1b[31m\u009b for " + string(body)}})
		},
		"malformed": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s %s\r\n\r\n", body, r.Header.Get("X-Vault-Token"))
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(service)
			defer server.Close()
			v, err := NewVault(VaultOptions{Address: server.URL, Key: "kyc", Token: "s.token"})
			if err != nil {
				t.Fatal(err)
			}
			key := New()
			_, _, err = v.Wrap(t.Context(), key)
			if err == nil {
				t.Fatal("wrapped")
			}
			t.Log(err)
			for _, secret := range []string{"s.token", base64.StdEncoding.EncodeToString(key), "\x1b", "\u009b"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is in %q", secret, err)
				}
			}
		})
	}
	if elsewhere != 0 {
		t.Errorf("%d requests to the host of the redirect", elsewhere)
	}
	for _, address := range []string{"https://u:p@vault:8200", "https://vault:8200/?token=p", "https://vault:8200/#p"} {
		if _, err := NewVault(VaultOptions{Address: address, Key: "k", Token: "t"}); err == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}

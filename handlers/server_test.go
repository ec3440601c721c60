package handlers

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/test/wait"
)

// receiverFunc is a Receiver made of a function.
type receiverFunc func(context.Context, *kycbridge.Account, kycbridge.Request) (kycbridge.Receipt, error)

func (f receiverFunc) Receive(
	ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
) (kycbridge.Receipt, error) {
	return f(ctx, a, r)
}

// noon is the time at which test requests arrive.
var noon = time.Unix(1772442005, 0)

// refuse is a Verify that refuses every request.
func refuse(kycbridge.Credentials, kycbridge.Request) (string, error) {
	return "", &kycbridge.RefusedError{Why: "no credential was sent"}
}

// authenticate is a Receiver that stores nothing.
func authenticate(_ context.Context, a *kycbridge.Account, r kycbridge.Request) (kycbridge.Receipt, error) {
	placement, err := a.Provider.Verify(a.Credentials, r)
	if err != nil {
		return kycbridge.Receipt{}, err
	}
	return kycbridge.Receipt{Status: kycbridge.ReceiptAccepted, PayloadID: "p", Placement: placement}, nil
}

// accept is a Receiver that accepts everything.
func accept(context.Context, *kycbridge.Account, kycbridge.Request) (kycbridge.Receipt, error) {
	return kycbridge.Receipt{Status: kycbridge.ReceiptAccepted, PayloadID: "ondato.acme.1", VerificationID: "v-1"}, nil
}

// reply is a response with its body.
type reply struct {
	status int
	header http.Header
	body   string
}

// post sends one callback; edit may change the request before.
func post(t testing.TB, url, body string, edit func(*http.Request)) reply {
	t.Helper()
	return do(t, http.MethodPost, url, strings.NewReader(body), edit)
}

func do(t testing.TB, method, url string, body io.Reader, edit func(*http.Request)) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*wait.Slowdown*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(bytes.TrimSpace(raw))}
}

// serve runs a handler on a real listener until the test ends.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// account creates an account and a table with it only.
func account(provider, name string, edit func(*kycbridge.Account)) kycbridge.Accounts {
	a := &kycbridge.Account{Name: name, Provider: kycbridge.Provider{Name: provider}}
	if edit != nil {
		edit(a)
	}
	return kycbridge.Accounts{{Provider: provider, Account: name}: a}
}

// holdersOf are holders of tokens with all rights.
func holdersOf(tokens ...string) func() Holders {
	var all []kycbridge.AdminToken
	for _, token := range tokens {
		if token != "" {
			all = append(all, kycbridge.NamelessToken(len(all)+1, token))
		}
	}
	return func() Holders { return Holders{Tokens: all} }
}

// accesses is an access log in memory. With an error it stores nothing.
type accesses struct {
	mu  sync.Mutex
	all []kycbridge.Access
	err error
}

func (l *accesses) StoreAccess(_ context.Context, a kycbridge.Access) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.all = append(l.all, a)
	}
	return l.err
}

func (l *accesses) NoteAccess(a kycbridge.Access) { _ = l.StoreAccess(context.Background(), a) }

// take returns the records so far and removes them.
func (l *accesses) take() []kycbridge.Access {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

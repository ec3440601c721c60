package start_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/start"
)

const (
	key         = "synthetic-key"
	fingerprint = "synthetic-fingerprint"
	reference   = "B1-SYNTHETIC"
)

var (
	errAway = errors.New("the store is away")
	expires = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	started = kycbridge.Started{Reference: reference, URL: "https://idv.example.com/?id=b1", ExpiresAt: expires}
)

// startFixture is a Starter with a configurable provider, watcher and store, which record their calls.
type startFixture struct {
	start.Starter
	account *kycbridge.Account

	providerErr   error  // the error of the call to the provider
	onProvider    func() // during the call to the provider
	reserveErr    error  // the error of Reserve
	before        *kycbridge.StartReceipt
	watcherFails  int // how many times Started fails; -1: always
	completeFails int // the same for Complete
	releaseErr    error
	calls         []string // in order
	requests      []kycbridge.StartRequest
	watched       []string // external references
	kept          []kycbridge.StartReceipt
}

func newStartFixture() *startFixture {
	b := &startFixture{}
	b.Starter = start.Starter{Receipts: b, Watcher: b, PublicURL: "https://hooks.example.com"}
	b.account = &kycbridge.Account{
		Name:     "acme",
		Provider: kycbridge.Provider{Name: "ondato", CanonicalReference: func(s string) string { return "canonical-" + s }},
		API: kycbridge.API{Start: func(_ context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
			b.calls = append(b.calls, "call")
			b.requests = append(b.requests, r)
			if b.onProvider != nil {
				b.onProvider()
			}
			if b.providerErr != nil {
				return kycbridge.Started{}, b.providerErr
			}
			return started, nil
		}},
	}
	return b
}

func (b *startFixture) Reserve(
	_ context.Context, a kycbridge.AccountKey, k, f string,
) (*kycbridge.StartReceipt, error) {
	b.calls = append(b.calls, "reserve "+a.Provider+"/"+a.Account+" "+k+" "+f)
	return b.before, b.reserveErr
}

func (b *startFixture) Complete(
	ctx context.Context, a kycbridge.AccountKey, k, f string, r kycbridge.StartReceipt,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.completeFails != 0 {
		b.completeFails--
		b.calls = append(b.calls, "complete fails")
		return errAway
	}
	b.calls = append(b.calls, "complete "+a.Provider+"/"+a.Account+" "+k+" "+f)
	b.kept = append(b.kept, r)
	return nil
}

func (b *startFixture) Release(ctx context.Context, a kycbridge.AccountKey, k string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.calls = append(b.calls, "release "+a.Provider+"/"+a.Account+" "+k)
	return b.releaseErr
}

func (b *startFixture) Started(
	ctx context.Context, _ *kycbridge.Account, s kycbridge.Started, externalReference string,
) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if b.watcherFails != 0 {
		b.watcherFails--
		b.calls = append(b.calls, "watch fails")
		return "", errAway
	}
	b.calls = append(b.calls, "watch "+s.Reference)
	b.watched = append(b.watched, externalReference)
	return "", nil
}

func (b *startFixture) Submitted(ctx context.Context, _ *kycbridge.Account, reference string) error {
	_, err := b.Started(ctx, nil, kycbridge.Started{Reference: reference}, "")
	return err
}

// count is how many times a call was made.
func (b *startFixture) count(what string) (n int) {
	for _, calls := range b.calls {
		if calls == what {
			n++
		}
	}
	return n
}

const (
	reserved  = "reserve ondato/acme " + key + " " + fingerprint
	completed = "complete ondato/acme " + key + " " + fingerprint
	released  = "release ondato/acme " + key
	watched   = "watch " + reference
)

func wantReceipt() kycbridge.StartReceipt {
	return kycbridge.StartReceipt{
		VerificationID: event.VerificationID("ondato", "acme", "canonical-"+reference),
		Reference:      reference, URL: started.URL, ExpiresAt: "2026-03-02T10:00:00Z",
	}
}

// TestStartIsStored: a verification that the provider has created gets a watch and a receipt, in this
// order, however often the store fails in between and without a second call to the provider.
func TestStartIsStored(t *testing.T) {
	for name, tt := range map[string]struct {
		key             string
		watcher, store  int // how many times they fail
		calls           []string
		longer, shorter time.Duration // bounds of the elapsed time
	}{
		"at once": {key: key, calls: []string{reserved, "call", watched, completed},
			shorter: time.Millisecond},
		"without a key": {calls: []string{"call", watched}, shorter: time.Millisecond},
		"watcher fails twice": {key: key, watcher: 2,
			calls: []string{reserved, "call", "watch fails", "watch fails", watched, completed}, longer: 400 * time.Millisecond,
			shorter: 2 * time.Second},
		"receipts fail twice": {key: key, store: 2,
			calls:  []string{reserved, "call", watched, "complete fails", "complete fails", completed},
			longer: 400 * time.Millisecond, shorter: 2 * time.Second},
		"both fail twice": {key: key, watcher: 2, store: 2,
			calls: []string{reserved, "call", "watch fails", "watch fails", watched, "complete fails", "complete fails",
				completed}, longer: 800 * time.Millisecond, shorter: 3 * time.Second},
		"watcher fails, no key": {watcher: 2, calls: []string{"call", "watch fails", "watch fails", watched},
			longer: 400 * time.Millisecond, shorter: 2 * time.Second},
		"no key needs no receipt": {store: -1, calls: []string{"call", watched}, shorter: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStartFixture()
				b.watcherFails, b.completeFails = tt.watcher, tt.store
				began := time.Now()
				got, err := b.Start(t.Context(), b.account, kycbridge.StartRequest{ExternalReference: "case-1"}, tt.key,
					fingerprint)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(wantReceipt(), got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.calls, b.calls); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(began); took < tt.longer || took > tt.shorter {
					t.Errorf("it took %v", took)
				}
				if diff := cmp.Diff([]string{"case-1"}, b.watched); diff != "" {
					t.Error(diff)
				}
				if tt.key != "" && !cmp.Equal(b.kept, []kycbridge.StartReceipt{wantReceipt()}) {
					t.Errorf("receipts %+v", b.kept)
				}
			})
		})
	}
}

// TestUnwatched: if the store does not recover, the caller receives what it needs to request the watch
// itself, and the provider has been called once.
func TestUnwatched(t *testing.T) {
	for name, tt := range map[string]struct{ watcher, store int }{
		"watcher for ever": {watcher: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStartFixture()
				b.watcherFails, b.completeFails = tt.watcher, tt.store
				began := time.Now()
				got, err := b.Start(t.Context(), b.account, kycbridge.StartRequest{}, key, fingerprint)
				var unwatched *kycbridge.UnwatchedError
				if !errors.As(err, &unwatched) {
					t.Fatalf("error %v", err)
				}
				if diff := cmp.Diff(wantReceipt(), unwatched.Receipt); diff != "" || got != unwatched.Receipt {
					t.Errorf("%s, %+v", diff, got)
				}
				if !errors.Is(err, errAway) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("no cause in %v", err)
				}
				if took := time.Since(began); took < 10*time.Second || took > time.Minute {
					t.Errorf("given up after %v", took)
				}
				if b.count("call") != 1 || b.count(released) != 0 || b.count(completed) != 0 {
					t.Errorf("did %v", b.calls)
				}
				if tries := b.count("watch fails") + b.count("complete fails"); tries < 10 {
					t.Errorf("tried %d times only", tries)
				}
			})
		})
	}
}

// TestKeys: which failed starts release their key, and which keep it because the provider may have created
// something.
func TestKeys(t *testing.T) {
	failed := func(kind kycbridge.ProviderErrorKind, sent bool) error {
		return &kycbridge.ProviderError{Kind: kind, Call: "create", Sent: sent}
	}
	for name, tt := range map[string]struct {
		err     error
		release bool
	}{
		"credentials":                {failed(kycbridge.ProviderCredentials, true), true},
		"forbidden":                  {failed(kycbridge.ProviderForbidden, true), true},
		"invalid":                    {failed(kycbridge.ProviderInvalid, true), true},
		"not found":                  {failed(kycbridge.ProviderNotFound, true), true},
		"rate limited":               {failed(kycbridge.ProviderRateLimited, true), true},
		"paused":                     {failed(kycbridge.ProviderPaused, false), true},
		"unavailable":                {failed(kycbridge.ProviderUnavailable, true), false},
		"unreachable":                {failed(kycbridge.ProviderUnreachable, true), false},
		"malformed":                  {failed(kycbridge.ProviderMalformed, true), false},
		"pending":                    {failed(kycbridge.ProviderPending, true), false},
		"kind that is new":           {failed("novel", true), false},
		"unavailable, not sent":      {failed(kycbridge.ProviderUnavailable, false), true},
		"unreachable, not sent":      {failed(kycbridge.ProviderUnreachable, false), true},
		"wrapped":                    {errors.Join(errors.New("start"), failed(kycbridge.ProviderInvalid, true)), true},
		"no error of the provider's": {errors.New("a fault of ours"), false},
		"context":                    {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, k := range []string{key, ""} {
				b := newStartFixture()
				b.providerErr, b.releaseErr = tt.err, errAway // a key that cannot be released changes no answer
				got, err := b.Start(t.Context(), b.account, kycbridge.StartRequest{}, k, fingerprint)
				if !errors.Is(err, tt.err) || got != (kycbridge.StartReceipt{}) {
					t.Errorf("%+v, %v", got, err)
				}
				want := []string{"call"}
				if k != "" {
					want = []string{reserved, "call"}
					if tt.release {
						want = append(want, released)
					}
				}
				if diff := cmp.Diff(want, b.calls); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestCallerLeaves: a caller that disconnects stops neither the storing nor the release of a key.
func TestCallerLeaves(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		calls []string
	}{
		"made": {nil, []string{reserved, "call", watched, completed}},
		"refused": {&kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: "create"},
			[]string{reserved, "call", released}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := newStartFixture()
			b.providerErr, b.onProvider = tt.err, cancel
			if _, err := b.Start(ctx, b.account, kycbridge.StartRequest{}, key, fingerprint); !errors.Is(err, tt.err) {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.calls, b.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReservedBefore: the earlier use of the key decides, and the provider is not called.
func TestReservedBefore(t *testing.T) {
	first := wantReceipt()
	repeated := first
	repeated.Repeated = true
	for name, tt := range map[string]struct {
		before *kycbridge.StartReceipt
		err    error
		want   kycbridge.StartReceipt
	}{
		"made before":     {&first, nil, repeated},
		"another request": {nil, kycbridge.ErrKeyReused, kycbridge.StartReceipt{}},
		"under way":       {nil, kycbridge.ErrKeyPending, kycbridge.StartReceipt{}},
		"store away":      {nil, kycbridge.ErrUnavailable, kycbridge.StartReceipt{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newStartFixture()
			b.before, b.reserveErr = tt.before, tt.err
			got, err := b.Start(t.Context(), b.account, kycbridge.StartRequest{}, key, fingerprint)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("%+v, %v", got, err)
			}
			if diff := cmp.Diff([]string{reserved}, b.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUnsupported: an account that cannot start uses no key.
func TestUnsupported(t *testing.T) {
	b := newStartFixture()
	b.account.API.Start = nil
	if _, err := b.Start(t.Context(), b.account, kycbridge.StartRequest{}, key, fingerprint); !errors.Is(err,
		kycbridge.ErrUnsupported) || len(b.calls) > 0 {
		t.Errorf("%v, did %v", err, b.calls)
	}
}

// TestCallbackAddress: the provider receives the callback address and credential, and otherwise the
// unchanged request.
func TestCallbackAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		public   string
		keys     []string
		url, key string
	}{
		"both": {"https://hooks.example.com", []string{"new", "old"},
			"https://hooks.example.com/webhooks/ondato/acme", "new"},
		"slash at the end": {"https://hooks.example.com/", nil, "https://hooks.example.com/webhooks/ondato/acme", ""},
		"behind a path": {"https://hooks.example.com/kyc//", nil, "https://hooks.example.com/kyc/webhooks/ondato/acme",
			""},
		"no address of own": {"", []string{"new"}, "", "new"},
		"neither":           {"", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newStartFixture()
			b.PublicURL, b.account.Credentials.Keys = tt.public, slices.Clone(tt.keys)
			asked := kycbridge.StartRequest{
				ExternalReference: "case-1", FlowID: "flow-1", Language: "en", Validity: time.Hour,
				Person: kycbridge.Person{GivenName: "Testa"}, Options: []byte(`{"a":1}`),
				SuccessURL: "https://app.example.com/done",
			}
			want := asked
			want.CallbackURL, want.CallbackKey = tt.url, tt.key
			if _, err := b.Start(t.Context(), b.account, asked, "", ""); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]kycbridge.StartRequest{want}, b.requests); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSubmit: a submission that the provider has accepted is watched, however often the store fails in
// between, and is sent once. One that it has not accepted is not watched.
func TestSubmit(t *testing.T) {
	refused := &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: "step", Sent: true}
	for name, tt := range map[string]struct {
		sendErr error
		watcher int // how many times it fails; -1: always
		asked   bool
		calls   []string
	}{
		"at once":             {asked: true, calls: []string{"send", watched}},
		"watcher fails twice": {watcher: 2, asked: true, calls: []string{"send", "watch fails", "watch fails", watched}},
		"refused":             {sendErr: refused, asked: true, calls: []string{"send"}},
		"cannot be asked":     {calls: []string{"send"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStartFixture()
				b.watcherFails = tt.watcher
				if tt.asked {
					b.account.API.Fetch = func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) { return nil, nil }
				}
				ctx, leave := context.WithCancel(t.Context())
				err := b.Submit(ctx, b.account, reference, func(context.Context) error {
					b.calls = append(b.calls, "send")
					leave() // the rest does not depend on the caller
					return tt.sendErr
				})
				if !errors.Is(err, tt.sendErr) {
					t.Errorf("%v", err)
				}
				if diff := cmp.Diff(tt.calls, b.calls); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := newStartFixture()
		b.watcherFails = -1
		b.account.API.Fetch = func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) { return nil, nil }
		err := b.Submit(t.Context(), b.account, reference, func(context.Context) error { return nil })
		var unwatched *kycbridge.UnwatchedError
		if !errors.As(err, &unwatched) || unwatched.Receipt.Reference != reference ||
			unwatched.Receipt.VerificationID != wantReceipt().VerificationID {
			t.Errorf("%v", err)
		}
	})
}

package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kycbridge"
)

// only and without are the rights of tokens in tests.
func only(right kycbridge.Right) kycbridge.Rights { return kycbridge.Rights{right} }

func without(right kycbridge.Right) kycbridge.Rights {
	return slices.DeleteFunc(kycbridge.AllRights(), func(r kycbridge.Right) bool { return r == right })
}

// path is an address of a route.
func (r route) path() string {
	_, path, _ := strings.Cut(r.pattern, " ")
	return strings.NewReplacer("{provider}", "ondato", "{account}", "acme", "{id}", "00000000-0000-5000-8000-000000000000",
		"{status}", "quarantined", "{seq}", "1").Replace(path)
}

// send sends a request of a session with its form.
func (f *consoleFixture) send(r route, cookie *http.Cookie, form url.Values) int {
	method, _, _ := strings.Cut(r.pattern, " ")
	if form != nil || method == http.MethodPost {
		form = url.Values{"csrf": {f.sessions.find(cookie.Value, f.valid()).csrf}, "reason": {"case 1"}}
	}
	res := f.ask(method, r.path(), form, cookie)
	defer res.Body.Close()
	return res.StatusCode
}

// TestRights: every route of a signed-in operator with each right alone, and with all rights but one.
func TestRights(t *testing.T) {
	f := newConsoleFixture(t, "t")
	f.granted = map[string]kycbridge.Rights{}
	for _, r := range f.signedIn() {
		if r.name == "sign_out" {
			continue // needs no right
		}
		if !slices.Contains(r.rights, kycbridge.RightRead) || r.name == "" {
			t.Errorf("%s needs no right to read", r.pattern)
		}
		for _, right := range kycbridge.AllRights() {
			for _, granted := range []kycbridge.Rights{only(right), without(right)} {
				missing := slices.DeleteFunc(slices.Clone(r.rights), granted.Has)
				if r.name == "live_stream" && len(missing) == 0 {
					continue // it does not end: TestStream
				}
				f.granted["t"] = granted
				cookie := f.signIn(t, "t")
				f.accesses.take()
				status := f.send(r, cookie, nil)
				if (status == http.StatusForbidden) != (len(missing) > 0) {
					t.Errorf("%s with %v: %d", r.pattern, granted, status)
				}
				all := f.accesses.take()
				if len(all) == 0 || all[len(all)-1].By != "name-of-t" || all[len(all)-1].Operation != "console_"+r.name ||
					len(missing) > 0 && all[len(all)-1].Result != "refused: "+string(missing[0]) {
					t.Errorf("%s with %v is recorded as %+v", r.pattern, granted, all)
				}
			}
		}
	}
}

// TestRightsAreReadAtEachRequest: a withdrawn right no longer applies from the next request on, and a
// session does not continue under another name.
func TestRightsAreReadAtEachRequest(t *testing.T) {
	f := newConsoleFixture(t, "t")
	f.granted = map[string]kycbridge.Rights{"t": kycbridge.AllRights()}
	cookie := f.signIn(t, "t")
	providers := route{pattern: "GET /console/providers"}
	if status := f.send(providers, cookie, nil); status != http.StatusOK {
		t.Fatal(status)
	}
	f.granted["t"] = only(kycbridge.RightPurge)
	if status := f.send(providers, cookie, nil); status != http.StatusForbidden {
		t.Errorf("without the right: %d", status)
	}
	delete(f.granted, "t")
	if status := f.send(providers, cookie, nil); status != http.StatusSeeOther {
		t.Errorf("under another name: %d", status)
	}
}

// TestBegin: values are not revealed if the access cannot be recorded.
func TestBegin(t *testing.T) {
	f := newConsoleFixture(t, "t")
	v := visit{session: &session{by: "alice"}, r: httpRequest(t), access: &kycbridge.Access{By: "alice"}}
	if err := f.begin(v, "case 1"); err != nil {
		t.Fatal(err)
	}
	if all := f.accesses.take(); len(all) != 1 || all[0].Result != kycbridge.AccessBegun || all[0].Reason != "case 1" {
		t.Errorf("%+v", all)
	}
	f.accesses.err = errors.New("inside")
	if err := f.begin(v, "case 1"); failureOf(err).status != http.StatusServiceUnavailable {
		t.Error(err)
	}
	f.Access = nil
	if err := f.begin(v, "case 1"); failureOf(err).status != http.StatusServiceUnavailable {
		t.Error(err)
	}
}

func httpRequest(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

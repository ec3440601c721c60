package handlers

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"kycbridge"
)

// largeStart is a start of the account with file support, with size bytes of base64.
func largeStart(size int) string {
	return `{"provider":"ondato","account":"wide","external_reference":"case-1","options":{"forms":[{"video":"` +
		strings.Repeat("QUJD", size/4) + `"}]}}`
}

// newLargeFixture is the API with an account that supports files.
func newLargeFixture(t *testing.T, edit func(*APIOptions)) (*apiFixture, string) {
	dir := t.TempDir()
	return newAPIFixture(t, func(o *APIOptions) {
		o.SpoolDir = dir
		accounts := o.Accounts.(kycbridge.Accounts)
		account := *accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
		account.Name, account.API.Files = "wide", true
		accounts[kycbridge.AccountKey{Provider: "ondato", Account: "wide"}] = &account
		if edit != nil {
			edit(o)
		}
	}), dir
}

// TestLargeStarts: documents and videos are forwarded completely, without being held in memory, and are
// removed afterwards.
func TestLargeStarts(t *testing.T) {
	b, dir := newLargeFixture(t, nil)
	var got []string
	b.onStart = func(r kycbridge.StartRequest) {
		for _, f := range r.Files {
			content, err := io.ReadAll(f.Open())
			if err != nil || int64(len(content)) != f.Size || !strings.Contains(string(r.Options), `"`+f.Mark+`"`) {
				t.Errorf("%d bytes of %d, %v", len(content), f.Size, err)
			}
			got = append(got, string(content))
		}
	}
	for _, size := range []int{4, 60 << 10, 80 << 10, 900 << 10, 20 << 20} {
		got = nil
		if answer := b.ask(t, "POST", startPath, startPath, largeStart(size), nil); answer.status != http.StatusCreated {
			t.Fatalf("%d: %d %s", size, answer.status, answer.body)
		}
		switch want := strings.Repeat("QUJD", size/4); {
		case size <= 64<<10 && (len(got) != 0 || !strings.Contains(string(b.start.Options), want)):
			t.Errorf("%d bytes are put aside", size)
		case size > 64<<10 && (len(got) != 1 || got[0] != want):
			t.Errorf("%d: %d files", size, len(got))
		}
	}
	first := b.print
	b.ask(t, "POST", startPath, startPath, largeStart(20<<20), nil)
	if b.print != first {
		t.Error("the same body again has another fingerprint")
	}
	b.ask(t, "POST", startPath, startPath, strings.Replace(largeStart(20<<20), "QUJD", "QUJE", 1), nil)
	if b.print == first {
		t.Error("another video has the same fingerprint")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
	for _, line := range b.lines(t, 7) {
		if strings.Contains(line, "QUJD") {
			t.Errorf("%.200s", line)
		}
	}
}

// TestLargeStartsRefused: too large or invalid bodies are refused before anything is started; other
// requests keep their limit.
func TestLargeStartsRefused(t *testing.T) {
	b, _ := newLargeFixture(t, func(o *APIOptions) { o.MaxStart = 8 << 20 })
	b.wantProblem(t, b.ask(t, "POST", startPath, startPath, largeStart(8<<20), nil), 413, "too_large")
	b.wantProblem(t, b.ask(t, "POST", startPath, startPath, `{"options":{"a":[`+strings.Repeat(`"x",`, 2<<20)+`1]}}`,
		nil), 413, "too_large")
	b.wantProblem(t, b.ask(t, "POST", watchPath, watchPath, `{"reference":"`+strings.Repeat("r", 1<<20)+`"}`, nil), 413,
		"too_large")
	b.wantProblem(t, b.ask(t, "POST", reviewPath, "/v1/verifications/ondato/acme/b1/review",
		`{"comment":"`+strings.Repeat("r", 1<<20)+`"}`, nil), 413, "too_large")
	words := strings.Replace(largeStart(80<<10), "QUJD", "seed words ", 1)
	for body, fault := range map[string]string{
		words: `"path":"/options/forms/0/video","message":"must be base64 without line breaks: no other text is so long"`,
		strings.Replace(largeStart(80<<10), `"wide"`, `"acme"`,
			1): `"path":"/options/forms/0/video","message":"must have at most 65536 characters"`,
		strings.Replace(largeStart(80<<10), `"case-1"`, `"`+strings.Repeat("QUJD", 20<<10)+`"`,
			1): `"path":"/external_reference","message":"must have at most 128 characters"`,
		strings.Replace(largeStart(80<<10), `"case-1"`, `"case-1","person":{"name":"`+strings.Repeat("Testa ", 20<<10)+`"}`,
			1): `"path":"/person/name","message":"must have at most 256 characters"`,
	} {
		got := b.ask(t, "POST", startPath, startPath, body, nil)
		b.wantProblem(t, got, 422, "invalid_request")
		if !strings.Contains(got.body, fault) || strings.Contains(got.body, "seed") {
			t.Errorf("%s", got.body)
		}
	}
	got := b.ask(t, "POST", startPath, startPath, strings.TrimSuffix(largeStart(80<<10), "}"), nil)
	if b.wantProblem(t, got, 400, "malformed_request"); strings.Contains(got.body, "at byte") {
		t.Errorf("a place that is none of the body: %s", got.body)
	}
	if b.start.ExternalReference != "" {
		t.Error("one was started")
	}
}

// TestLargeStartsWithoutRoom: a start without enough disk space is answered with 503; one that fits into
// memory needs no folder.
func TestLargeStartsWithoutRoom(t *testing.T) {
	b, _ := newLargeFixture(t, func(o *APIOptions) { o.SpoolDir = "/dev/null/nowhere" })
	if got := b.ask(t, "POST", startPath, startPath, largeStart(900<<10), nil); got.status != http.StatusCreated {
		t.Errorf("%d %s", got.status, got.body)
	}
	got := b.ask(t, "POST", startPath, startPath, largeStart(3<<20), nil)
	if m := b.wantProblem(t, got, 503, "fault"); m["may_have_started"] != nil || strings.Contains(got.body, "nowhere") {
		t.Errorf("%s", got.body)
	}
}

// blockingStarter is a Starter that blocks until it is opened.
type blockingStarter struct{ in, open chan struct{} }

func (g blockingStarter) Start(
	context.Context, *kycbridge.Account, kycbridge.StartRequest, string, string,
) (kycbridge.StartReceipt, error) {
	g.in <- struct{}{}
	<-g.open
	return kycbridge.StartReceipt{Reference: "b1"}, nil
}

// TestLargeStartsAtOnce: the number of the largest starts is limited, and their space is released, also by
// failed starts.
func TestLargeStartsAtOnce(t *testing.T) {
	g := blockingStarter{make(chan struct{}, 100), make(chan struct{})}
	b, _ := newLargeFixture(t, func(o *APIOptions) { o.MaxStart, o.Starter = 2<<20, g })
	largest := largeStart(2<<20 - 1000)
	ask := func(body string) reply {
		return do(t, "POST", b.url+startPath, strings.NewReader(body),
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+apiToken) })
	}
	var all sync.WaitGroup
	for range maxLargeStarts {
		all.Go(func() {
			if got := ask(largest); got.status != http.StatusCreated {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	for range maxLargeStarts {
		<-g.in
	}
	b.wantProblem(t, b.ask(t, "POST", startPath, startPath, largest, nil), 503, "busy")
	close(g.open)
	all.Wait()
	for range 3 * maxLargeStarts {
		b.wantProblem(t, b.ask(t, "POST", startPath, startPath, strings.TrimSuffix(largest, "}"), nil), 400,
			"malformed_request")
		if got := b.ask(t, "POST", startPath, startPath, largest, nil); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
}

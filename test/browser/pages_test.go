package browser

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

//go:embed look.js
var look string

// stocked is a kycbridge with data for every page.
func stocked(t *testing.T) (*bridge, *traffic.Life) {
	t.Helper()
	b := newBridge(t)
	b.start(t, token, account+"    application_ids: [b1111111-0000-4000-8000-000000000002]\n")
	b.live(t, 9, traffic.SayApproved) // quarantined because it is of another application; the next configuration admits it
	b.stop()
	b.start(t, token, account+`  - name: calls
    provider: kwikid
    environment: test
    auth: {bearer: [`+bearer+`]}
    confirm: false
`)
	says := [][]string{
		{traffic.SayInProgress},
		{traffic.SayCreated, traffic.SayRejected},
		traffic.WholeLife,
		{traffic.SayCreated, traffic.SayProcessed},
		{traffic.SayInProgress, traffic.SayApproved},
		{traffic.SayRejected},
	}
	for n, say := range says {
		b.live(t, n, say...)
	}
	one := &traffic.Life{Run: 0xb0, N: 2}
	const head = `{"id":"e1","createdUtc":"2026-03-02T09:00:00Z","type":"KycIdentification.Approved","payload":`
	for _, body := range []string{
		head + `{"id":"c1","status":5,"identityVerificationId":"b1"}}`, head + `{"id":"c2","status":"Approved"}}`,
		`{"id": oops`,
	} {
		if code, answer := b.post(
			t,
			"ondato/acme",
			"Bearer "+bearer,
			[]byte(body),
		); code != http.StatusOK ||
			!strings.Contains(answer, "quarantined") {
			t.Fatalf("%d %s", code, answer)
		}
	}
	b.post(t, "ondato/acme", "Bearer none", one.Next(traffic.SayCreated).Body)
	return b, one
}

// everyPage are the pages that people use, by the names of their pictures.
func everyPage(one *traffic.Life) map[string]string {
	return map[string]string{
		"verifications": "/console/verifications",
		"verification":  "/console/verifications/ondato/acme/" + one.VerificationID(),
		"sessions":      "/console/sessions",
		"quarantine":    "/console/quarantine",
		"payload":       "/console/payloads/quarantined/1",
		"live":          "/console/live",
		"providers":     "/console/providers",
		"report":        "/console/report",
	}
}

// TestPagesCanBeUsed checks every page for people with poor eyesight, without a mouse, or with a phone: labels,
// headings, contrast in light and dark, the order of the focus, and no content beyond the screen.
func TestPagesCanBeUsed(t *testing.T) {
	browser := newBrowser(t)
	b, one := stocked(t)
	p := newTab(t, browser, b)
	p.open("/")
	p.used("sign-in")
	p.signIn(token)
	p.click("//nav//a[text()='Report']")
	p.click("//button[text()='Account for everything now']")
	for name, path := range everyPage(one) {
		p.open(path)
		p.used(name)
	}
	p.open("/console/verifications/ondato/acme/00000000-0000-5000-8000-000000000000")
	p.used("failure")
	p.open("/console/verifications/ondato/acme/" + one.VerificationID())
	p.click("//button[text()='What would a replay change?']")
	p.used("replay")
	p.open("/console/quarantine")
	p.click("//main//table//a")
	p.used("group")
	p.click("//button[text()='Preview a replay of the whole group']")
	p.used("many")
	p.open("/console/verifications/ondato/acme/" + one.VerificationID())
	p.do(chromedp.SendKeys("#reason", "look"))
	p.click("//button[text()='Reveal values about the person']")
	p.used("revealed")
	p.click("//button[text()='What would a replay change?']")
	p.shows("with the current mapping the stored payloads lead to the published state")
	p.clean()
}

// used checks the open page.
func (p *tab) used(name string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.size(1180, 800, scheme)
		for _, fault := range evaluate[[]string](p, look+"; faults()") {
			p.t.Errorf("%s, %s: %s", name, scheme, fault)
		}
	}
	p.tabbed(name)
	p.size(360, 740, "light")
	if wide := evaluate[int](p, "document.documentElement.scrollWidth"); wide > 360 {
		p.t.Errorf("%s is %d pixels wide on a phone of 360: %s", name, wide, evaluate[string](p, look+"; sticksOut()"))
	}
	p.size(1180, 800, "light")
}

// tabbed moves through the page with the tab key: every control gets the focus once, in the order of the page,
// and the focus is visible.
func (p *tab) tabbed(name string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](look + "; begin()"))
	want := evaluate[int](p, look+"; focusable().length")
	last := -1
	for n := range want {
		p.do(chromedp.KeyEvent(kb.Tab))
		at := evaluate[place](p, look+"; focus()")
		if n == 0 && !strings.HasPrefix(at.Text, "Skip to the content") {
			p.t.Errorf("%s: the first stop of the tab key is %q and not the way past the navigation", name, at.Text)
		}
		if at.Index <= last || !at.Seen {
			p.t.Errorf(
				"%s: stop %d of the tab key is number %d, %q, after number %d; the focus can be seen: %v",
				name,
				n,
				at.Index,
				at.Text,
				last,
				at.Seen,
			)
			return
		}
		last = at.Index
	}
	if last != want-1 {
		p.t.Errorf("%s: the tab key ends at %d of %d", name, last, want)
	}
}

// place is the position of the focus.
type place struct {
	Index int
	Text  string
	Seen  bool
}

// TestBrowserReportsViolations makes sure that a violation of the content security policy would be detected.
func TestBrowserReportsViolations(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	p := newTab(t, browser, b)
	p.open("/")
	p.do(
		chromedp.Evaluate[chromedp.Void](
			`document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>x</p><img src='https://example.com/x.png'>")`,
		),
	)
	wait.For(t, 5*time.Second, "the browser complains", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.violations) >= 2
	})
}

// TestHostileValues: values from a provider are shown as text in every case: markup, characters that change the
// text direction, very long texts.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	const markup = `<script>document.title="taken"</script><img src=x onerror=document.title="taken">`
	for n, value := range []string{markup, "abc\u202egnp.exe\u2066", strings.Repeat("A", 505<<10)} {
		body := fmt.Sprintf(
			`{"id":"e-%d","createdUtc":"2026-03-02T09:00:00Z","type":%q,"payload":`+
				`{"id":%q,"status":5,"identityVerificationId":"b%d","externalReferenceId":%q}}`,
			n,
			"KycIdentification.Approved",
			value,
			n,
			value,
		)
		if code, answer := b.post(t, "ondato/acme", "Bearer "+bearer, []byte(body)); code != http.StatusOK {
			t.Fatalf("%d %s", code, answer)
		}
	}
	named := `{"id":"e-9","createdUtc":"2026-03-02T09:00:00Z","type":"` + strings.ReplaceAll(
		markup,
		`"`,
		`\"`,
	) + `","payload":{"` + "\\u202e" + `<b>":1}}`
	b.post(t, "ondato/acme", "Bearer "+bearer, []byte(named))
	b.post(t, "ondato/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "Bearer <script>", []byte(named))
	p := newTab(t, browser, b)
	p.signIn(token)
	paths := []string{
		"/console/quarantine",
		"/console/live",
		"/console/providers",
		"/console/payloads/refused/1",
		"/console/payloads/accepted/1",
	}
	for n := range 3 {
		paths = append(paths, fmt.Sprintf("/console/payloads/quarantined/%d", n+1))
	}
	for _, path := range paths {
		p.open(path)
		p.notExecuted(path)
		if !strings.Contains(path, "/payloads/") || p.shownNothing() {
			continue
		}
		p.do(chromedp.SendKeys("#reason", "look at <b>hostile</b> values"))
		p.click("//button[text()='Reveal values about the person']")
		p.notExecuted(path + " revealed")
	}
	p.open("/console/payloads/quarantined/1")
	p.do(chromedp.SendKeys("#reason", "look"))
	p.click("//button[text()='Reveal values about the person']")
	p.shows(`<script>document.title=\"taken\"</script>`)
	p.open("/console/payloads/quarantined/2")
	p.do(chromedp.SendKeys("#reason", "look"))
	p.click("//button[text()='Reveal values about the person']")
	p.shows("abc⟨U+202E⟩gnp.exe⟨U+2066⟩")
	p.open("/console/payloads/quarantined/3")
	p.do(chromedp.SendKeys("#reason", "look"))
	p.click("//button[text()='Reveal values about the person']")
	p.shows("… 505.0 kB in all")
	if n := len(p.source()); n > 100<<10 {
		t.Errorf("the page is %d bytes for one payload", n)
	}
	p.clean()
}

// shownNothing reports whether the page says that nothing is stored there.
func (p *tab) shownNothing() bool { return strings.Contains(p.text(), "Nothing is stored here") }

// notExecuted fails the test if the page interprets a sent value as markup or as a script.
func (p *tab) notExecuted(where string) {
	p.t.Helper()
	if title := evaluate[string](p, "document.title"); !strings.HasSuffix(title, "· kycbridge") {
		p.t.Errorf("%s: a script has run, the title is %q", where, title)
	}
	const made = `document.querySelectorAll("main script, main img, main b, [onerror], [style]").length`
	if n := evaluate[int](p, made); n > 0 {
		p.t.Errorf("%s: %d elements were made of what was sent", where, n)
	}
	const turned = `/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(document.documentElement.outerHTML)`
	if evaluate[bool](p, turned) {
		p.t.Errorf("%s: a character that changes the text direction is in the page", where)
	}
}

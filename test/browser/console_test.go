package browser

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// TestSixClicks goes from signing in to an admitted callback. The callback was quarantined because the application
// that sent it was not configured; now it is configured.
func TestSixClicks(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account+"    application_ids: [b1111111-0000-4000-8000-000000000002]\n")
	b.live(t, 1, traffic.SayApproved)
	b.stop()
	b.start(t, token, account+"    application_ids: ["+application+"]\n")

	p := newTab(t, browser, b)
	p.signIn(token)
	p.click("//nav//a[text()='Quarantine']")
	p.shows("foreign", "comes from an application that application_ids does not name")
	p.click("//main//table//a")
	p.click("//main//tbody//th/a")
	p.shows("Received body", "Result of the current mapping", "A replay would admit it", "What a replay would change",
		"/decision", `"outcome":"approved"`, "KycIdentification.Approved")
	if text := p.text(); strings.Contains(text, "Testa") || strings.Contains(text, "X0000002") {
		t.Error("a value about the person is shown")
	}
	if !strings.Contains(p.source(), "/payload/document/firstName") {
		t.Error("the page does not say from which members values came")
	}
	p.click("//button[text()='Replay: admit this payload']")
	p.shows("Approved, final", "Revision 1", "led to revision 1")
	if p.clicks > 6 {
		t.Errorf("%d clicks from signing in to the admitted callback, 6 are allowed", p.clicks)
	}
	t.Logf("%d clicks from signing in to the admitted callback", p.clicks)
	p.click("//nav//a[text()='Quarantine']")
	if text := p.text(); strings.Contains(text, "foreign") {
		t.Errorf("it is still in quarantine:\n%s", text)
	}
	if !strings.Contains(b.log.String(), `"msg":"payload replayed"`) {
		t.Error("the replay is not in the log")
	}
	p.clean()
}

// TestGroup replays a whole group of quarantined callbacks, with the difference first.
func TestGroup(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account+"    application_ids: [b1111111-0000-4000-8000-000000000002]\n")
	for n := range 3 {
		b.live(t, n, traffic.SayCreated, traffic.SayRejected)
	}
	b.stop()
	b.start(t, token, account)
	p := newTab(t, browser, b)
	p.signIn(token)
	p.click("//nav//a[text()='Quarantine']")
	p.click("//main//table//a")
	p.click("//button[text()='Preview a replay of the whole group']")
	p.shows("6 admitted", "/decision")
	p.click("//button[contains(text(),'Replay: admit 6 payloads')]")
	p.shows("6 admitted", "Result of the replay")
	wait.For(t, 10*time.Second, "three rejected verifications", func() bool {
		p.open("/console/verifications?outcome=rejected")
		return strings.Count(p.text(), "rejected final") >= 3
	})
	p.clean()
}

// TestSearchAndReveal finds a verification by its external reference, and shows its values for a reason.
func TestSearchAndReveal(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	b.live(t, 6, traffic.SayCreated)
	one := b.live(t, 7, traffic.SayInProgress, traffic.SayApproved)
	p := newTab(t, browser, b)
	p.signIn(token)
	for name, q := range map[string]string{"external reference": "ref-7", "provider's reference": one.Reference(),
		"our id": one.VerificationID(), "its beginning": one.VerificationID()[:8]} {
		wait.For(t, 10*time.Second, "found by "+name, func() bool {
			p.do(chromedp.SetValue("#q", q))
			p.click("//button[text()='Search']")
			return strings.Contains(p.text(), one.VerificationID())
		})
		if at := p.where(); !strings.HasSuffix(at, "/console/verifications/ondato/acme/"+one.VerificationID()) {
			t.Errorf("searching by %s leads to %s", name, at)
		}
	}
	p.shows("Approved, final", "[masked]", "Stored; led to revision 2.")
	if s := p.source(); strings.Contains(s, "ref-7") || strings.Contains(s, "Testa") ||
		strings.Contains(s, "1988-07-30") {
		t.Error("a value about the person is in the page")
	}
	p.do(chromedp.Click("//button[text()='Reveal values about the person']")) // the browser asks for a reason
	if strings.Contains(p.text(), "Testa") {
		t.Error("values are shown without a reason")
	}
	p.do(chromedp.SendKeys("#reason", "case 4711"))
	p.click("//button[text()='Reveal values about the person']")
	p.shows("Testa", "ref-7", "Values about a person are shown")
	log := b.log.String()
	if !strings.Contains(log, `"msg":"verification revealed"`) || !strings.Contains(log, `"reason":"case 4711"`) ||
		!strings.Contains(log, `"by":"token-`) {
		t.Errorf("the log does not say who looked and why:\n%s", log)
	}
	if strings.Contains(log, token) || strings.Contains(log, "Testa") {
		t.Error("the log holds the token or a value about a person")
	}
	p.clean()
}

// TestTwoTabsAndWithdrawnToken: tabs share a session; signing out ends it in both, and so does the withdrawal of a
// token.
func TestTwoTabsAndWithdrawnToken(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	one, two := newTab(t, browser, b), newTab(t, browser, b)
	one.signIn(token)
	two.open("/console/providers")
	two.shows("https://kyc.example.com/webhooks/ondato/acme", "a bearer token (auth.bearer)")
	one.click("//button[text()='Sign out']")
	two.open("/console/providers")
	two.shows("Admin token")
	one.signIn("none-of-the-tokens")
	one.shows("This is not a configured admin token")
	one.signIn(token)
	two.open("/console/live")
	two.shows("Live")
	b.stop()
	b.start(t, otherToken, account) // the token is withdrawn
	one.open("/console/report")
	one.shows("Admin token")
	one.signIn(token)
	one.shows("This is not a configured admin token")
	wait.For(t, 15*time.Second, "the live view has left", func() bool {
		return strings.Contains(two.text(), "Admin token") ||
			strings.Contains(two.text(), "Load the page again")
	})
	one.clean()
}

// TestManyLiveTabs: a browser with many live views still loads pages. The oldest views pause, and continue on request.
func TestManyLiveTabs(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, token, account)
	first := newTab(t, browser, b)
	first.signIn(token)
	first.open("/console/live")
	for range 7 { // one more than the connections that a browser keeps to a host
		p := newTab(t, browser, b)
		p.open("/console/live")
		wait.For(t, 10*time.Second, "a live view", func() bool {
			return evaluate[string](p, "document.getElementById('live-state').textContent") == "Live"
		})
	}
	first.shows("Paused: you have opened Live in other tabs")
	first.do(chromedp.Click("#pause"))
	wait.For(t, 10*time.Second, "the first view again", func() bool {
		return evaluate[string](first, "document.getElementById('live-state').textContent") == "Live"
	})
	first.open("/console/providers")
	first.clean()
}

// TestNoTokens: if no token is configured, the console only shows a page that describes how to add one.
func TestNoTokens(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	b := newBridge(t)
	b.start(t, "", account)
	p := newTab(t, browser, b)
	p.open("/")
	p.shows("Sign-in is not possible", "tokens_file")
	for _, path := range []string{"/console/verifications", "/console/live/stream", "/console/report"} {
		res, err := http.Get("http://" + b.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Request.URL.Path; got != "/console/sign-in" {
			t.Errorf("%s leads to %s", path, got)
		}
	}
	p.clean()
}

package browser

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is the path of the browser. The headless shell is preferred, because it spends nothing on its own menus
// and pages. Without a browser the test is skipped, or fails if one is required.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const why = "there is no Chromium here: install Debian's package chromium-headless-shell, or chromium"
	if os.Getenv("REQUIRE_BROWSER") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// shared is the one browser of all tests.
var shared struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

// newBrowser gives a test its own profile in the shared browser.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	shared.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.WindowSize(1180, 800),
			chromedp.Flag("force-color-profile", "srgb"),
		)
		allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(allocator)
		shared.ctx, shared.end = ctx, func() { end(); endAllocator() }
		shared.err = chromedp.Do(ctx)
	})
	if shared.err != nil {
		t.Fatalf("start Chromium: %v", shared.err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a profile: %v", err)
	}
	return ctx
}

// tab is a tab of the browser that shows a console.
type tab struct {
	t   *testing.T
	ctx context.Context
	at  string // http://host:port

	clicks int

	mu         sync.Mutex
	violations []string
}

// newTab opens a tab and records what the browser refuses and what scripts throw.
func newTab(t *testing.T, browser context.Context, b *bridge) *tab {
	t.Helper()
	p := &tab{t: t, at: "http://" + b.admin}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Source == log.EntrySourceSecurity ||
				strings.Contains(ev.Entry.Text, "Content Security Policy") {
				p.note(ev.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			p.note(ev.ExceptionDetails.Text)
		}
	}))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	var stop context.CancelFunc
	p.ctx, stop = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	if _, err := chromedp.Call(p.ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *tab) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.violations = append(p.violations, what)
}

// clean fails the test if the browser refused anything or a script threw.
func (p *tab) clean() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.violations {
		p.t.Errorf("the browser complains: %s", v)
	}
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("%v at %s, which shows:\n%.2000s", err, evaluate[string](p, "location.href"), p.text())
	}
}

// evaluate runs a script and returns its value.
func evaluate[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.100s: %v", script, err)
	}
	return v
}

// open goes to a page.
func (p *tab) open(path string) { p.t.Helper(); p.do(chromedp.Navigate(p.at + path)) }

// signIn signs in with a token, as one click.
func (p *tab) signIn(token string) {
	p.t.Helper()
	p.open("/")
	p.do(chromedp.SendKeys("#token", token))
	p.click("//button[text()='Sign in']")
}

// click clicks the element that an XPath selects and waits for the next page.
func (p *tab) click(what string) {
	p.t.Helper()
	p.clicks++
	ctx, cancel := context.WithTimeout(p.ctx, 15*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(what, chromedp.NodeVisible)); err != nil {
		p.t.Fatalf("click on %s: %v", what, err)
	}
}

// text is all text that the page shows.
func (p *tab) text() string { p.t.Helper(); return evaluate[string](p, "document.body.innerText") }

// source is the HTML of the page, including what is hidden.
func (p *tab) source() string {
	p.t.Helper()
	return evaluate[string](p, "document.documentElement.outerHTML")
}

// where is the address of the page.
func (p *tab) where() string {
	p.t.Helper()
	return evaluate[string](p, "location.pathname + location.search")
}

// shows fails the test if the page lacks one of the texts.
func (p *tab) shows(all ...string) {
	p.t.Helper()
	text := p.text()
	for _, want := range all {
		if !strings.Contains(text, want) {
			p.t.Errorf("%q is missing on\n%.3000s", want, text)
		}
	}
}

// size sets the window size and the colour scheme.
func (p *tab) size(width, height int64, scheme string) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		p.t.Fatal(err)
	}
}

// cookie is the session cookie as requests carry it: scripts of a page cannot read it.
func (p *tab) cookie() string {
	p.t.Helper()
	if seen := evaluate[string](p, "document.cookie"); seen != "" {
		p.t.Errorf("a script can read the cookie %q", seen)
	}
	found, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil || len(found.Cookies) != 1 {
		p.t.Fatalf("cookies %v: %v", found.Cookies, err)
	}
	c := found.Cookies[0]
	if !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict {
		p.t.Errorf("the cookie is not for requests of this site alone: %+v", c)
	}
	return c.Name + "=" + c.Value
}

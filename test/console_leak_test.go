package test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// link finds the addresses that a page of the console refers to.
var link = regexp.MustCompile(`(?:href|action)="(/console/[^"]*)"`)

// consoleForm finds the CSRF token in the forms of a page.
var consoleForm = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// console is a client of the console: it is signed in and follows every link.
type console struct {
	*http.Client
	base string
}

// signedIn signs in at the console of b.
func (b *bridge) signedIn(t *testing.T, token string) *console {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &console{&http.Client{Jar: jar, Timeout: 20 * wait.Slowdown * time.Second}, b.adminURL("")}
	if code, page := c.post(
		t,
		"/console/sign-in",
		url.Values{"token": {token}},
	); code != http.StatusOK ||
		!strings.Contains(page, "Sign out") {
		t.Fatalf("signing in: %d\n%s", code, page)
	}
	return c
}

func (c *console) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := c.Get(c.base + path)
	if err != nil {
		t.Fatal(err)
	}
	return c.read(t, res)
}

func (c *console) post(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	res, err := c.PostForm(c.base+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return c.read(t, res)
}

func (c *console) read(t *testing.T, res *http.Response) (int, string) {
	t.Helper()
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(page)
}

// pages passes on every page that links lead to, and the answers to forms that preview something without changing it.
func (c *console) pages(t *testing.T, most int, each func(path, page string)) (n int) {
	t.Helper()
	seen := map[string]bool{"/console/sign-out": true, "/console/live/stream": true}
	next := []string{"/console/verifications"}
	for len(next) > 0 && n < most {
		path := next[0]
		next = next[1:]
		code, page := c.get(t, path)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
			continue
		}
		n++
		each(path, page)
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			to := html.UnescapeString(m[1])
			switch {
			case seen[to] || strings.HasPrefix(to, "/console/assets/"):
			case strings.HasSuffix(to, "/preview") && !strings.HasSuffix(to, "quarantine/preview"):
				seen[to] = true
				_, answer := c.post(t, to, url.Values{"csrf": {consoleForm.FindStringSubmatch(page)[1]}})
				each(to, answer)
			case strings.Contains(page, `action="`+m[1]+`"`): // changes or reveals something
			default:
				seen[to] = true
				next = append(next, to)
			}
		}
	}
	return n
}

// shownByConsole searches every page of the console for planted values, and returns the number of pages.
func (b *bridge) shownByConsole(t *testing.T, token string) int {
	t.Helper()
	c := b.signedIn(t, token)
	_, page := c.get(t, "/console/report")
	c.post(t, "/console/report", url.Values{"csrf": {consoleForm.FindStringSubmatch(page)[1]}})
	wait.For(t, 20*time.Second, "the report", func() bool {
		_, page := c.get(t, "/console/report")
		return strings.Contains(page, "verdict")
	})
	return c.pages(t, 2000, func(path, page string) { shows(t, "console "+path, page) })
}

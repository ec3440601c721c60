package test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// edgeAccounts are an Ondato account and a Signzy one whose key may be in the body.
const edgeAccounts = `log: {level: debug}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth: {bearer: [` + loadToken + `]}
    confirm: false
  - name: keyed
    provider: signzy
    environment: test
    auth: {keys: [key-secret-2b90], placements: [body]}
    confirm: false
`

// edgeCall is an authentic callback of Ondato.
func edgeCall(body []byte, header ...string) call {
	return call{path: "/webhooks/ondato/acme",
		header: append([]string{"Authorization", "Bearer " + loadToken, "Content-Type", "application/json"}, header...),
		body:   body}
}

// packed is a body in an encoding.
func packed(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if encoding == "deflate" {
		w = zlib.NewWriter(&out)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestEdge: how a process handles unusual, invalid or hostile requests before it reads them.
func TestEdge(t *testing.T) {
	t.Parallel()
	b := newBridge(t, edgeAccounts)
	b.start(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *bridge)
	}{
		{"addresses", edgeAddresses}, {"encodings", edgeEncodings}, {"oversize", edgeOversize}, {"early", edgeEarly},
		{"chunked", edgeChunked}, {"refused", edgeRefused}, {"flood", edgeFlood}, {"hangup", edgeHangup},
		{"strays", edgeUnknownAccounts},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
	for _, secret := range []string{loadToken, "key-secret-2b90", "almost-the-token"} {
		if strings.Contains(b.stderr.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// edgeAddresses: a trailing slash and percent-encoding do not cause 404.
func edgeAddresses(t *testing.T, b *bridge) {
	for i, path := range []string{"/webhooks/ondato/acme/", "/webhooks/ondato/%61cme", "/%77ebhooks/ondato/acme",
		"/webhooks/ondato/acme?x=1"} {
		c := edgeCall(kycHook(100+i, 1, "Approved", "Approved", ""))
		c.path = path
		if got := b.curl(t, c); got.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.Code, got.Text)
		}
	}
	for _, path := range []string{"/webhooks/ondato/acme%2Fx", "/webhooks/ondato/ACME", "/webhooks//acme"} {
		c := edgeCall(kycHook(110, 1, "Approved", "Approved", ""))
		c.path = path
		if got := b.curl(t, c); got.Code == http.StatusOK {
			t.Errorf("%s: taken", path)
		}
	}
}

// edgeEncodings: compressed bodies are read, stored unchanged, and limited by their unpacked size.
func edgeEncodings(t *testing.T, b *bridge) {
	before := b.progress(t)
	for i, encoding := range []string{"gzip", "deflate", "x-gzip", "identity"} {
		body := kycHook(200+i, 1, "Approved", "Approved", "")
		if encoding != "identity" {
			body = packed(t, strings.TrimPrefix(encoding, "x-"), body)
		}
		got := b.curl(t, edgeCall(body, "Content-Encoding", encoding))
		if got.Code != http.StatusOK || got.Status != "accepted" || got.VerificationID == "" {
			t.Fatalf("%s: %d %s", encoding, got.Code, got.Text)
		}
		if again := b.curl(t, edgeCall(body, "Content-Encoding", encoding)); again.Status != "duplicate" {
			t.Errorf("%s again: %s", encoding, again.Text)
		}
	}
	b.settled(t, 20*time.Second)
	wait.For(t, 10*time.Second, "an event of each", func() bool { return b.progress(t) == before+4 })
	mark := append([]byte("\xef\xbb\xbf"), kycHook(210, 1, "Approved", "Approved", "")...)
	if got := b.curl(t, edgeCall(mark)); got.Status != "accepted" {
		t.Errorf("a byte order mark: %s", got.Text)
	}
	if got := b.curl(t, edgeCall([]byte("not packed"), "Content-Encoding", "gzip")); got.Status != "quarantined" ||
		!strings.Contains(got.Text, "Content-Encoding") {
		t.Errorf("not packed: %d %s", got.Code, got.Text)
	}
	if got := b.curl(t, edgeCall(kycHook(211, 1, "Approved", "Approved", ""), "Content-Encoding",
		"br")); got.Code != http.StatusUnsupportedMediaType {
		t.Errorf("br: %d %s", got.Code, got.Text)
	}
	bomb := packed(t, "gzip", append([]byte(`{"a":"`), bytes.Repeat([]byte("a"), 8<<20)...))
	if got := b.curl(t, edgeCall(bomb, "Content-Encoding", "gzip")); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of %d bytes that unpacks to 8 MiB: %d %s", len(bomb), got.Code, got.Text)
	}
	latin := kycHook(212, 1, "Approved", "Approved", "")
	latin = bytes.Replace(latin, []byte(`"Approved"`), []byte("\"Appr\xf6ved\""), 1)
	if got := b.curl(t, edgeCall(latin)); got.Status != "quarantined" || !strings.Contains(got.Text, "malformed") {
		t.Errorf("bytes that are no UTF-8: %s", got.Text)
	}
}

// progress is the number of events.
func (b *bridge) progress(t *testing.T) int {
	t.Helper()
	n := 0
	for _, history := range traffic.Histories(t, b.eventsURL()) {
		n += len(history)
	}
	return n
}

// edgeOversize: a sender that writes its whole body before it reads still receives the answer.
func edgeOversize(t *testing.T, b *bridge) {
	for _, length := range []string{"Content-Length: 6291456\r\n", "Transfer-Encoding: chunked\r\n"} {
		c, err := net.Dial("tcp", freeport.Local(b.callbacks))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "+
			"application/json\r\n%s\r\n", loadToken, length)
		for range 6 {
			piece := bytes.Repeat([]byte("a"), 1<<20)
			if strings.HasPrefix(length, "Transfer") {
				piece = slices.Concat([]byte("100000\r\n"), piece, []byte("\r\n"))
			}
			if _, err := c.Write(piece); err != nil {
				t.Fatalf("%s: write: %v", length, err)
			}
		}
		if strings.HasPrefix(length, "Transfer") {
			fmt.Fprint(c, "0\r\n\r\n")
		}
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 413 ")) {
			t.Errorf("%s: %v %.200q", length, err, answer)
		}
		_ = c.Close()
	}
}

// raw sends bytes and returns the complete response.
func (b *bridge) raw(t *testing.T, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", freeport.Local(b.callbacks))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, request)
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// edgeEarly: requests that net/http itself refuses are counted.
func edgeEarly(t *testing.T, b *bridge) {
	for status, request := range map[string]string{
		"431": "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"400": "POST /webhooks/ondato/acme HTTP/1.1\r\nno header\r\n\r\n",
		"501": "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: pigeon\r\n\r\n",
		"417": "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: wonders\r\nConnection: " +
			"close\r\n\r\n",
	} {
		if got := b.raw(t, request); !strings.HasPrefix(got, "HTTP/1.1 "+status) {
			t.Errorf("%s: %.80q", status, got)
			continue
		}
		wait.For(t, 5*time.Second, status+" is counted",
			func() bool { return strings.Contains(b.metrics(), `outcome="http_`+status+`"`) })
	}
}

// edgeChunked: after a chunked body the connection is closed, even if a length was declared too.
func edgeChunked(t *testing.T, b *bridge) {
	body := kycHook(300, 1, "Approved", "Approved", "")
	request := fmt.Sprintf(
		"POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", loadToken, len(body), body)
	got := b.raw(t, request+"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || strings.Count(got, "HTTP/1.1 ") != 1 ||
		!strings.Contains(got, "Connection: close") {
		t.Errorf("%.300q", got)
	}
}

// edgeRefused: one body sent with a wrong and with the right credential is stored twice, and the log states the
// reason for each refusal, but the answer does not.
func edgeRefused(t *testing.T, b *bridge) {
	body := kycHook(400, 1, "Approved", "Approved", "")
	answers := map[string]bool{}
	for _, credential := range [][]string{nil, {"Authorization", "Bearer almost-the-token"},
		{"Authorization", "Bearer almost-the-token"}} {
		header := append([]string{"Content-Type", "application/json"}, credential...)
		got := b.curl(t, call{path: "/webhooks/ondato/acme", header: header, body: body})
		if got.Code != http.StatusUnauthorized {
			t.Fatalf("%v: %d", header, got.Code)
		}
		answers[got.Text] = true
	}
	if len(answers) != 1 {
		t.Errorf("answers differ: %v", answers)
	}
	for _, why := range []string{"no credential was sent", "wrong credential: bearer"} {
		wait.For(t, 5*time.Second, why, func() bool { return strings.Contains(b.stderr.String(), why) })
	}
	wait.For(t, 10*time.Second, "one for each credential", func() bool {
		return strings.Count(b.list(t, "--status", "refused", "--provider", "ondato"), `"status":"refused"`) == 2
	})
}

// list is the JSON output of payloads list.
func (b *bridge) list(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "kycbridge"),
		append([]string{"payloads", "list", "--config", b.config, "--json"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// edgeFlood: forged callbacks, some of a megabyte with a key anywhere in the body, hardly delay genuine
// ones.
func edgeFlood(t *testing.T, b *bridge) {
	large := []byte(`{"result":{"data":{"processingConfig":{"authKeyForCallback":"wrong"},"x":"` +
		strings.Repeat(`\"{`, 340_000) + `"}}}`)
	start, stop := time.Now(), make(chan struct{})
	var forging sync.WaitGroup
	forging.Go(func() {
		tick := time.NewTicker(time.Second / 40)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				forging.Go(func() {
					res, err := b.client.Post(b.callbackURL("signzy", "keyed"), "application/json", bytes.NewReader(large))
					if err != nil {
						t.Errorf("forged: %v", err)
						return
					}
					_ = res.Body.Close()
					if res.StatusCode != http.StatusUnauthorized {
						t.Errorf("forged: %d", res.StatusCode)
					}
				})
			}
		}
	})
	var took []time.Duration
	for i := range 60 {
		began := time.Now()
		if got := b.curl(t, edgeCall(kycHook(500+i, 1, "Approved", "Approved", ""))); got.Code != http.StatusOK {
			t.Errorf("genuine: %d %s", got.Code, got.Text)
		}
		took = append(took, time.Since(began))
		time.Sleep(25 * time.Millisecond)
	}
	close(stop)
	forging.Wait()
	slices.Sort(took)
	t.Logf("genuine callbacks beside 40 forged megabytes a second: median %s, slowest %s", took[len(took)/2],
		took[len(took)-1])
	if took[len(took)/2] > time.Second*wait.Slowdown {
		t.Errorf("half of the genuine callbacks took %s or more", took[len(took)/2])
	}
	const atOnce, aSecond = 20, 5
	most := 2*atOnce + aSecond*int(time.Since(start)/time.Second+1)
	if lines := strings.Count(b.stderr.String(), `"outcome":"unauthenticated"`); lines > most {
		t.Errorf("%d log lines of a flood, %d are enough", lines, most)
	}
}

// edgeHangup: SIGHUP reads the configuration again, and does not end the process.
func edgeHangup(t *testing.T, b *bridge) {
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait.For(t, 5*time.Second, "a reload", func() bool {
		n, ok := b.metric(`kycbridge_config_reloads_total{result="applied"}`)
		return ok && n == 1
	})
	if got := b.curl(t, edgeCall(kycHook(600, 1, "Approved", "Approved", ""))); got.Code != http.StatusOK {
		t.Errorf("after SIGHUP: %d %s", got.Code, got.Text)
	}
}

// edgeUnknownAccounts: a callback for an account that is not configured is stored, logged, and processed
// once the account is configured.
func edgeUnknownAccounts(t *testing.T, b *bridge) {
	for _, path := range []string{"/webhooks/ondato/later", "/webhook/ondato/acme"} {
		c := edgeCall(kycHook(700, 1, "Approved", "Approved", ""))
		c.path = path
		if got := b.curl(t, c); got.Code != http.StatusNotFound {
			t.Fatalf("%s: %d %s", path, got.Code, got.Text)
		}
	}
	if !strings.Contains(b.stderr.String(), "not configured; they are kept as refused") ||
		!strings.Contains(b.stderr.String(), "/webhooks/ondato/acme") {
		t.Error("the log does not tell of callbacks for an account that is not configured")
	}
	wait.For(t, 10*time.Second, "each is kept, with its address", func() bool {
		list := b.list(t, "--status", "refused", "--provider", "unknown")
		return strings.Contains(list, `"addressed":"/webhooks/ondato/later"`) &&
			strings.Contains(list, `"addressed":"/webhook/ondato/acme"`)
	})
	b.terminate(t)
	writeFile(t, b.config, strings.Replace(string(mustRead(t, b.config)), "  - name: keyed", `  - name: later
    provider: ondato
    environment: test
    auth: {bearer: [`+loadToken+`]}
    confirm: false
  - name: keyed`, 1))
	b.start(t)
	before := b.progress(t)
	out, err := exec.Command(tool(t, "kycbridge"), "payloads", "replay", "--config", b.config, "--status", "refused",
		"--yes").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1 admitted") {
		t.Fatalf("%v: %s", err, out)
	}
	wait.For(t, 15*time.Second, "its event", func() bool { return b.progress(t) == before+1 })
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

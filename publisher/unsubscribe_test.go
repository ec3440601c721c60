package publisher

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/test/wait"
)

// TestManyOldRequests: a client that makes an inbox for each request, with an automatic unsubscription after one
// message, may send any number of requests on one connection.
func TestManyOldRequests(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	lost := make(chan error, 1)
	nc, err := nats.Connect(h.server.ClientURL(), nats.UserInfo("crm", "crm-password-1"), nats.UseOldRequestStyle(),
		nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }))
	must(t, err)
	defer nc.Close()
	for i := range 4 * readerSubscriptions {
		if _, err := nc.Request("$JS.API.INFO", nil, 5*time.Second); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	select {
	case err := <-lost:
		t.Errorf("the connection was closed: %v", err)
	default:
	}
}

// TestVerboseClient: a client to which the server answers each line, as it does by default, gets one answer to each
// line that it sends.
func TestVerboseClient(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	for options, want := range map[string]string{``: "+OK\r\n+OK\r\nPONG\r\n", `,"verbose":true`: "+OK\r\n+OK\r\nPONG\r\n",
		`,"verbose":false`: "PONG\r\n"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(h.server.ClientURL(), "nats://"))
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(10*time.Second*wait.Slowdown)))
		from := bufio.NewReader(c)
		until := func(end string) (all string) {
			t.Helper()
			for !strings.HasSuffix(all, end) {
				line, err := from.ReadString('\n')
				if err != nil {
					t.Fatalf("%v after %q", err, all)
				}
				if line != "PING\r\n" { // the server's own
					all += line
				}
			}
			return all
		}
		send := func(text string) {
			t.Helper()
			_, err := io.WriteString(c, text)
			must(t, err)
		}
		send(`CONNECT {"user":"crm","pass":"crm-password-1"` + options + "}\r\nSUB _INBOX.a 1\r\nUNSUB 1 1\r\nPING\r\n")
		until("PONG\r\n")
		send("PUB $JS.API.INFO _INBOX.a 0\r\n\r\n")
		until("}\r\n")
		send("SUB _INBOX.b 2\r\nUNSUB 2\r\nPING\r\n")
		if got := until("PONG\r\n"); got != want {
			t.Errorf("%q: the answers are %q, want %q", options, got, want)
		}
	}
}

// TestUnsubscriber: subscriptions end after their number of messages, in whatever pieces both sides send. Bodies that
// look like requests are none.
func TestUnsubscriber(t *testing.T) {
	t.Parallel()
	client := []string{"SUB a 1\r\n", "sub b q 2\r\n", "UNSUB 1 2\r\n", "unsub 2 1\r\n", "SUB c 3\r\n",
		"PUB x 11\r\nUNSUB 3 1\r\n\r\n", "HPUB x reply 12 23\r\nNATS/1.0\r\n\r\nUNSUB 3 1\r\n\r\n", "PING\r\n"}
	server := "MSG a 1 9\r\nMSG b 2 0\r\n" + "HMSG a 1 reply 12 14\r\nNATS/1.0\r\n\r\n{}\r\n" +
		"MSG c 3 11\r\nMSG b 2 1\r\n\r\n" + "PING\r\n" + "MSG b 2 0\r\n\r\n" + "MSG c 3 0\r\n\r\n"
	for range 2000 {
		var u unsubscriber
		sent := strings.Join(client, "")
		for part := range pieces(sent) {
			if got := string(u.toServer([]byte(part))); got != part {
				t.Fatalf("sent %q as %q, before any message", part, got)
			}
		}
		for part := range pieces(server) {
			u.toClient([]byte(part))
		}
		var got strings.Builder
		const last = "PUB y 8\r\nUNSUB 9\n\r\nPING\r\n"
		for part := range pieces(last) {
			got.Write(u.toServer([]byte(part)))
		}
		if want := "UNSUB 1\r\nUNSUB 2\r\n" + last; got.String() != want {
			t.Fatalf("the server receives %q, want %q", got.String(), want)
		}
		if u.up.lost || u.down.lost || len(u.counted) != 1 {
			t.Fatalf("left %v, lost %t %t", u.counted, u.up.lost, u.down.lost)
		}
	}
}

// TestUnsubscriberWaitsForTheEndOfABody: nothing is inserted into a body or a line.
func TestUnsubscriberWaitsForTheEndOfABody(t *testing.T) {
	t.Parallel()
	var u unsubscriber
	u.toServer([]byte("SUB a 1\r\nUNSUB 1 1\r\nPUB x 4\r\nab"))
	u.toClient([]byte("MSG a 1 0\r\n\r\n"))
	for _, c := range [][2]string{{"c", "c"}, {"d\r", "d\r"}, {"\n", "\n"}, {"PI", "UNSUB 1\r\nPI"},
		{"NG\r\n", "NG\r\n"}} {
		if got := string(u.toServer([]byte(c[0]))); got != c[1] {
			t.Errorf("%q is sent as %q, want %q", c[0], got, c[1])
		}
	}
}

// TestUnsubscriberLosesTheThread: after a line that cannot be read, everything is passed on unchanged.
func TestUnsubscriberLosesTheThread(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"PUB x -1\r\n", "PUB x many\r\n", "PUB x 99999999999\r\n",
		strings.Repeat("x", longestLine+1)} {
		var u unsubscriber
		u.toServer([]byte("SUB a 1\r\nUNSUB 1 1\r\n"))
		u.toServer([]byte(text))
		u.toClient([]byte("MSG a 1 0\r\n\r\n"))
		if got := string(u.toServer([]byte("PING\r\n"))); got != "PING\r\n" {
			t.Errorf("after %.20q PING is sent as %q", text, got)
		}
	}
	var u unsubscriber
	for i := range 2 * mostCounted {
		u.toServer(fmt.Appendf(nil, "SUB a %d\r\n", i))
	}
	if len(u.counted) > mostCounted {
		t.Errorf("%d subscriptions are counted", len(u.counted))
	}
	for i, end := range []string{"", " 0", " x", " -1"} {
		u.toServer(fmt.Appendf(nil, "UNSUB %d%s\r\n", i, end))
	}
	if want := mostCounted - 4; len(u.counted) != want || len(u.ended) > 0 {
		t.Errorf("%d subscriptions are counted after UNSUB, want %d; to be sent: %q", len(u.counted), want, u.ended)
	}
}

// pieces are the parts of a text, of random lengths.
func pieces(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			n := 1 + rand.IntN(len(text))
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

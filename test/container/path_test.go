package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/fixture"
	"kycbridge/test/traffic"
)

// twoAccounts are an ordinary account, and one that rejects invalid payloads.
const twoAccounts = `  - {name: acme, provider: ondato, environment: test, confirm: false, auth: {basic: [{username: ondato, password: ` + callbackPassword + `}]}}
  - {name: strict, provider: ondato, environment: test, confirm: false, reject_invalid: true, auth: {basic: [{username: ondato, password: ` + callbackPassword + `}]}}
`

// TestPath sends callbacks of every provider through containers, on one NATS server with one
// replica and on a cluster of three with two, and reads the results.
func TestPath(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		name              string
		servers, replicas int
	}{{"one server, one replica", 1, 1}, {"three servers, two replicas", 3, 2}} {
		t.Run(size.name, func(t *testing.T) {
			_, accounts := callbacks(t)
			c := newCluster(t, size.servers, size.replicas, twoAccounts+accounts)
			t.Run("answers", func(t *testing.T) { c.on(t).answers() })
			t.Run("fixtures", func(t *testing.T) { c.on(t).fixtures() })
			t.Run("life", func(t *testing.T) { c.on(t).life(7) })
			t.Run("permissions", func(t *testing.T) { c.on(t).permissions() })
			t.Run("log", func(t *testing.T) { c.on(t).noPersonalData() })
		})
	}
}

// on is the cluster for a subtest.
func (c *cluster) on(t *testing.T) *cluster {
	part := *c
	part.t = t
	return &part
}

// call is one request through the proxy, with the credential of the accounts.
func (c *cluster) call(method, path string, body []byte, header ...string) traffic.Reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.proxy.address(8080)+path,
		bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("ondato", callbackPassword)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.client.Do(req) //nolint:bodyclose // ReplyOf closes it
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := traffic.ReplyOf(res)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// answers checks the answers of docs/configure.md, as they arrive behind a proxy.
func (c *cluster) answers() {
	good := (&traffic.Life{Run: 0xc0, N: 1}).Next(traffic.SayCreated).Body
	for _, a := range []struct {
		what, method, path string
		body               []byte
		header             []string
		code               int
		status             string
	}{
		{"accepted", "POST", "/webhooks/ondato/acme", good, nil, 200, kycbridge.ReceiptAccepted},
		{"again", "POST", "/webhooks/ondato/acme", good, nil, 200, kycbridge.ReceiptDuplicate},
		{"not JSON", "POST", "/webhooks/ondato/acme", []byte(`{"id": oops`), nil, 200, kycbridge.ReceiptQuarantined},
		{"not JSON, strict", "POST", "/webhooks/ondato/strict", []byte(`{"id": oops`), nil, 400, ""},
		{"unknown account", "POST", "/webhooks/ondato/nobody", good, nil, 404, ""},
		{"wrong credential", "POST", "/webhooks/ondato/acme", good, []string{"Authorization", "Basic d3Jvbmc6d3Jvbmc="}, 401,
			""},
		{"method", "GET", "/webhooks/ondato/acme", nil, nil, 405, ""},
		{"too large", "POST", "/webhooks/ondato/acme", bytes.Repeat([]byte(" "), 1<<20+1), nil, 413, ""},
		{"media type", "POST", "/webhooks/ondato/acme", good, []string{"Content-Type", "text/plain"}, 415, ""},
	} {
		got := c.call(a.method, a.path, a.body, a.header...)
		if got.Code != a.code || got.Status != a.status {
			c.t.Errorf("%s: %d %s, expected %d %s", a.what, got.Code, got.Text, a.code, a.status)
		}
		if a.code != 200 && got.Header.Get("Content-Type") != "application/problem+json" {
			c.t.Errorf("%s: content type %s", a.what, got.Header.Get("Content-Type"))
		}
	}
}

// callbacks are the fixtures with via callback that use the settings of the test accounts. Each has an account
// of its own, so that no two concern the same verification.
func callbacks(t *testing.T) (cases []fixture.Case, accounts string) {
	t.Helper()
	all, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Via != event.ViaCallback || f.Profile != "" && f.Profile != event.ProfileFull || f.Trust != "" ||
			!plain(f.Settings) || len(f.Own) > 0 {
			continue
		}
		accounts += fmt.Sprintf("  - {name: %s, provider: %s, environment: test, confirm: false, auth: {basic: "+
			"[{username: ondato, password: %s}]}}\n", ownAccount(f), f.Provider, callbackPassword)
		cases = append(cases, f)
	}
	return cases, accounts
}

func ownAccount(f fixture.Case) string { return "case-" + f.Name }

// fixtures posts every callback and compares the published events with those that were checked by hand.
func (c *cluster) fixtures() {
	cases, _ := callbacks(c.t)
	ids := map[string]string{} // of the verification, by case
	for _, f := range cases {
		r := c.call("POST", "/webhooks/"+f.Provider+"/"+ownAccount(f), f.Body)
		if r.Code != http.StatusOK {
			c.t.Errorf("%s: %d %s", f.Dir(), r.Code, r.Text)
		}
		ids[f.Dir()] = r.VerificationID
	}
	c.settled(30 * time.Second)
	all, compared := traffic.Histories(c.t, c.urls(), c.as("reader", readerPassword)...), 0
	for _, f := range cases {
		var want event.Event
		if err := json.Unmarshal(f.Golden, &want); err != nil {
			c.t.Fatal(err)
		}
		history := all[ids[f.Dir()]]
		if want.Data.VerificationID == "" { // quarantined, ignored or only a trigger
			if len(history) > 0 {
				c.t.Errorf("%s: an event:%s", f.Dir(), traffic.Describe(history))
			}
			continue
		}
		if len(history) != 1 {
			c.t.Errorf("%s: %d events", f.Dir(), len(history))
			continue
		}
		compared++
		got := history[0]
		if got.Data.Status != want.Data.Status || got.Data.Decision.Outcome != want.Data.Decision.Outcome ||
			got.Data.Decision.Final != want.Data.Decision.Final ||
			fmt.Sprint(codes(got.Event)) != fmt.Sprint(codes(want)) || len(got.Data.Checks) != len(want.Data.Checks) {
			c.t.Errorf("%s: %s %s final %t %v, expected %s %s final %t %v", f.Dir(), got.Data.Status, got.Data.Decision.Outcome,
				got.Data.Decision.Final, codes(got.Event),
				want.Data.Status, want.Data.Decision.Outcome, want.Data.Decision.Final, codes(want))
		}
	}
	if compared < 30 {
		c.t.Errorf("only %d events were compared", compared)
	}
	c.t.Logf("%d callbacks, %d events compared", len(cases), compared)
}

// plain reports whether a case was mapped with the settings of the test accounts.
func plain(s kycbridge.Settings) bool {
	return fmt.Sprintf("%+v", s) == fmt.Sprintf("%+v", kycbridge.Settings{})
}

func codes(e event.Event) (out []string) {
	for _, r := range e.Data.Reasons {
		out = append(out, string(r.Code))
	}
	slices.Sort(out)
	return out
}

// life sends one verification from its first callback to its end, every webhook twice. Each is sent after the
// previous one is processed: two replicas process concurrent payloads in any order, and a payload that is then older
// than the last event makes no event.
func (c *cluster) life(n int) {
	one := &traffic.Life{Run: 0x11fe, N: n}
	for _, say := range traffic.WholeLife {
		w := one.Next(say)
		for _, want := range []string{kycbridge.ReceiptAccepted, kycbridge.ReceiptDuplicate} {
			if r, err := c.post(c.t.Context(), w.Body); err != nil || r.Code != http.StatusOK || r.Status != want ||
				r.VerificationID != one.VerificationID() {
				c.t.Errorf("%s: %d %s %v, expected %s", say, r.Code, r.Text, err, want)
			}
		}
		if len(c.nats) > 0 {
			c.settled(30 * time.Second)
		}
	}
	if len(c.nats) == 0 {
		return
	}
	all := traffic.Histories(c.t, c.urls(), c.as("reader", readerPassword)...)
	history := all[one.VerificationID()]
	if len(history) != len(traffic.WholeLife) {
		c.t.Fatalf("%d events of %d payloads:%s", len(history), len(traffic.WholeLife), traffic.Describe(history))
	}
	if last := history[len(history)-1].Data; last.Decision.Outcome != event.OutcomeApproved || !last.Decision.Final {
		c.t.Errorf("ends as %+v", last.Decision)
	}
}

// as returns the options of a NATS client from outside the containers.
func (c *cluster) as(user, password string) []nats.Option {
	return []nats.Option{nats.UserInfo(user, password), nats.IgnoreDiscoveredServers(), nats.Timeout(2 * time.Second)}
}

// permissions: the user ondato reads the events of Ondato and is refused everything else, including the payload
// stream. test/deploy_nats_test.go tries every subject; this test checks that the containers apply the same
// permissions.
func (c *cluster) permissions() {
	operator, err := jetstream.New(c.connect("kycbridge", bridgePassword))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := operator.CreateOrUpdateConsumer(ctx, "KYC_EVENTS",
		jetstream.ConsumerConfig{Durable: "ondato", FilterSubject: "kyc.event.v1.ondato.>",
			AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		c.t.Fatal(err)
	}
	nc := c.connect("ondato", ondatoPassword)
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	consumer, err := js.Consumer(ctx, "KYC_EVENTS", "ondato")
	if err != nil {
		c.t.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil || !strings.HasPrefix(m.Subject(), "kyc.event.v1.ondato.") {
		c.t.Fatalf("the events of Ondato: %v", err)
	}
	refused := make(chan error, 16)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	for what, try := range map[string]func() error{
		"events of IDWise":    func() error { _, err := nc.SubscribeSync("kyc.event.v1.idwise.>"); return err },
		"payloads":            func() error { _, err := nc.SubscribeSync("kyc.payload.>"); return err },
		"the payload stream":  func() error { return nc.Publish("$JS.API.STREAM.MSG.GET.KYC_PAYLOADS", []byte(`{"seq":1}`)) },
		"a consumer of it":    func() error { return nc.Publish("$JS.API.CONSUMER.CREATE.KYC_PAYLOADS.x", []byte(`{}`)) },
		"an event of its own": func() error { return nc.Publish("kyc.event.v1.ondato.acme.completed.x", []byte(`{}`)) },
	} {
		if err := try(); err != nil || nc.FlushTimeout(5*time.Second) != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
		select {
		case err := <-refused:
			if !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
				c.t.Errorf("%s: %v", what, err)
			}
		case <-time.After(5 * time.Second):
			c.t.Errorf("%s: not refused", what)
		}
	}
}

// noPersonalData checks that no container has logged a secret or a personal value.
func (c *cluster) noPersonalData() {
	for _, n := range append(append([]*node{c.proxy}, c.replicas...), c.nats...) {
		text := n.log(c.t, 1<<20)
		for _, secret := range []string{callbackPassword, bridgePassword, readerPassword, ondatoPassword, operatorToken,
			"routeRoute1", "Testa", "X0000002", "1988-07-30", "Example Street"} {
			if strings.Contains(text, secret) {
				c.t.Errorf("%q is in the log of %s", secret, n.name)
			}
		}
	}
}

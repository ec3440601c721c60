package test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge/internal/app"
	"kycbridge/test/fixture"
	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// natsUsers are the users of deploy/nats/accounts.conf; the password of each is its name twice.
var natsUsers = []string{"kycbridge", "reader", "ondato", "onboarding", "system"}

func natsPassword(user string) string { return user + user }

// natsNodes starts n servers in this process with the files of deploy/nats. Their
// addresses, storage limit, signal handling and log differ from those of an operator.
func natsNodes(t *testing.T, n int) (urls []string) {
	t.Helper()
	for _, user := range natsUsers {
		t.Setenv("NATS_"+strings.ToUpper(user)+"_PASSWORD", natsPassword(user))
	}
	const routePassword = "routeroute"
	ports, routes := make([]int, n), make([]string, n)
	for i := range n {
		ports[i] = freeport.New(t)
		routes[i] = fmt.Sprintf("%q", "nats://route:"+routePassword+"@"+freeport.Local(ports[i]))
	}
	t.Setenv("NATS_ROUTE_PASSWORD", routePassword)
	t.Setenv("NATS_ROUTES", "["+strings.Join(routes, ", ")+"]")
	for i, port := range ports {
		t.Setenv("NATS_NAME", fmt.Sprint("nats-", i+1))
		t.Setenv("NATS_STORE_DIR", t.TempDir())
		o, err := server.ProcessConfigFile(filepath.Join(docsRoot, "deploy", "nats", "nats.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if !o.SyncAlways || !o.JetStream || o.SystemAccount != "SYS" || o.Cluster.Password != routePassword {
			t.Errorf("sync always %t, JetStream %t, system account %q, routes without a password %t", o.SyncAlways, o.JetStream,
				o.SystemAccount, o.Cluster.Password == "")
		}
		o.Host, o.Port, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT, 0
		o.Cluster.Host, o.Cluster.Port = "127.0.0.1", port
		o.JetStreamMaxStore = 1 << 30 // three servers share the disk of this machine
		o.NoSigs, o.NoLog = true, true
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatalf("%s did not start", o.ServerName)
		}
		urls = append(urls, s.ClientURL())
	}
	return urls
}

// natsClient is a client of the deployed servers; reasons receives what they refuse.
type natsClient struct {
	*nats.Conn
	js      jetstream.JetStream
	reasons chan string
}

func natsAs(t *testing.T, url, user string) *natsClient {
	t.Helper()
	c := &natsClient{reasons: make(chan string, 16)}
	nc, err := nats.Connect(url, nats.UserInfo(user, natsPassword(user)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.reasons <- err.Error() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c.Conn = nc
	if c.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return c
}

// refused makes a call that the server must refuse and checks the reason in its answer.
func (c *natsClient) refused(t *testing.T, what string, call func() error, reason string) {
	t.Helper()
	for len(c.reasons) > 0 {
		<-c.reasons
	}
	err := call()
	if err == nil {
		err = c.FlushTimeout(5 * time.Second)
	}
	got := fmt.Sprint(err)
	select {
	case got = <-c.reasons:
	case <-time.After(2 * time.Second):
	}
	if !strings.Contains(got, reason) {
		t.Errorf("%s: %s, expected %s", what, got, reason)
		return
	}
	t.Logf("%s: %s", what, got)
}

// answeredNo sends a request that must be refused: kycbridge answers with this error, or the server blocks it.
func (c *natsClient) answeredNo(t *testing.T, what, subject, body, reason string) {
	t.Helper()
	m, err := c.Request(subject, []byte(body), 2*time.Second)
	switch {
	case err == nil && strings.Contains(string(m.Data), `"error"`) && strings.Contains(string(m.Data), reason):
		t.Logf("%s: %s", what, m.Data)
	case err == nil && m.Header.Get("Status") != "" && strings.Contains(m.Header.Get("Description"), reason):
		t.Logf("%s: status %s, %s", what, m.Header.Get("Status"), m.Header.Get("Description"))
	case err != nil && strings.Contains(err.Error(), reason):
		t.Logf("%s: %v", what, err)
	default:
		t.Errorf("%s: %s %v, expected an error with %q", what, dataOf(m), err, reason)
	}
}

// deployedApp is kycbridge on the deployed servers, with an account at two providers.
func deployedApp(t *testing.T, urls []string, replicas int) *app.App {
	t.Helper()
	dir := t.TempDir()
	side := fmt.Sprintf("{url: %q, username: kycbridge, password: %s, replicas: %d}", strings.Join(urls, ","),
		natsPassword("kycbridge"), replicas)
	path := filepath.Join(dir, "kycbridge.yaml")
	bus := strings.TrimSuffix(side, "}") + ", readers: [reader, ondato, onboarding]}" // as in deploy/compose
	writeFile(t, path, fmt.Sprintf(`
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
data_dir: %s
store: %s
bus: %s
accounts:
  - {name: acme, provider: ondato, environment: test, auth: {bearer: [synthetic-bearer-token]}}
  - {name: acme, provider: idwise, environment: test, confirm: false, auth: {bearer: [synthetic-bearer-token]}}
`, filepath.Join(dir, "data"), side, bus))
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	operator := natsAs(t, urls[0], "kycbridge")
	wait.For(t, time.Minute, "a leader of the cluster", func() bool { // without a leader there is no answer
		_, err := operator.Request("$JS.API.INFO", nil, 500*time.Millisecond)
		return err == nil
	})
	a, err := app.Start(t.Context(), config, app.AllRoles(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	return a
}

// postFixture sends the body of a fixture to the account of its provider.
func postFixture(t *testing.T, a *app.App, dir string) {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.Dir() != dir {
			continue
		}
		provider, _, _ := strings.Cut(dir, "/")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+a.CallbackAddr()+"/webhooks/"+provider+"/acme", strings.NewReader(string(c.Body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer synthetic-bearer-token")
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: answered %s", dir, res.Status)
		}
		return
	}
	t.Fatalf("no fixture %s", dir)
}

// TestDeployNATSAccess runs kycbridge on one node with the deployed configuration and tries what each other user may
// do and what it may not.
func TestDeployNATSAccess(t *testing.T) {
	urls := natsNodes(t, 3)
	a := deployedApp(t, urls, 1)
	operator := natsAs(t, urls[0], "kycbridge")
	// docs/operate.md has the operator do this for a consumer of one provider.
	if _, err := operator.js.CreateConsumer(t.Context(), "KYC_EVENTS", jetstream.ConsumerConfig{
		Durable: "ondato", FilterSubject: "kyc.event.v1.ondato.>", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}

	live := natsAs(t, urls[1], "ondato")
	events, foreignReplies := make(chan *nats.Msg, 16), make(chan *nats.Msg, 16)
	for subject, c := range map[string]chan *nats.Msg{"kyc.event.v1.ondato.>": events, "_INBOX.>": foreignReplies} {
		if _, err := live.ChanSubscribe(subject, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := live.Flush(); err != nil {
		t.Fatal(err)
	}
	postFixture(t, a, "idwise/manually-reviewed-rejected")
	postFixture(t, a, "ondato/kyc-identification-approved")

	t.Run("the reader has every event, and ondato does not overhear it", func(t *testing.T) {
		readerReads(t, natsAs(t, urls[1], "reader"))
		if err := live.Flush(); err != nil {
			t.Fatal(err)
		}
		if len(foreignReplies) > 0 {
			t.Errorf("ondato receives the replies of the reader: %s", (<-foreignReplies).Subject)
		}
	})
	t.Run("ondato has the events of ondato", func(t *testing.T) {
		ondatoReads(t, natsAs(t, urls[2], "ondato"))
		select {
		case m := <-events:
			if !strings.HasPrefix(m.Subject, "kyc.event.v1.ondato.acme.completed.") {
				t.Errorf("live: %s", m.Subject)
			}
		case <-time.After(10 * time.Second):
			t.Error("no live event")
		}
		if len(events) > 0 {
			t.Errorf("another live event: %s", (<-events).Subject)
		}
	})
	t.Run("ondato is refused everything else", func(t *testing.T) { ondatoRefused(t, natsAs(t, urls[0], "ondato")) })
	t.Run("onboarding asks for watches", func(t *testing.T) { onboardingAsks(t, natsAs(t, urls[0], "onboarding")) })
	t.Run("the reader changes nothing", func(t *testing.T) {
		reader := natsAs(t, urls[0], "reader")
		for what, subject := range map[string]string{
			"publish an event": "kyc.event.v1.ondato.acme.completed.x", "store an event": "kyc.put.v1.ondato.acme.completed.x",
			"ask for a watch":       "kyc.watch.ondato.acme",
			"answer another reader": "kyc.answer.ondato._INBOX.x", "ask as another reader": "kyc.reader.ondato.all.API.INFO",
			"delete the stream": "$JS.API.STREAM.DELETE.KYC_EVENTS", "read payloads": "$JS.API.STREAM.MSG.GET.KYC_PAYLOADS",
			"read the access log": "$JS.API.DIRECT.GET.KYC_ACCESS", "read holds": "$JS.API.DIRECT.GET.KYC_HOLDS",
			"consume payloads": "$JS.API.CONSUMER.CREATE.KYC_PAYLOADS.x", "purge": "$JS.API.STREAM.PURGE.KYC_EVENTS",
		} {
			reader.refused(t, what, func() error { return reader.Publish(subject, nil) }, "Permissions Violation for Publish to")
		}
		reader.refused(t, "listen to the access log",
			func() error { _, err := reader.SubscribeSync("kyc.access.>"); return err },
			"Permissions Violation for Subscription to")
		reader.refused(t, "listen to payloads", func() error { _, err := reader.SubscribeSync("kyc.payload.>"); return err },
			"Permissions Violation for Subscription to")
	})
	t.Run("no access without a password", func(t *testing.T) {
		for what, option := range map[string]nats.Option{"no user": nats.Name("nobody"),
			"a wrong password": nats.UserInfo("ondato", "wrong")} {
			nc, err := nats.Connect(urls[0], option)
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%s: %v", what, err)
			}
			if nc != nil {
				nc.Close()
			}
		}
	})
}

func readerReads(t *testing.T, reader *natsClient) {
	consumer, err := reader.js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	wait.For(t, 20*time.Second, "the reader has events of both providers", func() bool {
		m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if errors.Is(err, nats.ErrNoResponders) {
			return false // the other nodes do not have the new consumer yet
		}
		if err != nil {
			t.Fatalf("seen %v: %v", seen, err)
		}
		seen[strings.Split(m.Subject(), ".")[3]] = true
		return len(seen) == 2
	})
	if !seen["ondato"] || !seen["idwise"] {
		t.Errorf("events of %v", seen)
	}
}

func ondatoReads(t *testing.T, ondato *natsClient) {
	consumer, err := ondato.js.Consumer(t.Context(), "KYC_EVENTS", "ondato")
	if err != nil {
		t.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.Subject(), "kyc.event.v1.ondato.acme.") {
		t.Errorf("from the consumer: %s", m.Subject())
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Errorf("acknowledge: %v", err)
	}
	if more, err := consumer.Next(jetstream.FetchMaxWait(500 * time.Millisecond)); err == nil {
		t.Errorf("the consumer has another event: %s", more.Subject())
	}
	// The state of one verification, or the newest event of the provider.
	for _, subject := range []string{m.Subject(), "kyc.event.v1.ondato.>"} {
		r, err := ondato.Request("$JS.API.DIRECT.GET.KYC_EVENTS."+subject, nil, 5*time.Second)
		if err != nil || r.Header.Get("Nats-Subject") != m.Subject() {
			t.Errorf("direct get of %s: %v %v", subject, r, err)
		}
	}
}

func ondatoRefused(t *testing.T, ondato *natsClient) {
	const noPublish, noSubscription = "Permissions Violation for Publish to", "Permissions Violation for Subscription to"
	for _, subject := range []string{"kyc.payload.>", "kyc.event.v1.idwise.>", "kyc.event.v1.>", "kyc.event.v1.*.acme.>",
		"kyc.>", ">", "$JS.EVENT.>", "$SYS.>"} {
		ondato.refused(t, "subscribe to "+subject, func() error { _, err := ondato.SubscribeSync(subject); return err },
			noSubscription)
	}
	for _, c := range []struct{ what, subject, body string }{
		{"publish an event", "kyc.event.v1.ondato.acme.completed.x", "{}"},
		{"publish a payload", "kyc.payload.ondato.acme.x", "{}"},
		{"ask for a watch", "kyc.watch.ondato.acme", "{}"},
		{"read any payload", "$JS.API.STREAM.MSG.GET.KYC_PAYLOADS", `{"seq":1}`},
		{"purge the stream", "$JS.API.STREAM.PURGE.KYC_EVENTS", ""},
		{"acknowledge for kycbridge", "$JS.ACK.KYC_PAYLOADS.normalizer.1.1.1.1.1", "+ACK"},
		{"store an event", "kyc.put.v1.ondato.acme.completed.x", "{}"},
		{"answer itself", "kyc.answer.ondato._INBOX.x", "{}"},
		{"ask as the reader of all", "kyc.reader.reader.all.API.INFO", ""},
	} {
		ondato.refused(t, c.what, func() error { return ondato.Publish(c.subject, []byte(c.body)) }, noPublish)
	}
	for _, c := range []struct{ what, subject, body, reason string }{
		{"read any event", "$JS.API.STREAM.MSG.GET.KYC_EVENTS", `{"seq":1}`, "its own events only"},
		{"read any event directly", "$JS.API.DIRECT.GET.KYC_EVENTS", `{"seq":1}`, "its own events only"},
		{"read another provider's events", "$JS.API.DIRECT.GET.KYC_EVENTS", `{"multi_last":["kyc.event.v1.*.acme.>"]}`,
			"its own events only"},
		{"read another provider's event directly", "$JS.API.DIRECT.GET.KYC_EVENTS.kyc.event.v1.idwise.>", "", "may not read"},
		{"make a consumer of another provider", "$JS.API.CONSUMER.CREATE.KYC_EVENTS.mine.kyc.event.v1.idwise.>",
			`{"stream_name":"KYC_EVENTS","config":{"name":"mine","filter_subject":"kyc.event.v1.idwise.>"}}`,
			"may read kyc.event.v1.ondato.> only"},
		{"make a push consumer", "$JS.API.CONSUMER.CREATE.KYC_EVENTS.mine",
			`{"stream_name":"KYC_EVENTS","config":{"name":"mine","deliver_subject":"$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer"}}`, "push consumers are not for readers"},
		{"use another consumer", "$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.other", "", "no responders"},
		{"look at another consumer", "$JS.API.CONSUMER.INFO.KYC_EVENTS.reader~other", "", "consumer not found"},
		{"delete another consumer", "$JS.API.CONSUMER.DELETE.KYC_EVENTS.other", "", "consumer not found"},
	} {
		ondato.answeredNo(t, c.what, c.subject, c.body, c.reason)
	}
	made, err := ondato.js.CreateConsumer(t.Context(), "KYC_EVENTS", jetstream.ConsumerConfig{Name: "mine"})
	if err != nil || made.CachedInfo().Config.FilterSubject != "kyc.event.v1.ondato.>" {
		t.Errorf("a consumer without a filter: %v %v", made, err)
	}
}

func onboardingAsks(t *testing.T, onboarding *natsClient) {
	ack, err := onboarding.Request("kyc.watch.ondato.acme",
		[]byte(`{"reference":"b0000000-0000-4000-8000-000000000001"}`), 5*time.Second)
	if err != nil || !strings.Contains(string(ack.Data), `"stream":"KYC_POLLS"`) {
		t.Errorf("a request to watch is not kept: %s, %v", cmp.Or(string(dataOf(ack)), "no answer"), err)
	}
	for _, subject := range []string{"kyc.event.v1.ondato.acme.completed.x", "kyc.payload.ondato.acme.x",
		"kyc.poll.due.ondato.acme.x", "$JS.API.STREAM.NAMES"} {
		onboarding.refused(t, "publish on "+subject, func() error { return onboarding.Publish(subject, nil) },
			"Permissions Violation for Publish to")
	}
	onboarding.refused(t, "listen to events",
		func() error { _, err := onboarding.SubscribeSync("kyc.event.v1.>"); return err },
		"Permissions Violation for Subscription to")
}

func dataOf(m *nats.Msg) []byte {
	if m == nil {
		return nil
	}
	return m.Data
}

// TestDeployNATSReplicas has the user kycbridge create its streams on the cluster, with three replicas, and checks
// that they are on all nodes.
func TestDeployNATSReplicas(t *testing.T) {
	urls := natsNodes(t, 3)
	a := deployedApp(t, urls, 3)
	postFixture(t, a, "ondato/kyc-identification-approved")
	operator := natsAs(t, urls[0], "kycbridge")
	wait.For(t, 30*time.Second, "an event with three replicas", func() bool {
		s, err := operator.js.Stream(t.Context(), "KYC_EVENTS")
		return err == nil && s.CachedInfo().State.Msgs == 1
	})
	streams := 0
	for info := range operator.js.ListStreams(t.Context()).Info() {
		streams++
		if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
			t.Errorf("%s has %d replicas: %+v", info.Config.Name, info.Config.Replicas, info.Cluster)
		}
	}
	if streams == 0 {
		t.Error("there is no stream")
	}
	t.Logf("%d streams with three replicas each", streams)
}

// TestDeployNATSHostileReader has a reader of the deployed servers try to disturb kycbridge and another reader, while
// events continue to be published and read.
func TestDeployNATSHostileReader(t *testing.T) {
	urls := natsNodes(t, 3)
	a := deployedApp(t, urls, 1)
	ondato := natsAs(t, urls[1], "ondato")
	consumer, err := ondato.js.CreateConsumer(t.Context(), "KYC_EVENTS",
		jetstream.ConsumerConfig{Durable: "honest", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	push := func(target string) string {
		return fmt.Sprintf(`{"stream_name":"KYC_EVENTS","config":{"name":"trick","durable_name":"trick","deliver_subject":%q,"deliver_policy":"all","ack_policy":"explicit","ack_wait":100000000}}`, target)
	}
	tricks := map[string]func(reader *natsClient) error{
		"push into pulls": func(r *natsClient) error {
			return r.PublishRequest("$JS.API.CONSUMER.DURABLE.CREATE.KYC_EVENTS.trick", "_INBOX.x",
				[]byte(push("$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer")))
		},
		"push into ours": func(r *natsClient) error {
			return r.PublishRequest("$JS.API.CONSUMER.CREATE.KYC_EVENTS.trick", "_INBOX.x", []byte(push("kyc.disposition")))
		},
		"another's place": func(r *natsClient) error { return r.Publish("$JS.API.CONSUMER.DELETE.KYC_EVENTS.honest", nil) },
		"another's pulls": func(r *natsClient) error {
			return r.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.honest", "_INBOX.x", []byte("1000"))
		},
		"requests": func(r *natsClient) error { return r.PublishRequest("$JS.API.STREAM.INFO.KYC_EVENTS", "_INBOX.x", nil) },
		"acknowledgements": func(r *natsClient) error {
			return r.Publish("$JS.ACK.KYC_EVENTS.ondato~honest.1.1.1.1.0", []byte("+ACK"))
		},
	}
	stop := make(chan struct{})
	var trying sync.WaitGroup
	defer trying.Wait()
	defer close(stop)
	for _, trick := range tricks {
		reader := natsAs(t, urls[0], "reader")
		reader.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
		trying.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if trick(reader) != nil || reader.FlushTimeout(5*time.Second) != nil {
					return
				}
			}
		})
	}
	for n := range 5 {
		began := time.Now()
		postOndato(t, a, n)
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatalf("event %d: %v", n, err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second*wait.Slowdown {
			t.Errorf("event %d took %s", n, took)
		}
	}
	operator := natsAs(t, urls[0], "kycbridge")
	stream, err := operator.js.Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	for info := range stream.ListConsumers(t.Context()).Info() {
		// kycbridge itself reads through the stream now and then.
		own := info.Config.Durable == "" && info.Config.DeliverSubject == "" && !strings.Contains(info.Name, "~")
		if info.Name != "ondato~honest" && !own {
			t.Errorf("a consumer %s that delivers to %q", info.Name, info.Config.DeliverSubject)
		}
	}
	dispositions, err := operator.js.Stream(t.Context(), "KYC_DISPOSITIONS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= dispositions.CachedInfo().State.LastSeq; seq++ {
		if m, err := dispositions.GetMsg(t.Context(), seq); err == nil && !strings.HasPrefix(string(m.Data), "[[") {
			t.Errorf("a message that is not ours: %.100s", m.Data)
		}
	}
}

// postOndato posts an approval of verification n.
func postOndato(t *testing.T, a *app.App, n int) {
	t.Helper()
	body := (&traffic.Life{Run: 0xbad, N: n}).Next(traffic.SayApproved).Body
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+a.CallbackAddr()+"/webhooks/ondato/acme", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer synthetic-bearer-token")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("answered %s", res.Status)
	}
}

package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"

	"kycbridge"
)

// The users of these tests: two read everything, one reads one provider live, and one requests watches.
var testUsers = []User{
	{Username: "crm", Password: "crm-password-1"}, {Username: "bi", Password: "bi-password-12"},
	{Username: "few", Password: "few-password-1", Subscribe: []string{"kyc.event.v1.idwise.>"}},
	{Username: "starter", Password: "starter-pass-1", Publish: []string{"kyc.watch.*.*"}, Subscribe: []string{"_INBOX.>"}},
}

// readersFixture is a running embedded server with its streams and clients.
type readersFixture struct {
	*testing.T
	server *Embedded
	store  *Store
	bus    *Bus
}

// newReadersFixture starts a server with these users and unique names.
func newReadersFixture(t *testing.T, dir string, users ...User) *readersFixture {
	t.Helper()
	server, err := StartEmbedded(EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0", Names: testNames, MaxBody: testMaxBody,
		Users: users})
	must(t, err)
	t.Cleanup(server.Close)
	store, err := OpenStore(t.Context(), connect(t, server, "store"), testNames, testMaxBody, 1,
		kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(store.Close)
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	must(t, err)
	t.Cleanup(bus.Close)
	return &readersFixture{t, server, store, bus}
}

// client connects a user; "" is a client without one.
func (h *readersFixture) client(user string) (*nats.Conn, jetstream.JetStream) {
	h.Helper()
	options := []nats.Option{nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.Timeout(5 * time.Second)}
	for _, u := range testUsers {
		if u.Username == user {
			options = append(options, nats.UserInfo(u.Username, u.Password))
		}
	}
	nc, err := nats.Connect(h.server.ClientURL(), options...)
	must(h.T, err)
	h.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	must(h.T, err)
	return nc, js
}

// publish publishes n events, one per verification.
func (h *readersFixture) publish(n int) {
	h.Helper()
	for range n {
		i := h.events()
		p := payload(fmt.Sprint("idv-", i), fmt.Sprint("event-", i), "{}")
		e, body := eventOf(p, 1)
		e.ID = event.ID(p.VerificationID, 1)
		h.publishFirst(key(p), sealed(event.KindUpdated, e, body))
	}
}

// publishFirst publishes the first event of a verification. A server that is loaded may answer so late that the bus has
// sent the event once more: that is a duplicate then, which the bus reports as a conflict and the caller resolves by
// reading, as the Normalizer does.
func (h *readersFixture) publishFirst(k kycbridge.Key, e kycbridge.Outgoing) {
	h.Helper()
	err := h.bus.Publish(h.Context(), k, e, 0)
	if errors.Is(err, kycbridge.ErrConflict) {
		stored, lastErr := h.bus.Last(h.Context(), k, true)
		must(h.T, lastErr)
		if stored.Data != nil && stored.Data.Revision == 1 {
			return
		}
	}
	must(h.T, err)
}

func (h *readersFixture) events() int {
	h.Helper()
	n, err := h.bus.Events(h.Context())
	must(h.T, err)
	return n
}

// next reads n events from a consumer and acknowledges each; it returns their sequences.
func (h *readersFixture) next(c jetstream.Consumer, n int) (seqs []uint64) {
	h.Helper()
	for range n {
		m, err := c.Next(jetstream.FetchMaxWait(30 * time.Second)) // far more than it takes
		must(h.T, err)
		meta, err := m.Metadata()
		must(h.T, err)
		seqs = append(seqs, meta.Sequence.Stream)
		must(h.T, m.DoubleAck(h.Context()))
	}
	return seqs
}

// ask sends a request and reads its error; "" on success.
func (h *readersFixture) ask(nc *nats.Conn, subject string, body any) string {
	h.Helper()
	raw, isText := body.(string)
	if !isText {
		encoded, err := json.Marshal(body)
		must(h.T, err)
		raw = string(encoded)
	}
	inbox, before := nc.NewInbox(), nc.LastError()
	answers, err := nc.SubscribeSync(inbox)
	must(h.T, err)
	defer func() { _ = answers.Unsubscribe() }()
	must(h.T, nc.PublishRequest(subject, inbox, []byte(raw)))
	must(h.T, nc.Flush()) // a refusal of the server arrives before its answer to this
	if refused := nc.LastError(); refused != nil && !errors.Is(refused, before) {
		return refused.Error()
	}
	m, err := answers.NextMsg(time.Second)
	if err != nil {
		return err.Error()
	}
	var answer struct {
		Error *apiError `json:"error"`
	}
	if status := m.Header.Get("Status"); status != "" {
		return status + " " + m.Header.Get("Description")
	}
	if err := json.Unmarshal(m.Data, &answer); err == nil && answer.Error != nil {
		return answer.Error.Description
	}
	return ""
}

// TestReadersRead: ordinary clients read live, from the stream and through durable consumers, also across
// a restart.
func TestReadersRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, user := range []string{"", "crm"} {
		t.Run("as "+user, func(t *testing.T) {
			dir := filepath.Join(dir, "of-"+user)
			users := testUsers
			if user == "" {
				users = nil
			}
			t.Run("first", func(t *testing.T) {
				h := newReadersFixture(t, dir, users...)
				nc, js := h.client(user)
				live, err := nc.SubscribeSync("kyc.event.v1.>")
				must(t, err)
				must(t, nc.Flush())
				h.publish(5)
				for range 5 {
					_, err := live.NextMsg(5 * time.Second)
					must(t, err)
				}
				if name, err := js.StreamNameBySubject(t.Context(), "kyc.event.v1.ondato.>"); err != nil || name != "KYC_EVENTS" {
					t.Errorf("the stream of the events is %q, %v", name, err)
				}
				stream, err := js.Stream(t.Context(), "KYC_EVENTS")
				must(t, err)
				if info := stream.CachedInfo(); info.State.Msgs != 5 ||
					!slices.Equal(info.Config.Subjects, []string{"kyc.event.v1.>"}) {
					t.Errorf("the stream has %d messages on %v", info.State.Msgs, info.Config.Subjects)
				}
				durable, err := stream.CreateOrUpdateConsumer(t.Context(),
					jetstream.ConsumerConfig{Durable: "onboarding", FilterSubject: "kyc.event.v1.>",
						AckPolicy: jetstream.AckExplicitPolicy})
				must(t, err)
				if info := durable.CachedInfo(); info.Name != "onboarding" || info.Config.Durable != "onboarding" {
					t.Errorf("the consumer is called %q, %q", info.Name, info.Config.Durable)
				}
				if diff := cmp.Diff([]uint64{1, 2, 3}, h.next(durable, 3)); diff != "" {
					t.Error(diff)
				}
				ordered, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
				must(t, err)
				for i := range 5 {
					m, err := ordered.Next(jetstream.FetchMaxWait(5 * time.Second))
					must(t, err)
					if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream != uint64(i+1) {
						t.Errorf("event %d of the ordered consumer: %+v %v", i+1, meta, err)
					}
				}
				for _, get := range []func() (*jetstream.RawStreamMsg, error){
					func() (*jetstream.RawStreamMsg, error) { return stream.GetMsg(t.Context(), 5) },
					func() (*jetstream.RawStreamMsg, error) {
						return stream.GetLastMsgForSubject(t.Context(), "kyc.event.v1.ondato.acme.*.*")
					},
				} {
					if m, err := get(); err != nil || m.Sequence != 5 {
						t.Errorf("the last event: %+v %v", m, err)
					}
				}
				if _, err := stream.GetMsg(t.Context(), 99); !errors.Is(err, jetstream.ErrMsgNotFound) {
					t.Errorf("an event that is not there: %v", err)
				}
				var names []string
				for name := range stream.ConsumerNames(t.Context()).Name() {
					names = append(names, name)
				}
				if !slices.Contains(names, "onboarding") {
					t.Errorf("consumers: %v", names)
				}
			})
			t.Run("after a restart", func(t *testing.T) {
				h := newReadersFixture(t, dir, users...)
				_, js := h.client(user)
				durable, err := js.Consumer(t.Context(), "KYC_EVENTS", "onboarding")
				must(t, err)
				if diff := cmp.Diff([]uint64{4, 5}, h.next(durable, 2)); diff != "" {
					t.Error(diff)
				}
				h.publish(1)
				reading := make(chan uint64, 1)
				cc, err := durable.Consume(func(m jetstream.Msg) {
					meta, _ := m.Metadata()
					_ = m.Ack()
					reading <- meta.Sequence.Stream
				})
				must(t, err)
				defer cc.Stop()
				select {
				case seq := <-reading:
					if seq != 6 {
						t.Errorf("event %d", seq)
					}
				case <-time.After(5 * time.Second):
					t.Error("a consumer that consumes gets nothing")
				}
				must(t, js.DeleteConsumer(t.Context(), "KYC_EVENTS", "onboarding"))
				if _, err := js.Consumer(t.Context(), "KYC_EVENTS", "onboarding"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
					t.Errorf("a deleted consumer: %v", err)
				}
				_, err = durable.Next(jetstream.FetchMaxWait(2 * time.Second))
				if !errors.Is(err, nats.ErrNoResponders) {
					t.Errorf("a pull from a deleted consumer: %v", err)
				}
			})
		})
	}
}

// TestReadersAreConfined: the requests of hostile readers, and their answers.
func TestReadersAreConfined(t *testing.T) {
	t.Parallel()
	const denied = "Permissions Violation for Publish" // by the server, before kycbridge receives it
	config := func(name string, more map[string]any) map[string]any {
		c := map[string]any{"name": name, "durable_name": name, "deliver_policy": "all", "ack_policy": "explicit"}
		for k, v := range more {
			c[k] = v
		}
		return map[string]any{"stream_name": "KYC_EVENTS", "config": c}
	}
	const create = "$JS.API.CONSUMER.CREATE.KYC_EVENTS.trick"
	tricks := []struct {
		name, subject string
		body          any
		errorText     string
	}{
		{"push into pulls of the normalizer", create,
			config("trick", map[string]any{"deliver_subject": "$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer"}),
			"push consumers"},
		{"push into dispositions", create, config("trick", map[string]any{"deliver_subject": "kyc.disposition"}),
			"push consumers"},
		{"push into payloads", create, config("trick", map[string]any{"deliver_subject": "kyc.payload.ondato.acme.x"}),
			"push consumers"},
		{"push into events", create, config("trick",
			map[string]any{"deliver_subject": "kyc.put.v1.ondato.acme.completed.x"}), "push consumers"},
		{"push into its own inbox", create,
			config("trick", map[string]any{"deliver_subject": "_INBOX.x", "deliver_group": "all"}), "push consumers"},
		{"push by the old subject", "$JS.API.CONSUMER.DURABLE.CREATE.KYC_EVENTS.trick",
			config("trick", map[string]any{"deliver_subject": "kyc.disposition"}), "push consumers"},
		{"push, said twice", create, `{"stream_name":"KYC_EVENTS","config":{"name":"trick","deliver_subject":"kyc.disposition","deliver_subject":""}}`, ""},
		{"push, in another case", create,
			`{"stream_name":"KYC_EVENTS","config":{"name":"trick","Deliver_Subject":"kyc.disposition"}}`,
			"cannot make a consumer like that"},
		{"a direct consumer", create, config("trick", map[string]any{"direct": true}), "cannot make a consumer like that"},
		{"of another stream", "$JS.API.CONSUMER.CREATE.KYC_PAYLOADS.trick", config("trick", nil), denied},
		{"of another stream in the body", create, `{"stream_name":"KYC_PAYLOADS","config":{"name":"trick"}}`,
			"another stream"},
		{"a name of another reader", "$JS.API.CONSUMER.CREATE.KYC_EVENTS.bi~honest", config("bi~honest", nil),
			"cannot be called that"},
		{"a name in the body", create, config("other", nil), "different consumers"},
		{"another filter in the subject", create + ".kyc.event.v1.>", config("trick", nil), "different filters"},
		{"acknowledgements without end", create, config("trick", map[string]any{"max_ack_pending": 1000000}),
			"max_ack_pending"},
		{"unlimited acknowledgements", create, config("trick", map[string]any{"max_ack_pending": -1}), "max_ack_pending"},
		{"deliveries without end", create, config("trick", map[string]any{"ack_wait": 1000}), "ack_wait"},
		{"deliveries without end by backoff", create, config("trick", map[string]any{"backoff": []int{1, 1}}), "ack_wait"},
		{"pulls without end", create, config("trick", map[string]any{"max_waiting": 1000000}), "cost too much"},
		{"text without end", create, config("trick",
			map[string]any{"metadata": map[string]string{"a": strings.Repeat("x", 5000)}}), "too long"},
		{"a filter without end", create, config("trick",
			map[string]any{"filter_subject": "kyc.event.v1." + strings.Repeat("a", 6000)}), "too long"},
		{"filters without end", create, config("trick",
			map[string]any{"filter_subjects": []string{"kyc.event.v1." + strings.Repeat("a", 6000)}}), "too long"},
		{"a filter with a space", create, config("trick",
			map[string]any{"filter_subject": "kyc.event.v1.on dato.>"}), "no subject"},
		{"a filter with an empty part", create, config("trick", map[string]any{"filter_subject": "kyc.event..>"}),
			"no subject"},
		{"a filter that ends with a dot", create, config("trick", map[string]any{"filter_subject": "kyc.event.v1."}),
			"no subject"},
		{"a filter with text after its end", create, config("trick",
			map[string]any{"filter_subjects": []string{"kyc.event.v1.ondato.>", "kyc.event.>.acme"}}), "no subject"},
		{"a subject that fits without our reply subject only",
			"$JS.API.DIRECT.GET.KYC_EVENTS." + strings.Repeat("a", 4010), "", "timeout"},
		{"garbage", create, "{", "invalid JSON"},
		{"the consumer of another", "$JS.API.CONSUMER.INFO.KYC_EVENTS.bi~honest", "", "consumer not found"},
		{"the pulls of another", "$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.bi~honest", "1", "no responders"},
		{"the end of another's", "$JS.API.CONSUMER.DELETE.KYC_EVENTS.bi~honest", "", "consumer not found"},
		{"a name that bi has, too", "$JS.API.CONSUMER.DELETE.KYC_EVENTS.honest", "", "consumer not found"},
		{"the normalizer", "$JS.API.CONSUMER.DELETE.KYC_PAYLOADS.normalizer", "", denied},
		{"the normalizer's pulls", "$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer", "1000", denied},
		{"a pause of the normalizer", "$JS.API.CONSUMER.PAUSE.KYC_PAYLOADS.normalizer",
			`{"pause_until":"2099-01-01T00:00:00Z"}`, denied},
		{"a reset of another's", "$JS.API.CONSUMER.RESET.KYC_EVENTS.bi~honest", "", denied},
		{"an acknowledgement for another", "$JS.ACK.KYC_EVENTS.bi~honest.1.5.5.1.0", "+ACK", "timeout"},
		{"an acknowledgement for the normalizer", "$JS.ACK.KYC_PAYLOADS.normalizer.1.1.1.1.0", "+ACK", denied},
		{"the list of streams", "$JS.API.STREAM.LIST", "", ""},
		{"a payload", "$JS.API.STREAM.MSG.GET.KYC_PAYLOADS", `{"seq":1}`, denied},
		{"the access log", "$JS.API.STREAM.MSG.GET.KYC_ACCESS", `{"seq":1}`, denied},
		{"a hold", "$JS.API.STREAM.MSG.GET.KYC_HOLDS", `{"seq":1}`, denied},
		{"a hold in another's name", "kyc.hold.ondato.acme.x", `{}`, denied},
		{"a payload directly", "$JS.API.DIRECT.GET.KYC_PAYLOADS", `{"seq":1}`, denied},
		{"events without end", "$JS.API.DIRECT.GET.KYC_EVENTS", `{"seq":1,"batch":100000000}`, "more messages"},
		{"the payload stream", "$JS.API.STREAM.INFO.KYC_PAYLOADS", "", denied},
		{"the end of the events", "$JS.API.STREAM.DELETE.KYC_EVENTS", "", denied},
		{"a purge", "$JS.API.STREAM.PURGE.KYC_EVENTS", "", denied},
		{"an erased event", "$JS.API.STREAM.MSG.DELETE.KYC_EVENTS", `{"seq":1}`, denied},
		{"another configuration", "$JS.API.STREAM.UPDATE.KYC_EVENTS", `{"name":"KYC_EVENTS","subjects":["x"]}`, denied},
		{"a stream of its own", "$JS.API.STREAM.CREATE.MINE", `{"name":"MINE","subjects":["kyc.event.v1.>"]}`, denied},
		{"a snapshot", "$JS.API.STREAM.SNAPSHOT.KYC_PAYLOADS", `{"deliver_subject":"_INBOX.x"}`, denied},
		{"another leader", "$JS.API.STREAM.LEADER.STEPDOWN.KYC_EVENTS", "", denied},
		{"the servers", "$SYS.REQ.SERVER.PING", "", denied},
		{"its account at the system", "$SYS.REQ.ACCOUNT.PING.CONNZ", "", denied},
		{"an event", "kyc.event.v1.ondato.acme.completed.x", "{}", denied},
		{"an event to be stored", "kyc.put.v1.ondato.acme.completed.x", "{}", denied},
		{"a watch", "kyc.watch.ondato.acme", "{}", denied},
		{"a request as another", "kyc.reader.bi.all.API.CONSUMER.DELETE.KYC_EVENTS.honest", "", denied},
		{"an answer for another", "kyc.answer.bi._INBOX.x", "", denied},
		{"what it renames itself", "kyc.ask.API.STREAM.DELETE.KYC_EVENTS", "", denied},
		{"a watch under another name", "kyc.ask.WATCH.ondato.acme", "{}", denied},
	}
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	h.publish(5)
	_, err := h.store.make(t.Context(), h.store.normalizer())
	must(t, err)
	_, honestJS := h.client("bi")
	honest, err := honestJS.CreateConsumer(t.Context(), "KYC_EVENTS",
		jetstream.ConsumerConfig{Durable: "honest", AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	before := h.everything()
	hostile, _ := h.client("crm")
	for _, trick := range tricks {
		errorText := h.ask(hostile, trick.subject, trick.body)
		if (trick.errorText == "") != (errorText == "") || !strings.Contains(errorText, trick.errorText) {
			t.Errorf("%s: answered %q, want %q", trick.name, errorText, trick.errorText)
		}
		must(t, hostile.PublishRequest(trick.subject, "kyc.disposition", []byte("[]"))) // the answer as an internal message
		must(t, hostile.Flush())
	}
	_ = h.ask(hostile, "$JS.API.CONSUMER.DELETE.KYC_EVENTS.trick", "")
	if diff := cmp.Diff(before, h.everything()); diff != "" {
		t.Errorf("streams and consumers (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5}, h.next(honest, 5)); diff != "" {
		t.Errorf("the honest reader: %s", diff)
	}
}

// everything lists the content of each stream and the position of each consumer.
func (h *readersFixture) everything() map[string]string {
	h.Helper()
	all := map[string]string{}
	for info := range h.bus.js.ListStreams(h.Context()).Info() {
		all[info.Config.Name] = fmt.Sprint(info.State.Msgs, " ", info.State.FirstSeq, "-", info.State.LastSeq, " ",
			info.Config.Subjects)
		stream, err := h.bus.js.Stream(h.Context(), info.Config.Name)
		must(h.T, err)
		for c := range stream.ListConsumers(h.Context()).Info() {
			all[info.Config.Name+" "+c.Name] = fmt.Sprint(c.AckFloor.Stream, " ", c.Delivered.Stream, " ", c.NumWaiting, " ",
				c.Config.DeliverSubject)
		}
	}
	return all
}

// TestReadersAreIsolated: readers use the same names for consumers of their own, and see only those.
func TestReadersAreIsolated(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	h.publish(3)
	var consumers []jetstream.Consumer
	for _, user := range []string{"crm", "bi"} {
		_, js := h.client(user)
		c, err := js.CreateConsumer(t.Context(), "KYC_EVENTS",
			jetstream.ConsumerConfig{Durable: "onboarding", AckPolicy: jetstream.AckExplicitPolicy, Description: user})
		must(t, err)
		consumers = append(consumers, c)
	}
	for i, c := range consumers {
		if diff := cmp.Diff([]uint64{1, 2, 3}, h.next(c, 3)); diff != "" {
			t.Errorf("reader %d: %s", i, diff)
		}
	}
	crm, crmJS := h.client("crm")
	must(t, crmJS.DeleteConsumer(t.Context(), "KYC_EVENTS", "onboarding"))
	h.publish(1)
	if diff := cmp.Diff([]uint64{4}, h.next(consumers[1], 1)); diff != "" {
		t.Errorf("the reader that is left: %s", diff)
	}
	// Subscribed to every inbox of its account, a reader receives only its own answers.
	inboxSub, err := crm.SubscribeSync("_INBOX.>")
	must(t, err)
	must(t, crm.Flush())
	h.publish(1)
	h.next(consumers[1], 1)
	if m, err := inboxSub.NextMsg(200 * time.Millisecond); err == nil {
		t.Errorf("received %s %s", m.Subject, m.Data)
	}
	for range mostConsumers {
		_, err := crmJS.CreateConsumer(t.Context(), "KYC_EVENTS", jetstream.ConsumerConfig{InactiveThreshold: time.Hour})
		must(t, err)
	}
	if _, err := crmJS.CreateConsumer(t.Context(), "KYC_EVENTS", jetstream.ConsumerConfig{}); err == nil ||
		!strings.Contains(err.Error(), "maximum consumers") {
		t.Errorf("one consumer more than a reader may have: %v", err)
	}
	_, biJS := h.client("bi")
	if _, err := biJS.CreateConsumer(t.Context(), "KYC_EVENTS", jetstream.ConsumerConfig{Durable: "second"}); err != nil {
		t.Errorf("another reader: %v", err)
	}
}

// TestReadersOfSomeEvents: a user that may subscribe to some events reads the stream only with permission,
// and then only these events.
func TestReadersOfSomeEvents(t *testing.T) {
	t.Parallel()
	limited := User{Username: "crm", Password: "crm-password-1", Subscribe: []string{"kyc.event.v1.idwise.>"},
		Publish: readAPI(testNames)}
	h := newReadersFixture(t, t.TempDir(), limited, testUsers[2])
	for _, provider := range []string{"ondato", "idwise"} {
		p := payload("idv-1", "", "{}")
		p.Provider = provider
		e, body := eventOf(p, 1)
		e.ID = event.ID(provider, 1)
		must(t, h.bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0))
	}
	few, _ := h.client("few")
	if errorText := h.ask(few, "$JS.API.STREAM.INFO.KYC_EVENTS", ""); errorText == "" {
		t.Error("a reader of live events reads the stream")
	}
	nc, js := h.client("crm")
	stream, err := js.Stream(t.Context(), "KYC_EVENTS")
	must(t, err)
	if info := stream.CachedInfo(); info.State.Msgs != 0 || !slices.Equal(info.Config.Subjects, limited.Subscribe) {
		t.Errorf("it sees %d messages on %v", info.State.Msgs, info.Config.Subjects)
	}
	c, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Minute})
	must(t, err)
	if diff := cmp.Diff([]uint64{2}, h.next(c, 1)); diff != "" {
		t.Error(diff)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), "kyc.event.v1.idwise.>"); err != nil {
		t.Errorf("its own event: %v", err)
	}
	for subject, body := range map[string]string{
		"$JS.API.STREAM.MSG.GET.KYC_EVENTS":                           `{"seq":1}`,
		"$JS.API.DIRECT.GET.KYC_EVENTS":                               `{"seq":1}`,
		"$JS.API.DIRECT.GET.KYC_EVENTS.kyc.event.v1.ondato.>":         "",
		"$JS.API.DIRECT.GET.KYC_EVENTS.kyc.event.v1.>":                "",
		"$JS.API.CONSUMER.CREATE.KYC_EVENTS.mine":                     `{"stream_name":"KYC_EVENTS","config":{"name":"mine","filter_subjects":["kyc.event.v1.idwise.>","kyc.event.v1.ondato.>"]}}`,
		"$JS.API.CONSUMER.CREATE.KYC_EVENTS.mine.kyc.event.v1.*.acme": `{"stream_name":"KYC_EVENTS","config":{"name":"mine","filter_subject":"kyc.event.v1.*.acme"}}`,
	} {
		if errorText := h.ask(nc, subject, body); !strings.Contains(errorText, "this reader may") {
			t.Errorf("%s %s: answered %q", subject, body, errorText)
		}
	}
}

// TestReadersAskForWatches: only the body of a request to watch is forwarded, none of its headers.
func TestReadersAskForWatches(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	nc, _ := h.client("starter")
	m := nats.NewMsg("kyc.watch.ondato.acme")
	m.Data = []byte(`{"reference":"r-1"}`)
	for name, value := range map[string]string{"Nats-Schedule": "@every 1s",
		"Nats-Schedule-Target": "kyc.poll.due.ondato.acme.x", nats.MsgIdHdr: "1",
		"Nats-Expected-Last-Sequence": "7", "Nats-Rollup": "all", "Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1",
		"Nats-TTL": "1s"} {
		m.Header.Set(name, value)
	}
	answer, err := nc.RequestMsg(m, 5*time.Second)
	must(t, err)
	if !strings.Contains(string(answer.Data), `"stream":"KYC_POLLS"`) {
		t.Errorf("answered %s", answer.Data)
	}
	stream, err := h.store.js.Stream(t.Context(), "KYC_POLLS")
	must(t, err)
	stored, err := stream.GetMsg(t.Context(), 1)
	must(t, err)
	for _, name := range []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"} { // of the answer
		stored.Header.Del(name)
	}
	if len(stored.Header) > 0 || stored.Subject != "kyc.watch.ondato.acme" ||
		string(stored.Data) != `{"reference":"r-1"}` {
		t.Errorf("stored as %s %v %s", stored.Subject, stored.Header, stored.Data)
	}
	traced := nats.NewMsg("kyc.watch.ondato.acme") // the server would publish the route of the message there
	traced.Header.Set("Nats-Trace-Dest", "kyc.watch.ondato.traced")
	if answer, err := nc.RequestMsg(traced, time.Second); err == nil {
		t.Errorf("a request with a trace destination: %s", answer.Data)
	}
	for _, subject := range []string{"kyc.watch.ondato.acme.x", "kyc.watch.ondato", "kyc.poll.due.ondato.acme.x"} {
		_ = h.ask(nc, subject, "{}")
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("%d messages, %v", info.State.Msgs, err)
	}
}

// TestReadersKeepTheirPlace: a reader continues from the position of its consumer of an earlier version,
// and starts again if it deletes it.
func TestReadersKeepTheirPlace(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(jetstream.JetStream) (jetstream.Consumer, error){
		"making it": func(js jetstream.JetStream) (jetstream.Consumer, error) {
			return js.CreateOrUpdateConsumer(context.Background(), "KYC_EVENTS",
				jetstream.ConsumerConfig{Durable: "onboarding", FilterSubject: "kyc.event.v1.>",
					AckPolicy: jetstream.AckExplicitPolicy})
		},
		"using it": func(js jetstream.JetStream) (jetstream.Consumer, error) {
			return js.Consumer(context.Background(), "KYC_EVENTS", "onboarding")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReadersFixture(t, t.TempDir(), testUsers...)
			h.publish(5)
			old, err := h.bus.js.CreateConsumer(t.Context(), "KYC_EVENTS",
				jetstream.ConsumerConfig{Durable: "onboarding", FilterSubject: "kyc.event.v1.>",
					AckPolicy: jetstream.AckExplicitPolicy})
			must(t, err)
			h.next(old, 3)
			_, js := h.client("crm")
			c, err := open(js)
			must(t, err)
			if diff := cmp.Diff([]uint64{4}, h.next(c, 1)); diff != "" {
				t.Errorf("it goes on: %s", diff)
			}
			again, err := open(js)
			must(t, err)
			if diff := cmp.Diff([]uint64{5}, h.next(again, 1)); diff != "" {
				t.Errorf("opened again: %s", diff)
			}
			must(t, js.DeleteConsumer(t.Context(), "KYC_EVENTS", "onboarding"))
			if c, err = open(js); name == "using it" {
				if !errors.Is(err, jetstream.ErrConsumerNotFound) {
					t.Errorf("deleted: %v", err)
				}
				return
			}
			must(t, err)
			if diff := cmp.Diff([]uint64{1}, h.next(c, 1)); diff != "" {
				t.Errorf("deleted and created again: %s", diff)
			}
		})
	}
	t.Run("pulling at once", func(t *testing.T) {
		h := newReadersFixture(t, t.TempDir(), testUsers...)
		h.publish(2)
		_, err := h.bus.js.CreateConsumer(t.Context(), "KYC_EVENTS",
			jetstream.ConsumerConfig{Durable: "onboarding", AckPolicy: jetstream.AckExplicitPolicy})
		must(t, err)
		nc, _ := h.client("bi")
		m, err := nc.Request("$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.onboarding", []byte("1"), 5*time.Second)
		if err != nil || len(m.Data) == 0 {
			t.Errorf("%v %v", m, err)
		}
	})
}

// TestOwnerNames: a user's consumers keep their owner for any characters in its name.
func TestOwnerNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range []string{"crm", "CRM", "a b", "a.b", "a~b", "é", strings.Repeat("x", 200),
		strings.Repeat("x", 201)} {
		owner := ownerName(name)
		if !token(owner) || len(owner) > 64 || seen[owner] || owner != ownerName(name) {
			t.Errorf("%q is called %q", name, owner)
		}
		seen[owner] = true
	}
}

// TestReadersWithConfiguredPrefixes: prefixes come from the configuration.
func TestReadersWithConfiguredPrefixes(t *testing.T) {
	t.Parallel()
	names := Names{Subject: "id.check", Stream: "ID-1"}
	server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Names: names,
		MaxBody: testMaxBody, Users: []User{{Username: "a reader", Password: "password-12"}}})
	must(t, err)
	t.Cleanup(server.Close)
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), names, testMaxBody, 1)
	must(t, err)
	t.Cleanup(bus.Close)
	nc, err := nats.Connect(server.ClientURL(), nats.UserInfo("a reader", "password-12"))
	must(t, err)
	t.Cleanup(nc.Close)
	live, err := nc.SubscribeSync("id.check.event.v1.>")
	must(t, err)
	must(t, nc.Flush())
	p := payload("idv-1", "", "{}")
	e, body := eventOf(p, 1)
	must(t, bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0))
	m, err := live.NextMsg(5 * time.Second)
	must(t, err)
	js, err := jetstream.New(nc)
	must(t, err)
	c, err := js.CreateConsumer(t.Context(), "ID-1_EVENTS", jetstream.ConsumerConfig{Durable: "onboarding"})
	must(t, err)
	read, err := c.Next(jetstream.FetchMaxWait(30 * time.Second)) // far more than it takes
	must(t, err)
	if read.Subject() != m.Subject || string(read.Data()) != string(m.Data) {
		t.Errorf("read %s, received %s", read.Subject(), m.Subject)
	}
}

// TestHostileConsumersAreRemoved: a delivering consumer that a reader of an earlier version has left is
// removed.
func TestHostileConsumersAreRemoved(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir())
	h.publish(3)
	for name, subject := range map[string]string{
		"pulls": "$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer", "acks": "$JS.ACK.KYC_PAYLOADS.normalizer.1.1.1.1.1",
		"dispositions": "kyc.disposition", "payloads": "kyc.payload.ondato.acme.x", "copy": "deliver.copy",
	} {
		_, err := h.bus.js.CreatePushConsumer(t.Context(), "KYC_EVENTS",
			jetstream.ConsumerConfig{Durable: name, DeliverSubject: subject, AckPolicy: jetstream.AckNonePolicy})
		must(t, err)
	}
	again, err := OpenBus(t.Context(), connect(t, h.server, "bus"), testNames, testMaxBody, 1)
	must(t, err)
	defer again.Close()
	stream, err := h.bus.js.Stream(t.Context(), "KYC_EVENTS")
	must(t, err)
	var left []string
	for name := range stream.ConsumerNames(t.Context()).Name() {
		left = append(left, name)
	}
	if diff := cmp.Diff([]string{"copy"}, left); diff != "" {
		t.Errorf("consumers that are left:\n%s", diff)
	}
}

package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v5"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/simulate"
	"kycbridge/schemas"
)

// asyncAPI is the document, with its messages and the schemas that it references.
type asyncAPI struct {
	t        *testing.T
	document map[string]any
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
	closed   *schemas.ClosedEvent
}

// documentURL is the assumed location of the document; the files of its $refs are in the same folder.
const documentURL = "file:///schemas/asyncapi.json"

// readAsyncAPI reads the document as a tool does that has its folder and its x-schemas.
func readAsyncAPI(t *testing.T) *asyncAPI {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	a := &asyncAPI{t: t, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	a.compiler.Draft, a.compiler.AssertFormat = jsonschema.Draft2020, true
	if a.closed, err = schemas.Closed(); err != nil {
		t.Fatal(err)
	}
	var document any
	if err := yaml.Unmarshal(set.AsyncAPI(), &document); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	a.document = asJSON(t, text).(map[string]any)
	envelope, _ := set.Source("event", "event")
	data, _ := set.Source("event", "data")
	byFile := map[string][]byte{"event/event.json": envelope, "event/data.schema.json": data}
	resources := map[string][]byte{documentURL: text, "file:///schemas/api/openapi.json": set.OpenAPI()}
	for file, text := range byFile {
		resources["file:///schemas/"+file] = text
	}
	for id, file := range a.at("x-schemas").(map[string]any) {
		resources[id] = byFile[file.(string)]
	}
	for url, text := range resources {
		if err := a.compiler.AddResource(url, bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// asJSON decodes a text, numbers as they are written.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// at is the value at a place of the document; references are resolved.
func (a *asyncAPI) at(tokens ...string) any {
	a.t.Helper()
	node := any(a.document)
	for _, token := range tokens {
		node = a.followed(node).(map[string]any)[token]
	}
	return a.followed(node)
}

func (a *asyncAPI) followed(node any) any {
	object, _ := node.(map[string]any)
	if ref, ok := object["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
		return a.at(strings.Split(ref[2:], "/")...)
	}
	return node
}

// check validates headers or payload of a message with the schema of the message.
func (a *asyncAPI) check(message, part string, value any) error {
	place := documentURL + "#/components/messages/" + message + "/" + part
	if a.compiled[place] == nil {
		schema, err := a.compiler.Compile(place)
		if err != nil {
			a.t.Fatal(err)
		}
		a.compiled[place] = schema
	}
	return a.compiled[place].Validate(value)
}

// channelOf is the only channel that a subject belongs to, with its parameters.
func (a *asyncAPI) channelOf(subject string) (channel string, parameters map[string]string) {
	a.t.Helper()
	found := 0
	for name := range a.at("channels").(map[string]any) {
		address, _ := a.at("channels", name, "address").(string)
		if m := a.matcher(name, address).FindStringSubmatch(subject); address != "" && m != nil {
			found++
			channel, parameters = name, map[string]string{}
			for i, parameter := range a.matcher(name, address).SubexpNames() {
				if parameter != "" {
					parameters[parameter] = m[i]
				}
			}
		}
	}
	if found != 1 {
		a.t.Errorf("%s belongs to %d channels", subject, found)
	}
	return channel, parameters
}

// matcher matches the subjects of an address, with one group for each parameter.
func (a *asyncAPI) matcher(channel, address string) *regexp.Regexp {
	text := regexp.MustCompile(`\\\{(\w+)\\\}`).ReplaceAllStringFunc(regexp.QuoteMeta(address), func(group string) string {
		name := strings.Trim(group, `\{}`)
		pattern, _ := a.at("channels", channel, "parameters", name, "x-pattern").(string)
		pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$")
		if words, ok := a.at("channels", channel, "parameters", name, "enum").([]any); ok {
			pattern = strings.Trim(strings.ReplaceAll(fmt.Sprint(words), " ", "|"), "[]")
		}
		return "(?P<" + name + ">" + pattern + ")"
	})
	return regexp.MustCompile("^" + text + "$")
}

// located is the value that a runtime expression selects in a payload.
func (a *asyncAPI) located(expression any, payload any) any {
	place, ok := strings.CutPrefix(fmt.Sprint(expression), "$message.payload#/")
	if !ok {
		a.t.Fatalf("%v: no place in a payload", expression)
	}
	for token := range strings.SplitSeq(place, "/") {
		object, _ := payload.(map[string]any)
		payload = object[token]
	}
	return payload
}

// event checks a published message, or an example of one, without its subject.
func (a *asyncAPI) event(what string, headers map[string]any, payload any) {
	a.t.Helper()
	for name := range headers {
		if a.at("components", "schemas", "EventHeaders", "properties", name) == nil {
			a.t.Errorf("%s: the document names no header %s", what, name)
		}
	}
	if err := a.check("VerificationEvent", "headers", headers); err != nil {
		a.t.Errorf("%s: headers %v: %#v", what, headers, err)
	}
	if err := a.check("VerificationEvent", "payload", payload); err != nil {
		a.t.Errorf("%s: %#v", what, err)
	}
	for _, f := range a.closed.Validate(payload) {
		a.t.Errorf("%s: closed schema: %s: %s", what, f.Path, f.Message)
	}
	body := payload.(map[string]any)
	if headers["Content-Type"] != a.at("components", "messages", "VerificationEvent", "contentType") ||
		headers["Nats-Msg-Id"] != body["id"] {
		a.t.Errorf("%s: headers %v of event %v", what, headers, body["id"])
	}
	if id := a.located(a.at("components", "messages", "VerificationEvent", "correlationId", "location"),
		payload); id != body["subject"] {
		a.t.Errorf("%s: the correlation id is %v, the subject %v", what, id, body["subject"])
	}
}

// message checks a message from the bus.
func (a *asyncAPI) message(raw *nats.Msg) {
	a.t.Helper()
	channel, parameters := a.channelOf(raw.Subject)
	if channel != "events" {
		a.t.Errorf("%s is no subject of events", raw.Subject)
		return
	}
	headers := map[string]any{}
	for name, values := range raw.Header {
		if len(values) != 1 {
			a.t.Errorf("%s: %d headers %s", raw.Subject, len(values), name)
		}
		headers[name] = values[0]
	}
	payload := asJSON(a.t, raw.Data)
	a.event(raw.Subject, headers, payload)
	for name, value := range parameters {
		if location := a.at("channels", channel, "parameters", name, "location"); location != nil &&
			a.located(location, payload) != value {
			a.t.Errorf("%s: %v is %v", raw.Subject, location, a.located(location, payload))
		}
	}
	if kind := fmt.Sprint(payload.(map[string]any)["type"]); !strings.HasSuffix(kind, "."+parameters["kind"]+".v1") {
		a.t.Errorf("%s: type %s", raw.Subject, kind)
	}
}

// TestAsyncAPIExamples: each message has examples, and they match the document.
func TestAsyncAPIExamples(t *testing.T) {
	a := readAsyncAPI(t)
	for name := range a.at("components", "messages").(map[string]any) {
		examples, _ := a.at("components", "messages", name, "examples").([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, node := range examples {
			example := node.(map[string]any)
			if err := a.check(name, "payload", example["payload"]); err != nil {
				t.Errorf("%s %v: %#v", name, example["name"], err)
			}
			if name == "VerificationEvent" {
				headers, _ := example["headers"].(map[string]any)
				a.event(fmt.Sprint("example ", example["name"]), headers, example["payload"])
				body, _ := json.Marshal(example["payload"])
				readAsConsumer(t, body)
			}
		}
	}
	for body, part := range map[string]string{`{"specversion":"1.0"}`: "payload",
		`{"Content-Type":"application/json"}`: "headers"} {
		if a.check("VerificationEvent", part, asJSON(t, []byte(body))) == nil {
			t.Errorf("%s passes as %s of an event", body, part)
		}
	}
	if a.check("WatchRequest", "payload", asJSON(t, []byte(`{"reference":""}`))) == nil {
		t.Error("a request to watch nothing passes")
	}
}

// TestAsyncAPIPublished: everything published while one verification runs at each provider matches the
// document: subject, headers, message. So do the stream and the permissions.
func TestAsyncAPIPublished(t *testing.T) {
	a := readAsyncAPI(t)
	w := newWorld(t, worldOptions{speed: 600})
	nc, err := nats.Connect(w.app.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	events, err := nc.SubscribeSync("kyc.event.v1.>")
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	started := map[string]string{}
	for provider := range ends {
		started[provider] = w.start(provider, "ref-approve-"+provider).VerificationID
	}
	// An abandoned verification ends without a verdict, and another one has a trace context.
	started["ondato abandoned"] = w.watch("ondato", w.sims["ondato"].Begin("ref-abandon-ondato", simulate.Abandon))
	started["ondato traced"] = w.traced()
	for who, id := range started {
		w.until(id, who+" ends", func(events []event.Event) bool { return last(events).Data.Status.Terminal() })
	}
	seen, kinds, providers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for {
		m, err := events.NextMsg(500 * time.Millisecond)
		if err != nil {
			break // no more messages
		}
		for name := range m.Header {
			seen[name] = true
		}
		a.message(m)
		tokens := strings.Split(m.Subject, ".")
		providers[tokens[3]], kinds[tokens[5]] = true, true
	}
	for _, header := range []string{"Content-Type", "Nats-Msg-Id", "Kyc-Until", "Kyc-Until-Payload", "traceparent"} {
		if !seen[header] {
			t.Errorf("nothing was published with the header %s", header)
		}
	}
	if len(kinds) != 3 || len(providers) != 4 {
		t.Errorf("published were the kinds %v of %v", kinds, providers)
	}
	a.streams(w.js)
	a.rights(w.app.ClientURL())
}

// traced sends a callback with a trace context, of a verification that was started elsewhere.
func (w *world) traced() (verificationID string) {
	w.t.Helper()
	header := genuine("ondato")
	header.Set("Traceparent", traceparent)
	const reference = "b0000000-0000-4000-8000-0000000f0002"
	if status := w.post("ondato", header, forged("ondato", reference)[0]); status != http.StatusOK {
		w.t.Errorf("the traced callback was answered %d", status)
	}
	return event.VerificationID("ondato", "acme", reference)
}

// streams compares the streams with their description in the document.
func (a *asyncAPI) streams(js jetstream.JetStream) {
	a.t.Helper()
	for name := range a.at("x-streams").(map[string]any) {
		stream, err := js.Stream(a.t.Context(), name)
		if err != nil {
			a.t.Errorf("stream %s: %v", name, err)
			continue
		}
		c := stream.CachedInfo().Config
		if tr := c.SubjectTransform; tr != nil && fmt.Sprint(c.Subjects) == fmt.Sprint([]string{tr.Source}) {
			c.Subjects = []string{tr.Destination} // the subject of a message as a reader receives it
		}
		is := map[string]any{
			"subjects": fmt.Sprint(c.Subjects), "storage": strings.ToLower(c.Storage.String()),
			"retention": strings.ToLower(c.Retention.String()),
			"discard":   strings.ToLower(strings.TrimPrefix(c.Discard.String(), "Discard")), "max_age": c.MaxAge.String(),
			"duplicate_window": c.Duplicates.String(), "allow_direct": fmt.Sprint(c.AllowDirect),
		}
		for member, said := range a.at("x-streams", name).(map[string]any) {
			if member != "description" && fmt.Sprint(said) != is[member] {
				a.t.Errorf("stream %s: %s is %v, the document says %v", name, member, is[member], said)
			}
		}
	}
}

// rights tries every right that the document gives a reader, as a client without a user, and one that it does not
// give.
func (a *asyncAPI) rights(url string) {
	a.t.Helper()
	for _, subject := range a.at("x-permissions", "stream", "publish").([]any) {
		if said := refusal(a.t, url, strings.Replace(subject.(string), ">", "nothing", 1), ""); said != nil {
			a.t.Errorf("publishing on %s: %v", subject, said)
		}
	}
	for _, subject := range a.at("x-permissions", "stream", "subscribe").([]any) {
		if said := refusal(a.t, url, "", subject.(string)); said != nil {
			a.t.Errorf("subscribing to %s: %v", subject, said)
		}
	}
	if refusal(a.t, url, "kyc.watch.kwikid.acme", "") == nil || refusal(a.t, url, "", "kyc.payload.>") == nil {
		a.t.Error("a reader may do more than the document says; or the test does not see what is refused")
	}
}

// refusal is the server's error for publishing on one subject and subscribing to another.
func refusal(t *testing.T, url, publish, subscribe string) error {
	t.Helper()
	nc, err := nats.Connect(url, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // prints nothing
	if err != nil {
		t.Fatal(err)
	}
	if publish != "" {
		err = nc.Publish(publish, []byte("{}"))
	} else {
		_, err = nc.SubscribeSync(subscribe)
	}
	if err == nil {
		err = nc.Flush()
	}
	said := nc.LastError()
	nc.Close()
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestAsyncAPIWatch: a request from the document, sent by a user with the rights that the document names, is answered
// as documented and leads to an event.
func TestAsyncAPIWatch(t *testing.T) {
	a := readAsyncAPI(t)
	provider, err := simulate.Start(simulatedProvider(t, "kwikid"), simulate.Options{Speed: 600})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	rights, _ := json.Marshal(a.at("x-permissions", "watch", "publish"))
	file := filepath.Join(t.TempDir(), "kycbridge.yaml")
	writeFile(t, file, fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
data_dir: %s
embedded:
  listen: "127.0.0.1:0"
  users: [{username: backoffice, password: backoffice-password, publish: %s}]
accounts:
  - {name: acme, provider: kwikid, environment: test, api: %s, poll: {interval: 150ms, deadline: 20s}}
`, t.TempDir(), rights, provider.APIText()))
	config, err := app.LoadConfig(file, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	running, err := app.Start(t.Context(), config, app.AllRoles(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Stop)
	nc, err := nats.Connect(running.ClientURL(), nats.UserInfo("backoffice", "backoffice-password"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	events, err := nc.SubscribeSync("kyc.event.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	const subject = "kyc.watch.kwikid.acme"
	if channel, _ := a.channelOf(subject); channel != "watches" {
		t.Errorf("%s is a subject of %s", subject, channel)
	}
	for _, node := range a.at("components", "messages", "WatchRequest", "examples").([]any) {
		request := node.(map[string]any)["payload"].(map[string]any)
		body, _ := json.Marshal(request)
		answer, err := nc.Request(subject, body, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		kept := asJSON(t, answer.Data)
		if err := a.check("WatchKept", "payload", kept); err != nil ||
			kept.(map[string]any)["stream"] != a.at("channels", "watches", "x-stream") {
			t.Errorf("answered %s: %v", answer.Data, err)
		}
		id := event.VerificationID("kwikid", "acme", request["reference"].(string))
		for {
			m, err := events.NextMsg(20 * time.Second)
			if err != nil {
				t.Fatalf("no event of the request %s: %v", body, err)
			}
			a.message(m)
			if strings.HasSuffix(m.Subject, "."+id) {
				break
			}
		}
	}
}

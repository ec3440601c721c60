package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

// startServer runs a real nats-server until the end of the test and returns its address.
func startServer(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, true, t.TempDir()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s.ClientURL()
}

// eventServer has the stream KYC_EVENTS with the golden events of one provider, and these users: reader may read it;
// blind may publish no request; waiting may look up the stream but not receive messages; deaf may receive no answer.
func eventServer(t *testing.T) (address string, events int) {
	t.Helper()
	allow := func(subjects ...string) *server.SubjectPermission { return &server.SubjectPermission{Allow: subjects} }
	user := func(name string, publish, subscribe *server.SubjectPermission) *server.User {
		return &server.User{Username: name, Password: "password-of-" + name,
			Permissions: &server.Permissions{Publish: publish, Subscribe: subscribe}}
	}
	inbox := allow("_INBOX.>")
	address = startServer(t, &server.Options{JetStream: true, Users: []*server.User{
		{Username: "writer", Password: "password-of-writer"},
		user("reader", allow("$JS.API.>"), inbox),
		user("blind", allow("nothing"), inbox),
		user("waiting", allow("$JS.API.STREAM.INFO.>", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.INFO.>"), inbox),
		user("deaf", allow("$JS.API.>"), allow("nothing")),
	}})
	nc, err := nats.Connect(address, nats.UserInfo("writer", "password-of-writer"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []jetstream.StreamConfig{
		{Name: "EMPTY", Subjects: []string{"empty.>"}},
		{Name: "KYC_EVENTS", Subjects: []string{"kyc.put.v1.>"},
			SubjectTransform: &jetstream.SubjectTransformConfig{Source: "kyc.put.v1.>", Destination: "kyc.event.v1.>"}},
	} {
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		var body bytes.Buffer
		if c.Provider != "ondato" || bytes.Contains(c.Golden, []byte(`"no_event"`)) || json.Compact(&body, c.Golden) != nil {
			continue
		}
		if _, err := js.Publish(t.Context(), "kyc.put.v1.ondato.acme.updated."+c.Name, body.Bytes()); err != nil {
			t.Fatal(err)
		}
		events++
	}
	return address, events
}

// as returns the flags for a user, with the password in a file.
func as(t *testing.T, name string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("password-of-"+name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--user", name, "--password-file", file}
}

// TestEvents reads a real server, with and without permission.
func TestEvents(t *testing.T) {
	address, events := eventServer(t)
	for _, c := range []struct {
		name   string
		args   []string
		lines  int // of stdout
		stderr string
	}{
		{"everything", as(t, "reader"), events, ""},
		{"everything, as JSON", append(as(t, "reader"), "--json"), events, ""},
		{"one subject", append(as(t, "reader"), "--subject", "kyc.event.v1.*.*.*.kyc-identification-approved"), 1, ""},
		{"a subject without events", append(as(t, "reader"), "--subject", "kyc.event.v1.signzy.>"), 0, ""},
		{"lately", append(as(t, "reader"), "--since", "1h"), events, ""},
		{"an empty stream", append(as(t, "reader"), "--stream", "EMPTY"), 0, ""},
		{"a stream that is not there", append(as(t, "reader"), "--stream", "NONE"), 0,
			"kycbridge: there is no stream NONE at " + address + ": name the right one with --stream\n"},
		{"a stream that cannot be", append(as(t, "reader"), "--stream", "kyc.events"), 0,
			"kycbridge: there is no stream kyc.events at "},
		{"a subject of another stream", append(as(t, "reader"), "--subject", "kyc.payload.>"), 0,
			"kycbridge: --subject kyc.payload.>: stream KYC_EVENTS holds kyc.event.v1.> and nothing else\n"},
		{"a subject that is too short", append(as(t, "reader"), "--subject", "kyc.event.v1"), 0,
			"kycbridge: --subject kyc.event.v1: stream KYC_EVENTS holds kyc.event.v1.> and nothing else\n"},
		{"no user", nil, 0, "kycbridge: connect to NATS at " + address + ": the server does not know this user or password"},
		{"a wrong password", append(as(t, "reader"), "--user", "blind"), 0, "the server does not know this user or password"},
		{"no right to ask", as(t, "blind"), 0, "kycbridge: this user may not read stream KYC_EVENTS at " + address},
		{"no right to messages", as(t, "waiting"), 0, "kycbridge: this user may not read stream KYC_EVENTS at " + address},
		{"no right to follow", append(as(t, "waiting"), "--follow"), 0,
			"kycbridge: this user may not read stream KYC_EVENTS at " + address},
		{"no right to answers", as(t, "deaf"), 0, "kycbridge: this user may not read stream KYC_EVENTS at " + address},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			got := finish(t, command(t, slices.Concat([]string{"events", "--url", address}, c.args)...))
			if took := time.Since(began); took > 6*time.Second*wait.Slowdown {
				t.Errorf("it took %s", took)
			}
			code, newlines := 0, 0
			if c.stderr != "" {
				code, newlines = 1, 1
			}
			if got.code != code || strings.Count(got.stdout, "\n") != c.lines || !strings.Contains(got.stderr, c.stderr) ||
				strings.Count(got.stderr, "\n") != newlines {
				t.Errorf("code %d, %d lines (of %d events), stderr:\n%s", got.code, strings.Count(got.stdout, "\n"), events,
					got.stderr)
			}
			if strings.Contains(got.stdout+got.stderr, "password-of") {
				t.Error("it shows a password")
			}
		})
	}
	t.Run("head", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		quietEnd(t, command(t, slices.Concat([]string{"events", "--follow", "--url", address}, as(t, "reader"))...), writer)
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		interrupted(t, command(t, slices.Concat([]string{"events", "--follow", "--url", address}, as(t, "reader"))...))
	})
}

// TestEventsWithoutAnAnswer: the command soon gives up on a server that does not answer.
func TestEventsWithoutAnAnswer(t *testing.T) {
	address := startServer(t, &server.Options{})
	for _, c := range []struct{ name, stderr string }{
		{"no JetStream", "kycbridge: NATS at " + address + " has no JetStream for this user"},
		{"no answer", "kycbridge: stream KYC_EVENTS at " + address +
			" does not answer: this user may not read it, or JetStream is away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			got := finish(t, command(t, "events", "--url", address))
			if got.code != 1 || !strings.HasPrefix(got.stderr, c.stderr) || time.Since(began) > 6*time.Second*wait.Slowdown {
				t.Errorf("code %d after %s: %s", got.code, time.Since(began), got.stderr)
			}
		})
		nc, err := nats.Connect(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		if _, err := nc.Subscribe("$JS.API.>", func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

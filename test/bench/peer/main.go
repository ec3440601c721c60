// Command peer is a typical alternative to kycbridge, for comparison: a Watermill router that receives identity
// verification callbacks over HTTP, checks a bearer token, validates and maps the body, publishes one event to
// JetStream and answers 200 after the acknowledgement. It is a separate module, so that kycbridge does not depend
// on its dependencies.
package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmhttp "github.com/ThreeDotsLabs/watermill-http/v2/pkg/http"
	wmjetstream "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/jetstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-chi/chi"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	account = "acme"
	stream  = "PEER_EVENTS"
	maxBody = 1 << 20
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` of the HTTP listener")
	url := flag.String("nats", nats.DefaultURL, "`URL` of the NATS server")
	token := flag.String("token", "", "bearer token of the callbacks")
	flag.Parse()
	if err := run(*addr, *url, *token); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(addr, url, token string) error {
	if token == "" {
		return errors.New("-token is missing")
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", url, err)
	}
	defer nc.Close()
	if err := createStream(nc); err != nil {
		return err
	}
	callbacks := chi.NewRouter()
	callbacks.Use(authenticated(token))
	logger := watermill.NewStdLogger(false, false)
	subscriber, err := wmhttp.NewSubscriber(addr,
		wmhttp.SubscriberConfig{Router: callbacks, UnmarshalMessageFunc: received}, logger)
	if err != nil {
		return err
	}
	publisher, err := wmjetstream.NewPublisher(
		wmjetstream.PublisherConfig{Conn: nc, Logger: logger, ConfigureStream: subject})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return err
	}
	all, err := providers()
	if err != nil {
		return err
	}
	for _, p := range all {
		router.AddHandler(p.name, "/webhooks/"+p.name+"/"+account, subscriber, "peer.event."+p.name, publisher, p.handle)
	}
	ended := make(chan error, 2)
	go func() { ended <- router.Run(context.Background()) }()
	<-router.Running()
	go func() { ended <- subscriber.StartHTTPServer() }()
	return <-ended
}

// createStream creates the only stream, which holds the events.
func createStream(nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{"peer.event.>"},
		Storage: jetstream.FileStorage, Duplicates: 2 * time.Minute})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", stream, err)
	}
	return nil
}

// subject makes the publisher use a topic as the subject: it publishes to the subject in Name.
func subject(topic string) jetstream.StreamConfig { return jetstream.StreamConfig{Name: topic} }

// authenticated answers 401 to requests without the token.
func authenticated(token string) func(http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next.ServeHTTP(w, r)
		})
	}
}

// received converts a request to a message.
func received(topic string, r *http.Request) (*message.Message, error) {
	r.Header.Set(wmhttp.HeaderUUID, watermill.NewUUID())
	return wmhttp.DefaultUnmarshalMessageFunc(topic, r)
}

// handle creates the event of a callback. The router publishes it and acknowledges the callback, which is the 200.
func (p provider) handle(m *message.Message) ([]*message.Message, error) {
	e, err := p.event(account, m.Payload)
	if err != nil {
		m.SetContext(wmhttp.WithResponseStatusCode(m.Context(), http.StatusBadRequest))
		return nil, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	out := message.NewMessage(e.ID, body)
	out.Metadata.Set(nats.MsgIdHdr, e.ID)
	return []*message.Message{out}, nil
}

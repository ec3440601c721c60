// Command go is a consumer of events. With NATS_URL it keeps a durable place in the stream; without it
// it reads what kycbridge events --follow --json prints.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var errNoEvent = errors.New("not an event")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	b, err := openBook(cmp.Or(os.Getenv("KYC_BOOK"), "handled.jsonl"))
	if err != nil {
		return err
	}
	defer b.file.Close()
	environment := cmp.Or(os.Getenv("KYC_ENVIRONMENT"), "live")
	if url := os.Getenv("NATS_URL"); url != "" {
		return consume(ctx, url, b, environment)
	}
	return readLines(b, environment)
}

// consume handles events from a durable consumer, each acknowledged after its commit.
func consume(ctx context.Context, url string, b *book, environment string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "KYC_EVENTS", jetstream.ConsumerConfig{
		Durable:        "onboarding",
		FilterSubjects: []string{"kyc.event.v1.>"},
		AckPolicy:      jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		switch r, err := b.handle(environment, m.Data()); {
		case errors.Is(err, errNoEvent):
			_ = m.TermWithReason(err.Error()) // a retry does not help
		case err != nil:
			select {
			case failed <- err: // not acknowledged: it is delivered again
			default:
			}
		default:
			fmt.Println(r.VerificationID, r.Revision, r.Action)
			_ = m.Ack() // if it is lost, the event is delivered again and skipped
		}
	})
	if err != nil {
		return err
	}
	defer reading.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// readLines handles events from standard input, one a line.
func readLines(b *book, environment string) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		r, err := b.handle(environment, lines.Bytes())
		if err != nil {
			return err
		}
		fmt.Println(r.VerificationID, r.Revision, r.Action)
	}
	return lines.Err()
}

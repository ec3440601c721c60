package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
	"kycbridge/publisher"
)

// ReadOptions select the events to read and their source.
type ReadOptions struct {
	URL             string
	CredentialsFile string
	User            string // with PasswordFile
	PasswordFile    string // contains only the password
	Stream          string
	Subject         string    // "": every event
	Since           time.Time // publish time; zero: from the beginning
	Follow          bool      // continue with new events; else end with the last existing one
	Newest          int       // number of existing events, newest first; 0: all, oldest first

	// Timeout limits the wait for the stream and a consumer; 0: 4 s. After that the server is known to answer, and a
	// slow one has 30 s for each event.
	Timeout time.Duration

	// Match reports whether an event is wanted; nil: every event is.
	Match func(body []byte) bool
	// Check refuses an event because of its signature (event.SignatureHeader; "" without one); nil: signatures are not
	// checked. Its error ends the reading.
	Check func(body []byte, signature string) error

	from   uint64                    // first sequence; 0: from the beginning
	pulled jetstream.PullMessagesOpt // how much is requested at once
}

// pulledEvents is how many events are requested at once.
const pulledEvents = 500

// answerTimeout is the usual ReadOptions.Timeout; eventTimeout is how long an existing event may take to arrive.
const (
	answerTimeout = 4 * time.Second
	eventTimeout  = 30 * time.Second
)

// ReadEvents passes every event to each, oldest first, as a consumer would read them. It ends without an
// error when ctx ends, and with the first error of each.
func ReadEvents(ctx context.Context, o ReadOptions, each func(body []byte) error) error {
	if o.Subject != "" && !subject(o.Subject) {
		return fmt.Errorf("--subject %s: not a subject; write one such as kyc.event.v1.ondato.>", o.Subject)
	}
	o.Timeout = cmp.Or(o.Timeout, answerTimeout)
	reading, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	nc, err := dialReader(o, refuse)
	if err != nil {
		return err
	}
	defer nc.Close()
	err = readStream(reading, nc, o, each)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(context.Cause(reading), nats.ErrPermissionViolation):
		return fmt.Errorf(
			"this user may not read stream %s at %s: name one who may with --user and --password-file, or --creds", o.Stream,
			addresses(o.URL))
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("stream %s at %s does not answer: this user may not read it, or JetStream is away", o.Stream,
			addresses(o.URL))
	}
	return err
}

// dialReader connects. The server reports a missing permission asynchronously instead of answering: refuse ends the
// wait for the answer.
func dialReader(o ReadOptions, refuse context.CancelCauseFunc) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("kycbridge events"), nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			// Without the permission to remove a consumer, the consumer expires at the server.
			if errors.Is(err, nats.ErrPermissionViolation) && !strings.Contains(err.Error(), ".CONSUMER.DELETE.") {
				refuse(err)
			}
		}),
	}
	if o.CredentialsFile != "" {
		if raw, err := readFile(o.CredentialsFile); err != nil {
			return nil, fmt.Errorf("read credentials file: %w", err)
		} else if !bytes.Contains(raw, []byte("-----BEGIN ")) {
			return nil, fmt.Errorf("%s contains no NATS credentials (a JWT and a seed)", o.CredentialsFile)
		}
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	}
	if o.User != "" {
		password, err := passwordOf(o.PasswordFile)
		if err != nil {
			return nil, err
		}
		options = append(options, nats.UserInfo(o.User, password))
	}
	if strings.Contains(addresses(o.URL), unreadable) {
		return nil, errors.New("--url: not the address of a NATS server; write one such as nats://127.0.0.1:4222")
	}
	nc, err := nats.Connect(o.URL, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("connect to NATS at %s: the server does not know this user or password: name one with "+
			"--user and --password-file, or --creds", addresses(o.URL))
	case err != nil:
		return nil, fmt.Errorf(
			"connect to NATS at %s: %w (is kycbridge running, and is this its embedded.listen or your NATS?)", addresses(o.URL),
			err)
	}
	return nc, nil
}

// passwordOf reads a file with one password.
func passwordOf(file string) (string, error) {
	raw, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("read password file: %w%s", err, pathShown(file))
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return "", fmt.Errorf("password file %s: it must hold one line, the password", file)
	}
	return password, nil
}

// unreadable replaces an invalid address: it may still contain a password.
const unreadable = "[unreadable]"

// addresses are the servers of a list without users, passwords and tokens.
func addresses(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Host == "" {
			parts[i] = unreadable
			continue
		}
		parts[i] = u.Scheme + "://" + u.Host
	}
	return strings.Join(parts, ",")
}

// readStream reads a stream from the position in the options.
func readStream(ctx context.Context, nc *nats.Conn, o ReadOptions, each func([]byte) error) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(o.Timeout))
	if err != nil {
		return err
	}
	looking, stop := context.WithTimeout(ctx, o.Timeout)
	defer stop()
	stream, err := js.Stream(looking, o.Stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrInvalidStreamName):
		return fmt.Errorf("there is no stream %s at %s: name the right one with --stream", o.Stream, addresses(o.URL))
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled),
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("NATS at %s has no JetStream for this user: is it the server that kycbridge publishes to?",
			addresses(o.URL))
	case err != nil:
		return fmt.Errorf("look up stream %s: %w", o.Stream, err)
	}
	o.pulled = publisher.AtMost(nc, pulledEvents, stream)
	if o.Newest > 0 && !o.Follow {
		return readNewest(ctx, stream, o, each)
	}
	return readFrom(ctx, looking, stream, o, each)
}

// readNewest passes the newest events, the newest first. It reads a window at the end of the stream, and a larger
// one until the window contains enough events.
func readNewest(ctx context.Context, stream jetstream.Stream, o ReadOptions, each func([]byte) error) error {
	state := stream.CachedInfo().State
	wanted := o.Newest
	o.Newest = 0
	for piece := uint64(max(4*wanted, 256)); ; piece *= 8 {
		o.from = max(state.FirstSeq, 1)
		if state.LastSeq > piece {
			o.from = max(o.from, state.LastSeq-piece+1)
		}
		var found [][]byte
		looking, stop := context.WithTimeout(ctx, o.Timeout)
		err := readFrom(ctx, looking, stream, o, func(body []byte) error {
			if found = append(found, body); len(found) > wanted {
				found = found[1:]
			}
			return nil
		})
		stop()
		if err != nil || ctx.Err() != nil {
			return err
		}
		if len(found) < wanted && o.from > state.FirstSeq {
			continue
		}
		for _, body := range slices.Backward(found) {
			if err := each(body); err != nil {
				return err
			}
		}
		return nil
	}
}

// readFrom reads from the position in the options; looking limits the requests before the first event.
func readFrom(ctx, looking context.Context, stream jetstream.Stream, o ReadOptions, each func([]byte) error) error {
	if held := holds(stream.CachedInfo().Config); o.Subject != "" && !anyMeets(held, o.Subject) {
		return fmt.Errorf("--subject %s: stream %s holds %s and nothing else", o.Subject, o.Stream, strings.Join(held, ", "))
	}
	consumer, err := stream.OrderedConsumer(looking, orderedFrom(o))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", o.Stream, err)
	}
	if !o.Follow {
		info, err := consumer.Info(looking)
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
		if info.NumPending+uint64(info.NumAckPending) == 0 {
			return nil
		}
	}
	return readOrdered(ctx, consumer, o, func(m jetstream.Msg) error {
		if o.Match != nil && !o.Match(m.Data()) {
			return nil
		}
		if o.Check != nil {
			if err := o.Check(m.Data(), m.Headers().Get(event.SignatureHeader)); err != nil {
				return err
			}
		}
		return each(m.Data())
	})
}

func orderedFrom(o ReadOptions) jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if o.Subject != "" {
		c.FilterSubjects = []string{o.Subject}
	}
	if o.from > 0 {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.from
	}
	if o.Since.After(time.Time{}) { // a time before the year 1 cannot be written into a request
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	return c
}

// holds are the subjects of a stream's messages: those it listens on, or their transformed form.
func holds(c jetstream.StreamConfig) []string {
	held := slices.Clone(c.Subjects)
	for i, s := range held {
		if c.SubjectTransform != nil && s == c.SubjectTransform.Source {
			held[i] = c.SubjectTransform.Destination
		}
	}
	return held
}

// anyMeets reports whether a subject exists that matches wanted and one of held; a stream without subjects
// may contain any.
func anyMeets(held []string, wanted string) bool {
	for _, h := range held {
		if meets(strings.Split(h, "."), strings.Split(wanted, ".")) {
			return true
		}
	}
	return len(held) == 0
}

// meets reports whether two subjects with wildcards overlap.
func meets(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == ">" || b[i] == ">":
			return true
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
	return len(a) == len(b)
}

// readOrdered passes messages on. Without follow, it ends at the last existing message, which must arrive in time;
// otherwise it runs until ctx ends.
func readOrdered(
	ctx context.Context, consumer jetstream.Consumer, o ReadOptions, each func(jetstream.Msg) error,
) error {
	messages, err := consumer.Messages(o.pulled)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	var patience []jetstream.NextOpt
	if !o.Follow {
		patience = append(patience, jetstream.NextMaxWait(max(eventTimeout, o.Timeout)))
	}
	for {
		m, err := messages.Next(patience...)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if err := each(m); err != nil {
			return err
		}
		if meta, err := m.Metadata(); err == nil && !o.Follow && meta.NumPending == 0 {
			return nil
		}
	}
}

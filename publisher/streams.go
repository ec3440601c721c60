package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// headRoom is what headers and subject of a message may add to its body.
	headRoom = 64 << 10
	// duplicateWindow is longer than the longest retry of a provider (Ondato: 24 h), with as much to spare.
	duplicateWindow = 48 * time.Hour

	payloadAge = 30 * 24 * time.Hour
	startAge   = 24 * time.Hour
	refusedAge = 72 * time.Hour
	refusedMax = 64 << 20
)

// stream is what we need a stream to be, and which of its settings carry a promise.
type stream struct {
	config jetstream.StreamConfig
	// bounded: the oldest messages may be dropped to make room.
	bounded bool
}

// storeStreams are the streams of the store: payloads and what became of those that led nowhere.
func storeStreams(n Names, maxBody int, replicas int) []stream {
	size := int32(maxBody + headRoom)
	keep := func(name, subjects, about string, age time.Duration) stream {
		return stream{config: jetstream.StreamConfig{
			Name: name, Description: about, Subjects: []string{n.join(subjects)},
			Storage: jetstream.FileStorage, Replicas: replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			MaxAge: age, MaxMsgSize: size, Duplicates: duplicateWindow,
			AllowDirect: true, AllowAtomicPublish: true,
		}}
	}
	refused := keep(n.refused(), "refused.>", "Callbacks that failed authentication, the newest only", refusedAge)
	refused.bounded = true
	refused.config.Discard, refused.config.MaxBytes = jetstream.DiscardOld, refusedMax
	polls := keep(n.polls(), "poll.>", "Open sessions to be asked about, one timer each", 0)
	// Scheduled messages cannot be combined with discard new; without a size limit nothing is discarded.
	polls.config.Subjects = append(polls.config.Subjects, n.watches())
	polls.config.AllowMsgSchedules, polls.config.Discard = true, jetstream.DiscardOld
	dispositions := keep(n.dispositions(), "disposition", "What became of stored payloads, many in a message", payloadAge)
	dispositions.config.Duplicates = 2 * time.Minute
	starts := keep(n.starts(), "start.>", "Verifications started under an idempotency key, for a day", startAge)
	starts.bounded, starts.config.MaxMsgsPerSubject, starts.config.Discard = true, 1, jetstream.DiscardOld
	starts.config.Duplicates = 2 * time.Minute
	tombstones := keep(n.tombstones(), "tombstone.>", "Verifications that were erased, one message each", 0)
	tombstones.config.MaxMsgsPerSubject, tombstones.config.Duplicates = 1, 2*time.Minute
	polls.config.Duplicates, refused.config.Duplicates = 2*time.Minute, 2*time.Minute // their messages carry no id
	return []stream{
		keep(n.payloads(), "payload.>", "Payloads as received: the outbox of everything", payloadAge),
		keep(n.quarantine(), "quarantine.>", "Authentic payloads that could not be processed, with the errors", payloadAge),
		refused,
		polls,
		starts,
		dispositions,
		tombstones,
	}
}

// busStreams is the stream of the bus: the canonical history, kept until told otherwise.
func busStreams(n Names, maxBody int, replicas int) []stream {
	return []stream{{config: jetstream.StreamConfig{
		Name: n.events(), Description: "Canonical verification events, one revision a message", Subjects: []string{n.EventSubjects()},
		Storage: jetstream.FileStorage, Replicas: replicas,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		// The compare-and-set keeps events apart; the window only spares a retried publish the conflict.
		MaxMsgSize: int32(LargestMessage(maxBody)), Duplicates: 2 * time.Minute,
		AllowDirect: true, AllowAtomicPublish: true,
	}}}
}

// ensure creates the stream, or brings an existing one up to date. It refuses an existing stream
// whose settings would break a promise, with each difference and how to mend it.
func ensure(ctx context.Context, js jetstream.JetStream, want stream) error {
	name := want.config.Name
	have, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = js.CreateStream(ctx, want.config); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", name, err)
		}
		if have, err = js.Stream(ctx, name); err != nil {
			return fmt.Errorf("look up stream %s: %w", name, err)
		}
	} else if err != nil {
		return fmt.Errorf("look up stream %s: %w", name, err)
	}
	config := have.CachedInfo().Config
	if broken := brokenPromises(config, want); len(broken) > 0 {
		return fmt.Errorf("stream %s exists with settings that would lose or double messages:\n  %s", name, strings.Join(broken, "\n  "))
	}
	updated := config
	updated.Subjects = withSubjects(config.Subjects, want.config.Subjects)
	updated.AllowDirect, updated.AllowAtomicPublish = true, true
	updated.AllowMsgSchedules = config.AllowMsgSchedules || want.config.AllowMsgSchedules
	if len(updated.Subjects) == len(config.Subjects) && config.AllowDirect && config.AllowAtomicPublish && updated.AllowMsgSchedules == config.AllowMsgSchedules {
		return nil
	}
	if _, err := js.UpdateStream(ctx, updated); err != nil {
		return fmt.Errorf("update stream %s: %w", name, err)
	}
	return nil
}

// withSubjects adds the wanted subjects that are not there yet.
func withSubjects(have, want []string) []string {
	all := slices.Clone(have)
	for _, s := range want {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// brokenPromises lists the settings of an existing stream that would lose an acknowledged message,
// take one twice or refuse one that we accept.
func brokenPromises(have jetstream.StreamConfig, want stream) (broken []string) {
	w := want.config
	say := func(bad bool, format string, args ...any) {
		if bad {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	edit := "`nats stream edit " + w.Name + " "
	say(have.Retention != w.Retention, "retention is %s, must be limits: delete the stream after draining it and let kycbridge create it", have.Retention)
	say(have.Storage != w.Storage, "storage is memory, must be file: delete the stream and let kycbridge create it")
	say(have.NoAck, "publishes are not acknowledged, they must be: %s--ack`", edit)
	say(have.Sealed, "it is sealed and takes no message: delete it and let kycbridge create it")
	say(have.Mirror != nil, "it mirrors another stream and takes no message: point kycbridge at the origin")
	say(have.Duplicates < w.Duplicates, "duplicate window is %s, must be at least %s: %s--dupe-window=%s`", have.Duplicates, w.Duplicates, edit, w.Duplicates)
	say(have.MaxMsgSize > 0 && have.MaxMsgSize < w.MaxMsgSize, "max message size is %d, must be at least %d: %s--max-msg-size=%d`", have.MaxMsgSize, w.MaxMsgSize, edit, w.MaxMsgSize)
	say(have.MaxAge > 0 && (w.MaxAge == 0 || have.MaxAge < leastAge(w.MaxAge)), "max age is %s, must be %s: %s--max-age=%s`", have.MaxAge, ageWord(w.MaxAge), edit, ageFlag(w.MaxAge))
	if want.bounded {
		return broken
	}
	say(have.Discard != w.Discard && (have.MaxBytes > 0 || have.MaxMsgs > 0), "discard policy is old with a size limit, must be new, or acknowledged messages vanish when it is full: %s--discard=new`", edit)
	say(have.MaxMsgsPerSubject > 0 && have.MaxMsgsPerSubject != w.MaxMsgsPerSubject && (have.Discard != jetstream.DiscardNew || !have.DiscardNewPerSubject), "messages per subject are limited to %d, must be unlimited: %s--max-msgs-per-subject=-1`", have.MaxMsgsPerSubject, edit)
	return broken
}

func ageWord(d time.Duration) string {
	if d == 0 {
		return "unlimited"
	}
	return "at least " + leastAge(d).String()
}

// leastAge is how short an operator may make the age of a stream that keeps messages for d.
func leastAge(d time.Duration) time.Duration { return min(d, duplicateWindow) }

func ageFlag(d time.Duration) string {
	if d == 0 {
		return "-1"
	}
	return d.String()
}

// LargestMessage is what a server must take in one message, given the largest payload in bytes: an
// event carries what a payload tells and more.
func LargestMessage(maxBody int) int { return 2*maxBody + headRoom }

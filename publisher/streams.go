package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	// headRoom is the allowance for headers and subject of a message.
	headRoom = 64 << 10
	// duplicateWindow is twice the longest period in which a provider retries (24 h).
	duplicateWindow = 48 * time.Hour

	// recordsLonger is how much longer than the payloads their dispositions are kept. Without one the retention cannot
	// know that a payload was processed while an earlier one still waits.
	recordsLonger = 24 * time.Hour

	// payloadAge was the age limit of payloads in earlier versions. Now the service removes them itself.
	payloadAge = 30 * 24 * time.Hour

	// eventWindow is the shortest duplicate window that a server allows. Events do not need one, because of their
	// compare-and-set. With a longer window the server would treat the first revision after an erasure as a
	// duplicate of the erased first revision, which has the same id.
	eventWindow = 100 * time.Millisecond
	refusedMax  = 64 << 20

	// subjectsOverlap is the code of the server's error if another stream has a subject of a stream.
	subjectsOverlap jetstream.ErrorCode = 10065
)

// stream is the required configuration of a stream, and which of its settings a guarantee depends on.
type stream struct {
	config jetstream.StreamConfig
	names  Names
	// bounded: the oldest messages may be dropped to make room.
	bounded bool
	// aged is the default age limit, or that of earlier versions; 0: the age is not configured. An operator may have
	// set another limit on an existing stream. That limit remains, unless chosen is set.
	aged   time.Duration
	chosen bool // the configuration of kycbridge names an age other than the default
	// lengthens: a running process only lengthens the age limit. Another process may have a longer retention; the two
	// would set their limits in turn, and what the longer one needs would expire.
	lengthens bool
	// outlasts is a stream whose messages this one describes; "": none. While there are older ones, the age limit of this
	// one is not shortened: they may belong to another process, which keeps them for longer.
	outlasts string
	// ours: only kycbridge creates it, so with other subjects it is of another prefix. To the others an operator may have
	// given subjects of their own. Of the store's streams the first one is ours: it is checked before one is changed.
	ours bool
}

// updates reports whether the age limit of an existing stream is replaced.
func (w stream) updates(have time.Duration) bool {
	want := w.config.MaxAge
	isLonger := want == 0 || have > 0 && have < want
	return w.aged > 0 && (w.chosen || have == w.aged) && (isLonger || !w.lengthens)
}

// keeper makes the configurations of the store's streams. They never drop a message to make room for another one.
type keeper struct {
	names    Names
	size     int32 // of a message, at most
	replicas int
}

// stream is one of the streams of the store; age 0: its messages do not expire.
func (k keeper) stream(name, subjects, about string, age time.Duration) stream {
	return stream{names: k.names, config: jetstream.StreamConfig{
		Name: name, Description: about, Subjects: []string{k.names.join(subjects)},
		Storage: jetstream.FileStorage, Replicas: k.replicas,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxAge: age, MaxMsgSize: k.size, Duplicates: duplicateWindow,
		AllowDirect: true, AllowAtomicPublish: true,
	}}
}

// provingStreams are further streams of the store: keys of bodies, the tamper-evident log, the access log and holds.
func provingStreams(n Names, keep func(name, subjects, about string, age time.Duration) stream) []stream {
	keyPages := keep(n.keyPages(), "key.>", "Keys of encrypted bodies, wrapped by a master key, many in a message", 0)
	access := keep(n.access(), "access.>", "Who used the API, the console and the tools, and why", kycbridge.AccessAge)
	ledger := keep(n.ledger(), "log.>", "The tamper-evident log: leaves, and signed checkpoints", 0)
	ledger.config.Subjects = append(ledger.config.Subjects, n.checkpoint())
	holds := keep(n.holds(), "hold.>", "Verifications that must not be erased, and why, one message each", 0)
	holds.config.Subjects = append(holds.config.Subjects, n.join("erasing.>"))
	holds.config.MaxMsgsPerSubject, holds.config.AllowMsgTTL = 1, true // claims to erase expire
	all := []stream{keyPages, access, ledger, holds}
	for i := range all {
		all[i].config.Duplicates = 2 * time.Minute // their messages have no id
		all[i].ours = true
	}
	return all
}

// storeStreams are the streams of the store: payloads and their dispositions.
func storeStreams(n Names, maxBody int, replicas int, retention kycbridge.Retention) []stream {
	usual := kycbridge.DefaultRetention()
	keep := keeper{n, int32(maxBody + headRoom), replicas}.stream
	refused := keep(n.refused(), "refused.>", "Callbacks that failed authentication, the newest only",
		retention.Refused)
	refused.bounded, refused.aged, refused.chosen = true, usual.Refused, retention.Refused != usual.Refused
	refused.config.Discard, refused.config.MaxBytes = jetstream.DiscardOld, refusedMax
	polls := keep(n.polls(), "poll.>", "Open sessions to be asked about, one timer each", 0)
	// Scheduled messages cannot be combined with discard new. Without a size limit nothing is discarded, so one that an
	// operator has set is refused.
	polls.config.Subjects = append(polls.config.Subjects, n.watches())
	polls.config.AllowMsgSchedules, polls.config.Discard = true, jetstream.DiscardOld
	longest := retention.Longest(kycbridge.ClassPayloads)
	dispositions := keep(n.dispositions(), "disposition", "What became of stored payloads, many in a message", longest)
	if longest > 0 {
		dispositions.config.MaxAge = max(longest+recordsLonger, duplicateWindow)
	}
	dispositions.aged, dispositions.chosen = usual.Payloads, longest != usual.Payloads
	dispositions.outlasts, dispositions.config.Duplicates = n.payloads(), 2*time.Minute
	starts := keep(n.starts(), "start.>", "Verifications started under an idempotency key, for a day", retention.Starts)
	starts.aged, starts.chosen = usual.Starts, retention.Starts != usual.Starts
	starts.bounded, starts.config.MaxMsgsPerSubject, starts.config.Discard = true, 1, jetstream.DiscardOld
	starts.config.Duplicates = 2 * time.Minute
	tombstones := keep(n.tombstones(), "tombstone.>", "Verifications that were erased, one message each", 0)
	tombstones.config.MaxMsgsPerSubject, tombstones.config.Duplicates = 1, 2*time.Minute
	tombstones.config.Subjects = append(tombstones.config.Subjects, n.join("erased.>"))
	polls.config.Duplicates, refused.config.Duplicates = 2*time.Minute, 2*time.Minute // their messages have no id
	index := keep(n.index(), "index.>", "Which verification an id stands for: keyed digests, sorted, many in a message", 0)
	index.bounded, index.config.MaxMsgsPerSubject, index.config.Discard = true, 1, jetstream.DiscardOld
	index.config.Duplicates, index.config.AllowMsgTTL = 2*time.Minute, true // a process of an earlier version uses it
	payloads := keep(n.payloads(), "payload.>", "Payloads as received: the outbox of everything", 0)
	payloads.aged, payloads.chosen = usual.Payloads, longest != usual.Payloads || len(retention.Accounts) > 0
	payloads.config.AllowMsgTTL = true // for the bar of an erasure
	quarantine := keep(n.quarantine(), "quarantine.>",
		"Authentic payloads that could not be processed, with the errors", 0)
	quarantine.aged, quarantine.chosen = usual.Quarantine, retention.Quarantine != usual.Quarantine
	// The stream of keys is created before the streams whose messages are encrypted with them.
	return append(provingStreams(n, keep),
		payloads,
		quarantine,
		refused,
		polls,
		starts,
		dispositions,
		tombstones,
		index,
	)
}

// busStreams is the stream of the bus: the canonical history, without expiry by default. It listens on
// internal subjects, stores messages under the subjects of events, and republishes each message to the
// subscribers of these subjects only after it is stored: no subscriber receives an event that the stream refused.
func busStreams(n Names, maxBody int, replicas int) []stream {
	return []stream{{names: n, ours: true, config: jetstream.StreamConfig{
		Name: n.events(), Description: "Canonical verification events, one revision a message", Subjects: []string{n.puts()},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: n.puts(), Destination: n.EventSubjects()},
		RePublish:        &jetstream.RePublish{Source: n.EventSubjects(), Destination: n.EventSubjects()},
		Storage:          jetstream.FileStorage, Replicas: replicas,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgSize: int32(LargestMessage(maxBody)), Duplicates: eventWindow,
		AllowDirect: true, AllowAtomicPublish: true,
	}}}
}

// open ensures that the streams exist.
func (c *Connection) open(ctx context.Context, wanted []stream) error {
	for _, want := range wanted {
		err := retryUntilReady(ctx, func(ctx context.Context) error {
			_, err := c.ensure(ctx, want)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ensure creates or updates the stream durably; made reports whether it created the stream. It refuses an existing
// stream whose settings would break a guarantee. The error lists each difference and its correction.
func (c *Connection) ensure(ctx context.Context, want stream) (made bool, err error) {
	name, js := want.config.Name, c.js
	asked := c.clocks.read()
	have, err := js.Stream(ctx, name)
	if err == nil {
		c.clocks.note(c.log, name, asked, have.CachedInfo().TimeStamp, c.clocks.read())
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want.config)
		if made = err == nil; err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, fmt.Errorf("create stream %s: %w", name, want.explained(err))
		}
		if have, err = js.Stream(ctx, name); err != nil {
			return false, fmt.Errorf("look up stream %s: %w", name, err)
		}
	} else if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", name, err)
	}
	config := have.CachedInfo().Config
	if err := want.ofOtherPrefix(config.Subjects); err != nil {
		return false, err
	}
	if broken := brokenPromises(config, want); len(broken) > 0 {
		return false, unsafeStream{name, broken}
	}
	updated := broughtUp(config, want)
	if updated.MaxAge != config.MaxAge {
		isNeeded, err := c.describesOlder(ctx, want, config.MaxAge)
		if err != nil {
			return false, err
		}
		if isNeeded {
			updated.MaxAge = config.MaxAge
		}
	}
	if !reflect.DeepEqual(updated, config) {
		if _, err := js.UpdateStream(ctx, updated); err != nil {
			return false, fmt.Errorf("update stream %s: %w", name, want.explained(err))
		}
		if config.MaxAge > 0 && updated.MaxAge == 0 {
			c.lifted[name] = have.CachedInfo().State.FirstSeq
		}
	} else if !made {
		return false, nil
	}
	if err := c.disk.flushAll(ctx); err != nil {
		return made, fmt.Errorf("keep stream %s: %w", name, err)
	}
	return made, nil
}

// describesOlder reports whether a shorter age limit of a stream would remove what describes stored messages.
func (c *Connection) describesOlder(ctx context.Context, want stream, have time.Duration) (bool, error) {
	age := want.config.MaxAge
	if want.outlasts == "" || age == 0 || have > 0 && have < age {
		return false, nil
	}
	described, err := c.js.Stream(ctx, want.outlasts)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", want.outlasts, err)
	}
	info := described.CachedInfo()
	return info.State.Msgs > 0 && info.TimeStamp.Sub(info.State.FirstTime) > age-recordsLonger, nil
}

// examine returns an unsafeStream if a stream exists with settings that would break a guarantee. It changes nothing.
func (c *Connection) examine(ctx context.Context, want stream) error {
	have, err := c.js.Stream(ctx, want.config.Name)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", want.config.Name, err)
	}
	if broken := brokenPromises(have.CachedInfo().Config, want); len(broken) > 0 {
		return unsafeStream{want.config.Name, broken}
	}
	return nil
}

// ofOtherPrefix refuses an existing stream that takes messages under another prefix only: it belongs to another
// configuration, or the prefix was changed. The subjects of this one must not be added to it, and the corrections of
// brokenPromises would stop the processes that use it.
func (w stream) ofOtherPrefix(have []string) error {
	own := w.names.join(">")
	if !w.ours || len(have) == 0 || slices.ContainsFunc(have, func(s string) bool { return meet(s, own) }) {
		return nil
	}
	return fmt.Errorf("stream %s holds %s, not the subjects of names.subject_prefix %s: write the prefix that it was "+
		"created with, or another names.stream_prefix too, which begins with an empty store",
		w.config.Name, strings.Join(have, " and "), w.names.Subject)
}

// explained adds what to do to an error about subjects that another stream has.
func (w stream) explained(err error) error {
	if refused, ok := errors.AsType[*jetstream.APIError](err); !ok || refused.ErrorCode != subjectsOverlap {
		return err
	}
	return fmt.Errorf("a stream with another name has its subjects already, of names.subject_prefix %s: write the "+
		"names.stream_prefix of that stream instead of %s, or another names.subject_prefix too, which begins with an "+
		"empty store: %w", w.names.Subject, w.names.Stream, err)
}

// broughtUp is an existing configuration with the settings that an earlier version did not have. The
// server applies them atomically, so no message is lost between the old subjects and the new.
func broughtUp(have jetstream.StreamConfig, wanted stream) jetstream.StreamConfig {
	updated, want := have, wanted.config
	if wanted.updates(have.MaxAge) {
		updated.MaxAge = want.MaxAge
	}
	updated.Subjects = withSubjects(have.Subjects, want.Subjects)
	updated.AllowDirect, updated.AllowAtomicPublish = true, true
	updated.AllowMsgSchedules = have.AllowMsgSchedules || want.AllowMsgSchedules
	updated.AllowMsgTTL = have.AllowMsgTTL || want.AllowMsgTTL
	if want.RePublish != nil {
		updated.Duplicates = want.Duplicates
		updated.SubjectTransform, updated.RePublish = want.SubjectTransform, want.RePublish
		// A stream that listens on the subjects on which it republishes would store its own messages endlessly.
		updated.Subjects = slices.DeleteFunc(updated.Subjects,
			func(s string) bool { return meet(s, want.RePublish.Destination) })
	}
	return updated
}

// withSubjects adds the wanted subjects that are missing.
func withSubjects(have, want []string) []string {
	all := slices.Clone(have)
	for _, s := range want {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// brokenPromises lists the settings of an existing stream that would lose an acknowledged message, store
// one twice or refuse an accepted one.
func brokenPromises(have jetstream.StreamConfig, want stream) (broken []string) {
	w := want.config
	say := func(bad bool, format string, args ...any) {
		if bad {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	edit := "`nats stream edit " + w.Name + " "
	say(have.Retention != w.Retention,
		"retention is %s, must be limits: delete the stream after draining it and let kycbridge create it", have.Retention)
	say(have.Storage != w.Storage, "storage is memory, must be file: delete the stream and let kycbridge create it")
	say(have.NoAck, "publishes are not acknowledged, they must be: %s--ack`", edit)
	say(have.Sealed, "it is sealed and takes no message: delete it and let kycbridge create it")
	say(have.Mirror != nil, "it mirrors another stream and takes no message: point kycbridge at the origin")
	say(have.SubjectTransform != nil && !reflect.DeepEqual(have.SubjectTransform, w.SubjectTransform),
		"it stores messages under other subjects than they come with: %s--no-transform`", edit)
	say(have.RePublish != nil && !reflect.DeepEqual(have.RePublish, w.RePublish),
		"it republishes %s to %s: %s--no-republish`", rePublished(have.RePublish).Source,
		rePublished(have.RePublish).Destination, edit)
	say(have.Duplicates < w.Duplicates, "duplicate window is %s, must be at least %s: %s--dupe-window=%s`",
		have.Duplicates, w.Duplicates, edit, w.Duplicates)
	say(have.MaxMsgSize > 0 && have.MaxMsgSize < w.MaxMsgSize,
		"max message size is %d, must be at least %d: %s--max-msg-size=%d`", have.MaxMsgSize, w.MaxMsgSize, edit,
		w.MaxMsgSize)
	age := cmp.Or(w.MaxAge, want.aged)
	say(have.MaxAge > 0 && !want.updates(have.MaxAge) && (age == 0 || have.MaxAge < leastAge(age)),
		"max age is %s, must be %s: %s--max-age=%s`", have.MaxAge, ageWord(age), edit, ageFlag(age))
	if want.bounded {
		return broken
	}
	isLimited := have.MaxBytes > 0 || have.MaxMsgs > 0
	say(isLimited && w.Discard == jetstream.DiscardOld,
		"it has a size limit, must have none, or open sessions vanish when it is full: %s--max-bytes=-1 --max-msgs=-1`", edit)
	say(isLimited && have.Discard != w.Discard,
		"discard policy is old with a size limit, must be new, or acknowledged messages vanish when it is full: "+
			"%s--discard=new`", edit)
	say(have.MaxMsgsPerSubject > 0 && have.MaxMsgsPerSubject != w.MaxMsgsPerSubject &&
		(have.Discard != jetstream.DiscardNew || !have.DiscardNewPerSubject),
		"messages per subject are limited to %d, must be unlimited: %s--max-msgs-per-subject=-1`", have.MaxMsgsPerSubject,
		edit)
	return broken
}

// rePublished is the republication of a stream; the zero value if it has none.
func rePublished(r *jetstream.RePublish) jetstream.RePublish {
	if r == nil {
		return jetstream.RePublish{}
	}
	return *r
}

func ageWord(d time.Duration) string {
	if d == 0 {
		return "unlimited"
	}
	return "at least " + leastAge(d).String()
}

// leastAge is the minimum age limit that an operator may set for a stream with retention d.
func leastAge(d time.Duration) time.Duration { return min(d, duplicateWindow) }

func ageFlag(d time.Duration) string {
	if d == 0 {
		return "-1"
	}
	return d.String()
}

// LargestMessage is the required message limit of a server, given the largest payload in bytes: an event
// carries the content of a payload and more.
func LargestMessage(maxBody int) int { return 2*maxBody + headRoom }

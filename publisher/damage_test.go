package publisher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/publisher/blocks"
	"kycbridge/test/wait"
)

// stock is the content of a store: the messages of each stream as text, by sequence.
type stock map[string]map[uint64]string

// stocked creates a store with messages in every stream, some of them erased, and closes it.
func stocked(t testing.TB, dir string) stock {
	t.Helper()
	e, store, bus := openAt(t, dir, zap.NewNop())
	ctx := t.Context()
	for i := range 40 {
		p := payload(fmt.Sprint("idv-", i%15), fmt.Sprint("e", i),
			fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 20*i)))
		p.Reference = fmt.Sprint("idv-", i%15)
		p.VerificationID = event.VerificationID(p.Provider, p.Account, p.Reference)
		if _, err := store.Append(ctx, p); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			must(t, store.Quarantine(ctx, p, kycbridge.QuarantineSchema, nil))
		}
		if i < 15 {
			w := kycbridge.Watch{Provider: p.Provider, Account: p.Account, Reference: p.Reference,
				Deadline: time.Now().Add(time.Hour)}
			must(t, store.Schedule(ctx, w, time.Now().Add(time.Hour)))
			e, body := eventOf(p, 1)
			must(t, bus.Publish(ctx, key(p), sealed(event.KindUpdated, e, body), 0))
		}
	}
	must(t, store.WriteTombstone(ctx,
		kycbridge.Tombstone{Provider: "ondato", Account: "acme",
			VerificationID: event.VerificationID("ondato", "acme", "gone")}))
	work(t, store, 40)
	must(t, store.Erase(ctx, kycbridge.ShelfPayloads, 7, true))
	must(t, store.Erase(ctx, kycbridge.ShelfPayloads, 9, false))
	all := stockOf(t, store)
	closeAt(e, store, bus)
	return all
}

// openAt opens a store without the clean-ups of start.
func openAt(t testing.TB, dir string, log *zap.Logger) (*Embedded, *Store, *Bus) {
	t.Helper()
	e, err := StartEmbedded(EmbeddedOptions{Dir: dir, Names: testNames, MaxBody: testMaxBody, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) *Connection {
		c, err := Connect(t.Context(), Dial{Name: name, Options: e.Dial(), Server: e}, testMaxBody, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	store, err := OpenStore(t.Context(), open("store"), testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	if err != nil {
		t.Fatal(err)
	}
	bus, err := OpenBus(t.Context(), open("bus"), testNames, testMaxBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	return e, store, bus
}

func closeAt(e *Embedded, store *Store, bus *Bus) {
	bus.Close()
	store.Close()
	e.Close()
}

// work processes the log until n payloads are processed and none is left.
func work(t testing.TB, store *Store, n int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second*wait.Slowdown)
	defer stop()
	worked := make(chan struct{}, 4096)
	done := make(chan error, 1)
	go func() {
		done <- store.Consume(ctx, ConsumeOptions{Workers: 2, Exclusive: true, Log: zap.NewNop(),
			Hold: func() bool { return true },
			Work: func(context.Context, kycbridge.Payload, int) (kycbridge.Disposition, time.Duration) {
				worked <- struct{}{}
				return kycbridge.Disposition{Revision: 1}, 0
			}})
	}()
	for range n {
		select {
		case <-worked:
		case <-ctx.Done():
			t.Fatalf("not %d payloads are worked", n)
		}
	}
	for left := 1; left > 0 && ctx.Err() == nil; {
		var err error
		if left, err = store.Backlog(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// stockOf reads every message of a store.
func stockOf(t testing.TB, store *Store) stock {
	t.Helper()
	all := stock{}
	for _, s := range append(slices.Clone(store.wanted()), busStreams(testNames, testMaxBody, 1)...) {
		stream, err := store.js.Stream(t.Context(), s.config.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[s.config.Name] = map[uint64]string{}
		state := stream.CachedInfo().State
		if state.LastSeq-state.FirstSeq > 1000 && state.Msgs > 0 {
			t.Fatalf("%s: from %d to %d", s.config.Name, state.FirstSeq, state.LastSeq)
		}
		for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
			m, err := stream.GetMsg(t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				t.Fatalf("%s %d: %v", s.config.Name, seq, err)
			}
			all[s.config.Name][seq] = fmt.Sprintf("%s %v %q %s", m.Subject, m.Header, m.Data, m.Time)
		}
	}
	return all
}

// filesOf are the checked files of a store; index.db and the lists of timers are rebuilt by the server.
func filesOf(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "jetstream"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func watched(level zapcore.Level) (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(level)
	return zap.New(core), logs
}

// TestOneBitAnywhere flips one bit at each of many offsets of a closed store, and starts on it. The start
// succeeds, every message is unchanged, and new ones are stored and processed.
func TestOneBitAnywhere(t *testing.T) {
	t.Parallel()
	positions := 200
	if testing.Short() || wait.Race {
		positions = 25
	}
	seed := damageSeed()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	whole := t.TempDir()
	want := stocked(t, whole)
	files := filesOf(t, whole)
	for range positions {
		file := files[rnd.IntN(len(files))]
		info, err := os.Stat(whole + file)
		if err != nil || info.Size() == 0 {
			continue
		}
		at, bit := rnd.Int64N(info.Size()), rnd.IntN(8)
		t.Run(fmt.Sprintf("%s at %d bit %d", file, at, bit), func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(whole)))
			raw, err := os.ReadFile(dir + file)
			must(t, err)
			raw[at] ^= 1 << bit
			must(t, os.WriteFile(dir+file, raw, 0o600))
			startsOn(t, dir, want)
		})
	}
}

// startsOn starts on a store and compares its content with the wanted one.
func startsOn(t *testing.T, dir string, want stock) {
	t.Helper()
	log, logs := watched(zapcore.WarnLevel)
	began := time.Now()
	e, store, bus := openAt(t, dir, log)
	defer closeAt(e, store, bus)
	if took := time.Since(began); took > 5*time.Second*wait.Slowdown {
		t.Errorf("the start took %s", took)
	}
	got := stockOf(t, store)
	for stream, messages := range want {
		for seq, m := range messages {
			if got[stream][seq] != m {
				t.Errorf("%s %d: %.300s\nwas %.300s", stream, seq, got[stream][seq], m)
			}
		}
		for seq := range got[stream] {
			if _, ok := messages[seq]; !ok {
				t.Errorf("%s %d was not there: %.300s", stream, seq, got[stream][seq])
			}
		}
	}
	p := payload("new", "new", `{"new":true}`)
	if stored, err := store.Append(t.Context(), p); err != nil || stored.Duplicate {
		t.Errorf("a new payload: %+v, %v", stored, err)
	}
	work(t, store, 1)
	if t.Failed() {
		for _, l := range logs.All() {
			t.Log(l.Message, l.ContextMap())
		}
	}
}

// recordSpan is the position of a record in a block and the message that it holds.
type recordSpan struct {
	from, to int
	seq      uint64
}

// recordSpans lists the records of an intact block.
func recordSpans(raw []byte) (all []recordSpan) {
	for at := 0; at < len(raw); {
		length := int(binary.LittleEndian.Uint32(raw[at:]) &^ (1 << 31))
		all = append(all, recordSpan{at, at + length, binary.LittleEndian.Uint64(raw[at+4:])})
		at += length
	}
	return all
}

var damageSeedFlag = flag.Uint64("damage-seed", 1, "where the damage tests alter a store; 0: random")

func damageSeed() uint64 {
	if *damageSeedFlag == 0 {
		return uint64(time.Now().UnixNano())
	}
	return *damageSeedFlag
}

// TestManyBytesAnywhere overwrites part of a block, or truncates it. Every untouched message is unchanged,
// missing ones are named, and sequences are not assigned again.
func TestManyBytesAnywhere(t *testing.T) {
	t.Parallel()
	positions := 120
	if testing.Short() || wait.Race {
		positions = 15
	}
	seed := damageSeed()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	whole := t.TempDir()
	want := stocked(t, whole)
	streams := []string{testNames.payloads(), testNames.events(), testNames.quarantine(), testNames.dispositions(),
		testNames.polls()}
	ways := map[string]func(raw []byte) []byte{
		"overwritten": func(raw []byte) []byte {
			at := rnd.IntN(len(raw))
			for i := range raw[at:min(at+2+rnd.IntN(1200), len(raw))] {
				raw[at+i] = byte(rnd.Uint32())
			}
			return raw
		},
		"zeroed": func(raw []byte) []byte {
			at := rnd.IntN(len(raw))
			clear(raw[at:min(at+1+rnd.IntN(1200), len(raw))])
			return raw
		},
		"cut off": func(raw []byte) []byte { return raw[:rnd.IntN(len(raw))] },
		"a piece taken out": func(raw []byte) []byte {
			at := rnd.IntN(len(raw))
			return slices.Delete(raw, at, min(at+1+rnd.IntN(600), len(raw)))
		},
	}
	names := slices.Sorted(maps.Keys(ways))
	for i := range positions {
		stream, way := streams[rnd.IntN(len(streams))], names[rnd.IntN(len(names))]
		t.Run(fmt.Sprintf("%d %s %s", i, stream, way), func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(whole)))
			file := filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "msgs", "1.blk")
			before, err := os.ReadFile(file)
			must(t, err)
			after := ways[way](slices.Clone(before))
			must(t, os.WriteFile(file, after, 0o600))
			if rnd.IntN(2) == 0 { // the process was killed, and the files beside the messages are outdated
				must(t, os.Remove(filepath.Join(filepath.Dir(file), "index.db")))
			}
			survives(t, dir, stream, want, intact(before, after))
		})
	}
}

// TestCutOffBetweenRecords truncates a block exactly at the end of a record: the rest is intact, and only
// the index, or the state recorded when the server was closed, shows that there was more.
func TestCutOffBetweenRecords(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	want := stocked(t, whole)
	for _, stream := range []string{testNames.payloads(), testNames.events(), testNames.quarantine(), testNames.polls()} {
		for _, indexed := range []bool{true, false} {
			for _, share := range []int{0, 3} {
				t.Run(fmt.Sprintf("%s index %v, %d of 4 left", stream, indexed, share), func(t *testing.T) {
					dir := t.TempDir()
					must(t, os.CopyFS(dir, os.DirFS(whole)))
					file := filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "msgs", "1.blk")
					before, err := os.ReadFile(file)
					must(t, err)
					all := recordSpans(before)
					after := before[:all[len(all)*share/4].from]
					must(t, os.WriteFile(file, after, 0o600))
					if !indexed {
						must(t, os.Remove(filepath.Join(filepath.Dir(file), "index.db")))
					}
					survives(t, dir, stream, want, intact(before, after))
				})
			}
		}
	}
}

// TestEmptiedStreamIsWhole: a stream whose last message was erased is not reported as truncated, whatever
// remains of the index.
func TestEmptiedStreamIsWhole(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		for _, indexed := range []bool{true, false} {
			t.Run(fmt.Sprintf("overwritten %v, index %v", secure, indexed), func(t *testing.T) {
				dir := t.TempDir()
				e, store, bus := openAt(t, dir, zap.NewNop())
				for i := range 5 {
					_, err := store.Append(t.Context(), payload("idv", fmt.Sprint("e", i), `{}`))
					must(t, err)
				}
				for seq := uint64(1); seq <= 5; seq++ {
					must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, seq, secure))
				}
				closeAt(e, store, bus)
				if !indexed {
					must(t, os.Remove(filepath.Join(dir, "jetstream", ownAccount, "streams", testNames.payloads(), "msgs",
						"index.db")))
				}
				log, logs := watched(zapcore.WarnLevel)
				e, store, bus = openAt(t, dir, log)
				defer func() { closeAt(e, store, bus) }()
				if len(e.damage) > 0 {
					t.Errorf("it is reported as damaged: %+v, %v", e.damage, logs.All())
				}
				if end, err := store.newest(t.Context(), testNames.payloads()); err != nil || end != 5 {
					t.Errorf("the log ends at %d, %v", end, err)
				}
			})
		}
	}
}

// intact are the messages of a block whose records are unchanged in another one.
func intact(before, after []byte) map[uint64]bool {
	out := map[uint64]bool{}
	for _, l := range recordSpans(before) {
		out[l.seq] = bytes.Contains(after, before[l.from:l.to])
	}
	return out
}

// survives starts on a store with one damaged block.
func survives(t *testing.T, dir, stream string, want stock, intact map[uint64]bool) {
	t.Helper()
	log, logs := watched(zapcore.WarnLevel)
	began := time.Now()
	e, store, bus := openAt(t, dir, log)
	defer closeAt(e, store, bus)
	if took := time.Since(began); took > 15*time.Second*wait.Slowdown {
		t.Errorf("the start took %s", took)
	}
	got := stockOf(t, store)
	missing := []uint64{}
	for seq, m := range want[stream] {
		switch have := got[stream][seq]; {
		case have == m:
		case intact[seq]:
			t.Errorf("%s %d was not touched and is %.200q", stream, seq, have)
		case have != "":
			t.Errorf("%s %d is altered: %.200s\nwas %.200s", stream, seq, have, m)
		default:
			missing = append(missing, seq)
		}
	}
	for _, seq := range missing {
		if !reported(e.damage, seq) {
			t.Errorf("%s %d is missing and not reported: %+v", stream, seq, e.damage)
		}
	}
	if logs.FilterMessageSnippet("embedded store").Len() == 0 && len(missing) > 0 && !tornOnly(e.damage) {
		t.Errorf("%d messages are missing and not logged: %v", len(missing), logs.All())
	}
	fresh := payload("new", "new", `{"new":true}`)
	if stored, err := store.Append(t.Context(), fresh); err != nil || stored.Duplicate {
		t.Errorf("a new payload: %+v, %v", stored, err)
	}
	work(t, store, 1)
}

// reported reports whether findings name a sequence.
func reported(findings []blocks.Finding, seq uint64) bool {
	for _, f := range findings {
		if f.Torn {
			return true
		}
		for _, l := range f.Lost {
			if l.Seq == seq || l.After < seq && (l.Before == 0 || seq < l.Before) {
				return true
			}
		}
	}
	return false
}

func tornOnly(findings []blocks.Finding) bool {
	return len(findings) == 1 && findings[0].Torn
}

// TestDamagedFiles damages whole files of a store of several blocks.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	if wait.Race {
		t.Skip("it copies and reads 24 MB for each kind of damage: run it without the race detector, as .ci/run does")
	}
	whole := t.TempDir()
	e, store, bus := openAt(t, whole, zap.NewNop())
	const payloads = 24 // a block holds eight of them
	for i := range payloads {
		p := payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i),
			fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 1000<<10)))
		if _, err := store.Append(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	work(t, store, payloads)
	want := stockOf(t, store)
	closeAt(e, store, bus)
	stream := filepath.Join("jetstream", ownAccount, "streams", testNames.payloads())
	normalizer := filepath.Join(stream, "obs", Consumer)
	block := func(n int) string { return filepath.Join(stream, "msgs", fmt.Sprint(n, ".blk")) }
	garbage := []byte("\x16\x02garbage in the state of a consumer")
	for name, test := range map[string]struct {
		hurt  func(t *testing.T, dir string)
		lost  func(seq uint64) bool // nil: nothing
		says  string                // of a log line; "": none
		again bool                  // everything is processed again
	}{
		"untouched": {func(*testing.T, string) {}, nil, "", false},
		"two blocks that have each other's names": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, block(1)), filepath.Join(dir, "x")))
			must(t, os.Rename(filepath.Join(dir, block(2)), filepath.Join(dir, block(1))))
			must(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, block(2))))
		}, nil, "the name of another", false},
		"one block twice": {func(t *testing.T, dir string) {
			raw, err := os.ReadFile(filepath.Join(dir, block(1)))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, block(2)), raw, 0o600))
		}, func(seq uint64) bool { return seq > 8 && seq <= 16 }, "damaged and lost", false},
		"a block deleted": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, block(2)))) },
			func(seq uint64) bool { return seq > 8 && seq <= 16 }, "", false},
		"the last block deleted": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, block(3)))) },
			func(seq uint64) bool { return seq > 16 }, "damaged and lost", false},
		"a block emptied": {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, block(2)), 0)) },
			func(seq uint64) bool { return seq > 8 && seq <= 16 }, "", false},
		"a block made huge": {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, block(2)), 4<<30)) },
			func(seq uint64) bool { return seq > 8 && seq <= 16 }, "damaged and lost", false},
		"a state of garbage": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, normalizer, "o.dat"), garbage, 0o600))
		}, nil, "state of a consumer", true},
		"a state of a million entries": {func(t *testing.T, dir string) {
			state := binary.AppendUvarint([]byte{22, 2, 1, 1, 2, 2}, 1<<40)
			must(t, os.WriteFile(filepath.Join(dir, normalizer, "o.dat"), state, 0o600))
		}, nil, "state of a consumer", true},
		"settings of a consumer": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, normalizer, "meta.inf"), []byte("{"), 0o600))
		}, nil, "settings in the embedded store", false},
		"settings of a stream": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, stream, "meta.inf"), []byte("{}"), 0o600))
		}, nil, "settings in the embedded store", false},
		"no settings of a stream": {func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, stream, "meta.inf")))
		}, nil, "settings in the embedded store", false},
		"an index of garbage": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, stream, "msgs", "index.db"), garbage, 0o600))
		}, nil, "", false},
		"a memory of garbage": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, checkedFile), garbage, 0o600))
		}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(whole)))
			test.hurt(t, dir)
			log, logs := watched(zapcore.ErrorLevel)
			e, store, bus := openAt(t, dir, log)
			defer closeAt(e, store, bus)
			got := stockOf(t, store)[testNames.payloads()]
			for seq, m := range want[testNames.payloads()] {
				if lost := test.lost != nil && test.lost(seq); lost != (got[seq] == "") || !lost && got[seq] != m {
					t.Errorf("message %d: lost %v, want %v", seq, got[seq] == "", lost)
				}
			}
			if said := logs.FilterMessageSnippet(test.says).Len(); said == 0 && test.says != "" || test.says == "" && said > 0 {
				t.Errorf("the log says %v, want %q", logs.All(), test.says)
			}
			worked := 1
			if test.again {
				worked += payloads
			}
			if stored, err := store.Append(t.Context(), payload("new", "new", `{}`)); err != nil || stored.Duplicate {
				t.Fatalf("a new payload: %+v, %v", stored, err)
			}
			work(t, store, worked)
		})
	}
}

package publisher

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/internal/ledger"
	"kycbridge/test/wait"
)

var alterations = flag.Int("alterations", 60/int(wait.Slowdown),
	"random alterations of a copied store in TestAlterationsAreFound")

// copied are the messages of the streams of a store.
type copied map[string][]copiedMessage

type copiedMessage struct {
	subject string
	header  nats.Header
	data    []byte // nil with an empty subject: there is no message at this sequence
}

func (c copied) clone() copied {
	out := copied{}
	for stream, messages := range c {
		for _, m := range messages {
			h := nats.Header{}
			for name, values := range m.header {
				h[name] = slices.Clone(values)
			}
			out[stream] = append(out[stream], copiedMessage{m.subject, h, bytes.Clone(m.data)})
		}
	}
	return out
}

// ledgerStore is a store with a tamper-evident log, and the key that signs it.
type ledgerStore struct {
	t     *testing.T
	store *Store
	bus   *Bus
	key   ed25519.PrivateKey
}

func newLedgerStore(t *testing.T, dir string, key ed25519.PrivateKey) *ledgerStore {
	t.Helper()
	_, store, bus := start(t, dir)
	store.WithSalts()
	bus.WithSalts()
	bus.RecordErasures(store)
	return &ledgerStore{t, store, bus, key}
}

func (s *ledgerStore) archive() *archive.Archive {
	return &archive.Archive{Ledger: NewLedger(s.store, s.bus), Streams: []archive.Streams{s.store, s.bus},
		Erasures: s.store, Ageing: s.store, Now: time.Now}
}

// audit compares the store with its log and with checkpoints from elsewhere.
func (s *ledgerStore) audit(checkpoints ...[]byte) *archive.LogAudit {
	s.t.Helper()
	public, _ := s.key.Public().(ed25519.PublicKey)
	v, err := ledger.NewVerifiers(public)
	must(s.t, err)
	out, err := s.archive().Audit(s.t.Context(), archive.Witness{Verifiers: v, Origin: "test", Checkpoints: checkpoints})
	must(s.t, err)
	return out
}

// follow adds and signs everything, and returns the checkpoint.
func (s *ledgerStore) follow() []byte {
	s.t.Helper()
	l := NewLedger(s.store, s.bus)
	for more := 1; more > 0; {
		var err error
		more, err = l.Extend(s.t.Context())
		must(s.t, err)
	}
	signed, err := l.Sign(s.t.Context(), "test", func(c ledger.Checkpoint) ([]byte, error) { return c.Sign(s.key) })
	must(s.t, err)
	return signed
}

// fill stores some of each kind of message.
func (s *ledgerStore) fill(from, n int) {
	s.t.Helper()
	for i := from; i < from+n; i++ {
		p := payload(fmt.Sprint("ref-", i/2), fmt.Sprint("event-", i), fmt.Sprintf(`{"n":%d,"name":"Testa %d"}`, i, i))
		p.Placement, p.Reference = "bearer", fmt.Sprint("ref-", i/2)
		_, err := s.store.Append(s.t.Context(), p)
		must(s.t, err)
		k := kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: p.VerificationID}
		e, _ := eventOf(p, i%2+1)
		body, err := json.Marshal(e)
		must(s.t, err)
		last, err := s.bus.Last(s.t.Context(), k, false)
		must(s.t, err)
		must(s.t, s.bus.Publish(s.t.Context(), k, sealed(event.KindUpdated, e, body), last.Seq))
		if i%3 == 0 {
			must(s.t, s.store.StoreAccess(s.t.Context(), kycbridge.Access{Operation: "purge", By: fmt.Sprint("alice-", i)}))
		}
	}
}

// copyOfStore reads all streams that the audit reads.
func (s *ledgerStore) copyOfStore() copied {
	s.t.Helper()
	out := copied{}
	for name, c := range map[string]*Connection{testNames.payloads(): s.store.Connection,
		testNames.events(): s.bus.Connection, testNames.access(): s.store.Connection,
		testNames.ledger(): s.store.Connection, testNames.tombstones(): s.store.Connection} {
		stream, err := c.js.Stream(s.t.Context(), name)
		must(s.t, err)
		for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
			raw, err := stream.GetMsg(s.t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && isBar(raw.Subject) {
				out[name] = append(out[name], copiedMessage{})
				continue
			}
			must(s.t, err)
			h := nats.Header{}
			for header, values := range raw.Header {
				if header == nats.MsgIdHdr || !strings.HasPrefix(header, "Nats-") {
					h[header] = values
				}
			}
			out[name] = append(out[name], copiedMessage{raw.Subject, h, raw.Data})
		}
	}
	return out
}

// restore writes a copy into an empty store, with the same sequences.
func (s *ledgerStore) restore(c copied) {
	s.t.Helper()
	for name, messages := range c {
		stream, err := s.store.js.Stream(s.t.Context(), name)
		must(s.t, err)
		for _, m := range messages {
			gone := m.subject == ""
			if gone {
				m.subject = strings.Replace(stream.CachedInfo().Config.Subjects[0], ">", "gone", 1)
			}
			subject := strings.Replace(m.subject, ".event.v1.", ".put.v1.", 1)
			reply, err := s.store.nc.RequestMsgWithContext(s.t.Context(),
				&nats.Msg{Subject: subject, Header: m.header, Data: m.data})
			must(s.t, err)
			var ack jetstream.PubAck
			if json.Unmarshal(reply.Data, &ack) != nil || ack.Sequence == 0 {
				s.t.Fatalf("%s: %s", m.subject, reply.Data)
			}
			if gone {
				must(s.t, stream.DeleteMsg(s.t.Context(), ack.Sequence))
			}
		}
	}
}

// alter changes one thing in a copy and describes the change.
func alter(t *testing.T, rnd *rand.Rand, c copied) string {
	t.Helper()
	streams := []string{testNames.payloads(), testNames.events(), testNames.access(), testNames.ledger()}
	name := streams[rnd.IntN(len(streams))]
	all := c[name]
	pick := func() int {
		for {
			if i := rnd.IntN(len(all)); all[i].subject != "" {
				return i
			}
		}
	}
	i := pick()
	say := func(what string) string { return fmt.Sprintf("%s: message %d of %d: %s", name, i+1, len(all), what) }
	switch rnd.IntN(8) {
	case 0, 1:
		at := rnd.IntN(len(all[i].data))
		all[i].data[at] ^= 1 << rnd.IntN(8)
		return say(fmt.Sprint("bit in byte ", at))
	case 2:
		all[i] = copiedMessage{}
		return say("deleted")
	case 3:
		j := pick()
		for bytes.Equal(all[j].data, all[i].data) {
			if i, j = pick(), pick(); i == j {
				continue
			}
		}
		all[i], all[j] = all[j], all[i]
		return say(fmt.Sprint("swapped with ", j+1))
	case 4:
		c[name] = all[:i]
		return say("tail cut off")
	case 6:
		for k := range i + 1 {
			all[k] = copiedMessage{}
		}
		return say("all up to it are deleted")
	case 5:
		for header, values := range all[i].header {
			values[0] += "0"
			return say("header " + header)
		}
		all[i].data = append(all[i].data, ' ')
		return say("a byte more")
	}
	j := pick()
	for bytes.Equal(all[j].data, all[i].data) {
		i, j = pick(), pick()
	}
	header := all[j].header
	all[i].data = bytes.Clone(all[j].data)
	if d := header.Get(headerDigest); d != "" {
		all[i].header[headerDigest] = []string{d}
	}
	return say(fmt.Sprint("its body replaced by that of ", j+1))
}

// TestAlterationsAreFound changes one thing in a copy of a store, many times: each change is found. For a
// copy without a change, and for a store of which something was erased, no fault is reported.
func TestAlterationsAreFound(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	s := newLedgerStore(t, t.TempDir(), key)
	s.fill(0, 4) // before the log begins
	must(t, NewLedger(s.store, s.bus).Genesis(t.Context()))
	s.fill(4, 20)
	s.follow()
	s.fill(24, 6)
	must(t, s.store.Erase(t.Context(), kycbridge.ShelfPayloads, 9, true))
	gone := kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: payload("ref-6", "", "").VerificationID}
	if _, err := s.bus.EraseEvents(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	newest := s.follow()
	if a := s.audit(newest); a.FaultsAll != 0 || a.Leaves != a.Signed || a.Leaves < 60 {
		t.Fatalf("an unaltered store is accused: %+v", a)
	}
	whole := s.copyOfStore()
	same := newLedgerStore(t, t.TempDir(), key)
	same.restore(whole)
	if a := same.audit(newest); a.FaultsAll != 0 || a.Checkpoints != 2 {
		t.Fatalf("an unaltered copy is accused: %+v", a)
	}

	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	kinds := map[string]int{}
	for n := range *alterations {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := whole.clone()
			what := alter(t, rnd, c)
			if beforeTheLog(what) {
				t.Skip("the log had not begun")
			}
			other := newLedgerStore(t, t.TempDir(), key)
			other.restore(c)
			if a := other.audit(newest); a.FaultsAll == 0 {
				t.Errorf("seed %d, not found: %s", seed, what)
			} else {
				kinds[a.Faults[0].What]++
			}
		})
	}
	t.Logf("found first: %v", kinds)
}

// TestShortenedStreamsAreFound empties streams of a stopped store, the record of erasures among them. The log
// continues when the service is started again, and notes that the streams became shorter. That is found then too, until
// an operator accepts it.
func TestShortenedStreamsAreFound(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	s := newLedgerStore(t, t.TempDir(), key)
	must(t, NewLedger(s.store, s.bus).Genesis(t.Context()))
	s.fill(0, 6)
	newest := s.follow()
	whole := s.copyOfStore()
	for _, emptied := range [][]string{{testNames.access()}, {testNames.events()}, {testNames.payloads()},
		{testNames.payloads(), testNames.events(), testNames.access(), testNames.tombstones()}} {
		t.Run(strings.Join(emptied, " "), func(t *testing.T) {
			c := whole.clone()
			for _, name := range emptied {
				c[name] = nil
			}
			other := newLedgerStore(t, t.TempDir(), key)
			other.restore(c)
			other.follow()
			other.fill(6, 1)
			other.follow()
			found := other.audit(newest)
			if want := min(len(emptied), 3); found.FaultsAll != want {
				t.Fatalf("%d faults, want %d: %+v", found.FaultsAll, want, found.Faults)
			}
			n, err := other.archive().AcceptShortened(t.Context(), found)
			if again := other.audit(newest); err != nil || n != found.FaultsAll || again.FaultsAll != 0 {
				t.Errorf("accepted %d, %v; after that %+v", n, err, again.Faults)
			}
		})
	}
}

// beforeTheLog reports whether an alteration concerns only what was stored before the log began.
func beforeTheLog(what string) bool {
	var n, m int
	_, rest, _ := strings.Cut(what, ": message ")
	_, _ = fmt.Sscanf(rest, "%d", &n)
	before := map[string]int{testNames.payloads(): 4, testNames.events(): 4, testNames.access(): 2}
	stream, _, _ := strings.Cut(what, ":")
	if _, swapped, ok := strings.Cut(what, "swapped with "); ok {
		_, _ = fmt.Sscanf(swapped, "%d", &m)
	}
	return n <= before[stream] && m <= before[stream] && !strings.Contains(what, "tail")
}

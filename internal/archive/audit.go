package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kycbridge"
	"kycbridge/internal/ledger"
)

// Ledger reads the tamper-evident log, and the stored messages that it records.
type Ledger interface {
	// Read passes the log in order, with the sequence of each of its messages.
	Read(ctx context.Context, batch func(seq uint64, b *ledger.Batch) error,
		checkpoint func(seq uint64, signed []byte) error) error
	// Stored passes the stored messages of a kind with hashes computed from their bodies; ok is false for
	// messages that have no leaf.
	Stored(ctx context.Context, kind ledger.Kind, each func(seq uint64, hash [32]byte, ok bool) error) error
	// Evidence passes the stored messages of a verification with their bodies.
	Evidence(ctx context.Context, k kycbridge.Key, each func(m ledger.Message, body []byte) error) error
}

// Witness checks signatures of the log. Checkpoints that were kept outside the store show whether the log was
// replaced as a whole.
type Witness struct {
	Verifiers   *ledger.Verifiers
	Origin      string
	Checkpoints [][]byte // signed, kept outside the store
}

// LogAudit is the comparison of the tamper-evident log with itself, its checkpoints and the store.
type LogAudit struct {
	Leaves      int64      `json:"leaves"`
	Signed      int64      `json:"signed"` // leaves before the newest checkpoint
	Checkpoints int        `json:"checkpoints"`
	At          time.Time  `json:"at,omitzero"` // of the newest checkpoint
	FaultsAll   int        `json:"faults_all"`
	Faults      []LogFault `json:"faults"` // at most maxMissing
}

// LogFault is one difference.
type LogFault struct {
	What string `json:"what"`          // payload, event, access record, log or checkpoint
	Seq  uint64 `json:"seq,omitempty"` // of the message in its stream
	Why  string `json:"why"`

	leaf uint64 // number of the leaf about a shorter stream; 0: the fault is another one
}

// lacksKey reports whether all differences are checkpoints with the signature of another key.
func (a *LogAudit) lacksKey() bool {
	return len(a.Faults) == a.FaultsAll &&
		!slices.ContainsFunc(a.Faults, func(f LogFault) bool { return f.Why != auditOtherKey })
}

// shortened stands for a stream in the record of erasures: its sequences are the numbers of leaves about streams that
// became shorter, which an operator has accepted as known.
const shortened = "shortened"

// Why a message does not agree with the log.
const (
	auditAltered  = "it is not the message that was logged"
	auditMissing  = "it was logged and is gone, which neither its age nor an erasure explains"
	auditOtherKey = "it, and perhaps others, is signed with a key that is not in integrity.signing_key: if it is an " +
		"earlier key of yours, add its public part; otherwise somebody else has signed it"
	auditUnlogged = "it is not in the log, although the log covers its sequence"
)

// AcceptShortened records that streams which became shorter are known to have: they are not reported again. It returns
// how many there were.
func (a *Archive) AcceptShortened(ctx context.Context, log *LogAudit) (n int, err error) {
	if log == nil {
		return 0, nil
	}
	for _, f := range log.Faults {
		if f.leaf == 0 {
			continue
		}
		if err := a.Erasures.AcceptMissing(ctx, shortened, []kycbridge.Range{{f.leaf, f.leaf}}); err != nil {
			return n, fmt.Errorf("write down that a stream is shorter: %w", err)
		}
		n++
	}
	return n, nil
}

// column holds the leaves of a kind, by sequence. It is sparse, because sequences in an altered log may have any
// value.
type column struct {
	first  uint64 // sequence of the first one
	old    uint64 // sequence up to which the server may have removed messages because of their age
	chunks map[uint64]*chunk
}

// chunk holds the leaves of chunkSize sequences.
type chunk struct {
	hashes [chunkSize][16]byte // the first half of each hash; zero: none
	seen   uint64              // bits: the message is stored
}

const chunkSize = 64

func (c *column) set(seq uint64, hash [32]byte) {
	n := seq / chunkSize
	if c.chunks[n] == nil {
		c.chunks[n] = &chunk{}
	}
	c.chunks[n].hashes[seq%chunkSize] = [16]byte(hash[:16])
}

// see marks a message as stored and returns its hash in the log.
func (c *column) see(seq uint64) [16]byte {
	in := c.chunks[seq/chunkSize]
	if in == nil {
		return [16]byte{}
	}
	in.seen |= 1 << (seq % chunkSize)
	return in.hashes[seq%chunkSize]
}

// cut removes the leaves after seq, whose sequences are assigned again, and returns how many there were.
func (c *column) cut(seq uint64) (n int) {
	for first, in := range c.chunks {
		for i := range in.hashes {
			if first*chunkSize+uint64(i) > seq && in.hashes[i] != [16]byte{} {
				in.hashes[i] = [16]byte{}
				n++
			}
		}
	}
	return n
}

// unseen are the sequences of leaves whose message is not stored, ascending.
func (c *column) unseen() (seqs []uint64) {
	for _, n := range slices.Sorted(maps.Keys(c.chunks)) {
		for i, hash := range c.chunks[n].hashes {
			if hash != [16]byte{} && c.chunks[n].seen&(1<<i) == 0 {
				seqs = append(seqs, n*chunkSize+uint64(i))
			}
		}
	}
	return seqs
}

// audit is an audit in progress.
type audit struct {
	witness Witness
	now     time.Time
	out     LogAudit
	tree    ledger.Tree
	roots   map[int64]tlog.Hash // by size, at the end of each batch
	columns map[ledger.Kind]*column
	until   map[string]uint64
	known   func(leaf uint64) bool // leaves about shorter streams that were accepted
	next    uint64                 // the sequence that the next message of the log must have
	last    int64                  // size of the last checkpoint

	otherKey bool // a checkpoint is signed with a key that is not known
}

func (a *audit) fault(what string, seq uint64, why string) {
	a.add(LogFault{What: what, Seq: seq, Why: why})
}

func (a *audit) add(f LogFault) {
	if a.out.FaultsAll++; len(a.out.Faults) < maxMissing {
		a.out.Faults = append(a.out.Faults, f)
	}
}

// back notes that a stream ended at seq when the log continued: whatever was logged after it was gone. Nobody else may
// remember these messages, if all streams were replaced.
func (a *audit) back(c *column, kind ledger.Kind, seq uint64, at time.Time) {
	n, leaf := c.cut(seq), uint64(a.tree.Size)
	if n == 0 || a.known(leaf) {
		return
	}
	a.add(LogFault{What: kind.String(), Seq: seq + 1, leaf: leaf, Why: fmt.Sprintf(
		"%d messages from here on were logged and are gone: the stream was cut, or replaced, before %s", n,
		at.UTC().Format(time.RFC3339))})
}

// Audit compares the tamper-evident log with its checkpoints and with every stored message.
func (a *Archive) Audit(ctx context.Context, w Witness) (*LogAudit, error) {
	run := &audit{witness: w, now: a.Now(), roots: map[int64]tlog.Hash{}, columns: map[ledger.Kind]*column{},
		out: LogAudit{Faults: []LogFault{}}, next: 1}
	var err error
	if run.known, _, err = a.Erasures.Erased(ctx, shortened); err != nil {
		return nil, err
	}
	if err := a.Ledger.Read(ctx, run.batch, run.checkpoint); err != nil {
		return nil, err
	}
	run.elsewhere()
	run.out.Leaves = run.tree.Size
	for _, kind := range ledger.Kinds() {
		if err := a.auditKind(ctx, run, kind); err != nil {
			return nil, err
		}
	}
	return &run.out, nil
}

// place checks that the log has no gap.
func (a *audit) place(seq uint64) {
	if seq != a.next {
		a.fault("log", a.next, fmt.Sprintf("its messages from %d to %d are gone", a.next, seq-1))
	}
	a.next = seq + 1
}

// batch adds the leaves of one message of the log.
func (a *audit) batch(seq uint64, b *ledger.Batch) error {
	a.place(seq)
	leaves, err := b.Leaves()
	switch {
	case b.First < 0 || err != nil:
		a.fault("log", seq, "it cannot be read")
		return nil
	case b.First != a.tree.Size:
		a.fault("log", seq, "its leaves do not follow the ones before")
		return nil
	}
	if a.until == nil { // the log begins
		for _, kind := range ledger.Kinds() {
			a.columns[kind] = &column{first: b.Until[string(kind)] + 1, chunks: map[uint64]*chunk{}}
		}
	}
	a.until = b.Until
	if n := len(leaves); n == 0 || leaves[n-1] != ledger.StateLeaf(b.Until) {
		a.fault("log", seq, "its positions in the streams were altered")
	}
	for _, leaf := range leaves {
		a.tree.Add(leaf)
		c := a.columns[leaf.Kind.Of()]
		switch {
		case leaf.Kind == ledger.State:
		case c == nil:
			a.fault("log", seq, "it contains a leaf of an unknown kind")
		case leaf.Kind.IsBack():
			a.back(c, leaf.Kind, leaf.Seq, b.At)
		default:
			c.set(leaf.Seq, leaf.Hash)
			if leaf.Kind == ledger.Access && a.now.Sub(b.At) > kycbridge.AccessAge-ageSlack {
				c.old = leaf.Seq
			}
		}
	}
	if a.tree.Size != b.Tree.Size || a.tree.Root() != b.Tree.Root() {
		a.fault("log", seq, "its leaves were altered")
	}
	a.roots[a.tree.Size] = a.tree.Root()
	return nil
}

// checkpoint checks one signed state.
func (a *audit) checkpoint(seq uint64, signed []byte) error {
	a.place(seq)
	a.out.Checkpoints++
	c, ok := a.signed("checkpoint", seq, signed)
	if !ok {
		return nil
	}
	if c.Size != a.tree.Size || c.Size == a.last {
		a.fault("checkpoint", seq, "it is not that of the leaves before it")
	}
	a.last, a.out.Signed, a.out.At = c.Size, c.Size, c.At
	return nil
}

// signed opens a checkpoint and compares it with the log.
func (a *audit) signed(what string, seq uint64, signed []byte) (c ledger.Checkpoint, ok bool) {
	c, err := a.witness.Verifiers.Open(signed)
	switch root, known := a.roots[c.Size]; {
	case errors.Is(err, ledger.ErrOtherKey):
		if !a.otherKey || seq == 0 { // of many in the log only the first is reported, so that they hide nothing else
			a.fault(what, seq, auditOtherKey)
		}
		a.otherKey = true
	case err != nil:
		a.fault(what, seq, err.Error())
	case c.Origin != a.witness.Origin:
		a.fault(what, seq, "it is of another log")
	case c.Size > a.tree.Size:
		a.fault(what, seq, fmt.Sprintf("it is of %d leaves, the log has %d: its end was cut off", c.Size, a.tree.Size))
	case !known || root != c.Root:
		a.fault(what, seq, "the log was altered before it: the signed hash is another")
	default:
		return c, true
	}
	return c, false
}

// elsewhere compares the log with the checkpoints that were kept outside the store.
func (a *audit) elsewhere() {
	for _, signed := range a.witness.Checkpoints {
		const what = "checkpoint kept elsewhere"
		if c, ok := a.signed(what, 0, signed); ok && c.Size > a.last {
			a.fault(what, 0, "the log does not contain it: the end of the log was cut off")
		}
	}
}

// auditKind compares the stored messages of a kind with their leaves.
func (a *Archive) auditKind(ctx context.Context, run *audit, kind ledger.Kind) error {
	c := run.columns[kind]
	if c == nil {
		return nil // the log has not begun
	}
	until, first := run.until[string(kind)], uint64(0)
	err := a.Ledger.Stored(ctx, kind, func(seq uint64, hash [32]byte, ok bool) error {
		if first == 0 {
			first = seq
		}
		if !ok || seq < c.first || seq > until {
			return nil // before the log began, or not logged yet
		}
		switch logged := c.see(seq); logged {
		case [16]byte(hash[:16]):
		case [16]byte{}:
			run.fault(kind.String(), seq, auditUnlogged)
		default:
			run.fault(kind.String(), seq, auditAltered)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.auditMissing(ctx, run, kind, first)
}

// auditMissing finds leaves whose message is missing without a recorded reason. The service records what it
// removes; only if a server removes old messages by itself, messages before the first stored one count as expired.
func (a *Archive) auditMissing(ctx context.Context, run *audit, kind ledger.Kind, first uint64) error {
	column := run.columns[kind]
	gone := func(seq uint64) bool { return seq < first && seq <= column.old } // of the access log
	if content, ok := contents[kind]; ok {
		var err error
		if gone, err = a.removed(ctx, content); err != nil {
			return err
		}
	}
	for _, seq := range column.unseen() {
		if !gone(seq) {
			run.fault(kind.String(), seq, auditMissing)
		}
	}
	return nil
}

// contents are the contents of streams with leaves whose removals are recorded.
var contents = map[ledger.Kind]kycbridge.Content{ledger.Payload: kycbridge.ContentPayloads,
	ledger.Event: kycbridge.ContentEvents}

// removed reports which sequences of a stream were removed for a known reason.
func (a *Archive) removed(ctx context.Context, content kycbridge.Content) (func(seq uint64) bool, error) {
	own, err := a.Ageing.OwnAges(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range a.Streams {
		held, err := s.Held(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range held {
			if h.Content != content {
				continue
			}
			erased, _, err := a.Erasures.Erased(ctx, h.Stream)
			expires := slices.Contains(own, h.Stream) || content == kycbridge.ContentEvents && h.Age > 0
			return func(seq uint64) bool { return erased(seq) || expires && seq < h.First }, err
		}
	}
	return func(uint64) bool { return false }, nil
}

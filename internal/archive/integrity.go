package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kycbridge"
)

// Streams tell what is held where holes mean something.
type Streams interface {
	Held(ctx context.Context) ([]kycbridge.Held, error)
	Readable(ctx context.Context, content kycbridge.Content, seq uint64) (bool, error)
}

// Erasures know which holes were made on purpose.
type Erasures interface {
	Erased(ctx context.Context, stream string) (was func(seq uint64) bool, ok bool, err error)
	AcceptMissing(ctx context.Context, stream string, gone []kycbridge.Range) error
}

// Missing is a message that should be in a stream and is not there, or not as it was.
type Missing struct {
	Stream         string `json:"stream"`
	Seq            uint64 `json:"seq,omitempty"`             // 0: not known
	VerificationID string `json:"verification_id,omitempty"` // or its beginning, if nothing else is left of it
	PayloadID      string `json:"payload_id,omitempty"`
	Became         string `json:"became,omitempty"`      // what became of a payload while it was there
	AskedAgain     bool   `json:"asked_again,omitempty"` // its provider was asked for the result once more
	Why            string `json:"why"`

	Key     kycbridge.Key     `json:"-"` // of the verification, if all of it is known
	Content kycbridge.Content `json:"-"`
	Mark    uint64            `json:"-"` // kycbridge.PayloadMark of a payload; 0: not known
}

// Altered is why a message counts as missing that is there.
const Altered = "its body is not the one that was stored"

// Why a message is missing.
const (
	missGone       = "gone, which neither its age nor an erasure explains"
	missUnreadable = "it cannot be read"
	missRested     = "an event rests on it, and it is not in the log"
)

const (
	// mostMissing bounds the list of what is missing.
	mostMissing = 1000
	// mostVerified is how many that seem to be missing are looked for once more, one by one.
	mostVerified = 10_000
	// mostFront is how many sequences before the first of a stream are looked at one by one.
	mostFront = 1 << 24
	// ageSlack is how much earlier than its age a message may go: clocks, and the server's own steps.
	ageSlack = 2 * time.Hour
)

// inspection compares streams with what is known of them from elsewhere.
type inspection struct {
	*Archive
	now    time.Time
	held   map[kycbridge.Content]kycbridge.Held // before anything was read
	marks  []uint64                             // of the payloads that were read, by sequence from the first of the log on
	seen   map[kycbridge.Content]bits           // messages that were read, in the same way
	causes map[uint64]kycbridge.EventMeta       // payloads that events rest on and that have not been met, by mark
	erased map[kycbridge.Content]func(uint64) bool
	found  []Missing
}

// bits are a set of small numbers.
type bits []uint64

func (b bits) set(n uint64)      { b[n/64] |= 1 << (n % 64) }
func (b bits) has(n uint64) bool { return b[n/64]&(1<<(n%64)) != 0 }

// inspect begins an inspection: what is read from now on must hold what the servers count now.
func (a *Archive) inspect(ctx context.Context) (*inspection, error) {
	i := &inspection{Archive: a, now: a.Now(), seen: map[kycbridge.Content]bits{}, causes: map[uint64]kycbridge.EventMeta{}, erased: map[kycbridge.Content]func(uint64) bool{}}
	var err error
	if i.held, err = a.holdings(ctx); err != nil {
		return nil, err
	}
	for content, h := range i.held {
		if err := a.baseline(ctx, h); err != nil {
			return nil, err
		}
		i.seen[content] = make(bits, h.Count()/64+1)
	}
	i.marks = make([]uint64, i.held[kycbridge.ContentPayloads].Count())
	return i, nil
}

// holdings asks all streams.
func (a *Archive) holdings(ctx context.Context) (map[kycbridge.Content]kycbridge.Held, error) {
	all := map[kycbridge.Content]kycbridge.Held{}
	for _, s := range a.Streams {
		held, err := s.Held(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range held {
			all[h.Content] = h
		}
	}
	return all, nil
}

// baseline takes the holes that a stream has when it is looked at for the first time for erasures:
// earlier versions did not write these down.
func (a *Archive) baseline(ctx context.Context, h kycbridge.Held) error {
	_, known, err := a.Erasures.Erased(ctx, h.Stream)
	if err != nil || known {
		return err
	}
	gone := ranges(h.Gone)
	if h.Age == 0 && !h.Bounded && h.First > 1 {
		gone = append(gone, kycbridge.Range{1, h.First - 1})
	}
	return a.Erasures.AcceptMissing(ctx, h.Stream, gone)
}

// ranges joins ascending sequences that follow one another.
func ranges(seqs []uint64) (out []kycbridge.Range) {
	for _, seq := range seqs {
		if n := len(out); n > 0 && out[n-1][1]+1 == seq {
			out[n-1][1] = seq
			continue
		}
		out = append(out, kycbridge.Range{seq, seq})
	}
	return out
}

// event takes a published event.
func (i *inspection) event(e kycbridge.EventMeta) {
	i.met(kycbridge.ContentEvents, e.Seq)
	if e.PayloadID != "" && i.now.Sub(e.Until) < i.held[kycbridge.ContentPayloads].Age-ageSlack {
		i.causes[kycbridge.PayloadMark(e.PayloadID)] = e
	}
}

// kept takes a payload with its body, from any shelf.
func (i *inspection) kept(k kycbridge.Kept) {
	content := kycbridge.ContentPayloads
	switch k.Shelf {
	case kycbridge.ShelfRefused:
		return
	case kycbridge.ShelfQuarantine:
		content = kycbridge.ContentQuarantine
	}
	i.met(content, k.Seq)
	if k.Digest != "" && k.Digest != kycbridge.Digest(k.Body) {
		i.miss(Missing{Content: content, Seq: k.Seq, VerificationID: k.VerificationID, PayloadID: k.ID, Why: Altered,
			Mark: kycbridge.PayloadMark(k.ID), Key: kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}})
	}
	if content != kycbridge.ContentPayloads {
		return
	}
	mark := kycbridge.PayloadMark(k.ID)
	delete(i.causes, mark)
	if h := i.held[content]; k.Seq >= h.First && k.Seq <= h.Last {
		i.marks[k.Seq-h.First] = mark
	}
}

func (i *inspection) met(content kycbridge.Content, seq uint64) {
	if h := i.held[content]; seq >= h.First && seq <= h.Last {
		i.seen[content].set(seq - h.First)
	}
}

func (i *inspection) miss(m Missing) {
	m.Stream = i.held[m.Content].Stream
	i.found = append(i.found, m)
}

// end finds out what is missing, once everything has been read.
func (i *inspection) end(ctx context.Context, fates *fates) error {
	held, err := i.explained(ctx)
	if err != nil {
		return err
	}
	for content := range i.held {
		i.holes(content)
		i.unread(content, held[content])
	}
	i.recorded(fates, held[kycbridge.ContentPayloads])
	i.rested(fates)
	if err := i.verify(ctx); err != nil {
		return err
	}
	return i.name(ctx)
}

// glance finds the holes that the servers count, without anything having been read.
func (i *inspection) glance(ctx context.Context) error {
	if _, err := i.explained(ctx); err != nil {
		return err
	}
	for content := range i.held {
		i.holes(content)
	}
	return i.name(ctx)
}

// explained reads which holes were made on purpose, and what is held by now.
func (i *inspection) explained(ctx context.Context) (map[kycbridge.Content]kycbridge.Held, error) {
	// Erasures and ages are read after the messages: what went meanwhile is explained by them.
	held, err := i.holdings(ctx)
	if err != nil {
		return nil, err
	}
	for content, h := range held {
		if i.erased[content], _, err = i.Erasures.Erased(ctx, h.Stream); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// holes finds sequences of a stream that hold nothing.
func (i *inspection) holes(content kycbridge.Content) {
	h, erased := i.held[content], i.erased[content]
	for _, seq := range h.Gone {
		if !erased(seq) {
			i.miss(Missing{Content: content, Seq: seq, Why: missGone})
		}
	}
	if h.Age == 0 && !h.Bounded {
		for seq := uint64(1); seq < min(h.First, mostFront); seq++ {
			if !erased(seq) {
				i.miss(Missing{Content: content, Seq: seq, Why: missGone})
			}
		}
	}
}

// unread finds messages that a stream is said to hold and that did not come.
func (i *inspection) unread(content kycbridge.Content, now kycbridge.Held) {
	h, erased := i.held[content], i.erased[content]
	if content == kycbridge.ContentDispositions {
		return // several of them stand in a message
	}
	gone := bits(make([]uint64, h.Count()/64+1))
	for _, seq := range h.Gone {
		if seq >= h.First && seq <= h.Last {
			gone.set(seq - h.First)
		}
	}
	for seq := max(h.First, now.First); seq <= h.Last && h.Count() > 0; seq++ {
		if at := seq - h.First; !gone.has(at) && !i.seen[content].has(at) && !erased(seq) {
			i.miss(Missing{Content: content, Seq: seq, Why: missUnreadable})
		}
	}
}

// recorded finds payloads of which it is written down what became of them, and which are not there.
func (i *inspection) recorded(fates *fates, now kycbridge.Held) {
	h, absent := i.held[kycbridge.ContentPayloads], map[uint64][]known{}
	fates.each(func(seq uint64, k known) {
		if !i.present(seq, k) && !i.erased[kycbridge.ContentPayloads](seq) && !i.aged(seq, k, now) {
			absent[seq] = append(absent[seq], k)
		}
	})
	if len(absent) == 0 {
		return
	}
	stored := map[uint64]bool{}
	for _, mark := range i.marks {
		stored[mark] = true
	}
	told := map[uint64]bool{}
	for _, m := range i.found {
		told[m.Seq] = told[m.Seq] || m.Content == kycbridge.ContentPayloads
	}
	for seq, all := range absent {
		for _, k := range all {
			if k.mark != 0 && stored[k.mark] {
				i.forget(seq) // it was stored once more, elsewhere
			} else if !told[seq] {
				i.miss(Missing{Content: h.Content, Seq: seq, Why: missGone, Mark: k.mark})
			}
		}
	}
}

// present reports whether the log holds the payload that a disposition speaks of.
func (i *inspection) present(seq uint64, k known) bool {
	h := i.held[kycbridge.ContentPayloads]
	if seq < h.First || seq > h.Last || h.Count() == 0 {
		return false
	}
	mark := i.marks[seq-h.First]
	return mark != 0 && (mark == k.mark || k.mark == 0)
}

// aged reports whether a payload may have gone by its age.
func (i *inspection) aged(seq uint64, k known, now kycbridge.Held) bool {
	stored := time.Unix(int64(cmp.Or(k.stored, k.recorded)), 0)
	age := i.now.Sub(stored)
	return now.Age > 0 && (age > now.Age || age > now.Age-ageSlack && seq < now.First)
}

// eventAged reports whether the event of a payload may have gone by its age.
func (i *inspection) eventAged(k known) bool {
	age := i.held[kycbridge.ContentEvents].Age
	return age > 0 && i.now.Sub(time.Unix(int64(k.recorded), 0)) > age-ageSlack
}

// forget takes a sequence of the log off the list: what it held is not lost.
func (i *inspection) forget(seq uint64) {
	i.found = slices.DeleteFunc(i.found, func(m Missing) bool {
		return m.Content == kycbridge.ContentPayloads && m.Seq == seq && m.Why != Altered
	})
}

// rested finds payloads that nothing but an event tells of.
func (i *inspection) rested(fates *fates) {
	if len(i.causes) == 0 {
		return
	}
	fates.each(func(_ uint64, k known) {
		if _, ok := i.causes[k.mark]; ok && k.mark != 0 {
			delete(i.causes, k.mark) // missing or not, recorded has dealt with it
		}
	})
	for mark, e := range i.causes {
		i.miss(Missing{Content: kycbridge.ContentPayloads, VerificationID: e.VerificationID, PayloadID: e.PayloadID, Key: e.Key, Why: missRested, Mark: mark})
	}
}

// verify looks once more for what seems to be missing, message by message: it may have come while the
// streams were read, or be a message of somebody else, which nobody reads.
func (i *inspection) verify(ctx context.Context) error {
	kept := i.found[:0]
	for n, m := range i.found {
		there, err := false, error(nil)
		if n < mostVerified && m.Seq > 0 {
			there, err = i.there(ctx, m)
		}
		if err != nil {
			return err
		}
		if !there {
			kept = append(kept, m)
		}
	}
	i.found = kept
	slices.SortFunc(i.found, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.PayloadID, b.PayloadID))
	})
	return nil
}

// there reports whether what seems to be missing is there after all.
func (i *inspection) there(ctx context.Context, m Missing) (bool, error) {
	switch {
	case m.Why == missUnreadable:
		for _, s := range i.Streams {
			if ok, err := s.Readable(ctx, m.Content, m.Seq); err != nil || ok {
				return ok, err
			}
		}
	case m.Why == missGone && m.Content == kycbridge.ContentPayloads:
		k, err := i.Shelves.KeptAt(ctx, kycbridge.ShelfPayloads, m.Seq)
		if err != nil {
			return false, ctx.Err()
		}
		return (m.Mark == 0 || m.Mark == kycbridge.PayloadMark(k.ID)) && k.Digest == kycbridge.Digest(k.Body), nil
	}
	return false, nil
}

// name adds the verifications of missing payloads, from dispositions and then from events and the
// payloads that are left.
func (i *inspection) name(ctx context.Context) error {
	wanted := map[uint64][]*Missing{}
	for n := range i.found {
		if m := &i.found[n]; m.Content == kycbridge.ContentPayloads {
			wanted[m.Seq] = append(wanted[m.Seq], m)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	beginnings := map[string][]*Missing{}
	err := i.Ledger.Dispositions(ctx, time.Time{}, func(d kycbridge.Disposition) error {
		for _, m := range wanted[d.Seq] {
			if m.Mark != 0 && d.Mark != 0 && m.Mark != d.Mark || d.Verification == "" {
				continue
			}
			if m.VerificationID == "" {
				beginnings[d.Verification] = append(beginnings[d.Verification], m)
				m.VerificationID = d.Verification
			}
			m.Mark = cmp.Or(m.Mark, d.Mark)
			m.AskedAgain = m.AskedAgain || d.Why == kycbridge.DispositionAskedAgain
			m.Became = becameOf(d, m.Became)
		}
		return nil
	})
	if err != nil || len(beginnings) == 0 {
		return err
	}
	return i.complete(ctx, beginnings)
}

// complete finds the verifications that begin in a way.
func (i *inspection) complete(ctx context.Context, beginnings map[string][]*Missing) error {
	is := func(k kycbridge.Key) {
		for _, m := range beginnings[kycbridge.VerificationMark(k.VerificationID)] {
			m.Key, m.VerificationID = k, k.VerificationID
		}
	}
	err := i.Events.Published(ctx, "", "", time.Time{}, func(e kycbridge.EventMeta) error {
		is(e.Key)
		return nil
	})
	if err != nil {
		return err
	}
	q := kycbridge.KeptQuery{Shelf: kycbridge.ShelfPayloads, HeadersOnly: true}
	return i.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		is(kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID})
		return nil
	})
}

// becameOf is a disposition in words; before is what an earlier one says, which stands if this one is
// about the loss.
func becameOf(d kycbridge.Disposition, before string) string {
	switch {
	case d.Revision > 0:
		return fmt.Sprintf("it led to revision %d", d.Revision)
	case d.Why == kycbridge.DispositionDamaged, d.Why == kycbridge.DispositionAskedAgain, strings.Contains(before, "revision"):
		return before
	}
	return "it led to no event: " + d.Why
}

// AcceptMissing takes note that messages are gone: they are not told again. Those that are there and
// altered, and those of which only an event tells, stay.
func (a *Archive) AcceptMissing(ctx context.Context, missing []Missing) (n int, err error) {
	byStream := map[string][]uint64{}
	for _, m := range missing {
		if m.Seq > 0 && m.Why != Altered {
			byStream[m.Stream] = append(byStream[m.Stream], m.Seq)
		}
	}
	for stream, seqs := range byStream {
		slices.Sort(seqs)
		if err := a.Erasures.AcceptMissing(ctx, stream, ranges(slices.Compact(seqs))); err != nil {
			return n, errors.Join(errors.New("write down what is gone"), err)
		}
		n += len(seqs)
	}
	return n, nil
}

// Line is m for a person.
func (m Missing) Line() string {
	parts := []string{m.Stream}
	if m.Seq > 0 {
		parts = append(parts, fmt.Sprint(m.Seq))
	}
	if m.PayloadID != "" {
		parts = append(parts, m.PayloadID)
	}
	if m.VerificationID != "" {
		parts = append(parts, "verification "+m.VerificationID)
	}
	text := strings.Join(parts, "  ") + ": " + m.Why
	if m.Became != "" {
		text += "; " + m.Became
	}
	if m.AskedAgain {
		text += "; its provider was asked again"
	}
	return text
}

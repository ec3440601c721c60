package archive

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kycbridge"
)

// Streams return the content of the streams in which gaps indicate a loss.
type Streams interface {
	Held(ctx context.Context) ([]kycbridge.Held, error)
	Readable(ctx context.Context, content kycbridge.Content, seq uint64) (bool, error)
}

// Erasures returns which gaps are due to erasures.
type Erasures interface {
	Erased(ctx context.Context, stream string) (was func(seq uint64) bool, ok bool, err error)
	AcceptMissing(ctx context.Context, stream string, gone []kycbridge.Range) error
}

// rested stands for a stream in the record of erasures: its sequences are the marks of payloads that are known from an
// event only, whose loss an operator has accepted.
const rested = "rested"

const (
	// maxMissing limits the list of missing messages.
	maxMissing = 1000
	// maxVerified limits how many suspected losses are checked individually.
	maxVerified = 10_000
	// maxLeadingGap limits how many sequences before the first of a stream are examined.
	maxLeadingGap = 1 << 24
	// ageSlack is how much earlier than its age limit a message may expire: clocks differ, and the server removes
	// messages at intervals of its own.
	ageSlack = 2 * time.Hour
)

// inspection compares streams with records from elsewhere.
type inspection struct {
	*Archive
	now    time.Time
	held   map[kycbridge.Content]kycbridge.Held // before the first read
	marks  []uint64                             // of the payloads that were read, by sequence from the first of the log on
	seen   map[kycbridge.Content]bits           // messages that were read, in the same way
	causes map[uint64]kycbridge.EventMeta       // payloads that events are based on and that were not read, by mark
	erased map[kycbridge.Content]func(uint64) bool
	found  []Missing
}

// bits is a set of small numbers.
type bits []uint64

func (b bits) set(n uint64)      { b[n/64] |= 1 << (n % 64) }
func (b bits) has(n uint64) bool { return b[n/64]&(1<<(n%64)) != 0 }

// inspect starts an inspection. It records which messages the servers have now; later reads must return them.
func (a *Archive) inspect(ctx context.Context) (*inspection, error) {
	i := &inspection{Archive: a, now: a.Now(), seen: map[kycbridge.Content]bits{},
		causes: map[uint64]kycbridge.EventMeta{}, erased: map[kycbridge.Content]func(uint64) bool{}}
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

// holdings reads the content of all streams.
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

// baseline accepts the gaps that a stream has when it is first checked for erasures: earlier versions did not
// record erasures.
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

// ranges joins consecutive ascending sequences.
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

// event adds a published event.
func (i *inspection) event(e kycbridge.EventMeta) {
	i.markSeen(kycbridge.ContentEvents, e.Seq)
	if e.PayloadID != "" && i.now.Sub(e.Until) < i.held[kycbridge.ContentPayloads].Age-ageSlack {
		i.causes[kycbridge.PayloadMark(e.PayloadID)] = e
	}
}

// kept adds a payload with its body, from any shelf.
func (i *inspection) kept(k kycbridge.Kept) {
	content := kycbridge.ContentPayloads
	switch k.Shelf {
	case kycbridge.ShelfRefused:
		return
	case kycbridge.ShelfQuarantine:
		content = kycbridge.ContentQuarantine
	}
	i.markSeen(content, k.Seq)
	if k.Digest != "" && k.Digest != kycbridge.Digest(k.Body) {
		why := Altered
		if k.Key != "" && len(k.Body) == 0 {
			why = missKey
		}
		i.addMissing(Missing{Content: content, Seq: k.Seq, VerificationID: k.VerificationID, PayloadID: k.ID, Why: why,
			Mark: kycbridge.PayloadMark(k.ID),
			Key:  kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}})
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

func (i *inspection) markSeen(content kycbridge.Content, seq uint64) {
	if h := i.held[content]; seq >= h.First && seq <= h.Last {
		i.seen[content].set(seq - h.First)
	}
}

func (i *inspection) addMissing(m Missing) {
	m.Stream = i.held[m.Content].Stream
	i.found = append(i.found, m)
}

// end determines what is missing, after everything was read.
func (i *inspection) end(ctx context.Context, outcomes *outcomes) error {
	held, err := i.explained(ctx)
	if err != nil {
		return err
	}
	for n, m := range i.found {
		if m.Why == missKey && i.erased[m.Content](m.Seq) {
			i.found[n].Why = Unfinished
		}
	}
	for content := range i.held {
		i.addGaps(content)
		i.addUnread(content, held[content])
	}
	i.addRecorded(outcomes, held[kycbridge.ContentPayloads])
	if err := i.addUnrecorded(ctx, outcomes); err != nil {
		return err
	}
	if err := i.verify(ctx); err != nil {
		return err
	}
	return i.addVerifications(ctx)
}

// checkGaps finds the gaps that the servers count, without reading messages.
func (i *inspection) checkGaps(ctx context.Context) error {
	if _, err := i.explained(ctx); err != nil {
		return err
	}
	for content := range i.held {
		i.addGaps(content)
	}
	return i.addVerifications(ctx)
}

// explained reads which gaps are due to erasures, and the current content.
func (i *inspection) explained(ctx context.Context) (map[kycbridge.Content]kycbridge.Held, error) {
	// Erasures and expirations are read after the messages, so they explain what was removed meanwhile.
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

// addGaps finds sequences of a stream without a message.
func (i *inspection) addGaps(content kycbridge.Content) {
	h, erased := i.held[content], i.erased[content]
	for _, seq := range h.Gone {
		if !erased(seq) {
			i.addMissing(Missing{Content: content, Seq: seq, Why: missGone})
		}
	}
	if h.Age == 0 && !h.Bounded {
		for seq := uint64(1); seq < min(h.First, maxLeadingGap); seq++ {
			if !erased(seq) {
				i.addMissing(Missing{Content: content, Seq: seq, Why: missGone})
			}
		}
	}
}

// addUnread finds messages that a stream should hold and that were not read.
func (i *inspection) addUnread(content kycbridge.Content, now kycbridge.Held) {
	h, erased := i.held[content], i.erased[content]
	if content == kycbridge.ContentDispositions {
		return // a message contains several dispositions
	}
	gone := bits(make([]uint64, h.Count()/64+1))
	for _, seq := range h.Gone {
		if seq >= h.First && seq <= h.Last {
			gone.set(seq - h.First)
		}
	}
	for seq := max(h.First, now.First); seq <= h.Last && h.Count() > 0; seq++ {
		if at := seq - h.First; !gone.has(at) && !i.seen[content].has(at) && !erased(seq) {
			i.addMissing(Missing{Content: content, Seq: seq, Why: missUnreadable})
		}
	}
}

// addRecorded finds payloads with a disposition that are missing.
func (i *inspection) addRecorded(outcomes *outcomes, now kycbridge.Held) {
	h, absent := i.held[kycbridge.ContentPayloads], map[uint64][]known{}
	outcomes.each(func(seq uint64, k known) {
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
	reported := map[uint64]bool{}
	for _, m := range i.found {
		reported[m.Seq] = reported[m.Seq] || m.Content == kycbridge.ContentPayloads
	}
	for seq, all := range absent {
		for _, k := range all {
			if k.mark != 0 && stored[k.mark] {
				i.removeMissing(seq) // it was stored once more, at another sequence
			} else if !reported[seq] {
				i.addMissing(Missing{Content: h.Content, Seq: seq, Why: missGone, Mark: k.mark})
			}
		}
	}
}

// present reports whether the log holds the payload of a disposition.
func (i *inspection) present(seq uint64, k known) bool {
	h := i.held[kycbridge.ContentPayloads]
	if seq < h.First || seq > h.Last || h.Count() == 0 {
		return false
	}
	mark := i.marks[seq-h.First]
	return mark != 0 && (mark == k.mark || k.mark == 0)
}

// aged reports whether a payload may have expired.
func (i *inspection) aged(seq uint64, k known, now kycbridge.Held) bool {
	stored := time.Unix(int64(cmp.Or(k.stored, k.recorded)), 0)
	age := i.now.Sub(stored)
	return now.Age > 0 && (age > now.Age || age > now.Age-ageSlack && seq < now.First)
}

// recordExpired is reported for a payload that is kept longer than the records about it, for example because of a
// hold.
const recordExpired = "older than its record"

// recordAged reports whether the disposition of a payload may have expired.
func (i *inspection) recordAged(k kycbridge.Kept) bool {
	age := i.held[kycbridge.ContentDispositions].Age
	return age > 0 && i.now.Sub(k.ReceivedAt) > age-ageSlack
}

// eventAged reports whether the event of a payload may have expired.
func (i *inspection) eventAged(k known) bool {
	age := i.held[kycbridge.ContentEvents].Age
	return age > 0 && i.now.Sub(time.Unix(int64(k.recorded), 0)) > age-ageSlack
}

// removeMissing removes a sequence of the log from the list: its content is not lost.
func (i *inspection) removeMissing(seq uint64) {
	i.found = slices.DeleteFunc(i.found, func(m Missing) bool {
		return m.Content == kycbridge.ContentPayloads && m.Seq == seq && m.Why != Altered
	})
}

// addUnrecorded finds payloads that are known from an event only, unless their loss was accepted.
func (i *inspection) addUnrecorded(ctx context.Context, outcomes *outcomes) error {
	if len(i.causes) == 0 {
		return nil
	}
	outcomes.each(func(_ uint64, k known) {
		if _, ok := i.causes[k.mark]; ok && k.mark != 0 {
			delete(i.causes, k.mark) // addRecorded has handled it, whether it is missing or not
		}
	})
	if len(i.causes) == 0 {
		return nil
	}
	accepted, _, err := i.Erasures.Erased(ctx, rested)
	if err != nil {
		return err
	}
	for mark, e := range i.causes {
		if accepted(mark) {
			continue
		}
		i.addMissing(Missing{Content: kycbridge.ContentPayloads, VerificationID: e.VerificationID, PayloadID: e.PayloadID,
			Key: e.Key, Why: missRested, Mark: mark})
	}
	return nil
}

// verify checks the suspected losses again, one by one: they may have arrived while the streams were read,
// or be foreign messages, which are not read.
func (i *inspection) verify(ctx context.Context) error {
	kept := i.found[:0]
	for n, m := range i.found {
		there, err := false, error(nil)
		if n < maxVerified && m.Seq > 0 {
			there, err = i.stillPresent(ctx, m)
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

// stillPresent reports whether a suspected loss is present after all.
func (i *inspection) stillPresent(ctx context.Context, m Missing) (bool, error) {
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

// addVerifications adds the verifications of missing payloads, from dispositions and then from events and
// the remaining payloads.
func (i *inspection) addVerifications(ctx context.Context) error {
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
	err := i.DispositionLog.Dispositions(ctx, time.Time{}, func(d kycbridge.Disposition) error {
		for _, m := range wanted[d.Seq] {
			if m.Mark != 0 && d.Mark != 0 && m.Mark != d.Mark || d.Verification == "" {
				continue
			}
			if m.VerificationID == "" {
				beginnings[d.Verification] = append(beginnings[d.Verification], m)
				m.VerificationID = d.Verification
			}
			m.Mark = cmp.Or(m.Mark, d.Mark)
			m.Refetched = m.Refetched || d.Why == kycbridge.DispositionRefetched
			m.Became = outcomeText(d, m.Became)
		}
		return nil
	})
	if err != nil || len(beginnings) == 0 {
		return err
	}
	return i.completeIDs(ctx, beginnings)
}

// completeIDs finds the verifications with these id prefixes.
func (i *inspection) completeIDs(ctx context.Context, beginnings map[string][]*Missing) error {
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

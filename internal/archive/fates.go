package archive

import (
	"time"

	"kycbridge"
)

// fate is what became of one payload: a revision, or the number of a word in the lower bits.
type fate uint32

const (
	fateWords = 8 // bits
	noFate    = fate(0)
)

func (f fate) revision() int { return int(f >> fateWords) }

// known is what the dispositions tell of one payload: few bytes, for a million of them.
type known struct {
	mark     uint64 // kycbridge.PayloadMark; 0: of an early version, which wrote none
	recorded uint32 // Unix time
	stored   uint32 // Unix time; 0: not known
	fate     fate
	again    fate   // without an event, recorded after one with an event; noFate: nothing was
	news     uint32 // number of the set of what was new in it; 0: nothing
}

// fates are what became of payloads, by their sequence in the log.
type fates struct {
	last  uint64 // of the log
	first uint64 // that list begins with; 0: it is empty
	list  []known
	// more are those of sequences behind the end of the log, and of sequences that stood for several
	// payloads one after the other.
	more  map[uint64][]known
	words []string // numbers are their places
	word  map[string]fate
	news  news
}

func newFates(last uint64) *fates {
	return &fates{last: last, more: map[uint64][]known{}, words: []string{""}, word: map[string]fate{}, news: newNews()}
}

// add takes a disposition. Of several of one payload the first that led to an event counts, else the last.
func (f *fates) add(d kycbridge.Disposition) {
	if d.Seq == 0 {
		return // a payload of which only an event tells
	}
	n := known{mark: d.Mark, recorded: unix(d.At), stored: unix(d.StoredAt), news: f.news.number(d.New), fate: f.number(d)}
	if d.Seq > f.last {
		f.addMore(d.Seq, n)
		return
	}
	at := f.place(d.Seq)
	switch {
	case at.fate == noFate:
		*at = n
	case at.mark == n.mark:
		at.merge(n)
	default:
		f.addMore(d.Seq, n)
	}
}

func (f *fates) addMore(seq uint64, n known) {
	for i := range f.more[seq] {
		if at := &f.more[seq][i]; at.mark == n.mark {
			at.merge(n)
			return
		}
	}
	f.more[seq] = append(f.more[seq], n)
}

// merge takes what was recorded later of the same payload.
func (k *known) merge(n known) {
	k.news, k.recorded = n.news, n.recorded
	switch {
	case k.fate.revision() == 0:
		k.fate = n.fate
	case n.fate.revision() == 0:
		k.again = n.fate
	}
}

// place is where the fate of a sequence of the log stands.
func (f *fates) place(seq uint64) *known {
	if f.first == 0 {
		f.first = seq
	}
	if seq < f.first {
		grown := make([]known, int(f.first-seq)+len(f.list))
		copy(grown[f.first-seq:], f.list)
		f.first, f.list = seq, grown
	}
	at := int(seq - f.first)
	if at >= len(f.list) {
		f.list = append(f.list, make([]known, at+1-len(f.list))...)
	}
	return &f.list[at]
}

// number is a disposition as a fate.
func (f *fates) number(d kycbridge.Disposition) fate {
	if d.Revision > 0 {
		return fate(d.Revision) << fateWords
	}
	word, ok := f.word[d.Why]
	if !ok {
		word = fate(len(f.words))
		f.word[d.Why] = word
		f.words = append(f.words, d.Why)
	}
	return word
}

// at are all payloads that a sequence is known to have stood for.
func (f *fates) at(seq uint64) []known {
	all := f.more[seq]
	if seq >= f.first && seq-f.first < uint64(len(f.list)) && f.list[seq-f.first].fate != noFate {
		all = append([]known{f.list[seq-f.first]}, all...)
	}
	return all
}

// each calls f for everything that is known of any payload.
func (f *fates) each(call func(seq uint64, k known)) {
	for n, k := range f.list {
		if k.fate != noFate {
			call(f.first+uint64(n), k)
		}
	}
	for seq, all := range f.more {
		for _, k := range all {
			call(seq, k)
		}
	}
}

// of is what became of a payload of the log. What was recorded by an early version counts if it can
// be meant: it was not recorded before the payload came.
func (f *fates) of(k kycbridge.Kept) (found known) {
	mark := kycbridge.PayloadMark(k.ID)
	for _, n := range f.at(k.Seq) {
		d := kycbridge.Disposition{Mark: n.mark, At: time.Unix(int64(n.recorded), 0)}
		if n.mark != mark && (n.mark != 0 || !d.Of(k.ID, k.ReceivedAt)) {
			continue
		}
		if found.fate.revision() == 0 {
			found = n
		}
	}
	return found
}

func unix(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(t.Unix())
}

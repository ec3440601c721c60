package archive

import (
	"time"

	"kycbridge"
)

// outcome is the result of one payload: a revision, or the number of a reason in the lower bits.
type outcome uint32

const (
	reasonBits = 8 // bits
	noOutcome  = outcome(0)
)

func (f outcome) revision() int { return int(f >> reasonBits) }

// known is the recorded result of one payload. It is small, because there may be a million payloads.
type known struct {
	mark      uint64 // kycbridge.PayloadMark; 0: recorded by an early version, which wrote none
	recorded  uint32 // Unix time
	stored    uint32 // Unix time; 0: not known
	outcome   outcome
	again     outcome // a result without an event, recorded after one with an event; noOutcome: none
	newValues uint32  // number of its set of new values; 0: none
}

// outcomes are the results of payloads, by their sequence in the log.
type outcomes struct {
	last  uint64 // of the log
	first uint64 // first sequence of list; 0: it is empty
	list  []known
	// more holds sequences after the end of the log, and sequences that were assigned to several payloads
	// in turn.
	more      map[uint64][]known
	words     []string // indexed by number
	word      map[string]outcome
	newValues newValueCounter
}

func newOutcomes(last uint64) *outcomes {
	return &outcomes{last: last, more: map[uint64][]known{}, words: []string{""}, word: map[string]outcome{},
		newValues: newNewValueCounter()}
}

// add adds a disposition. If a payload has several, the first one that led to an event counts, else the last.
func (f *outcomes) add(d kycbridge.Disposition) {
	if d.Seq == 0 {
		return // a payload that is known from an event only
	}
	n := known{mark: d.Mark, recorded: unix(d.At), stored: unix(d.StoredAt), newValues: f.newValues.number(d.New),
		outcome: f.number(d)}
	if d.Seq > f.last {
		f.addMore(d.Seq, n)
		return
	}
	at := f.place(d.Seq)
	switch {
	case at.outcome == noOutcome:
		*at = n
	case at.mark == n.mark:
		at.merge(n)
	default:
		f.addMore(d.Seq, n)
	}
}

func (f *outcomes) addMore(seq uint64, n known) {
	for i := range f.more[seq] {
		if at := &f.more[seq][i]; at.mark == n.mark {
			at.merge(n)
			return
		}
	}
	f.more[seq] = append(f.more[seq], n)
}

// merge adds a later disposition of the same payload.
func (k *known) merge(n known) {
	k.newValues, k.recorded = n.newValues, n.recorded
	switch {
	case k.outcome.revision() == 0:
		k.outcome = n.outcome
	case n.outcome.revision() == 0:
		k.again = n.outcome
	}
}

// place is the entry of a sequence of the log.
func (f *outcomes) place(seq uint64) *known {
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

// number is a disposition as an outcome.
func (f *outcomes) number(d kycbridge.Disposition) outcome {
	if d.Revision > 0 {
		return outcome(d.Revision) << reasonBits
	}
	word, ok := f.word[d.Why]
	if !ok {
		word = outcome(len(f.words))
		f.word[d.Why] = word
		f.words = append(f.words, d.Why)
	}
	return word
}

// at returns all payloads that are known to have had this sequence.
func (f *outcomes) at(seq uint64) []known {
	all := f.more[seq]
	if seq >= f.first && seq-f.first < uint64(len(f.list)) && f.list[seq-f.first].outcome != noOutcome {
		all = append([]known{f.list[seq-f.first]}, all...)
	}
	return all
}

// each calls f for every known payload.
func (f *outcomes) each(call func(seq uint64, k known)) {
	for n, k := range f.list {
		if k.outcome != noOutcome {
			call(f.first+uint64(n), k)
		}
	}
	for seq, all := range f.more {
		for _, k := range all {
			call(seq, k)
		}
	}
}

// of is the result of a payload of the log. A record of an early version, which has no mark, counts if it was not
// recorded before the payload was received.
func (f *outcomes) of(k kycbridge.Kept) (found known) {
	mark := kycbridge.PayloadMark(k.ID)
	for _, n := range f.at(k.Seq) {
		d := kycbridge.Disposition{Mark: n.mark, At: time.Unix(int64(n.recorded), 0)}
		if n.mark != mark && (n.mark != 0 || !d.Of(k.ID, k.ReceivedAt)) {
			continue
		}
		if found.outcome.revision() == 0 {
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

package blocks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// largest is the size above which a file cannot be a block of a server: a block has at most 8 MB plus one message.
const largest = 256 << 20

// Kind is the kind of file that a finding is about.
type Kind string

// The kinds.
const (
	KindBlock    Kind = "messages"
	KindSettings Kind = "settings"
	KindState    Kind = "consumer state"
	KindTimers   Kind = "timers"
)

// Finding is one file that was damaged.
type Finding struct {
	Kind     Kind
	Account  string
	Stream   string
	Consumer string // of the damaged consumer settings or state
	File     string // within the store
	Aside    string // path of the unchanged copy
	Repaired int    // records with one wrong bit that were repaired
	Lost     []Lost // lost messages of the stream
	Misnamed bool   // it had the name of another block, and was renamed to its own name
	Torn     bool   // only the last record is incomplete, as after a crash; its message was not acknowledged
}

// Lost is a damaged message, or several in a row.
type Lost struct {
	After, Before uint64 // sequences of the intact messages before and after it; 0: none
	Seq           uint64 // its own sequence, if it can be determined; 0: not known
	// Subject and Headers are decoded from its bytes, some of which are damaged. Callers must verify them.
	Subject string
	Headers map[string]string
}

// look is the state of one block.
type look struct {
	number uint32
	size   int64
	stamp  stamp
	scanned
	torn bool // only the end is damaged, as is possible after a crash
}

// look reads one block.
func (f folder) look(number uint32, floor uint64) (l look, err error) {
	l.number = number
	info, err := os.Stat(f.block(number))
	if err != nil {
		return l, err
	}
	l.size = info.Size()
	if l.size > largest {
		l.damaged = []span{{0, int(l.size)}}
		return l, nil
	}
	raw, err := os.ReadFile(f.block(number))
	if err != nil || compressed(raw) {
		return l, err
	}
	l.scanned = blockHasher(f.stream, number).scan(raw, floor, nil)
	if d := l.damaged; len(d) == 1 && d[0].to == len(raw) {
		l.torn = incomplete(raw[d[0].from:])
	}
	l.stamp = stampOf(info, l.last)
	return l, nil
}

// incomplete reports whether bytes at the end of a block are a record that was only partly written.
func incomplete(buf []byte) bool {
	if len(buf) < headSize {
		return true
	}
	length := int(le(buf) &^ hasHeaders)
	return length == 0 || length > len(buf) && length <= mostRecord
}

// rebuilt is a damaged block without its damage: the intact and the repaired records, at their sequences.
func (f folder) rebuilt(l look, raw []byte, floor uint64, deep func() bool) (out []byte, repaired int, lost []Lost) {
	h := blockHasher(f.stream, l.number)
	at, last := 0, floor
	for _, d := range l.damaged {
		d.to = min(d.to, len(raw))
		out = append(out, raw[at:d.from]...)
		last = max(last, h.scan(raw[at:d.from], 0, nil).last)
		next := firstOf(h, raw[d.to:])
		if fixed := h.repairBitFlip(raw[d.from:d.to], deep()); fixed != nil && between(h, fixed, last, next) {
			out = append(out, fixed...)
			repaired++
		} else {
			lost = append(lost, lostIn(raw[d.from:d.to], last, next))
		}
		at = d.to
	}
	return append(out, raw[at:]...), repaired, lost
}

// firstOf is the first sequence in a part of a block; 0 if the part contains none.
func firstOf(h hasher, part []byte) uint64 {
	for len(part) > 0 {
		r, ok := h.parse(part)
		if !ok {
			return 0
		}
		if r.kind != tombstone && r.seq != 0 {
			return r.seq
		}
		part = part[len(r.raw):]
	}
	return 0
}

// between reports whether a repaired record fits between two others.
func between(h hasher, fixed []byte, last, next uint64) bool {
	r, ok := h.parse(fixed)
	return ok && (r.kind == tombstone || r.seq > last && (next == 0 || r.seq < next))
}

// lostIn decodes what is readable in damaged bytes.
func lostIn(damaged []byte, last, next uint64) Lost {
	l := Lost{After: last, Before: next}
	if next == last+2 {
		l.Seq = last + 1
	}
	if len(damaged) < leastRecord {
		return l
	}
	if seq := binary.LittleEndian.Uint64(damaged[4:]); seq > last && (seq < next || next == 0 && seq == last+1) {
		l.Seq = seq
	}
	end, ok := layoutOf(damaged)
	if !ok {
		return l
	}
	l.Subject = string(damaged[headSize:end.subject])
	if r, ok := split(damaged, end); ok || len(r.headers) > 0 {
		l.Headers = r.all()
	}
	return l
}

// write replaces a file atomically.
func write(path string, content []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write what is whole: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("write what is whole: %w", errors.Join(err, os.Remove(tmp)))
	}
	return nil
}

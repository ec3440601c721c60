package blocks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// repair repairs the blocks of a stream, and records the intact ones.
func (c *check) repair(f folder, looks []look) error {
	top, last, stale := c.top(f), uint64(0), false
	for i, l := range looks {
		if l.first != 0 && l.first <= last {
			var err error
			if l, err = f.look(l.number, last); err != nil { // it contains older messages than the previous block
				return err
			}
		}
		name, isLast := c.name(f.block(l.number)), i == len(looks)-1
		switch {
		case len(l.damaged) == 0:
			stale = stale || c.memory[name].Last > l.last // truncated: the memory recorded a later sequence
			c.memory[name] = l.stamp
			if isLast && (l.records > 0 || l.size == 0) && top > max(l.given, last) {
				// Truncated between two records: the rest of the block is intact.
				c.found(f, Finding{Kind: KindBlock, File: name, Lost: []Lost{{After: max(l.last, last)}}})
				stale = true
			}
		case isLast && l.torn && top <= max(l.last, last):
			c.found(f, Finding{Kind: KindBlock, File: name, Torn: true})
		default:
			if isLast {
				top = max(top, l.end(last))
			}
			var err error
			if l.last, err = c.rebuild(f, l, last); err != nil {
				return err
			}
			stale = true
		}
		last = max(last, l.last)
	}
	if !stale {
		return nil
	}
	if err := f.recordTop(looks, last, top); err != nil {
		return err
	}
	return c.reindex(f)
}

// top is a lower bound of the highest assigned sequence: from the index, or as recorded when the server was
// closed.
func (c *check) top(f folder) uint64 {
	if x := f.index(); x.last > 0 {
		return x.last
	}
	return c.memory[c.name(filepath.Join(f.path, messagesDir, indexFile))].Last
}

// end is a lower bound of the highest assigned sequence, if the end of the last block is damaged; else 0.
func (l look) end(floor uint64) uint64 {
	if d := l.damaged[len(l.damaged)-1]; int64(d.to) < l.size || l.torn {
		return 0
	}
	return max(l.last, floor) + 1
}

// recordTop appends a record to the last block which states that sequences up to top were assigned, so that
// they are not assigned again.
func (f folder) recordTop(looks []look, last, top uint64) error {
	if top <= last || len(looks) == 0 {
		return nil
	}
	number := looks[len(looks)-1].number
	raw, err := os.ReadFile(f.block(number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h := blockHasher(f.stream, number)
	return write(f.block(number), append(raw, h.skip(top, h.scan(raw, 0, nil).time)...))
}

// rebuild sets a damaged block aside and replaces it by its intact part. It returns the last sequence of the
// intact part.
func (c *check) rebuild(f folder, l look, floor uint64) (last uint64, err error) {
	path := f.block(l.number)
	found := Finding{Kind: KindBlock, File: c.name(path)}
	var out []byte
	if l.size <= largest {
		raw, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		withinTimeout := func() bool { return time.Since(c.began) < bitFlipTimeout }
		out, found.Repaired, found.Lost = f.rebuilt(l, raw, floor, withinTimeout)
	} else {
		found.Lost = []Lost{{After: floor}}
	}
	if found.Aside, err = c.keepAside(f, path); err != nil {
		return 0, err
	}
	c.found(f, found)
	delete(c.memory, c.name(path))
	if len(out) == 0 {
		return 0, os.Remove(path)
	}
	return blockHasher(f.stream, l.number).scan(out, 0, nil).last, write(path, out)
}

// reindex removes the index and the timer lists, so that the server reads all blocks again: these files are
// outdated.
func (c *check) reindex(f folder) error {
	for _, name := range append(timerFiles[:], indexFile) {
		err := os.Remove(filepath.Join(f.path, messagesDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// restoreNames renames blocks whose names were swapped: the checksums in a block are keyed by its number.
func (c *check) restoreNames(f folder, numbers []uint32) error {
	belongs := map[uint32]uint32{}
	for _, n := range numbers {
		if to := f.belongs(n, numbers); to != n {
			belongs[n] = to
		}
	}
	for from, to := range belongs {
		if _, away := belongs[to]; !away && slices.Contains(numbers, to) {
			delete(belongs, from) // a copy of an existing block
		}
	}
	for from := range belongs {
		aside, err := c.keepAside(f, f.block(from))
		if err != nil {
			return err
		}
		c.found(f, Finding{Kind: KindBlock, File: c.name(f.block(from)), Aside: aside, Misnamed: true})
		if err := os.Rename(f.block(from), f.block(from)+".moved"); err != nil {
			return err
		}
	}
	for from, to := range belongs {
		if err := os.Rename(f.block(from)+".moved", f.block(to)); err != nil {
			return err
		}
	}
	if len(belongs) == 0 {
		return nil
	}
	return c.reindex(f)
}

// belongs is the block number with which the first record of a block has a correct checksum; the number in the
// name of the file if no other number fits.
func (f folder) belongs(number uint32, numbers []uint32) uint32 {
	head := f.head(number)
	l, ok := layoutOf(head)
	if !ok {
		return number
	}
	if _, whole := blockHasher(f.stream, number).parse(head); whole {
		return number
	}
	for other := uint32(1); other <= numbers[len(numbers)-1]+1; other++ {
		if _, whole := blockHasher(f.stream, other).parse(head[:l.length]); whole {
			return other
		}
	}
	return number
}

// head is the first record of a block, if it is intact.
func (f folder) head(number uint32) []byte {
	file, err := os.Open(f.block(number))
	if err != nil {
		return nil
	}
	defer file.Close()
	buf := make([]byte, headSize)
	if _, err := file.ReadAt(buf, 0); err != nil {
		return nil
	}
	length := int(le(buf) &^ hasHeaders)
	if length < leastRecord || length > mostRecord {
		return nil
	}
	buf = make([]byte, length)
	if _, err := file.ReadAt(buf, 0); err != nil {
		return nil
	}
	return buf
}

package segments

import (
	"slices"
	"sort"
)

// Sizes are the parameters of an index.
type Sizes struct {
	Segment int // maximum number of entries of a segment
	Step    int // maximum number of entries that one call of Merge writes; at least those of two segments
}

const (
	// sweepAfter is the number of days after which a segment is written again without its expired entries.
	sweepAfter = 7
	sweepMost  = 4 // segments that one call of Sweep writes again
)

// Change is a manifest that is being changed. It takes effect only when the new segments and the manifest are stored.
type Change struct {
	Manifest
	sizes   Sizes
	today   uint16
	load    Load
	written map[Name]Body
}

// NewChange begins with the state of an index. The original is not changed.
func NewChange(m Manifest, sizes Sizes, today uint16, load Load) *Change {
	c := &Change{Manifest: m, sizes: sizes, today: today, written: map[Name]Body{}}
	c.Runs = make([]Run, len(m.Runs))
	for i, r := range m.Runs {
		c.Runs[i] = r
		c.Runs[i].Segments = slices.Clone(r.Segments)
	}
	c.load = func(s Segment) (Body, error) {
		if entries, ok := c.written[s.Name]; ok {
			return entries, nil
		}
		return load(s)
	}
	return c
}

// Written are the new segments of the changed manifest with their entries.
func (c *Change) Written() map[Segment]Body {
	out := map[Segment]Body{}
	for _, r := range c.Runs {
		for _, s := range r.Segments {
			if entries, ok := c.written[s.Name]; ok {
				out[s] = entries
			}
		}
	}
	return out
}

// Changed reports whether the segments differ from those of the manifest that the change began with.
func (c *Change) Changed(from *Manifest) bool {
	return len(c.Written()) > 0 || len(c.Named()) != len(from.Named()) || len(c.Runs) != len(from.Runs)
}

// segments cuts sorted entries into new segments.
func (c *Change) segments(entries []Entry) (out []Segment) {
	for part := range slices.Chunk(entries, c.sizes.Segment) {
		s := Segment{Name: NewName(), Key: NewSecret(), First: part[0].Key, Count: uint32(len(part))}
		for _, e := range part {
			if e.Expires != 0 && (s.Oldest == 0 || e.Expires < s.Oldest) {
				s.Oldest = e.Expires
			}
		}
		c.written[s.Name] = bodyOf(part)
		out = append(out, s)
	}
	return out
}

// Add adds entries as a new run.
func (c *Change) Add(entries []Entry) {
	if len(entries) > 0 {
		c.Runs = append(c.Runs, Run{ID: c.newID(), Segments: c.segments(Sorted(entries))})
	}
}

// newID is an unused run id.
func (c *Change) newID() (id uint32) {
	for _, r := range c.Runs {
		id = max(id, r.ID, r.Into)
	}
	return id + 1
}

// Sweep writes segments again without the expired entries, if an entry of the segment expired more than sweepAfter
// days ago. It reports whether there are more such segments.
func (c *Change) Sweep() (more bool, err error) {
	n := 0
	for i := range c.Runs {
		for j := 0; j < len(c.Runs[i].Segments); j++ {
			s := c.Runs[i].Segments[j]
			if s.Oldest == 0 || s.Oldest+sweepAfter >= c.today {
				continue
			}
			if n++; n > sweepMost {
				return true, nil
			}
			kept, err := c.rewrite(i, j, func(e Entry) bool { return !e.expired(c.today) })
			if err != nil {
				return false, err
			}
			j -= 1 - kept
		}
	}
	c.dropEmpty()
	return false, nil
}

// rewrite replaces a segment by one with the entries that keep accepts, or removes it if keep accepts none. It returns
// the number of segments that remain: 1 or 0.
func (c *Change) rewrite(run, at int, keep func(Entry) bool) (kept int, err error) {
	r := &c.Runs[run]
	entries, err := c.load(r.Segments[at])
	if err != nil {
		return 0, err
	}
	var left []Entry
	for i := range entries.Len() {
		if e := entries.At(i); keep(e) {
			left = append(left, e)
		}
	}
	if len(left) == entries.Len() {
		return 1, nil
	}
	replacement := c.segments(left)
	r.Segments = slices.Replace(r.Segments, at, at+1, replacement...)
	return len(replacement), nil
}

// dropEmpty removes runs without segments, except those that others are merged into.
func (c *Change) dropEmpty() {
	targets := map[uint32]bool{}
	for _, r := range c.Runs {
		if len(r.Segments) > 0 {
			targets[r.Into] = true
		}
	}
	c.Runs = slices.DeleteFunc(c.Runs, func(r Run) bool { return len(r.Segments) == 0 && !targets[r.ID] })
}

// Erase removes the entries with the given keys, which must be sorted, and stops after it has changed as many segments
// as most. It reports whether other segments may contain more of them.
func (c *Change) Erase(keys []Key, most int) (more bool, err error) {
	n := 0
	for i := range c.Runs {
		r := &c.Runs[i]
		for j := 0; j < len(r.Segments); j++ {
			here := keysOf(r, j, keys)
			if len(here) == 0 {
				continue
			}
			before := r.Segments[j].Name
			kept, err := c.rewrite(i, j, func(e Entry) bool {
				_, doomed := slices.BinarySearchFunc(here, e.Key, func(a, b Key) int { return compare(&a, &b) })
				return !doomed
			})
			if err != nil {
				return false, err
			}
			if kept == 1 && r.Segments[j].Name == before {
				continue
			}
			j -= 1 - kept
			if n++; n == most {
				c.dropEmpty()
				return true, c.moveOff(keys)
			}
		}
	}
	c.dropEmpty()
	return false, c.moveOff(keys)
}

// moveOff moves the position of each merge (Run.Next) that is an erased key to the next key that exists, so that the
// manifest does not contain erased keys.
func (c *Change) moveOff(keys []Key) error {
	for i := range c.Runs {
		r := &c.Runs[i]
		if _, erased := slices.BinarySearchFunc(keys, r.Next, func(a, b Key) int { return compare(&a, &b) }); !erased {
			continue
		}
		next, more, err := peekLowest(c.sources(r))
		if err != nil {
			return err
		}
		if r.Next = next; !more {
			r.Next = Beginning().Last
		}
	}
	return nil
}

// keysOf are those of the sorted keys that the segment at a position may contain.
func keysOf(r *Run, at int, keys []Key) []Key {
	from := sort.Search(len(keys), func(i int) bool { return compare(&keys[i], &r.Segments[at].First) >= 0 })
	if at+1 == len(r.Segments) {
		return keys[from:]
	}
	next := &r.Segments[at+1].First
	return keys[from : from+sort.Search(len(keys)-from, func(i int) bool { return compare(&keys[from+i], next) >= 0 })]
}

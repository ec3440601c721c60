package segments

import (
	"cmp"
	"maps"
	"slices"
	"sort"
)

// Sizes are the parameters of an index.
type Sizes struct {
	Segment int // entries of a segment, at most
	Step    int // entries that Merge writes at once, at most; at least two segments
}

const (
	// fan is the number of runs of a similar size that are merged into one. Each entry is written again once for
	// each factor of fan between the first run and the last; up to fan-1 runs of each size are searched.
	fan = 4
	// smallest is the part of a segment below which all runs count as similar.
	smallest = 16
	// sweepAfter is the number of days after which a segment is written again without its expired entries.
	sweepAfter = 7
	sweepMost  = 4 // segments at once
)

// Change is a manifest that is being changed. Nothing of it takes effect before the new segments and the manifest
// are stored.
type Change struct {
	Manifest
	sizes   Sizes
	today   uint16
	load    Load
	written map[Name][]Entry
}

// NewChange begins with the state of an index. The original is not changed.
func NewChange(m Manifest, sizes Sizes, today uint16, load Load) *Change {
	c := &Change{Manifest: m, sizes: sizes, today: today, written: map[Name][]Entry{}}
	c.Runs = make([]Run, len(m.Runs))
	for i, r := range m.Runs {
		c.Runs[i] = r
		c.Runs[i].Segments = slices.Clone(r.Segments)
	}
	c.load = func(s Segment) ([]Entry, error) {
		if entries, ok := c.written[s.Name]; ok {
			return entries, nil
		}
		return load(s)
	}
	return c
}

// Written are the new segments of the changed manifest with their entries.
func (c *Change) Written() map[Segment][]Entry {
	out := map[Segment][]Entry{}
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
		c.written[s.Name] = part
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

// newID is a number that no run has.
func (c *Change) newID() (id uint32) {
	for _, r := range c.Runs {
		id = max(id, r.ID, r.Into)
	}
	return id + 1
}

func (r *Run) count() (n int) {
	for _, s := range r.Segments {
		n += int(s.Count)
	}
	return n
}

// class is the size of a run: each class has runs of fan times the entries.
func (c *Change) class(r *Run) (class int) {
	for n := r.count(); n >= max(c.sizes.Segment/smallest, 1); n /= fan {
		class++
	}
	return class
}

// begin starts the merges that are due: of the first fan runs of a class.
func (c *Change) begin() {
	targets := map[uint32]bool{}
	for _, r := range c.Runs {
		targets[r.Into] = true
	}
	idle := map[int][]int{}
	for i := range c.Runs {
		if r := &c.Runs[i]; r.Into == 0 && !targets[r.ID] {
			class := c.class(r)
			idle[class] = append(idle[class], i)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(idle)) {
		if len(idle[class]) < fan {
			continue
		}
		into := c.newID()
		for _, i := range idle[class][:fan] {
			c.Runs[i].Into = into
		}
		c.Runs = append(c.Runs, Run{ID: into})
	}
}

// Merge continues the merges that are due, small ones first, until a step is done. It reports whether there is more
// to merge.
func (c *Change) Merge() (more bool, err error) {
	for left := c.sizes.Step; ; {
		c.begin()
		into, ok := c.smallestMerge()
		if !ok || left < c.sizes.Segment {
			return ok, nil
		}
		n, err := c.step(into, left)
		if err != nil {
			return false, err
		}
		left -= n
	}
}

// smallestMerge is the run that the fewest entries are still to be merged into.
func (c *Change) smallestMerge() (into uint32, ok bool) {
	left := map[uint32]int{}
	for i := range c.Runs {
		if r := &c.Runs[i]; r.Into != 0 {
			left[r.Into] += r.count()
		}
	}
	if len(left) == 0 {
		return 0, false
	}
	return slices.MinFunc(slices.Collect(maps.Keys(left)),
		func(a, b uint32) int { return cmp.Or(cmp.Compare(left[a], left[b]), cmp.Compare(a, b)) }), true
}

// step merges the next entries into a run, whole segments of them unless the merge ends, and returns how many
// entries it read.
func (c *Change) step(into uint32, most int) (read int, err error) {
	target := slices.IndexFunc(c.Runs, func(r Run) bool { return r.ID == into })
	sources := c.sources(&c.Runs[target])
	var out []Entry
	for limit := most / c.sizes.Segment * c.sizes.Segment; len(out) < limit && read < 2*limit; {
		e, ok, err := lowest(sources)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if read++; !e.expired(c.today) {
			out = append(out, e)
		}
	}
	next, more, err := peekLowest(sources)
	if err != nil {
		return 0, err
	}
	for _, s := range sources {
		s.drop()
	}
	t := &c.Runs[target]
	t.Segments = append(t.Segments, c.segments(out)...)
	if t.Next = next; !more {
		t.Next = Key{}
	}
	c.dropEmpty()
	return read, nil
}

// sources are the runs that are merged into another one, from its next entry on.
func (c *Change) sources(into *Run) (all []*source) {
	from := Range{First: into.Next, Last: Beginning().Last}
	for i := range c.Runs {
		if r := &c.Runs[i]; r.Into == into.ID {
			at, _ := r.holding(from)
			all = append(all, &source{run: r, at: at, from: from, load: c.load})
		}
	}
	return all
}

// source reads the entries of a run in order.
type source struct {
	run     *Run
	at      int // segment
	from    Range
	load    Load
	entries []Entry // the rest of that segment; nil: it was not read
	read    bool
}

// peek is the next entry; nil: there is none.
func (s *source) peek() (*Entry, error) {
	for s.at < len(s.run.Segments) {
		if !s.read {
			entries, err := s.load(s.run.Segments[s.at])
			if err != nil {
				return nil, err
			}
			s.entries, s.read = within(entries, s.from), true
		}
		if len(s.entries) > 0 {
			return &s.entries[0], nil
		}
		s.at, s.read = s.at+1, false
	}
	return nil, nil
}

// drop removes the segments that were read to their end.
func (s *source) drop() { s.run.Segments = s.run.Segments[min(s.at, len(s.run.Segments)):] }

// peekLowest is the lowest next key of the sources.
func peekLowest(sources []*source) (k Key, ok bool, err error) {
	for _, s := range sources {
		e, err := s.peek()
		if err != nil {
			return k, false, err
		}
		if e != nil && (!ok || compare(&e.Key, &k) < 0) {
			k, ok = e.Key, true
		}
	}
	return k, ok, nil
}

// lowest takes the entry with the lowest key from all sources that have it.
func lowest(sources []*source) (e Entry, ok bool, err error) {
	k, ok, err := peekLowest(sources)
	if err != nil || !ok {
		return e, false, err
	}
	first := true
	for _, s := range sources {
		next, err := s.peek()
		if err != nil {
			return e, false, err
		}
		if next == nil || next.Key != k {
			continue
		}
		if first {
			e, first = *next, false
		} else {
			e.Expires = later(e.Expires, next.Expires)
		}
		s.entries = s.entries[1:]
	}
	return e, true, nil
}

// Sweep writes segments with entries that expired some days ago again without them. It reports whether there are
// more.
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
			kept, err := c.rewrite(i, j, func(e *Entry) bool { return !e.expired(c.today) })
			if err != nil {
				return false, err
			}
			j -= 1 - kept
		}
	}
	c.dropEmpty()
	return false, nil
}

// rewrite replaces a segment by one with the entries that keep accepts, or by none. It returns 1 if there is one.
func (c *Change) rewrite(run, at int, keep func(*Entry) bool) (kept int, err error) {
	r := &c.Runs[run]
	entries, err := c.load(r.Segments[at])
	if err != nil {
		return 0, err
	}
	var left []Entry
	for i := range entries {
		if keep(&entries[i]) {
			left = append(left, entries[i])
		}
	}
	if len(left) == len(entries) {
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

// Erase removes the entries with sorted keys, from most segments at once. It reports whether others may hold more
// of them.
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
			kept, err := c.rewrite(i, j, func(e *Entry) bool {
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

// moveOff moves the position of merges from erased keys to the next ones that exist.
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

// keysOf are the keys that the segment at a position may hold.
func keysOf(r *Run, at int, keys []Key) []Key {
	from := sort.Search(len(keys), func(i int) bool { return compare(&keys[i], &r.Segments[at].First) >= 0 })
	if at+1 == len(r.Segments) {
		return keys[from:]
	}
	next := &r.Segments[at+1].First
	return keys[from : from+sort.Search(len(keys)-from, func(i int) bool { return compare(&keys[from+i], next) >= 0 })]
}

package segments

import (
	"cmp"
	"maps"
	"slices"
)

const (
	// fan is the number of runs of a similar size that are merged into one. Each time that an entry is merged, it
	// moves to a run that is about fan times as large; a search reads up to fan-1 runs of each size.
	fan = 4
	// smallest: all runs with less than 1/smallest of the entries of a segment count as similar.
	smallest = 16
)

func (r *Run) count() (n int) {
	for _, s := range r.Segments {
		n += int(s.Count)
	}
	return n
}

// class is the size class of a run: the runs of a class have fan times as many entries as those of the class before.
func (c *Change) class(r *Run) (class int) {
	for n := r.count(); n >= max(c.sizes.Segment/smallest, 1); n /= fan {
		class++
	}
	return class
}

// begin starts the merges that are due: each merges the first fan runs of a class.
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

// smallestMerge is the target of the merge with the fewest remaining entries.
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

// sources are the runs that are being merged into the run into; each is read from the key into.Next on.
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
	at      int // position of the current segment
	from    Range
	load    Load
	entries Body // of the current segment; nil: it was not read
	read    int  // how many of them were taken
	next    Entry
	ready   bool // next is the next entry
}

// peek makes the next entry available in s.next; ok is false at the end of the run.
func (s *source) peek() (ok bool, err error) {
	for !s.ready && s.at < len(s.run.Segments) {
		if s.entries == nil {
			entries, err := s.load(s.run.Segments[s.at])
			if err != nil {
				return false, err
			}
			s.entries, s.read = entries.within(s.from), 0
		}
		if s.read == s.entries.Len() {
			s.at, s.entries = s.at+1, nil
			continue
		}
		s.next, s.ready = s.entries.At(s.read), true
	}
	return s.ready, nil
}

// take removes the next entry.
func (s *source) take() { s.read, s.ready = s.read+1, false }

// drop removes the segments that were read to their end.
func (s *source) drop() { s.run.Segments = s.run.Segments[s.at:] }

// peekLowest is the lowest next key of the sources.
func peekLowest(sources []*source) (k Key, ok bool, err error) {
	for _, s := range sources {
		some, err := s.peek()
		if err != nil {
			return k, false, err
		}
		if some && (!ok || compare(&s.next.Key, &k) < 0) {
			k, ok = s.next.Key, true
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
	taken := false
	for _, s := range sources {
		if !s.ready || s.next.Key != k {
			continue
		}
		if taken {
			s.next.Expires = later(e.Expires, s.next.Expires)
		}
		e, taken = s.next, true
		s.take()
	}
	return e, true, nil
}

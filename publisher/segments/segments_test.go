package segments

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// shelf holds the sealed segments of an index, as a stream does.
type shelf map[Name][]byte

func (s shelf) load(part Segment) (Body, error) {
	body, ok := s[part.Name]
	if !ok {
		return nil, errors.New("the segment is not stored")
	}
	return part.Open(slices.Clone(body))
}

// keep stores a change, and removes what it does not name any more.
func (s shelf) keep(c *Change) Manifest {
	for part, entries := range c.Written() {
		s[part.Name] = part.Seal(entries)
	}
	named := c.Named()
	maps.DeleteFunc(s, func(n Name, _ []byte) bool { return !named[n] })
	return c.Manifest
}

// keyOf makes one of few keys, so that they collide.
func keyOf(a, b byte) (k Key) {
	k[0] = a
	for i := range k[1:] {
		k[i+1] = b
	}
	return k
}

// checkForm checks what every manifest promises.
func checkForm(t *rapid.T, m Manifest, s shelf, sizes Sizes) {
	for _, r := range m.Runs {
		var last *Key
		for _, part := range r.Segments {
			entries, err := s.load(part)
			if err != nil || entries.Len() == 0 || entries.Len() > sizes.Segment || entries.At(0).Key != part.First {
				t.Fatalf("segment %+v has %d entries, %v", part, entries.Len(), err)
			}
			for i := range entries.Len() {
				e := entries.At(i)
				if last != nil && compare(last, &e.Key) >= 0 {
					t.Fatalf("the entries of a run are not in order")
				}
				last = &e.Key
			}
		}
	}
	if named := m.Named(); len(named) != len(s) {
		t.Fatalf("%d segments are stored, %d are named", len(s), len(named))
	}
}

// TestIndexIsASet compares an index with a map, while entries are added, expire, are erased and merged.
func TestIndexIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := Sizes{Segment: rapid.IntRange(1, 8).Draw(t, "segment")}
		sizes.Step = sizes.Segment * rapid.IntRange(2, 4).Draw(t, "step")
		var m Manifest
		stored, want, today := shelf{}, map[Key]uint16{}, uint16(100)
		anyKey := rapid.Custom(func(t *rapid.T) Key {
			return keyOf(rapid.ByteRange(1, 7).Draw(t, "table"), rapid.ByteRange(1, 30).Draw(t, "rest"))
		})
		change := func(f func(*Change) error) {
			c := NewChange(m, sizes, today, stored.load)
			if err := f(c); err != nil {
				t.Fatal(err)
			}
			stored.keep(c)
			var err error
			if m, err = Decode(c.Encode()); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				var entries []Entry
				for _, k := range rapid.SliceOfN(anyKey, 0, 20).Draw(t, "keys") {
					e := Entry{k, rapid.SampledFrom([]uint16{0, 0, today, today + 3}).Draw(t, "expires")}
					entries = append(entries, e)
					if before, ok := want[k]; ok && !(&Entry{k, before}).expired(today) {
						e.Expires = later(before, e.Expires)
					}
					want[k] = e.Expires
				}
				change(func(c *Change) error { c.Add(entries); return nil })
			},
			"merge": func(t *rapid.T) {
				change(func(c *Change) error { _, err := c.Merge(); return err })
			},
			"sweep": func(t *rapid.T) {
				change(func(c *Change) error { _, err := c.Sweep(); return err })
			},
			"erase": func(t *rapid.T) {
				keys := rapid.SliceOfN(anyKey, 1, 5).Draw(t, "keys")
				slices.SortFunc(keys, func(a, b Key) int { return compare(&a, &b) })
				for more := true; more; {
					change(func(c *Change) (err error) { more, err = c.Erase(keys, 2); return err })
				}
				for _, k := range keys {
					delete(want, k)
				}
				checkAbsent(t, m, stored, keys)
			},
			"a day": func(*rapid.T) { today++ },
			"": func(t *rapid.T) {
				checkForm(t, m, stored, sizes)
				of := Beginning(rapid.ByteRange(1, 7).Draw(t, "table"))
				if rapid.Bool().Draw(t, "one") {
					k := anyKey.Draw(t, "key")
					of = Range{k, k}
				}
				got, err := m.Search(of, today, 0, nil, stored.load)
				if err != nil {
					t.Fatal(err)
				}
				var expected []Entry
				for k, expires := range want {
					if e := (Entry{k, expires}); !e.expired(today) && compare(&of.First, &k) <= 0 && compare(&k, &of.Last) <= 0 {
						expected = append(expected, e)
					}
				}
				if expected = Sorted(expected); !slices.Equal(got, expected) {
					t.Fatalf("found %v, want %v", got, expected)
				}
				if some, err := m.Search(of, today, 3, nil, stored.load); err != nil || (len(some) > 3) != (len(got) > 3) ||
					len(got) <= 3 && !slices.Equal(some, got) {
					t.Fatalf("a limited search found %d of %d, %v", len(some), len(got), err)
				}
			},
		})
	})
}

// checkAbsent checks that neither a segment nor the manifest holds a key.
func checkAbsent(t *rapid.T, m Manifest, s shelf, keys []Key) {
	erased := func(k Key) bool {
		return slices.ContainsFunc(keys, func(e Key) bool { return bytes.Equal(e[:keySize-1], k[:keySize-1]) })
	}
	for _, r := range m.Runs {
		if erased(r.Next) {
			t.Fatal("the position of a merge is an erased key")
		}
		for _, part := range r.Segments {
			entries, err := s.load(part)
			if err != nil || erased(part.First) {
				t.Fatalf("%v, or the manifest holds an erased key", err)
			}
			for i := range entries.Len() {
				if erased(entries.At(i).Key) {
					t.Fatal("a segment holds an erased key")
				}
			}
		}
	}
}

// TestMergesKeepUp: however long entries are added, a segment in each round or as many as a round may write under load,
// few runs are searched, no step is large, and each entry is written again a few times only.
func TestMergesKeepUp(t *testing.T) {
	for name, c := range map[string]struct{ new, step, rounds int }{
		"a segment a round": {new: 1, step: 8, rounds: 1024},
		"full rounds":       {new: 16, step: 32, rounds: 96},
	} {
		t.Run(name, func(t *testing.T) { mergesKeepUp(t, Sizes{Segment: 32, Step: c.step * 32}, c.new*32, c.rounds) })
	}
}

func mergesKeepUp(t *testing.T, sizes Sizes, added, rounds int) {
	var m Manifest
	stored, rewritten, runs := shelf{}, 0, 0
	for n := range rounds {
		var entries []Entry
		for i := range added {
			k := Key{}
			x := uint32(n*added+i) * 2654435761 // in no order
			copy(k[:], []byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
			entries = append(entries, Entry{Key: k})
		}
		c := NewChange(m, sizes, 100, stored.load)
		c.Add(entries)
		if _, err := c.Merge(); err != nil {
			t.Fatal(err)
		}
		wrote := 0
		for part := range c.Written() {
			wrote += int(part.Count)
		}
		if wrote > 2*sizes.Step {
			t.Fatalf("a round wrote %d entries", wrote)
		}
		rewritten += wrote
		m = stored.keep(c)
		runs = max(runs, len(m.Runs))
	}
	all, err := m.Search(Beginning(), 100, 0, nil, stored.load)
	if err != nil || len(all) != rounds*added {
		t.Fatalf("found %d entries, %v", len(all), err)
	}
	t.Logf("%d entries: each written %.1f times, %d runs at most, %d at the end, %d segments", len(all),
		float64(rewritten)/float64(len(all)), runs, len(m.Runs), len(m.Named()))
	if runs > 20 || rewritten > 6*len(all) {
		t.Errorf("%d runs, %d entries written", runs, rewritten)
	}
}

// TestDamageIsNoticed: a segment or manifest with another bit, or of another length, is not read.
func TestDamageIsNoticed(t *testing.T) {
	c := NewChange(Manifest{}, Sizes{Segment: 8, Step: 16}, 100, nil)
	c.Add([]Entry{{Key: keyOf(1, 1)}, {Key: keyOf(2, 2), Expires: 7}})
	secret := NewSecret()
	manifest := secret.SealAgain(c.Encode())
	for part, entries := range c.Written() {
		body := part.Seal(entries)
		for i := range body {
			damaged := slices.Clone(body)
			damaged[i] ^= 1
			if _, err := part.Open(damaged); err == nil {
				t.Fatalf("byte %d of a segment", i)
			}
		}
		if _, err := part.Open(slices.Clone(body[:len(body)-entrySize])); err == nil {
			t.Error("a short segment")
		}
	}
	for i := range manifest {
		damaged := slices.Clone(manifest)
		damaged[i] ^= 1
		if _, err := secret.OpenAgain(damaged); err == nil {
			t.Fatalf("byte %d of a manifest", i)
		}
	}
	for n := range len(c.Encode()) {
		if _, err := Decode(c.Encode()[:n]); err == nil {
			t.Errorf("the first %d bytes of a manifest", n)
		}
	}
}

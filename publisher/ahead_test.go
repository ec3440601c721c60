package publisher

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/minio/highwayhash"
	"go.uber.org/zap"

	"kycbridge"
)

// TestRetentionPastMessagesFromTheFuture: some messages were stored while the server's clock was ahead. The later ones
// are removed when they are old enough, at the front of the stream and behind others; those with a later time stay.
func TestRetentionPastMessagesFromTheFuture(t *testing.T) {
	const year, old, young = 365 * 24 * time.Hour, -2 * time.Hour, -30 * time.Minute
	many := append(slices.Repeat([]time.Duration{year}, 3*lookPast), old, old, young)
	for name, c := range map[string]struct {
		ages []time.Duration // when the messages were stored
		left []uint64
	}{
		"in the middle":          {[]time.Duration{old, year, old, old, young}, []uint64{2, 5}},
		"at the front":           {[]time.Duration{year, old, old, young}, []uint64{1, 4}},
		"its time has come":      {[]time.Duration{young, old, old, young}, []uint64{1, 4}},
		"many":                   {many, append(numbers(3*lookPast), 3*lookPast+3)},
		"several, not one after": {[]time.Duration{old, year, year, old, young, old}, []uint64{2, 3, 5}},
		"none":                   {[]time.Duration{old, old, young, young}, []uint64{3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			e, store, bus := openAt(t, dir, zap.NewNop())
			for i := range c.ages {
				must(t, store.Quarantine(t.Context(), payload("idv", "", fmt.Sprint(`{"n":`, i, `}`)),
					kycbridge.QuarantineUnidentified, nil))
			}
			closeAt(e, store, bus)
			storedAt(t, dir, testNames.quarantine(), c.ages)
			e, store, bus = openAt(t, dir, zap.NewNop())
			defer func() { closeAt(e, store, bus) }()
			tool := purgeTool(t, store, bus)
			tool.Ageing, tool.Retention = store, kycbridge.Retention{Quarantine: time.Hour}
			_, err := tool.Retain(t.Context(), false, false)
			must(t, err)
			var left []uint64
			for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
				left = append(left, k.Seq)
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("%v are left, want %v", left, c.left)
			}
		})
	}
}

// TestSearchPastMessagesFromTheFutureEnds: the cost of a search is bounded, however many messages are too young.
func TestSearchPastMessagesFromTheFutureEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		at   time.Time
		most int
	}{"young": {now, lookPast}, "from the future": {now.Add(time.Hour), mostAhead}} {
		left, n := passed{now: now}, 1
		for ; left.pass(c.at) == nil; n++ {
			if n > c.most {
				break
			}
		}
		if n != c.most {
			t.Errorf("%s: the search ends after %d messages, want %d", name, n, c.most)
		}
	}
}

// numbers are those from 1 to n.
func numbers(n uint64) (all []uint64) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// storedAt changes when the messages of a stream were stored, in the file of a stopped server.
func storedAt(t *testing.T, dir, stream string, ages []time.Duration) {
	t.Helper()
	folder := dir + "/jetstream/" + ownAccount + "/streams/" + stream + "/msgs/"
	raw, err := os.ReadFile(folder + "1.blk")
	must(t, err)
	key := sha256.Sum256([]byte(stream + "-1"))
	digest, err := highwayhash.NewDigest64(key[:])
	must(t, err)
	for at, n := 0, 0; at < len(raw); n++ {
		length := binary.LittleEndian.Uint32(raw[at:])
		one := raw[at : at+int(length&^(1<<31))]
		binary.LittleEndian.PutUint64(one[12:], uint64(time.Now().Add(ages[n]).UnixNano()))
		subject := 22 + int(binary.LittleEndian.Uint16(one[20:]))
		content := subject
		if length&(1<<31) != 0 {
			content += 4
		}
		digest.Reset()
		for _, part := range [][]byte{one[4:20], one[22:subject], one[content : len(one)-8]} {
			_, _ = digest.Write(part)
		}
		copy(one[len(one)-8:], digest.Sum(nil))
		at += len(one)
	}
	must(t, os.WriteFile(folder+"1.blk", raw, 0o600))
	must(t, os.Remove(folder+"index.db")) // the server reads the block
}

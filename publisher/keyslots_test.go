package publisher

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kycbridge"
	"kycbridge/internal/keys"
)

// pageMaker makes pages with as many keys as it is asked for, and notes when.
type pageMaker struct{ made []time.Time }

func (r *pageMaker) page(_ context.Context, shelf kycbridge.Shelf, n int) (*page, error) {
	r.made = append(r.made, time.Now())
	return &page{shelf: shelf, id: "p", seq: uint64(len(r.made)), content: bytes.Repeat([]byte{1}, n*keys.Size)}, nil
}

// The page of a key may be removed sweepSlack after it was made, if the payloads from before have gone. So no key of an
// older page is given out, also where payloads are few: not of the page in use, and not of the next page, which is
// made in advance.
func TestNoKeyOfAnOldPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &dispenser{shelf: kycbridge.ShelfQuarantine, life: t.Context()}
		r := &pageMaker{}
		for taken := range 3 * fewestSlots {
			name, _, err := d.take(t.Context(), r.page)
			must(t, err)
			synctest.Wait()
			_, made, _, _ := parseKeyName(name)
			if age := time.Since(r.made[made-1]); age > pageLife {
				t.Fatalf("key %d is of a page that was made %s ago, want at most %s", taken, age, pageLife)
			}
			if taken == fewestSlots-fewestSlots/4 { // the next page has been made
				time.Sleep(10 * time.Hour)
			}
		}
		d.making.Wait()
	})
}

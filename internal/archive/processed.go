package archive

import (
	"context"
	"errors"
	"time"

	"kycbridge"
)

// beyondFloor and purgedBeyondFloor are how many payloads after the Normalizer's position are looked up at once by the
// retention, and by a purge, which keeps more of each in memory. A lookup reads the dispositions since the oldest.
const (
	beyondFloor       = 1 << 18
	purgedBeyondFloor = 1 << 14
)

// numbered is a stored payload.
type numbered interface {
	// at is its sequence in the log, and a time that is not after its disposition.
	at() (seq uint64, since time.Time)
	// has reports whether a disposition of its sequence is its own.
	has(d kycbridge.Disposition) bool
}

type agedPayload kycbridge.Aged

func (p agedPayload) at() (uint64, time.Time)          { return p.Seq, p.At }
func (p agedPayload) has(d kycbridge.Disposition) bool { return d.OfStored(p.At) }

type keptPayload kycbridge.Kept

func (p keptPayload) at() (uint64, time.Time)          { return p.Seq, p.ReceivedAt }
func (p keptPayload) has(d kycbridge.Disposition) bool { return d.Of(p.ID, p.ReceivedAt) }

// processed returns those payloads that the Normalizer has processed although an earlier one still waits, for example
// for its account to be configured again. Without a disposition a payload counts as unprocessed. The order remains.
func processed[P numbered](ctx context.Context, log DispositionLog, open []P) (done []P, err error) {
	if len(open) == 0 {
		return nil, nil
	}
	left := make(map[uint64]int, len(open))
	_, oldest := open[0].at()
	for i, p := range open {
		seq, since := p.at()
		left[seq] = i
		if since.Before(oldest) {
			oldest = since
		}
	}
	err = log.Dispositions(ctx, oldest.Add(-outcomeSlack), func(d kycbridge.Disposition) error {
		if i, ok := left[d.Seq]; ok && open[i].has(d) {
			delete(left, d.Seq)
		}
		if len(left) == 0 {
			return kycbridge.ErrEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return nil, err
	}
	for _, p := range open {
		seq, _ := p.at()
		if _, isLeft := left[seq]; !isLeft {
			done = append(done, p)
		}
	}
	return done, nil
}

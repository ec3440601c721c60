package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kycbridge"
)

// Altered is the reason for a message that is present but counts as missing.
const Altered = "its body is not the one that was stored"

// Unfinished is the reason for an encrypted message that a killed process was erasing.
const Unfinished = "its erasure was interrupted after its key was destroyed: the service removes it after its next " +
	"start, and once a day"

// Why a message is missing.
const (
	missGone       = "gone, which neither its age nor an erasure explains"
	missUnreadable = "it cannot be read"
	missKey        = "its body cannot be decrypted: its key is gone from the stream of keys, or its body was altered"
	missRested     = "an event rests on it, and it is not in the log"
)

// Missing is a message that is missing from a stream, or was altered.
type Missing struct {
	Stream         string `json:"stream"`
	Seq            uint64 `json:"seq,omitempty"`             // 0: not known
	VerificationID string `json:"verification_id,omitempty"` // or its prefix, if nothing else of it is known
	PayloadID      string `json:"payload_id,omitempty"`
	Became         string `json:"became,omitempty"`      // the disposition of a payload before the loss
	Refetched      bool   `json:"asked_again,omitempty"` // the result was requested from its provider again
	Why            string `json:"why"`

	Key     kycbridge.Key     `json:"-"` // of the verification, if it is completely known
	Content kycbridge.Content `json:"-"`
	Mark    uint64            `json:"-"` // kycbridge.PayloadMark of a payload; 0: not known
}

// outcomeText is a disposition as text. before is the text of an earlier disposition, which is kept if d is about
// the loss.
func outcomeText(d kycbridge.Disposition, before string) string {
	switch {
	case d.Revision > 0:
		return fmt.Sprintf("it led to revision %d", d.Revision)
	case d.Why == kycbridge.DispositionDamaged, d.Why == kycbridge.DispositionRefetched,
		strings.Contains(before, "revision"):
		return before
	}
	return "it led to no event: " + d.Why
}

// IsStored reports whether m counts as missing although it is stored: its body is unreadable or not the one that was
// stored. Such a loss cannot be accepted.
func (m Missing) IsStored() bool { return m.Why == Altered || m.Why == missKey || m.Why == Unfinished }

// AcceptMissing records messages as known losses: they are not reported again, unless they are stored. A payload that
// is known from an event only has no sequence, so its mark is recorded.
func (a *Archive) AcceptMissing(ctx context.Context, missing []Missing) (n int, err error) {
	byStream := map[string][]uint64{}
	for _, m := range missing {
		switch {
		case m.IsStored():
		case m.Seq > 0:
			byStream[m.Stream] = append(byStream[m.Stream], m.Seq)
		case m.Why == missRested:
			byStream[rested] = append(byStream[rested], m.Mark)
		}
	}
	for stream, seqs := range byStream {
		slices.Sort(seqs)
		if err := a.Erasures.AcceptMissing(ctx, stream, ranges(slices.Compact(seqs))); err != nil {
			return n, errors.Join(errors.New("write down what is gone"), err)
		}
		n += len(seqs)
	}
	return n, nil
}

// Line is m as text.
func (m Missing) Line() string {
	parts := []string{m.Stream}
	if m.Seq > 0 {
		parts = append(parts, fmt.Sprint(m.Seq))
	}
	if m.PayloadID != "" {
		parts = append(parts, m.PayloadID)
	}
	if m.VerificationID != "" {
		parts = append(parts, "verification "+m.VerificationID)
	}
	text := strings.Join(parts, "  ") + ": " + m.Why
	if m.Became != "" {
		text += "; " + m.Became
	}
	if m.Refetched {
		text += "; its provider was asked again"
	}
	return text
}

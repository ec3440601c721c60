package archive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// ExportedPayload is one line of an export, as JSON. Its body is the original bytes in base64. Credentials
// of refused payloads are not exported.
type ExportedPayload struct {
	Shelf          kycbridge.Shelf        `json:"shelf"`
	ID             string                 `json:"id"`
	Provider       string                 `json:"provider"`
	Account        string                 `json:"account"`
	VerificationID string                 `json:"verification_id,omitempty"`
	Reference      string                 `json:"reference,omitempty"`
	Via            event.Via              `json:"via"`
	ReceivedAt     time.Time              `json:"received_at"`
	ContentType    string                 `json:"content_type,omitempty"`
	Digest         string                 `json:"digest"`
	Event          string                 `json:"event,omitempty"`
	Placement      string                 `json:"placement,omitempty"`
	Part           string                 `json:"part,omitempty"`
	Trigger        string                 `json:"trigger,omitempty"`
	Notice         bool                   `json:"notice,omitempty"`
	Reason         string                 `json:"reason,omitempty"`
	Errors         []kycbridge.FieldError `json:"errors,omitempty"`
	Header         map[string]string      `json:"header,omitempty"`
	Body           []byte                 `json:"body"`
}

// Export writes the payloads that f selects, one per line.
func (a *Archive) Export(ctx context.Context, f Filter, w io.Writer, progress func(done int)) (n int, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(out)
	err = a.find(ctx, f, false, func(k kycbridge.Kept) error {
		if err := enc.Encode(exported(k)); err != nil {
			return fmt.Errorf("write payload: %w", err)
		}
		if n++; progress != nil {
			progress(n)
		}
		if f.Limit > 0 && n >= f.Limit {
			return kycbridge.ErrEnough
		}
		return nil
	})
	return n, errors.Join(err, out.Flush())
}

// exportedHeaders are the request headers that an export contains. All others of a line are ignored.
var exportedHeaders = []string{"User-Agent", "X-Request-Id", "Traceparent", "Content-Encoding"}

// exportedHeader selects them.
func exportedHeader(h map[string]string) map[string]string {
	selected := map[string]string{}
	for name, v := range h {
		if slices.Contains(exportedHeaders, name) {
			selected[name] = v
		}
	}
	return selected
}

func exported(k kycbridge.Kept) ExportedPayload {
	return ExportedPayload{
		Shelf: k.Shelf, ID: k.ID, Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID,
		Reference: k.Reference,
		Via:       k.Via, ReceivedAt: k.ReceivedAt, ContentType: k.ContentType, Digest: k.Digest, Event: k.Event,
		Placement: k.Placement,
		Part:      k.Part, Trigger: k.Trigger, Notice: k.Notice, Reason: k.Reason, Errors: k.Errors,
		Header: exportedHeader(k.Header), Body: k.Body,
	}
}

// Imported counts the results of an import.
type Imported struct {
	Stored    int `json:"stored"`    // of a dry run: would be stored
	Duplicate int `json:"duplicate"` // stored before
	// refused ones, whose credentials were not exported, and those of an erased verification
	Skipped int `json:"skipped"`
}

// maxExportLine limits one line of an import.
const maxExportLine = 64 << 20

// errNoPayloads is the error of an import without a line: most likely the export behind a pipe has failed.
var errNoPayloads = errors.New("contains no payload: import what an export wrote")

// Import stores exported payloads unchanged: id, bytes and times. Existing ones are left unchanged. An invalid line
// ends the import, and the error names its number. An import of nothing is an error. If tombstones may be lost, nothing
// is imported: an erased person would return.
func (a *Archive) Import(
	ctx context.Context, r io.Reader, dryRun bool, progress func(done int),
) (out Imported, err error) {
	if err := a.Records.RecordsWhole(ctx); err != nil {
		return out, err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), maxExportLine)
	empty := true
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		empty = false
		k, err := unpack(lines.Bytes())
		if err != nil {
			return out, fmt.Errorf("line %d: %w", n, err)
		}
		k.ReadAt = a.Now()
		left, err := a.leftOut(ctx, k)
		if err == nil && !left {
			err = a.plausible(k)
		}
		if err != nil {
			return out, fmt.Errorf("line %d: %w", n, err)
		}
		if left {
			out.Skipped++
		} else if err := a.put(ctx, k, dryRun, &out); err != nil {
			return out, fmt.Errorf("line %d: %w", n, err)
		}
		if progress != nil {
			progress(n)
		}
	}
	if err := lines.Err(); err != nil {
		return out, fmt.Errorf("read exported payloads: %w", err)
	}
	if empty {
		return out, errNoPayloads
	}
	return out, nil
}

// put stores a payload, or only checks whether it is stored already.
func (a *Archive) put(ctx context.Context, k kycbridge.Kept, dryRun bool, out *Imported) error {
	if dryRun {
		there, err := a.holds(ctx, k)
		switch {
		case err != nil:
			return err
		case there:
			out.Duplicate++
		default:
			out.Stored++
		}
		return nil
	}
	stored, err := a.ShelfWriter.Put(ctx, k)
	switch {
	case errors.Is(err, kycbridge.ErrErased):
		out.Skipped++
	case err != nil:
		return err
	case stored.Duplicate:
		out.Duplicate++
	default:
		out.Stored++
	}
	return nil
}

// holds reports whether the payload of k already exists where k would be stored.
func (a *Archive) holds(ctx context.Context, k kycbridge.Kept) (there bool, err error) {
	q := kycbridge.KeptQuery{Shelf: k.Shelf, Provider: k.Provider, Account: k.Account, Reason: k.Reason, HeadersOnly: true}
	if k.Shelf == "" || k.Shelf == kycbridge.ShelfPayloads {
		q.VerificationID, q.Reason = k.VerificationID, ""
	}
	err = a.Shelves.Kept(ctx, q, func(kept kycbridge.Kept) error {
		if there = kept.ID == k.ID; there {
			return kycbridge.ErrEnough
		}
		return nil
	})
	return there, err
}

// leftOut reports whether a payload must not be imported: the credentials of a refused payload were not exported,
// its account may be unknown, and an erased verification stays erased.
func (a *Archive) leftOut(ctx context.Context, k kycbridge.Kept) (bool, error) {
	if k.Shelf == kycbridge.ShelfRefused {
		return true, nil
	}
	if _, err := a.Accounts.Find(k.Provider, k.Account); err != nil {
		return false, fmt.Errorf("account %s of %s is not configured here", k.Account, k.Provider)
	}
	id := a.verificationOf(k)
	if id == "" {
		return false, nil
	}
	tombstone, err := a.Tombstones.Tombstone(ctx,
		kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: id})
	return tombstone != nil, err
}

// clockError is how far the clock of the machine that received a payload may be ahead.
const clockError = time.Hour

// plausible refuses what no export contains: a payload from the future, which nothing that comes later would supersede,
// and one of another verification than that in its body, whatever reference the line contains: in the history of
// another it would change the result, and in quarantine an erasure of the person would miss it.
func (a *Archive) plausible(k kycbridge.Kept) error {
	if k.ReceivedAt.After(a.Now().Add(clockError)) {
		return fmt.Errorf("was received in the future, at %s", k.ReceivedAt.Format(time.RFC3339))
	}
	if k.Notice || k.VerificationID == "" { // a quarantined one may not have been identified
		return nil
	}
	lacking := k
	lacking.VerificationID = ""
	if id := a.verificationOf(lacking); id != "" && id != k.VerificationID {
		return errors.New("its verification is not that of its body")
	}
	return nil
}

// unpack decodes a line and checks its integrity.
func unpack(line []byte) (kycbridge.Kept, error) {
	var p ExportedPayload
	if err := json.Unmarshal(line, &p); err != nil {
		return kycbridge.Kept{}, errors.New("is no exported payload")
	}
	k := kycbridge.Kept{Shelf: p.Shelf, Size: len(p.Body), Reason: p.Reason, Errors: p.Errors, Payload: kycbridge.Payload{
		ID: p.ID, Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID, Reference: p.Reference,
		Via:        p.Via,
		ReceivedAt: p.ReceivedAt.UTC(), ContentType: p.ContentType, Digest: p.Digest, Event: p.Event, Placement: p.Placement,
		Part: p.Part, Trigger: p.Trigger, Notice: p.Notice, Header: exportedHeader(p.Header), Body: p.Body,
	}}
	switch {
	case p.Digest == "":
		return k, errors.New("is no exported payload")
	case p.Digest != kycbridge.Digest(p.Body):
		return k, errors.New("its body was altered: the digest does not fit")
	case p.ID == "" || p.Provider == "" || p.Account == "":
		return k, errors.New("names no payload, provider or account")
	case p.Shelf == kycbridge.ShelfPayloads && p.VerificationID == "":
		return k, errors.New("is of the payload log and names no verification")
	case p.Shelf == kycbridge.ShelfPayloads && p.Reference != "" &&
		p.VerificationID != event.VerificationID(p.Provider, p.Account, p.Reference):
		return k, errors.New("its verification is not that of its reference")
	}
	switch p.Shelf {
	case kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine, kycbridge.ShelfRefused:
		return k, nil
	}
	return k, errors.New("is of no shelf")
}

package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/publisher/blocks"
)

const (
	damagedDir  = "damaged"      // in the data directory: damaged files, unchanged
	checkedFile = "checked.json" // in the data directory: files that were found intact
	// In the data directory: damaged records that no start has recorded in the store yet. The files are repaired by then,
	// so a later start would not find the damage again.
	recordsFile = "damaged-records.json"

	// checkFilesTimeout limits how long a process reads, at its start, blocks that have not changed since they
	// were last read.
	checkFilesTimeout = 5 * time.Second
	// mostFindings is how many damaged files are logged one by one.
	mostFindings = 20
)

// LostPayload is a payload whose bytes are damaged in the store, with the fields that are still readable.
type LostPayload struct {
	Seq       uint64        // 0: not known
	Key       kycbridge.Key // of its verification; zero: not known
	Mark      uint64        // of its id; 0: not known
	Reference string        // reference of the provider; "" if it cannot be verified
}

// checkFiles checks and repairs the files of the store before the server opens them: a server truncates a
// damaged block at the start of the damage.
func (e *Embedded) checkFiles(o EmbeddedOptions) error {
	fresh := o.Scrub
	if fresh <= 0 {
		fresh = 365 * 24 * time.Hour
	}
	e.files = blocks.Options{
		Dir: filepath.Join(o.Dir, "jetstream"), Aside: filepath.Join(o.Dir, damagedDir),
		Memory:     filepath.Join(o.Dir, checkedFile),
		TrustedFor: fresh, Patience: checkFilesTimeout, Ours: o.Names.ours,
	}
	result, err := blocks.Check(e.files)
	if err != nil {
		return err
	}
	e.damage = result.Findings
	if err := e.keepDamagedRecords(o.Names); err != nil {
		return err
	}
	logFindings(e.log, result.Findings, o.Names)
	e.log.Debug("files of the embedded store checked", zap.Int64("bytes", result.Bytes),
		zap.Duration("took", result.Took), zap.Int("blocks_left_for_the_scrub", result.Unread))
	return nil
}

// Inspected are the streams of which an inspection counts lost messages: those in which gaps indicate a loss, and those
// of records, by their end.
func (n Names) Inspected() []string {
	return []string{n.payloads(), n.quarantine(), n.dispositions(), n.events(), n.holds(), n.tombstones()}
}

// ours reports whether kycbridge creates a stream, with known settings.
func (n Names) ours(name string) bool {
	return slices.ContainsFunc(append(storeStreams(n, 0, 1, kycbridge.DefaultRetention()), busStreams(n, 0, 1)...),
		func(s stream) bool { return s.config.Name == name })
}

// logFindings logs what was damaged, one line for each file.
func logFindings(log *zap.Logger, findings []blocks.Finding, n Names) {
	for i, f := range findings {
		if i == mostFindings {
			log.Error("more files of the embedded store are damaged", zap.Int("files", len(findings)-i))
			return
		}
		fields := []zap.Field{zap.String("stream", f.Stream), zap.String("file", f.File)}
		if f.Aside != "" {
			fields = append(fields, zap.String("kept_as", f.Aside))
		}
		if f.Consumer != "" && token(f.Consumer) {
			fields = append(fields, zap.String("consumer", f.Consumer))
		}
		logFinding(log, f, n, fields)
	}
}

func logFinding(log *zap.Logger, f blocks.Finding, n Names, fields []zap.Field) {
	switch {
	case f.Torn:
		log.Warn(
			"the last message of a stream is incomplete, as a crash can leave it before an acknowledgement; it is dropped",
			fields...)
	case f.Misnamed:
		log.Error("a file of messages in the embedded store had the name of another file; it has its own name again and "+
			"nothing is lost", fields...)
	case f.Kind == blocks.KindSettings:
		log.Error("settings in the embedded store were damaged: they are created again as configured", fields...)
	case f.Kind == blocks.KindState:
		log.Error("the state of a consumer was damaged: it is set aside, and the consumer starts from the beginning",
			fields...)
	case len(f.Lost) == 0:
		log.Error("messages in the embedded store were damaged, one bit of each: they are repaired, and nothing is lost",
			append(fields, zap.Int("repaired", f.Repaired))...)
	default:
		log.Error("messages in the embedded store are damaged and lost; the intact messages of their file are kept",
			append(fields, zap.Strings("sequences", sequences(f.Lost)), zap.Strings("verifications", verifications(f, n)),
				zap.Int("repaired", f.Repaired))...)
	}
}

// sequences lists the sequences of lost messages as text.
func sequences(lost []blocks.Lost) []string {
	out := make([]string, 0, len(lost))
	for _, l := range lost {
		switch {
		case l.Seq > 0:
			out = append(out, fmt.Sprint(l.Seq))
		case l.Before > 0:
			out = append(out, fmt.Sprintf("between %d and %d", l.After, l.Before))
		default:
			out = append(out, fmt.Sprintf("after %d", l.After))
		}
	}
	return out
}

// verifications are the verified ids of verifications that lost messages belong to.
func verifications(f blocks.Finding, n Names) []string {
	var out []string
	for _, l := range f.Lost {
		if p := lostPayload(l, n); p.Reference != "" {
			out = append(out, p.Key.VerificationID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lostPayload reads the readable fields of a damaged payload. Its bytes are not reliable: an id is accepted if it
// belongs to the account in the subject, and a reference if the id of the verification in the subject is derived
// from it.
func lostPayload(l blocks.Lost, n Names) LostPayload {
	p := LostPayload{Seq: l.Seq}
	tokens := strings.Split(l.Subject, ".")
	if len(tokens) < 4 || !strings.HasPrefix(l.Subject, n.join("payload.")) || !token(tokens[len(tokens)-1]) {
		return p
	}
	k, _ := keyOf(l.Subject)
	if id := payloadID(l.Headers[nats.MsgIdHdr]); strings.HasPrefix(id, k.Provider+"."+k.Account+".") {
		p.Mark, p.Key = kycbridge.PayloadMark(id), k
	}
	reference, err := url.QueryUnescape(l.Headers[headerReference])
	if err == nil && event.VerificationID(k.Provider, k.Account, reference) == k.VerificationID {
		p.Reference, p.Key = reference, k
	}
	return p
}

// Lost are the payloads that the check before the start found damaged.
func (e *Embedded) Lost(n Names) []LostPayload {
	var out []LostPayload
	for _, f := range e.damage {
		if f.Kind != blocks.KindBlock || f.Stream != n.payloads() {
			continue
		}
		for _, l := range f.Lost {
			out = append(out, lostPayload(l, n))
		}
	}
	return out
}

// keepDamagedRecords stores the damaged records in a file until ForgetDamagedRecords.
func (e *Embedded) keepDamagedRecords(n Names) error {
	all := e.DamagedRecords(n)
	if len(all) == 0 {
		return nil
	}
	body, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(filepath.Join(e.dir, recordsFile), body, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write down which records are damaged: %w", err)
	}
	return nil
}

// ForgetDamagedRecords is called when the damaged records are recorded in the store.
func (e *Embedded) ForgetDamagedRecords() error {
	if err := os.Remove(filepath.Join(e.dir, recordsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget which records are damaged: %w", err)
	}
	return nil
}

// DamagedRecords are the first and the last sequence of the holds, and of the tombstones, that the check before this
// start found damaged, or before earlier ones that failed, by their stream.
func (e *Embedded) DamagedRecords(n Names) map[string]kycbridge.Range {
	out := map[string]kycbridge.Range{}
	if raw, err := os.ReadFile(filepath.Join(e.dir, recordsFile)); err == nil && json.Unmarshal(raw, &out) != nil {
		out = map[string]kycbridge.Range{n.holds(): {1, 1}} // it was being written: records are damaged, but not known which
	}
	for _, f := range e.damage {
		if f.Kind != blocks.KindBlock || f.Stream != n.holds() && f.Stream != n.tombstones() {
			continue
		}
		for _, l := range f.Lost {
			first, last := l.Seq, l.Seq
			if l.Seq == 0 { // how many there were is not known
				first, last = l.After+1, max(l.After+1, max(l.Before, 1)-1)
			}
			if r, ok := out[f.Stream]; ok {
				first, last = min(first, r[0]), max(last, r[1])
			}
			out[f.Stream] = kycbridge.Range{first, last}
		}
	}
	return out
}

// Damaged is the number of damaged files with losses that the check before the start found.
func (e *Embedded) Damaged() int {
	n := 0
	for _, f := range e.damage {
		if len(f.Lost) > 0 {
			n++
		}
	}
	return n
}

// DamagedIn reports whether the check before the start found losses in a stream.
func (e *Embedded) DamagedIn(stream string) bool {
	return slices.ContainsFunc(e.damage, func(f blocks.Finding) bool { return f.Stream == stream && len(f.Lost) > 0 })
}

// RecordLost records the disposition of damaged payloads, so that a report can name them.
func (s *Store) RecordLost(ctx context.Context, lost []LostPayload) error {
	var batch []disposition
	for _, p := range lost {
		if p.Seq == 0 {
			continue
		}
		batch = append(batch, p.disposition(kycbridge.DispositionDamaged))
	}
	for part := range slices.Chunk(batch, dispositionsAtOnce) {
		if err := s.putDispositions(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// Scrub reads the files of the store that were not read for a while, at a limited rate, and reports
// damage. It changes nothing: the next start repairs the files.
func (e *Embedded) Scrub(ctx context.Context, bytesPerSecond int64) (damaged int, err error) {
	result, err := blocks.Scrub(ctx, e.files, bytesPerSecond)
	for _, f := range result.Findings {
		e.log.Error(
			"a file of messages in the embedded store is damaged; the next start sets it aside and keeps its intact messages",
			zap.String("stream", f.Stream), zap.String("file", f.File), zap.Int("places", len(f.Lost)))
	}
	return len(result.Findings), err
}

// explain adds the state of the disk to an error that it may have caused.
func explain(err error, dir string) error {
	var disk syscall.Statfs_t
	if err == nil || syscall.Statfs(dir, &disk) != nil {
		return err
	}
	if disk.Files > 0 && disk.Ffree == 0 {
		return fmt.Errorf("%w: no inode is free on the file system of %s: remove files there", err, dir)
	}
	if full := diskFull(dir); full != nil {
		return fmt.Errorf("%w: %w", err, full)
	}
	return err
}

// Explain adds the state of the store's disk to an error that it may have caused.
func (e *Embedded) Explain(err error) error { return explain(err, e.dir) }

// openDuration is how long a server may take to open a store if it must read all files, at 20 MB/s.
func (e *Embedded) openDuration() time.Duration {
	total := int64(0)
	_ = filepath.WalkDir(e.files.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // unreadable files are not counted
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return time.Duration(total/(20<<20)) * time.Second
}

// forget removes the damaged files that were set aside longer ago than age: their content would have expired.
func (e *Embedded) forget(age time.Duration) {
	entries, err := os.ReadDir(filepath.Join(e.dir, damagedDir))
	if err != nil {
		return // no file was set aside
	}
	for _, entry := range entries {
		at, err := time.Parse(blocks.AsideTime, entry.Name()[:min(len(entry.Name()), len(blocks.AsideTime))])
		if err == nil && time.Since(at) > age {
			_ = os.Remove(filepath.Join(e.dir, damagedDir, entry.Name())) // on failure the next start tries again
		}
	}
}

// RecordRefetched records that a lost payload was requested from its provider again.
func (s *Store) RecordRefetched(ctx context.Context, p LostPayload) error {
	return s.putDispositions(ctx, []disposition{p.disposition(kycbridge.DispositionRefetched)})
}

// disposition is an entry about p.
func (p LostPayload) disposition(why string) disposition {
	return dispositionOf(kycbridge.Disposition{Seq: p.Seq, Why: why, Mark: p.Mark,
		Verification: kycbridge.VerificationMark(p.Key.VerificationID)})
}

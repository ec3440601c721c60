package publisher

import (
	"context"
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
	damagedDir  = "damaged"      // in the data directory: files as they were found
	checkedFile = "checked.json" // in the data directory: what was found whole

	// filesPatience is how long a start reads blocks that have not changed since they were last read.
	filesPatience = 5 * time.Second
	// mostFindings is how many damaged files are logged one by one.
	mostFindings = 20
)

// LostPayload is a payload whose bytes are damaged in the store, as far as they still tell.
type LostPayload struct {
	Seq       uint64 // 0: not known
	Key       kycbridge.Key
	Mark      uint64 // of its id; 0: not known
	Reference string // the provider's; "" if it cannot be trusted
}

// checkFiles has the files of the store checked and put right before the server opens them: a server
// cuts a damaged block off where the damage begins.
func (e *Embedded) checkFiles(o EmbeddedOptions) error {
	fresh := o.Scrub
	if fresh <= 0 {
		fresh = 365 * 24 * time.Hour
	}
	e.files = blocks.Options{
		Dir: filepath.Join(o.Dir, "jetstream"), Aside: filepath.Join(o.Dir, damagedDir), Memory: filepath.Join(o.Dir, checkedFile),
		Fresh: fresh, Patience: filesPatience, Ours: o.Names.ours,
	}
	result, err := blocks.Check(e.files)
	if err != nil {
		return err
	}
	e.damage = result.Findings
	sayFindings(e.log, result.Findings, o.Names)
	e.log.Debug("files of the embedded store checked", zap.Int64("bytes", result.Bytes), zap.Duration("took", result.Took), zap.Int("blocks_left_for_the_scrub", result.Unread))
	return nil
}

// Inspected are the streams whose holes mean something.
func (n Names) Inspected() []string {
	return []string{n.payloads(), n.quarantine(), n.dispositions(), n.events()}
}

// ours reports whether a stream is made by us, with settings that we know.
func (n Names) ours(name string) bool {
	return slices.ContainsFunc(append(storeStreams(n, 0, 1), busStreams(n, 0, 1)...), func(s stream) bool { return s.config.Name == name })
}

// sayFindings logs what was damaged, a line for each file.
func sayFindings(log *zap.Logger, findings []blocks.Finding, n Names) {
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
		sayFinding(log, f, n, fields)
	}
}

func sayFinding(log *zap.Logger, f blocks.Finding, n Names, fields []zap.Field) {
	switch {
	case f.Torn:
		log.Warn("the last message of a stream is incomplete, as a crash leaves one that nobody was answered for; it is dropped", fields...)
	case f.Misnamed:
		log.Error("a file of messages in the embedded store was damaged: it had the name of another; nothing is lost by that", fields...)
	case f.Kind == blocks.KindSettings:
		log.Error("settings in the embedded store were damaged: they are made again as configured", fields...)
	case f.Kind == blocks.KindState:
		log.Error("the state of a consumer was damaged: it is set aside, and the consumer begins again", fields...)
	case len(f.Lost) == 0:
		log.Error("messages in the embedded store were damaged, one bit of each: they are right again, and nothing is lost", append(fields, zap.Int("mended", f.Mended))...)
	default:
		log.Error("messages in the embedded store are damaged and lost; what is whole in their file is kept",
			append(fields, zap.Strings("sequences", sequences(f.Lost)), zap.Strings("verifications", verifications(f, n)), zap.Int("mended", f.Mended))...)
	}
}

// sequences are those of lost messages, in words.
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

// verifications are those that lost messages name in a way that can be trusted.
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

// lostPayload reads what is left of a damaged payload. Its bytes may say anything: an id counts if it
// is of the account in the subject, a reference if it makes the verification in the subject.
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
	reference, err := url.QueryUnescape(l.Headers[headerRef])
	if err == nil && event.VerificationID(k.Provider, k.Account, reference) == k.VerificationID {
		p.Reference, p.Key = reference, k
	}
	return p
}

// Lost are the payloads that the check before the start has found damaged.
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

// Damaged is how many files the check before the start has found damaged, and lost something of.
func (e *Embedded) Damaged() int {
	n := 0
	for _, f := range e.damage {
		if len(f.Lost) > 0 {
			n++
		}
	}
	return n
}

// DamagedIn reports whether the check before the start has found that a stream lost something.
func (e *Embedded) DamagedIn(stream string) bool {
	return slices.ContainsFunc(e.damage, func(f blocks.Finding) bool { return f.Stream == stream && len(f.Lost) > 0 })
}

// RecordLost writes down what became of payloads that are damaged, so that a report can name them.
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

// Scrub reads the files of the store that have not been read for a while, at a bounded rate, and says
// what is damaged. It changes nothing: the next start puts it right.
func (e *Embedded) Scrub(ctx context.Context, bytesPerSecond int64) (damaged int, err error) {
	result, err := blocks.Scrub(ctx, e.files, bytesPerSecond)
	for _, f := range result.Findings {
		e.log.Error("a file of messages in the embedded store is damaged; the next start sets it aside and keeps what is whole",
			zap.String("stream", f.Stream), zap.String("file", f.File), zap.Int("places", len(f.Lost)))
	}
	return len(result.Findings), err
}

// explain adds to an error what about the disk may be its cause.
func explain(err error, dir string) error {
	var disk syscall.Statfs_t
	if err == nil || syscall.Statfs(dir, &disk) != nil {
		return err
	}
	switch {
	case disk.Files > 0 && disk.Ffree == 0:
		return fmt.Errorf("%w: no inode is free on the file system of %s: remove files there", err, dir)
	case disk.Bavail == 0:
		return fmt.Errorf("%w: the disk under %s is full", err, dir)
	}
	return err
}

// Explain adds to an error what about the disk of the store may be its cause.
func (e *Embedded) Explain(err error) error { return explain(err, e.dir) }

// opening is how long a server may take to open a store that it has to read whole, at 20 MB/s.
func (e *Embedded) opening() time.Duration {
	total := int64(0)
	_ = filepath.WalkDir(e.files.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be seen is not counted
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return time.Duration(total/(20<<20)) * time.Second
}

// forget removes damaged files that were set aside so long ago that what they hold would be gone by age.
func (e *Embedded) forget(age time.Duration) {
	entries, err := os.ReadDir(filepath.Join(e.dir, damagedDir))
	if err != nil {
		return // there are none
	}
	for _, entry := range entries {
		at, err := time.Parse(blocks.AsideTime, entry.Name()[:min(len(entry.Name()), len(blocks.AsideTime))])
		if err == nil && time.Since(at) > age {
			_ = os.Remove(filepath.Join(e.dir, damagedDir, entry.Name())) // tried again by the next start
		}
	}
}

// RecordAskedAgain writes down that the provider of a payload that is gone was asked once more.
func (s *Store) RecordAskedAgain(ctx context.Context, p LostPayload) error {
	return s.putDispositions(ctx, []disposition{p.disposition(kycbridge.DispositionAskedAgain)})
}

// disposition is an entry about p.
func (p LostPayload) disposition(why string) disposition {
	return dispositionOf(kycbridge.Disposition{Seq: p.Seq, Why: why, Mark: p.Mark, Verification: kycbridge.VerificationMark(p.Key.VerificationID)})
}

package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// The streams that are damaged.
const (
	payloads = "KYC_PAYLOADS"
	events   = "KYC_EVENTS"
)

// Damage is the effect of a fault on a stream. Messages that were stored before may be lost if the product reports
// the loss.
type Damage struct {
	Stream, What string
	At           time.Time
	logs         []int64 // sizes of the logs at that time
}

// holder is the process that holds a stream, and its folder.
func (w *World) holder(stream string) (*program, string) {
	if w.Mode == Embedded || w.Mode == Edge && stream == payloads {
		return &w.bridges[0].program, w.bridges[0].data
	}
	return &w.nats.program, w.nats.data
}

// offline changes the files of a stream while no process uses them.
func (w *World) offline(ctx context.Context, stream, what string, do func(folder string) error) error {
	p, data := w.holder(stream)
	mine := p == &w.bridges[0].program
	if mine {
		w.held[0].Lock()
		defer w.held[0].Unlock()
	}
	p.stop(syscall.SIGKILL)
	d := &Damage{Stream: stream, What: what}
	for _, b := range w.bridges {
		d.logs = append(d.logs, b.logSize())
	}
	err := do(streamFolder(data, stream))
	if d.At = time.Now(); err == nil && what != "" {
		w.damages = append(w.damages, d)
	}
	if mine {
		if _, failed := w.bridges[0].start(ctx, startup); failed != nil {
			return failed
		}
	} else if failed := w.nats.start(ctx); failed != nil {
		return failed
	}
	if errors.Is(err, errNoBlock) {
		return nil
	}
	return err
}

func damageOf(stream string, how func(*rand.Rand, string) error) func(context.Context, *World, *rand.Rand) error {
	return func(ctx context.Context, w *World, r *rand.Rand) error {
		if err := w.offline(ctx, stream, "damaged", func(folder string) error { return how(r, folder) }); err != nil {
			return err
		}
		return w.waitTaken(ctx, 45*time.Second)
	}
}

// restoreOf restores a copy of a stream from some seconds before.
func restoreOf(stream string) func(context.Context, *World, *rand.Rand) error {
	return func(ctx context.Context, w *World, r *rand.Rand) error {
		held, err := os.MkdirTemp(w.Dir, "copy-")
		if err != nil {
			return err
		}
		backup := filepath.Join(held, stream)
		copied := false // false if another fault has just removed the stream
		err = w.offline(ctx, stream, "", func(folder string) error {
			if folder == "" {
				return errNoBlock
			}
			copied = true
			return os.CopyFS(backup, os.DirFS(folder))
		})
		if err != nil || !copied || !pause(ctx, time.Duration(1000+r.IntN(4000))*time.Millisecond) {
			return err
		}
		err = w.offline(ctx, stream, "restored", func(folder string) error {
			if folder == "" {
				return errNoBlock
			}
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
			return os.CopyFS(folder, os.DirFS(backup))
		})
		if err != nil {
			return err
		}
		return w.waitTaken(ctx, 45*time.Second)
	}
}

// natsWipe restarts the nats-server without its data.
func natsWipe(ctx context.Context, w *World, _ *rand.Rand) error {
	for _, stream := range []string{payloads, events} {
		if p, _ := w.holder(stream); p != &w.nats.program {
			continue
		}
		err := w.offline(ctx, stream, "wiped", func(string) error { return os.RemoveAll(w.nats.data) })
		if err != nil {
			return err
		}
	}
	return w.waitTaken(ctx, 45*time.Second)
}

// streamFolder is the folder of a stream below a data directory; "" if it does not exist.
func streamFolder(data, stream string) (found string) {
	_ = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == stream && filepath.Base(filepath.Dir(path)) == "streams" {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// newestBlock is the file with the newest messages of a stream.
func newestBlock(folder string) (string, error) {
	blocks, err := filepath.Glob(filepath.Join(folder, "msgs", "*.blk"))
	if err != nil || folder == "" || len(blocks) == 0 {
		return "", errNoBlock
	}
	newest, at := "", 0
	for _, b := range blocks {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(b), "%d.blk", &n); err == nil && n >= at {
			newest, at = b, n
		}
	}
	return newest, nil
}

// flipBit inverts one bit.
func flipBit(r *rand.Rand, folder string) error {
	return rewrite(folder, func(raw []byte) []byte {
		raw[r.IntN(len(raw))] ^= 1 << r.IntN(8)
		return raw
	})
}

// cutTail truncates a file.
func cutTail(r *rand.Rand, folder string) error {
	n := []int{50, 500, 6000}[r.IntN(3)]
	return rewrite(folder, func(raw []byte) []byte { return raw[:max(0, len(raw)-n)] })
}

func rewrite(folder string, change func([]byte) []byte) error {
	path, err := newestBlock(folder)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return errNoBlock
	}
	return os.WriteFile(path, change(raw), 0o600)
}

func wipe(_ *rand.Rand, folder string) error {
	if folder == "" {
		return errNoBlock
	}
	return os.RemoveAll(folder)
}

// damageWords are the words that indicate a loss in a log line, a metric or a report.
var damageWords = regexp.MustCompile(`(?i)damag|corrupt|missing|lost|gone|gap|shorter|incomplete|altered|not accounted`)

// reportOf is how the product has reported a damage; "" if it has not.
func (w *World) reportOf(ctx context.Context, d *Damage, report string) string {
	for i, b := range w.bridges {
		log := b.logged(d.logs[i])
		if next := w.after(d); next != nil {
			log = log[:min(int64(len(log)), next.logs[i]-d.logs[i])] // later lines are about the next damage
		}
		for line := range strings.Lines(log) {
			if said := lossIn(line, d.Stream); said != "" {
				return "log: " + said
			}
		}
		if m := w.damageMetric(ctx, b, d.Stream); m != "" {
			return "metric: " + m
		}
	}
	if report != "" {
		return "report: " + report
	}
	return ""
}

// after is the next damage of the same stream.
func (w *World) after(d *Damage) *Damage {
	for _, other := range w.damages {
		if other.Stream == d.Stream && other.At.After(d.At) {
			return other
		}
	}
	return nil
}

// lossIn is the message of a log line about a loss in a stream; "" if it is not about one.
func lossIn(line, stream string) string {
	var l struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Level != "warn" && l.Level != "error" ||
		!strings.Contains(line, stream) ||
		!damageWords.MatchString(l.Msg) || strings.Contains(l.Msg, "nothing is lost") {
		return ""
	}
	return l.Msg
}

// damageMetric is a sample above zero that counts damage of a stream.
func (w *World) damageMetric(ctx context.Context, b *Bridge, stream string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+"/metrics", nil)
	if err != nil {
		return ""
	}
	_, body, err := w.senders.do(r)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "kycbridge_") && damageWords.MatchString(name) && strings.Contains(name, stream) &&
			value != "0" {
			return line
		}
	}
	return ""
}

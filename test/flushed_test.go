package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/test/wait"
)

// TestAnswersFollowFlushes records the system calls of a real process. The bytes of every callback are written to the
// payload log, then that file is flushed, and only then the callback is answered and its event written. The event is
// flushed before the record of its disposition is written. So a power cut loses nothing that was answered, and no
// payload whose event a subscriber has received, provided that the disk keeps flushed data.
func TestAnswersFollowFlushes(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace to record system calls: ", err)
	}
	record := filepath.Join(t.TempDir(), "calls")
	b := newBridge(t, oneAccount)
	b.process = startProgram(t, strace, "-f", "-y", "-s", "65536", "-o", record, "-e", "signal=none", "-e",
		"trace=pwrite64,write,fdatasync,fsync,syncfs", tool(t, "kycbridge"), "serve", "--config", b.config)
	t.Cleanup(func() { stopTraced(t, b.process, record) })
	select {
	case <-b.ended:
		t.Skip("strace may not follow a process here: ", b.stderr.tail())
	default:
	}
	b.waitReady(t)
	const callbacks = 60
	var posting sync.WaitGroup
	for sender := range 6 {
		posting.Go(func() {
			for i := range callbacks / 6 {
				n := sender*100 + i
				body := kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified")
				if reply, err := b.post(t.Context(), body); err != nil || reply.Code != http.StatusOK {
					t.Errorf("callback %d: %d, %v", n, reply.Code, err)
				}
			}
		})
	}
	posting.Wait()
	var calls systemCalls
	wait.For(t, 30*time.Second, "every disposition is written", func() bool {
		calls = readSystemCalls(t, record)
		return calls.dispositions() >= callbacks
	})
	for sender := range 6 {
		for i := range callbacks / 6 {
			calls.check(t, sender*100+i)
		}
	}
}

// stopTraced ends the process that strace follows, which would survive if strace were killed.
func stopTraced(t *testing.T, p *process, record string) {
	raw, _ := os.ReadFile(record) // missing if strace could not start
	first, _, _ := strings.Cut(string(raw), " ")
	if pid, err := strconv.Atoi(first); err == nil {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Error("the traced process does not end")
	}
}

// systemCalls are the recorded system calls of a process, in the order in which they began and ended.
type systemCalls struct {
	lines   []string
	flushes []flushCall
}

// flushCall is a flush of a file: the lines at which it began and ended.
type flushCall struct {
	file       string
	began, end int
}

var (
	callBegins  = regexp.MustCompile(`^(\d+) +(fdatasync|fsync|syncfs)\(\d+<([^>]*)>(\) += 0$| <unfinished)`)
	callResumes = regexp.MustCompile(`^(\d+) +<\.\.\. (fdatasync|fsync|syncfs) resumed>\) += 0$`)
)

func readSystemCalls(t *testing.T, path string) (calls systemCalls) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	calls.lines = strings.Split(string(raw), "\n")
	open := map[string]flushCall{} // by thread
	for i, line := range calls.lines {
		if m := callBegins.FindStringSubmatch(line); m != nil {
			call := flushCall{file: m[3], began: i, end: i}
			if strings.HasPrefix(m[4], ")") {
				calls.flushes = append(calls.flushes, call)
			} else {
				open[m[1]] = call
			}
		}
		if m := callResumes.FindStringSubmatch(line); m != nil {
			call := open[m[1]]
			call.end = i
			calls.flushes = append(calls.flushes, call)
		}
	}
	return calls
}

// written is the line at which a text has been written to a file of a stream, and that file.
func (c systemCalls) written(stream, text string) (file string, at int) {
	for i, line := range c.lines {
		if strings.Contains(line, "/"+stream+"/msgs/") && strings.Contains(line, text) && strings.Contains(line, "write") {
			_, rest, _ := strings.Cut(line, "<")
			file, _, _ = strings.Cut(rest, ">")
			if !strings.Contains(line, "<unfinished") {
				return file, i
			}
			thread, _, _ := strings.Cut(line, " ")
			for j := i + 1; j < len(c.lines); j++ {
				if strings.HasPrefix(c.lines[j], thread+" ") {
					return file, j // the next line of the thread is the end of the call
				}
			}
		}
	}
	return "", -1
}

// flushed reports whether a file was flushed between two lines.
func (c systemCalls) flushed(file string, after, before int) bool {
	for _, f := range c.flushes {
		whole := !strings.HasSuffix(f.file, ".blk") && strings.HasPrefix(file, f.file) // a flush of the file system
		if (f.file == file || whole) && f.began > after && f.end < before {
			return true
		}
	}
	return false
}

// dispositions counts the records of dispositions in the file.
func (c systemCalls) dispositions() (n int) {
	for _, line := range c.lines {
		if strings.Contains(line, "/KYC_DISPOSITIONS/msgs/") && strings.Contains(line, "write") {
			n += len(regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}`).FindAllString(line, -1))
		}
	}
	return n
}

// check checks the callback and the event of verification n.
func (c systemCalls) check(t *testing.T, n int) {
	t.Helper()
	id := fmt.Sprintf("e%07d-0001-4000-8000-000000000001", n)
	file, stored := c.written("KYC_PAYLOADS", `\"externalReferenceId\":\"`+fmt.Sprintf("ref-%d", n)+`\"`)
	answered := c.line(0, "HTTP/1.1 200 OK", id)
	if stored < 0 || answered < 0 || !c.flushed(file, stored, answered) {
		t.Errorf("callback %d: written at line %d of the record, answered at line %d, no flush of %s in between", n, stored,
			answered, filepath.Base(file))
	}
	begun := c.line(0, "/KYC_EVENTS/msgs/", `\"subject\":\"`+idOf(n)+`\"`)
	if begun < 0 || !c.flushed(file, stored, begun) {
		t.Errorf("callback %d: written at line %d of the record, its event at line %d, no flush of %s in between", n, stored,
			begun, filepath.Base(file))
	}
	file, published := c.written("KYC_EVENTS", `\"subject\":\"`+idOf(n)+`\"`)
	done := c.line(0, "/KYC_DISPOSITIONS/msgs/", kycbridge.VerificationMark(idOf(n)))
	if published < 0 || done < 0 || !c.flushed(file, published, done) {
		t.Errorf("event %d: written at line %d of the record, recorded at line %d, no flush of %s in between", n, published,
			done, filepath.Base(file))
	}
}

// line is the first line, from one on, that contains all texts; -1 if no line does.
func (c systemCalls) line(from int, texts ...string) int {
lines:
	for i := from; i < len(c.lines); i++ {
		for _, text := range texts {
			if !strings.Contains(c.lines[i], text) {
				continue lines
			}
		}
		return i
	}
	return -1
}

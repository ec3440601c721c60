package publisher

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	serverLines = 10 // lines of the embedded server that are logged per minute
	clientLines = 3  // of these about clients, which must not displace the others
	serverLine  = 400
)

// quotedPart matches client-controlled text in a line: the name and the user of the client, and subjects. Quotes in it
// are escaped.
var quotedPart = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// serverLog receives the log of an embedded server: warnings and errors go to the log of kycbridge, at a
// readable rate, without client-controlled text.
type serverLog struct {
	log *zap.Logger

	mu      sync.Mutex
	minute  time.Time
	lines   int
	clients int
	dropped int
	fatal   string // the fatal error of the server
}

// Noticef drops a notice.
func (l *serverLog) Noticef(string, ...any) {}

// Debugf drops a line for developers of the server.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef drops a protocol line.
func (l *serverLog) Tracef(string, ...any) {}

// Warnf logs a warning of the server.
func (l *serverLog) Warnf(format string, args ...any) { l.say(l.log.Warn, format, args) }

// Errorf logs an error of the server.
func (l *serverLog) Errorf(format string, args ...any) { l.say(l.log.Error, format, args) }

// Fatalf stores the fatal error of the server; the caller that started it reports the error.
func (l *serverLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = printable(fmt.Sprintf(format, args...))
}

func (l *serverLog) say(log func(string, ...zap.Field), format string, args []any) {
	if l.enough(format) {
		return // without formatting the line: a client that is refused repeatedly must not use much CPU time
	}
	line := printable(fmt.Sprintf(format, args...))
	if strings.HasPrefix(line, "Plaintext passwords detected") {
		return // the passwords never leave this process
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextMinute()
	count, most := l.counted(line)
	if *count++; *count > most {
		l.dropped++
		return
	}
	log("the embedded NATS server says: " + line)
}

// enough reports whether a format is about a client and the limit for such lines is reached in this minute.
// The server writes a client's address into the format.
func (l *serverLog) enough(format string) bool {
	if !aboutClient(format) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextMinute()
	if l.clients < clientLines {
		return false
	}
	l.dropped++
	return true
}

// counted is the counter of a line and its limit per minute.
func (l *serverLog) counted(line string) (count *int, most int) {
	if aboutClient(line) {
		return &l.clients, clientLines
	}
	return &l.lines, serverLines - clientLines
}

// nextMinute resets the counters every minute, and reports the dropped lines of the last one.
func (l *serverLog) nextMinute() {
	now := time.Now()
	if now.Sub(l.minute) < time.Minute {
		return
	}
	if l.dropped > 0 {
		l.log.Warn("the embedded NATS server logs more than the limit", zap.Int("lines", l.dropped))
	}
	l.minute, l.lines, l.clients, l.dropped = now, 0, 0, 0
}

// gaveUp is the fatal error of the server; "" if no fatal error has occurred.
func (l *serverLog) gaveUp() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func aboutClient(line string) bool {
	return strings.Contains(line, " - cid:") || strings.Contains(line, " - wid:")
}

// printable is a line of the server without client-controlled text.
func printable(line string) string {
	if aboutClient(line) {
		line = quotedPart.ReplaceAllString(line, `"…"`)
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(line))
	return line[:min(len(line), serverLine)]
}

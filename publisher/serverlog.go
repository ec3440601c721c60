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
	serverLines = 10 // of the embedded server that are logged in a minute
	clientLines = 3  // of these about clients, who must not crowd out the others
	serverLine  = 400
)

// quotedPart is what a line about a client may hold that the client has chosen: its name, its user.
var quotedPart = regexp.MustCompile(`"[^"]*"`)

// serverLog takes the log of an embedded server: warnings and errors go to ours, as many as a person
// can read, and nothing that a stranger has chosen.
type serverLog struct {
	log *zap.Logger

	mu      sync.Mutex
	minute  time.Time
	lines   int
	clients int
	dropped int
	fatal   string // why the server cannot go on
}

// Noticef drops a notice.
func (l *serverLog) Noticef(string, ...any) {}

// Debugf drops a line for developers of the server.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef drops a line of the protocol.
func (l *serverLog) Tracef(string, ...any) {}

// Warnf logs a warning of the server.
func (l *serverLog) Warnf(format string, args ...any) { l.say(l.log.Warn, format, args) }

// Errorf logs an error of the server.
func (l *serverLog) Errorf(format string, args ...any) { l.say(l.log.Error, format, args) }

// Fatalf keeps the error with which the server gives up; whoever started it tells.
func (l *serverLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = printable(fmt.Sprintf(format, args...))
}

func (l *serverLog) say(log func(string, ...zap.Field), format string, args []any) {
	if l.enough(format) {
		return // not even written out: a client that is refused without end must cost little
	}
	line := printable(fmt.Sprintf(format, args...))
	if strings.HasPrefix(line, "Plaintext passwords detected") {
		return // they never leave this process
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

// enough reports whether the clients, one of which a format tells of, have had their lines of this minute. The
// server writes a client's address into the format.
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

// counted is the count that a line belongs to, and how far it may go in a minute.
func (l *serverLog) counted(line string) (count *int, most int) {
	if aboutClient(line) {
		return &l.clients, clientLines
	}
	return &l.lines, serverLines - clientLines
}

// nextMinute begins to count anew once a minute is over, and says what was left out in the last one.
func (l *serverLog) nextMinute() {
	now := time.Now()
	if now.Sub(l.minute) < time.Minute {
		return
	}
	if l.dropped > 0 {
		l.log.Warn("the embedded NATS server says more than is logged", zap.Int("lines", l.dropped))
	}
	l.minute, l.lines, l.clients, l.dropped = now, 0, 0, 0
}

// gaveUp is why the server cannot go on; "" if it can.
func (l *serverLog) gaveUp() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func aboutClient(line string) bool {
	return strings.Contains(line, " - cid:") || strings.Contains(line, " - wid:")
}

// printable is a line of the server without what clients have chosen.
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

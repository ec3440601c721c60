package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kycbridge/event"
)

const (
	lineWidth    = 170 // of an event on a terminal, in characters
	accountWidth = 40  // at most; of a longer name the middle is omitted
)

// printer writes events, one per line: unchanged, or in columns for a terminal.
type printer struct {
	screen
	asJSON  bool
	account int // width of the account column; it grows with longer names
}

func (p *printer) print(body []byte) error {
	if p.asJSON {
		if p.width > 0 { // elsewhere it is written unchanged: its signature is over these bytes
			body = printableJSON(body)
		}
		_, err := fmt.Fprintf(p.w, "%s\n", body)
		return err
	}
	e, err := event.Decode(body)
	if err != nil {
		_, err = fmt.Fprintln(p.w, "an event that cannot be read; --json shows it")
		return err
	}
	p.account = columnFor(p.account, e.Data.Account)
	_, err = fmt.Fprintln(p.w, p.eventLine(e))
	return err
}

// columnFor is the width of an account column after adding name.
func columnFor(width int, name string) int {
	return max(width, min(utf8.RuneCountInString(name), accountWidth))
}

// eventLine is an event in columns: without personal data, under any profile. Its identifying columns are
// never truncated; the reasons are, at the edge of the screen.
func (p *printer) eventLine(e event.Event) string {
	d := e.Data
	v := verdict(string(d.Decision.Outcome), d.Decision.Final)
	line := printable(fmt.Sprintf("%-20s  %-6s  %-*s  %s  r%-2d  %-14s  ", shortTime(e.Time), d.Provider.Name, p.account,
		shortenMiddle(d.Account, p.account),
		d.VerificationID[:min(8, len(d.VerificationID))], d.Revision, d.Status))
	used := utf8.RuneCountInString(line) + max(16, utf8.RuneCountInString(v.text)) + 2
	line += p.paint(printable(v.text), v.hue) + strings.Repeat(" ", max(16-utf8.RuneCountInString(v.text), 0)) + "  "
	why := []string{d.Provider.Event.Name}
	if d.StatusDetail != "" {
		why = append(why, d.StatusDetail)
	}
	for _, r := range d.Reasons {
		why = append(why, r.Code)
	}
	room := lineWidth - used
	if p.width > 0 {
		if room = min(lineWidth, p.width) - used; room < minReasonWidth {
			return strings.TrimRight(line, " ")
		}
	}
	return strings.TrimRight(line+printable(fit(why, room)), " ")
}

// minReasonWidth is the width below which the reasons of an event are omitted.
const minReasonWidth = 20

// fit is the words that fit, and the number of the others.
func fit(words []string, room int) string {
	const between = " · "
	for n := len(words); n > 1; n-- {
		text := strings.Join(words[:n], between)
		if n < len(words) {
			text += between + "+" + strconv.Itoa(len(words)-n)
		}
		if utf8.RuneCountInString(text) <= room {
			return text
		}
	}
	if len(words) == 1 {
		return cut(words[0], max(room, 20))
	}
	more := between + "+" + strconv.Itoa(len(words)-1)
	return cut(words[0], max(room-utf8.RuneCountInString(more), 20)) + more
}

// cut truncates s to n characters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// shortenMiddle is the beginning and the end of s in at most n characters.
func shortenMiddle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/2]) + "…" + string(r[len(r)-(n-n/2-1):])
}

// printable removes terminal control characters from a provider's names.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func shortTime(s string) string { return event.ParseInstant(s).UTC().Format(time.RFC3339) }

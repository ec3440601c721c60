package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"kycbridge/event"
)

// column is one column of a table.
type column struct {
	name  string
	right bool // numbers are right-aligned
	// least is the minimum width of the column on a narrow terminal: the middle of longer texts is
	// omitted. 0: identifying columns are never shortened.
	least int
	// spare columns are omitted as a whole, those with the highest number first, before any column becomes
	// narrower.
	spare int
}

// cell is a text with the meaning of its outcome, which determines its colour.
type cell struct {
	text string
	hue  hue
}

// hue is the colour of a text: a parameter of the escape sequence SGR.
type hue string

const (
	plainHue hue = ""
	goodHue  hue = "32"
	badHue   hue = "31"
	waitHue  hue = "33"
	dimHue   hue = "2"
	headHue  hue = "1"
)

// screen is the destination of a table.
type screen struct {
	w      io.Writer
	width  int  // characters; 0: no terminal, nothing is shortened
	colour bool // NO_COLOR is not set and the destination is a terminal
}

// screenOf is the screen of a writer. Without a terminal nothing is shortened or coloured.
func screenOf(w io.Writer, environ []string) screen {
	s := screen{w: w}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.width = unknownWidth
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		s.width = width
	}
	s.colour = variable(environ, "NO_COLOR") == "" && !slices.Contains([]string{"", "dumb"}, variable(environ, "TERM"))
	return s
}

// unknownWidth is the assumed width of a terminal that does not report it.
const unknownWidth = 160

// paint colours a text.
func (s screen) paint(text string, h hue) string {
	if !s.colour || h == plainHue || text == "" {
		return text
	}
	return "\x1b[" + string(h) + "m" + text + "\x1b[0m"
}

const between = "  "

// print prints rows below their header, fitted to the width of the screen.
func (s screen) print(columns []column, rows [][]cell) error {
	_, err := io.WriteString(s.w, strings.Join(s.lines(columns, rows), "\n")+"\n")
	return err
}

// lines are rows below their header, fitted to the width of the screen.
func (s screen) lines(columns []column, rows [][]cell) (lines []string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.name)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	s.fitWidths(columns, widths)
	head := make([]cell, len(columns))
	for i, c := range columns {
		head[i] = cell{c.name, headHue}
	}
	for _, row := range append([][]cell{head}, rows...) {
		lines = append(lines, s.row(columns, widths, row))
	}
	return lines
}

// fitWidths fits the widths to the screen: spare columns are omitted, others become narrower. A width of 0
// is an omitted column.
func (s screen) fitWidths(columns []column, widths []int) {
	over := func() int {
		sum := -len(between)
		for _, w := range widths {
			if w > 0 {
				sum += w + len(between)
			}
		}
		return sum - s.width
	}
	if s.width == 0 {
		return
	}
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(columns[b].spare, columns[a].spare) })
	for _, i := range order {
		if columns[i].least > 0 && columns[i].spare == 0 && over() > 0 {
			widths[i] = max(columns[i].least, widths[i]-over())
		}
	}
	for _, i := range order {
		if columns[i].spare > 0 && over() > 0 {
			widths[i] = 0
		}
	}
}

// row formats one row as a line.
func (s screen) row(columns []column, widths []int, row []cell) string {
	var parts []string
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		text := printable(c.text)
		if columns[i].least > 0 {
			text = shortenMiddle(text, widths[i])
		}
		gap := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(text)))
		if columns[i].right {
			parts = append(parts, gap+s.paint(text, c.hue))
		} else {
			parts = append(parts, s.paint(text, c.hue)+gap)
		}
	}
	return strings.TrimRight(strings.Join(parts, between), " ")
}

// verdict is the outcome of a decision in display form.
func verdict(outcome string, final bool) cell {
	text := outcome
	if final {
		text += " (final)"
	}
	switch event.Outcome(outcome) {
	case event.OutcomeApproved:
		return cell{text, map[bool]hue{true: goodHue, false: waitHue}[final]}
	case event.OutcomeRejected:
		return cell{text, badHue}
	}
	return cell{text, plainHue}
}

// shortID is a prefix of an internal id that is unique among a million.
func shortID(id string) string { return id[:min(len(id), len("00000000-000"))] }

// revisionOf is a revision in display form; "-" if there is none.
func revisionOf(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("r%d", n)
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kycbridge/event"
	"kycbridge/internal/archive"
)

// The views, by their keys.
const (
	viewLive = iota + 1
	viewVerifications
	viewKept
	viewAccounts
	viewReport
)

var viewNames = []string{"", "live", "verifications", "quarantine", "providers", "report"}

const (
	topRows    = 1000 // of a view at most; the oldest are dropped
	topFPS     = 10   // frames per second at most, for any number of events
	topPadding = 4    // lines of the frame: header, empty line, empty line, footer
)

// top is the state of the user interface. It is a value: every message creates a new one.
type top struct {
	screen
	topSource
	height   int
	view     int
	selected int
	first    int // row at the top of the window

	events []*event.Event // the newest first
	states []*event.Event // the newest of each verification, the newest first
	kept   []archive.Entry
	report archive.Report
	text   topText // of the report view
	open   *topText
	// fault is what the last request has failed with. The next request clears it, not its answer: the answer to an
	// earlier request may arrive after the fault of a later one.
	fault string

	searching bool
	typed     string
}

func newTop(s screen, source topSource) top {
	return top{screen: s, topSource: source, height: 24, view: viewLive}
}

// Init starts with the live view, which receives its events from outside.
func (m top) Init() tea.Cmd { return nil }

// Update handles a key or a message.
func (m top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case topEvent:
		m.take((*event.Event)(&msg))
	case topFault:
		m.fault = msg.Error()
	case topList:
		m.kept = msg
	case topAccounts:
		m.report = archive.Report(msg)
	case topText:
		if msg.title == "report" && m.view == viewReport {
			m.text = msg
		} else {
			m.open, m.first = &msg, 0
		}
	case tea.KeyPressMsg:
		if m.searching {
			return m.typing(msg)
		}
		return m.key(msg.String())
	}
	return m, nil
}

// take adds an event to the live view, and makes it the state of its verification.
func (m *top) take(e *event.Event) {
	m.events = prepend(m.events, e)
	for i, s := range m.states {
		if s.Data.VerificationID == e.Data.VerificationID {
			m.states = append(m.states[:i:i], m.states[i+1:]...)
			break
		}
	}
	m.states = prepend(m.states, e)
	if m.selected > 0 && m.open == nil && m.view == viewLive {
		m.selected = min(m.selected+1, topRows-1) // the selection stays on the same event
	}
}

func prepend(list []*event.Event, e *event.Event) []*event.Event {
	list = append([]*event.Event{e}, list...)
	return list[:min(len(list), topRows)]
}

// typing handles a key of a search.
func (m top) typing(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	switch k.String() {
	case "enter":
		m.searching = false
		if id := strings.TrimSpace(m.typed); id != "" {
			m.fault = ""
			return m, m.find(m.screen, id)
		}
	case "esc", "ctrl+c":
		m.searching = false
	case "backspace":
		if r := []rune(m.typed); len(r) > 0 {
			m.typed = string(r[:len(r)-1])
		}
	default:
		m.typed += k.Text // "" for a key without text
	}
	return m, nil
}

// key handles any other key.
func (m top) key(k string) (tea.Model, tea.Cmd) {
	switch k {
	case "ctrl+c":
		return m, tea.Quit
	case "q", "esc":
		if m.open != nil {
			m.open, m.fault, m.first = nil, "", 0
			return m, nil
		}
		return m, tea.Quit
	case "1", "2", "3", "4", "5":
		m.view, _ = strconv.Atoi(k)
		m.open, m.fault, m.selected, m.first = nil, "", 0, 0
		return m, m.reload()
	case "/":
		m.searching, m.typed = true, ""
	case "r":
		m.fault = ""
		return m, m.reload()
	case "enter":
		m.fault = ""
		return m, m.opened()
	case "down", "j":
		m.move(1)
	case "up", "k":
		m.move(-1)
	case "pgdown", "space":
		m.move(m.room())
	case "pgup":
		m.move(-m.room())
	}
	return m, nil
}

// reload requests the content of the view again.
func (m top) reload() tea.Cmd {
	switch m.view {
	case viewKept:
		return m.topSource.kept()
	case viewAccounts:
		return m.accounts()
	case viewReport:
		return m.topSource.report()
	}
	return nil
}

// opened opens the selected row.
func (m top) opened() tea.Cmd {
	switch {
	case m.open != nil:
	case m.view == viewLive && m.selected < len(m.events):
		return m.find(m.screen, m.events[m.selected].Data.VerificationID)
	case m.view == viewVerifications && m.selected < len(m.states):
		return m.find(m.screen, m.states[m.selected].Data.VerificationID)
	case m.view == viewKept && m.selected < len(m.kept):
		return m.payload(m.kept[m.selected])
	}
	return nil
}

// move moves the selection, or an open text.
func (m *top) move(by int) {
	_, rows := m.body()
	if m.open != nil || m.view == viewReport {
		m.first = max(0, min(m.first+by, len(rows)-m.room()))
		return
	}
	m.selected = max(0, min(m.selected+by, len(rows)-1))
}

// room is the number of lines between header and footer.
func (m top) room() int { return max(1, m.height-topPadding) }

// body is the header of the content, and its lines.
func (m top) body() (head string, rows []string) {
	switch {
	case m.open != nil:
		return "", m.open.lines
	case m.view == viewReport:
		return "", m.text.lines
	}
	var columns []column
	var cells [][]cell
	switch m.view {
	case viewLive:
		columns, cells = eventTable(m.events)
	case viewVerifications:
		columns, cells = eventTable(m.states)
	case viewKept:
		columns, cells = entryTable(m.kept)
	case viewAccounts:
		columns, cells = accountTable(m.report)
	}
	lines := m.lines(columns, cells)
	return lines[0], lines[1:]
}

// View draws the screen.
func (m top) View() tea.View {
	head, rows := m.body()
	room := m.room()
	if head != "" {
		room--
	}
	first := m.first
	if m.open == nil && m.view != viewReport {
		first = max(0, min(m.selected-room/2, len(rows)-room))
	}
	var b strings.Builder
	b.WriteString(m.title() + "\n\n")
	if head != "" {
		b.WriteString(head + "\n")
	}
	for i := range room {
		line := ""
		if first+i < len(rows) {
			line = rows[first+i]
			if m.open == nil && m.view != viewReport && first+i == m.selected {
				line = "\x1b[7m" + strings.ReplaceAll(line, "\x1b[0m", "\x1b[0;7m") + "\x1b[0m"
			}
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n" + m.foot())
	picture := tea.NewView(b.String())
	picture.AltScreen = true
	return picture
}

// title lists the views.
func (m top) title() string {
	var parts []string
	for n := viewLive; n <= viewReport; n++ {
		name := strconv.Itoa(n) + " " + viewNames[n]
		if n == m.view {
			name = "[" + name + "]"
		}
		parts = append(parts, name)
	}
	return cut("kycbridge  "+strings.Join(parts, "  "), max(m.width, 20))
}

// foot is a search, an error, or the keys.
func (m top) foot() string {
	switch {
	case m.searching:
		return "/" + printable(m.typed) + "█"
	case m.fault != "":
		return m.paint(cut(printable(m.fault), max(m.width, 20)), badHue)
	}
	return m.paint(cut("/ find   Enter open   r reload   q back", max(m.width, 20)), dimHue)
}

// eventTable is a table of events.
func eventTable(events []*event.Event) (columns []column, rows [][]cell) {
	columns = []column{{name: "TIME"}, {name: "PROVIDER"}, {name: "ACCOUNT", spare: 2}, {name: "VERIFICATION"},
		{name: "REV", right: true},
		{name: "STATUS"}, {name: "OUTCOME"}, {name: "WHY", least: 12, spare: 1}}
	for _, e := range events {
		d := e.Data
		why := []string{d.Provider.Event.Name}
		if d.StatusDetail != "" {
			why = append(why, d.StatusDetail)
		}
		for _, r := range d.Reasons {
			why = append(why, r.Code)
		}
		rows = append(rows, []cell{{shortTime(e.Time), dimHue}, {d.Provider.Name, ""}, {d.Account, ""},
			{shortID(d.VerificationID), ""},
			{revisionOf(d.Revision), ""}, {string(d.Status), ""}, verdict(string(d.Decision.Outcome), d.Decision.Final),
			{fit(why, 60), ""}})
	}
	return columns, rows
}

// accountTable is the results of payloads by account, for all days together.
func accountTable(r archive.Report) (columns []column, rows [][]cell) {
	columns = []column{{name: "PROVIDER"}, {name: "ACCOUNT"}, {name: "RECEIVED", right: true},
		{name: "ACCEPTED", right: true}, {name: "WITH EVENT", right: true},
		{name: "PENDING", right: true, spare: 1}, {name: "QUARANTINED", right: true}, {name: "REFUSED", right: true},
		{name: "EVENTS", right: true, spare: 2},
		{name: "OVERDUE", right: true, spare: 3}, {name: "LOST", right: true}}
	type sums struct{ received, accepted, with, pending, quarantined, refused, events, overdue, lost int }
	of := map[string]*sums{}
	for _, row := range r.Rows {
		key := row.Provider + "\t" + row.Account
		if of[key] == nil {
			of[key] = &sums{}
		}
		s := of[key]
		s.received, s.accepted, s.with, s.pending =
			s.received+row.Received, s.accepted+row.Accepted, s.with+row.WithEvent, s.pending+row.Pending
		s.quarantined, s.refused = s.quarantined+sumOf(row.Quarantined), s.refused+row.Refused
		s.events, s.overdue, s.lost = s.events+row.Events, s.overdue+row.Overdue, s.lost+row.Lost
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		provider, account, _ := strings.Cut(key, "\t")
		s := of[key]
		row := []cell{{provider, ""}, {account, ""}}
		for _, n := range []int{s.received, s.accepted, s.with, s.pending, s.quarantined, s.refused, s.events, s.overdue,
			s.lost} {
			row = append(row, cell{fmt.Sprint(n), map[bool]hue{true: dimHue}[n == 0]})
		}
		rows = append(rows, row)
	}
	return columns, rows
}

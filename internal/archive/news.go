package archive

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/event"
)

// Bounds of what a report holds of new values, whatever providers send. Beyond them they are counted
// as one at the pointer "other".
const (
	mostNewSets = 1 << 16
	mostNewRows = 1000
)

// beyond stands for new values that a report does not tell apart.
var beyond = kycbridge.NewValue{Kind: kycbridge.NewField, Pointer: "other"}

// news collects what was new in payloads. A provider that has begun to send a member sends it in
// every payload, so each set of new values is kept once, and of a payload only the number of its set.
type news struct {
	sets    [][]kycbridge.NewValue // the first is empty, the second is beyond
	numbers map[string]uint32      // by all that a set holds
	rows    map[newKey]*New
}

// newKey names a row.
type newKey struct {
	provider string
	kycbridge.NewValue
}

func newNews() news {
	return news{sets: [][]kycbridge.NewValue{nil, {beyond}}, numbers: map[string]uint32{}, rows: map[newKey]*New{}}
}

// number is that of a set of new values.
func (n *news) number(set []kycbridge.NewValue) uint32 {
	if len(set) == 0 {
		return 0
	}
	var key strings.Builder
	for _, v := range set {
		key.WriteString(v.Kind + " " + v.Pointer + " " + v.Value + "\n")
	}
	number, ok := n.numbers[key.String()]
	switch {
	case ok:
	case len(n.sets) >= mostNewSets:
		number = 1
	default:
		number = uint32(len(n.sets))
		n.numbers[key.String()] = number
		n.sets = append(n.sets, set)
	}
	return number
}

// count counts the new values of a payload of the log.
func (n *news) count(k kycbridge.Kept, set uint32) {
	for _, v := range n.sets[set] {
		row := n.row(newKey{k.Provider, v})
		if row.Payloads == 0 || k.ReceivedAt.Before(row.first) {
			row.first = k.ReceivedAt
		}
		if k.ReceivedAt.After(row.last) {
			row.last = k.ReceivedAt
		}
		row.Payloads++
	}
}

func (n *news) row(key newKey) *New {
	row, ok := n.rows[key]
	if !ok && len(n.rows) >= mostNewRows {
		key.NewValue = beyond
		row, ok = n.rows[key]
	}
	if !ok {
		row = &New{Provider: key.provider, NewValue: key.NewValue}
		n.rows[key] = row
	}
	return row
}

func (n *news) sorted() []New {
	rows := []New{}
	for row := range maps.Values(n.rows) {
		row.FirstSeen, row.LastSeen = event.Instant(row.first), event.Instant(row.last)
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b New) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return rows
}

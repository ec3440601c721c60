package archive

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/event"
)

// Limits of the new values in a report. Beyond them they are counted together at the pointer "other".
const (
	maxNewSets = 1 << 16
	maxNewRows = 1000
)

// otherValues represents new values beyond the limits.
var otherValues = kycbridge.NewValue{Kind: kycbridge.NewField, Pointer: "other"}

// newValueCounter counts the new values of payloads. A provider that starts to send a member sends it in every
// payload, so each set of new values is stored once, and for a payload only the number of its set is stored.
type newValueCounter struct {
	sets    [][]kycbridge.NewValue // the first is empty, the second is otherValues
	numbers map[string]uint32      // by the content of a set
	rows    map[newValueKey]*New
}

// newValueKey identifies a row.
type newValueKey struct {
	provider string
	kycbridge.NewValue
}

func newNewValueCounter() newValueCounter {
	return newValueCounter{sets: [][]kycbridge.NewValue{nil, {otherValues}}, numbers: map[string]uint32{},
		rows: map[newValueKey]*New{}}
}

// number is the number of a set of new values.
func (n *newValueCounter) number(set []kycbridge.NewValue) uint32 {
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
	case len(n.sets) >= maxNewSets:
		number = 1
	default:
		number = uint32(len(n.sets))
		n.numbers[key.String()] = number
		n.sets = append(n.sets, set)
	}
	return number
}

// count counts the new values of a payload of the log.
func (n *newValueCounter) count(k kycbridge.Kept, set uint32) {
	for _, v := range n.sets[set] {
		row := n.row(newValueKey{k.Provider, v})
		if row.Payloads == 0 || k.ReceivedAt.Before(row.first) {
			row.first = k.ReceivedAt
		}
		if k.ReceivedAt.After(row.last) {
			row.last = k.ReceivedAt
		}
		row.Payloads++
	}
}

func (n *newValueCounter) row(key newValueKey) *New {
	row, ok := n.rows[key]
	if !ok && len(n.rows) >= maxNewRows {
		key.NewValue = otherValues
		row, ok = n.rows[key]
	}
	if !ok {
		row = &New{Provider: key.provider, NewValue: key.NewValue}
		n.rows[key] = row
	}
	return row
}

func (n *newValueCounter) sorted() []New {
	rows := []New{}
	for row := range maps.Values(n.rows) {
		row.FirstSeen, row.LastSeen = event.Instant(row.first), event.Instant(row.last)
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b New) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Value, b.Value))
	})
	return rows
}

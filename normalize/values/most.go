package values

import (
	"cmp"
	"slices"

	"kycbridge/event"
)

// Most is the maximum number of entries of a list in an event.
const Most = 100

// AtMost limits a list whose entries become entries of an event: a body of the permitted size could contain
// so many entries that the event would be too large to publish. It limits what an event shows, not what is judged:
// a mapping reads every entry of a body first, or what follows the last one shown would count for nothing.
func AtMost[T any](list []T) []T {
	return list[:min(len(list), Most)]
}

// Fields limits the fields of a check. It leaves out what passed before what did not, so that a failure is shown
// wherever in the body it is.
func Fields(fields []event.CheckField) []event.CheckField {
	return atMost(fields, func(f event.CheckField) int { return weight(f.Result) })
}

// Reasons limits reasons. It leaves out those whose code an earlier reason has first.
func Reasons(reasons []event.Reason) []event.Reason {
	seen := map[string]bool{}
	return atMost(reasons, func(r event.Reason) int {
		if seen[r.Code] {
			return 0
		}
		seen[r.Code] = true
		return 1
	})
}

// weight is greater for a result that says more about what is wrong.
func weight(r event.Result) int {
	switch r {
	case event.ResultPassed, event.ResultNotPerformed:
		return 0
	case event.ResultFailed, event.ResultWarning:
		return 2
	}
	return 1
}

// atMost limits a list to its weightiest entries, in their order. It weighs each entry once, in order.
func atMost[T any](list []T, weight func(T) int) []T {
	if len(list) <= Most {
		return list
	}
	weights, order := make([]int, len(list)), make([]int, len(list))
	for i, entry := range list {
		weights[i], order[i] = weight(entry), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
	slices.Sort(order[:Most])
	kept := make([]T, Most)
	for i, at := range order[:Most] {
		kept[i] = list[at]
	}
	return kept
}

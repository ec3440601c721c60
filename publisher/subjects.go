package publisher

import "strings"

// meet reports whether a subject exists that both a and b match; each may contain wildcards.
func meet(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return len(as) == len(bs)
}

// within reports whether every subject that inner matches is matched by outer.
func within(inner, outer string) bool {
	is, os := strings.Split(inner, "."), strings.Split(outer, ".")
	for i, o := range os {
		switch {
		case i >= len(is):
			return false
		case o == ">":
			return true
		case is[i] == ">", o != "*" && o != is[i]:
			return false
		}
	}
	return len(is) == len(os)
}

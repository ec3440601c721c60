package app

import "testing"

func TestProcessors(t *testing.T) {
	for name, c := range map[string]struct {
		embedded         bool
		chosen           string
		usual, available int
		want             int
	}{
		"embedded store":                  {embedded: true, usual: 2, available: 2, want: 4},
		"external store":                  {usual: 2, available: 2, want: 2},
		"GOMAXPROCS is set":               {embedded: true, chosen: "2", usual: 2, available: 2, want: 2},
		"the container may use a quarter": {embedded: true, usual: 2, available: 8, want: 2},
		"tuned before":                    {embedded: true, usual: 4, available: 2, want: 4},
	} {
		if got := processors(c.embedded, c.chosen, c.usual, c.available); got != c.want {
			t.Errorf("%s: %d threads, want %d", name, got, c.want)
		}
	}
}

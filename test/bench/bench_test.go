package main

import (
	"errors"
	"strings"
	"testing"
)

// TestBench runs the command for a moment: all contenders store exactly one event for each answer 200. How fast
// they are is not checked.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts three programs")
	}
	for name, more := range map[string][]string{"beside the peer": {"-share", "60"}, "at a cluster": {"-scale"}} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(append([]string{"-reps", "1", "-d", "1s", "-bodies", "ondato"}, more...), &out)
			if errors.Is(err, errDownload) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
			t.Log(out.String())
		})
	}
}

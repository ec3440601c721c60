package main

import (
	"os/exec"
	"testing"
	"time"
)

// TestQuota: a process that would use a whole processor gets its share of one.
func TestQuota(t *testing.T) {
	busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	q := quota{share: 0.2}
	refused := q.apply(busy.Process.Pid)
	const wall = 2 * time.Second
	time.Sleep(wall)
	_ = busy.Process.Kill()
	_ = busy.Wait() // it was killed
	if refused != nil {
		t.Skip(refused)
	}
	if err := q.remove(); err != nil {
		t.Error(err)
	}
	used := busy.ProcessState.UserTime() + busy.ProcessState.SystemTime()
	if limit := wall * 2 / 5; used > limit {
		t.Errorf("%s of processor time in %s, want %s at most", used, wall, limit)
	}
}

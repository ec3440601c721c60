package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// quotaPeriod is the period of a quota of processor time. It is short, so that a process that has used its quota waits
// for a few milliseconds only.
const quotaPeriod = 10 * time.Millisecond

// quota gives a process a share of one processor, with a control group of Linux of its own. A quota of 0 is none.
type quota struct {
	share float64
	group string // the folder of the group; "": none yet
}

// apply puts a process, and what it starts, into the group.
func (q *quota) apply(pid int) error {
	if q.share == 0 {
		return nil
	}
	period := strconv.FormatInt(quotaPeriod.Microseconds(), 10)
	allowed := strconv.FormatInt(int64(q.share*float64(quotaPeriod.Microseconds())), 10)
	name := fmt.Sprintf("kycbridge-bench-%d", pid)
	const root = "/sys/fs/cgroup"
	settings := map[string]string{"cpu.max": allowed + " " + period} // version 2
	q.group = filepath.Join(root, name)
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil { // version 1
		settings = map[string]string{"cpu.cfs_period_us": period, "cpu.cfs_quota_us": allowed}
		q.group = filepath.Join(root, "cpu", name)
	}
	if err := os.Mkdir(q.group, 0o755); err != nil {
		q.group = ""
		return fmt.Errorf("-processors needs the right to make control groups (cgroups): %w", err)
	}
	settings["cgroup.procs"] = strconv.Itoa(pid)
	for file, value := range settings {
		if err := os.WriteFile(filepath.Join(q.group, file), []byte(value), 0o644); err != nil {
			return errors.Join(fmt.Errorf("-processors: %w", err), q.remove())
		}
	}
	return nil
}

// remove removes the group. Its process must have ended.
func (q *quota) remove() error {
	if q.group == "" {
		return nil
	}
	defer func() { q.group = "" }()
	return os.Remove(q.group)
}

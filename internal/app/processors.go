package app

import (
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
)

// flushesAtOnce is how many flushes of an embedded store run at the same time under load: of payloads and of events.
const flushesAtOnce = 2

// TuneProcessors raises GOMAXPROCS in a process with an embedded store, so that Go code runs during its flushes. A
// thread in a system call counts against GOMAXPROCS until the scheduler takes its place away, which takes a good part
// of a flush: with two processors and two flushes in progress nothing else would run meanwhile (decision 64).
// A GOMAXPROCS that the operator has set is kept. So is that of a process with a limit of processor time: the kernel
// stops such a process for the rest of each period in which its threads have used it up.
func TuneProcessors(c *Config) {
	embedded := c.Store.IsEmbedded() || c.Bus.IsEmbedded()
	keep := !embedded || os.Getenv("GOMAXPROCS") != "" || limitedProcessors(os.DirFS("/"))
	now := runtime.GOMAXPROCS(0)
	if n := processors(keep, now, runtime.NumCPU()); n != now {
		runtime.GOMAXPROCS(n) // from now on the runtime does not follow changes of the processors of this process
	}
}

// processors is the GOMAXPROCS to be set: now is the current one, and available how many processors this process may
// run on.
func processors(keep bool, now, available int) int {
	if keep || now != available {
		return now
	}
	return now + flushesAtOnce
}

// limitedProcessors reports whether a control group of this process, or one above it, limits its processor time. A
// limit may be a fraction of a processor, which the runtime rounds up, to two at least.
func limitedProcessors(root fs.FS) bool {
	groups, _ := fs.ReadFile(root, "proc/self/cgroup") // without one there is no limit
	for line := range strings.Lines(string(groups)) {
		// Version 2: 0::/path. Version 1: 4:cpu,cpuacct:/path.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "cpu.max"
		if parts[1] != "" {
			folder, file = path.Join(folder, parts[1]), "cpu.cfs_quota_us"
		}
		// In a container the path may be that outside of it; the root is the container's own group then.
		for group := path.Join("/", parts[2]); ; group = path.Dir(group) {
			text, err := fs.ReadFile(root, path.Join(folder, group, file))
			quota, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
			if err == nil && quota != "max" && quota != "-1" {
				return true
			}
			if group == "/" {
				break
			}
		}
	}
	return false
}

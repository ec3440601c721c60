package app

import (
	"testing"
	"testing/fstest"
)

func TestProcessors(t *testing.T) {
	for name, c := range map[string]struct {
		keep           bool
		now, available int
		want           int
	}{
		"embedded store":                           {now: 2, available: 2, want: 4},
		"one processor":                            {now: 1, available: 1, want: 3},
		"external store, a setting or a limit":     {keep: true, now: 2, available: 2, want: 2},
		"the runtime has found a limit":            {now: 2, available: 8, want: 2},
		"tuned before, or set by a caller":         {now: 4, available: 2, want: 4},
		"a single thread at a caller's own choice": {now: 1, available: 2, want: 1},
	} {
		if got := processors(c.keep, c.now, c.available); got != c.want {
			t.Errorf("%s: GOMAXPROCS %d, want %d", name, got, c.want)
		}
	}
}

// TestLimitedProcessors: a limit is found in both versions of control groups, in the group of the process, in one
// above it and in that of a container.
func TestLimitedProcessors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"no control groups": {nil, false},
		"no limit": {map[string]string{"proc/self/cgroup": "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/b.service/cpu.max": "max 100000\n"}, false},
		"a fraction of a processor": {map[string]string{"proc/self/cgroup": "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/b.service/cpu.max": "50000 100000\n"}, true},
		"of the group above": {map[string]string{"proc/self/cgroup": "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/b.service/cpu.max": "max 100000\n",
			"sys/fs/cgroup/a.slice/cpu.max":           "150000 100000\n"}, true},
		"of a container": {map[string]string{"proc/self/cgroup": "0::/../../pod\n",
			"sys/fs/cgroup/cpu.max": "100000 100000\n"}, true},
		"version 1": {map[string]string{"proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "150000\n"}, true},
		"version 1, no limit": {map[string]string{"proc/self/cgroup": "4:cpu,cpuacct:/\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}, false},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := limitedProcessors(root); got != c.want {
			t.Errorf("%s: limited is %t, want %t", name, got, c.want)
		}
	}
}

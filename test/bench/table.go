package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine describes the machine and the software of the measurement.
type machine struct {
	Date       string `json:"date"`
	Go         string `json:"go"`
	NATS       string `json:"nats_server"`
	Kernel     string `json:"kernel"`
	CPU        string `json:"cpu"`
	Processors int    `json:"processors"`
	FileSystem string `json:"file_system"`
}

func describe(ctx context.Context, dir string) (machine, error) {
	nats, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Version}}", natsServer)
	if err != nil {
		return machine{}, err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return machine{}, fmt.Errorf("processor time and memory are read from /proc of Linux: %w", err)
	}
	m := machine{Date: time.Now().Format(time.DateOnly), Go: runtime.Version(), NATS: nats,
		Kernel: "Linux " + strings.TrimSpace(string(kernel)), CPU: runtime.GOARCH, Processors: runtime.NumCPU()}
	cpus, _ := os.ReadFile("/proc/cpuinfo") // if the file has no model, the architecture is shown
	for line := range strings.Lines(string(cpus)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	m.FileSystem, err = fileSystem(dir)
	return m, err
}

// fileSystem is the type of the file system of a folder: that of the longest mount point above it.
func fileSystem(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	longest, kind := "", "unknown"
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || len(fields[1]) < len(longest) {
			continue
		}
		if strings.HasPrefix(dir+"/", strings.TrimSuffix(fields[1], "/")+"/") {
			longest, kind = fields[1], fields[2]
		}
	}
	return kind, nil
}

// measure is a row of the table.
type measure struct {
	title    string
	decimals int
	of       func(sample) float64
}

func measures(o options) []measure {
	rows := []measure{
		{"payloads answered a second", 0, func(s sample) float64 { return s.AnsweredRate }},
		{"payloads a second until the last event", 0, func(s sample) float64 { return s.EventRate }},
		{"events behind at the end of sending", 0, func(s sample) float64 { return float64(s.Behind) }},
		{"answer, median, ms", 1, func(s sample) float64 { return s.P50 }},
		{"answer, 99 %, ms", 1, func(s sample) float64 { return s.P99 }},
		{"processor time a payload with its event, ms", 3, func(s sample) float64 { return s.Processor }},
		{"processors in use", 2, func(s sample) float64 { return s.Processor * s.EventRate / 1000 }},
		{"resident memory at the end, MiB", 0, func(s sample) float64 { return s.Memory }},
	}
	if o.slow > 0 { // the processor time would be that of strace too
		rows = slices.Delete(rows, 5, 7)
	}
	if o.share > 0 {
		at := fmt.Sprintf("at %.0f %%: ", o.share)
		rows = append(rows,
			measure{at + "payloads a second", 0, func(s sample) float64 { return s.PacedRate }},
			measure{at + "answer, median, ms", 1, func(s sample) float64 { return s.PacedP50 }},
			measure{at + "answer, 99 %, ms", 1, func(s sample) float64 { return s.PacedP99 }},
			measure{at + "from receipt to a reader, median, ms; 0: unknown", 1, func(s sample) float64 { return s.DelayP50 }},
			measure{at + "from receipt to a reader, 99 %, ms", 1, func(s sample) float64 { return s.DelayP99 }})
	}
	return rows
}

// printHeading writes what was measured where.
func printHeading(out io.Writer, m machine, o options) {
	fmt.Fprintf(out, "%s, %s, nats-server %s, %s, %s, %d processors, %s; "+
		"%d connections, %s each, medians of %d",
		m.Date, m.Go, m.NATS, m.Kernel, m.CPU, m.Processors, m.FileSystem, o.connections, o.duration, o.reps)
	if o.slow > 0 {
		fmt.Fprintf(out, "; every flush takes %s longer", o.slow)
	}
	if o.apart {
		fmt.Fprint(out, "; the load generator has the last processor for itself")
	}
	if o.processors > 0 {
		fmt.Fprintf(out, "; each process of kycbridge has %g processors, the NATS servers the rest", o.processors)
	}
	fmt.Fprintln(out)
}

// printTables writes a table for each body: the medians of the repetitions.
func printTables(w io.Writer, m machine, o options, samples []sample) error {
	var out strings.Builder
	printHeading(&out, m, o)
	compared := contenders(o)
	for _, b := range o.bodies {
		fmt.Fprintf(&out, "\n| %s, %.1f kB | %s | %s | %[3]s / %[4]s |\n|---|---|---|---|\n", b.Provider,
			float64(b.Size())/1000, compared[0].name, compared[1].name)
		for _, row := range measures(o) {
			median := func(contender string) float64 {
				return medianOf(samples, func(s sample) bool { return s.Contender == contender && s.Body == b.Provider }, row.of)
			}
			ours, theirs := median(compared[0].name), median(compared[1].name)
			ratio := "-"
			if theirs > 0 {
				ratio = fmt.Sprintf("%.2f", ours/theirs)
			}
			fmt.Fprintf(&out, "| %s | %.*f | %.*f | %s |\n", row.title, row.decimals, ours, row.decimals, theirs, ratio)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// medianOf is the median of a value in the samples that are chosen.
func medianOf(samples []sample, chosen func(sample) bool, value func(sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		if chosen(s) {
			values = append(values, value(s))
		}
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

package oracle

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var tableFlag = flag.Bool("oracle.table", false, "measure each fault alone, for the table of docs/reliability.md")

// TestTable injects one fault at a time, in each possible mode, and prints the table of
// docs/reliability.md. A fault is repeated for -oracle.for.
//
//	go test ./test/oracle -run TestTable -oracle.table -timeout 2h -v
func TestTable(t *testing.T) {
	if !*tableFlag {
		t.Skip("it takes half an hour: -oracle.table")
	}
	root := os.Geteuid() == 0 && CanMount(filepath.Join(t.TempDir(), "disk")) == ""
	var rows []string
	for _, mode := range []string{Embedded, External, Edge} {
		for _, fault := range Able(mode, root, true) {
			if *modeFlag != "" && *modeFlag != mode || *faultsFlag != "" &&
				!strings.Contains(","+*faultsFlag+",", ","+fault+",") {
				continue
			}
			t.Run(mode+"/"+fault, func(t *testing.T) { rows = append(rows, row(t, mode, fault)) })
		}
	}
	t.Logf(
		"\n| fault | mode | times | callbacks answered 200 | lost | told by | longest time without a 200 | ended by "+
			"itself |\n"+
			"|---|---|---|---|---|---|---|---|\n%s", strings.Join(rows, "\n"))
}

// row measures one fault in one mode.
func row(t *testing.T, mode, fault string) string {
	t.Helper()
	times := 0
	log := func(format string, args ...any) {
		t.Logf(format, args...)
		if strings.Contains(fmt.Sprintf(format, args...), "fault: ") {
			times++
		}
	}
	o := Options{Mode: mode, Processes: 1, Seed: max(*seedFlag, 1), For: *forFlag, Rate: *rateFlag,
		Faults: []string{fault}, Log: log, Dir: t.TempDir()}
	if mode == External {
		o.Processes = *procsFlag
	}
	o.Binary, o.NATS = tools(t)
	found, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found.Violations {
		t.Error(v)
	}
	reportedBy := strings.Join(found.ReportedBy, ", ")
	if reportedBy == "" {
		reportedBy = "-"
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s | %s | %d |",
		fault, mode, times, found.Taken, found.Lost, reportedBy, found.Silence.Round(100*time.Millisecond), found.Ended)
}

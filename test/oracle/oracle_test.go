package oracle

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seedFlag   = flag.Uint64("oracle.seed", 1, "source of callbacks and faults; 0: a new one, which is printed")
	forFlag    = flag.Duration("oracle.for", 10*time.Second, "how long callbacks and faults come, in each mode")
	modeFlag   = flag.String("oracle.mode", "", "embedded, external or edge; empty: all")
	faultsFlag = flag.String("oracle.faults", "",
		"names, joined by commas; all: also those that take data, or long; empty: the others")
	rateFlag  = flag.Float64("oracle.rate", 15, "verifications a second")
	keepFlag  = flag.String("oracle.keep", "", "folder for the logs and configurations of the processes; it is created")
	procsFlag = flag.Int("oracle.processes", 3, "kycbridge processes in mode external")
	sealFlag  = flag.Bool("oracle.sealed", false, "with encrypted bodies and the tamper-evident log")
	binFlag   = flag.String("oracle.bin", "", "kycbridge to judge; empty: the one of this folder, built")
	natsFlag  = flag.String("oracle.nats", "", "nats-server; empty: the one of the module, built")
)

// programs are the tested binary and its tools, built once.
var programs struct {
	dir, bridge, nats string
	err               error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := 2
	if programs.dir, programs.err = os.MkdirTemp("", "oracle-"); programs.err == nil {
		code = m.Run()
	}
	os.RemoveAll(programs.dir)
	os.Exit(code)
}

// build builds a program of a module's folder.
func build(folder, out, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-pgo=off", "-o", out, pkg)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, said)
	}
	return nil
}

// tools are the two programs.
func tools(t *testing.T) (bridge, nats string) {
	t.Helper()
	if programs.bridge == "" {
		programs.bridge, programs.nats = *binFlag, *natsFlag
		if programs.bridge == "" {
			programs.bridge = filepath.Join(programs.dir, "kycbridge")
			programs.err = build(".", programs.bridge, "kycbridge/cmd/kycbridge")
		}
		if programs.nats == "" && programs.err == nil {
			programs.nats = filepath.Join(programs.dir, "nats-server")
			programs.err = build(".", programs.nats, "github.com/nats-io/nats-server/v2")
		}
	}
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.bridge, programs.nats
}

// TestOracle tests the product under faults. For longer runs, including faults that lose data:
//
//	go test ./test/oracle -run TestOracle -oracle.for 10m -oracle.faults all -timeout 1h
func TestOracle(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1e6) + 1
	}
	for _, mode := range []string{Embedded, External, Edge} {
		if *modeFlag != "" && *modeFlag != mode {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			faults := faultsOf(t, mode)
			t.Logf("the same again: -oracle.seed %d -oracle.mode %s -oracle.for %s -oracle.faults %s", seed, mode, *forFlag,
				strings.Join(faults, ","))
			o := Options{Mode: mode, Processes: 1, Seed: seed, For: *forFlag, Rate: *rateFlag, Faults: faults, Log: t.Logf,
				Dir: workDir(t, mode), Sealed: *sealFlag}
			if mode == External {
				o.Processes = *procsFlag
			}
			o.Binary, o.NATS = tools(t)
			judged(t, o)
		})
	}
}

// workDir is an empty folder for a run, which -oracle.keep keeps.
func workDir(t *testing.T, mode string) string {
	t.Helper()
	if *keepFlag == "" {
		return t.TempDir()
	}
	dir := filepath.Join(*keepFlag, mode)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// judged runs the oracle and fails the test for its findings.
func judged(t *testing.T, o Options) {
	t.Helper()
	found, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d verifications, %d answers 200, %d events, %d heard, longest wait after a fault %s, ended by itself %d "+
		"times, forgiven %v",
		found.Verifications, found.Taken, found.Events, found.Subscriber, found.Slowest.Round(time.Millisecond), found.Ended,
		found.Forgiven)
	if found.Events == 0 || found.Subscriber == 0 {
		t.Error("nothing happened: the run shows nothing")
	}
	for _, v := range found.Violations {
		t.Error(v)
	}
	if len(found.Counts) > 0 {
		t.Errorf("violations: %v", found.Counts)
	}
}

// faultsOf are the names of the faults of a run. Impossible ones are logged.
func faultsOf(t *testing.T, mode string) []string {
	t.Helper()
	no := "not root"
	if os.Geteuid() == 0 {
		no = CanMount(filepath.Join(t.TempDir(), "disk"))
	}
	able := Able(mode, no == "", *faultsFlag != "")
	if no != "" {
		t.Logf("without the faults that want a file system of their own: %s", no)
	}
	if *faultsFlag == "" || *faultsFlag == "all" {
		return able
	}
	asked := strings.Split(*faultsFlag, ",")
	var names []string
	for _, f := range Faults() {
		names = append(names, f.Name)
	}
	for _, name := range asked {
		if !slices.Contains(names, name) {
			t.Fatalf("no fault %q; there are %v", name, names)
		}
	}
	return slices.DeleteFunc(asked, func(name string) bool { return !slices.Contains(able, name) })
}

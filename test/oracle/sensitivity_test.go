package oracle

import (
	"bufio"
	"context"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var sensitivityFlag = flag.Bool("oracle.sensitivity", false,
	"break copies of the code in known ways, which the oracle must find")

// patience is how long the oracle may take to detect a mutant.
const patience = 60 * time.Second

// mutant is a fault in the code, and how to detect it.
type mutant struct {
	about, mode string
	faults      []string
	rate        float64
}

// TestSensitivity applies each patch in testdata/mutants to a copy of the code and runs the oracle until
// it finds a violation, for a minute at most. A patch that no longer applies fails:
//
//	go test ./test/oracle -run TestSensitivity -oracle.sensitivity -timeout 1h
func TestSensitivity(t *testing.T) {
	if !*sensitivityFlag {
		t.Skip("it builds ten programs; ask for it with -oracle.sensitivity")
	}
	_, server := tools(t)
	for _, patch := range patches(t) {
		t.Run(strings.TrimSuffix(filepath.Base(patch), ".patch"), func(t *testing.T) {
			m := readMutant(t, patch)
			binary := filepath.Join(t.TempDir(), "kycbridge")
			buildMutant(t, patch, binary)
			began, seed := time.Now(), uint64(1)
			for ; time.Since(began) < patience; seed++ {
				o := Options{Binary: binary, NATS: server, Dir: t.TempDir(), Mode: m.mode, Processes: 1, Seed: seed,
					For: 8 * time.Second, Rate: m.rate, Faults: m.faults, Log: func(string, ...any) {}, Settle: 10 * time.Second}
				if m.mode == External {
					o.Processes = 3
				}
				found, err := Run(context.Background(), o)
				if err != nil {
					t.Fatal(err)
				}
				if len(found.Violations) > 0 {
					t.Logf("%s Found after %s, seed %d: %v; first: %.300s", m.about, time.Since(began).Round(time.Second), seed,
						found.Counts, found.Violations[0])
					return
				}
			}
			t.Errorf("%s Not found in %s.", m.about, patience)
		})
	}
}

// TestMutantsApply: the patches apply to the current code.
func TestMutantsApply(t *testing.T) {
	dir := t.TempDir()
	copyCode(t, filepath.Join("..", ".."), dir)
	for _, patch := range patches(t) {
		applyPatch(t, dir, patch, "--check")
	}
}

// patches are those in testdata/mutants.
func patches(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("testdata/mutants/*.patch")
	if err != nil || len(found) < 10 {
		t.Fatalf("%d patches: %v", len(found), err)
	}
	return found
}

// readMutant reads the header of a patch: the fault, and its settings.
func readMutant(t *testing.T, patch string) mutant {
	t.Helper()
	raw, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	m := mutant{rate: 25}
	for lines := bufio.NewScanner(strings.NewReader(string(raw))); lines.Scan() && lines.Text() != ""; {
		key, value, ok := strings.Cut(lines.Text(), ": ")
		switch {
		case !ok:
			m.about = lines.Text()
		case key == "Mode":
			m.mode = value
		case key == "Faults":
			m.faults = strings.Split(value, ",")
		case key == "Rate":
			if m.rate, err = strconv.ParseFloat(value, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// buildMutant builds a copy of the code with a patch.
func buildMutant(t *testing.T, patch, binary string) {
	t.Helper()
	dir := t.TempDir()
	copyCode(t, filepath.Join("..", ".."), dir)
	applyPatch(t, dir, patch)
	if err := build(dir, binary, "./cmd/kycbridge"); err != nil {
		t.Fatal(err)
	}
}

// applyPatch runs git apply in a copy of the code.
func applyPatch(t *testing.T, dir, patch string, flags ...string) {
	t.Helper()
	path, err := filepath.Abs(patch)
	if err != nil {
		t.Fatal(err)
	}
	apply := exec.Command("git", append(append([]string{"apply"}, flags...), path)...)
	apply.Dir = dir
	if out, err := apply.CombinedOutput(); err != nil {
		t.Errorf("%s does not apply any more: %v\n%s", patch, err, out)
	}
}

// copyCode copies a module without its history.
func copyCode(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case relErr != nil:
			return relErr
		case d.Name() == ".git" && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular() || d.Name() == ".git":
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), raw, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

package test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestProfile: the profile that the compiler uses for the program (make profile) is one, shows the path of a payload,
// and contains no path of the machine on which it was measured.
func TestProfile(t *testing.T) {
	const path = "../cmd/kycbridge/default.pgo"
	// As go build prepares it for the compiler.
	prepare := exec.Command("go", "tool", "preprofile", "-i", path, "-o", filepath.Join(t.TempDir(), "prepared"))
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("the compiler cannot use it: %v\n%s", err, out)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kycbridge.(*Intake).Receive", "kycbridge.(*Normalizer).process",
		"kycbridge/normalize/ondato.Map", "kycbridge/normalize/signzy.Map", "kycbridge/publisher.(*flusher).run"} {
		if !bytes.Contains(profile, []byte(name)) {
			t.Errorf("does not show %s; measure it again with make profile", name)
		}
	}
	for _, path := range []string{"/root/", "/home/", "/work/", "/Users/"} {
		if bytes.Contains(profile, []byte(path)) {
			t.Errorf("contains a path below %s", path)
		}
	}
}

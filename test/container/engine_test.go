package container

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go/log"
)

// root is the folder of the repository.
var root = filepath.Join("..", "..")

// engineVariable, if set, makes a test fail that would be skipped because no container engine is available.
const engineVariable = "REQUIRE_CONTAINERS"

// TestMain keeps testcontainers from pulling the image of its reaper: the tests clean up themselves.
func TestMain(m *testing.M) {
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	log.SetDefault(silent{})
	os.Exit(m.Run())
}

// silent keeps testcontainers from logging every step.
type silent struct{}

func (silent) Printf(string, ...any) {}

// built is the result of building the images, which happens once per run.
var built struct {
	once sync.Once
	lack string // what is missing on the machine
	err  error
	took time.Duration
}

// images skips the test if the machine cannot run containers, and otherwise builds the images.
func images(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds images and runs containers: left out with -short")
	}
	built.once.Do(func() {
		if built.lack = lacking(); built.lack != "" {
			return
		}
		began := time.Now()
		cmd := exec.Command("make", "image")
		cmd.Dir = root
		cmd.Env = quiet()
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("make image: %w\n%s", err, out)
		}
		built.took = time.Since(began)
	})
	switch {
	case built.lack != "" && os.Getenv(engineVariable) != "":
		t.Fatalf("no containers here, and %s is set: %s", engineVariable, built.lack)
	case built.lack != "":
		t.Skip("no containers here: " + built.lack)
	case built.err != nil:
		t.Fatal(built.err)
	}
}

// lacking is the reason why this machine cannot run containers; "" if it can.
func lacking() string {
	for _, name := range []string{"docker", "make"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed"
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version", "--format",
		"{{.Server.Version}}").CombinedOutput(); err != nil {
		return "no engine answers: " + strings.TrimSpace(string(out))
	}
	return ""
}

// quiet is the environment without variables of kycbridge and of docker-compose.yml that may be set for the test run,
// and without flags of an outer make.
func quiet(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "KYCBRIDGE_"), strings.HasPrefix(name, "NATS_"), strings.HasPrefix(name, "MAKE"),
			name == "MFLAGS",
			name == "IMAGE", name == "VERSION", name == "ADMIN_TOKEN", name == "ONDATO_CALLBACK_PASSWORD":
		default:
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// docker runs a docker command and returns what it printed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

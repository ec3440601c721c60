package container

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.yaml.in/yaml/v3"

	"kycbridge/event"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// composePatience is the maximum time from the first command to the event.
const composePatience = 2 * time.Minute

// TestCompose does what the README describes: make image && docker-compose up -d, its curl, the event as a NATS
// client reads it, and down. Only the ports differ, so that it does not conflict with other programs.
func TestCompose(t *testing.T) {
	t.Parallel()
	images(t)
	up := composeOf(t)
	nats, callbacks, admin := freeport.New(t), freeport.New(t), freeport.New(t)
	project := fmt.Sprintf("kycbridge-test-%d", os.Getpid())
	env := quiet("COMPOSE_PROJECT_NAME="+project, fmt.Sprint("NATS_PORT=", nats), fmt.Sprint("CALLBACK_PORT=", callbacks),
		fmt.Sprint("ADMIN_PORT=", admin))
	run := func(command string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir, cmd.Env = root, env
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", command, err, out, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(run(up + " ps; " + up + " logs --tail 15"))
		}
		run(up + " down --volumes --timeout 5")
	})

	began := time.Now()
	run("make image && " + up + " up -d")
	started := time.Since(began)
	events := listen(t, nats)
	curl := readmeCurl(t, callbacks)
	var answer string
	// The callback follows at once, as for a reader of the README; only the proxy may need a moment to listen.
	wait.For(t, 3*time.Second, "the callback accepted as soon as all is up", func() bool {
		cmd := exec.Command("sh", "-c", curl)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		answer = string(out)
		return err == nil && strings.Contains(answer, `"status":"accepted"`)
	})
	m, err := events.NextMsg(20 * time.Second)
	if err != nil {
		t.Fatalf("the event of %s: %v", answer, err)
	}
	e, err := event.Decode(m.Data)
	if err != nil || e.Data.Decision.Outcome != event.OutcomeApproved || !e.Data.Decision.Final ||
		!strings.Contains(answer, e.Data.VerificationID) {
		t.Errorf("the event of %s is %+v: %v", answer, e.Data.Decision, err)
	}
	seen := time.Since(began)

	wait.For(t, time.Minute, "both replicas healthy", func() bool {
		for _, name := range []string{"kycbridge-1", "kycbridge-2"} {
			if docker(t, "inspect", "--format", "{{.State.Health.Status}}", run(up+" ps -q "+name)) != "healthy" {
				return false
			}
		}
		return true
	})
	res, err := http.Get(fmt.Sprintf("http://%s/readyz", freeport.Local(admin)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("/readyz through the proxy: %s", res.Status)
	}
	took := time.Since(began)
	began = time.Now()
	run(up + " down --volumes --timeout 45")
	took += time.Since(began)
	t.Logf("up after %s, the event after %s, down again after %s in all", started.Round(time.Second),
		seen.Round(time.Second), took.Round(time.Second))
	if took > composePatience {
		t.Errorf("it took %s", took)
	}
}

// composeOf is the compose command of this machine, the old or the new one.
func composeOf(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return "docker-compose"
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return "docker compose"
	}
	if os.Getenv(engineVariable) != "" {
		t.Fatalf("neither docker-compose nor docker compose is installed, and %s is set", engineVariable)
	}
	t.Skip("neither docker-compose nor docker compose is installed")
	return ""
}

// listen subscribes to the events as the user reader.
func listen(t *testing.T, port int) *nats.Subscription {
	t.Helper()
	var nc *nats.Conn
	wait.For(t, time.Minute, "NATS admits the reader", func() (ok bool) {
		var err error
		nc, err = nats.Connect("nats://"+freeport.Local(port), nats.UserInfo("reader", "tryReader"),
			nats.IgnoreDiscoveredServers(), nats.Timeout(time.Second))
		return err == nil
	})
	t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync("kyc.event.v1.ondato.acme.>")
	if err != nil || nc.Flush() != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return sub
}

// readmeCurl is the callback of the README, at the port of the test.
func readmeCurl(t *testing.T, port int) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^curl (?:.*\\\n)*.*/webhooks/ondato/acme$`).FindString(string(raw))
	if !strings.Contains(command, "127.0.0.1:8080") {
		t.Fatalf("the README has no callback to port 8080: %q", command)
	}
	return strings.NewReplacer("curl ", "curl --silent --show-error --noproxy '*' ", "127.0.0.1:8080",
		freeport.Local(port)).Replace(command)
}

// TestComposeFile reads docker-compose.yml with the tool that runs it: every mounted file exists, every
// port is open to this machine only, and no container has more rights than it needs.
func TestComposeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("asks docker-compose: left out with -short")
	}
	up := composeOf(t)
	args := append(strings.Fields(up), "--profile", "monitoring", "config")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = root, quiet()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	var file composed
	if err := yaml.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) != 8 {
		t.Errorf("%d services", len(file.Services))
	}
	for name, s := range file.Services {
		if strings.Join(s.CapDrop, " ") != "ALL" || strings.Join(s.SecurityOpt, " ") != "no-new-privileges:true" ||
			!s.ReadOnly && name != "grafana" {
			t.Errorf("%s: capabilities dropped %v, %v, read-only %t", name, s.CapDrop, s.SecurityOpt, s.ReadOnly)
		}
		for _, v := range s.Volumes {
			if from := mounted(v); filepath.IsAbs(from) {
				info, err := os.Stat(from)
				if err != nil {
					t.Errorf("%s mounts what is not there: %v", name, err)
				}
				if strings.HasPrefix(name, "kycbridge") && err == nil && !info.IsDir() {
					t.Errorf("%s mounts the file %s by itself, so it does not see a new one of this name", name, from)
				}
			}
		}
		for _, p := range s.Ports {
			if text := fmt.Sprint(p); !strings.Contains(text, "127.0.0.1") {
				t.Errorf("%s: port %s is open to others", name, text)
			}
		}
	}
}

// composed is the part of a compose file that the tests read.
type composed struct {
	Services map[string]struct {
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		ReadOnly    bool     `yaml:"read_only"`
		Ports       []any
		Volumes     []any
	}
}

// mounted is the source of a volume, as the old and the new docker-compose print it.
func mounted(volume any) string {
	if v, ok := volume.(map[string]any); ok {
		return fmt.Sprint(v["source"])
	}
	from, _, _ := strings.Cut(fmt.Sprint(volume), ":")
	return from
}

package container

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// largestImage is the maximum size in bytes of the image of kycbridge.
const largestImage = 40 << 20

// TestImage checks the image, and runs it as the first line of deploy/Dockerfile describes.
func TestImage(t *testing.T) {
	t.Parallel()
	images(t)
	t.Logf("make image took %s", built.took.Round(time.Second))
	var inspected []struct {
		Size   int64
		Config struct {
			User         string
			Entrypoint   []string
			Healthcheck  struct{ Test []string }
			ExposedPorts map[string]any
		}
		RootFS struct{ Layers []string }
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", "kycbridge")), &inspected); err != nil {
		t.Fatal(err)
	}
	image := inspected[0]
	if image.Size > largestImage || image.Config.User != "65532:65532" ||
		strings.Join(image.Config.Healthcheck.Test, " ") != "CMD /kycbridge health" {
		t.Errorf("%d bytes, user %q, health check %q", image.Size, image.Config.User, image.Config.Healthcheck.Test)
	}
	t.Logf("%.1f MB", float64(image.Size)/1e6)

	folder := t.TempDir()
	if err := os.Chmod(folder, 0o755); err != nil { // the container runs as a different user
		t.Fatal(err)
	}
	config := filepath.Join(folder, "kycbridge.yaml")
	if err := os.WriteFile(config, []byte(`listen: 0.0.0.0:8080
admin: {listen: "0.0.0.0:8081"}
data_dir: /data
accounts:
  - {name: acme, provider: ondato, environment: test, auth: {basic: [{username: ondato, password: `+callbackPassword+`}]}}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	port, admin := freeport.New(t), freeport.New(t)
	id := docker(t, "run", "--detach", "--memory", "256m", "--read-only", "--cap-drop", "ALL", "--security-opt",
		"no-new-privileges", "--volume", "/data",
		"--volume", config+":/etc/kycbridge/kycbridge.yaml:ro", "--publish", freeport.Local(port)+":8080", "--publish",
		freeport.Local(admin)+":8081", "kycbridge")
	t.Cleanup(func() { docker(t, "rm", "--force", "--volumes", id) })
	c := &cluster{t: t, client: plainClient(t), proxy: &node{ports: map[int]int{8080: port, 8081: admin}}}
	began := time.Now()
	wait.For(t, 30*time.Second, "healthy by its own check", func() bool {
		return docker(t, "inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
	})
	t.Logf("healthy after %s", time.Since(began).Round(time.Millisecond))
	c.life(1)
	if text := c.metrics(c.proxy); !strings.Contains(text, "\ngo_gc_gomemlimit_bytes 2.14748364e+08\n") { // 0.8 of 256 MiB
		t.Errorf("the heap does not keep to the memory of the container: %s",
			regexp.MustCompile(`(?m)^go_gc_gomemlimit_bytes.*$`).FindString(text))
	}

	if out, err := exec.Command("docker", "exec", id, "/bin/sh").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "no such file") {
		t.Errorf("a shell: %v %s", err, out)
	}
	export := []string{"exec", id, "/kycbridge", "payloads", "export", "--why", "a test", "--config",
		"/etc/kycbridge/kycbridge.yaml", "--output"}
	docker(t, append(export, "/data/export.ndjson")...)
	if out, err := exec.Command("docker", append(export, "/export.ndjson")...).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "read-only file system") && !strings.Contains(string(out), "permission denied") {
		t.Errorf("writes outside of its folder: %v %s", err, out)
	}
	if got := docker(t, "exec", id, "/kycbridge", "payloads", "list", "--config", "/etc/kycbridge/kycbridge.yaml",
		"--json"); strings.Count(got, "\n")+1 != 8 {
		t.Errorf("the tool within the container lists %s", got)
	}
	docker(t, "stop", "--time", "30", id)
	if code := docker(t, "inspect", "--format", "{{.State.ExitCode}}", id); code != "0" {
		t.Errorf("stopped with code %s: %s", code, docker(t, "logs", "--tail", "5", id))
	}
	docker(t, "start", id)
	wait.For(t, 30*time.Second, "healthy again", func() bool {
		return docker(t, "inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
	})
	if got := docker(t, "exec", id, "/kycbridge", "payloads", "list", "--config", "/etc/kycbridge/kycbridge.yaml",
		"--json"); strings.Count(got, "\n")+1 != 8 {
		t.Errorf("after a restart the tool lists %s", got)
	}
}

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDeployConsole: a session of the console is in the memory of one process. So everything in deploy that stands in
// front of admin.listen of several processes sends one client to one process, or a sign-in would not last.
func TestDeployConsole(t *testing.T) {
	read := func(parts ...string) string {
		raw, err := os.ReadFile(filepath.Join(append([]string{docsRoot, "deploy"}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	_, admin, found := strings.Cut(read("compose", "Caddyfile"), "\n:8081 {")
	policy := regexp.MustCompile(`lb_policy (\S+)`).FindStringSubmatch(admin)
	if !found || policy == nil || !slices.Contains([]string{"ip_hash", "client_ip_hash", "cookie"}, policy[1]) {
		t.Errorf("Caddy at port 8081 sends one client to both replicas: %v", policy)
	}
	if nginx := read("nginx", "operators.conf"); strings.Count(nginx, "proxy_pass ") != 1 ||
		regexp.MustCompile(`(?m)^upstream `).MatchString(nginx) {
		t.Error("nginx has more than one process behind the console")
	}
	for _, s := range loadKubernetes(t).services {
		if s.Metadata.Name == "kycbridge-admin" && s.Spec.SessionAffinity != "ClientIP" {
			t.Errorf("the service of the console sends one client to several workers: affinity %q", s.Spec.SessionAffinity)
		}
	}
}

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/internal/app"
)

// unitKeys are the directives that the unit may use, by section, as in systemd.unit(5), systemd.service(5),
// systemd.exec(5) and systemd.kill(5). systemd itself only warns about an unknown directive.
var unitKeys = map[string][]string{
	"Unit":    {"Description", "Documentation", "Wants", "After", "StartLimitIntervalSec"},
	"Install": {"WantedBy"},
	"Service": {
		"Type", "ExecStartPre", "ExecStart", "ExecReload", "EnvironmentFile", "Restart", "RestartSec", "TimeoutStopSec", "LimitNOFILE",
		"User", "Group", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask", "LoadCredential",
		"NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem", "ProtectHome", "PrivateTmp",
		"PrivateDevices", "PrivateUsers", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
		"ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProcSubset", "RestrictAddressFamilies",
		"RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
		"RemoveIPC", "KeyringMode", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber",
	},
}

// readUnit reads a unit: by section and key, the values in their order.
func readUnit(t *testing.T) (text string, unit map[string]map[string][]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(docsRoot, "deploy", "systemd", "kycbridge.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit, section := map[string]map[string][]string{}, ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			unit[section] = map[string][]string{}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !slices.Contains(unitKeys[section], key) {
			t.Errorf("[%s] %s: no such directive", section, line)
			continue
		}
		unit[section][key] = append(unit[section][key], value)
	}
	return string(raw), unit
}

// syntheticSecret is the content of a secret file.
func syntheticSecret(t *testing.T, name string) string {
	t.Helper()
	if name == "master-keys" {
		return newMasterKey(t, "2026-11")
	}
	return "a-synthetic-secret\n"
}

// TestDeployUnit compares the unit with the program and the configuration next to it.
func TestDeployUnit(t *testing.T) {
	_, unit := readUnit(t)
	service := unit["Service"]
	for key, want := range map[string]string{
		"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
		"PrivateDevices": "yes",
		"User":           "kycbridge", "Restart": "always", "MemoryDenyWriteExecute": "yes",
	} {
		if got := service[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, expected %q", key, got, want)
		}
	}

	// The configuration beside the unit reads the credentials that LoadCredential provides, and no other files.
	dir := t.TempDir()
	var loaded []string
	for _, c := range service["LoadCredential"] {
		name, _, _ := strings.Cut(c, ":")
		loaded = append(loaded, name)
		writeFile(t, filepath.Join(dir, name), syntheticSecret(t, name))
	}
	path := filepath.Join(docsRoot, "deploy", "systemd", "kycbridge.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`\$\{CREDENTIALS_DIRECTORY\}/([\w-]+)`).FindAllStringSubmatch(string(raw), -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	slices.Sort(loaded)
	if !slices.Equal(named, loaded) {
		t.Errorf("the unit loads %v, the configuration reads %v", loaded, named)
	}
	environ := []string{"CREDENTIALS_DIRECTORY=" + dir}
	variables, err := os.ReadFile(filepath.Join(docsRoot, "deploy", "systemd", "kycbridge.env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(variables)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			environ = append(environ, line)
		}
	}
	config, err := app.LoadConfig(path, environ, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	if warnings := app.Warnings(config); len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	stop, err := time.ParseDuration(service["TimeoutStopSec"][0])
	if err != nil || stop <= config.Receive.Drain+5*time.Second {
		t.Errorf("killed after %s (%v), while callbacks are waited for %s", stop, err, config.Receive.Drain)
	}
	if config.DataDir != "./data" || service["WorkingDirectory"][0] != "/var/lib/"+service["StateDirectory"][0] {
		t.Errorf("data_dir %s below %s, state directory %s", config.DataDir, service["WorkingDirectory"][0],
			service["StateDirectory"][0])
	}
	for _, key := range []string{"ExecStartPre", "ExecStart"} {
		words := strings.Fields(service[key][0])
		if code, _, stderr := run(t, "kycbridge", append(words[1:], "--help")...); code != 0 {
			t.Errorf("%s: %s", key, stderr)
		}
	}
}

// TestDeployUnitVerify has systemd check the unit, if it is installed on this machine.
func TestDeployUnitVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on this machine")
	}
	text, _ := readUnit(t)
	// The program is not installed here; systemd requires one.
	text = strings.ReplaceAll(text, "/usr/local/bin/kycbridge", "/bin/true")
	path := filepath.Join(t.TempDir(), "kycbridge.service")
	writeFile(t, path, text)
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "kycbridge.service") { // it also reports other units of the machine
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=30",
		path).CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") {
		t.Skip("systemd-analyze security does not work offline here")
	}
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}

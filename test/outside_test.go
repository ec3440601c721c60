package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kycbridge/test/freeport"
)

// outsideModules are what the scripts in test/outside import, beside Python's own library.
const outsideModules = "import jwcrypto.jwe, cryptography"

// outsideScripts verify what consumers are promised, each in a process of its own.
var outsideScripts = []string{"envelope", "encrypted", "signatures", "privacy", "archive", "proofs", "api",
	"mapping"}

// outsideAccounts are named after their profiles, and have the kind of credential that their provider uses.
const outsideAccounts = `log: {level: warn}
encryption:
  event_key_file: %[1]s/own.pem
  recipients:
    - {key_id: bank-P-256, key_file: %[1]s/P-256.pub.pem}
    - {key_id: bank-P-384, key_file: %[1]s/P-384.pub.pem}
    - {key_id: bank-P-521, key_file: %[1]s/P-521.pub.pem}
    - {key_id: bank-RSA, key_file: %[1]s/RSA.pub.pem}
integrity: {log: true, signing_key_file: %[1]s/signing.pem}
accounts:
`

// TestOutside verifies what consumers are promised with programs that share no code with kycbridge: Python with
// jwcrypto, cryptography and openssl, written from the documentation. It is skipped where these are missing.
func TestOutside(t *testing.T) {
	t.Parallel()
	python, dir := outsidePython(t), t.TempDir()
	outside(t, python, "prepare", dir)
	credentials := map[string]string{"ondato": "hmac: {secrets: [%s]}", "signzy": "keys: [%s]", "idwise": "bearer: [%s]",
		"kwikid": "headers: [{name: X-Callback-Key, value: %s}]"}
	profiles := []string{"full", "masked", "none", "encrypted"}
	var config strings.Builder
	fmt.Fprintf(&config, outsideAccounts, dir)
	for provider, auth := range credentials {
		for _, profile := range profiles {
			fmt.Fprintf(&config, "  - {name: %[1]s, provider: %[2]s, environment: test, pii: %[1]s, confirm: false, "+
				"trust_framework: test, auth: {%[3]s}}\n", profile, provider, fmt.Sprintf(auth, loadToken))
		}
	}
	began := time.Now().Add(-time.Second)
	b := newBridge(t, config.String())
	b.start(t)
	job := filepath.Join(dir, "job.json")
	writeFile(t, job, outsideJob(t, b, profiles, began))
	outside(t, python, "post", job)
	b.settled(t, 60*time.Second)
	for _, name := range outsideScripts {
		t.Run(name, func(t *testing.T) { outside(t, python, name, job) })
	}
}

// outsidePython is a Python that has the modules. Debian's packages belong to its own Python.
func outsidePython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", outsideModules).Run() == nil {
			return python
		}
	}
	const missing = "no Python with jwcrypto and cryptography (Debian: python3-jwcrypto)"
	if os.Getenv("REQUIRE_PYTHON") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// outsideJob is what the scripts know of the service.
func outsideJob(t *testing.T, b *bridge, accounts []string, began time.Time) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	job, err := json.Marshal(map[string]any{
		"nats": freeport.Local(b.events), "admin": freeport.Local(b.admin), "callbacks": freeport.Local(b.callbacks),
		"token": "ops-token-2e77a1", "credential": loadToken, "accounts": accounts,
		"began": began.UTC().Format("2006-01-02T15:04:05"), "binary": tool(t, "kycbridge"), "config": b.config, "data": b.dir,
		"schemas": filepath.Join(root, "schemas"), "fixtures": filepath.Join(root, "test/fixture/testdata"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(job)
}

// outside runs a script and fails with what it writes if it does not end with 0.
func outside(t *testing.T, python, name, argument string) {
	t.Helper()
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("outside", name+".py"), argument)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s.py: %v\n%s", name, err, said)
	}
	t.Logf("%s: %.1f s", name, time.Since(began).Seconds())
}

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// removedProvider is the provider that TestProviderIsRemoved removes from a copy of the repository.
const removedProvider = "kwikid"

// removedTests are the tests that pass without the provider, with the part of their output that shows that they
// included the others.
var removedTests = []struct{ dir, tests, shows string }{
	{"./internal/app", "^TestProviders$|^TestCatalog|^TestLoadConfigWithoutFile$|^TestNothingNewInFixtures$",
		"--- PASS: TestProviders/idwise"},
	{"./schemas", "^TestProviderSchemasAreOpen$", "--- PASS: TestProviderSchemasAreOpen"},
	{"./test", "^TestGolden$|^TestImports$|^TestProviderFoldersArePure$", "--- PASS: TestGolden/ondato/"},
}

// TestProviderIsRemoved removes a provider from a copy of the repository: its folder, its schemas, its
// fixtures and its line of the table with its import. The copy builds, and the tests of the other providers
// pass.
func TestProviderIsRemoved(t *testing.T) {
	t.Parallel()
	long(t, "a minute")
	for _, program := range []string{"git", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: %v", program, err)
		}
	}
	c := newCheckout(t)
	for _, folder := range []string{
		"normalize", "schemas", "test/fixture/testdata", "test/fixture/cases", "test/fixture/released/1",
	} {
		dir := filepath.Join(c.dir, filepath.FromSlash(folder), removedProvider)
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("the test has lost its object: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	cases := filepath.Join(c.dir, "test", "fixture", "cases", removedProvider+".json")
	if err := os.Remove(cases); err != nil {
		t.Fatal(err)
	}
	c.removeLines(t, fifthTable, "\t\"kycbridge/normalize/"+removedProvider+"\"\n", "\t\t"+removedProvider+".Entry(),\n")

	c.run(t, "go", "build", "-pgo=off", "./...")
	for _, test := range removedTests {
		out := c.run(t, "go", "test", "-vet=off", "-count=1", "-v", "-run", test.tests, test.dir)
		if !strings.Contains(out, test.shows) || strings.Contains(out, "/"+removedProvider+"/") {
			t.Errorf("%s does not show %q, or shows %s:\n%s", test.dir, test.shows, removedProvider, out)
		}
	}
	c.checksOthers(t)
}

// removedConfig has an account at each of the other providers, with settings that only the account's provider has.
const removedConfig = `accounts:
  - {name: a, provider: ondato, environment: test, auth: {bearer: [long-enough-1]}, manual_review: true}
  - {name: a, provider: idwise, environment: test, auth: {bearer: [long-enough-2]}, confirm: false,
     renewal_overdue: keep}
  - {name: a, provider: signzy, environment: test, auth: {keys: [long-enough-3]}, policy: {min_face_match: 0.8}}
`

// checksOthers has the program check a configuration of the other providers, and one with a setting of the removed
// provider, which is no longer a key.
func (c checkout) checksOthers(t *testing.T) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "kycbridge")
	c.run(t, "go", "build", "-pgo=off", "-o", binary, "./cmd/kycbridge")
	file := filepath.Join(t.TempDir(), "kycbridge.yaml")
	writeSample(t, file, removedConfig)
	c.run(t, binary, "config", "check", "--config", file)
	writeSample(t, file, strings.Replace(removedConfig, "manual_review", "checker", 1))
	out, err := exec.Command(binary, "config", "check", "--config", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "accounts[0].checker: unknown key") {
		t.Errorf("a key of %s: %v\n%s", removedProvider, err, out)
	}
}

// removeLines removes lines from a file, each of which occurs in it once.
func (c checkout) removeLines(t *testing.T, file string, lines ...string) {
	t.Helper()
	path := filepath.Join(c.dir, filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if strings.Count(string(text), line) != 1 {
			t.Fatalf("%s does not hold %q once", file, line)
		}
		text = []byte(strings.Replace(string(text), line, "", 1))
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

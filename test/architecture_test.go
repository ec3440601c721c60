package test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// roomName represents the folder of a provider in docs/architecture.md.
const roomName = "<name>"

// TestArchitecture: docs/architecture.md names only files, methods and imports that exist.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	t.Run("files and methods", func(t *testing.T) { architectureNames(t, text) })
	t.Run("imports", func(t *testing.T) { architectureImports(t, text) })
}

// architectureNames: every file and every method in backquotes exists.
func architectureNames(t *testing.T, text string) {
	files, methods := map[string]bool{}, map[string]bool{}
	method := regexp.MustCompile(`(?m)^func \(\w* ?\*?(\w+)\) (\w+)`)
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(name), "../")
		files[rel], files[filepath.Base(rel)] = true, true
		source, err := os.ReadFile(name)
		for _, m := range method.FindAllStringSubmatch(string(source), -1) {
			methods[m[1]+"."+m[2]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	isMethod := regexp.MustCompile(`^[A-Z]\w*\.[A-Za-z]\w*$`)
	named := 0
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		switch name := m[1]; {
		case isMethod.MatchString(name) && !strings.HasSuffix(name, ".go"):
			named++
			if !methods[name] && name != "normalize.Entry" {
				t.Errorf("there is no method %s", name)
			}
		case strings.HasSuffix(name, ".go") && !strings.Contains(name, "*"):
			named++
			for _, provider := range everyProvider {
				file := strings.NewReplacer("<provider>", provider, roomName, provider).Replace(name)
				if !files[file] {
					t.Errorf("there is no file %s", file)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d names were found in the page", named)
	}
}

// architectureImports: the table of packages states which package imports which.
func architectureImports(t *testing.T, text string) {
	real := map[string]map[string]bool{}
	imports(t, func(_, dir, imported string) {
		if imported != "kycbridge" && !strings.HasPrefix(imported, "kycbridge/") {
			return
		}
		dir, target := inRoom(dir), inRoom(strings.TrimPrefix(imported, "kycbridge/"))
		if real[dir] == nil {
			real[dir] = map[string]bool{}
		}
		real[dir][target] = true
	})
	written := map[string]bool{}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|[^|]+\\| ([^|]+) \\|$").FindAllStringSubmatch(
		text[strings.Index(text, "| package |"):], -1) {
		var wanted []string
		for _, m := range quoted.FindAllStringSubmatch(row[2], -1) {
			wanted = append(wanted, m[1])
		}
		if strings.Contains(row[2], "root") {
			wanted = append(wanted, "kycbridge")
		}
		slices.Sort(wanted)
		for _, m := range quoted.FindAllStringSubmatch(row[1], -1) {
			dir := m[1]
			written[dir] = true
			if dir == "kycbridge" {
				dir = "."
			}
			if got := slices.Sorted(maps.Keys(real[dir])); row[2] != "any" && !slices.Equal(got, wanted) {
				t.Errorf("%s imports %v; the page says %v", m[1], got, wanted)
			}
		}
	}
	for dir := range real {
		tests := strings.HasPrefix(dir, "test") || strings.HasPrefix(dir, "docs") || dir == "normalize/normalizetest"
		if !tests && dir != "." && !written[dir] {
			t.Errorf("%s is not in the table of packages", dir)
		}
	}
}

// inRoom is a folder with the name of the provider replaced by roomName.
func inRoom(dir string) string {
	parts := strings.Split(dir, "/")
	if len(parts) > 1 && parts[0] == "normalize" && slices.Contains(everyProvider, parts[1]) {
		parts[1] = roomName
	}
	return strings.Join(parts, "/")
}

package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// schemasFolder is the folder of the files that the program prints.
const schemasFolder = "../../schemas"

// fileOf is the file of a listed name.
func fileOf(name string) string {
	switch name {
	case "event":
		return "event/event.json"
	case "data":
		return "event/data.schema.json"
	case "asyncapi":
		return "asyncapi.yaml"
	case "openapi":
		return "api/openapi.json"
	}
	return name + ".json"
}

// TestSchemas: the list contains every file, and each is printed byte for byte.
func TestSchemas(t *testing.T) {
	files := map[string]bool{}
	err := filepath.WalkDir(schemasFolder, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && entry.Name() == "testdata" {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); ext == ".json" || ext == ".yaml" {
			files[filepath.ToSlash(strings.TrimPrefix(path,
				filepath.FromSlash(schemasFolder)+string(filepath.Separator)))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list := finish(t, command(t, "schemas", "--json"))
	text := finish(t, command(t, "schemas"))
	if list.code != 0 || text.code != 0 || list.stderr+text.stderr != "" {
		t.Fatalf("codes %d and %d\n%s%s", list.code, text.code, list.stderr, text.stderr)
	}
	lines := strings.Split(strings.TrimSpace(text.stdout), "\n")
	for i, raw := range strings.Split(strings.TrimSpace(list.stdout), "\n") {
		var p published
		if err := json.Unmarshal([]byte(raw), &p); err != nil || p.Name == "" || p.Kind == "" || p.About == "" {
			t.Fatalf("%s: %v", raw, err)
		}
		if i >= len(lines) || !strings.HasPrefix(lines[i], p.Name+" ") || !strings.Contains(lines[i], p.Kind) ||
			!strings.HasSuffix(lines[i], "  "+p.About) {
			t.Errorf("line %d does not tell of %s:\n%s", i+1, p.Name, text.stdout)
		}
		file := fileOf(p.Name)
		if !files[file] {
			t.Errorf("%s is listed once too often, or has no file", p.Name)
		}
		delete(files, file)
		want, err := os.ReadFile(filepath.Join(schemasFolder, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		if got := finish(t, command(t, "schemas", p.Name)); got.code != 0 || got.stderr != "" || got.stdout != string(want) {
			t.Errorf("%s: code %d, %d bytes instead of %d\n%s", p.Name, got.code, len(got.stdout), len(want), got.stderr)
		}
	}
	for file := range files {
		t.Errorf("%s is not listed", file)
	}
}

// TestSchemasRefusals: one line, exit code 1, and a suggestion if possible.
func TestSchemasRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		stderr string
	}{
		"near": {[]string{"asyncap"}, `unknown schema "asyncap", did you mean asyncapi? (see: kycbridge schemas)`},
		"file": {[]string{"event/data.schema.json"},
			`unknown schema "event/data.schema.json", did you mean data? (see: kycbridge schemas)`},
		"provider": {[]string{"signzy"},
			`unknown schema "signzy", did you mean signzy/application or signzy/back_office or signzy/back_office_details ` +
				`or signzy/result or signzy/start? (see: kycbridge schemas)`},
		"shape": {[]string{"result"},
			`unknown schema "result", did you mean idwise/result or signzy/result? (see: kycbridge schemas)`},
		"typing error": {[]string{"ondato/calback"},
			`unknown schema "ondato/calback", did you mean ondato/callback? (see: kycbridge schemas)`},
		"nothing": {[]string{"nothing"}, `unknown schema "nothing" (see: kycbridge schemas)`},
		"empty":   {[]string{""}, `unknown schema "" (see: kycbridge schemas)`},
		"lines":   {[]string{"a\nb"}, `unknown schema "a\nb" (see: kycbridge schemas)`},
		"two":     {[]string{"event", "data"}, `schemas takes one name, not "data" too (see: kycbridge schemas --help)`},
		"JSON of one": {[]string{"event", "--json"},
			`--json is for the list; a schema is printed unchanged (see: kycbridge schemas --help)`},
	} {
		t.Run(name, func(t *testing.T) {
			got := finish(t, command(t, append([]string{"schemas"}, c.args...)...))
			want := "kycbridge: " + c.stderr + "\n"
			if slices.Contains(c.args, "--json") { // a refusal is JSON too
				want = `{"error":"` + c.stderr + "\"}\n"
			}
			if got.code != 1 || got.stdout != "" || got.stderr != want {
				t.Errorf("code %d, stdout %q, stderr:\n%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

// TestSchemasPipe: a reader that closes early ends the work, quietly and with 0.
func TestSchemasPipe(t *testing.T) {
	for _, args := range [][]string{{"schemas"}, {"schemas", "--json"}, {"schemas", "openapi"}, {"schemas", "asyncapi"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			reader.Close()
			quietEnd(t, command(t, args...), writer)
		})
	}
}

package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImports checks the allowed imports: the root imports only event, document and the standard library,
// each technology is used in one folder, and only commands and tests import the wiring.
func TestImports(t *testing.T) {
	allowed := map[string][]string{
		"kycbridge/internal/app":         {"cmd", "test"},
		"github.com/labstack/echo":       {"handlers"},
		"github.com/nats-io/nats.go":     {"publisher", "internal/app", "test", "docs/samples"},
		"github.com/nats-io/nats-server": {"publisher"},
		"github.com/santhosh-tekuri":     {"schemas"},
		"github.com/spf13/cobra":         {"cmd"},
		"go.yaml.in/yaml":                {"internal/app", "cmd"},
		"kycbridge/test/fixture":         {"test", "cmd"},
		"github.com/cloudevents/sdk-go":  {"test"},
		"github.com/prometheus":          {"internal/app"},
		"kycbridge/handlers":             {"internal/app", "test/admission"},
		"kycbridge/publisher":            {"internal/app", "test", "publisher"},
		"kycbridge/publisher/blocks":     {"publisher"},
		"github.com/minio/highwayhash":   {"publisher/blocks"},
		"kycbridge/normalize":            {"internal/app", "normalize", "handlers", "cmd"},
		"kycbridge/internal/rest":        {"internal/app", "normalize"},
		"kycbridge/internal/poll":        {"internal/app"},
		"kycbridge/internal/start":       {"internal/app"},
		"kycbridge/internal/archive":     {"internal/app", "internal/console", "cmd"},
		"kycbridge/internal/console":     {"internal/app"},
		"github.com/chromedp":            {"test/browser"},
		"kycbridge/internal/simulate":    {"cmd", "test", "internal/app", "normalize"},
		"github.com/failsafe-go":         {"internal/rest"},
		"github.com/go-jose":             {"event/sealed"},
		"kycbridge/event/sealed":         {"internal/app", "cmd"},
		"go.opentelemetry.io":            {"internal/app"},
	}
	imports(t, func(file, dir, imported string) {
		for prefix, rooms := range allowed {
			if !strings.HasPrefix(imported, prefix) {
				continue
			}
			if !slices.ContainsFunc(rooms, func(room string) bool { return dir == room || strings.HasPrefix(dir, room+"/") }) {
				t.Errorf("%s imports %s; only %v may", file, imported, rooms)
			}
		}
		switch dir {
		case "document", "event":
			if strings.Contains(imported, ".") || strings.HasPrefix(imported, "kycbridge") {
				t.Errorf("%s imports %s; this folder uses the standard library only", file, imported)
			}
		case ".":
			if strings.Contains(imported, ".") || strings.HasPrefix(imported, "kycbridge") &&
				imported != "kycbridge/document" && imported != "kycbridge/event" {
				t.Errorf("%s imports %s; the domain uses the standard library, documents and events only", file, imported)
			}
		}
		roomsImport(t, file, dir, imported)
		switch dir {
		case "internal/poll", "internal/start", "internal/archive":
			isDocument := dir == "internal/archive" && imported == "kycbridge/document" // internal/archive shows stored bodies
			isLedger := dir == "internal/archive" && imported == "kycbridge/internal/ledger"
			if strings.HasPrefix(imported, "kycbridge/") && imported != "kycbridge/event" && !isDocument && !isLedger {
				t.Errorf("%s imports %s; it knows the domain only", file, imported)
			}
		case "internal/console":
			known := []string{"kycbridge/event", "kycbridge/document", "kycbridge/internal/archive"}
			if strings.HasPrefix(imported, "kycbridge/") && !slices.Contains(known, imported) {
				t.Errorf("%s imports %s; it knows the domain and the archive only", file, imported)
			}
		case "schemas", "internal/simulate":
			if strings.HasPrefix(imported, "kycbridge") && imported != "kycbridge/document" {
				t.Errorf("%s imports %s; this folder imports document only", file, imported)
			}
		}
	})
}

// imports calls each for every import of every Go file that is not a test.
func imports(t *testing.T, each func(file, dir, imported string)) {
	t.Helper()
	for _, file := range sources(t) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			each(file, filepath.ToSlash(filepath.Dir(file)), imported)
		}
	}
}

// sources are the Go files of the module that are not tests.
func sources(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if err == nil && d.IsDir() && path != ".." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // a separate module
			}
		}
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sharedRooms are the folders under normalize that do not belong to one provider.
var sharedRooms = []string{"normalizetest", "values", "credential"}

// roomOf is the provider whose folder contains a folder or a package; "" if none does.
func roomOf(path string) string {
	below, found := strings.CutPrefix(strings.TrimPrefix(path, "kycbridge/"), "normalize/")
	room, _, _ := strings.Cut(below, "/")
	if !found || slices.Contains(sharedRooms, room) {
		return ""
	}
	return room
}

// roomsImport checks the imports from and of providers' folders: only the table imports them, they do not import
// each other, and only client/ and simulated/ use the network.
func roomsImport(t *testing.T, file, dir, imported string) {
	t.Helper()
	room, other := roomOf(dir), roomOf(imported)
	if other != "" && other != room && dir != "internal/app" && !strings.HasPrefix(dir, "test/") && dir != "test" {
		t.Errorf("%s imports %s; only internal/app imports the folders of providers", file, imported)
	}
	if other != "" && dir == "internal/app" && file != fifthTable {
		t.Errorf("%s imports %s; only the table imports the folders of providers", file, imported)
	}
	known := []string{"kycbridge/internal/simulate", "kycbridge/document"}
	if isSimulated(dir) && strings.HasPrefix(imported, "kycbridge") && !slices.Contains(known, imported) {
		t.Errorf("%s imports %s; a simulated provider knows nothing of us, as the real one", file, imported)
	}
	if !strings.HasPrefix(dir, "normalize") || dir == "normalize/normalizetest" || reaches(dir) {
		return // only tests import normalizetest
	}
	impure := []string{"math/rand", "math/rand/v2", "crypto/rand", "net", "os", "os/exec", "syscall"}
	if strings.Contains(imported, ".") || slices.Contains(impure, imported) {
		t.Errorf("%s imports %s; mappings are pure", file, imported)
	}
	if strings.HasPrefix(imported, "kycbridge/internal/") && filepath.Base(file) != "provider.go" && dir != "normalize" {
		t.Errorf("%s imports %s; in a provider's folder only provider.go, client/ and simulated/ do", file, imported)
	}
}

// reaches reports whether a folder may use the network: the client and the simulated provider in a provider's folder.
func reaches(dir string) bool {
	return roomOf(dir) != "" && strings.HasSuffix(dir, "/client") || isSimulated(dir)
}

func isSimulated(dir string) bool { return roomOf(dir) != "" && strings.HasSuffix(dir, "/simulated") }

// TestProviderFoldersArePure: authentication, identification and mapping use only headers of net/http and do not read
// the clock. The client and the simulated provider may use net/http and the clock.
func TestProviderFoldersArePure(t *testing.T) {
	allowed := map[string][]string{"http": {"Header", "CanonicalHeaderKey"}}
	refused := map[string][]string{
		"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	}
	read := 0
	for _, path := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(path))
		if !strings.HasPrefix(dir, "normalize") || dir == "normalize/normalizetest" || reaches(dir) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		read++
		ast.Inspect(f, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			names, limited := allowed[from.Name]
			if limited && !slices.Contains(names, selector.Sel.Name) || slices.Contains(refused[from.Name], selector.Sel.Name) {
				t.Errorf("%s uses %s.%s; mappings are pure", path, from.Name, selector.Sel.Name)
			}
			return true
		})
	}
	if read < 40 {
		t.Errorf("%d files: the test has lost its object", read)
	}
}

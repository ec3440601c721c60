package test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImports holds who may import whom: the root knows nobody of ours and nothing but the standard
// library, each technology stands behind one folder, and only commands and tests see the wiring.
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
		"kycbridge/normalize":            {"internal/app", "normalize", "handlers"},
		"kycbridge/internal/poll":        {"internal/app"},
		"kycbridge/internal/start":       {"internal/app"},
		"kycbridge/internal/archive":     {"internal/app", "internal/console", "cmd"},
		"kycbridge/internal/console":     {"internal/app"},
		"github.com/chromedp":            {"test/browser"},
		"kycbridge/internal/simulate":    {"cmd", "test"},
		"github.com/failsafe-go":         {"internal/rest"},
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
		room, _, _ := strings.Cut(dir, "/")
		switch dir {
		case "normalize/normalizetest": // only tests import it
			return
		case "document", "event":
			if strings.Contains(imported, ".") || strings.HasPrefix(imported, "kycbridge") {
				t.Errorf("%s imports %s; this room uses the standard library only", file, imported)
			}
		case ".":
			if strings.Contains(imported, ".") || strings.HasPrefix(imported, "kycbridge") && imported != "kycbridge/document" && imported != "kycbridge/event" {
				t.Errorf("%s imports %s; the domain uses the standard library, documents and events only", file, imported)
			}
		}
		switch room {
		case "normalize":
			pure := !strings.HasSuffix(dir, "/client")
			if pure && (strings.Contains(imported, ".") || imported == "math/rand" || imported == "net/http") {
				t.Errorf("%s imports %s; mappings are pure", file, imported)
			}
		}
		switch dir {
		case "internal/poll", "internal/start", "internal/archive":
			isDocument := dir == "internal/archive" && imported == "kycbridge/document" // it shows stored bodies
			if strings.HasPrefix(imported, "kycbridge/") && imported != "kycbridge/event" && !isDocument {
				t.Errorf("%s imports %s; it knows the domain only", file, imported)
			}
		case "internal/console":
			known := []string{"kycbridge/event", "kycbridge/document", "kycbridge/internal/archive"}
			if strings.HasPrefix(imported, "kycbridge/") && !slices.Contains(known, imported) {
				t.Errorf("%s imports %s; it knows the domain and the archive only", file, imported)
			}
		case "schemas", "internal/simulate":
			if strings.HasPrefix(imported, "kycbridge") && imported != "kycbridge/document" {
				t.Errorf("%s imports %s; this room knows documents only", file, imported)
			}
		}
	})
}

// imports calls each for every import of every file that is not a test's.
func imports(t *testing.T, each func(file, dir, imported string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			each(file, filepath.ToSlash(filepath.Dir(file)), imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

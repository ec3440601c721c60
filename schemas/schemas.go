// Package schemas holds the JSON Schemas (2020-12) of providers' bodies and of the event that consumers
// receive, and checks decoded bodies against them.
// There is one folder per provider and one file per body; adding a provider means adding a folder. The
// provider schemas are open: unknown members and values are accepted, since a provider may add some at any
// time. They are strict about the id of a verification and the values of its decision, and about
// nothing else: an unexpected value elsewhere is lost, but the payload is accepted.
// Faults name a pointer and the expectation there. No fault repeats a value.
package schemas

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"kycbridge/document"
)

//go:embed */*.json
var files embed.FS

// The event's schemas are in a folder of their own beside the providers'.
const (
	eventFolder   = "event"
	eventEnvelope = "event"
	eventData     = "data"
)

// Fault is one error in a body; its message never contains a value.
type Fault = document.Fault

// Set is all compiled schemas. It is safe for concurrent use.
type Set struct {
	files    map[name][]byte
	compiled map[name]*jsonschema.Schema
	library  library
	known    map[name]*place
	api      map[string]*jsonschema.Schema // of the admin API, by component
}

// name is a folder and a schema in it.
type name struct{ folder, schema string }

// New compiles every schema. It fails only if an embedded file is invalid.
func New() (*Set, error) {
	found, err := readFiles()
	if err != nil {
		return nil, err
	}
	sources := make(map[name]map[string]any, len(found))
	for n, raw := range found {
		var source map[string]any
		if err := json.Unmarshal(raw, &source); err != nil {
			return nil, fmt.Errorf("read schema %s/%s: %w", n.folder, n.schema, err)
		}
		sources[n] = source
	}
	compiled, lib, err := compile(sources)
	if err != nil {
		return nil, err
	}
	set := &Set{files: found, compiled: compiled, library: lib}
	if set.known, err = known(sources, lib); err != nil {
		return nil, err
	}
	if set.api, err = compileAPI(lib); err != nil {
		return nil, err
	}
	return set, nil
}

// Validate checks doc, a tree of document.Decode, against a schema of a provider. It returns nil if it is
// valid, else at most 20 faults in the order of their paths.
func (s *Set) Validate(provider, schema string, doc any) []Fault {
	compiled, ok := s.compiled[name{provider, schema}]
	if !ok {
		return []Fault{{Path: "", Message: "cannot be checked: there is no such schema"}}
	}
	return s.library.check(compiled, doc)
}

// ValidateEvent checks a whole CloudEvent as a consumer may: unknown members are accepted.
func (s *Set) ValidateEvent(event any) []Fault {
	return s.Validate(eventFolder, eventEnvelope, event)
}

// Names lists the schemas of each folder, sorted: the providers' and the event's.
func (s *Set) Names() map[string][]string { return names(s.files) }

// Source returns the text of a schema file.
func (s *Set) Source(provider, schema string) ([]byte, bool) {
	raw, ok := s.files[name{provider, schema}]
	return bytes.Clone(raw), ok
}

// readFiles reads every embedded schema. Its name is that of its file up to the first dot.
func readFiles() (map[name][]byte, error) {
	paths, err := fs.Glob(files, "*/*.json")
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	found := make(map[name][]byte, len(paths))
	for _, p := range paths {
		if path.Dir(p) == apiFolder {
			continue // it is a document that contains schemas, not a schema
		}
		raw, err := files.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		stem, _, _ := strings.Cut(path.Base(p), ".")
		found[name{path.Dir(p), stem}] = raw
	}
	return found, nil
}

// compile compiles schemas that may refer to each other by $id, and to nothing else.
func compile(sources map[name]map[string]any) (map[name]*jsonschema.Schema, library, error) {
	compiler := newCompiler()
	lib := make(library, len(sources))
	for n, source := range sources {
		raw, err := json.Marshal(source)
		if err != nil {
			return nil, nil, fmt.Errorf("write schema %s/%s: %w", n.folder, n.schema, err)
		}
		id, _ := source["$id"].(string)
		if err := compiler.AddResource(id, bytes.NewReader(raw)); err != nil {
			return nil, nil, fmt.Errorf("add schema %s/%s: %w", n.folder, n.schema, err)
		}
		lib[id] = source
	}
	compiled := make(map[name]*jsonschema.Schema, len(sources))
	for n, source := range sources {
		id, _ := source["$id"].(string)
		schema, err := compiler.Compile(id)
		if err != nil {
			return nil, nil, fmt.Errorf("compile schema %s/%s: %w", n.folder, n.schema, err)
		}
		compiled[n] = schema
	}
	return compiled, lib, nil
}

// newCompiler returns a compiler without schemas that fetches none.
func newCompiler() *jsonschema.Compiler {
	compiler := jsonschema.NewCompiler()
	compiler.Draft = jsonschema.Draft2020
	compiler.AssertFormat = true
	compiler.LoadURL = func(string) (io.ReadCloser, error) { return nil, errors.New("not among the schemas") }
	return compiler
}

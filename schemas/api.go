package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// The OpenAPI document of the admin API. Requests are checked against the schemas of its components, so
// the document always matches the program.
const (
	apiFolder   = "api"
	apiDocument = apiFolder + "/openapi.json"
	apiID       = "urn:kycbridge:api:1.0"
)

// OpenAPI returns the document that describes the admin API, OpenAPI 3.1 as JSON.
func (s *Set) OpenAPI() []byte {
	raw, _ := files.ReadFile(apiDocument) // New has read it
	return raw
}

// ValidateAPI checks doc, a tree of Decode, against a schema among the components of the OpenAPI document.
// It returns the same as Validate.
func (s *Set) ValidateAPI(component string, doc any) []Fault {
	compiled, ok := s.api[component]
	if !ok {
		return []Fault{{Path: "", Message: "cannot be checked: there is no such schema"}}
	}
	return s.library.check(compiled, doc)
}

// compileAPI compiles the schemas among the document's components and adds its text to lib.
func compileAPI(lib library) (map[string]*jsonschema.Schema, error) {
	raw, err := files.ReadFile(apiDocument)
	if err != nil {
		return nil, fmt.Errorf("read OpenAPI document: %w", err)
	}
	var document map[string]any
	text := json.NewDecoder(bytes.NewReader(raw))
	text.UseNumber() // messages repeat its numbers as they are written
	if err := text.Decode(&document); err != nil {
		return nil, fmt.Errorf("read OpenAPI document: %w", err)
	}
	compiler := newCompiler()
	if err := compiler.AddResource(apiID, bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("add OpenAPI document: %w", err)
	}
	lib[apiID] = document
	components, _ := walk(document, []string{"components", "schemas"}).(map[string]any)
	compiled := make(map[string]*jsonschema.Schema, len(components))
	for component := range components {
		if compiled[component], err = compiler.Compile(apiID + "#/components/schemas/" + component); err != nil {
			return nil, fmt.Errorf("compile component %s: %w", component, err)
		}
	}
	return compiled, nil
}

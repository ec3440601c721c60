package schemas

import (
	_ "embed" // for the document
	"slices"
)

//go:embed asyncapi.yaml
var asyncAPI []byte

// AsyncAPI returns the document that describes the NATS interface: subjects, headers, messages, AsyncAPI
// 3.0 as YAML. Its $refs are the paths of the schemas in this folder.
func (s *Set) AsyncAPI() []byte { return slices.Clone(asyncAPI) }

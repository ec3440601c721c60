// Package document is one decoded JSON body of a provider, read by everybody in the same way:
// identity, schema validation, drift and mapping see the same tree through the same getters.
//
// A Reader decodes. It refuses bodies that two readers could understand differently, recognises the
// names of members without regard to case, and writes them in the spelling of the schemas. The getters
// of Object are lenient: a member of another kind than expected counts as absent, so an odd leaf costs
// that leaf and nothing else.
package document

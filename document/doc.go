// Package document is one decoded JSON body of a provider, with a single interpretation: identity, schema
// validation, new values and mapping use the same tree through the same getters.
// A Reader decodes. It refuses bodies that two parsers could read differently, recognizes the names of
// members in any case, and normalizes them to the spelling of the schemas. The getters of Object are
// lenient: a member of an unexpected type counts as absent, so an unexpected leaf costs that leaf and
// nothing else.
// that leaf and nothing else.
package document

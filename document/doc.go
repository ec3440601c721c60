// Package document decodes the JSON bodies of providers, with a single interpretation: identity, schema
// validation, new values and mapping use the same tree through the same getters.
// A Reader decodes. It refuses bodies that two parsers could read differently, recognizes the names of
// members in any case, and normalizes them to the spelling of the schemas. The getters of Object are
// lenient: a member of an unexpected type counts as absent, so only the unexpected leaf is lost.
package document

package signzy

import (
	"strings"

	"kycbridge/document"
	"kycbridge/normalize/values"
)

// address returns the printed address with the parts that the provider derived from it. The provider lists
// names and codes together, in nested arrays.
func (l *labels) address() map[string]string {
	split := l.splitAddress()
	formatted := l.text("address", "address")
	if formatted == "" {
		formatted = split.Text("addressLine")
	}
	address := map[string]string{}
	put := func(name, value string) {
		values.Set(address, name, values.Content(value, values.MaxClaim))
	}
	countries := leaves(split["country"])
	put("formatted", formatted)
	put("locality", first(leaves(split["city"])))
	put("postal_code", split.Text("pincode"))
	put("region", region(split["state"], countries))
	put("country_code", countryCode(countries))
	return address
}

// splitAddress returns the split address, the only label whose value is an object.
func (l *labels) splitAddress() document.Object {
	v, given := l.values["splitaddress"]
	split, is := v.(map[string]any)
	if given && (!is || l.twice["splitaddress"]) {
		l.unread.Add("address")
		return nil
	}
	return split
}

// countryCode returns the alpha-3 code among the texts for a country, which also include its alpha-2 code.
func countryCode(words []string) string {
	for _, length := range [...]int{3, 2} {
		for _, word := range words {
			if code := values.Alpha3(word); len(strings.TrimSpace(word)) == length && code != "" {
				return code
			}
		}
	}
	return ""
}

// region returns an ISO 3166-2 code if state and country have codes, else the state's name. The states are
// pairs of name and code; the first pair is the most likely one.
func region(states any, country []string) string {
	if list, ok := states.([]any); ok && len(list) > 0 {
		if pair, ok := list[0].([]any); ok {
			states = pair
		}
	}
	state := leaves(states)
	if len(state) < 2 {
		return first(state)
	}
	for _, c := range country {
		if values.Alpha2(c) == "" {
			continue
		}
		if r := values.Matching(values.RegionPattern, values.Alpha2(c)+"-"+state[1]); r != "" {
			return r
		}
	}
	return state[0]
}

// leaves returns all texts in v, at any depth of nested arrays.
func leaves(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, leaves(item)...)
		}
		return all
	}
	return nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

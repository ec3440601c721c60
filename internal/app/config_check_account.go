package app

import (
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"
)

// accounts checks each account, and that no two accounts have the same provider and name.
func (c checker) accounts() {
	seen := map[[2]string]bool{}
	for i, a := range c.config.Accounts {
		key := item("accounts", i)
		c.identity(key, a)
		id := [2]string{a.Provider, a.Name}
		if seen[id] && a.Name != "" && a.Provider != "" {
			c.fault(key+".name", "is another account's of this provider already", "write another name")
		}
		seen[id] = true
		c.readable(key+".auth", a)
		c.auth(key+".auth", a.Auth)
		c.clientCerts(key+".auth.client_certs", a.Auth.ClientCerts)
		c.oauth2(key+".auth.oauth2", i)
		if len(a.Auth.kinds()) == 0 && len(a.API) == 0 {
			c.fault(key+".auth", "has no credential, so every callback would be refused",
				"write one of "+strings.Join(c.credentials(a), ", "))
		}
		c.cidrs(key+".allow_ips", a.AllowIPs)
		c.api(key+".api", a)
		c.confirm(key+".confirm", a)
		c.pii(key, a)
		c.pace(key, a)
		c.own(key, a)
	}
}

// credentials are the kinds of credentials that the provider of an account reads.
func (c checker) credentials(a Account) []string {
	if c.knowsProvider(a) {
		return c.catalog.AuthKeys[a.Provider]
	}
	return []string{"basic", "bearer", "client_certs", "headers", "hmac", "keys", "oauth2", "url_tokens"}
}

// identity checks name, provider and environment of an account.
func (c checker) identity(key string, a Account) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`).MatchString(a.Name) {
		problem := "cannot stand in a subject"
		if a.Name == "" {
			problem = "is missing"
		}
		c.fault(key+".name", problem, "write lower-case letters, digits, - and _, at most 63, the first a letter or digit")
	}
	switch {
	case a.Provider == "":
		c.fault(key+".provider", "is missing", instead("", c.catalog.Names))
	case !slices.Contains(c.catalog.Names, a.Provider):
		c.fault(key+".provider", "is none of the providers", instead(a.Provider, c.catalog.Names))
	}
	switch a.Environment {
	case "test", "live":
	case "":
		c.fault(key+".environment", "is missing", "write test or live")
	default:
		c.fault(key+".environment", "is neither test nor live", "write one of the two")
	}
}

// knowsProvider reports whether the provider of a is in the table, so that its keys are known.
func (c checker) knowsProvider(a Account) bool { return slices.Contains(c.catalog.Names, a.Provider) }

// readable checks that the provider's Verify reads the configured kinds of credentials: other kinds would never be
// accepted.
func (c checker) readable(key string, a Account) {
	if !c.knowsProvider(a) {
		return
	}
	known := c.catalog.AuthKeys[a.Provider]
	for _, name := range written(a.Auth) {
		switch about := slices.Contains(aboutKeys, name); {
		case about && !slices.Contains(known, "keys"):
			c.fault(join(key, name), "is about keys, and "+a.Provider+" reads none", "remove it")
		case !about && !slices.Contains(known, name):
			c.fault(join(key, name), a.Provider+" does not read it, so it admits nobody",
				"write one of "+strings.Join(known, ", "))
		}
	}
	words := c.catalog.Placements[a.Provider]
	for i, word := range a.Auth.Placements {
		if !slices.Contains(words, word) {
			c.fault(item(key+".placements", i), "is no placement of "+a.Provider, instead(word, words))
		}
	}
}

// auth checks that the credentials of an account are complete and contain no empty secret.
func (c checker) auth(key string, a Auth) {
	for i, b := range a.Basic {
		c.require(item(key+".basic", i)+".username", b.Username, "write it")
		c.require(item(key+".basic", i)+".password", string(b.Password), "write password or password_file")
		if strings.Contains(b.Username, ":") {
			c.fault(item(key+".basic", i)+".username", "holds a colon, which HTTP Basic cannot carry", "write another name")
		}
	}
	for i, h := range a.Headers {
		c.headerName(item(key+".headers", i)+".name", h.Name)
		c.require(item(key+".headers", i)+".value", string(h.Value), "write value or value_file")
	}
	for i, name := range a.KeyHeaders {
		c.headerName(item(key+".key_headers", i), name)
	}
	c.secrets(key+".bearer", a.Bearer)
	c.secrets(key+".keys", a.Keys)
	c.secrets(key+".url_tokens", a.URLTokens)
	c.hmac(key+".hmac", a.HMAC)
	about := len(a.Placements) > 0 || len(a.KeyHeaders) > 0
	if about && len(a.Keys) == 0 && !c.unsound(key+".placements") && !c.unsound(key+".key_headers") {
		c.fault(key+".keys", "is missing beside placements or key_headers", "write keys or keys_file")
	}
}

func (c checker) hmac(key string, h HMAC) {
	c.secrets(key+".secrets", h.Secrets)
	c.positive(key+".tolerance", h.Tolerance, true)
	if h.Header != "" {
		c.headerName(key+".header", h.Header)
	}
	if len(h.Secrets) == 0 && (h.Header != "" || h.Tolerance != 0) {
		c.fault(key+".secrets", "is missing beside header or tolerance", "write secrets or secrets_file")
	}
}

func (c checker) headerName(key, name string) {
	switch {
	case name == "":
		c.fault(key, "is missing", "write the name of a header")
	case strings.Trim(textproto.TrimString(name),
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~") != "":
		c.fault(key, "is not the name of a header", "write one such as X-Api-Key")
	}
}

// api checks the keys of the section, which depend on the provider, and the form of their values.
func (c checker) api(key string, a Account) {
	known, ok := c.catalog.APIKeys[a.Provider]
	known = append(slices.Clip(known), "timeout")
	for _, name := range slices.Sorted(maps.Keys(a.API)) {
		at, value := join(key, shown(name)), a.API[name]
		switch {
		case ok && !slices.Contains(known, name):
			c.fault(at, "unknown key", instead(name, known))
		case !oneOfWords(value, c.catalog.APIWords[a.Provider][name]):
			c.fault(at, "is none of the words that "+a.Provider+" takes here",
				instead(value, c.catalog.APIWords[a.Provider][name]))
		case secretAPIKey(name) && value == "":
			c.fault(at, "is an empty secret", "write the secret or remove it")
		case strings.HasSuffix(name, "_url") && !webURL(pageOf(value)):
			c.fault(at, "is not the address of a web server",
				"write one such as https://api.example.com, without user and query")
		case strings.HasSuffix(name, "timeout"), strings.HasSuffix(name, "_interval"):
			if d, err := time.ParseDuration(value); err != nil || d <= 0 {
				c.fault(at, "is not a duration", "write one such as 30s, 5m or 25h")
			}
		}
	}
	if a.API == nil {
		return
	}
	var missing []string
	for _, name := range c.catalog.APINeeds[a.Provider] {
		if a.API[name] == "" && !c.unsound(join(key, name)) && !c.unsound(join(key, name+"_file")) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 1:
		c.fault(join(key, missing[0]), "is missing", "write it, or remove the api section")
	case len(missing) > 1: // one fault for all of them
		c.fault(key, "lacks "+strings.Join(missing, ", "), "write them, or remove the api section")
	}
}

// oneOfWords reports whether value is one of words, ignoring case. Without words every value is permitted.
func oneOfWords(value string, words []string) bool {
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, value) })
}

// pageOf is the address of a page without the placeholder of the id, which may be in the query.
func pageOf(value string) string {
	if page, query, ok := strings.Cut(value, "?"); ok && strings.Contains(query, "{id}") {
		return page
	}
	return strings.ReplaceAll(value, "{id}", "id")
}

// confirm checks that an account that confirms results has the API credentials to fetch them.
func (c checker) confirm(key string, a Account) {
	confirm, because := c.catalog.confirmByDefault(a)
	if a.Confirm != nil {
		confirm = *a.Confirm
	}
	switch {
	case !confirm:
	case a.API != nil && len(a.API) == 0: // this is a separate fault
	case len(a.API) == 0 && a.Confirm == nil:
		c.fault(key, "is true by default "+because+", and api is missing",
			"write confirm: false or give api credentials")
	case len(a.API) == 0:
		c.fault(key, "is true, and api is missing", "write confirm: false or give api credentials")
	}
}

func (c checker) pii(key string, a Account) {
	switch a.PII {
	case "", "full", "masked", "none":
		if len(a.PIIKeys) > 0 {
			c.fault(key+".pii_keys", "has no effect without pii: encrypted", "write pii: encrypted or remove it")
		}
	case "encrypted":
		c.piiKeys(key, a)
	default:
		c.fault(key+".pii", "is none of the profiles", instead(a.PII, []string{"full", "masked", "none", "encrypted"}))
	}
}

// pace checks the intervals of polling.
func (c checker) pace(key string, a Account) {
	c.positive(key+".poll.interval", a.Poll.Interval, true)
	c.positive(key+".poll.deadline", a.Poll.Deadline, true)
	for _, status := range slices.Sorted(maps.Keys(a.Poll.Intervals)) {
		c.positive(join(key+".poll.intervals", shown(status)), a.Poll.Intervals[status], false)
	}
	for i, d := range a.Poll.Rechecks {
		c.positive(item(key+".poll.rechecks", i), d, false)
	}
	if a.Poll.Jitter < 0 || a.Poll.Jitter > 1 {
		c.fault(key+".poll.jitter", "is out of 0 to 1", "write a share such as 0.2")
	}
	c.atLeast(key+".limits.requests_per_second", a.Limits.RequestsPerSecond, 0)
	c.atLeast(key+".limits.concurrency", float64(a.Limits.Concurrency), 0)
}

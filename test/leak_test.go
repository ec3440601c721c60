package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"kycbridge/internal/app"
	"kycbridge/test/fixture"
	"kycbridge/test/traffic"
)

// mark is part of every planted value that can contain it; the others are searched unchanged.
const mark = "zqxv"

// planted are personal values by the keys under which providers send them. The keys are compared
// in lower case without separators.
var planted = []struct {
	keys  *regexp.Regexp
	value string
}{
	{regexp.MustCompile(`email`), mark + "@example.com"},
	{regexp.MustCompile(`phone|mobilenumber`), "5550187342"},
	{regexp.MustCompile(`^(customerip|userip|ip|ipaddress|host)$`), "203.0.113.187"},
	{regexp.MustCompile(`^(dateofbirth|birthdate|dob)$`), "1977-11-23"},
	{regexp.MustCompile(`documentnumber|personalcode|personalnumber|pannumber|aadhaarnumber|emiratesidnumber|eidcardnumber`), "ZQXV98765"},
	{regexp.MustCompile(`url$|image$|^(frontdoc|backdoc|selfie)$`), "https://files.example.com/" + mark + ".jpeg?token=" +
		mark},
	{regexp.MustCompile(`name|address|street|city|location|employer|institute|organization|feedback|^(a|value|note|comment|referenceno|isp|latitude|longitude)$`), "Zqxv Sample"},
	{regexp.MustCompile(`^authkeyforcallback$`), mark + "-callback-key"},
}

// kept are keys that match one of the patterns but name something of the provider, not of a person.
var kept = regexp.MustCompile(`^(eventname|clientname|documentname|dcountryname|fieldname|filename|callbackurl)$`)

// unseen are values that must occur nowhere except in the streams.
var unseen = []string{mark, "5550187342", "203.0.113.187", "1977-11-23"}

// leakAuth are the keys of an account's auth section; every credential contains the mark.
var leakAuth = map[string]string{
	"bearer": "bearer: [zqxv-bearer]", "basic": "basic: [{username: zqxv-user, password: zqxv-password}]",
	"headers": "headers: [{name: X-Key, value: zqxv-header}]",
	"hmac":    "hmac: {secrets: [zqxv-hmac]}", "keys": "keys: [zqxv-callback-key]",
	"url_tokens": "url_tokens: [zqxv-url-token]",
	"oauth2":     "oauth2: {clients: [{id: zqxv-client-PROVIDER, secret: zqxv-client-secret}]}",
}

// leakAccounts is an account at each provider of the table, with every credential that it reads.
func leakAccounts() string {
	catalog := app.ProviderCatalog()
	var b strings.Builder
	b.WriteString("log: {level: debug}\naccounts:\n")
	for _, name := range catalog.Names {
		var auth []string
		for _, key := range catalog.AuthKeys[name] {
			if key == "client_certs" {
				continue // contains no secret, and needs TLS
			}
			auth = append(auth, strings.ReplaceAll(leakAuth[key], "PROVIDER", name))
		}
		fmt.Fprintf(&b, "  - {name: acme, provider: %s, environment: test, auth: {%s}, confirm: false}\n", name,
			strings.Join(auth, ", "))
	}
	return b.String()
}

// TestLeak sends every fixture with planted personal values, valid, broken and unauthenticated, and
// searches for the values in everything that operators and callers see.
func TestLeak(t *testing.T) {
	t.Parallel()
	b := newBridge(t, leakAccounts())
	b.start(t)
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	answers, admitted := map[int]int{}, map[string]bool{}
	for _, c := range cases {
		whole, values := plant(t, c.Body, false)
		broken, _ := plant(t, c.Body, true)
		for _, body := range [][]byte{whole, broken, append(bytes.Clone(whole), '}')} {
			for _, authorization := range []string{"Bearer zqxv-bearer", "Bearer zqxv-wrong"} {
				r := b.leakCall(t, c.Provider, authorization, body)
				answers[r.Code]++
				admitted[c.Provider] = admitted[c.Provider] || r.Code == http.StatusOK
				shows(t, c.Dir()+" answer", r.Text)
				for name, v := range r.Header {
					shows(t, c.Dir()+" header "+name, strings.Join(v, " "))
				}
			}
		}
		if values == 0 {
			t.Logf("%s holds nothing personal", c.Dir())
		}
	}
	for provider, is := range admitted {
		if !is {
			t.Errorf("%s: nothing was admitted, so nothing was looked at; its Verify has to take a bearer token too", provider)
		}
	}
	b.settled(t, 30*time.Second)
	shows(t, "metrics", b.metrics())
	_, stdout, stderr := run(t, "kycbridge", "events", "--url", b.eventsURL())
	shows(t, "events", stdout+stderr)
	if n := b.shownByConsole(t, "ops-token-2e77a1"); n < 100 {
		t.Errorf("the console has shown %d pages only", n)
	} else {
		t.Logf("%d pages of the console looked through", n)
	}
	b.terminate(t)
	log := b.stderr.String() + b.stdout.String()
	shows(t, "log", log)
	if answers[http.StatusOK] == 0 || answers[http.StatusUnauthorized] == 0 || strings.Count(log, "event published") < 20 {
		t.Errorf("too little happened to prove anything: answers %v", answers)
	}
	t.Logf("answers by status %v; %d log lines, %d events published, %d quarantined", answers, strings.Count(log, "\n"),
		strings.Count(log, "event published"), strings.Count(log, `"outcome":"quarantined"`))
}

// leakCall posts with the mark in every part of the request that a caller fills.
func (b *bridge) leakCall(t *testing.T, provider, authorization string, body []byte) traffic.Reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.callbackURL(provider, "acme")+"?token=zqxv-query&name=Zqxv",
		bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Authorization": authorization,
		"User-Agent":   "zqxv-agent",
		"X-Request-Id": "zqxv-request", "X-Forwarded-For": "203.0.113.187", "X-Key": "zqxv-wrong-header"} {
		req.Header.Set(name, value)
	}
	r, err := b.send(req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shows fails the test if a planted value occurs in the text.
func shows(t *testing.T, where, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, value := range unseen {
		if at := strings.Index(lower, value); at >= 0 {
			t.Errorf("%s shows %q: ...%s...", where, value, text[max(0, at-120):min(len(text), at+80)])
		}
	}
}

// plant puts personal values into a body and returns how many. broken makes lists of them, which no schema allows, so
// that the messages about them can be checked.
func plant(t *testing.T, body []byte, broken bool) (planted []byte, values int) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		return append([]byte(mark), body...), 1 // a fixture that is not JSON stays invalid
	}
	out, err := json.Marshal(plantIn("", doc, broken, &values))
	if err != nil {
		t.Fatal(err)
	}
	return out, values
}

func plantIn(key string, v any, broken bool, values *int) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = plantIn(k, member, broken, values)
		}
	case []any:
		for i, item := range v {
			v[i] = plantIn(key, item, broken, values)
		}
	case string:
		value := valueFor(key)
		if value == "" || v == "" {
			return v
		}
		*values++
		if broken {
			return []any{value}
		}
		return value
	}
	return v
}

// valueFor is the value that is planted under a key; "" leaves the key unchanged.
func valueFor(key string) string {
	key = strings.NewReplacer("_", "", "-", "", " ", "", "'", "").Replace(strings.ToLower(key))
	if kept.MatchString(key) {
		return ""
	}
	for _, p := range planted {
		if p.keys.MatchString(key) {
			return p.value
		}
	}
	return ""
}

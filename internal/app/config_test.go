package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/event/sealed"
	"kycbridge/internal/keys"
	"kycbridge/normalize"
	"kycbridge/normalize/signzy"
)

// testCatalog replaces the table of providers.
func testCatalog() Catalog {
	return Catalog{
		Names: []string{"signzy", "ondato", "kwikid", "idwise"},
		AuthKeys: map[string][]string{
			"signzy": {"basic", "bearer", "headers", "url_tokens", "keys"},
			"ondato": {"basic", "bearer", "headers", "url_tokens", "hmac"},
			"idwise": {"basic", "bearer", "headers", "url_tokens"},
			"kwikid": {"basic", "bearer", "headers", "url_tokens"},
		},
		Placements: map[string][]string{"signzy": {"authorization", "bearer", "header", "body", "url_token"}},
		Settings:   testSettings(),
		APIKeys: map[string][]string{
			"signzy": {"base_url", "token", "flow_id", "prefix", "result_method", "file_hosts", "phone_as"},
			"ondato": {"token_url", "idv_url", "kyc_url", "client_id", "client_secret", "setup_id"},
			"idwise": {"base_url", "key", "secret", "flow_id", "prefix", "result_path"},
			"kwikid": {"base_url", "username", "password", "agent_prefix", "app_prefix"},
		},
		APINeeds: map[string][]string{"kwikid": {"base_url"}},
		APIWords: map[string]map[string][]string{"signzy": {"result_method": {"GET", "POST"},
			"phone_as": {"number", "text"}}},
		ConfirmByDefault: map[string]bool{"idwise": true, "kwikid": true},
	}
}

// testSettings are the settings of the providers, but for the policy, whose keys are made up.
func testSettings() map[string][]normalize.Setting {
	out := map[string][]normalize.Setting{}
	for _, p := range providers() {
		for _, s := range p.Settings {
			if s.Key == "policy" {
				s = signzy.PolicySetting([]string{"face_match", "liveness"}, []string{"image_quality", "ip_risk"})
			}
			out[p.Name] = append(out[p.Name], s)
		}
	}
	return out
}

// load reads text as the file kyc.yaml.
func load(text string, environ ...string) (*Config, error) {
	return parseConfig("kyc.yaml", []byte(text), environ, testCatalog())
}

func TestLoadConfigFull(t *testing.T) {
	c, err := LoadConfig("testdata/full.yaml", nil, testCatalog())
	if err != nil {
		t.Fatal(err)
	}
	ondato, signzy := c.Accounts[0], c.Accounts[1]
	if ondato.Auth.HMAC.Tolerance != 25*time.Hour || ondato.Poll.Intervals["kyc_request_accepted"] != 10*time.Second ||
		ondato.API["client_secret"] != "client-secret-1" {
		t.Errorf("ondato: %+v", ondato)
	}
	if signzy.API["file_hosts"] != "a.example.com,b.example.com" || signzy.Limits != (Limits{}) || *signzy.Confirm {
		t.Errorf("signzy: %+v", signzy)
	}
	if diff := cmp.Diff([]string{"10.0.0.0/8", "192.0.2.7/32"}, texts(c.Proxies())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"_INBOX.>"}, c.Embedded.Users[1].Subscribe); diff != "" ||
		c.Embedded.Users[1].Password != "starter-password" {
		t.Errorf("users: %+v", c.Embedded.Users)
	}
	if !c.Store.IsEmbedded() || c.Bus.IsEmbedded() || c.Bus.Password.Reveal() != "bus-password" || c.Bus.Replicas != 3 {
		t.Errorf("bus: %+v", c.Bus)
	}
}

func texts(prefixes []netip.Prefix) (out []string) {
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return out
}

func TestLoadConfigWithoutFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "null\n", "{}\n", "accounts: []\nstore:\n"} {
		c, err := load(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		c.Accounts = nil
		want := defaults()
		if diff := cmp.Diff(&want, c); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	c, err := LoadConfig("", nil, Catalog{})
	if err != nil || c.Listen != "127.0.0.1:8080" || c.Receive.MaxBody != 1048576 || !c.Store.IsEmbedded() {
		t.Errorf("%+v, %v", c, err)
	}
}

// account is a valid account with additional lines, indented by four.
func account(lines ...string) string {
	return "accounts:\n  - name: acme\n    provider: ondato\n    environment: test\n" +
		"    auth: {bearer: [token-long-enough]}\n    " + strings.Join(lines, "\n    ") + "\n"
}

// at is account with another provider.
func at(provider string, lines ...string) string {
	return strings.Replace(account(lines...), "ondato", provider, 1)
}

// TestFaults: one fault each, with the exact text. The added line of account is line 6.
func TestFaults(t *testing.T) {
	const statuses = "abandoned, canceled, created, expired, failed, in_progress, in_review, processing, requires_input"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "listn: x", "kyc.yaml:1: listn: unknown key; did you mean listen?"},
		{"unknown key, nothing near", "log: {colour_scheme: x}",
			"kyc.yaml:1: log.colour_scheme: unknown key; write one of format, level"},
		{"unknown key of an account", account("enviroment: live"),
			"kyc.yaml:6: accounts[0].enviroment: unknown key; did you mean environment?"},
		{"value read as key", "admin: {listen: ':1', tokens:hunter2-secret}",
			"kyc.yaml:1: admin.tokens…: unknown key; did you mean tokens?"},
		{"secret read as key", "admin: {tokens: [{hunter2-secret}]}",
			"kyc.yaml:1: admin.tokens[0].…: unknown key; write one of name, rights, token, token_sha256"},
		{"key without a value", "admin: {tokns}", "kyc.yaml:1: admin.tokns: unknown key; did you mean tokens?"},
		{"duplicate key", "listen: :1\nadmin: {}\nlisten: :2", "kyc.yaml:3: listen: stands on line 1 already; write it once"},
		{"not YAML", "listen: [", "kyc.yaml:1: is not YAML: did not find expected node content; look there for wrong " +
			"indentation, a tab, an open quote, or ${NAME} without quotes within [ ] or { }"},
		{"variable without quotes", "admin:\n  tokens: [${OPS}]",
			"kyc.yaml:2: is not YAML: did not find expected ',' or ']'; look there for wrong indentation, a tab, an open " +
				"quote, or ${NAME} without quotes within [ ] or { }"},
		{"a list at the top", "- a", "kyc.yaml:1: wants keys with values; write them indented below it, as key: value"},
		{"second document", "listen: :1\n---\nlisten: :2", "kyc.yaml:2: holds a second document; write one document a file"},
		{"alias", "listen: &a :1\ndata_dir: *a", "kyc.yaml:2: data_dir: is an alias; write the value itself"},
		{"section as text", "admin: x",
			"kyc.yaml:1: admin: wants keys with values; write them indented below it, as key: value"},
		{"list as text", "trusted_proxies: 10.0.0.0/8",
			"kyc.yaml:1: trusted_proxies: wants a list; write its elements below it, each after a dash"},
		{"text as list", "data_dir: [a]", "kyc.yaml:1: data_dir: wants a single value; write key: value"},
		{"bool", account("reject_invalid: maybe"),
			"kyc.yaml:6: accounts[0].reject_invalid: is neither true nor false; write one of the two"},
		{"whole number", "receive:\n  max_body: 1.5",
			"kyc.yaml:2: receive.max_body: is not a whole number; write one in digits"},
		{"number", "receive: {requests_per_second: .nan}",
			"kyc.yaml:1: receive.requests_per_second: is not a number; write one such as 0.5"},
		{"duration", "receive: {timeout: 10}",
			"kyc.yaml:1: receive.timeout: is not a duration; write one such as 30s, 5m or 25h"},
		{"negative duration", "receive: {timeout: -10s}",
			"kyc.yaml:1: receive.timeout: is not longer than zero; write a positive duration such as 30s"},
		{"too small", "normalize: {workers: 0}", "kyc.yaml:1: normalize.workers: is too small; write 1 or more"},
		{"too large", "receive: {max_body: 999999999}",
			"kyc.yaml:1: receive.max_body: is more than a message can hold; write 67108864 (64 MiB) or less"},
		{"host and port", "listen: localhost", "kyc.yaml:1: listen: is not host:port; write one such as 127.0.0.1:8080"},
		{"port", "listen: :70000", "kyc.yaml:1: listen: is not host:port; write one such as 127.0.0.1:8080"},
		{"one port twice", "admin:\n  listen: 127.0.0.1:8080",
			"kyc.yaml:2: admin.listen: is the address of listen; write another port"},
		{"open without users", "embedded: {listen: 0.0.0.0:4222}",
			"kyc.yaml:1: embedded.listen: is open to other machines, and embedded.users is empty; write 127.0.0.1 or give " +
				"users"},
		{"open without users, no host", "embedded: {listen: ':4222'}",
			"kyc.yaml:1: embedded.listen: is open to other machines, and embedded.users is empty; write 127.0.0.1 or give " +
				"users"},
		{"user without password", "embedded:\n  users:\n    - {username: u}",
			"kyc.yaml:3: embedded.users[0].password: is missing; write password or password_file"},
		{"subject", "embedded: {users: [{username: u, password: long-enough, subscribe: [a..b]}]}",
			"kyc.yaml:1: embedded.users[0].subscribe[0]: is not a subject; write one such as kyc.event.v1.>"},
		{"subject to publish on", "embedded: {users: [{username: u, password: long-enough, publish: ['']}]}",
			"kyc.yaml:1: embedded.users[0].publish[0]: is not a subject; write one such as kyc.watch.*.*"},
		{"a user who may ask for anything", "embedded: {users: [{username: u, password: long-enough, publish: ['>']}]}",
			"kyc.yaml:1: embedded.users[0].publish[0]: reaches more than a consumer may ask for; write kyc.watch.*.* if the " +
				"user asks for watches, or leave publish away: a user without subjects may read all events"},
		{"a user who may hear anything",
			"names: {subject_prefix: id}\nembedded: {users: [{username: u, password: long-enough, subscribe: ['id.*.>']}]}",
			"kyc.yaml:2: embedded.users[0].subscribe[0]: reaches more than events; write id.event.v1.> or a part of it such " +
				"as id.event.v1.<provider>.>, or leave subscribe away: a user without subjects may read all events"},
		{"no client port is none", "embedded: {listen: ''}",
			"kyc.yaml:1: embedded.listen: is not host:port; write one such as 127.0.0.1:4222, or none"},
		{"the server's own user", "embedded: {users: [{username: kycbridge, password: long-enough}]}",
			"kyc.yaml:1: embedded.users[0].username: is the name of the server's own user; write another name"},
		{"a reader's name", "bus: {url: 'nats://h', readers: [crm, 'a.b']}",
			"kyc.yaml:1: bus.readers[1]: is not the name of a reader; write the one that stands in kyc.reader.<reader>.> of " +
				"the server's accounts, once"},
		{"readers of the embedded server", "bus: {readers: [crm]}",
			"kyc.yaml:1: bus.readers: has no meaning for the embedded server; write embedded.users"},
		{"server", "store: {url: example.com}",
			"kyc.yaml:1: store.url: is not the address of a NATS server; write embedded or one such as " +
				"nats://nats.example.com:4222"},
		{"server with credential", "bus: {url: 'nats://u:hunter2-secret@example.com'}",
			"kyc.yaml:1: bus.url: holds a credential; write it as username and password, token or credentials_file"},
		{"credentials for embedded", "store: {token: long-enough}",
			"kyc.yaml:1: store: has credentials for the embedded server, which asks for none; remove them, or write the " +
				"server's url"},
		{"several credentials", "bus: {url: 'nats://h', token: long-enough, credentials_file: f}",
			"kyc.yaml:1: bus: has several kinds of credentials; write one of credentials_file, username with password, token"},
		{"half of TLS", "bus: {url: 'tls://h', tls: {cert: f}}",
			"kyc.yaml:1: bus.tls: has only one of cert and key; write both or neither"},
		{"CIDR", "trusted_proxies:\n  - 10.0.0.0/8\n  - 10.0.0.0/33",
			"kyc.yaml:3: trusted_proxies[1]: is neither a CIDR nor an address; write one such as 192.0.2.0/24"},
		{"allowed address", account("allow_ips: [example.com]"),
			"kyc.yaml:6: accounts[0].allow_ips[0]: is neither a CIDR nor an address; write one such as 192.0.2.0/24"},
		{"proxy", "proxy: proxy.example.com:3128",
			"kyc.yaml:1: proxy: is not the address of a web proxy; write one such as http://proxy.example.com:3128, without " +
				"user and query"},
		{"public address", "public_url: kyc.example.com",
			"kyc.yaml:1: public_url: is not the address of a web server; write one such as https://kyc.example.com, without " +
				"user and query"},
		{"subject prefix", "names: {subject_prefix: kyc.>}",
			"kyc.yaml:1: names.subject_prefix: holds characters that cannot stand there; write one such as kyc"},
		{"log level", "log: {level: inf}", "kyc.yaml:1: log.level: is not a known value; did you mean info?"},
		{"empty admin token", "admin: {tokens: ['']}",
			"kyc.yaml:1: admin.tokens[0]: is an empty secret; write the secret or remove it"},

		{"account name", "accounts:\n  - {name: Acme, provider: ondato, environment: test, auth: {bearer: " +
			"[token-long-enough]}}", "kyc.yaml:2: accounts[0].name: cannot stand in a subject; write lower-case letters, digits, - and " +
			"_, at most 63, the first a letter or digit"},
		{"same account", account("confirm: false") + strings.TrimPrefix(account("pii: none"), "accounts:\n"),
			"kyc.yaml:7: accounts[1].name: is another account's of this provider already; write another name"},
		{"provider", "accounts:\n  - {name: a, provider: somebody, environment: test, auth: {bearer: [token-long-enough]}}",
			"kyc.yaml:2: accounts[0].provider: is none of the providers; write one of idwise, kwikid, ondato, signzy"},
		{"provider, near", "accounts:\n  - {name: a, provider: ondatto, environment: test, auth: {bearer: " +
			"[token-long-enough]}}", "kyc.yaml:2: accounts[0].provider: is none of the providers; did you mean ondato?"},
		{"no provider", "accounts:\n  - {name: a, environment: test, auth: {bearer: [token-long-enough]}}",
			"kyc.yaml:2: accounts[0].provider: is missing; write one of idwise, kwikid, ondato, signzy"},
		{"no environment", "accounts:\n  - name: a\n    provider: ondato\n    auth: {bearer: [token-long-enough]}",
			"kyc.yaml:2: accounts[0].environment: is missing; write test or live"},
		{"environment", "accounts:\n  - name: a\n    provider: ondato\n    environment: prod\n    auth: {bearer: " +
			"[token-long-enough]}", "kyc.yaml:4: accounts[0].environment: is neither test nor live; write one of the two"},
		{"no credential", "accounts:\n  - {name: a, provider: ondato, environment: test}",
			"kyc.yaml:2: accounts[0].auth: has no credential, so every callback would be refused; write one of basic, " +
				"bearer, headers, url_tokens, hmac"},
		{"empty secret", "accounts:\n  - name: a\n    provider: ondato\n    environment: test\n    auth:\n      bearer:\n " +
			"       - ''", "kyc.yaml:7: accounts[0].auth.bearer[0]: is an empty secret; write the secret or remove it"},
		{"null secret", "accounts:\n  - {name: a, provider: ondato, environment: test, auth: {bearer: [~]}}",
			"kyc.yaml:2: accounts[0].auth.bearer[0]: is empty; write a value or remove it"},
		{"basic without password", "accounts:\n  - {name: a, provider: ondato, environment: test, auth: {basic: " +
			"[{username: u}]}}", "kyc.yaml:2: accounts[0].auth.basic[0].password: is missing; write password or password_file"},
		{"header name", "accounts:\n  - {name: a, provider: ondato, environment: test, auth: {headers: [{name: 'X Key', " +
			"value: long-enough}]}}", "kyc.yaml:2: accounts[0].auth.headers[0].name: is not the name of a header; write one " +
			"such as X-Api-Key"},
		{"hmac without secrets", "accounts:\n  - {name: a, provider: ondato, environment: test, auth: {bearer: " +
			"[long-enough], hmac: {tolerance: 1h}}}",
			"kyc.yaml:2: accounts[0].auth.hmac.secrets: is missing beside header or tolerance; write secrets or secrets_file"},
		{"tolerance", "accounts:\n  - {name: a, provider: ondato, environment: test, auth: {hmac: {secrets: " +
			"[long-enough], tolerance: -1h}}}",
			"kyc.yaml:2: accounts[0].auth.hmac.tolerance: is not longer than zero; write a positive duration such as 30s"},
		{"encrypted", account("pii: encrypted"),
			"kyc.yaml:6: accounts[0].pii: is encrypted, and encryption.event_key is missing: kycbridge could not read its " +
				"events back; name a file with a private key in encryption.event_key_file; " + sealed.Advice},
		{"profile", account("pii: all"),
			"kyc.yaml:6: accounts[0].pii: is none of the profiles; write one of encrypted, full, masked, none"},
		{"confirm without api", account("confirm: true"),
			"kyc.yaml:6: accounts[0].confirm: is true, and api is missing; write confirm: false or give api credentials"},
		{"confirm by default", "accounts:\n  - {name: a, provider: idwise, environment: test, auth: {bearer: " +
			"[token-long-enough]}}", "kyc.yaml:2: accounts[0].confirm: is true by default for this provider, and api is " +
			"missing; write confirm: false or give api credentials"},
		{"api without what it needs", at("kwikid", "api: {username: u}"),
			"kyc.yaml:6: accounts[0].api.base_url: is missing; write it, or remove the api section"},
		{"an api section with nothing in it", at("kwikid", "api: {}"),
			"kyc.yaml:6: accounts[0].api.base_url: is missing; write it, or remove the api section"},
		{"neither credential nor api", "accounts:\n  - {name: a, provider: ondato, environment: test}",
			"kyc.yaml:2: accounts[0].auth: has no credential, so every callback would be refused; write one of basic, " +
				"bearer, headers, url_tokens, hmac"},
		{"recheck", account("poll: {rechecks: [5s, 0s]}"),
			"kyc.yaml:6: accounts[0].poll.rechecks[1]: is not longer than zero; write a positive duration such as 30s"},
		{"api key", account("api: {client_secrt: hunter2-secret}"),
			"kyc.yaml:6: accounts[0].api.client_secrt: unknown key; did you mean client_secret?"},
		{"api key of another provider", account("api: {base_url: 'https://h'}"),
			"kyc.yaml:6: accounts[0].api.base_url: unknown key; write one of client_id, client_secret, idv_url, kyc_url, " +
				"setup_id, timeout, token_url"},
		{"api address", account("api: {token_url: 'https://u:hunter2-secret@h'}"),
			"kyc.yaml:6: accounts[0].api.token_url: is not the address of a web server; write one such as " +
				"https://api.example.com, without user and query"},
		{"api timeout", account("api: {timeout: soon}"),
			"kyc.yaml:6: accounts[0].api.timeout: is not a duration; write one such as 30s, 5m or 25h"},
		{"api word", at("signzy", "api: {base_url: 'https://h', token: long-enough, phone_as: txt}"),
			"kyc.yaml:6: accounts[0].api.phone_as: is none of the words that signzy takes here; did you mean text?"},
		{"empty api secret", account("api: {client_secret: ''}"),
			"kyc.yaml:6: accounts[0].api.client_secret: is an empty secret; write the secret or remove it"},
		{"poll", account("poll: {intervals: {waiting: 0s}}"),
			"kyc.yaml:6: accounts[0].poll.intervals.waiting: is not longer than zero; write a positive duration such " +
				"as 30s"},
		{"jitter", account("poll: {jitter: 2}"),
			"kyc.yaml:6: accounts[0].poll.jitter: is out of 0 to 1; write a share such as 0.2"},
		{"confirm by default with the back office", at("signzy", "back_office: true"),
			"kyc.yaml:2: accounts[0].confirm: is true by default with back_office, and api is missing; write confirm: false " +
				"or give api credentials"},
		{"the back office where there is none", at("ondato", "back_office: true"),
			"kyc.yaml:6: accounts[0].back_office: ondato has no back_office; remove it"},
		{"renewal", at("idwise", "confirm: false", "renewal_overdue: kep"),
			"kyc.yaml:7: accounts[0].renewal_overdue: is not a known value; did you mean keep?"},
		{"policy where there is none", account("policy: {face_match: 0.5}"),
			"kyc.yaml:6: accounts[0].policy: ondato has no policy; remove it"},
		{"checker where there is none", account("checker: true"),
			"kyc.yaml:6: accounts[0].checker: ondato has no checker; remove it"},
		{"manual review where there is none", at("idwise", "confirm: false", "manual_review: true"),
			"kyc.yaml:7: accounts[0].manual_review: idwise has no manual_review; remove it"},
		{"renewal where there is none", account("renewal_overdue: kep"),
			"kyc.yaml:6: accounts[0].renewal_overdue: ondato has no renewal_overdue; remove it"},
		{"flow statuses where there are none", account("flow_statuses: {Done: completed}"),
			"kyc.yaml:6: accounts[0].flow_statuses: ondato has no flow_statuses; remove it"},
		{"credential that is not read",
			"accounts:\n  - {name: a, provider: idwise, environment: test, confirm: false, auth: {hmac: {secrets: [''], " +
				"header: 'X Y'}}}", "kyc.yaml:2: accounts[0].auth.hmac: idwise does not read it, so it admits nobody; write one " +
				"of basic, bearer, headers, url_tokens"},
		{"credential that is not read, beside another",
			"accounts:\n  - {name: a, provider: ondato, environment: test, auth: {bearer: [long-enough], keys: [long-enough]}}",
			"kyc.yaml:2: accounts[0].auth.keys: ondato does not read it, so it admits nobody; write one of basic, bearer, " +
				"headers, url_tokens, hmac"},
		{"placement", "accounts:\n  - name: a\n    provider: signzy\n    environment: test\n    auth:\n      keys: " +
			"[long-enough]\n      placements: [header, authorisation]",
			"kyc.yaml:7: accounts[0].auth.placements[1]: is no placement of signzy; did you mean authorization?"},
		{"placement, nothing near", "accounts:\n  - {name: a, provider: signzy, environment: test, auth: {keys: " +
			"[long-enough], placements: [cookie]}}",
			"kyc.yaml:2: accounts[0].auth.placements[0]: is no placement of signzy; write one of authorization, bearer, body, " +
				"header, url_token"},
		{"placement without keys", "accounts:\n  - {name: a, provider: signzy, environment: test, auth: {bearer: " +
			"[long-enough], placements: [body]}}",
			"kyc.yaml:2: accounts[0].auth.keys: is missing beside placements or key_headers; write keys or keys_file"},
		{"placement where there are no keys",
			"accounts:\n  - {name: a, provider: ondato, environment: test, auth: {bearer: [long-enough], placements: " +
				"[header]}}", "kyc.yaml:2: accounts[0].auth.placements: is about keys, and ondato reads none; remove it"},
		{"key headers where there are no keys",
			"accounts:\n  - {name: a, provider: ondato, environment: test, auth: {bearer: [long-enough], key_headers: " +
				"[X-Key]}}", "kyc.yaml:2: accounts[0].auth.key_headers: is about keys, and ondato reads none; remove it"},
		{"policy key", at("signzy", "policy: {face_mach: 0.5}"),
			"kyc.yaml:6: accounts[0].policy.face_mach: unknown key; did you mean face_match?"},
		{"policy range", at("signzy", "policy: {face_match: 50}"),
			"kyc.yaml:6: accounts[0].policy.face_match: is out of 0 to 1; write a threshold such as 0.8"},
		{"policy without a threshold", at("signzy", "policy: {overlook: [ip_risk]}"),
			"kyc.yaml:6: accounts[0].policy: has no threshold, so it decides nothing; write one such as min_face_match: 0.8, " +
				"or remove policy"},
		{"policy with words", at("signzy", "policy: {face_match: high}"),
			"kyc.yaml:6: accounts[0].policy.face_match: is not a number; write one such as 0.5"},
		{"overlooked check", at("signzy", "policy: {face_match: 0.5, overlook: [ip_risk, liveness]}"),
			"kyc.yaml:6: accounts[0].policy.overlook[1]: is no check that a policy may pass over; write some of " +
				"image_quality, ip_risk"},
		{"overlooked checks as text", at("signzy", "policy: {face_match: 0.5, overlook: ip_risk}"),
			"kyc.yaml:6: accounts[0].policy.overlook: wants a list; write its elements below it, each after a dash"},
		{"overlook where there is no policy", account("policy: {overlook: [ip_risk]}"),
			"kyc.yaml:6: accounts[0].policy: ondato has no policy; remove it"},
		{"application id", account("application_ids: ['']"),
			"kyc.yaml:6: accounts[0].application_ids[0]: is missing; write the id or remove it"},
		{"application ids where there are none", at("signzy", "application_ids: [a]"),
			"kyc.yaml:6: accounts[0].application_ids: signzy has no application_ids; remove it"},
		{"country", at("kwikid", "confirm: false", "country: India"),
			"kyc.yaml:7: accounts[0].country: is no country of two capital letters; write one such as IN"},
		{"country where there is none", account("country: IN"),
			"kyc.yaml:6: accounts[0].country: ondato has no country; remove it"},
		{"flow status", at("signzy", "flow_statuses: {Done: finished}"),
			"kyc.yaml:6: accounts[0].flow_statuses.Done: is none of our statuses; write one of " + statuses},
		{"flow status completed", at("signzy", "flow_statuses: {Done: completed}"),
			"kyc.yaml:6: accounts[0].flow_statuses.Done: completed is the provider's to say; write one of created, " +
				"in_progress, processing, in_review, requires_input, expired, abandoned, canceled, failed"},

		{"unset variable", "data_dir: /srv/${NOT_THERE}",
			"kyc.yaml:1: data_dir: the variable NOT_THERE is not set; set it, or write $${ for the characters ${"},
		{"broken variable", "data_dir: ${NOT THERE}",
			"kyc.yaml:1: data_dir: ${ begins no variable; write ${NAME}, or $${ for the characters themselves"},
		{"twins", "admin:\n  tokens: [long-enough]\n  tokens_file: f",
			"kyc.yaml:3: admin.tokens_file: stands beside tokens; write one of the two"},
		{"missing secret file", account("api: {client_secret_file: testdata/none}"),
			"kyc.yaml:6: accounts[0].api.client_secret_file: the file cannot be read: no such file or directory (testdata/none); " +
				"name a readable file"},
		{"file twin of no secret", account("api: {client_id_file: testdata/full.yaml}"),
			"kyc.yaml:6: accounts[0].api.client_id_file: unknown key; write one of client_id, client_secret, idv_url, " +
				"kyc_url, setup_id, timeout, token_url"},
	} {
		config, err := load(c.text)
		if err == nil || config != nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: quotes a secret", c.name)
		}
	}
}

func TestFaultsAllAtOnce(t *testing.T) {
	_, err := load(`listen: nowhere
accounts:
  - name: acme
    provider: idwise
    auth: {bearer: [], bearr: [hunter2-secret]}
    confirm: false
    pii: encryptd
  - provider: ondato
    environment: test
    auth: {hmac: {secrets: ["${HMAC_SECRET}"]}}
`, "KYCBRIDGE_RECEIVE_TIMEOUT=hunter2", "KYCBRIDGE_ADMN_TOKENS=hunter2")
	var faults *ConfigError
	if !errors.As(err, &faults) || len(faults.Faults) != 8 {
		t.Fatalf("%v", err)
	}
	want := `kyc.yaml:1: listen: is not host:port; write one such as 127.0.0.1:8080
kyc.yaml:3: accounts[0].environment: is missing; write test or live
kyc.yaml:5: accounts[0].auth.bearr: unknown key; did you mean bearer?
kyc.yaml:7: accounts[0].pii: is none of the profiles; did you mean encrypted?
kyc.yaml:8: accounts[1].name: is missing; write lower-case letters, digits, - and _, at most 63, the first a letter or digit
kyc.yaml:10: accounts[1].auth.hmac.secrets[0]: the variable HMAC_SECRET is not set; set it, or write $${ for the characters ${
KYCBRIDGE_ADMN_TOKENS: names no key; did you mean KYCBRIDGE_ADMIN_TOKENS?
KYCBRIDGE_RECEIVE_TIMEOUT: receive.timeout: is not a duration; write one such as 30s, 5m or 25h`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := LoadConfig("testdata/none.yaml", nil, testCatalog())
	if err == nil || err.Error() != "testdata/none.yaml: cannot be read: no such file or directory; name a readable file" {
		t.Error(err)
	}
	if _, err = LoadConfig("testdata", nil, testCatalog()); err == nil {
		t.Error("a directory was read")
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	tokens := write(t, "from-file-1\n\nfrom-file-2\r\n")
	c, err := load("listen: 127.0.0.1:1\nadmin: {listen: 127.0.0.1:2, tokens: [of-the-file]}\nbus: {url: 'nats://h'}\n",
		"KYCBRIDGE_LISTEN=127.0.0.1:9001", "KYCBRIDGE_DATA_DIR=/srv/${X}", "KYCBRIDGE_STORE_URL=nats://store:4222",
		"KYCBRIDGE_STORE__TOKEN=store-token", "KYCBRIDGE_ADMIN_TOKENS_FILE="+tokens,
		"KYCBRIDGE_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1",
		"KYCBRIDGE_RECEIVE_MAX_BODY=2048", "KYCBRIDGE_RECEIVE_REQUESTS_PER_SECOND=2.5", "KYCBRIDGE_RECEIVE_DRAIN=1s",
		"KYCBRIDGE_BUS_TLS_CA=/ca.pem",
		"KYCBRIDGE_PUBLIC_URL=", "KYCBRIDGE_SERVICE_HOST=10.1.1.1", "KYCBRIDGE_PORT_8080_TCP=x", "KYCBRIDGE_CONFIG=kyc.yaml",
		"OTHER_LISTEN=x", "KYCBRIDGE_LOG_LEVEL=debug")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Listen, c.Admin.Listen, c.DataDir, c.Store.URL, c.Store.Token.Reveal(), tokenTexts(c.Admin.Tokens),
		c.TrustedProxies,
		c.Receive.MaxBody, c.Receive.RequestsPerSecond, c.Receive.Drain, c.Receive.Timeout, c.Bus.URL, c.Bus.TLS.CA, c.Log}
	want := []any{"127.0.0.1:9001", "127.0.0.1:2", "/srv/${X}", "nats://store:4222", "store-token",
		[]string{"from-file-1", "from-file-2"}, []string{"10.0.0.0/8", "192.0.2.1"},
		2048, 2.5, time.Second, 10 * time.Second, "nats://h", "/ca.pem", Log{"debug", "json"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	for name, want := range map[string]string{
		"KYCBRIDGE_LISTEN=nowhere": "KYCBRIDGE_LISTEN: listen: is not host:port; write one such as " +
			"127.0.0.1:8080",
		"KYCBRIDGE_TRUSTED_PROXIES=10.0.0.0/8,": "KYCBRIDGE_TRUSTED_PROXIES: trusted_proxies[1]: is neither a CIDR nor an " +
			"address; write one such as 192.0.2.0/24",
		"KYCBRIDGE_ADMIN_TOKENS_FILE=/none": "KYCBRIDGE_ADMIN_TOKENS_FILE: admin.tokens: the file cannot be read: no " +
			"such file or directory; name a readable file",
		"KYCBRIDGE_ZZZ=1":      "KYCBRIDGE_ZZZ: names no key; remove it, or correct its name",
		"KYCBRIDGE_ACCOUNTS=1": "KYCBRIDGE_ACCOUNTS: names no key; remove it, or correct its name",
	} {
		if _, err := load("", name); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, want)
		}
	}
	_, err = load("", "KYCBRIDGE_BUS_PASSWORD=a", "KYCBRIDGE_BUS_PASSWORD_FILE="+tokens)
	if err == nil || !strings.Contains(err.Error(),
		"KYCBRIDGE_BUS_PASSWORD_FILE: bus.password: is set by KYCBRIDGE_BUS_PASSWORD too; set one of them") {
		t.Error(err)
	}
}

// TestVariablesAreUnambiguous: levels and underscores look alike in a variable's name, so no two keys may
// have the same name.
func TestVariablesAreUnambiguous(t *testing.T) {
	seen := map[string]string{}
	for name, k := range variableKeys(&Config{}) {
		if other, twice := seen[name]; twice {
			t.Errorf("%s is %s and %s", name, other, k.key)
		}
		seen[name] = k.key
		if plain := strings.ToUpper(strings.ReplaceAll(k.key, ".", "_")); name != plain && name != plain+"_FILE" {
			t.Errorf("%s is %s", name, k.key)
		}
	}
	if len(seen) < 35 || seen["STORE_URL"] != "store.url" || seen["STORE_CREDENTIALS_FILE"] != "store.credentials_file" {
		t.Errorf("%d variables: %v", len(seen), seen)
	}
}

func TestVariablesInValues(t *testing.T) {
	c, err := load(account(`api: {client_secret: "${KYCBRIDGE_ACME_SECRET}", setup_id: "a$${b}c${EMPTY}d$e"}`,
		"reject_invalid: ${YES}", "limits: {concurrency: '${TWO}'}"),
		"KYCBRIDGE_ACME_SECRET=${YES}=x", "EMPTY=", "YES=true", "TWO=2")
	if err != nil {
		t.Fatal(err)
	}
	a := c.Accounts[0]
	if a.API["client_secret"] != "${YES}=x" || a.API["setup_id"] != "a${b}cd$e" || !a.RejectInvalid ||
		a.Limits.Concurrency != 2 {
		t.Errorf("%q %+v", a.API.visible(), a)
	}
	_, err = load(strings.Replace(account("confirm: false"), "token-long-enough", "'${EMPTY}'", 1), "EMPTY=")
	if err == nil || err.Error() != "kyc.yaml:5: accounts[0].auth.bearer[0]: the variable EMPTY is empty; give it a "+
		"value, or leave the key out" {
		t.Error(err)
	}
	_, err = load("public_url: ${A}${EMPTY}", "EMPTY=", "A=")
	if err == nil || err.Error() != "kyc.yaml:1: public_url: the variable EMPTY is empty; give it a value, or leave the "+
		"key out" {
		t.Error(err)
	}
}

// write creates a secret file.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSecretFiles(t *testing.T) {
	one, several := write(t, "\ufeffsecret-one\n"), write(t, "secret-a\r\nsecret-b\r\n")
	catalog := testCatalog()
	catalog.AuthKeys["idwise"] = []string{"basic", "headers", "bearer", "hmac", "keys", "url_tokens"}
	c, err := parseConfig("kyc.yaml", []byte(`
bus: {url: "nats://h", username: u, password_file: `+one+`}
embedded: {users: [{username: u, password_file: `+one+`}]}
accounts:
  - name: acme
    provider: idwise
    environment: test
    confirm: false
    auth:
      basic: [{username: u, password_file: `+one+`}]
      headers: [{name: X, value_file: "${WHERE}"}]
      bearer_file: `+several+`
      hmac: {secrets_file: `+several+`}
      keys_file: `+several+`
      url_tokens_file: `+several+`
    api: {key_file: `+one+`, secret_file: `+one+`}
`), []string{"WHERE=" + one}, catalog)
	if err != nil {
		t.Fatal(err)
	}
	auth, both := c.Accounts[0].Auth.credentials(""), []string{"secret-a", "secret-b"}
	want := kycbridge.Credentials{
		Basic:   []kycbridge.BasicCredential{{Username: "u", Password: "secret-one"}},
		Headers: []kycbridge.HeaderCredential{{Name: "X", Value: "secret-one"}},
		Bearer:  both, HMAC: kycbridge.HMACCredential{Secrets: both}, Keys: both, URLTokens: both,
	}
	if diff := cmp.Diff(want, auth); diff != "" {
		t.Error(diff)
	}
	if c.Bus.Password != "secret-one" || c.Embedded.Users[0].Password != "secret-one" ||
		c.Accounts[0].API["key"] != "secret-one" || c.Accounts[0].API["secret"] != "secret-one" {
		t.Error("a secret of a file is missing")
	}

	const noText = "the file holds characters that no secret has (FILE); write the secret into it as text in UTF-8, " +
		"without control characters"
	for file, want := range map[string]string{
		write(t, "\n\n"):                       "the file is empty (FILE); write the secret into it",
		several:                                "the file holds several lines (FILE); write one secret into it",
		write(t, "\ufeff\n"):                   "the file is empty (FILE); write the secret into it",
		write(t, "\xff\xfes\x00e\x00c\x00"):    noText, // UTF-16
		write(t, "secret\x00"):                 noText,
		write(t, "\x1b[200~secret\x1b[201~\n"): noText, // pasted into some terminals
		write(t, "secret\rother"):              noText,
		write(t, "secret\tother\n"):            noText,
		t.TempDir():                            "the file cannot be read: is a directory (FILE); name a readable file",
	} {
		want = "kyc.yaml:1: bus.token_file: " + strings.Replace(want, "FILE", file, 1)
		if _, err := load("bus: {url: 'nats://h', token_file: " + file + "}"); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// TestNoSecretIsShown seeds every secret and searches for it in every output format of a configuration.
func TestNoSecretIsShown(t *testing.T) {
	const seed = "s33d"
	raw, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	seeded := 0
	for _, secret := range []string{
		"ops-token-1", "reader-password", "starter-password", "bus-password", "basic-password", "bearer-token-1",
		"bearer-token-2", "header-value", "hmac-secret-1",
		"url-token-1", "client-secret-1", "callback-key-1", "signzy-token-1", "kwikid-token-1", "kwikid-password",
		"idwise-password", "idwise-key-1", "idwise-secret-1",
	} {
		seeded += strings.Count(text, secret)
		text = strings.ReplaceAll(text, secret, seed+secret)
	}
	c, err := load(text)
	if err != nil {
		t.Fatal(err)
	}
	yamlText, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	jsonText, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	logged, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(zapcore.Entry{}, []zap.Field{
		zap.Any("config", c), zap.Any("secret", c.Bus.Password), zap.Any("secrets", c.Admin.Tokens),
		zap.Any("api", c.Accounts[0].API), zap.Reflect("auth", c.Accounts[0].Auth),
	})
	if err != nil {
		t.Fatal(err)
	}
	var slogged strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&slogged, nil), slog.NewJSONHandler(&slogged, nil)} {
		slog.New(handler).Info("x", "config", c, "value", *c, "secret", c.Bus.Password, "api", c.Accounts[0].API)
	}
	shown := map[string]string{"slog": slogged.String(), "YAML": string(yamlText), "JSON": string(jsonText),
		"zap": logged.String(), "warnings": strings.Join(Warnings(c), "\n")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown[verb] = fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.Accounts) + fmt.Sprintf(verb, c.Bus.Password) +
			fmt.Sprintf(verb, c.Accounts[1].API) + fmt.Sprintf(verb, &c.Accounts[2])
	}
	for where, text := range shown {
		if strings.Contains(text, seed) || strings.Contains(text, fmt.Sprintf("%x", seed)) {
			t.Errorf("%s shows a secret: %s", where, text)
		}
	}
	if n := strings.Count(string(yamlText), redacted); n != seeded {
		t.Errorf("%d of %d secrets in\n%s", n, seeded, yamlText)
	}
	for _, word := range []string{"https://kyc.example.com", "tolerance: 25h0m0s", "username: reader",
		"base_url: https://api.example.com", "pii: masked", "flow_id: f"} {
		if !strings.Contains(string(yamlText), word) {
			t.Errorf("%s is missing in\n%s", word, yamlText)
		}
	}

	// Break every line in turn: no fault may quote it.
	lines := strings.Split(text, "\n")
	for i := range lines {
		for _, broken := range []string{"   " + lines[i], strings.Replace(lines[i], ": ", ":", 1),
			strings.ReplaceAll(lines[i], ": ", ":"), strings.ReplaceAll(lines[i], "[", "{"),
			strings.ReplaceAll(lines[i], "[", ""), lines[i] + "}", strings.Replace(lines[i], ": ", ": *", 1)} {
			bad := slices.Clone(lines)
			bad[i] = broken
			if _, err := load(strings.Join(bad, "\n")); err != nil && strings.Contains(err.Error(), seed) {
				t.Errorf("line %d as %q: %v", i+1, broken, err)
			}
		}
	}
}

// TestRedactedCanBeRead: the printed effective configuration is itself a valid configuration.
func TestRedactedCanBeRead(t *testing.T) {
	c, err := LoadConfig("testdata/full.yaml", nil, testCatalog())
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	again, err := load(string(first))
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Redacted()
	if diff := cmp.Diff(string(first), string(second)); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := yaml.Unmarshal(first, &map[string]any{}); err != nil {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	c, err := load("public_url: 'https://h'\nadmin: {tokens: [short]}\n" +
		account("api: {client_secret: x}", "pii: none", "trust_framework: t", "poll: {jitter: 0.1}",
			"limits: {concurrency: 4}") +
		"bus: {url: 'nats://h', token: y}\nembedded: {listen: none, users: [{username: u, password: long-enough}]}")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"admin.tokens: a secret is shorter than 8 characters",
		"embedded.users: has no effect with embedded.listen: none",
		"encryption: no master key, so payloads are stored in clear text; make one with: kycbridge keys generate",
		"bus.token: a secret is shorter than 8 characters",
		"accounts[0].api.client_secret: a secret is shorter than 8 characters",
		"accounts[0].trust_framework: has no effect with pii: none",
	}
	if diff := cmp.Diff(want, Warnings(c)); diff != "" {
		t.Error(diff)
	}
	c, err = load("embedded: {listen: none}")
	if err != nil {
		t.Fatal(err)
	}
	want = []string{"embedded.listen: none, and the events are in this server: nobody can read them"}
	if diff := cmp.Diff(want, Warnings(c)); diff != "" {
		t.Error(diff)
	}
	key, err := keys.Generate("m")
	if err != nil {
		t.Fatal(err)
	}
	c, err = load(account("confirm: false") + "embedded: {listen: none}\nbus: {url: 'nats://h'}\n" +
		"encryption: {key: '" + key + "'}\n")
	if err != nil || Warnings(c) != nil {
		t.Errorf("warnings beside an external bus: %v", err)
	}
}

// TestNoClientPort: none means no address, and is printed unchanged.
func TestNoClientPort(t *testing.T) {
	for listen, want := range map[string]string{"none": "", "127.0.0.1:4222": "127.0.0.1:4222"} {
		c, err := load("embedded: {listen: '" + listen + "'}")
		if err != nil || c.Embedded.Address() != want {
			t.Fatalf("%s: address %q, %v", listen, c.Embedded.Address(), err)
		}
		if text, err := c.Redacted(); err != nil || !strings.Contains(string(text), "listen: "+listen) {
			t.Errorf("%s: %v\n%s", listen, err, text)
		}
	}
}

// TestStartWithoutClientPort: with none the embedded server runs without a client port.
func TestStartWithoutClientPort(t *testing.T) {
	c, err := load("listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nembedded: {listen: none}\ndata_dir: " + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), c, AllRoles(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	if url := a.ClientURL(); url != "" {
		t.Errorf("it listens at %s", url)
	}
	if _, events, err := a.Progress(t.Context()); err != nil || events != 0 {
		t.Errorf("%d events, %v", events, err)
	}
}

// TestServes: a process that only receives or only normalizes shares a store with others.
func TestServes(t *testing.T) {
	receive, normalize := Roles{Receive: true}, Roles{Normalize: true}
	for _, c := range []struct {
		name, config string
		roles        Roles
		refused      bool
	}{
		{"both, embedded", "", AllRoles(), false},
		{"receive, embedded", "", receive, true},
		{"normalize, embedded", "", normalize, true},
		{"normalize, only the bus external", "bus: {url: 'nats://h'}", normalize, true},
		{"receive, external", "store: {url: 'nats://h'}", receive, false},
		{"normalize, external", "store: {url: 'nats://h'}", normalize, false},
	} {
		config, err := load(c.config)
		if err != nil {
			t.Fatal(err)
		}
		err = config.Serves(c.roles)
		if (err != nil) != c.refused || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestConfirmWithBackOffice: an account that reads the back office confirms verdicts unless its configuration says
// otherwise, and no other account of that provider does.
func TestConfirmWithBackOffice(t *testing.T) {
	const api = "api: {base_url: 'https://h.example.com', token: long-enough}"
	for _, c := range []struct {
		lines []string
		want  bool
	}{
		{[]string{api}, false},
		{[]string{api, "back_office: false"}, false},
		{[]string{api, "back_office: true"}, true},
		{[]string{api, "back_office: true", "confirm: true"}, true},
		{[]string{api, "back_office: true", "confirm: false"}, false},
		{[]string{"back_office: true", "confirm: false"}, false},
	} {
		config, err := load(at("signzy", c.lines...))
		if err != nil {
			t.Fatal(c.lines, err)
		}
		if got := *config.Accounts[0].Confirm; got != c.want {
			t.Errorf("%q: confirm %t", c.lines, got)
		}
	}
}

func TestBuildAccounts(t *testing.T) {
	c, err := LoadConfig("testdata/full.yaml", nil, testCatalog())
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]kycbridge.Provider{}
	for _, name := range testCatalog().Names {
		table[name] = kycbridge.Provider{Name: name, ConfirmByDefault: true,
			Decode: func(own map[string]any) any { return own }}
	}
	accounts, err := c.BuildAccounts(table)
	if err != nil || len(accounts) != 4 {
		t.Fatal(accounts, err)
	}
	ondato, err := accounts.Find("ondato", "acme")
	if err != nil {
		t.Fatal(err)
	}
	want := &kycbridge.Account{
		Name: "acme", Provider: table["ondato"], Environment: event.EnvironmentTest, Profile: event.ProfileFull,
		Credentials: kycbridge.Credentials{
			Basic:   []kycbridge.BasicCredential{{Username: "u", Password: "basic-password"}},
			Bearer:  []string{"bearer-token-1", "bearer-token-2"},
			Headers: []kycbridge.HeaderCredential{{Name: "X-Key", Value: "header-value"}},
			HMAC: kycbridge.HMACCredential{Secrets: []string{"hmac-secret-1"}, Header: "Ondato-Signature",
				Tolerance: 25 * time.Hour},
			URLTokens: []string{"url-token-1"},
		},
		AllowIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, RejectInvalid: true, TrustFramework: "de_test",
		Settings: kycbridge.Settings{Own: map[string]any{
			"manual_review": true, "application_ids": []string{"a0000000-0000-4000-8000-000000000001"},
		}},
	}
	if diff := cmp.Diff(want, ondato, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Decode" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	want.Settings.Own = map[string]any{
		"policy":        normalize.Table{"face_match": 0.9, "overlook": []string{"image_quality"}},
		"flow_statuses": map[string]string{"In Review": "in_review", "DROPPED": "abandoned"},
	}
	signzy, _ := accounts.Find("signzy", "acme")
	if diff := cmp.Diff(want.Settings, signzy.Settings); diff != "" || signzy.Profile != event.ProfileMasked {
		t.Errorf("%+v: %s", signzy, diff)
	}
	want.Settings.Own = map[string]any{"checker": true, "country": "LT"}
	kwikid, err := accounts.Find("kwikid", "calls")
	if err != nil || cmp.Diff(want.Settings.Own, kwikid.Settings.Own) != "" {
		t.Errorf("%+v, %v", kwikid, err)
	}
	if _, err := c.BuildAccounts(nil); err == nil {
		t.Error("accounts without providers")
	}
}

// FuzzLoadConfig: no panic, every fault on a line of its own, and no text of a secret's variable in a
// fault.
func FuzzLoadConfig(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte("accounts: [{name: a, provider: ${S}, auth: {bearer: ${S}}, api: {x: [${S}]}}]"))
	f.Add([]byte("a: &x [*x]\n? [b]\n: c\n<<: *x\n"))
	f.Add([]byte("listen: ${S}\nadmin: {tokens: [${S}, ~]}\nreceive: {timeout: ${S}, max_body: ${S}}"))
	const secret = "hunter2-of-the-environment"
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig("kyc.yaml", raw, []string{"S=" + secret, "KYCBRIDGE_BUS_TOKEN=" + secret}, testCatalog())
		if err == nil {
			text, err := c.Redacted()
			if err != nil || !strings.Contains(string(raw), "${") &&
				strings.Contains(string(text)+fmt.Sprintf("%+v", *c), secret) {
				t.Fatalf("%v: %s", err, text)
			}
			return
		}
		var faults *ConfigError
		if !errors.As(err, &faults) || c != nil {
			t.Fatalf("%T: %v", err, err)
		}
		if strings.Contains(err.Error(), secret) || strings.Count(err.Error(), "\n") != len(faults.Faults)-1 {
			t.Fatalf("%d faults: %q", len(faults.Faults), err)
		}
	})
}

// tokenTexts are the tokens of admin.tokens.
func tokenTexts(tokens []AdminToken) (texts []string) {
	for _, t := range tokens {
		texts = append(texts, t.Token.Reveal())
	}
	return texts
}

// parseConfig parses and checks the text of a file.
func parseConfig(path string, raw []byte, environ []string, catalog Catalog) (*Config, error) {
	return parseFiles(path, raw, environ, catalog, fileDigests{})
}

// TestFilesThatNeverEnd: a named pipe or a device in place of a file is a fault at once. To read it would stop a start,
// a command or a reload for ever.
func TestFilesThatNeverEnd(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"secret":        "store: {url: 'nats://h', token_file: " + pipe + "}\n",
		"device":        "store: {url: 'nats://h', token_file: /dev/zero}\n",
		"certificate":   "tls: {cert: " + pipe + ", key: " + pipe + "}\n",
		"NATS":          "store: {url: 'tls://h', credentials_file: " + pipe + "}\nbus: {url: 'tls://h', tls: {ca: " + pipe + "}}\n",
		"key service":   "encryption: {vault: {address: 'https://vault.example.com', key: k, token: t, ca: " + pipe + "}}\n",
		"configuration": "",
	} {
		file := pipe
		if text != "" {
			file = filepath.Join(dir, "kyc.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() {
			config, err := LoadConfig(file, nil, ProviderCatalog())
			if err == nil {
				err = config.CheckFiles()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "it is not a regular file, but a pipe, a socket or a device") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits", name)
		}
	}
}

// TestConfigurationNameIsNoSecret: a secret that was written in place of a path is not repeated.
func TestConfigurationNameIsNoSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	for file, text := range map[string]string{"hunter2-Tok3n": "", "kyc.yaml": "store: {url: 'tls://h', " +
		"credentials_file: hunter2-Tok3n}\nbus: {url: 'tls://h', tls: {ca: hunter2-Tok3n}}\n"} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		config, err := LoadConfig(file, nil, ProviderCatalog())
		if err == nil {
			err = config.CheckFiles()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

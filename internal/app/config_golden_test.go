package app

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/configs.golden; read the difference before committing it")

// goldenConfigs are configurations whose result is compared with testdata/configs.golden: all faults of
// the faulty ones, all values of the others that differ from the defaults. {one}, {several} and {empty}
// are replaced by files of secrets.
var goldenConfigs = []struct {
	name    string
	text    string
	environ []string
}{
	// The form of the file.
	{"nothing", "", nil},
	{"only a comment", "# x\n", nil},
	{"only a document start", "---\n", nil},
	{"null", "~", nil},
	{"a scalar at the top", "x", nil},
	{"an empty scalar at the top", "''", nil},
	{"a list at the top", "\n- a\n- b\n", nil},
	{"an alias at the top", "*a", nil},
	{"a byte order mark", "\ufefflisten: :1\n", nil},
	{"line ends of Windows", "listen: :1\r\nadmn: x\r\n", nil},
	{"a line without its end", "admin:\n  listen: :1\n  lissen: :2", nil},
	{"a tab as indentation", "admin:\n\tlisten: :1\n", nil},
	{"wrong indentation", "admin:\n  listen: :1\n tokens: []\n", nil},
	{"wrong indentation of a list", "accounts:\n  - name: a\n - name: b\n", nil},
	{"an open bracket", "listen: [", nil},
	{"an open bracket, lines later", "listen: [\na\n\n\n", nil},
	{"an open brace", "admin: {listen: x\n\n", nil},
	{"an open quote", "listen: \"abc\nadmin: {}\n", nil},
	{"an open single quote", "listen: 'abc", nil},
	{"an unknown escape", `listen: "\q"`, nil},
	{"a reserved character", "listen: @x\n", nil},
	{"a colon too many", "listen: a: b\n", nil},
	{"an unknown anchor", "listen: *nobody\n", nil},
	{"an unknown directive", "%FOO\n---\nlisten: :1\n", nil},
	{"another version", "%YAML 3.0\n---\nlisten: :1\n", nil},
	{"an unknown tag handle", "listen: !x!y z\n", nil},
	{"a control character", "listen: a\x01b\n", nil},
	{"not UTF-8", "listen: \xff\xfe\n", nil},
	{"a second document", "listen: :1\n---\nadmin: {}\n---\nlog: {}\n", nil},
	{"a second document that is no YAML", "listen: :1\n---\n[", nil},
	{"an empty second document", "listen: :1\n---\n", nil},
	{"the end of a document", "listen: :1\n...\n", nil},
	{"syntax beside a faulty variable", "listen: [", []string{"KYCBRIDGE_LISTEN=x", "KYCBRIDGE_ZZZ=1"}},

	// Keys.
	{"keys twice", "listen: h:1\nadmin: {listen: h:2, listen: h:3}\nlisten: h:4\nlisten: h:5\n", nil},
	{"a key twice in a table", at("signzy", "flow_statuses:", "  Done: failed", "  Done: expired"), nil},
	{"a key twice in api and policy",
		at("signzy", "api: {token: a, token: b}", "policy: {liveness: 1, liveness: 1}"), nil},
	{"keys that are no words", "[a]: b\n? {c: d}\n: e\nadmin: {[x]: y}\n", nil},
	{"keys of other types", "1: a\ntrue: b\n~: c\n'': d\n1.5: e\n", nil},
	{"a merge key", "admin: &a {listen: h:1}\nlog:\n  <<: *a\n", nil},
	{"an anchor", "listen: &a :1\ndata_dir: b\n", nil},
	{"a long key", strings.Repeat("k", 60) + ": x\nclé: y\na.b: z\n", nil},
	{"another case", "Listen: :1\nADMIN: {}\n", nil},
	{"unknown keys in every section",
		"a: 1\nadmin: {b: 1}\nembedded: {users: [{c: 1}]}\nstore: {d: 1, tls: {e: 1}}\n" +
			"accounts: [{f: 1, auth: {g: 1, basic: [{h: 1}], hmac: {i: 1}}, poll: {j: 1}, limits: {k: 1}}]", nil},
	{"inner Go names", "DataDir: x\ndatadir: x\nPublicURL: x\n", nil},

	// Forms of values.
	{"scalars where sections belong", "admin: x\nembedded: 1\nstore: true\nbus: ''\nreceive: []\nlog: [a]\n", nil},
	{"sections that are null", "admin:\nembedded: ~\nstore: null\nbus:\nreceive:\nnames:\naccounts:\n", nil},
	{"sections that are empty",
		"admin: {}\nembedded: {users: []}\nstore: {tls: {}}\ntrusted_proxies: []\naccounts: []\n", nil},
	{"values that are null",
		"listen:\ndata_dir: ~\nreceive: {max_body: , timeout: ~}\nadmin: {tokens: }\nlog: {level: null}\n", nil},
	{"values that are empty",
		"listen: ''\ndata_dir: ''\nreceive: {max_body: '', timeout: '', requests_per_second: ''}\n" +
			"log: {level: ''}\n", nil},
	{"lists where scalars belong",
		"listen: [a]\nreceive: {max_body: [1], timeout: [1s], requests_per_second: [1]}\n", nil},
	{"mappings where scalars belong", "listen: {a: b}\nreceive: {max_body: {a: b}, timeout: {}}\n", nil},
	{"other than lists",
		"trusted_proxies: {a: b}\nadmin: {tokens: x}\nembedded: {users: {username: u}}\naccounts: {name: a}\n", nil},
	{"lists that are scalars", "trusted_proxies: ''\naccounts: x\n", nil},
	{"odd elements", "trusted_proxies: [10.0.0.0/8, ~, [a], {b: c}, '', 192.0.2.1]\n", nil},
	{"odd elements of sections",
		"embedded:\n  users:\n    - x\n    - ~\n    - {username: u, password: long-enough}\n    - [a]\n" +
			"    - {}\n", nil},
	{"odd accounts", "accounts:\n  - x\n  -\n  - {name: a}\n  - []\n", nil},
	{"aliases", "listen: &a :1\nadmin: &b {listen: *a}\nlog: *b\ntrusted_proxies: [*a]\naccounts: *b\n", nil},
	{"tags",
		"listen: !!str :1\ndata_dir: !!binary YQ==\n" +
			"receive: {max_body: !!str 2048, concurrency: !!float 3, timeout: !x 5s}\n", nil},
	{"tags of null",
		"listen: !!null x\nadmin: !!null {listen: h:1}\ntrusted_proxies: !!null [a]\nlog: {level: !!null }\n", nil},
	{"a null element with a tag", "trusted_proxies: [!!null {}, !!null x]\n", nil},
	{"texts of several lines", "data_dir: |\n  a\n  b\npublic_url: >-\n  https://h\n", nil},
	{"whole numbers",
		"receive: {max_body: 0x1000, concurrency: 1_0}\nnormalize: {workers: +7, max_attempts: 1e1}\n", nil},
	{"whole numbers that are too large",
		"receive: {max_body: 99999999999999999999}\nnormalize: {workers: -1}\n", nil},
	{"numbers", "receive: {requests_per_second: 1e3}\ntracing: {sample: .5}\n", nil},
	{"numbers that are none", "receive: {requests_per_second: .inf}\ntracing: {sample: half}\n", nil},
	{"a number that is infinite", "receive: {requests_per_second: 1e999}\ntracing: {sample: 1_0}\n", nil},
	{"durations", "receive: {timeout: 1h30m, drain: 0}\nintegrity: {scrub: 1.5s}\n", nil},
	{"durations that are none", "receive: {timeout: 10 s, drain: 1d}\nintegrity: {scrub: 10}\n", nil},
	{"true and false", account("reject_invalid: true", "manual_review: false", "confirm: False"), nil},
	{"neither true nor false", account("reject_invalid: yes", "manual_review: 1", "confirm: ''"), nil},
	{"confirm of null", at("idwise", "confirm: ~"), nil},

	// The sections api, policy and tables.
	{"api in odd forms", account("api: x") + strings.TrimPrefix(account("api: []"), "accounts:\n"), nil},
	{"api of null, empty",
		account("api:") +
			strings.TrimPrefix(strings.Replace(account("api: {}"), "acme", "b", 1), "accounts:\n"), nil},
	{"api with odd values",
		account("api:", "  token_url:", "  idv_url: {a: b}", "  client_id: [a, b]", "  client_secret: ~",
			"  setup_id: [~, [x], *a, y]"), nil},
	{"api with odd values that are YAML",
		account("api:", "  token_url:", "  idv_url: {a: b}", "  client_id: [a, b]", "  client_secret: ~",
			"  setup_id: [~, [x], y]"), nil},
	{"api with lists",
		at("signzy", "api: {base_url: https://h, token: long-enough, file_hosts: [a, 'b,c'], flow_id: []}"), nil},
	{"api with files",
		at("idwise", "api: {base_url: https://h, key_file: '{one}', secret_file: '{several}'}"), nil},
	{"api with an empty file",
		at("idwise", "api: {base_url: https://h, key_file: '{empty}', secret_file: [a]}"), nil},
	{"api with twins", at("idwise", "api: {base_url: https://h, key: a, key_file: b, secret_file: '${NOT}'}"), nil},
	{"api twins of null", at("idwise", "api: {base_url: https://h, key_file: , secret_file: ~}"), nil},
	{"api with a file that is an alias",
		at("idwise", "api: {base_url: &a https://h, key_file: *a, secret_file: {a: b}}"), nil},
	{"api with odd keys", account("api: {[a]: b, a.b: c, '': d, client_secret:hunter2: , TOKEN_URL: e}"), nil},
	{"policy in odd forms",
		at("signzy", "policy: x") + strings.TrimPrefix(at("signzy", "policy: [a]"), "accounts:\n"), nil},
	{"policy of null, empty",
		at("signzy", "policy:") +
			strings.TrimPrefix(strings.Replace(at("signzy", "policy: {}"), "acme", "b", 1), "accounts:\n"), nil},
	{"policy with odd values", at("signzy", "policy: {face_match: ~, liveness: [1], overlook: ~}"), nil},
	{"policy with odd lists", at("signzy", "policy: {face_match: 0.5, overlook: [~, ip_risk, [a], '']}"), nil},
	{"policy with an alias", at("signzy", "policy: {face_match: &a 0.5, liveness: *a, overlook: *a}"), nil},
	{"policy that overlooks nothing", at("signzy", "policy: {face_match: 0.5, overlook: []}"), nil},
	{"policy with files", at("signzy", "policy: {face_match_file: '{one}', overlook_file: x}"), nil},
	{"tables",
		at("signzy", "flow_statuses: {a.b: failed, '': expired, C: ~, 1: in_review}",
			"poll: {intervals: {a.b: 1s, in_review: 2s}}"), nil},
	{"tables in odd forms",
		at("signzy", "flow_statuses: []", "poll: {intervals: x, rechecks: 5s, jitter: [1]}"), nil},
	{"tables with odd values",
		at("signzy", "flow_statuses: {a: [b], c: {d: e}}",
			"poll: {intervals: {a: soon, b: }, rechecks: [~, soon, 5s]}"), nil},
	{"tables that are empty", at("signzy", "flow_statuses: {}", "poll: {intervals: {}, rechecks: []}"), nil},

	// Variables and files.
	{"variables in values",
		"data_dir: a${A}${B}c$${D}$$${E}$x\nlisten: '${L}'\nreceive: {max_body: '${N}', timeout: '${T}'}\n",
		[]string{"A=1", "B=${A}", "L=:1", "N=2048", "T=3s"}},
	{"variables that are not set", "data_dir: ${A}${B}\nlisten: ${C}\n", []string{"B=x"}},
	{"variables that are broken",
		"data_dir: ${\nlisten: a${A}${B C}${D}\nlog: {level: '${}', format: '${1}'}\n", nil},
	{"variables in keys", "${A}: x\nadmin: {'${B}': y}\n", []string{"A=listen", "B=listen"}},
	{"variables of wrong types",
		"receive: {max_body: '${X}', timeout: '${X}', requests_per_second: '${X}'}\n", []string{"X=hunter2"}},
	{"variables in elements", "trusted_proxies: ['${X}', '${Y}', '$${Z}']\n", []string{"X=10.0.0.0/8"}},
	{"a variable that is null", "data_dir: '${X}'\nlisten: '${Y}'\n", []string{"X=~", "Y=null"}},
	{"a variable of the prefix that the file refers to",
		"data_dir: '${KYCBRIDGE_OWN}'\n", []string{"KYCBRIDGE_OWN=x"}},
	{"files of secrets", "admin: {tokens_file: '{several}'}\nbus: {url: nats://h, token_file: '{one}'}\n", nil},
	{"files of secrets with faults",
		"admin: {tokens_file: '{empty}'}\nbus: {url: nats://h, token_file: '{several}'}\n" +
			"store: {url: nats://h, token_file: none}\n", nil},
	{"files of secrets in odd forms",
		"admin: {tokens_file: [a]}\nbus: {token_file: {a: b}}\nstore: {token_file: }\n", nil},
	{"twins",
		"admin:\n  tokens_file: '{several}'\n  tokens: [long-enough]\n" +
			"bus: {url: nats://h, token: x, token_file: y}\n", nil},
	{"a file of no secret", "data_dir_file: '{one}'\nstore: {url_file: '{one}'}\n", nil},
	{"a file of null", "bus: {url: nats://h, username: u, password_file: ~}\n", nil},
	{"files in accounts",
		"accounts: [{name: a, provider: ondato, environment: test, auth: {basic: [{username: u, " +
			"password_file: '{one}'}, {username: v, password_file: none}], " +
			"bearer_file: '{several}', hmac: {secrets_file: '{one}'}}}]", nil},

	// The environment over the file.
	{"every type",
		"", []string{"KYCBRIDGE_LISTEN=:1", "KYCBRIDGE_RECEIVE_MAX_BODY=2048",
			"KYCBRIDGE_RECEIVE_REQUESTS_PER_SECOND=2.5", "KYCBRIDGE_RECEIVE__DRAIN=1s",
			"KYCBRIDGE_ADMIN_TOKENS=long-enough, other-long-one", "KYCBRIDGE_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1",
			"KYCBRIDGE_BUS_READERS=a", "KYCBRIDGE_BUS_URL=nats://h"}},
	{"every type, wrong",
		"", []string{"KYCBRIDGE_RECEIVE_MAX_BODY=x", "KYCBRIDGE_RECEIVE_REQUESTS_PER_SECOND=NaN",
			"KYCBRIDGE_RECEIVE__DRAIN=1",
			"KYCBRIDGE_TRUSTED_PROXIES=,", "KYCBRIDGE_LOG_LEVEL=inf"}},
	{"over the file",
		"listen: :1\nadmin: {listen: h:2, tokens: [of-the-file, other-of-the-file]}\ntrusted_proxies: [10.0.0.0/8]\n",
		[]string{"KYCBRIDGE_LISTEN=:9", "KYCBRIDGE_ADMIN_TOKENS=of-the-environment",
			"KYCBRIDGE_TRUSTED_PROXIES=192.0.2.1"}},
	{"over faults of the file",
		"listen: [x]\nreceive: {max_body: x}\nadmin: x\n", []string{"KYCBRIDGE_LISTEN=:9",
			"KYCBRIDGE_RECEIVE_MAX_BODY=2048", "KYCBRIDGE_ADMIN_LISTEN=:8"}},
	{"faults over the file",
		"listen: :1\nreceive: {max_body: 4096}\n", []string{"KYCBRIDGE_LISTEN=x", "KYCBRIDGE_RECEIVE_MAX_BODY=1"}},
	{"empty", "listen: :1\n", []string{"KYCBRIDGE_LISTEN=", "KYCBRIDGE_ZZZ="}},
	{"no variable", "", []string{"KYCBRIDGE_LISTEN", "KYCBRIDGE_", "KYCBRIDGE", "=x"}},
	{"the prefix alone", "", []string{"KYCBRIDGE_=x", "KYCBRIDGE___=x"}},
	{"files",
		"", []string{"KYCBRIDGE_ADMIN_TOKENS_FILE={several}", "KYCBRIDGE_BUS_URL=nats://h",
			"KYCBRIDGE_BUS_TOKEN_FILE={one}"}},
	{"files with faults",
		"", []string{"KYCBRIDGE_ADMIN_TOKENS_FILE={empty}", "KYCBRIDGE_BUS_URL=nats://h",
			"KYCBRIDGE_BUS_TOKEN_FILE={several}", "KYCBRIDGE_STORE_TOKEN_FILE=none"}},
	{"one key twice",
		"", []string{"KYCBRIDGE_ADMIN_TOKENS=long-enough", "KYCBRIDGE_ADMIN_TOKENS_FILE={one}",
			"KYCBRIDGE_ADMIN__LISTEN=:1", "KYCBRIDGE_ADMIN_LISTEN=:2"}},
	{"one variable twice", "", []string{"KYCBRIDGE_LISTEN=:3", "KYCBRIDGE_LISTEN=:2"}},
	{"unknown",
		"", []string{"KYCBRIDGE_LISTN=x", "KYCBRIDGE_ADMIN_TOKENS_FILES=x", "KYCBRIDGE_EMBEDDED_USERS=x",
			"KYCBRIDGE_ACCOUNTS_0_NAME=x", "KYCBRIDGE_listen=x"}},
	{"of others",
		"", []string{"KYCBRIDGE_SERVICE_PORT=1", "KYCBRIDGE_PORT=tcp://x", "KYCBRIDGE_PORT_1_TCP=x",
			"KYCBRIDGE_CONFIG=x", "KYCBRIDGE_API=x", "KYCBRIDGE_TOKEN=x"}},
	{"taken as it stands", "", []string{"KYCBRIDGE_DATA_DIR=${X} $${Y}", "KYCBRIDGE_LOG_LEVEL= info"}},
	{"a file that refers to nobody", "", []string{"KYCBRIDGE_BUS_URL=nats://h", "KYCBRIDGE_BUS_TOKEN_FILE=${X}"}},

	// Several faults together.
	{"a fault hides what follows from it",
		"embedded: {listen: [x], users: x}\n" +
			"accounts: [{name: [a], provider: 1, auth: {bearer: x, hmac: {tolerance: soon}}, api: {x: [~]}}]", nil},
	{"everything at once",
		"listn: x\nadmin: {listen: x, tokens: ['', ~]}\nembedded: {listen: 0.0.0.0:1}\n" +
			"store: {url: x, replicas: 9}\nbus: {token: x}\n" +
			"receive: {max_body: 1, timeout: 0s}\nnames: {subject_prefix: '>'}\nlog: {level: x}\n" +
			account("pii: x", "poll: {interval: -1s}", "allow_ips: [x]"),
		[]string{"KYCBRIDGE_LOG_FORMAT=x", "KYCBRIDGE_X=1"}},

	// Retention.
	{"retention", "retention: {payloads: 60d, quarantine: 36h, refused: 0, events: 365d, starts: 2h}\n" +
		account("retention: {payloads: 90d, events: 0}"), nil},
	{"retention with faults", "retention: {payloads: soon, quarantine: -1h, refused: 1m, starts: 59m}\n" +
		account("retention: {payloads: 0, events: 10d, starts: 1h}"), nil},
	{"short retention", "retention: {payloads: 20d, refused: 1m, starts: 59m, events: 19d}\n" +
		account("retention: {payloads: 0, events: 10d}"), nil},

	// Rights.
	{"tokens with rights", "admin:\n  tokens:\n    - a-plain-one\n    - {name: alice, token: one-two-three, rights: [read, reveal]}\n" +
		"    - {name: bob, token_file: '{one}', rights: [purge]}\n    - {name: carl, token_sha256: " + strings.Repeat("aB", 32) +
		", rights: [hold]}\n", nil},
	{"tokens with faults", "admin:\n  tokens:\n    - {name: alice, token: x, rights: [read, rede, read]}\n" +
		"    - {name: alice, rights: []}\n    - {token: x, rights: [read]}\n    - {name: c, token: y, token_sha256: ab}\n" +
		"    - {name: 'os:root', token: z, rights: [read]}\n    - ''\n    - [a]\n    - {name: token-01020304, tokn: z}\n" +
		"    - {name: d, token_sha256: xx, rights: read}\n", nil},
	{"a token twice", "admin: {tokens: [one-two-three, one-two-three, {name: a, token: one-two-three, rights: [read]}]}\n", nil},
	{"certificates with rights", "admin:\n  client_certs:\n    - {name: 'a:b', subject_cn: a, rights: []}\n" +
		"    - {name: c, subject_cn: c, rights: [all]}\n", nil},
}

// TestConfigGolden: the faults and the values of a configuration do not change.
func TestConfigGolden(t *testing.T) {
	one, several, empty := write(t, "secret-one\n"), write(t, "secret-a\n\nsecret-b\r\n"), write(t, "\n")
	files := strings.NewReplacer("{one}", one, "{several}", several, "{empty}", empty)
	names := strings.NewReplacer(one, "{one}", several, "{several}", empty, "{empty}")
	var out strings.Builder
	for _, c := range goldenConfigs {
		environ := slices.Clone(c.environ)
		for i := range environ {
			environ[i] = files.Replace(environ[i])
		}
		config, err := load(files.Replace(c.text), environ...)
		fmt.Fprintf(&out, "== %s\n%s\n", c.name, names.Replace(outcome(config, err)))
	}
	name := filepath.Join("testdata", "configs.golden")
	if *update {
		if err := os.WriteFile(name, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// outcome is the faults, or the values that differ from the defaults, one per line.
func outcome(config *Config, err error) string {
	if err != nil {
		return err.Error()
	}
	standard, got := valuesOf("", reflect.ValueOf(defaults())), valuesOf("", reflect.ValueOf(*config))
	var lines []string
	for _, line := range standard {
		if !slices.Contains(got, line) {
			lines = append(lines, "not "+line)
		}
	}
	for _, line := range got {
		if !slices.Contains(standard, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// valuesOf are the non-zero values within v, secrets included, as key = value.
func valuesOf(key string, v reflect.Value) (out []string) {
	if v.IsZero() {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return append(valuesOf(key, v.Elem()), key+" is set")
	case reflect.Struct:
		for i, k := range keysOf(v.Type()) {
			if own, ok := v.Field(i).Interface().(Own); ok {
				for _, name := range slices.Sorted(maps.Keys(own)) {
					out = append(out, valuesOf(join(key, name), reflect.ValueOf(own[name]))...)
				}
				continue
			}
			out = append(out, valuesOf(join(key, k), v.Field(i))...)
		}
		return out
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, valuesOf(item(key, i), v.Index(i))...)
		}
		return append(out, key+" has "+strconv.Itoa(v.Len()))
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			out = append(out, valuesOf(key+"["+strconv.Quote(it.Key().String())+"]", it.Value())...)
		}
		slices.Sort(out)
		return append(out, key+" has "+strconv.Itoa(v.Len()))
	case reflect.String:
		return []string{key + " = " + strconv.Quote(v.String())}
	}
	return []string{fmt.Sprintf("%s = %v", key, v)}
}

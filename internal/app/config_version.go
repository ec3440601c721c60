package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// atReload records for each key outside the accounts whether a reload applies it (true) or it needs a restart
// (false). Every key must be listed; accounts are applied as a whole.
var atReload = map[string]bool{
	"accounts":                    true,
	"encryption.event_key":        true,
	"encryption.recipients":       true,
	"encryption.key":              true,
	"admin.tokens":                true,
	"admin.client_certs":          true,
	"trusted_proxies":             true,
	"receive.concurrency":         true,
	"receive.requests_per_second": true,
	"receive.timeout":             true,
	"log.level":                   true,

	"listen": false, "tls.cert": false, "tls.key": false, "tls.client_ca": false,
	"admin.listen": false, "admin.max_start": false,
	"admin.tls.cert": false, "admin.tls.key": false, "admin.tls.client_ca": false,
	"public_url": false, "proxy": false, "data_dir": false, "embedded.listen": false, "embedded.users": false,
	"store.url": false, "store.credentials_file": false, "store.username": false, "store.password": false,
	"store.token": false, "store.tls.ca": false, "store.tls.cert": false, "store.tls.key": false,
	"store.replicas": false, "store.readers": false,
	"bus.url": false, "bus.credentials_file": false, "bus.username": false, "bus.password": false,
	"bus.token": false, "bus.tls.ca": false, "bus.tls.cert": false, "bus.tls.key": false,
	"bus.replicas": false, "bus.readers": false,
	"receive.max_body": false, "receive.drain": false, "normalize.workers": false, "normalize.max_attempts": false,
	"integrity.scrub": false, "integrity.restored": false, "integrity.signing_key": false, "integrity.log": false,
	"encryption.vault.address": false, "encryption.vault.mount": false,
	"encryption.vault.key": false, "encryption.vault.token": false, "encryption.vault.namespace": false,
	"encryption.vault.ca": false,
	"retention.payloads":  false, "retention.quarantine": false, "retention.refused": false, "retention.events": false,
	"retention.starts":     false,
	"names.subject_prefix": false, "names.stream_prefix": false, "names.type_prefix": false,
	"names.source_prefix": false,
	"log.format":          false, "tracing.endpoint": false, "tracing.sample": false,
}

// with is c with the keys of next that a reload applies.
func (c *Config) with(next *Config) *Config {
	out := *c
	out.Accounts = next.Accounts
	out.Admin.Tokens, out.Admin.ClientCerts = next.Admin.Tokens, next.Admin.ClientCerts
	out.Encryption.EventKey, out.Encryption.Recipients = next.Encryption.EventKey, next.Encryption.Recipients
	if c.Encryption.Key != "" && next.Encryption.Key != "" {
		out.Encryption.Key = next.Encryption.Key
	}
	out.TrustedProxies = next.TrustedProxies
	out.Receive.Concurrency = next.Receive.Concurrency
	out.Receive.RequestsPerSecond = next.Receive.RequestsPerSecond
	out.Receive.Timeout = next.Receive.Timeout
	out.Log.Level = next.Log.Level
	return &out
}

// How a key differs between two configurations.
const (
	keyAdded   = "added"
	keyRemoved = "removed"
	keyChanged = "changed"
)

// ConfigChange is a key that differs between two configurations. It contains no values: any value may be a secret.
type ConfigChange struct {
	Key     string `json:"key"`    // such as accounts[kwikid/acme].auth.bearer
	Change  string `json:"change"` // added, removed or changed
	Restart bool   `json:"restart_needed"`
}

// String is the change on one line.
func (c ConfigChange) String() string {
	applies := "applies at reload"
	if c.Restart {
		applies = "needs a restart"
	}
	return c.Key + " " + c.Change + ", " + applies
}

// DiffConfig lists the keys in which two configurations differ, ordered by key. An account that is in only one of
// them counts as one key.
func DiffConfig(from, to *Config) []ConfigChange {
	before, after := from.leaves(), to.leaves()
	changes := []ConfigChange{}
	add := func(key, change string) {
		key = wholeAccount(key, before, after)
		if n := len(changes); n == 0 || changes[n-1].Key != key {
			// Encryption can be enabled or disabled only at a start.
			restart := !appliesAtReload(key) || key == "encryption.key" && change != keyChanged
			changes = append(changes, ConfigChange{Key: key, Change: change, Restart: restart})
		}
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		was, had := before[key]
		is, has := after[key]
		switch {
		case !had:
			add(key, keyAdded)
		case !has:
			add(key, keyRemoved)
		case was != is:
			add(key, keyChanged)
		}
	}
	return changes
}

// wholeAccount is the path of the account of a key if only one side has this account, else the key.
func wholeAccount(key string, before, after map[string]string) string {
	account, _, inAccount := strings.Cut(key, "].")
	if !inAccount || !strings.HasPrefix(account, "accounts[") {
		return key
	}
	_, had := before[account+"].name"]
	_, has := after[account+"].name"]
	if had && has {
		return key
	}
	return account + "]"
}

// appliesAtReload reports whether a reload applies a key.
func appliesAtReload(key string) bool {
	key, _, _ = strings.Cut(key, "[")
	return atReload[key]
}

// Version identifies the effective configuration: 12 hex digits of a hash over every key and value. It does not
// depend on the values of secrets, because it is in the metrics and in the log: anyone who knows the rest of the
// configuration could test guesses of a weak secret with it.
func (c *Config) Version() string {
	leaves := c.leavesWith(Secret.String)
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(leaves)) {
		fmt.Fprintf(hash, "%d:%s%d:%s", len(key), key, len(leaves[key]), leaves[key])
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// leaves are all keys with their values as text, secrets as hashes. They differ if a secret does, so they stay in
// this process. Empty optional keys are omitted.
func (c *Config) leaves() map[string]string { return c.leavesWith(hashed) }

// leavesWith are all keys with their values as text; secret returns the text for a secret.
func (c *Config) leavesWith(secret func(Secret) string) map[string]string {
	out := keyValues{text: map[string]string{}, secret: secret}
	out.section("", reflect.ValueOf(*c))
	return out.text
}

// keyValues collects keys with their values as text.
type keyValues struct {
	text   map[string]string
	secret func(Secret) string
}

// section adds the keys of a struct.
func (l keyValues) section(at string, v reflect.Value) {
	for i, name := range keysOf(v.Type()) {
		field, key := v.Field(i), join(at, name)
		_, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if strings.Contains(options, "omitempty") && isEmpty(field) {
			continue
		}
		if own, ok := field.Interface().(Own); ok {
			for name, value := range own {
				l.add(join(at, name), value)
			}
			continue
		}
		l.value(key, field)
	}
}

// value adds a key with its value, or the keys within it.
func (l keyValues) value(key string, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[API]():
		for name, value := range v.Interface().(API) {
			if secretAPIKey(name) {
				value = l.secret(Secret(value))
			}
			l.text[join(key, name)] = value
		}
	case v.Type() == reflect.TypeFor[Secret]():
		l.text[key] = l.secret(v.Interface().(Secret))
	case v.Type() == reflect.TypeFor[TokenDigest]():
		l.text[key] = l.secret(Secret(v.String()))
	case v.Type() == reflect.TypeFor[[]Secret]():
		var all []string
		for _, secret := range v.Interface().([]Secret) {
			all = append(all, l.secret(secret))
		}
		l.text[key] = strings.Join(all, ",")
	case v.Kind() == reflect.Struct:
		l.section(key, v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			at := item(key, i)
			if a, ok := v.Index(i).Interface().(Account); ok {
				at = key + "[" + a.Provider + "/" + a.Name + "]"
			}
			l.section(at, v.Index(i))
		}
	default:
		l.add(key, v.Interface())
	}
}

// add adds a value without secrets.
func (l keyValues) add(key string, value any) {
	text, err := json.Marshal(value)
	l.text[key] = cmp.Or(string(text), fmt.Sprint(err))
}

// hashed is a hash that represents a secret. Its label makes it differ from any other hash of the same secret.
func hashed(s Secret) string {
	sum := sha256.Sum256([]byte("kycbridge configuration secret\x00" + s.Reveal()))
	return hex.EncodeToString(sum[:])
}

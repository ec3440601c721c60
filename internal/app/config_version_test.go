package app

import (
	"reflect"
	"strings"
	"testing"

	"kycbridge"
)

// TestEveryKeySaysWhenItApplies: a new key must be listed in atReload.
func TestEveryKeySaysWhenItApplies(t *testing.T) {
	known := map[string]bool{}
	var walk func(at string, of reflect.Type)
	walk = func(at string, of reflect.Type) {
		for i, name := range keysOf(of) {
			key := join(at, name)
			if of.Field(i).Type.Kind() == reflect.Struct {
				walk(key, of.Field(i).Type)
				continue
			}
			known[key] = true
			if _, ok := atReload[key]; !ok {
				t.Errorf("%s: say in atReload whether a reload applies it", key)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	for key := range atReload {
		if !known[key] {
			t.Errorf("%s is no key", key)
		}
	}
}

// TestAReloadAppliesWhatTheTableSays: after a change of every key, exactly those that need a restart still differ.
func TestAReloadAppliesWhatTheTableSays(t *testing.T) {
	was := defaults()
	was.Encryption.Key = "another" // without one, a master key takes effect at the next start
	next := everyKeyChanged(t)
	differing := map[string]bool{}
	for _, c := range DiffConfig(was.with(next), next) {
		key, _, _ := strings.Cut(c.Key, "[")
		differing[key] = true
		if !c.Restart {
			t.Errorf("%s differs after a reload", c)
		}
	}
	for key, applied := range atReload {
		if differing[key] == applied {
			t.Errorf("%s: differs %v, in the table %v", key, differing[key], applied)
		}
	}
}

// everyKeyChanged is a configuration in which every key differs from the defaults.
func everyKeyChanged(t *testing.T) *Config {
	c := defaults()
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0))
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Float64:
			v.SetFloat(v.Float() + 1)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Map, reflect.Pointer:
		default:
			t.Fatalf("no value for %s", v.Type())
		}
	}
	fill(reflect.ValueOf(&c).Elem())
	return &c
}

// withSecrets is a configuration in which every secret has this value.
func withSecrets(t *testing.T, value string) *Config {
	c := everyKeyChanged(t)
	c.Accounts[0].API = API{"url": "u", "password": value, "client_secret": value}
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[Secret](), v.Type() == reflect.TypeFor[TokenDigest]():
			v.SetString(value)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case v.Kind() == reflect.Pointer && !v.IsNil():
			fill(v.Elem())
		}
	}
	fill(reflect.ValueOf(c).Elem())
	return c
}

// TestVersionTestsNoGuess: the version, which everyone who reads the metrics knows, is the same for any two secrets, so
// guesses of one cannot be tested with it. It changes if a secret is added.
func TestVersionTestsNoGuess(t *testing.T) {
	one, another := withSecrets(t, "1234"), withSecrets(t, "9876")
	if one.Version() != another.Version() {
		t.Error("the version depends on a secret")
	}
	if len(DiffConfig(one, another)) < 20 {
		t.Errorf("only %d secrets differ", len(DiffConfig(one, another)))
	}
	another.Accounts[0].Auth.Bearer = append(another.Accounts[0].Auth.Bearer, "more")
	if one.Version() == another.Version() {
		t.Error("one more secret does not change the version")
	}
}

// TestDiffShowsNoSecret: keys only, and an added account once.
func TestDiffShowsNoSecret(t *testing.T) {
	account := func(secret string) Account {
		return Account{Name: "acme", Provider: "kwikid", Auth: Auth{Bearer: []Secret{Secret(secret)}},
			API: API{"password": secret, "url": "u"}}
	}
	from, to := defaults(), defaults()
	from.Accounts = []Account{account("tiger-one"), {Name: "gone", Provider: "kwikid"}}
	to.Accounts = []Account{{Name: "new", Provider: "ondato"}, account("tiger-two")}
	to.Log.Format = "console"
	var lines []string
	for _, c := range DiffConfig(&from, &to) {
		lines = append(lines, c.String())
	}
	want := []string{
		"accounts[kwikid/acme].api.password changed, applies at reload",
		"accounts[kwikid/acme].auth.bearer changed, applies at reload",
		"accounts[kwikid/gone] removed, applies at reload",
		"accounts[ondato/new] added, applies at reload",
		"log.format changed, needs a restart",
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	if from.Version() == to.Version() || len(from.Version()) != 12 {
		t.Errorf("versions %s and %s", from.Version(), to.Version())
	}
	for key, value := range to.leaves() {
		if strings.Contains(key+value, "tiger") {
			t.Errorf("%s shows a secret", key)
		}
	}
	to = from
	to.Accounts = append([]Account{}, from.Accounts[1], from.Accounts[0])
	if from.Version() != to.Version() {
		t.Error("the order of the accounts changes the version")
	}
}

// TestUnchangedAccountsKeepTheirAPI: an account gets another client only if a setting that its API depends
// on has changed.
func TestUnchangedAccountsKeepTheirAPI(t *testing.T) {
	key := kycbridge.AccountKey{Provider: "kwikid", Account: "calls"}
	account := func() Account {
		return Account{Name: "calls", Provider: "kwikid", API: API{"password": "one"}, Limits: Limits{Concurrency: 2}}
	}
	before := &live{config: &Config{Accounts: []Account{account()}}}
	for name, c := range map[string]struct {
		edit func(*Account)
		same bool
	}{
		"nothing":     {func(*Account) {}, true},
		"credentials": {func(a *Account) { a.Auth.Bearer = []Secret{"new"} }, true},
		"addresses":   {func(a *Account) { a.AllowIPs = []string{"192.0.2.1"} }, true},
		"polling":     {func(a *Account) { a.Poll.Interval = 1 }, true},
		"password":    {func(a *Account) { a.API["password"] = "two" }, false},
		"limits":      {func(a *Account) { a.Limits.Concurrency = 3 }, false},
		"keys":        {func(a *Account) { a.Auth.Keys = []Secret{"new"} }, false},
		"settings":    {func(a *Account) { a.Own = Own{"flow_statuses": "x"} }, false},
	} {
		now := account()
		c.edit(&now)
		if got := before.sameAPI(key, now); got != c.same {
			t.Errorf("%s changed: same %v", name, got)
		}
	}
	if before.sameAPI(kycbridge.AccountKey{Provider: "kwikid", Account: "other"}, account()) ||
		(*live)(nil).sameAPI(key, account()) {
		t.Error("an account that was not there has an API already")
	}
}

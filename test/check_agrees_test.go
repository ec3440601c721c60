package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

// Event.Check replaces the published schema where speed matters, so these tests compare the two: for every
// changed event, both refuse it or neither does. TestCheckStricter lists everything that only Check refuses.

// judge compares Check and the schema on an event.
type judge struct {
	set *schemas.Set
}

func newJudge(tb testing.TB) judge {
	tb.Helper()
	set, err := schemas.New()
	if err != nil {
		tb.Fatal(err)
	}
	return judge{set}
}

// schema returns the faults of e in its JSON form; if e cannot be encoded, that is a fault.
func (j judge) schema(e *event.Event) (body []byte, found []schemas.Fault) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, []schemas.Fault{{Message: "cannot be written: " + err.Error()}}
	}
	doc, found := document.Decode(body)
	if len(found) == 0 {
		found = j.set.ValidateEvent(doc)
	}
	return body, found
}

// agree reports an error if only one of the two refuses e, or if both refuse it without a fault in the same place.
// what describes how e was made.
func (j judge) agree(t *testing.T, e *event.Event, what ...any) {
	t.Helper()
	checked := e.Check()
	body, found := j.schema(e)
	switch {
	case (len(checked) > 0) == (len(found) > 0):
		if len(found) > 0 && body != nil && !samePlace(checked, found) {
			t.Errorf("%v: Check reports %v, the schema %v", what, checked, found)
		}
	case len(checked) > 0 && stricter(e, body):
	default:
		t.Errorf("%v: Check reports %v, the schema %v", what, checked, found)
	}
}

// samePlace reports whether a fault of one is at, above or below a fault of the other.
func samePlace(checked []event.Fault, found []schemas.Fault) bool {
	for _, c := range checked {
		for _, f := range found {
			if below(c.Path, f.Path) || below(f.Path, c.Path) {
				return true
			}
		}
	}
	return false
}

func below(place, other string) bool { return place == other || strings.HasPrefix(place, other+"/") }

// signedClock is an instant whose hour, minute or second has a sign.
var signedClock = regexp.MustCompile(`"\d{4}-\d\d-\d\d[Tt][0-9:]*[-+][-+0-9:]*(\.\d+)?Z"`)

// stricter reports whether only Check refuses e, see TestCheckStricter.
func stricter(e *event.Event, body []byte) bool {
	id := e.Data.VerificationID
	return e.Subject != id || e.PartitionKey != id || signedClock.Match(body)
}

// TestCheckStricter is the list of what Check refuses and the schema does not.
func TestCheckStricter(t *testing.T) {
	j := newJudge(t)
	for name, spoil := range map[string]func(*event.Event){
		// A schema cannot compare two members. Consumers find the state of a verification by either.
		"subject of another verification":      func(e *event.Event) { e.Subject = e.ID },
		"partitionkey of another verification": func(e *event.Event) { e.PartitionKey = e.ID },
		// The validator reads the two bytes of an hour as a signed number; RFC 3339 requires digits.
		"hour with a sign":   func(e *event.Event) { e.Time = "2026-03-02T+1:00:00Z" },
		"second with a sign": func(e *event.Event) { e.Data.Decision.DecidedAt = "2026-03-02T10:00:-0Z" },
	} {
		e := wholeEvent()
		spoil(e)
		if body, found := j.schema(e); len(found) > 0 || !stricter(e, body) {
			t.Errorf("%s: no longer Check's alone: %v", name, found)
		}
		if e.Check() == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

// place is a place in an event whose value can be replaced.
type place struct {
	path  string // as in Go, Data.Checks[3].Result
	value reflect.Value
	set   func(reflect.Value)
}

// with replaces the value while do runs.
func (p place) with(value reflect.Value, do func()) {
	old := reflect.New(p.value.Type()).Elem()
	old.Set(p.value)
	p.set(value)
	do()
	p.set(old)
}

// kind is the path without indexes of lists and keys of maps.
func (p place) kind() string { return itemOrMember.ReplaceAllString(p.path, "[]") }

var itemOrMember = regexp.MustCompile(`\[[^\]]*\]`)

// placesIn lists every place of an event that is encoded.
func placesIn(e *event.Event) []place {
	var found []place
	root := reflect.ValueOf(e).Elem()
	visit(root, "", func(p place) { found = append(found, p) })
	id := root.FieldByName("Data").FieldByName("VerificationID")
	return append(found, place{"identity", id, func(v reflect.Value) { // the three that have to be equal
		e.Subject, e.PartitionKey, e.Data.VerificationID = v.String(), v.String(), v.String()
	}})
}

func visit(v reflect.Value, path string, add func(place)) {
	if path != "" && v.CanSet() {
		add(place{strings.TrimPrefix(path, "."), v, v.Set})
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.Tag.Get("json") != "-" {
				visit(v.Field(i), path+"."+field.Name, add)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), path+".*", add)
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i), add)
		}
	case reflect.Map:
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()),
			func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			set := func(value reflect.Value) { v.SetMapIndex(key, value) }
			add(place{fmt.Sprintf("%s[%s]", path[1:], key), v.MapIndex(key), set})
		}
	}
}

// replacements are the values to try in a place. texts are those for strings.
func replacements(p place, texts []string) []reflect.Value {
	var values []reflect.Value
	typ := p.value.Type()
	try := func(list ...any) {
		for _, v := range list {
			if v == nil {
				values = append(values, reflect.Zero(typ))
				continue
			}
			values = append(values, reflect.ValueOf(v).Convert(typ))
		}
	}
	switch typ.Kind() {
	case reflect.String:
		for _, s := range texts {
			try(s)
		}
	case reflect.Int:
		try(0, -1, 2, math.MaxInt)
	case reflect.Float64:
		try(-0.1, 1.1, 0.0, 1.0, math.Copysign(0, -1), 1e300, math.NaN(), math.Inf(-1))
	case reflect.Bool:
		try(!p.value.Bool())
	case reflect.Pointer:
		values = append(values, reflect.Zero(typ), reflect.New(typ.Elem()))
	case reflect.Slice:
		values = append(values, lists(p.value)...)
	case reflect.Map:
		values = append(values, objects(typ)...)
	case reflect.Interface:
		try(anyValues()...)
	}
	return values
}

// lists are nil, an empty list, a list with one empty item, and a list that contains its first item twice.
func lists(v reflect.Value) []reflect.Value {
	blank := reflect.MakeSlice(v.Type(), 1, 1)
	out := []reflect.Value{reflect.Zero(v.Type()), reflect.MakeSlice(v.Type(), 0, 0), blank}
	if v.Len() > 0 {
		twice := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()+1), v)
		out = append(out, reflect.Append(twice, v.Index(0)))
	}
	return out
}

// objects are nil, an empty map, and one map for each value that it may hold.
func objects(typ reflect.Type) []reflect.Value {
	out := []reflect.Value{reflect.Zero(typ), reflect.MakeMap(typ)}
	held := []any{""}
	if typ.Elem().Kind() == reflect.Interface {
		held = anyValues()
	}
	for _, v := range held {
		for _, name := range []string{"", "trust_framework"} {
			m := reflect.MakeMap(typ)
			value := reflect.Zero(typ.Elem())
			if v != nil {
				value = reflect.ValueOf(v)
			}
			m.SetMapIndex(reflect.ValueOf(name), value)
			out = append(out, m)
		}
	}
	return out
}

// anyValues are the kinds of value that a map of any may hold and encoding/json writes.
func anyValues() []any {
	type label string
	type number uint8
	var noMap map[string]any
	var noList []string
	var noPointer *int
	return []any{
		nil, "", "x", true, 7, int64(-7), uint8(7), 1.5, float32(1.5), json.Number("1.50"), label("x"), number(7),
		&[]string{"x"}[0],
		time.Unix(0, 0), []byte("x"), noMap, noList, noPointer, json.RawMessage(`null`), json.RawMessage(` [1]`),
		map[string]any{}, map[string]any{"a": []any{map[string]any{}}}, map[string]string{"a": "b"}, map[string]int{},
		[]any{}, []string{"x"}, []any{nil, 1.5}, struct{ A int }{1}, &struct{}{}, [2]bool{}, event.Claims{"a": "b"},
	}
}

// roughTexts are the values to try in every string of every event.
func roughTexts() []string {
	return []string{
		"", "x", "UPPER CASE", "not-a-uuid", "2026-13-45", "2026-03-02T10:00:00+02:00", "2026-03-02T10:00:00Z", "none",
		"completed",
		strings.Repeat("a", 129), "tab\tnull\x00\u2028</script>", "\xff\xfe", "document.expired",
		"786513B3-69c4-5dfa-afc2-55ed2d4345cf",
	}
}

// edgeTexts are on either side of a limit of some member.
func edgeTexts() []string {
	const uuid = "786513b3-69c4-5dfa-afc2-55ed2d4345cf"
	const hex = "9458222ae06aec1d8f057819f622d53c061913fac369512be85a5a3de8ab9e14"
	return []string{
		// uuids
		uuid, strings.ToUpper(uuid), uuid + "0", uuid[1:], "{" + uuid + "}", "g" + uuid[1:],
		strings.ReplaceAll(uuid, "-", ""), uuid[:35] + "é", "@" + uuid[1:],
		// dates and instants
		"2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0000-02-29", "2026-00-10", "2026-04-31",
		"2026-12-31", "2026-1-01",
		"2026-01-00", "2026-01-32", "26-01-01", "12026-01-01", "2026/01/01", "2026-01-01 ", "+026-01-01", "2026--1-01",
		"2026-01-1a",
		"2026-03-02T10:00:00.5Z", "2026-03-02T10:00:00.123456789012Z", "2026-03-02T10:00:00.Z", "2026-03-02T10:00:00,5Z",
		"2026-03-02t10:00:00Z",
		"2026-03-02T10:00:00z", "2026-03-02 10:00:00Z", "2026-03-02T24:00:00Z", "2026-03-02T10:60:00Z",
		"2026-03-02T10:59:60Z", "2026-03-02T23:59:60Z",
		"2026-03-02T23:59:60.9Z", "2026-03-02T23:59:61Z", "2026-03-02T10:00Z", "2026-03-02T10:00:00ZZ",
		"2026-03-02T10:00:00-00:00Z", "2026-03-02T10:00:00",
		"2026-02-30T10:00:00Z", "2026-03-02T10-00-00Z", "2026-03-02T1:00:00.0Z", "2026-03-02T10:00:00Z\n", "Z",
		"0001-01-01T00:00:00Z", "2026-03-02T10:00:00.5.5Z",
		"2026-03-02T10:00:00é0Z", "2026-03-02T 1:00:00Z", "2026-03-02T10:00:00+02:00Z",
		// tokens, words and codes
		"a", "0", "_a", "-a", "a_-0", "A", "aé", strings.Repeat("a", 63), strings.Repeat("a", 64), "a\n", "a ", "a.b",
		"a1.b", "a.", ".b", "a.b.c", "a.B", "a.0_", "a.b\n",
		"x_", "x_a", "x_A", "x__0", "X_a", "x_a-b", "x_é", "a0_", "0a", "a__b",
		// upper-case codes
		"LT", "LTU", "LTUX", "L", "lt", "L<", "<", "<<", "<<<", "P<\n", "1", "É", "L1",
		// envelope
		"1.0", "1", "application/json", "application/JSON", event.DataSchema, "urn:kycbridge:schema:verification:1.",
		"urn:kycbridge:schema:verification:1.12",
		"urn:kycbridge:schema:verification:2.0", "urn:kycbridge:schema:verification:1x0",
		"urn:kycbridge:schema:verification:1.1\n", "x" + event.DataSchema,
		".verification.updated.v1", "verification.updated.v1", "a.verification.closed.v1", "a.verification.completed.v2",
		"a.verification.completed.v1 ",
		"a.verification.opened.v1", "a.verification.v1", ".v1", "updated.v1", "x.verification..v1",
		"a.verification.x.updated.v1", "\xff.verification.updated.v1",
		"/a/b", "a/b", "//b", "/a/", "/a/b/", "x y/a/b", "/A/b/c", "/a/B", "/A/b", "/_a/b", "/a/-b", "/" +
			strings.Repeat("a", 64) + "/b", "/", "//", "/a", "/a/b\n",
		// digests
		"sha256:" + hex, "sha256:" + hex[1:], "sha256:" + hex + "0", "sha256:" + strings.ToUpper(hex), "sha512:" + hex, hex,
		"sha256:" + "g" + hex[1:], "sha256:",
		// lengths
		strings.Repeat("é", 128), strings.Repeat("é", 129), strings.Repeat("\xff", 128), strings.Repeat("\xff", 129),
		strings.Repeat("a", 128), "\xed\xa0\x80",
	}
}

// schemaWords are all words that the event's schema lists for some member.
func schemaWords(t *testing.T, set *schemas.Set) []string {
	t.Helper()
	source, ok := set.Source("event", "data")
	if !ok {
		t.Fatal("there is no schema of the data")
	}
	var tree any
	if err := json.Unmarshal(source, &tree); err != nil {
		t.Fatal(err)
	}
	words := listed(tree)
	if len(words) == 0 {
		t.Fatal("the schema lists no words")
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// listed returns the texts of every enum below v.
func listed(v any) (words []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			list, _ := member.([]any)
			if name != "enum" || list == nil {
				words = append(words, listed(member)...)
				continue
			}
			for _, item := range list {
				if word, ok := item.(string); ok {
					words = append(words, word)
				}
			}
		}
	case []any:
		for _, item := range v {
			words = append(words, listed(item)...)
		}
	}
	return words
}

// goldenEvents are the events of the fixtures.
func goldenEvents(t *testing.T) map[string]*event.Event {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]*event.Event{}
	for _, c := range cases {
		if c.Golden == nil || bytes.Contains(c.Golden, []byte(`"no_event"`)) {
			continue
		}
		e, err := event.Decode(c.Golden)
		if err != nil {
			t.Fatal(err)
		}
		events[c.Dir()] = &e
	}
	if len(events) == 0 {
		t.Fatal("no fixture has an event")
	}
	return events
}

// TestCheckAgrees changes the places of the golden events, one at a time. A kind of place is tried only in a few
// events, because the schema is slow.
func TestCheckAgrees(t *testing.T) {
	t.Parallel()
	const events = 3
	j := newJudge(t)
	tried := map[string]int{}
	all := goldenEvents(t)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if wait.Race && i%8 > 0 {
			continue
		}
		e := all[name]
		if checked := e.Check(); checked != nil {
			t.Errorf("%s: Check reports %v", name, checked)
		}
		j.agree(t, e, name)
		here := map[string]bool{}
		for _, p := range placesIn(e) {
			if kind := p.kind(); here[kind] || tried[kind] >= events {
				continue
			}
			here[p.kind()] = true
			for _, v := range replacements(p, roughTexts()) {
				p.with(v, func() { j.agree(t, e, name, p.path, v) })
			}
		}
		for kind := range here {
			tried[kind]++
		}
	}
}

// TestCheckAgreesEverywhere changes every place of an event that has all members, with values on either side of the
// limits of each member, with the words of the schema (all of them where the current value is such a word, otherwise
// a few), and with small edits of the current value.
func TestCheckAgreesEverywhere(t *testing.T) {
	t.Parallel()
	long(t, "5 s")
	const few, edits = 8, 16
	j := newJudge(t)
	e := wholeEvent()
	if checked := e.Check(); checked != nil {
		t.Fatalf("Check reports %v", checked)
	}
	texts, words := slices.Concat(roughTexts(), edgeTexts()), schemaWords(t, j.set)
	source := rand.New(rand.NewPCG(1, 1))
	for i, p := range placesIn(e) {
		if p.value.IsZero() {
			t.Errorf("%s is empty in the event that shall have all members", p.path)
		}
		if wait.Race && i%32 > 0 {
			continue
		}
		here := texts
		if p.value.Kind() == reflect.String {
			s := p.value.String()
			if slices.Contains(words, s) {
				here = slices.Concat(here, words)
			}
			for range few {
				here = append(slices.Clip(here), words[source.IntN(len(words))])
			}
			for range edits {
				here = append(here, edited(source, s))
			}
		}
		for _, v := range replacements(p, here) {
			p.with(v, func() { j.agree(t, e, p.path, v) })
		}
	}
}

// edited inserts, removes or replaces one byte of s.
func edited(source *rand.Rand, s string) string {
	const bytes = "aZ09fg-_.:/<T \n\xff"
	at, b := source.IntN(len(s)+1), bytes[source.IntN(len(bytes))]
	switch end := min(at+1, len(s)); source.IntN(3) {
	case 0:
		return s[:at] + string([]byte{b}) + s[at:]
	case 1:
		return s[:at] + s[end:]
	default:
		return s[:at] + string([]byte{b}) + s[end:]
	}
}

// TestCheckAgreesOnPairs changes two places at once, always the same ones.
func TestCheckAgreesOnPairs(t *testing.T) {
	t.Parallel()
	pairs := 4000
	if wait.Race {
		pairs = 200
	}
	j := newJudge(t)
	all := goldenEvents(t)
	all["whole"] = wholeEvent()
	names := slices.Sorted(maps.Keys(all))
	places := map[string][]place{}
	for name, e := range all {
		places[name] = placesIn(e)
	}
	texts := slices.Concat(roughTexts(), edgeTexts(), schemaWords(t, j.set))
	source := rand.New(rand.NewPCG(2, 2))
	pick := func(name string) (place, reflect.Value) {
		p := places[name][source.IntN(len(places[name]))]
		values := replacements(p, texts)
		if len(values) == 0 { // a struct
			return p, p.value
		}
		return p, values[source.IntN(len(values))]
	}
	for range pairs {
		name := names[source.IntN(len(names))]
		p, v := pick(name)
		q, w := pick(name)
		p.with(v, func() {
			q.with(w, func() { j.agree(t, all[name], name, p.path, v, q.path, w) })
		})
	}
}

// TestCheckAgreesOnVerdicts tries every combination in the conditions of the schema.
func TestCheckAgreesOnVerdicts(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	e := wholeEvent()
	d := &e.Data
	d.Checks, d.Reasons, d.Session, d.Media = d.Checks[:0], d.Reasons[:0], nil, nil
	verified, claims, number := d.VerifiedClaims, d.ExtractedClaims, d.Documents[0].DocumentNumber
	outcomes := []event.Outcome{event.OutcomeNone, event.OutcomeApproved, event.OutcomeRejected, event.OutcomeReview, "x"}
	statuses := []event.Status{event.StatusCreated, event.StatusCompleted, event.StatusUnknown, ""}
	for _, d.Status = range statuses {
		for _, d.Decision.Outcome = range outcomes {
			for _, d.PII.Profile = range []event.Profile{event.ProfileFull, event.ProfileNone, "x"} {
				for flags := range 1 << 4 {
					d.Decision.Final = flags&1 > 0
					d.VerifiedClaims, d.ExtractedClaims, d.Documents[0].DocumentNumber = nil, nil, ""
					if flags&2 > 0 {
						d.VerifiedClaims = verified
					}
					if flags&4 > 0 {
						d.ExtractedClaims = claims
					}
					if flags&8 > 0 {
						d.Documents[0].DocumentNumber = number
					}
					j.agree(t, e, d.Status, d.Decision.Outcome, d.PII.Profile, flags)
				}
			}
		}
	}
}

// TestCheckAgreesOnEncryption tries every combination of the encrypted content and the members that it replaces.
func TestCheckAgreesOnEncryption(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	e := wholeEvent()
	d := &e.Data
	whole := *d
	contents := []map[string]string{nil, {}, {"": "a.b.c.d.e"}, {"k": "a..c.d.e", "a/~b": "A-_9.b.c.d.e"}, {"k": ""},
		{"k": "a.b.c.d"}, {"k": "a.b.c.d.e.f"}, {"k": ".b.c.d.e"}, {"k": "a.b..d.e"}, {"k": "a.b.c.d.e="},
		{"k": "a.b.c.d.é"}, {"k": "a.b.c.d.e\n"}, {"k": "a.b.c.d.e", "l": "x"}}
	for _, d.PII.Profile = range []event.Profile{event.ProfileFull, event.ProfileEncrypted, event.ProfileNone, "x"} {
		for _, d.PII.JWE = range contents {
			profile := d.PII
			for flags := range 1 << 8 {
				if wait.Race && flags%16 > 0 {
					continue
				}
				pii := profile
				*d = whole
				d.PII = pii
				removed(d, flags)
				j.agree(t, e, d.PII.Profile, d.PII.JWE, flags)
			}
			d.PII = profile
		}
	}
}

// removed removes the personal members of d that flags name; its last bit is the key id.
func removed(d *event.Data, flags int) {
	for i, remove := range []func(){
		func() { d.ExternalReference = "" }, func() { d.Documents = nil }, func() { d.ExtractedClaims = nil },
		func() { d.VerifiedClaims = nil }, func() { d.Media = nil }, func() { d.Session = nil },
		func() { d.Extensions = nil }, func() { d.PII.KeyID = "" },
	} {
		if flags&(1<<i) > 0 {
			remove()
		}
	}
}

// TestCheckRefusesWhatCannotBeWritten covers events that cannot be encoded, which the schema never sees.
func TestCheckRefusesWhatCannotBeWritten(t *testing.T) {
	for _, v := range []any{math.NaN(), math.Inf(1), float32(math.Inf(-1)), func() {}, make(chan int),
		map[string]any{"a": math.NaN()}} {
		e := wholeEvent()
		e.Data.Provider.Status["score"] = v
		if e.Check() == nil {
			t.Errorf("%T in provider.status passes", v)
		}
	}
}

// wholeEvent is an event that has every member.
func wholeEvent() *event.Event {
	const (
		id      = "786513b3-69c4-5dfa-afc2-55ed2d4345cf"
		instant = "2026-03-02T09:00:12.4886646Z"
	)
	return &event.Event{
		SpecVersion: "1.0", Type: "io.kycbridge.verification.completed.v1", Source: "/kycbridge/ondato/acme",
		ID: "2cc8dc2c-5293-55a0-b05f-3c4ed6c443fd", Subject: id, Time: instant, DataContentType: "application/json",
		DataSchema: event.DataSchema, PartitionKey: id, RecordedTime: instant, RestoredTime: instant,
		Data: event.Data{
			VerificationID: id, Revision: 2, Supersedes: "2cc8dc2c-5293-55a0-b05f-3c4ed6c443fd",
			Account: "acme", Environment: event.EnvironmentTest, ExternalReference: "user-0001",
			Provider: event.ProviderData{
				Name: "ondato", Product: "kyc", FlowID: "flow", FlowVersion: "2", References: map[string]string{"idv_id": "b0"},
				Event: event.ProviderEvent{Name: "Approved", ID: "e0", OccurredAt: instant, ReceivedAt: instant,
					Via: event.ViaCallback},
				Status: map[string]any{"kyc_status": "Approved", "score": 0.5, "checked": true},
			},
			Status: event.StatusCompleted, StatusDetail: event.DetailUnconfirmed,
			Decision: event.Decision{Outcome: event.OutcomeApproved, Final: true, Stage: event.StageSystem,
				ActorType: event.ActorSystem, DecidedAt: instant},
			Decisions: []event.DecisionStep{{Stage: event.StageSystem, Outcome: event.OutcomeApproved,
				ActorType: event.ActorSystem, ActorRef: "robot", ProviderValue: "Approved", DecidedAt: instant}},
			Reasons: []event.Reason{{Code: "image.blurred", Retryable: ptr(true), CheckID: "mrz", ProviderCode: "12"}},
			RequiredActions: []event.RequiredAction{{Action: "renew", ProviderStep: "step",
				Reasons:  []string{"document.expired"},
				Deadline: instant}},
			Checks: []event.Check{wholeCheck(instant)},
			Risk:   &event.Risk{Score: ptr(0.2), Level: "low"},
			Documents: []event.Document{{DocumentID: "document", Type: "passport", Subtype: "e", MRZDocumentCode: "P<",
				DocumentNumber: "X0000001",
				DateOfIssuance: "2021-05-04", DateOfExpiry: "2031-05-04",
				Issuer: &event.Issuer{Name: "Issuer", CountryCode: "LTU", Jurisdiction: "LT"}}},
			ExtractedClaims: event.Claims{"given_name": "TESTA", "nationalities": []string{"LTU"}},
			VerifiedClaims: &event.VerifiedClaims{Verification: map[string]any{"trust_framework": "eidas", "time": instant},
				Claims: event.Claims{"given_name": "TESTA"}},
			Media: []event.Media{{Kind: "document_front", MediaType: "image/jpeg", ProviderRef: "fe", ExpiresAt: instant}},
			Session: &event.Session{Channel: "web", CreatedAt: instant, ScheduledAt: instant, StartedAt: instant,
				SubmittedAt: instant, EndedAt: instant,
				ExpiresAt: instant, Consent: &event.Consent{Given: true, At: instant}, Country: "LT", CountrySource: "ip"},
			PII: event.PII{Profile: event.ProfileFull, KeyID: "key", JWE: map[string]string{"key": "a..b.c.d"}},
			Payload: event.PayloadRef{ID: "ondato.acme.e0", Mapping: "1", AdmittedBy: "hmac", Confirmed: true,
				Digest: "sha256:9458222ae06aec1d8f057819f622d53c061913fac369512be85a5a3de8ab9e14"},
			Extensions: map[string]any{"acme": map[string]any{"a": "b"}},
		},
	}
}

func wholeCheck(instant string) event.Check {
	return event.Check{
		CheckID: "mrz", Type: event.CheckMRZ, Result: event.ResultPassed, Method: "vri", Score: ptr(0.9), Threshold: ptr(0.5),
		ScoreRaw: &event.ScoreRaw{Value: 90, Min: 1, Max: 100}, DocumentIDs: []string{"document"},
		Fields:  []event.CheckField{{Field: "birthdate", Result: event.ResultPassed, Score: ptr(0.9)}},
		Reasons: []string{"image.blurred"}, PerformedBy: "robot", CompletedAt: instant, ProviderCheck: "mrzVerified",
		ProviderResult: "true",
		Details:        map[string]any{"lines": 2.0},
	}
}

func ptr[T any](v T) *T { return &v }

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// rightless is a token without any right. Others are called "only-" or "without-" and a right.
const rightless = "rightless-token"

// rightsHolders are the holder of apiToken, and those of tokens with one right and with all but one.
func rightsHolders() Holders {
	all := []kycbridge.AdminToken{kycbridge.NamelessToken(1, apiToken)}
	add := func(text string, rights ...kycbridge.Right) {
		token := kycbridge.NamelessToken(len(all)+1, text)
		token.Name, token.Rights, token.Nameless = text, rights, false
		all = append(all, token)
	}
	add(rightless)
	for _, right := range kycbridge.AllRights() {
		add("only-"+string(right), right)
		add("without-"+string(right), slices.DeleteFunc(kycbridge.AllRights(),
			func(r kycbridge.Right) bool { return r == right })...)
	}
	return Holders{Tokens: all}
}

// rightsCase is one request, and the rights that it needs.
type rightsCase struct {
	sampleRequest
	needs []kycbridge.Right
}

// rightsCases are requests of every route, from the samples of the other tests, with the rights that the
// document states, and those variants that need another right.
func rightsCases(p *payloadFixture) (all []rightsCase) {
	right := func(method, template string) []kycbridge.Right {
		word, _ := p.at(p.document, "paths", template, strings.ToLower(method), "x-right").(string)
		return []kycbridge.Right{kycbridge.Right(word)}
	}
	for _, o := range sampleRequests("acme") {
		all = append(all, rightsCase{o, right(o.method, o.template)})
	}
	const diff = "/v1/config/diff"
	all = append(all, rightsCase{sampleRequest{"diff_config", "GET", diff, diff, ""}, right("GET", diff)})
	for _, o := range payloadOperations() {
		sample := sampleRequest{o.name, o.method, o.template, o.path, o.body}
		c := rightsCase{sample, right(o.method, o.template)}
		if o.name == PayloadsShow { // the sample reveals
			masked := sample
			masked.path, _, _ = strings.Cut(masked.path, "?")
			all = append(all, rightsCase{masked, c.needs})
			c.needs = append(c.needs, kycbridge.RightReveal)
		}
		all = append(all, c)
	}
	replay := sampleRequest{PayloadsReplay, "POST", "/v1/payloads/replay", "/v1/payloads/replay",
		`{"dry_run":true,"reveal":true}`}
	return append(all, rightsCase{replay, []kycbridge.Right{kycbridge.RightReplay, kycbridge.RightReveal}})
}

// TestRights: every route with each right alone, and with all rights but one. A new route without a sample
// or without a right in the document fails.
func TestRights(t *testing.T) {
	p := newPayloadFixture(t, nil)
	payloadsURL, apiURL := p.url, serve(t, p.echo)
	tested := map[string]bool{}
	for _, c := range rightsCases(p) {
		tested[c.method+" "+c.template] = true
		if !kycbridge.AllRights().Has(c.needs[0]) {
			t.Errorf("%s %s needs no right in the document", c.method, c.template)
		}
		base := payloadsURL
		if !ofPayloads(c.template) && c.operation != PayloadsFind {
			base = apiURL
		}
		ask := func(token string, admits bool) {
			t.Helper()
			p.healthy()
			got := do(t, c.method, base+c.path, strings.NewReader(c.body), func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("X-Reason", "case 1")
				if c.operation == PayloadsImport {
					r.Header.Set("Content-Type", ndjson)
				}
			})
			if (got.status != http.StatusForbidden) != admits {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path, token, got.status, got.body)
			}
			if _, right, ok := strings.Cut(token, "without-"); ok && !admits &&
				!strings.Contains(got.body, `"missing_right":"`+right+`"`) {
				t.Errorf("%s %s with %s: %s", c.method, c.path, token, got.body)
			}
		}
		ask(rightless, false)
		for _, right := range kycbridge.AllRights() {
			needed := slices.Contains(c.needs, right)
			ask("only-"+string(right), needed && len(c.needs) == 1)
			ask("without-"+string(right), !needed)
		}
	}
	e := newEcho()
	AddAPI(e, APIOptions{})
	AddPayloads(e, APIOptions{}, nil)
	for _, r := range e.Routes() {
		route := r.Method + " " + regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		if !tested[route] && route != "GET /v1/openapi.json" {
			t.Errorf("%s was tested with no right", route)
		}
	}
}

// demandingCases are the requests that demand a reason.
func demandingCases(p *payloadFixture) (all []sampleRequest) {
	for _, c := range rightsCases(p) {
		if slices.Contains(c.needs, kycbridge.RightReveal) {
			all = append(all, c.sampleRequest)
		}
	}
	for _, o := range payloadOperations() {
		if o.name == PayloadsHold || o.name == PayloadsRelease {
			all = append(all, sampleRequest{o.name, o.method, o.template, o.path, o.body})
		}
	}
	return append(all, sampleRequest{PayloadsPurge, "POST", "/v1/payloads/purge", "/v1/payloads/purge",
		`{"verification":"` + shownKey.VerificationID + `","confirm":true}`},
		sampleRequest{PayloadsReplay, "POST", "/v1/payloads/replay", "/v1/payloads/replay", `{"to":"rebuild.kyc"}`},
		sampleRequest{PayloadsImport, "POST", "/v1/payloads/import", "/v1/payloads/import", exportedLine + "\n"})
}

// TestReasons: what reveals, imports or erases is refused without a reason, recorded with it before it is done, and
// refused if it cannot be recorded.
func TestReasons(t *testing.T) {
	p := newPayloadFixture(t, nil)
	payloadsURL, apiURL := p.url, serve(t, p.echo)
	for _, o := range demandingCases(p) {
		base := payloadsURL
		if o.operation == "media" {
			base = apiURL
		}
		ask := func(reasons ...string) reply {
			p.healthy()
			p.asked.Operation = ""
			return do(t, o.method, base+o.path, strings.NewReader(o.body), func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer "+apiToken)
				r.Header["X-Reason"] = reasons
				if o.operation == PayloadsImport {
					r.Header.Set("Content-Type", ndjson)
				}
			})
		}
		for _, reasons := range [][]string{nil, {""}, {"%20"}, {"%zz"}, {"%ff"}, {"a%00b"}, {"a", "b"},
			{strings.Repeat("x", 501)}} {
			wantProblem(t, ask(reasons...), 400, "missing_reason")
		}
		for _, a := range p.accesses.take() {
			if a.Result != "400" {
				t.Errorf("%s without a reason: %+v", o.operation, a)
			}
		}
		p.accesses.err = errors.New("inside")
		wantProblem(t, ask("case 1"), 503, "unrecorded")
		if p.asked.Operation != "" && p.asked.Operation != PayloadsShow { // the tool finds the payload first
			t.Errorf("%s was done without a record", o.operation)
		}
		p.accesses.err = nil
		if got := ask("F%C3%A4lle"); got.status != 200 {
			t.Errorf("%s: %d %s", o.operation, got.status, got.body)
		}
		all := p.accesses.take()
		if len(all) != 2 || all[0].Result != kycbridge.AccessBegun || all[1].Result != "200" || all[0].ID != all[1].ID ||
			all[0].Reason != "Fälle" || !strings.HasPrefix(all[0].By, "token-") || all[0].Remote != "127.0.0.1" {
			t.Errorf("%s: %+v", o.operation, all)
		}
		isOfOne := o.operation != PayloadsExport && o.operation != PayloadsReplay && o.operation != PayloadsImport
		if known := all[0].VerificationID != ""; known != isOfOne {
			t.Errorf("%s: %+v", o.operation, all[0])
		}
	}
}

// TestReasonsWithoutNames: while no holder has a name, only holds and releases need a reason; a stated
// reason is recorded, and an invalid one is refused. With a certificate, which has a name, all requests
// need one.
func TestReasonsWithoutNames(t *testing.T) {
	for name, certificates := range map[string][]ClientCertificate{"plain": nil, "certificate": {{Name: "crm"}}} {
		p := newPayloadFixture(t, func(o *APIOptions) {
			o.Holders = func() Holders {
				return Holders{Tokens: []kycbridge.AdminToken{kycbridge.NamelessToken(1, apiToken)}, Certificates: certificates}
			}
		})
		apiURL := serve(t, p.echo)
		for _, o := range demandingCases(p) {
			base := p.url
			if o.operation == "media" {
				base = apiURL
			}
			ask := func(reasons ...string) reply {
				p.healthy()
				return do(t, o.method, base+o.path, strings.NewReader(o.body), func(r *http.Request) {
					r.Header.Set("Authorization", "Bearer "+apiToken)
					r.Header["X-Reason"] = reasons
					if o.operation == PayloadsImport {
						r.Header.Set("Content-Type", ndjson)
					}
				})
			}
			wantProblem(t, ask("%zz"), 400, "missing_reason")
			p.accesses.take()
			got := ask()
			if name == "certificate" || o.operation == PayloadsHold || o.operation == PayloadsRelease {
				wantProblem(t, got, 400, "missing_reason")
				continue
			}
			all := p.accesses.take()
			if got.status != 200 || len(all) != 2 || all[0].Result != kycbridge.AccessBegun || all[0].Reason != "" {
				t.Errorf("%s: %d %s, %+v", o.operation, got.status, got.body, all)
			}
			ask("case 1")
			if all := p.accesses.take(); len(all) != 2 || all[0].Reason != "case 1" {
				t.Errorf("%s: %+v", o.operation, all)
			}
		}
	}
}

// TestAccessRecords: every request with a valid token has a record with its result, and no record contains
// what a caller may have written about a person.
func TestAccessRecords(t *testing.T) {
	p := newPayloadFixture(t, nil)
	for path, want := range map[string]kycbridge.Access{
		"/v1/verifications?q=seed&timeline=true": {Operation: "find_payloads", Filter: "q=… timeline=true", Result: "200"},
		"/v1/payloads?id=seed&event=seed&status=refused&provider=ondato&account=seed": {Operation: "list_payloads",
			Filter: "event=… id=… status=refused", Provider: "ondato", Result: "200"},
		"/v1/payloads?verification=" + shownKey.VerificationID: {Operation: "list_payloads",
			VerificationID: shownKey.VerificationID, Result: "200"},
		"/v1/payloads/seed": {Operation: "show_payloads", Provider: "ondato", Account: "acme",
			VerificationID: shownKey.VerificationID, Result: "200"},
		"/v1/payloads?other=seed":       {Operation: "list_payloads", Result: "422"},
		"/v1/payloads/seed?status=seed": {Operation: "show_payloads", Result: "422"},
		"/v1/access?by=alice":           {Operation: "list_access", Filter: "by=…", Result: "200"},
	} {
		do(t, "GET", p.url+path, nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+apiToken) })
		all := p.accesses.take()
		if len(all) != 1 {
			t.Fatalf("%s: %+v", path, all)
		}
		got := all[0]
		if got.ID == "" || got.Time.IsZero() || got.By == "" {
			t.Errorf("%s: %+v", path, got)
		}
		got.ID, got.By, got.Remote, got.Time = "", "", "", want.Time
		if got != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for older, want := range map[string]string{"30d": "older_than=30d", "seed": "older_than=…",
		"2026-03-02T09:00:00Z": "older_than=2026-03-02T09:00:00Z"} {
		do(t, "POST", p.url+"/v1/payloads/purge", strings.NewReader(`{"older_than":"`+older+`"}`),
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+apiToken) })
		if all := p.accesses.take(); len(all) != 1 || all[0].Filter != want {
			t.Errorf("%s: %+v", older, all)
		}
	}
	do(t, "GET", p.url+"/v1/payloads", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer only-purge") })
	if all := p.accesses.take(); len(all) != 1 || all[0].Result != "refused: read" || all[0].By != "only-purge" {
		t.Errorf("without the right: %+v", all)
	}
	do(t, "GET", p.url+"/v1/payloads", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") })
	if all := p.accesses.take(); len(all) != 0 {
		t.Errorf("without a token: %+v", all)
	}
}

// TestStateWithoutReveal: without the right to reveal a state is masked, remains a valid state, and the
// state that others hold does not change. A state of the profile encrypted, which is decrypted here, is no exception.
func TestStateWithoutReveal(t *testing.T) {
	b := newAPIFixture(t, nil)
	data := stateOf(kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: shownKey.VerificationID})
	data.Decision.Outcome = event.OutcomeNone
	data.ExtractedClaims = event.Claims{"given_name": "TESTA"}
	data.Documents = []event.Document{{Type: "passport", DocumentNumber: "DOC0000001"}}
	for _, profile := range []event.Profile{event.ProfileFull, event.ProfileEncrypted} {
		data.PII.Profile = profile
		stateWithoutReveal(t, b, data)
	}
	data.PII.Profile = event.ProfileNone
	if got := shownTo(kycbridge.Rights{kycbridge.RightRead}, data); !reflect.DeepEqual(got, data) {
		t.Errorf("a state without values changes: %+v", got.PII)
	}
	b.profile = event.ProfileFull
	read := func(r *http.Request) { r.Header.Set("Authorization", "Bearer only-read") }
	if got := b.ask(t, "GET", statePath, "/v1/verifications/ondato/acme/b1", "", read); got.status != 200 ||
		!strings.Contains(got.body, `"pii":{"profile":"masked"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func stateWithoutReveal(t *testing.T, b *apiFixture, data *event.Data) {
	t.Helper()
	for name, rights := range map[string]kycbridge.Rights{"all": kycbridge.AllRights(), "read": {kycbridge.RightRead}} {
		raw, err := json.Marshal(shownTo(rights, data))
		if err != nil {
			t.Fatal(err)
		}
		for _, personal := range []string{"TESTA", "DOC0000001"} {
			if strings.Contains(string(raw), personal) != (name == "all") {
				t.Errorf("%s: %s", name, raw)
			}
		}
		doc, _ := document.Decode(raw)
		if faults := b.set.Validate("event", "data", map[string]any(doc)); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

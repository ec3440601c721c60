package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

var (
	bodiesFlag = flag.Int("bodies", 20_000,
		"how many generated bodies TestNothingUnsaidApproves tries, over all providers")
	bodySeedFlag = flag.Uint64("body-seed", 1, "source of the generated bodies")
)

// said is the result of a body that is the first of its verification.
type said struct {
	status, outcome string
	final           bool
	refused         string // the reason of the quarantine
	nothing         string // why there is no event
}

// ingest passes a body through intake and normalizer and returns the result.
func ingest(provider kycbridge.Provider, c fixture.Case) (said, error) {
	p, ctx := pathOf(provider, c), context.Background()
	placement := ""
	if c.Via == event.ViaCallback {
		placement = "header"
	}
	receipt, err := p.intake.Ingest(ctx, p.account,
		kycbridge.Payload{Via: c.Via, Placement: placement, ReceivedAt: received, ContentType: "application/json",
			Body: c.Body})
	if err != nil || receipt.Status == kycbridge.ReceiptQuarantined {
		return said{refused: receipt.Reason}, err
	}
	done, err := p.normalizer.Process(ctx, *p.memory.stored)
	switch {
	case errors.Is(err, kycbridge.ErrUnmappable):
		return said{refused: kycbridge.QuarantineUnmapped}, nil
	case err != nil || done.Event == nil:
		return said{nothing: done.NoEvent}, err
	}
	d := done.Event.Data
	return said{status: string(d.Status), outcome: string(d.Decision.Outcome), final: d.Decision.Final}, nil
}

// bases are the fixtures and the outside cases of a provider that are JSON, with their parsed bodies, each under the
// first of the provider's variants; settings is how many.
func bases(t testing.TB, provider string, settings int) (all []base) {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	cases = slices.DeleteFunc(cases, func(c fixture.Case) bool { return c.Provider != provider })
	cases = append(cases, outsideCases(t, provider)...)
	for _, c := range cases {
		body, err := parseTree(c.Body)
		if err != nil {
			continue // intentionally not JSON
		}
		for i, s := range variants[provider][:settings] {
			own := c
			own.Own = s
			if c.Own["back_office"] == true {
				own.Own = maps.Clone(s)
				own.Own["back_office"] = true
			}
			all = append(all, base{Case: own, tree: body, name: fmt.Sprintf("%s, settings %d", c.Dir(), i)})
		}
	}
	return all
}

// base is a body from which changed bodies are generated.
type base struct {
	fixture.Case
	tree *tree
	name string
}

// variants are the settings, as configured, that change the decision of a provider's bodies.
var variants = map[string][]map[string]any{
	"ondato": {{}, {"manual_review": true}},
	"idwise": {{}, {"renewal_overdue": "keep"}},
	"kwikid": {{}, {"checker": true}},
	"signzy": {
		{},
		{"policy": normalize.Table{"min_face_match": 0.8, "min_liveness": 0.5}},
		{"policy": normalize.Table{"min_face_match": 0.0, "overlook": []string{
			"image_quality", "ip_risk", "mrz", "data_match", "data_consistency", "document_recognition", "barcode",
		}}},
	},
}

// outsideCases are the bodies of the outside cases, each with the way in which it is received.
func outsideCases(t testing.TB, provider string) (cases []fixture.Case) {
	t.Helper()
	rows, err := fixture.LoadOutside()
	if err != nil {
		t.Fatal(err)
	}
	fetched := map[string]bool{}
	for _, row := range rows {
		for _, file := range row.API {
			fetched[row.Provider+"/"+file] = true
		}
	}
	files, err := fixture.OutsideBodies(provider)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := fixture.OutsideBody(provider, file)
		if err != nil {
			t.Fatal(err)
		}
		via := event.ViaCallback
		if fetched[provider+"/"+file] {
			via = event.ViaFetch
		}
		cases = append(cases, fixture.Case{Provider: provider, Name: "outside " + file, Body: body, Via: via,
			Profile: event.ProfileFull})
	}
	return cases
}

// change is one modification of a body.
type change struct {
	what string
	do   func(body *tree)
}

// TestNothingUnsaidApproves: a body whose decision words are unlisted, missing, contradictory or duplicated is never
// approved, and a policy never approves a body with failed evidence. The bodies are generated from all fixtures and
// outside cases with a few changes each, or from random words of a provider.
func TestNothingUnsaidApproves(t *testing.T) {
	t.Parallel()
	for _, provider := range everyProvider {
		t.Run(provider, func(t *testing.T) {
			found := &findings{}
			g := newGenerator(t, provider, found)
			n := *bodiesFlag / len(everyProvider)
			if wait.Race {
				n /= 8
			}
			var next, approved atomic.Int64
			var workers sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				workers.Go(func() {
					for i := next.Add(1); i <= int64(n) && found.few(); i = next.Add(1) {
						if g.try(found, uint64(i)) {
							approved.Add(1)
						}
					}
				})
			}
			workers.Wait()
			if got := approved.Load(); found.few() && got < int64(n)/100 {
				found.add("only %d of %d bodies were approved: the changes leave nothing to find out", got, n)
			}
			found.report(t)
		})
	}
}

// findings are the faults found for a provider; workers add to them concurrently.
type findings struct {
	mu    sync.Mutex
	first []string
	total int
}

// maxFindings is how many findings are shown. All others are counted.
const maxFindings = 20

func (f *findings) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.total++; len(f.first) < maxFindings {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

// few reports whether fewer than maxFindings were found, so that the search continues.
func (f *findings) few() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total < maxFindings
}

// report fails the test if there are findings.
func (f *findings) report(t *testing.T) {
	t.Helper()
	if f.total > 0 {
		t.Errorf("%d findings:\n%s", f.total, strings.Join(f.first, "\n"))
	}
}

// generator makes bodies of one provider.
type generator struct {
	provider kycbridge.Provider
	bases    []base
	likely   []base // approved without changes
	words    vocabulary
}

// vocabulary contains the places of a provider's decisions and their possible values, as JSON.
type vocabulary struct {
	paths   []string
	words   []string
	scratch []string // the smallest bodies with a decision
}

func newGenerator(t *testing.T, provider string, found *findings) *generator {
	t.Helper()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{provider: table[provider], bases: bases(t, provider, len(variants[provider])),
		words: vocabularies[provider]}
	for _, b := range g.bases {
		got, err := ingest(g.provider, b.Case)
		if err != nil {
			t.Fatal(err)
		}
		if got.outcome != string(event.OutcomeApproved) {
			continue
		}
		if approvable(b.Case, b.tree) {
			g.likely = append(g.likely, b)
		} else {
			found.add("%s is approved, and must not be, as it is", b.name)
		}
	}
	if len(g.likely) == 0 {
		t.Fatal("nothing is approved as it is")
	}
	return g
}

// try makes the i-th body and reports whether it was approved. If it must not be approved, that is a finding.
func (g *generator) try(found *findings, i uint64) bool {
	random := rand.New(rand.NewPCG(*bodySeedFlag, i))
	b, changes := g.make(random)
	approved, right, err := g.judge(b, changes)
	if err != nil || approved && !right {
		for j := 0; j < len(changes) && err == nil; { // remove changes that do not contribute
			fewer := slices.Delete(slices.Clone(changes), j, j+1)
			if a, r, e := g.judge(b, fewer); e == nil && a && !r {
				changes = fewer
			} else {
				j++
			}
		}
		body := b.tree.clone()
		for _, c := range changes {
			c.do(body)
		}
		found.add("body %d (-body-seed %d) of %s is approved, and must not be, by %v, %v:\n%s", i, *bodySeedFlag, b.name,
			changes, err, body.bytes())
	}
	return approved
}

// String describes the change.
func (c change) String() string { return c.what }

// judge applies changes to a body and reports whether it is approved and whether that is allowed.
func (g *generator) judge(b base, changes []change) (approved, right bool, err error) {
	body := b.tree.clone()
	for _, c := range changes {
		c.do(body)
	}
	c := b.Case
	c.Body = body.bytes()
	got, err := ingest(g.provider, c)
	return got.outcome == string(event.OutcomeApproved), approvable(c, body), err
}

// make chooses a body and the changes to it.
func (g *generator) make(random *rand.Rand) (b base, changes []change) {
	switch random.IntN(8) {
	case 0:
		b = g.bases[random.IntN(len(g.bases))]
	case 1, 2:
		return g.scratch(random)
	default:
		b = g.likely[random.IntN(len(g.likely))]
	}
	for range 1 + random.IntN(3) {
		changes = append(changes, g.change(random, b.tree))
	}
	return b, changes
}

// scratch is a minimal body with a random value in every place of a decision.
func (g *generator) scratch(random *rand.Rand) (base, []change) {
	like := g.bases[random.IntN(len(g.bases))]
	text := g.words.scratch[random.IntN(len(g.words.scratch))]
	like.tree, like.name = leafOf(text), "a body from scratch"
	like.Via = []event.Via{event.ViaCallback, event.ViaFetch}[random.IntN(2)]
	var changes []change
	for _, path := range g.words.paths {
		if random.IntN(3) > 0 {
			changes = append(changes, setWord(path, g.word(random)))
		}
	}
	return like, append(changes, g.change(random, like.tree))
}

// word is a random value, most often one that the provider uses.
func (g *generator) word(random *rand.Rand) string {
	if random.IntN(4) == 0 {
		return unknownWords[random.IntN(len(unknownWords))]
	}
	return g.words.words[random.IntN(len(g.words.words))]
}

// unknownWords are values that no provider sends, or that providers write differently.
var unknownWords = []string{
	`null`, `""`, `" "`, `0`, `1`, `-1`, `true`, `false`, `[]`, `{}`, `["Approved"]`, `{"value":"Approved"}`, `[null]`,
	`"Approved "`, `"APPROVED"`, `"Approved\u200b"`, `"\u0410pproved"`, `"NotApproved"`, `"Approved,Rejected"`,
	`"Pre-Approved"`,
	`"Ok"`, `"Success"`, `"passed"`, `"unknown"`, `"Denied"`, `"Hold"`, `"yes"`, `"1"`, `"True"`, `1.0`, `1e0`,
	`"Завершено"`,
}

// change is a random change.
func (g *generator) change(random *rand.Rand, body *tree) change {
	path := g.words.paths[random.IntN(len(g.words.paths))]
	word := g.word(random)
	switch random.IntN(8) {
	case 0, 1:
		return setWord(path, word)
	case 2:
		return dropWord(path)
	case 3:
		return doubleWord(path, word, random.IntN(2) == 0, random.IntN(3))
	case 4:
		return renameWord(path, random.IntN(3))
	case 5:
		return wrapWord(path)
	case 6:
		if g.provider.Name == "signzy" {
			return speakAgainst(random, body)
		}
		return moveWord(path, word)
	}
	return g.oddLeaf(random, body)
}

// holders calls do with every object at the parent of path, and with the last name of path.
func holders(body *tree, path string, do func(holder *tree, name string)) {
	parent, name, below := "", path, false
	if i := strings.LastIndex(path, "/"); i >= 0 {
		parent, name, below = path[:i], path[i+1:], true
	}
	objects := []*tree{body}
	if below {
		objects = body.find(parent)
	}
	for _, object := range objects {
		if object.kind == treeEmbedded {
			object = object.items[0]
		}
		if object.kind == treeObject {
			do(object, name)
		}
	}
}

func setWord(path, word string) change {
	return change{"set " + path + " to " + word, func(body *tree) {
		holders(body, path, func(holder *tree, name string) {
			for i, m := range holder.members {
				if strings.EqualFold(m.name, name) {
					holder.members[i].value = leafOf(word)
					return
				}
			}
			holder.members = append(holder.members, treeMember{name, leafOf(word)})
		})
	}}
}

func dropWord(path string) change {
	return change{"drop " + path, func(body *tree) {
		holders(body, path, func(holder *tree, name string) {
			holder.members = slices.DeleteFunc(holder.members,
				func(m treeMember) bool { return strings.EqualFold(m.name, name) })
		})
	}}
}

func doubleWord(path, word string, first bool, letterCase int) change {
	return change{fmt.Sprintf("double %s by %s, first: %v", path, word, first), func(body *tree) {
		holders(body, path, func(holder *tree, name string) {
			m := treeMember{inCase(name, letterCase), leafOf(word)}
			if first {
				holder.members = slices.Insert(holder.members, 0, m)
				return
			}
			holder.members = append(holder.members, m)
		})
	}}
}

func renameWord(path string, letterCase int) change {
	return change{"another case of " + path, func(body *tree) {
		holders(body, path, func(holder *tree, name string) {
			for i, m := range holder.members {
				if strings.EqualFold(m.name, name) {
					holder.members[i].name = inCase(m.name, letterCase)
				}
			}
		})
	}}
}

func wrapWord(path string) change {
	return change{"a list of " + path, func(body *tree) {
		for _, v := range body.find(path) {
			*v = tree{kind: treeArray, items: []*tree{v.clone()}}
		}
	}}
}

// moveWord removes a decision and inserts a value with the same name elsewhere.
func moveWord(path, word string) change {
	name := path[strings.LastIndex(path, "/")+1:]
	return change{"move " + path + " away as " + word, func(body *tree) {
		dropWord(path).do(body)
		body.members = append(body.members, treeMember{"extras", leafOf(`{"` + name + `":` + word + `}`)})
	}}
}

// speakAgainst changes one piece of evidence to an objection.
func speakAgainst(random *rand.Rand, body *tree) change {
	e := signzyEvidence[random.IntN(len(signzyEvidence))]
	word := e.bad[random.IntN(len(e.bad))]
	raw := []string{text(word), text(strings.ToUpper(word[:1]) + word[1:]), text(strings.ToUpper(word))}[random.IntN(3)]
	if (word == "true" || word == "false") && random.IntN(2) == 0 {
		raw = word
	}
	return change{e.path + " says " + raw, func(body *tree) {
		if strings.Contains(e.path, "*") {
			for _, v := range body.find(e.path) {
				*v = *leafOf(raw)
			}
			return
		}
		setWord(e.path, raw).do(body)
	}}
}

// inCase is a name in lower case, in upper case or unchanged.
func inCase(name string, letterCase int) string {
	switch letterCase {
	case 0:
		return strings.ToLower(name)
	case 1:
		return strings.ToUpper(name)
	}
	return name
}

// oddLeaf replaces any value of the body by another one.
func (g *generator) oddLeaf(random *rand.Rand, body *tree) change {
	var all [][]int
	var paths []string
	body.each(func(places []int, path string, _ *tree) {
		all, paths = append(all, places), append(paths, path)
	})
	if len(all) == 0 {
		return setWord(g.words.paths[0], "null")
	}
	i := random.IntN(len(all))
	places, word := all[i], unknownWords[random.IntN(len(unknownWords))]
	return change{paths[i] + " is " + word, func(body *tree) {
		if v := body.at(places); v != nil {
			*v = *leafOf(word)
		}
	}}
}

// Package body creates the payloads of the benchmarks: bodies of realistic size, each for a separate verification.
package body

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"kycbridge/test/fixture"
)

// Body is a payload whose ids can be replaced.
type Body struct {
	Provider string
	text     []byte
	ids      [][]int // where each id is written in text
}

// idSize is the length of an id that format writes.
const idSize = 36

func format(id []byte, kind, n int) []byte {
	return fmt.Appendf(id, "%08d-%04d-4000-8000-%012d", kind, kind, n)
}

// graphicField is repeated to make the Signzy body as long as in real traffic.
const graphicField = `[{"fieldType":"portrait",` +
	`"value":"https://files.example.com/api/files/1000008/download/00000008.png",` +
	`"docSide":"front","source":"visual","containerType":"visual graphics"}]`

// Load returns a 1.3 kB Ondato webhook and a 12.8 kB Signzy result.
func Load() ([]Body, error) {
	cases, err := fixture.Load()
	if err != nil {
		return nil, err
	}
	var out []Body
	for _, c := range cases {
		var change *strings.Replacer
		var ids []string // of the payload and its verification
		switch c.Dir() {
		case "ondato/kyc-identification-updated":
			change = strings.NewReplacer("KycIdentification.Updated", "KycIdentification.Approved")
			ids = []string{"e0000000-0000-4000-8000-000000000016", "b0000000-0000-4000-8000-000000000001"}
		case "signzy/get-journey-completed-full":
			const list = `"graphicFields":{"fieldList":[`
			change = strings.NewReplacer(list, list+strings.Repeat(graphicField+",", 34))
			ids = []string{"AB12CD34EF"}
		default:
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Body); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Dir(), err)
		}
		b, err := withIDs(c.Provider, change.Replace(compact.String()), ids)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Dir(), err)
		}
		out = append(out, b)
	}
	if len(out) != 2 {
		return nil, fmt.Errorf("%d of the 2 bodies are among the fixtures", len(out))
	}
	return out, nil
}

// withIDs replaces the ids in text and records their positions.
func withIDs(provider, text string, ids []string) (Body, error) {
	for kind, id := range ids {
		if !strings.Contains(text, `"`+id+`"`) {
			return Body{}, fmt.Errorf("there is no id %s", id)
		}
		text = strings.ReplaceAll(text, `"`+id+`"`, `"`+string(format(nil, kind, 0))+`"`)
	}
	b := Body{Provider: provider, text: []byte(text), ids: make([][]int, len(ids))}
	for kind := range ids {
		id := format(nil, kind, 0)
		for at := bytes.Index(b.text, id); at >= 0; {
			b.ids[kind] = append(b.ids[kind], at)
			next := bytes.Index(b.text[at+idSize:], id)
			if next < 0 {
				break
			}
			at += idSize + next
		}
	}
	return b, nil
}

// Size is the length of every payload.
func (b Body) Size() int { return len(b.text) }

// Next creates the n-th payload.
func (b Body) Next(n int) []byte {
	payload := bytes.Clone(b.text)
	b.Renew(payload, n)
	return payload
}

// Renew turns another payload into the n-th one, in place.
func (b Body) Renew(payload []byte, n int) {
	var room [idSize + 8]byte // n may be longer than its 12 digits
	for kind, places := range b.ids {
		id := format(room[:0], kind, n)
		for _, at := range places {
			copy(payload[at:at+idSize], id)
		}
	}
}

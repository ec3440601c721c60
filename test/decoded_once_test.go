package test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/test/fixture"
)

// TestBodiesAreDecodedOnce: identity, validation, mapping and the search for new values of every fixture
// read one document, and none of them changes it.
func TestBodiesAreDecodedOnce(t *testing.T) {
	t.Parallel()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	providers, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		provider := providers[c.Provider]
		read := provider.Read
		var docs []document.Object
		provider.Read = func(body []byte) (document.Object, []kycbridge.FieldError) {
			doc, faults := read(body)
			docs = append(docs, doc)
			return doc, faults
		}
		p := pathOf(provider, c)
		p.intake.Documents = &kycbridge.Documents{}
		p.normalizer.Documents = p.intake.Documents
		receipt, err := p.intake.Ingest(context.Background(), p.account, kycbridge.Payload{Via: c.Via, Placement: "header",
			ReceivedAt: received, ContentType: "application/json", Body: c.Body})
		if err != nil {
			t.Fatalf("%s: %v", c.Dir(), err)
		}
		if receipt.Status == kycbridge.ReceiptQuarantined {
			continue
		}
		if _, _, err := p.normalizer.Work(context.Background(), *p.memory.stored, 1); err != nil {
			t.Errorf("%s: %v", c.Dir(), err)
		}
		if len(docs) != 1 {
			t.Errorf("%s: the body was decoded %d times", c.Dir(), len(docs))
		}
		again, _ := read(c.Body)
		if diff := cmp.Diff(again, docs[0]); diff != "" {
			t.Errorf("%s: a reader changed the document:\n%s", c.Dir(), diff)
		}
	}
}

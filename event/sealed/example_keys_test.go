package sealed_test

import (
	"crypto/elliptic"
	"encoding/json"

	"kycbridge/event"
	"kycbridge/event/sealed"
)

func exampleKeys() (private, public []byte) {
	key := ec(elliptic.P256())
	return privatePEM(key), publicPEM(&key.PublicKey)
}

func exampleEvent() []byte {
	e := must(event.Decode([]byte(`{"data": {"decision": {"outcome": "approved", "final": true},
		"extracted_claims": {"name": "Testa Sample"}, "documents": [{"document_number": "X0000001"}]}}`)))
	if err := sealed.Seal(&e.Data, must(sealed.ParseRecipient("bank", examplePublicKey))); err != nil {
		panic(err)
	}
	return must(json.Marshal(e))
}

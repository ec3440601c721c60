package sealed_test

import (
	"errors"
	"fmt"

	"kycbridge/event"
	"kycbridge/event/sealed"
)

// The private key of a consumer, made for this example with openssl genpkey.
var examplePrivateKey, examplePublicKey = exampleKeys()

// published is an event as a consumer receives it.
var published = exampleEvent()

// A consumer decrypts each message before it decodes it.
func Example() {
	keys, err := sealed.ParseKeys(examplePrivateKey) // a file with PEM or a JSON Web Key
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := keys.Open(published)
	switch {
	case errors.Is(err, sealed.ErrUnknownKey):
		fmt.Println("encrypted to others: read without personal members, or ask for a key")
		return
	case err != nil:
		fmt.Println(err)
		return
	}
	e, err := event.Decode(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Data.ExtractedClaims["name"], e.Data.Documents[0].DocumentNumber, e.Accepted())
	// Output: Testa Sample X0000001 true
}

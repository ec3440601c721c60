package admission

import (
	"net/http"
	"strings"
	"testing"

	"kycbridge"
)

// Bench measures Verify on a body of 1.5 KB and one of 12 KB, each with a header that admits the request. name
// describes the credential in the header. The body ends with a key; header creates the header for a body.
func Bench(b *testing.B, verify Verifier, name string, header func(body string) http.Header) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1.5KB", 1536}, {"12KB", 12288}} {
		body := benchBody(size.bytes)
		b.Run(name+"/"+size.name, func(b *testing.B) {
			r := kycbridge.Request{Header: header(string(body)), Body: body, ReceivedAt: Noon()}
			credentials := FixedCredentials()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(credentials, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchBody is a JSON object of about size bytes, with the key at its end.
func benchBody(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"capturedData":[`)
	for b.Len() < size-150 {
		b.WriteString(`{"field":"givenName","value":"ABCDEF","score":0.93},`)
	}
	b.WriteString(`{}],"processingConfig":{"authKeyForCallback":"` + FixedKey + `"}}`)
	return []byte(b.String())
}

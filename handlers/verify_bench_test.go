package handlers

import (
	"net/http"
	"strings"
	"testing"

	"kycbridge"
)

func BenchmarkVerify(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1.5KB", 1536}, {"12KB", 12288}} {
		body := benchBody(size.bytes)
		for _, c := range []struct {
			name   string
			verify verifier
			header http.Header
		}{
			{"Signzy/header", VerifySignzy, http.Header{"Authorization": {fixedKey}}},
			{"Signzy/body", VerifySignzy, http.Header{}},
			{"Ondato/basic", VerifyOndato, http.Header{"Authorization": {basicHeader(fixedUser, fixedPass)}}},
			{"Ondato/hmac", VerifyOndato, http.Header{"Ondato-Signature": {signed(fixedSecret, noon, string(body))}}},
			{"IDWise/bearer", VerifyIDWise, http.Header{"Authorization": {"Bearer " + fixedBearer}}},
			{"KwikID/header", VerifyKwikID, http.Header{"X-Custom": {fixedHeader}}},
		} {
			b.Run(c.name+"/"+size.name, func(b *testing.B) {
				r := kycbridge.Request{Header: c.header, Body: body, ReceivedAt: noon}
				credentials := fixedCredentials()
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.verify(credentials, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// benchBody is a JSON object of about size bytes with the key at its end.
func benchBody(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"capturedData":[`)
	for b.Len() < size-150 {
		b.WriteString(`{"field":"givenName","value":"ABCDEF","score":0.93},`)
	}
	b.WriteString(`{}],"processingConfig":{"authKeyForCallback":"` + fixedKey + `"}}`)
	return []byte(b.String())
}

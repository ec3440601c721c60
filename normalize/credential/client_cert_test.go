package credential_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// TestClientCert: a verified certificate admits by exactly one of name, DNS name and digest, and a request
// without a certificate is not admitted.
func TestClientCert(t *testing.T) {
	cert := &x509.Certificate{Raw: []byte("der"), Subject: pkix.Name{CommonName: "gateway"},
		DNSNames: []string{"Gateway.example.com", "other.example.com"}}
	sum := sha256.Sum256(cert.Raw)
	digest := hex.EncodeToString(sum[:])
	type described = kycbridge.ClientCertCredential
	for name, c := range map[string]struct {
		of    described
		cert  *x509.Certificate
		admit bool
	}{
		"common name":                  {described{SubjectCN: "gateway"}, cert, true},
		"common name, another case":    {described{SubjectCN: "Gateway"}, cert, false},
		"common name, part":            {described{SubjectCN: "gate"}, cert, false},
		"DNS name, of any case":        {described{SANDNS: "gateway.example.com"}, cert, true},
		"second DNS name":              {described{SANDNS: "other.example.com"}, cert, true},
		"DNS name as common name":      {described{SubjectCN: "other.example.com"}, cert, false},
		"common name as DNS name":      {described{SANDNS: "gateway"}, cert, false},
		"parent of a DNS name":         {described{SANDNS: "example.com"}, cert, false},
		"digest":                       {described{SHA256: digest}, cert, true},
		"another digest":               {described{SHA256: strings.Repeat("0", 64)}, cert, false},
		"nothing described":            {described{}, cert, false},
		"nothing described, no name":   {described{}, &x509.Certificate{}, false},
		"no certificate":               {described{SubjectCN: "gateway"}, nil, false},
		"no certificate, none is said": {described{}, nil, false},
	} {
		checks := credential.Checks{Admit: []credential.Check{credential.ClientCert}}
		got, err := checks.Verify(kycbridge.Credentials{ClientCerts: []described{c.of}},
			kycbridge.Request{Header: http.Header{}, Certificate: c.cert})
		if admitted := got == credential.PlacementClientCert && err == nil; admitted != c.admit {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.cert != nil && !c.admit && !strings.Contains(err.Error(), "wrong credential: client certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package credential

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"kycbridge"
)

// ClientCert is a certificate of the client, which the listener has verified against its authorities. Names
// are compared only then: anybody can write any name into a certificate.
func ClientCert(c kycbridge.Credentials, r kycbridge.Request) string {
	admits := func(d kycbridge.ClientCertCredential) bool { return Describes(d, r.Certificate) }
	return When(slices.ContainsFunc(c.ClientCerts, admits), PlacementClientCert)
}

// Describes reports whether a verified certificate is one of those that d describes. An empty d describes
// none.
func Describes(d kycbridge.ClientCertCredential, cert *x509.Certificate) bool {
	switch {
	case cert == nil:
		return false
	case d.SHA256 != "":
		sum := sha256.Sum256(cert.Raw)
		return hex.EncodeToString(sum[:]) == d.SHA256
	case d.SANDNS != "":
		return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return strings.EqualFold(name, d.SANDNS) })
	case d.SubjectCN != "":
		return cert.Subject.CommonName == d.SubjectCN
	}
	return false
}

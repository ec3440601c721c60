package credential

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"kycbridge"
)

// ClientCert checks the certificate of the client, which the listener has verified against its certificate
// authorities. Names are compared only in a verified certificate, because any sender can put any name into one.
func ClientCert(c kycbridge.Credentials, r kycbridge.Request) string {
	admits := func(d kycbridge.ClientCertCredential) bool { return Describes(d, r.Certificate) }
	return When(slices.ContainsFunc(c.ClientCerts, admits), PlacementClientCert)
}

// Describes reports whether d describes a verified certificate. An empty d describes no certificate.
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

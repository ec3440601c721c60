package app

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"
)

// tlsFiles are the files of a listener, read and checked.
type tlsFiles struct {
	config *tls.Config
	digest [sha256.Size]byte          // of their contents
	trust  map[[sha256.Size]byte]bool // digests of the certificates in client_ca
	// untimely is the fault of a certificate that is not valid now; nil: all are valid. It does not make the files
	// unusable: a process must be able to start again after a certificate has expired, since some senders may not
	// check it.
	untimely *tlsFault
}

// leaf is the certificate of the listener.
func (f *tlsFiles) leaf() *x509.Certificate { return f.config.Certificates[0].Leaf }

// tlsFault is what is wrong with one of the files. It contains nothing of the content of the file.
type tlsFault struct {
	key             string // cert, key or client_ca
	problem, remedy string
}

// Error is the fault on one line.
func (f tlsFault) Error() string { return f.key + " " + f.problem + "; " + f.remedy }

// strongCiphers are the cipher suites of TLS 1.2 with forward secrecy and authenticated encryption. All suites of
// TLS 1.3 have both.
var strongCiphers = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// load reads the files of t. It returns all faults; the files are nil if there is any fault.
func (t ListenTLS) load() (*tlsFiles, []tlsFault) {
	if !t.enabled() {
		return nil, nil
	}
	var faults []tlsFault
	certPEM, chain, certFault := readCertificates("cert", t.Cert)
	keyPEM, key, keyFault := readKey(t.Key)
	caPEM, authorities, caFault := t.loadAuthorities()
	if certFault == nil && keyFault == nil && !belongs(key, chain[0]) {
		keyFault = &tlsFault{"key", "does not belong to the first certificate in cert",
			"write the key of that certificate; the certificate of the server comes first in its file, its authorities follow"}
	}
	for _, f := range []*tlsFault{certFault, keyFault, caFault} {
		if f != nil {
			faults = append(faults, *f)
		}
	}
	if faults != nil {
		return nil, faults
	}
	certificate := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	files := &tlsFiles{digest: sha256.Sum256(bytes.Join([][]byte{certPEM, keyPEM, caPEM}, []byte{0}))}
	files.config = &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: strongCiphers,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	files.untimely = timeFault("cert", chain[0])
	if t.ClientCA != "" {
		files.trustClients(authorities)
		files.untimely = cmp.Or(files.untimely, endedAuthorities(authorities))
	}
	return files, nil
}

// endedAuthorities returns a fault if no authority is valid now. If at least one is valid, expired ones may remain
// in the file.
func endedAuthorities(authorities []*x509.Certificate) (fault *tlsFault) {
	for _, c := range authorities {
		if fault = timeFault("client_ca", c); fault == nil {
			return nil
		}
	}
	return fault
}

// loadAuthorities reads client_ca.
func (t ListenTLS) loadAuthorities() (raw []byte, authorities []*x509.Certificate, fault *tlsFault) {
	if t.ClientCA == "" {
		return nil, nil, nil
	}
	return readCertificates("client_ca", t.ClientCA)
}

// trustClients makes the listener verify a client certificate against these authorities, if the client presents
// one. A resumed session would not be verified again, so sessions cannot be resumed.
func (f *tlsFiles) trustClients(authorities []*x509.Certificate) {
	pool := x509.NewCertPool()
	f.trust = map[[sha256.Size]byte]bool{}
	for _, c := range authorities {
		pool.AddCert(c)
		f.trust[sha256.Sum256(c.Raw)] = true
	}
	f.config.ClientCAs, f.config.ClientAuth = pool, tls.VerifyClientCertIfGiven
	f.config.SessionTicketsDisabled = true
}

// readCertificates reads a PEM file with one or more certificates.
func readCertificates(key, file string) (raw []byte, chain []*x509.Certificate, fault *tlsFault) {
	raw, err := readFile(file)
	if err != nil {
		return nil, nil, &tlsFault{key, "the file cannot be read: " + err.Error(), "name a readable file"}
	}
	blocks := 0
	for rest := raw; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, &tlsFault{key, "holds a certificate that cannot be read", "write it as your authority issued it"}
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, nil, &tlsFault{key, "holds no certificate in PEM",
			"write one that begins with -----BEGIN CERTIFICATE-----"}
	}
	// Without the rest senders would miss an intermediate, or clients of an authority would be refused.
	if blocks < bytes.Count(raw, []byte("-----BEGIN ")) {
		return nil, nil, &tlsFault{key, "holds a block that cannot be read: the file is cut, or was damaged",
			"write the whole file"}
	}
	return raw, chain, nil
}

// timeFault is the fault of a certificate that is not valid now; nil if it is valid.
func timeFault(key string, c *x509.Certificate) *tlsFault {
	switch now := time.Now(); {
	case now.After(c.NotAfter):
		return &tlsFault{key, "expired on " + c.NotAfter.UTC().Format(time.RFC3339), "write a new certificate"}
	case now.Before(c.NotBefore):
		return &tlsFault{key, "is not valid before " + c.NotBefore.UTC().Format(time.RFC3339),
			"write one that is valid now, or correct the clock"}
	}
	return nil
}

// readKey reads a PEM file with a private key.
func readKey(file string) (raw []byte, key crypto.Signer, fault *tlsFault) {
	raw, err := readFile(file)
	if err != nil {
		return nil, nil, &tlsFault{"key", "the file cannot be read: " + err.Error(), "name a readable file"}
	}
	for rest := raw; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
			return nil, nil, &tlsFault{"key", "is encrypted with a passphrase",
				"write it without one, in a file that only kycbridge can read"}
		}
		if key, err = parseKey(block.Bytes); err != nil {
			return nil, nil, &tlsFault{"key", "holds a private key that cannot be read", "write an RSA, ECDSA or Ed25519 key"}
		}
		return raw, key, nil
	}
	return nil, nil, &tlsFault{"key", "holds no private key in PEM",
		"write one that begins with -----BEGIN PRIVATE KEY-----"}
}

// parseKey reads a private key in one of the three encodings that PEM files hold.
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("cannot sign")
	}
	return signer, nil
}

// belongs reports whether key is the private key of the certificate.
func belongs(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/spf13/pflag"
)

// tlsFlags are the files for a TLS connection to kycbridge.
type tlsFlags struct{ ca, cert, key, prefix string }

// given reports whether a file is named.
func (f *tlsFlags) given() bool { return f.ca+f.cert+f.key != "" }

// add adds the flags, prefix before each name.
func (f *tlsFlags) add(flags *pflag.FlagSet, prefix string) {
	f.addCA(flags, prefix)
	flags.StringVar(&f.cert, prefix+"cert-file", "", "`file` with a client certificate (PEM), with --"+prefix+"key-file")
	flags.StringVar(&f.key, prefix+"key-file", "", "`file` with its private key (PEM)")
}

// addCA adds the flag of the authorities alone.
func (f *tlsFlags) addCA(flags *pflag.FlagSet, prefix string) {
	f.prefix = "--" + prefix
	flags.StringVar(&f.ca, prefix+"ca-file", "",
		"`file` with the authorities to trust (PEM) where kycbridge uses TLS; default: those of the system")
}

// client creates an HTTP client from the flags. A redirect is no answer of kycbridge, and neither a credential nor
// a certificate must reach its target.
func (f *tlsFlags) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		raw, err := readInput(f.ca, nil, apiLargest)
		if err != nil {
			return nil, fmt.Errorf("%sca-file: %w", f.prefix, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("%sca-file: %s contains no certificate in PEM", f.prefix, f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, fmt.Errorf("%[1]scert-file and %[1]skey-file belong together: write both or neither", f.prefix)
	}
	if f.cert != "" {
		pair, err := f.clientCertificate()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// clientCertificate reads the client certificate and its key.
func (f *tlsFlags) clientCertificate() (pair tls.Certificate, err error) {
	cert, err := readInput(f.cert, nil, apiLargest)
	if err != nil {
		return pair, fmt.Errorf("%scert-file: %w", f.prefix, err)
	}
	key, err := readInput(f.key, nil, apiLargest)
	if err != nil {
		return pair, fmt.Errorf("%skey-file: %w", f.prefix, err)
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		return pair, fmt.Errorf("%[1]scert-file and %[1]skey-file: %[2]s and %[3]s are not a certificate and its key in PEM",
			f.prefix, f.cert, f.key)
	}
	return pair, nil
}

// noRedirects is a client without files.
func noRedirects() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kycbridge/event"
)

// largestKeySet limits a key set, which has some hundred bytes a key.
const largestKeySet = 1 << 20

// readKeySet reads the public keys that sign events from a file, or from a URL of the service.
func readKeySet(ctx context.Context, files *tlsFlags, from string) (event.Keys, error) {
	raw, err := keySetOf(ctx, files, from)
	if err != nil {
		return nil, fmt.Errorf("--keys: %w", err)
	}
	keys, err := event.ParseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("--keys: %s: %w; kycbridge serve has its key set at /.well-known/jwks.json of admin.listen",
			withoutUser(from), err)
	}
	return keys, nil
}

func keySetOf(ctx context.Context, files *tlsFlags, from string) ([]byte, error) {
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		return readInput(from, nil, largestKeySet)
	}
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("not a URL; write one such as http://127.0.0.1:8081/.well-known/jwks.json")
	}
	client, err := files.client()
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s: %s; is this the admin address of kycbridge?", req.URL.Redacted(),
			cause(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: does the service sign events (integrity.signing_key)?", req.URL.Redacted(),
			res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, largestKeySet))
}

// withoutUser is a file, or a URL without a password.
func withoutUser(from string) string {
	if u, err := url.Parse(from); err == nil && u.User != nil {
		return u.Redacted()
	}
	return from
}

// checkSignature refuses an event without a valid signature by one of keys.
func checkSignature(keys event.Keys) func(body []byte, signature string) error {
	return func(body []byte, signature string) error {
		err := keys.Verify(body, signature)
		if err == nil {
			return nil
		}
		e, failed := event.Decode(body)
		if failed != nil {
			return fmt.Errorf("%w, and it cannot be read", err)
		}
		return fmt.Errorf("%w: event %s, verification %s, revision %d", err, e.ID, e.Data.VerificationID, e.Data.Revision)
	}
}

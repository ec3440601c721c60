package main

import (
	"fmt"
	"io"

	"kycbridge/event"
	"kycbridge/event/sealed"
)

// largestKeyFile limits a file with private keys.
const largestKeyFile = 1 << 20

// decrypter decrypts events for printing.
type decrypter struct {
	keys     *sealed.Keys // nil: nothing is decrypted
	complain io.Writer
	failed   int
}

// readPrivateKeys reads the private keys of files; nil if there are none.
func readPrivateKeys(files []string) (keys *sealed.Keys, err error) {
	for _, file := range files {
		text, err := readInput(file, nil, largestKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--decrypt: %w", err)
		}
		found, err := sealed.ParseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("--decrypt %s: %w", file, err)
		}
		if keys != nil {
			found = keys.And(found)
		}
		keys = found
	}
	return keys, nil
}

// try returns the decrypted body, or body itself if it cannot be decrypted.
func (d *decrypter) try(body []byte) []byte {
	if d.keys == nil {
		return body
	}
	if opened, err := d.keys.Open(body); err == nil {
		return opened
	}
	return body
}

// wrap decrypts what print prints. An event that cannot be decrypted is printed as it is, after a message.
func (d *decrypter) wrap(print func([]byte) error) func([]byte) error {
	if d.keys == nil {
		return print
	}
	return func(body []byte) error {
		opened, err := d.keys.Open(body)
		if err == nil {
			return print(opened)
		}
		d.failed++
		e, _ := event.Decode(body)
		fmt.Fprintf(d.complain, "event %s, verification %s, revision %d: %v\n", printable(e.ID),
			printable(e.Data.VerificationID), e.Data.Revision, err)
		return print(body)
	}
}

// result is an error if an event could not be decrypted.
func (d *decrypter) result() error {
	if d.failed == 0 {
		return nil
	}
	return fmt.Errorf("%d events could not be decrypted: name further private keys with --decrypt", d.failed)
}

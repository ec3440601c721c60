// Package sealed encrypts and decrypts the personal members of events of the profile encrypted: pii.jwe holds them as
// a compact JSON Web Encryption (RFC 7516) for each recipient, ECDH-ES+A256KW or RSA-OAEP-256 with A256GCM.
package sealed

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"kycbridge/event"
)

var (
	// ErrUnknownKey means that an event is encrypted to other keys than the given ones.
	ErrUnknownKey = errors.New("none of the keys decrypts the event")
	// ErrDamaged means that an event is encrypted to a given key, and its content was altered.
	ErrDamaged = errors.New("the encrypted content of the event was altered")
)

// Algorithms that are accepted.
var (
	keyAlgorithms     = []jose.KeyAlgorithm{jose.ECDH_ES_A256KW, jose.RSA_OAEP_256}
	contentAlgorithms = []jose.ContentEncryption{jose.A256GCM}
)

// Seal encrypts the personal members of d to every recipient; pii.key_id names the first. Maps and slices that d
// shares with others are not modified.
func Seal(d *event.Data, recipients ...*Recipient) error {
	if len(recipients) == 0 {
		return errors.New("encrypt event: there is no recipient")
	}
	content, err := event.TakePersonal(d)
	if err != nil {
		return err
	}
	d.PII.KeyID, d.PII.JWE = recipients[0].KeyID, make(map[string]string, len(recipients))
	for _, r := range recipients {
		jwe, err := r.encrypter.Encrypt(content)
		if err != nil {
			return fmt.Errorf("encrypt event to %s: %w", r.KeyID, err)
		}
		if d.PII.JWE[r.KeyID], err = jwe.CompactSerialize(); err != nil {
			return fmt.Errorf("encrypt event to %s: %w", r.KeyID, err)
		}
	}
	return nil
}

// OpenData decrypts the personal members of d, which is then as under the profile full. Data of another profile is
// not changed. The error wraps ErrUnknownKey or ErrDamaged.
func (k *Keys) OpenData(d *event.Data) error {
	if d.PII.Profile != event.ProfileEncrypted {
		return nil
	}
	content, err := k.decrypt(d.PII.JWE)
	if err != nil {
		return err
	}
	return event.RestorePersonal(d, content)
}

// Open decrypts the body of a message of the event stream: the result is the event as under the profile full.
// Members that this version does not know are kept. An event of another profile is returned as it is. The error
// wraps ErrUnknownKey or ErrDamaged, or reports that body is not an event.
func (k *Keys) Open(body []byte) ([]byte, error) {
	var envelope, data, personal map[string]json.RawMessage
	var pii event.PII
	if json.Unmarshal(body, &envelope) != nil || json.Unmarshal(envelope["data"], &data) != nil ||
		json.Unmarshal(data["pii"], &pii) != nil {
		return nil, errors.New("not an event")
	}
	if pii.Profile != event.ProfileEncrypted {
		return body, nil
	}
	content, err := k.decrypt(pii.JWE)
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(content, &personal) != nil {
		return nil, ErrDamaged
	}
	maps.Copy(data, personal)
	if envelope["data"], err = json.Marshal(data); err != nil {
		return nil, err
	}
	return json.Marshal(envelope)
}

// decrypt returns the content by the first key that decrypts it: first the keys that are named, then all, because
// a recipient may have been given another key id than its key file has.
func (k *Keys) decrypt(jwes map[string]string) ([]byte, error) {
	failed := fmt.Errorf("%w: it is encrypted to key ids %s", ErrUnknownKey,
		strings.Join(slices.Sorted(maps.Keys(jwes)), ", "))
	for _, key := range k.keys {
		if text, named := jwes[key.KeyID]; named {
			if content, err := decrypt(key, text); err == nil {
				return content, nil
			}
			failed = fmt.Errorf("%w: key id %s", ErrDamaged, key.KeyID)
		}
	}
	for _, text := range jwes {
		for _, key := range k.keys {
			if content, err := decrypt(key, text); err == nil {
				return content, nil
			}
		}
	}
	return nil, failed
}

func decrypt(key jose.JSONWebKey, text string) ([]byte, error) {
	jwe, err := jose.ParseEncryptedCompact(text, keyAlgorithms, contentAlgorithms)
	if err != nil {
		return nil, err
	}
	return jwe.Decrypt(key.Key)
}

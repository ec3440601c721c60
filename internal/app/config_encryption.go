package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/event/sealed"
)

// encryption checks the keys of accounts with pii: encrypted.
func (c checker) encryption() {
	e := c.config.Encryption
	if e.EventKey != "" {
		if _, err := sealed.ParseKeys([]byte(e.EventKey.Reveal())); err != nil {
			c.fault("encryption.event_key", "is no key of the service: "+err.Error(),
				"write PEM, or name its file in event_key_file")
		}
	}
	seen := map[string]bool{}
	for i, r := range e.Recipients {
		key := item("encryption.recipients", i)
		if r.Key == "" {
			c.fault(key+".key", "is missing", "name the file with the consumer's public key in key_file")
			continue
		}
		to, err := r.parse()
		if err != nil {
			c.fault(key+".key", "is no public key of a consumer: "+err.Error(), "write PEM or a JSON Web Key")
			continue
		}
		if seen[to.KeyID] {
			c.fault(key+".key_id", "is another recipient's already", "write another key_id")
		}
		seen[to.KeyID] = true
	}
}

// piiKeys checks the recipients of an account with pii: encrypted.
func (c checker) piiKeys(key string, a Account) {
	e := c.config.Encryption
	if e.EventKey == "" {
		c.fault(key+".pii", "is encrypted, and encryption.event_key is missing: kycbridge could not read its events back",
			"name a file with a private key in encryption.event_key_file; "+sealed.Advice)
	}
	if len(e.Recipients) == 0 {
		c.fault(key+".pii", "is encrypted, and there is no recipient: no consumer could read its events",
			"write encryption.recipients")
		return
	}
	for i, id := range a.PIIKeys {
		if !slices.ContainsFunc(e.Recipients, func(r Recipient) bool { return r.id() == id }) {
			c.fault(item(key+".pii_keys", i), "is none of the key ids in encryption.recipients", "write one of them")
		}
	}
}

func (r Recipient) parse() (*sealed.Recipient, error) {
	return sealed.ParseRecipient(r.KeyID, []byte(r.Key.Reveal()))
}

// id is the key id of r; for an invalid key it is the configured id.
func (r Recipient) id() string {
	if to, err := r.parse(); err == nil {
		return to.KeyID
	}
	return r.KeyID
}

// sealer encrypts the events of accounts with pii: encrypted, and decrypts them for kycbridge itself.
type sealer struct {
	own        *sealed.Keys
	recipients map[kycbridge.AccountKey][]*sealed.Recipient // the service itself is the last
}

// newSealer creates the sealer of a configuration; nil without encryption.event_key.
func newSealer(c *Config) (*sealer, error) {
	if c.Encryption.EventKey == "" {
		return nil, nil
	}
	own, err := sealed.ParseKeys([]byte(c.Encryption.EventKey.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("encryption.event_key: %w", err)
	}
	self, err := own.Recipient()
	if err != nil {
		return nil, fmt.Errorf("encryption.event_key: %w", err)
	}
	all := make([]*sealed.Recipient, len(c.Encryption.Recipients))
	for i, r := range c.Encryption.Recipients {
		if all[i], err = r.parse(); err != nil {
			return nil, fmt.Errorf("encryption.recipients: %w", err)
		}
	}
	s := &sealer{own: own, recipients: map[kycbridge.AccountKey][]*sealed.Recipient{}}
	for _, a := range c.Accounts {
		if a.PII != string(event.ProfileEncrypted) {
			continue
		}
		var to []*sealed.Recipient
		for _, r := range all {
			if len(a.PIIKeys) == 0 || slices.Contains(a.PIIKeys, r.KeyID) {
				to = append(to, r)
			}
		}
		s.recipients[kycbridge.AccountKey{Provider: a.Provider, Account: a.Name}] = append(to, self)
	}
	return s, nil
}

// Seal returns the body of e with its personal members encrypted to the recipients of its account.
func (s *sealer) Seal(e *event.Event) ([]byte, error) {
	of := kycbridge.AccountKey{Provider: e.Data.Provider.Name, Account: e.Data.Account}
	to, known := s.recipients[of]
	if !known {
		return nil, fmt.Errorf("encrypt event: account %s of %s has no recipients here", of.Account, of.Provider)
	}
	out := *e
	if err := sealed.Seal(&out.Data, to...); err != nil {
		return nil, err
	}
	if faults := out.Check(); len(faults) > 0 {
		return nil, fmt.Errorf("encrypted event breaks its schema at %q: %s: %w", faults[0].Path, faults[0].Message,
			kycbridge.ErrUnmappable)
	}
	return json.Marshal(out)
}

// Open decrypts the personal members of d with the keys of the service.
func (s *sealer) Open(d *event.Data) error {
	err := s.own.OpenData(d)
	if errors.Is(err, sealed.ErrUnknownKey) {
		return fmt.Errorf("%w; the service's key among them is not configured in encryption.event_key", err)
	}
	return err
}

// errNoEventKey means that events cannot be encrypted or decrypted.
var errNoEventKey = errors.New("encryption.event_key is not configured")

// liveSealer encrypts and decrypts events with the configuration in use.
type liveSealer struct{ *system }

// Seal returns the body of e, encrypted to the recipients of its account.
func (s liveSealer) Seal(e *event.Event) ([]byte, error) {
	if now := s.live.Load().sealer; now != nil {
		return now.Seal(e)
	}
	return nil, fmt.Errorf("encrypt event: %w", errNoEventKey)
}

// Open decrypts the personal members of d.
func (s liveSealer) Open(d *event.Data) error {
	if now := s.live.Load().sealer; now != nil {
		return now.Open(d)
	}
	return errNoEventKey
}

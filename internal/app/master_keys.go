package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"kycbridge/internal/keys"
	"kycbridge/publisher"
)

// keyServiceTimeout is the limit of one request to a key service.
const keyServiceTimeout = 10 * time.Second

// master is the master key of stored bodies; nil if they are not encrypted.
func (e Encryption) master() (*keys.Master, error) {
	if !e.enabled() {
		return nil, nil
	}
	service, err := e.Vault.open()
	if err != nil {
		return nil, fmt.Errorf("encryption.vault: %w", err)
	}
	m, err := keys.NewMaster(e.Key.Reveal(), service)
	if err != nil {
		return nil, fmt.Errorf("encryption.key: %w", err)
	}
	return m, nil
}

// open prepares the requests to a key service; nil if none is configured.
func (k KeyService) open() (*keys.Vault, error) {
	if k == (KeyService{}) {
		return nil, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if k.CA != "" {
		pem, err := readFile(k.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: the file cannot be read: %w%s", err, pathShown(k.CA))
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca: the file contains no certificate in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return keys.NewVault(keys.VaultOptions{Address: k.Address, Mount: k.Mount, Key: k.Key, Token: k.Token.Reveal(),
		Namespace: k.Namespace, Client: &http.Client{Timeout: keyServiceTimeout, Transport: transport}})
}

// masterKeys checks the master keys.
func (c checker) masterKeys(e Encryption) {
	if e.Key != "" {
		if _, err := keys.ParseLocal(e.Key.Reveal()); err != nil {
			c.fault("encryption.key", "is no list of master keys: "+err.Error(),
				"write a line with an id and the key, or name its file in key_file; "+keys.Advice)
		}
	}
	if _, err := e.Vault.open(); err != nil {
		c.fault("encryption.vault", "names no key of a key service: "+err.Error(),
			"write {address: https://…, key: …, token_file: …}")
	}
}

// encryption warns of bodies that are stored in clear text.
func (w *warnings) encryption(c *Config) {
	if !c.Encryption.enabled() && len(c.Accounts) > 0 {
		w.add("encryption", "no master key, so payloads are stored in clear text; "+keys.Advice)
	}
	u, err := url.Parse(c.Encryption.Vault.Address)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		w.add("encryption.vault.address", "is plain http: keys can be read on the way")
	}
}

// sealStore makes the store encrypt bodies with the configured master key.
func (s *system) sealStore(ctx context.Context) error {
	master, err := s.config.Encryption.master()
	if err != nil {
		return err
	}
	if s.master = master; master != nil {
		s.store.SealWith(master)
	}
	if s.anyMaster {
		return nil
	}
	err = s.checkMaster(ctx, master)
	if _, isOther := errors.AsType[*publisher.MasterError](err); isOther {
		return fmt.Errorf("%w; write it into encryption.key_file, or restore the access to the key service", err)
	}
	return s.explained(err)
}

// checkMaster checks that a master key (nil: none) can decrypt the stored bodies.
func (s *system) checkMaster(ctx context.Context, master *keys.Master) error {
	if master == nil { // pass a nil interface, not an interface that contains a nil *Master
		return s.store.CheckMaster(ctx, nil)
	}
	return s.store.CheckMaster(ctx, master)
}

// nextMaster is the master key of a reloaded configuration; nil if it does not change.
func (s *system) nextMaster(ctx context.Context, before, next *Config) (*keys.Master, error) {
	if s.master == nil || next.Encryption.Key == before.Encryption.Key {
		return nil, nil
	}
	master, err := next.Encryption.master()
	if err == nil {
		err = s.checkMaster(ctx, master)
	}
	return master, err
}

// KeyStore manages the keys of the bodies in a store.
type KeyStore struct {
	store  *publisher.Store
	master *keys.Master // nil: none is configured
}

// HeldKey is a master key that stored payloads need.
type HeldKey struct {
	publisher.MasterKey
	State string `json:"state"` // current, configured or missing
}

// OpenKeys opens the keys in the store of a configuration, even if a master key is missing. closeAll closes it.
func OpenKeys(
	ctx context.Context, config *Config, access StoreAccess, log *zap.Logger,
) (k *KeyStore, closeAll func(), err error) {
	own := *config // reach changes it
	s := newSystem(&own, log)
	s.anyMaster = true
	master, err := config.Encryption.master()
	if err != nil {
		return nil, s.close, err
	}
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	if err := s.reach(ctx, access); err != nil {
		s.close()
		return nil, s.close, err
	}
	return &KeyStore{store: s.store, master: master}, s.close, nil
}

// MasterKeys lists the master keys that stored payloads need.
func (k *KeyStore) MasterKeys(ctx context.Context) ([]HeldKey, error) {
	held, err := k.store.MasterKeys(ctx)
	if err != nil {
		return nil, err
	}
	current := ""
	if k.master != nil {
		if current, _, err = k.master.Wrap(ctx, keys.New()); err != nil {
			return nil, err
		}
	}
	out := []HeldKey{}
	for _, m := range held {
		state := "missing: payloads under it cannot be read"
		switch {
		case k.master != nil && errors.Is(k.store.Opens(ctx, m, k.master), keys.ErrAltered):
			state = "another key has this id: payloads under it cannot be read"
		case m.ID == current:
			state = "current"
		case k.master != nil && k.master.Has(m.ID):
			state = "configured"
		}
		out = append(out, HeldKey{m, state})
	}
	return out, nil
}

// Rotate wraps all pages with the current master key.
func (k *KeyStore) Rotate(ctx context.Context, dryRun bool, progress func(done, all int)) (publisher.Rotation, error) {
	if k.master == nil {
		return publisher.Rotation{}, errors.New("no master key is configured; " + keys.Advice)
	}
	if err := k.store.CheckMaster(ctx, k.master); err != nil {
		return publisher.Rotation{}, fmt.Errorf("rotate: %w", err)
	}
	return k.store.RotateKeys(ctx, dryRun, progress)
}

// Keys of expired payloads are removed once a day, because all payloads are read for it, and the first time soon after
// the start, so that a process that is restarted each day does it as well.
const (
	keySweepFirst = time.Hour
	keySweep      = 24 * time.Hour
)

// sweepKeys removes keys of expired payloads until ctx ends.
func (a *App) sweepKeys(ctx context.Context) {
	next := time.NewTimer(keySweepFirst)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			next.Reset(keySweep)
		case <-ctx.Done():
			return
		}
		if n, err := a.store.SweepKeys(ctx); err != nil {
			a.log.Warn("keys of expired payloads could not be removed; the next attempt follows", zap.Error(err))
		} else if n > 0 {
			a.log.Info("keys of expired payloads removed", zap.Int("pages", n))
		}
	}
}

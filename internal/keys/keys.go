// Package keys wraps keys of stored payloads with master keys: with keys from the configuration, or with the
// transit engine of HashiCorp Vault or OpenBao.
package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// Size is the size of a key in bytes.
const Size = 32

// ErrUnknownKey means that a key was wrapped with a master key that is not configured.
var ErrUnknownKey = errors.New("this master key is not configured")

// Master wraps keys. The first configured master key wraps, all of them unwrap.
type Master struct {
	local atomic.Pointer[Local] // nil: none
	vault *Vault                // nil: none; if set, it wraps
}

// NewMaster creates the Master of a configuration: keys in the format of ParseLocal, "" for none, and the key
// of a key service, nil for none. With both, the service wraps and the keys only unwrap, so that a store can be
// moved from the keys to the service.
func NewMaster(text string, vault *Vault) (*Master, error) {
	m := &Master{vault: vault}
	if strings.TrimSpace(text) == "" && vault == nil {
		return nil, errors.New("no master key; " + Advice)
	}
	if strings.TrimSpace(text) != "" {
		local, err := ParseLocal(text)
		if err != nil {
			return nil, err
		}
		m.local.Store(local)
	}
	return m, nil
}

// Use replaces the keys of m by those of other.
func (m *Master) Use(other *Master) { m.local.Store(other.local.Load()) }

// Wrap encrypts a key with the current master key and returns the id of the master key. Keys that were
// wrapped with the same version of a master key have the same id.
func (m *Master) Wrap(ctx context.Context, key []byte) (id string, wrapped []byte, err error) {
	if m.vault != nil {
		return m.vault.Wrap(ctx, key)
	}
	return m.local.Load().Wrap(key)
}

// Unwrap decrypts a wrapped key. The error wraps ErrUnknownKey if the master key is not configured; after any
// other error the key may be available later, unless it was altered.
func (m *Master) Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error) {
	local := m.local.Load()
	switch {
	case m.vault != nil && m.vault.owns(id):
		return m.vault.Unwrap(ctx, wrapped)
	case local != nil && local.has(id):
		return local.Unwrap(id, wrapped)
	}
	return nil, fmt.Errorf("master key %s: %w", id, ErrUnknownKey)
}

// Has reports whether the master key with an id is configured.
func (m *Master) Has(id string) bool {
	local := m.local.Load()
	return m.vault != nil && m.vault.owns(id) || local != nil && local.has(id)
}

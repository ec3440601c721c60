package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Processes with different accounts may share a store. Each of them also removes what is old of accounts that it does
// not know: an account that was removed from all configurations must not be kept for ever. So each process records the
// retention of its accounts, and the record of an account is followed by all processes that do not know it.

// retentionOf is the subject of the message with the retention of an account; "*" for all of them. It is in the stream
// of tombstones.
func (n Names) retentionOf(a kycbridge.AccountKey) string {
	return n.join("erased.retention", orAny(a.Provider), orAny(a.Account))
}

// retentionMessage is the retention of an account in seconds; 0: forever.
type retentionMessage struct {
	Payloads   int64 `json:"payloads"`
	Quarantine int64 `json:"quarantine"`
}

// seconds is a retention in whole seconds. It is never shorter, so a retention does not become unlimited.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func (m retentionMessage) retention() kycbridge.AccountRetention {
	payloads, quarantine := time.Duration(m.Payloads)*time.Second, time.Duration(m.Quarantine)*time.Second
	return kycbridge.AccountRetention{Payloads: &payloads, Quarantine: &quarantine}
}

// ShareRetention records the retention of the accounts of this process, and keeps what belongs to the payloads of all
// accounts for as long as the payloads. Only one goroutine may call it.
func (s *Store) ShareRetention(ctx context.Context, accounts []kycbridge.AccountKey, r kycbridge.Retention) error {
	for _, a := range accounts {
		m := retentionMessage{seconds(r.Of(kycbridge.ClassPayloads, a)), seconds(r.Of(kycbridge.ClassQuarantine, a))}
		if err := s.recordRetention(ctx, a, m); err != nil {
			return err
		}
	}
	all, err := s.Retentions(ctx)
	if err != nil {
		return err
	}
	s.KeepLonger(r.Including(all))
	return nil
}

// recordRetention records the retention of an account, unless this process has recorded the same before: another one
// may have recorded a newer one meanwhile.
func (s *Store) recordRetention(ctx context.Context, a kycbridge.AccountKey, m retentionMessage) error {
	if before, ok := s.recorded[a]; ok && before == m {
		return nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("record the retention of an account: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.retentionOf(a), Data: body}); err != nil {
		return fmt.Errorf("record the retention of an account: %w", err)
	}
	s.recorded[a] = m
	return nil
}

// Retentions is the last recorded retention of every account, also of accounts that no process has any more. One that
// cannot be read is unlimited.
func (s *Store) Retentions(ctx context.Context) (map[kycbridge.AccountKey]kycbridge.AccountRetention, error) {
	all := map[kycbridge.AccountKey]kycbridge.AccountRetention{}
	err := s.readSubject(ctx, s.tombstones, s.names.retentionOf(kycbridge.AccountKey{}), 1,
		func(raw *jetstream.RawStreamMsg) error {
			tokens := strings.Split(raw.Subject, ".")
			n := len(tokens)
			var m retentionMessage
			if json.Unmarshal(raw.Data, &m) != nil || m.Payloads < 0 || m.Quarantine < 0 {
				m = retentionMessage{}
			}
			all[kycbridge.AccountKey{Provider: tokens[n-2], Account: tokens[n-1]}] = m.retention()
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the retention of accounts: %w", err)
	}
	return all, nil
}

package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/archive"
	"kycbridge/publisher"
	"kycbridge/schemas"
)

// StoreAccess is a stand-in until archive.go is there.
type StoreAccess struct{ URL, User, PasswordFile, CredentialsFile string }

// OpenArchive is a stand-in until archive.go is there.
func OpenArchive(ctx context.Context, config *Config, access StoreAccess, log *zap.Logger) (*archive.Archive, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	set, err := schemas.New()
	if err != nil {
		return nil, nil, err
	}
	accounts, err := config.BuildAccounts(Providers(set))
	if err != nil {
		return nil, nil, err
	}
	d := publisher.Dial{Name: "store", URL: access.URL}
	if d.URL == "" {
		raw, err := os.ReadFile(filepath.Join(config.DataDir, "operator-password"))
		if err != nil {
			return nil, nil, fmt.Errorf("there is no store in %s", config.DataDir)
		}
		d.URL, d.Options = "nats://"+config.Embedded.Address(), []nats.Option{nats.UserInfo("kycbridge", strings.TrimSpace(string(raw)))}
	}
	names := publisher.Names{Subject: config.Names.SubjectPrefix, Stream: config.Names.StreamPrefix}
	conn := func() (*publisher.Connection, error) {
		return publisher.Connect(ctx, d, publisher.LargestMessage(config.Receive.MaxBody), log)
	}
	c1, err := conn()
	if err != nil {
		return nil, nil, fmt.Errorf("the store at %s cannot be reached: %w", publisher.Redacted(d.URL), err)
	}
	store, err := publisher.OpenStore(ctx, c1, names, config.Receive.MaxBody, 1)
	if err != nil {
		return nil, nil, err
	}
	c2, err := conn()
	if err != nil {
		return nil, nil, err
	}
	bus, err := publisher.OpenBus(ctx, c2, names, config.Receive.MaxBody, 1)
	if err != nil {
		return nil, nil, err
	}
	return archiveOf(config, accounts, store, bus), func() { bus.Close(); store.Close() }, nil
}

func archiveOf(config *Config, accounts kycbridge.Accounts, store *publisher.Store, bus *publisher.Bus) *archive.Archive {
	intake := &kycbridge.Intake{Decode: Decode, Log: store, Quarantine: store, Refusals: store}
	n := &kycbridge.Normalizer{Accounts: accounts, Events: bus, Log: store, Quarantine: store, Mapping: Mapping,
		TypePrefix: config.Names.TypePrefix, SourcePrefix: config.Names.SourcePrefix, MaxAttempts: config.Normalize.MaxAttempts, Now: time.Now}
	return &archive.Archive{Accounts: accounts, Intake: intake, Shelves: store, Keeper: store, Ledger: store, Watches: store, Graves: store, Events: bus, Bus: bus, Now: time.Now,
		Replayer: &kycbridge.Replayer{Normalizer: n, Examine: func(a *kycbridge.Account, p kycbridge.Payload) string {
			_, reason, _ := intake.Examine(a, p)
			return reason
		}}}
}

// Archive is a stand-in until archive.go is there.
func (a *App) Archive() *archive.Archive {
	if bus := a.bus.Load(); bus != nil {
		return archiveOf(a.config, a.accounts, a.store, bus)
	}
	return nil
}

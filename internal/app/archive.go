package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/publisher"
	"kycbridge/schemas"
)

// StoreAccess is how a command reaches the store. The zero value uses the configuration; an embedded store
// is reached through the client port of the process that runs it, or opened directly if there is none.
type StoreAccess struct {
	URL             string
	User            string // with PasswordFile
	PasswordFile    string
	CredentialsFile string
}

// toolTimeout is how long a command waits for the store.
const toolTimeout = 8 * time.Second

// Archive is the stored-payload tool over the running store and bus.
func (a *App) Archive() *archive.Archive {
	bus := a.bus.Load()
	return newArchive(a.accounts, a.intake, a.store, bus, a.config)
}

// newArchive creates the tool.
func newArchive(
	accounts kycbridge.Accounts, intake *kycbridge.Intake, store *publisher.Store, bus *publisher.Bus, c *Config,
) *archive.Archive {
	n := newNormalizer(accounts, store, bus, c)
	return &archive.Archive{
		Accounts: accounts,
		Intake:   intake,
		Replayer: &kycbridge.Replayer{
			Normalizer: n,
			Examine: func(a *kycbridge.Account, p kycbridge.Payload) string {
				_, reason, _ := intake.Examine(a, p)
				return reason
			},
			Unmapped: func(string) bool { return false },
			Base: func(context.Context, kycbridge.Key, []kycbridge.Payload) (*kycbridge.Revision, error) {
				return nil, nil
			},
		},
		Shelves:        store,
		ShelfWriter:    store,
		DispositionLog: store,
		Watches:        store,
		Tombstones:     store,
		Barrier:        store,
		Events:         bus,
		Bus:            bus,
		Index:          store,
		Unindex:        store,
		LastEvents:     bus,
		KeyFinder:      store,

		Indexing: publisher.NewIndexer(store, bus),

		Streams:  []archive.Streams{store, bus},
		Erasures: store,

		Newest:       store,
		NewestEvents: bus,
		Sessions:     store,

		Now:      time.Now,
		Restored: func() time.Time { return event.ParseInstant(bus.RestoredTime()) },
	}
}

// newNormalizer creates the normalizer, the only way from stored payloads to events.
func newNormalizer(
	accounts kycbridge.Accounts, store *publisher.Store, bus *publisher.Bus, c *Config,
) *kycbridge.Normalizer {
	return &kycbridge.Normalizer{
		Accounts:     accounts,
		Events:       bus,
		Log:          store,
		Quarantine:   store,
		Triggers:     store,
		Mapping:      Mapping,
		TypePrefix:   c.Names.TypePrefix,
		SourcePrefix: c.Names.SourcePrefix,
		MaxAttempts:  c.Normalize.MaxAttempts,
		Restored:     bus.RestoredTime,
		Now:          time.Now,
	}
}

// OpenArchive opens the stored-payload tool without a running app. closeAll closes it.
func OpenArchive(
	ctx context.Context, config *Config, access StoreAccess, log *zap.Logger,
) (tool *archive.Archive, closeAll func(), err error) {
	a := &App{config: config, log: log}
	closeAll = func() {
		for i := len(a.stops) - 1; i >= 0; i-- {
			a.stops[i]()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	if a.schemas, err = schemas.New(); err != nil {
		return nil, closeAll, fmt.Errorf("compile schemas: %w", err)
	}
	if a.accounts, err = config.BuildAccounts(Providers(a.schemas)); err != nil {
		return nil, closeAll, err
	}
	opening, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	if err := a.reach(opening, access); err != nil {
		return nil, closeAll, err
	}
	bus, err := a.openBus(opening)
	if err != nil {
		return nil, closeAll, a.unreachable(err)
	}
	bus.RecordErasures(a.store)
	a.bus.Store(bus)
	a.stops = append(a.stops, bus.Close)
	a.intake = &kycbridge.Intake{Log: a.store, Quarantine: a.store, Refusals: a.store}
	return a.Archive(), closeAll, nil
}

// reach opens the store at the address of access or the configuration.
func (a *App) reach(ctx context.Context, access StoreAccess) error {
	c := *a.config // the changes apply to this tool only
	a.config = &c
	if access.URL != "" {
		server := Server{URL: access.URL, CredentialsFile: access.CredentialsFile, Username: access.User, TLS: c.Store.TLS,
			Replicas: c.Store.Replicas}
		if access.PasswordFile != "" {
			password, err := passwordFrom(access.PasswordFile)
			if err != nil {
				return err
			}
			server.Password = Secret(password)
		}
		if c.Bus.URL == c.Store.URL || c.Bus.IsEmbedded() {
			c.Bus = server
		}
		c.Store = server
	}
	if !c.Store.IsEmbedded() && !c.Bus.IsEmbedded() {
		return a.unreachable(a.openStore(ctx))
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, "jetstream")); err != nil {
		return fmt.Errorf("there is no store in data_dir %s: name the directory that serve uses", c.DataDir)
	}
	// A tool has no clients.
	port := c.Embedded
	c.Embedded = Embedded{Listen: noPort}
	err := a.openStore(ctx)
	if !errors.Is(err, publisher.ErrInUse) {
		return err
	}
	return a.joinRunning(ctx, port)
}

// joinRunning connects to the embedded server of the process that holds the directory.
func (a *App) joinRunning(ctx context.Context, port Embedded) error {
	c := a.config
	if port.Address() == "" {
		return errors.New("kycbridge is running with embedded.listen: none, so its store cannot be reached: use its API " +
			"under /v1/payloads, or stop it")
	}
	user, password, err := publisher.Operator(c.DataDir)
	if err != nil {
		return err
	}
	server := Server{URL: "nats://" + port.Address(), Username: user, Password: Secret(password)}
	if c.Store.IsEmbedded() {
		c.Store = server
	}
	if c.Bus.IsEmbedded() {
		c.Bus = server
	}
	return a.unreachable(a.openStore(ctx))
}

// unreachable explains in one line why a store does not answer.
func (a *App) unreachable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, publisher.ErrForbidden):
		return fmt.Errorf("this user may not read the store at %s: it needs the rights of kycbridge itself; name such a "+
			"user with --user and --password-file, or --creds", publisher.Redacted(a.config.Store.URL))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("the store at %s does not answer: is it running, and is this its address?",
			publisher.Redacted(a.config.Store.URL))
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("the store at %s refuses this user: name one who may with --user and --password-file, or --creds",
			publisher.Redacted(a.config.Store.URL))
	}
	return err
}

func passwordFrom(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

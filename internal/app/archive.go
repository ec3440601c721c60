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
)

// StoreAccess is how a command reaches the store. The zero value uses the configuration; an embedded store is
// reached through the client port of the process that runs it, or opened directly if no process runs it.
type StoreAccess struct {
	URL             string
	User            string // with PasswordFile
	PasswordFile    string
	CredentialsFile string
}

// toolTimeout is how long a command waits for the store.
const toolTimeout = 8 * time.Second

// Archive is the stored-payload tool for the store and the bus of the running app.
func (a *App) Archive() *archive.Archive { return a.newArchive(a.intake) }

// newArchive creates the tool for the open store and bus.
func (s *system) newArchive(intake *kycbridge.Intake) *archive.Archive {
	store, bus, accounts := s.store, s.bus.Load(), s.live.Load().accounts
	a := &archive.Archive{
		Accounts:  accounts,
		Providers: s.providers,
		Intake:    intake,
		Replayer: &kycbridge.Replayer{
			Normalizer: s.newNormalizer(bus, accounts),
			Examine:    intake.Decode,
			Unmapped:   func(string) bool { return false },
		},
		Shelves:        store,
		ShelfWriter:    store,
		DispositionLog: store,
		Watches:        store,
		Tombstones:     store,
		Holds:          store,
		Claims:         store,
		Records:        store,
		Ageing:         store,
		Retention:      s.live.Load().config.retention(),
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

		AccessLog: store,

		Newest:       store,
		NewestEvents: bus,
		Sessions:     store,

		Now:      time.Now,
		Restored: func() time.Time { return event.ParseInstant(bus.RestoredTime()) },
	}
	if s.config.Integrity.Log {
		a.Ledger = publisher.NewLedger(store, bus)
		a.Witness, _ = s.witness() // the keys were parsed before
	}
	return a
}

// newNormalizer creates the normalizer, the only way from stored payloads to events.
func (s *system) newNormalizer(bus *publisher.Bus, accounts kycbridge.AccountFinder) *kycbridge.Normalizer {
	return &kycbridge.Normalizer{
		Accounts:     accounts,
		Events:       publisher.NewPredicting(bus),
		Log:          s.store,
		Quarantine:   s.store,
		Triggers:     s.store,
		Recalled:     new(kycbridge.Recalled),
		Mapping:      Mapping,
		TypePrefix:   s.config.Names.TypePrefix,
		SourcePrefix: s.config.Names.SourcePrefix,
		MaxAttempts:  s.config.Normalize.MaxAttempts,
		Restored:     bus.RestoredTime,
		RevisionOf:   bus.RevisionOf,
		Now:          time.Now,
	}
}

// ErrForbidden is wrapped by the error of a store whose files belong to another user.
var ErrForbidden = errors.New("this user may not read")

// OpenArchive opens the stored-payload tool without a running app. closeAll closes it.
func OpenArchive(
	ctx context.Context, config *Config, access StoreAccess, log *zap.Logger,
) (tool *archive.Archive, closeAll func(), err error) {
	own := *config // a copy, which reach changes
	s := newSystem(&own, log)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err = s.load(); err != nil {
		return nil, s.close, err
	}
	opening, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	if err = s.reach(opening, access); err != nil {
		return nil, s.close, err
	}
	bus, err := s.openBus(opening)
	if err != nil {
		return nil, s.close, s.unreachable(err)
	}
	bus.RecordErasures(s.store)
	s.bus.Store(bus)
	s.onStop(bus.Close)
	intake := &kycbridge.Intake{Log: s.store, Quarantine: s.store, Refusals: s.store}
	return s.newArchive(intake), s.close, nil
}

// reach opens the store at the address of access or the configuration. It writes the address into the
// configuration.
func (s *system) reach(ctx context.Context, access StoreAccess) error {
	c := s.config
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
		return s.unreachable(s.openStore(ctx))
	}
	switch _, err := os.Stat(filepath.Join(c.DataDir, "jetstream")); {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w data_dir %s: run the command as the user that runs serve", ErrForbidden, c.DataDir)
	case err != nil:
		return fmt.Errorf("there is no store in data_dir %s: name the directory that serve uses", c.DataDir)
	}
	// A command needs no client port.
	port := c.Embedded
	c.Embedded = Embedded{Listen: noPort}
	err := s.openStore(ctx)
	if !errors.Is(err, publisher.ErrInUse) {
		return c.openFault(err)
	}
	return s.joinRunning(ctx, port)
}

// joinRunning connects to the embedded server of the process that holds the directory.
func (s *system) joinRunning(ctx context.Context, port Embedded) error {
	c := s.config
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
	return s.unreachable(s.openStore(ctx))
}

// unreachable explains in one line why a store does not answer.
func (s *system) unreachable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, publisher.ErrForbidden):
		return fmt.Errorf("this user may not read the store at %s: it needs the rights of kycbridge itself; name such a "+
			"user with --user and --password-file, or --creds", publisher.Redacted(s.config.Store.URL))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("the store at %s does not answer: is it running, and is this its address?",
			publisher.Redacted(s.config.Store.URL))
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("the store at %s refuses this user: name one who may with --user and --password-file, or --creds",
			publisher.Redacted(s.config.Store.URL))
	}
	return err
}

func passwordFrom(file string) (string, error) {
	raw, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("read password: %w%s", err, pathShown(file))
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

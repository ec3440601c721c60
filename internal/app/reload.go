package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Source is where the configuration of a process comes from. The environment of a process does not change.
type Source struct {
	Path    string // of the file; "": none
	Environ []string
}

// fileDigests are the SHA-256 digests of the contents of files; zero for a file that cannot be read.
type fileDigests map[string][sha256.Size]byte

// load reads and checks the configuration. It returns the digests of the files that it has read even after an
// error.
func (s Source) load() (*Config, fileDigests, error) {
	return loadConfig(s.Path, s.Environ, ProviderCatalog())
}

// now returns the current digests of the same files.
func (d fileDigests) now() fileDigests {
	out := fileDigests{}
	out.addNow(slices.Collect(maps.Keys(d))...)
	return out
}

// addNow adds the current digests of files.
func (d fileDigests) addNow(paths ...string) {
	for _, path := range paths {
		if path != "" {
			raw, err := readFile(path)
			d.add(path, raw, err)
		}
	}
}

// add adds the digest of a file that was read, or zero if err is not nil.
func (d fileDigests) add(path string, raw []byte, err error) {
	if err != nil {
		d[path] = [sha256.Size]byte{}
		return
	}
	d[path] = sha256.Sum256(raw)
}

// WithSource lets a running app read its configuration again: when the contents of its files change, and at
// Reload.
func WithSource(s Source) Option { return func(a *App) { a.source = &s } }

// WithLogLevel lets a reload change log.level.
func WithLogLevel(set func(level string)) Option { return func(a *App) { a.setLogLevel = set } }

// Reload requests that the configuration is read again soon. An invalid configuration changes nothing.
func (a *App) Reload() {
	select {
	case a.reloadNow <- struct{}{}:
	default: // one is pending already
	}
}

// reloadAgain is the interval between attempts to apply a configuration without a fault in its files.
const reloadAgain = 10 * time.Second

// watchConfig reloads the configuration when asked to, and when its files have changed and then stayed the same
// for one interval: a file may be half written, and a configuration may be several files. It repeats a reload that
// failed for a reason outside the files.
func (a *App) watchConfig(ctx context.Context) {
	a.tried = a.live.Load().config.leaves() // as it was started
	tried := a.reload(false)
	var settling fileDigests
	tick := time.NewTicker(filesInterval)
	defer tick.Stop()
	for {
		select {
		case <-a.reloadNow:
			tried, settling = a.reload(true), nil
		case <-tick.C:
			now := tried.now()
			switch {
			case maps.Equal(now, tried) && a.unapplied != nil && time.Since(a.triedAt) >= reloadAgain:
				tried, settling = a.reload(false), nil
			case maps.Equal(now, tried):
				settling = nil
			case maps.Equal(now, settling):
				tried, settling = a.reload(false), nil
			default:
				settling = now
			}
		case <-ctx.Done():
			return
		}
	}
}

// reload applies the configuration as it is in its files, or reports why it cannot be used and changes nothing. It
// returns the files that it has read. Unless a reload was requested, it logs nothing if only the contents of TLS
// files have changed: the listeners read these files themselves.
func (a *App) reload(asked bool) fileDigests {
	config, files, err := a.source.load()
	var next *live
	if err == nil {
		next, err = a.prepareReload(config)
	}
	a.triedAt = time.Now()
	if err != nil {
		a.refuse(err, asked)
		return files
	}
	a.unapplied = nil
	a.metrics.configRefused.Set(0)
	leaves := config.leaves()
	if maps.Equal(leaves, a.tried) && !asked {
		return files
	}
	a.tried = leaves
	before := a.live.Load()
	changes := DiffConfig(before.config, next.config)
	if len(changes) > 0 {
		a.use(next, before)
	}
	a.metrics.reloads.WithLabelValues("applied").Inc()
	a.metrics.configApplied.SetToCurrentTime()
	a.logReload(config, changes)
	return files
}

// refuse records and reports why a configuration cannot be used. An error that is not in the files may pass: the store
// or a key service did not answer, or stored payloads still need a master key that was removed. The reload is then
// repeated, and reported again only if the reason has changed.
func (a *App) refuse(err error, asked bool) {
	a.tried = nil
	a.metrics.configRefused.Set(1)
	before := a.unapplied
	a.unapplied = nil
	if _, ok := errors.AsType[*ConfigError](err); !ok {
		a.unapplied = err
	}
	if !asked && before != nil && a.unapplied != nil && before.Error() == err.Error() {
		return
	}
	a.metrics.reloads.WithLabelValues("refused").Inc()
	a.logFaults(err)
}

// prepareReload builds everything that config replaces, with the same checks as a start. Keys that need a restart
// keep their values, so the mixture is checked too.
func (a *App) prepareReload(config *Config) (*live, error) {
	if err := config.Serves(a.roles); err != nil {
		return nil, err
	}
	before := a.live.Load()
	if len(config.Accounts) == 0 && len(before.config.Accounts) > 0 {
		// A file that was cut while it was written looks like this, and providers drop what is answered 404.
		return nil, &ConfigError{[]Fault{{File: a.source.Path, Key: "accounts", Problem: "there is none any more",
			Remedy: "write them again, or restart kycbridge to run without accounts"}}}
	}
	mixed := before.config.with(config)
	r := report{file: a.source.Path, sources: map[string]source{}}
	check(&r, mixed, ProviderCatalog())
	for i := range r.faults {
		r.faults[i].Remedy = "restart kycbridge: it needs a changed key that takes effect only at a start"
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	accounts, err := mixed.BuildAccounts(Providers(a.schemas))
	if err != nil {
		return nil, err
	}
	next, err := newLive(mixed, accounts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyServiceTimeout)
	defer cancel()
	if next.master, err = a.nextMaster(ctx, before.config, mixed); err != nil {
		return nil, fmt.Errorf("encryption.key: %w", err)
	}
	a.connectAPIs(next, before)
	return next, nil
}

// use replaces the live configuration. Requests in progress finish with the values that they have loaded.
func (a *App) use(next, before *live) {
	a.live.Store(next)
	if next.master != nil {
		a.master.Use(next.master)
	}
	if a.callbacks != nil {
		a.callbacks.SetLimits(next.config.callbackLimits())
	}
	a.store.KeepLonger(next.config.retention())
	if a.polling != nil {
		a.pollAccounts()
	}
	if a.setLogLevel != nil {
		a.setLogLevel(next.config.Log.Level)
	}
	for key := range before.accounts {
		if i := next.config.account(key); i < 0 || !before.sameAPI(key, next.config.Accounts[i]) {
			a.metrics.paused(key, false) // its client is not used any more, so it will not report the end of a pause
			a.day.Paused(key, false)
		}
	}
	a.metrics.configVersion(next.config.Version())
}

// logFaults writes a line for each fault. None contains a value.
func (a *App) logFaults(err error) {
	const why = "the configuration cannot be used; nothing was changed, what was read before remains in use"
	var faults *ConfigError
	if !errors.As(err, &faults) {
		a.log.Error(why+"; trying again", zap.String("fault", err.Error()))
		return
	}
	for _, f := range faults.Faults {
		a.log.Error(why, zap.String("fault", f.String()))
	}
}

// logReload logs what was applied, what waits for a restart, and what is probably not intended.
func (a *App) logReload(config *Config, changes []ConfigChange) {
	used := a.live.Load().config
	a.log.Info("the configuration was read again", zap.String("version", used.Version()),
		zap.Strings("changed", keysIn(changes)))
	for _, c := range DiffConfig(used, config) {
		a.log.Warn("a changed key takes effect only at the next start", zap.String("key", c.Key))
	}
	for _, warning := range Warnings(used) {
		a.log.Warn(warning)
	}
}

func keysIn(changes []ConfigChange) []string {
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = c.Key
	}
	return keys
}

// ConfigComparison is how the configuration in its files differs from the one in use.
type ConfigComparison struct {
	Version string         `json:"version"`          // in use
	Next    string         `json:"next,omitempty"`   // in the files; "" with faults
	Changes []ConfigChange `json:"changes"`          // from the one in use to the files
	Faults  []string       `json:"faults,omitempty"` // why the files cannot be used
}

// CompareConfig compares the configuration in its files with the one in use. It changes nothing.
func (a *App) CompareConfig() ConfigComparison {
	used := a.live.Load().config
	out := ConfigComparison{Version: used.Version(), Changes: []ConfigChange{}}
	if a.source == nil {
		out.Next = out.Version
		return out
	}
	config, _, err := a.source.load()
	if err == nil {
		err = config.Serves(a.roles)
	}
	var faults *ConfigError
	switch {
	case errors.As(err, &faults):
		for _, f := range faults.Faults {
			out.Faults = append(out.Faults, f.String())
		}
	case err != nil:
		out.Faults = []string{err.Error()}
	default:
		out.Next, out.Changes = config.Version(), DiffConfig(used, config)
	}
	return out
}

package blocks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Options configure which store is checked, and how much of it is read.
type Options struct {
	Dir    string // of the store: it contains a folder for each account
	Aside  string // folder for damaged files; created on demand
	Memory string // file that records the intact files
	// TrustedFor is how long an unchanged block that was found intact is not read again. Blocks that were checked
	// longer ago are read too, within the time Patience; the rest is left for Scrub.
	TrustedFor time.Duration
	Patience   time.Duration
	Ours       func(stream string) bool // reports whether kycbridge can create the settings of a stream again
}

// AsideTime is the prefix of the name of a set-aside file: the time, in UTC.
const AsideTime = "20060102T150405.000Z"

// bitFlipTimeout is the time after the beginning of a check at which the search of contents for flipped bits stops.
const bitFlipTimeout = 10 * time.Second

// Result is the result of a check.
type Result struct {
	Findings []Finding
	Bytes    int64 // of blocks that were read
	Unread   int   // blocks that are left for Scrub
	Took     time.Duration
}

// check is one check of a store.
type check struct {
	Options
	began   time.Time
	memory  memory
	result  Result
	account string
}

// Check reads a store that no server has open. A damaged block is set aside and replaced by its intact
// messages, at their sequences; an implausible state of a consumer and settings with a wrong checksum are
// set aside too. It returns an error only if the store cannot be read or written.
func Check(o Options) (Result, error) {
	c := &check{Options: o, began: time.Now(), memory: recall(o.Memory)}
	err := c.each(c.stream)
	if err == nil {
		c.memory.prune(o.Dir)
		_ = c.memory.keep(o.Memory) // on failure the next start reads more
	}
	c.result.Took = time.Since(c.began)
	return c.result, err
}

// each visits all streams of all accounts.
func (c *check) each(visit func(folder) error) error {
	accounts, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	for _, a := range accounts {
		c.account = a.Name()
		streams, err := os.ReadDir(filepath.Join(c.Dir, a.Name(), "streams"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && a.IsDir() {
			return fmt.Errorf("read the store: %w", err)
		}
		for _, s := range streams {
			if !s.IsDir() || strings.HasPrefix(s.Name(), ".") {
				continue // a deleted stream
			}
			if err := visit(folder{filepath.Join(c.Dir, a.Name(), "streams", s.Name()), s.Name()}); err != nil {
				return fmt.Errorf("check stream %s: %w", s.Name(), err)
			}
		}
	}
	return nil
}

// stream checks one stream.
func (c *check) stream(f folder) error {
	if !f.foreign() {
		if err := c.blocks(f); err != nil {
			return err
		}
	}
	if err := c.timers(f); err != nil {
		return err
	}
	if c.Ours(f.stream) && !sound(f.path, f.stream) {
		if err := c.drop(f, Finding{Kind: KindSettings}, f.path, settingsFile, settingsSum); err != nil {
			return err
		}
	}
	return c.consumers(f)
}

// consumers checks the state of the consumers of a stream.
func (c *check) consumers(f folder) error {
	entries, err := os.ReadDir(filepath.Join(f.path, consumersDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(f.path, consumersDir, e.Name())
		if _, err := os.Stat(filepath.Join(dir, keyFile)); err == nil || !e.IsDir() {
			continue
		}
		if !soundState(filepath.Join(dir, stateFile)) {
			if err := c.drop(f, Finding{Kind: KindState, Consumer: e.Name()}, dir, stateFile); err != nil {
				return err
			}
		}
		if !sound(dir, f.stream+"/"+e.Name()) {
			if err := c.drop(f, Finding{Kind: KindSettings, Consumer: e.Name()}, dir, settingsFile, settingsSum); err != nil {
				return err
			}
		}
	}
	return nil
}

// timers removes the timer lists of a stream unless they are unchanged since the last regular shutdown: they
// have no checksum, and the server rebuilds them from the messages.
func (c *check) timers(f folder) error {
	for _, name := range timerFiles {
		path := filepath.Join(f.path, messagesDir, name)
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if c.memory[c.name(path)].Digest == digest(raw) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// drop sets files aside.
func (c *check) drop(f folder, found Finding, dir string, names ...string) error {
	for _, name := range names {
		to, err := c.keepAside(f, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if to == "" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
		if found.Aside == "" {
			found.File, found.Aside = c.name(filepath.Join(dir, name)), to
		}
	}
	c.found(f, found)
	return nil
}

func (c *check) found(f folder, found Finding) {
	found.Account, found.Stream = c.account, f.stream
	c.result.Findings = append(c.result.Findings, found)
}

// name is the path of a file within the store.
func (c *check) name(path string) string {
	if name, err := filepath.Rel(c.Dir, path); err == nil {
		return name
	}
	return path
}

// keepAside links or copies a file to the folder for damaged files and returns its path there; "" if the file does
// not exist.
func (c *check) keepAside(f folder, path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := os.MkdirAll(c.Aside, 0o700); err != nil {
		return "", fmt.Errorf("make a folder for damaged files: %w", err)
	}
	rel, err := filepath.Rel(f.path, path)
	if err != nil {
		return "", err
	}
	name := c.began.UTC().Format(AsideTime) + "-" + f.stream + "-" +
		strings.ReplaceAll(rel, string(filepath.Separator), "-")
	to := filepath.Join(c.Aside, name)
	if err := os.Link(path, to); err == nil {
		return to, nil
	}
	if err := duplicate(path, to); err != nil { // on another file system
		return "", fmt.Errorf("set a damaged file aside: %w", err)
	}
	return to, nil
}

func duplicate(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// blocks checks the messages of a stream.
func (c *check) blocks(f folder) error {
	numbers, err := f.numbers()
	if err != nil {
		return err
	}
	if err := c.restoreNames(f, numbers); err != nil {
		return err
	}
	if numbers, err = f.numbers(); err != nil {
		return err
	}
	looks, err := c.looks(f, numbers)
	if err != nil {
		return err
	}
	return c.repair(f, looks)
}

// looks reads the blocks that must be read, concurrently.
func (c *check) looks(f folder, numbers []uint32) ([]look, error) {
	looks, errs := make([]look, len(numbers)), make([]error, len(numbers))
	slots := make(chan struct{}, min(runtime.GOMAXPROCS(0), 4))
	var reading sync.WaitGroup
	for i, number := range numbers {
		if known, ok := c.known(f, number); ok {
			looks[i] = look{number: number, scanned: scanned{last: known.Last}, size: known.Size, stamp: known}
			continue
		}
		slots <- struct{}{}
		reading.Go(func() {
			looks[i], errs[i] = f.look(number, 0)
			<-slots
		})
		c.result.Bytes += size(f.block(number))
	}
	reading.Wait()
	return looks, errors.Join(errs...)
}

func size(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// known reports whether a block need not be read.
func (c *check) known(f folder, number uint32) (stamp, bool) {
	info, err := os.Stat(f.block(number))
	if err != nil {
		return stamp{}, false
	}
	name := c.name(f.block(number))
	if s, ok := c.memory.unchanged(name, info, c.began.Add(-c.TrustedFor)); ok {
		return s, true
	}
	s, ok := c.memory.unchanged(name, info, time.Time{})
	if ok && time.Since(c.began) > c.Patience {
		c.result.Unread++
		return s, true
	}
	return stamp{}, false
}

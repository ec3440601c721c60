package publisher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// After one write into a stream has failed, the embedded server answers no later message for this stream, also when
// the disk has space again, until it is restarted. And if the data directory is removed, renamed or covered by a mount,
// it writes into files that the next start does not find. Neither state ends by itself. Both must be noticed without
// a callback, so the server is asked every second.

// lookInterval is how often the state of the embedded server and of its disk is read.
const lookInterval = time.Second

// stopped are the reasons why an embedded server stores nothing any more. The zero value has none.
type stopped struct {
	mu      sync.Mutex
	all     error            // of every stream
	streams map[string]error // of single streams
	full    error            // of every stream, until there is space again
	since   time.Time        // of the first of all and streams
}

// note records what was found. What was found before remains, except that the disk is full.
func (s *stopped) note(all error, streams map[string]error, full error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
	if s.all == nil {
		s.all = all
	}
	if s.streams == nil {
		s.streams = map[string]error{}
	}
	maps.Copy(s.streams, streams)
	if s.since.IsZero() && (s.all != nil || len(s.streams) > 0) {
		s.since = time.Now()
	}
}

// noteForGood records why nothing is stored any more.
func (s *stopped) noteForGood(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = why
	}
	if s.since.IsZero() {
		s.since = time.Now()
	}
}

// refuses is why nothing is stored in a stream until the process is restarted; nil if messages are stored.
func (s *stopped) refuses(stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all != nil {
		return s.all
	}
	return s.streams[stream]
}

// unready is why a callback could not be stored in a stream now; nil if it could.
func (s *stopped) unready(stream string) error {
	if err := s.refuses(stream); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// forGood is the first reason that only a restart removes, nil if there is none, and for how long it has been known.
func (s *stopped) forGood() (lasts time.Duration, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all != nil:
		return time.Since(s.since), s.all
	case len(s.streams) > 0:
		return time.Since(s.since), s.streams[slices.Sorted(maps.Keys(s.streams))[0]]
	}
	return 0, nil
}

// notStopped is for the disk of a server in another process, of which nothing is known.
type notStopped struct{}

func (notStopped) refuses(string) error { return nil }
func (notStopped) unready(string) error { return nil }

// watchState records until ctx ends why the server stores nothing any more.
func (e *Embedded) watchState(ctx context.Context) {
	var flushing sync.WaitGroup
	defer flushing.Wait()
	e.disk.watch(ctx, &flushing)
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.disk.note(e.displaced(), e.refusing(), diskFull(e.dir))
			e.disk.watch(ctx, &flushing)
			e.watchFolders()
		case <-ctx.Done():
			return
		}
	}
}

// watch flushes every stream whose newest file was changed by something else than an appended message. The flush finds
// out what is wrong. Without this, damage to a stream that is seldom written would be noticed late.
func (f *flushers) watch(ctx context.Context, flushing *sync.WaitGroup) {
	entries, err := os.ReadDir(f.streams())
	if err != nil {
		return // displaced, or gone: every flush fails
	}
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue // not a stream, or a removed one
		}
		if one, covered := f.of(entry.Name()); !covered.quiet() {
			flushing.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, publishTimeout)
				defer cancel()
				_ = one.wait(ctx) // it records the damage itself
			})
		}
	}
}

// watchFolders looks for streams of the server whose folder is gone. A message would fail to be flushed, but some
// streams get none for a long time.
func (e *Embedded) watchFolders() {
	gone := e.disk.withoutFolder()
	if len(gone) == 0 {
		return
	}
	time.Sleep(looks * looksApart) // the server removes the folder of a stream before it forgets the stream
	for _, stream := range gone {
		switch {
		case !slices.Contains(e.disk.withoutFolder(), stream):
		case e.serves(stream):
			e.disk.noteForGood(fmt.Errorf("%w: the folder of %s was removed", ErrDamaged, stream))
		default:
			e.disk.forget(stream)
		}
	}
}

// serves reports whether the server has a stream.
func (e *Embedded) serves(stream string) bool {
	state, err := e.server.Jsz(&server.JSzOptions{Account: ownAccount, Streams: true})
	return err == nil && slices.ContainsFunc(state.AccountDetails, func(a *server.AccountDetail) bool {
		return slices.ContainsFunc(a.Streams, func(s server.StreamDetail) bool { return s.Name == stream })
	})
}

// withoutFolder are the streams that had a folder and have none any more.
func (f *flushers) withoutFolder() (gone []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for stream, covered := range f.vouched {
		if _, err := os.Stat(filepath.Join(f.streams(), stream)); errors.Is(err, os.ErrNotExist) && covered.began() {
			gone = append(gone, stream)
		}
	}
	return gone
}

// forget forgets a stream that was removed.
func (f *flushers) forget(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vouched[stream].end()
	delete(f.vouched, stream)
	delete(f.covered, stream)
	delete(f.byStream, stream)
}

// Stopped is why the server stores nothing in one of its streams until it is restarted, and for how long that has been
// known. why is nil if the server stores messages.
func (e *Embedded) Stopped() (lasts time.Duration, why error) { return e.disk.forGood() }

// ErrDisplaced means that the data directory in use is not the one of its path any more.
var ErrDisplaced = errors.New("the data directory or its lock was removed or replaced while this process uses it")

// displaced compares the lock that this process holds with the file of its path.
func (e *Embedded) displaced() error {
	held, err := e.lock.Stat()
	if err != nil {
		return nil // it is closed: the process ends
	}
	found, err := os.Stat(filepath.Join(e.dir, lockFile))
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(held, found) {
		return fmt.Errorf("%w: %s", ErrDisplaced, e.dir)
	}
	return nil // with another error it is not known
}

// refusing are the streams that the server refuses to write into after a failed write, with its reason.
func (e *Embedded) refusing() map[string]error {
	const reason = "write error: "
	found := map[string]error{}
	state := e.server.Healthz(&server.HealthzOptions{Account: ownAccount, Details: true})
	for _, fault := range state.Errors {
		if _, why, ok := strings.Cut(fault.Error, reason); ok && fault.Type == server.HealthzErrorStream {
			found[fault.Stream] = fmt.Errorf("the embedded server stores nothing in %s until it is restarted: %s",
				fault.Stream, why)
		}
	}
	return found
}

// diskFull is why nothing can be written to the file system of a data directory; nil if something can or if it is not
// known. Without a free inode the files that there are still grow. What the file system reports decides nothing: blocks
// may be reserved for this user, and beyond the soft limit of a quota none is free, but writes succeed.
func diskFull(dir string) error {
	var disk syscall.Statfs_t
	if syscall.Statfs(dir, &disk) != nil || disk.Blocks == 0 || disk.Bavail > 0 || takesBlock(dir) {
		return nil
	}
	return fmt.Errorf("the disk under %s is full", dir)
}

// takesBlock reports whether the lock file, which is otherwise empty, can grow by a block.
func takesBlock(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.WriteAt(make([]byte, 4096), 0)
	return f.Truncate(0) == nil && err == nil
}

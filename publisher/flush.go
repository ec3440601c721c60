package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

// The embedded server appends a message to the newest file of its stream before it acknowledges it, and
// leaves the flush to disk to kycbridge. One flush serves all waiting messages of all callers: it begins
// after the server has acknowledged them, so their bytes are in the file by then. A message counts as
// stored only after its flush has ended (decision 51).

// disk flushes what the server of a connection has acknowledged.
type disk interface {
	// flush returns when everything that a stream had acknowledged at the time of the call is durable.
	flush(ctx context.Context, stream string) error
	// noteFlushed records that a flush of a stream has covered it up to a sequence that had been acknowledged before.
	noteFlushed(stream string, sequence uint64)
	// covers returns when a message of a stream that was delivered is durable.
	covers(ctx context.Context, stream string, sequence uint64) error
	// flushAll does what flush does for every change of every stream, also of older messages.
	flushAll(ctx context.Context) error
	// keeps is flush, and then whether a stream has what the server says that it has: a message that could not be written
	// may be counted until the server is restarted.
	keeps(ctx context.Context, stream string) error
	// refuses is why nothing is stored in a stream until the process is restarted; nil if messages are stored, or if that
	// is not known.
	refuses(stream string) error
	// unready is refuses, or why nothing can be stored at the moment.
	unready(stream string) error
}

// flushers flush the files of the embedded server in this process.
type flushers struct {
	stopped
	dir       string                  // data directory
	displaced func() error            // the reason if dir is not the directory of the server any more; nil: not checked
	refusing  func() map[string]error // streams that the server does not write into now; nil: not checked

	mu       sync.Mutex
	byStream map[string]*flusher
	vouched  map[string]*vouched // by stream
	covered  map[string]*covered // by stream
	whole    *flusher
}

func newFlushers(dir string) *flushers {
	f := &flushers{dir: dir, byStream: map[string]*flusher{}, vouched: map[string]*vouched{},
		covered: map[string]*covered{}}
	f.whole = &flusher{sync: f.syncFileSystem}
	return f
}

func (f *flushers) flush(ctx context.Context, stream string) error {
	one, _ := f.of(stream)
	return one.wait(ctx)
}

func (f *flushers) noteFlushed(stream string, sequence uint64) { f.coveredOf(stream).note(sequence) }

func (f *flushers) covers(ctx context.Context, stream string, sequence uint64) error {
	if f.coveredOf(stream).wait(ctx, sequence) {
		return nil
	}
	if err := f.flush(ctx, stream); err != nil {
		return err
	}
	f.noteFlushed(stream, sequence)
	return nil
}

// coveredOf is what flushes have covered of a stream.
func (f *flushers) coveredOf(stream string) *covered {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.covered[stream]; !ok {
		f.covered[stream] = &covered{}
	}
	return f.covered[stream]
}

// keeps asks the server itself: what is known of refused writes may be a second old.
func (f *flushers) keeps(ctx context.Context, stream string) error {
	if err := f.flush(ctx, stream); err != nil {
		return err
	}
	if err := f.refuses(stream); err != nil || f.refusing == nil {
		return err
	}
	return f.refusing()[stream]
}

// of is the flusher of a stream, with what its flushes have covered.
func (f *flushers) of(stream string) (*flusher, *vouched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.byStream[stream]; !ok {
		folder := filepath.Join(f.streams(), stream, "msgs")
		files, covered := newBlockFiles(folder), newVouched(folder)
		f.byStream[stream] = &flusher{sync: func() error { return f.syncOwn(files, covered) }}
		f.vouched[stream] = covered
	}
	return f.byStream[stream], f.vouched[stream]
}

// streams is the folder of the streams.
func (f *flushers) streams() string { return filepath.Join(f.dir, "jetstream", ownAccount, "streams") }

// A file that looks damaged is looked at again after a while, because the server replaces files in several steps.
const (
	looks      = 4
	looksApart = 50 * time.Millisecond
)

// syncOwn flushes the files of a stream, which it finds by their path. A directory that has been put into the place of
// the server's has other files of the same names: a flush of those proves nothing.
func (f *flushers) syncOwn(files *blockFiles, covered *vouched) (err error) {
	for range looks {
		err = syncAndCheck(files, covered)
		if !errors.Is(err, ErrDamaged) {
			break
		}
		time.Sleep(looksApart)
	}
	if f.displaced != nil && (err == nil || errors.Is(err, ErrDamaged)) {
		if displaced := f.displaced(); displaced != nil {
			return displaced
		}
	}
	if errors.Is(err, ErrDamaged) {
		f.noteForGood(err)
	}
	return err
}

// syncAndCheck flushes files, and reads back what was appended to them.
func syncAndCheck(files *blockFiles, covered *vouched) error {
	err := files.sync()
	switch {
	case err == nil:
		return covered.check(files.last, files.inode, files.file)
	case errors.Is(err, errNoBlocks) || errors.Is(err, fs.ErrNotExist):
		if gone := covered.gone(); gone != nil {
			return gone
		}
	}
	return err
}

func (f *flushers) flushAll(ctx context.Context) error { return f.whole.wait(ctx) }

// syncFileSystem flushes the whole file system of the data directory. It is for rare changes: it waits for
// the writes of other programs too.
func (f *flushers) syncFileSystem() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("flush the data directory: %w", err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("%w: %w", errNotFlushed, err)
	}
	lock, err := os.OpenFile(filepath.Join(f.dir, lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer lock.Close()
		err = confirmFlush(lock)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotFlushed, withoutPath(err))
	}
	return nil
}

// The minimum time between the beginnings of two flushes of a stream, so that more messages share one flush: each
// costs processor time, however many share it. It is longer after a flush with more callers than fewCallers: then more
// are on their way. A message that comes later than this after the last flush began does not wait.
const (
	flushesApart       = 2 * time.Millisecond
	sharedFlushesApart = 4 * time.Millisecond
	fewCallers         = 2
)

// flusher runs one flush at a time. Callers that arrive while a flush runs share the next one.
type flusher struct {
	sync func() error

	mu      sync.Mutex
	next    *flush // has not begun; nil: no caller waits for it
	running bool
	failed  error // of a failed flush; permanent, because the kernel may have dropped the data that it could not write
}

// flush is one flush with all its callers.
type flush struct {
	done    chan struct{}
	callers int   // guarded by flusher.mu
	err     error // once done is closed
}

// apart is the minimum time between the beginnings of f and of the next flush.
func (f *flush) apart() time.Duration {
	if f.callers > fewCallers {
		return sharedFlushesApart
	}
	return flushesApart
}

// wait returns when a flush that begins after the call has ended, or with ctx.
func (f *flusher) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.failed != nil {
		defer f.mu.Unlock()
		return f.failed
	}
	if f.next == nil {
		f.next = &flush{done: make(chan struct{})}
	}
	mine := f.next
	mine.callers++
	if !f.running {
		f.running = true
		go f.run() // a disk that hangs must not block the callers
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run flushes until no caller waits.
func (f *flusher) run() {
	for {
		f.mu.Lock()
		current := f.next
		f.next, f.running = nil, current != nil
		f.mu.Unlock()
		if current == nil {
			return
		}
		began := time.Now()
		current.err = f.sync()
		if errors.Is(current.err, errNotFlushed) {
			f.mu.Lock()
			f.failed = current.err
			f.mu.Unlock()
		}
		close(current.done)
		time.Sleep(current.apart() - time.Since(began))
	}
}

// blockFiles are the files of a stream, 1.blk, 2.blk and so on. The server appends to the last one only, and removes
// files whose messages are all deleted.
type blockFiles struct {
	folder   string
	datasync func(*os.File) error // flushes a file
	confirm  func(*os.File) error // finds out whether a flush has been what it reported
	last     uint64               // number of the last file at the latest flush; 0: none was flushed yet
	file     *os.File             // the file last; while it is open, no other file can get its inode number
	inode    uint64               // of the file last: a rewritten file has another one
	changed  time.Time            // when an entry of the folder had changed at the latest flush
}

func newBlockFiles(folder string) *blockFiles {
	return &blockFiles{folder: folder, datasync: func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) },
		confirm: confirmFlush}
}

// sync flushes the files that the server has appended to since the last call, and confirms that the file system still
// works.
func (b *blockFiles) sync() error {
	if err := b.syncGrown(); err != nil {
		return err
	}
	if err := b.confirm(b.file); err != nil {
		return fmt.Errorf("%w: %w", errNotFlushed, err)
	}
	return nil
}

// syncGrown flushes the last file of the last call and those after it. They are looked up by name each time, because
// the server replaces files.
func (b *blockFiles) syncGrown() error {
	switch found, err := b.syncFile(b.last); {
	case err != nil:
		return err
	case !found:
		return b.syncEach() // the first flush, or the server has removed the file
	}
	for {
		next, err := b.next()
		if err != nil || next == 0 {
			return err
		}
		// Once the next file exists, the last one does not grow any more. Its flush may have begun before its newest
		// messages were appended, and no later flush covers it.
		if _, err := b.syncFile(b.last); err != nil {
			return err
		}
		if _, err := b.syncFile(next); err != nil {
			return err
		}
	}
}

// clockTick is longer than the steps in which the kernel counts the times of changes.
const clockTick = 20 * time.Millisecond

// next is the number of the first file after the last one; 0 if there is none. Files in between may have been removed:
// the folder has changed then.
func (b *blockFiles) next() (uint64, error) {
	if _, err := os.Stat(b.path(b.last + 1)); err == nil {
		return b.last + 1, nil
	}
	info, err := os.Stat(b.folder)
	if err != nil {
		return 0, fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	if b.changed.Equal(info.ModTime()) {
		return 0, nil
	}
	numbers, err := b.numbers()
	if err != nil {
		return 0, err
	}
	if i, _ := slices.BinarySearch(numbers, b.last+1); i < len(numbers) {
		return numbers[i], nil
	}
	if time.Since(info.ModTime()) > clockTick { // a later change has another time
		b.changed = info.ModTime()
	}
	return 0, nil
}

func (b *blockFiles) path(n uint64) string {
	return filepath.Join(b.folder, strconv.FormatUint(n, 10)+".blk")
}

// numbers are those of all files, ascending.
func (b *blockFiles) numbers() (all []uint64, err error) {
	entries, err := os.ReadDir(b.folder)
	if err != nil {
		return nil, fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	for _, e := range entries {
		n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".blk"), 10, 64)
		if err == nil && filepath.Ext(e.Name()) == ".blk" {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// syncEach flushes every file, the last one last.
func (b *blockFiles) syncEach() error {
	numbers, err := b.numbers()
	if err != nil {
		return err
	}
	any := false
	for _, n := range numbers {
		found, err := b.syncFile(n)
		if err != nil {
			return err
		}
		any = any || found
	}
	if !any {
		return errNoBlocks
	}
	return nil
}

// errNotFlushed means that the disk did not store the written data.
var errNotFlushed = errors.New("the disk did not take what was written")

// errNoBlocks means that the folder of the stream has no message file.
var errNoBlocks = errors.New("flush messages: the embedded server has no file of them")

// syncFile flushes a file; found is false if it does not exist. A file that is new, or was replaced, is
// flushed with its entry in the folder.
func (b *blockFiles) syncFile(n uint64) (found bool, err error) {
	var info unix.Stat_t
	switch err := unix.Stat(b.path(n), &info); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("flush messages: %w", err)
	case n == b.last && info.Ino == b.inode && b.file != nil:
		if err := b.datasync(b.file); err != nil {
			return false, fmt.Errorf("%w: %w", errNotFlushed, err)
		}
		return true, nil
	}
	return b.syncNew(n)
}

// syncNew flushes a file that no flush has covered yet, with its entry in the folder, and keeps it open.
func (b *blockFiles) syncNew(n uint64) (found bool, err error) {
	file, err := os.OpenFile(b.path(n), os.O_RDWR, 0) // confirm writes nothing, but needs the right to
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return false, fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	if err = b.datasync(file); err == nil {
		err = syncFolder(b.folder)
	}
	if err != nil {
		file.Close()
		return false, fmt.Errorf("%w: %w", errNotFlushed, withoutPath(err))
	}
	b.file.Close() // of a nil file: an error that does not matter
	b.last, b.file, b.inode = n, file, inodeOf(info)
	return true, nil
}

func inodeOf(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// withoutPath is the reason of a file error without the path, which means nothing to the caller of an
// operation.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// flushSubject is the prefix of the subjects on which other processes, such as the stored-payload tool,
// request a flush from the process of an embedded server. The last token is a stream, flushEverything, or
// flushNothing, which only asks whether that process answers such requests.
const (
	flushSubject    = "_kycbridge.flush."
	flushEverything = "all"
	flushNothing    = "none"
)

// serveFlushes answers requests to flush, with an error text or nothing.
func (e *Embedded) serveFlushes(o EmbeddedOptions) (err error) {
	e.flushing, err = Connect(context.Background(),
		Dial{Name: "flushes", Options: e.Dial(), Server: e, Closed: o.Closed}, 0, o.Log)
	if err != nil {
		return fmt.Errorf("serve flushes: %w", err)
	}
	_, err = e.flushing.nc.Subscribe(flushSubject+"*", func(m *nats.Msg) {
		go func() { // a flush that hangs does not block the next one
			ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
			defer cancel()
			text := ""
			if err := e.flushFor(ctx, strings.TrimPrefix(m.Subject, flushSubject)); err != nil {
				text = err.Error()
			}
			_ = m.Respond([]byte(text))
		}()
	})
	if err != nil {
		return fmt.Errorf("serve flushes: %w", err)
	}
	return nil
}

func (e *Embedded) flushFor(ctx context.Context, stream string) error {
	switch stream {
	case flushNothing:
		return nil
	case flushEverything:
		return e.disk.flushAll(ctx)
	}
	return e.disk.flush(ctx, stream)
}

// remoteDisk is the disk of an embedded server in another process.
type remoteDisk struct {
	notStopped
	nc *nats.Conn

	mu       sync.Mutex
	serves   bool // the other process has answered once, so a missing answer means that it could not flush
	byStream map[string]*flusher
}

// flush requests a flush from the other process, one for all callers that wait at the same moment.
func (r *remoteDisk) flush(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, remoteFlushTimeout)
	defer cancel()
	switch serves, err := r.flushes(ctx); {
	case err != nil:
		return fmt.Errorf("flush messages: %w", err)
	case !serves:
		return nil
	}
	r.mu.Lock()
	one, ok := r.byStream[stream]
	if !ok {
		one = &flusher{sync: func() error { return r.request(stream) }}
		if r.byStream == nil {
			r.byStream = map[string]*flusher{}
		}
		r.byStream[stream] = one
	}
	r.mu.Unlock()
	return one.wait(ctx)
}

// remoteFlushTimeout is one second longer than the other process waits for its disk. Afterwards no answer is expected:
// that process may have ended.
const remoteFlushTimeout = publishTimeout + time.Second

func (r *remoteDisk) request(stream string) error {
	answer, err := r.nc.Request(flushSubject+stream, nil, remoteFlushTimeout)
	switch {
	case err != nil:
		return fmt.Errorf("flush messages: %w", err)
	case len(answer.Data) > 0:
		return errors.New(string(answer.Data))
	}
	return nil
}

// flushes reports whether the other process flushes on request. A process of an earlier version does not:
// its server flushes before it acknowledges.
func (r *remoteDisk) flushes(ctx context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serves {
		return true, nil
	}
	_, err := r.nc.RequestWithContext(ctx, flushSubject+flushNothing, nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return false, nil
	}
	r.serves = err == nil
	return r.serves, err
}

func (r *remoteDisk) flushAll(ctx context.Context) error { return r.flush(ctx, flushEverything) }

func (r *remoteDisk) noteFlushed(string, uint64) {}

func (r *remoteDisk) covers(ctx context.Context, stream string, _ uint64) error {
	return r.flush(ctx, stream)
}

func (r *remoteDisk) keeps(ctx context.Context, stream string) error { return r.flush(ctx, stream) }

// flushedByServer is the disk of an external server, which flushes before it acknowledges.
type flushedByServer struct{ notStopped }

func (flushedByServer) flush(context.Context, string) error          { return nil }
func (flushedByServer) noteFlushed(string, uint64)                   {}
func (flushedByServer) covers(context.Context, string, uint64) error { return nil }
func (flushedByServer) flushAll(context.Context) error               { return nil }
func (flushedByServer) keeps(context.Context, string) error          { return nil }

// syncInterval is how often the embedded server itself flushes the messages that no caller waits for: requests
// to watch that users publish, and the timers that have fired.
const syncInterval = 10 * time.Second

package publisher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"kycbridge/publisher/blocks"
)

// The server appends to a file at an offset that it remembers, and seldom reads the file again. If somebody truncates,
// replaces or removes the file meanwhile, the server goes on acknowledging messages, but the next start loses them:
// they are written after a gap, at which the file is cut off when it is read, or into a file that has no name any more.
// So each flush reads back the messages that it covers, and checks that those of earlier flushes still precede them.

// ErrDamaged means that stored messages were damaged while the server uses them.
var ErrDamaged = errors.New("the files of the embedded store were damaged from outside while this process uses them; " +
	"the next start keeps what is intact")

// keptBuffer is the largest buffer that is kept from one check to the next.
const keptBuffer = 256 << 10

// vouched are the newest messages of a stream that flushes have covered.
type vouched struct {
	stream, folder string // the folder is that of the messages

	mu     sync.Mutex
	begun  fs.FileInfo // of the folder of the stream
	file   *vouchedFile
	before *vouchedFile // was in the place of file; the server does not write into it any more
	last   uint64       // highest sequence
	blind  bool         // the records of the stream cannot be read, so only its size and its end are compared
	buf    []byte       // is used again by each check
}

// vouchedFile is a file of messages, read up to end.
type vouchedFile struct {
	*os.File

	number  uint64
	info    fs.FileInfo // when it was opened
	records *blocks.Growing
	end     int64
	tail    [8]byte // the bytes before end: the checksum of the last record
}

func newVouched(folder string) *vouched {
	return &vouched{stream: filepath.Base(filepath.Dir(folder)), folder: folder}
}

// check reads what was appended to the last file of the stream since the last check. That file has just been flushed.
func (v *vouched) check(number, inode uint64, flushed *os.File) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.before != nil {
		if info, err := v.before.Stat(); err != nil || info.Size() != v.before.end {
			return v.damage(v.before.number, "was replaced, and the server writes into the removed one")
		}
	}
	if v.file == nil || v.file.number != number || inodeOf(v.file.info) != inode {
		return v.move(number, flushed)
	}
	return v.read(v.file)
}

// move continues with another file: the first one, the next one, or one that the server has written in the place of the
// last one. That one has all its messages.
func (v *vouched) move(number uint64, flushed *os.File) error {
	begun, err := os.Stat(filepath.Dir(v.folder))
	if err != nil {
		return fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	if v.file != nil && os.SameFile(begun, v.begun) { // else the stream was removed and created again
		if err := v.read(v.file); err != nil {
			return err
		}
	} else {
		v.forget()
	}
	next, err := v.open(number, flushed)
	if err != nil {
		return err
	}
	if err := v.follow(next); err != nil {
		next.Close()
		return err
	}
	v.begun = begun
	return nil
}

// follow replaces the file by next, unless that lacks messages of the file.
func (v *vouched) follow(next *vouchedFile) error {
	if v.file == nil {
		err := v.read(next)
		if errors.Is(err, ErrDamaged) { // it was damaged before, or the format is not known
			v.blind = true
			err = v.read(next)
		}
		if err == nil {
			v.file = next
		}
		return err
	}
	highest := v.last
	v.last = 0
	if next.number == v.file.number && next.continues(v.file) {
		v.last, next.end, next.tail = highest, v.file.end, v.file.tail // an erasure leaves all others in their places
	}
	err := v.read(next)
	reached := v.last
	v.last = max(highest, reached)
	switch {
	case err != nil:
		return err
	case next.number <= v.file.number && !v.blind && reached < highest:
		return v.damage(next.number, "was removed or replaced by an older one")
	}
	if v.before != nil {
		v.before.Close()
	}
	v.before = nil
	if next.number == v.file.number {
		v.before = v.file
	} else {
		v.file.Close()
	}
	v.file = next
	return nil
}

// forget begins anew.
func (v *vouched) forget() {
	for _, f := range []*vouchedFile{v.file, v.before} {
		if f != nil {
			f.Close()
		}
	}
	v.file, v.before, v.last, v.blind = nil, nil, 0, false
}

// began reports whether a check has found a file.
func (v *vouched) began() bool {
	if !v.mu.TryLock() {
		return false // it is being checked
	}
	defer v.mu.Unlock()
	return v.file != nil
}

// end closes the files.
func (v *vouched) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
}

func (v *vouched) path(number uint64) string {
	return filepath.Join(v.folder, strconv.FormatUint(number, 10)+".blk")
}

// open duplicates the descriptor of a flushed file: the path may already lead to another file.
func (v *vouched) open(number uint64, flushed *os.File) (*vouchedFile, error) {
	descriptor, err := unix.FcntlInt(flushed.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read flushed messages: %w", err)
	}
	file := os.NewFile(uintptr(descriptor), flushed.Name())
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read flushed messages: %w", withoutPath(err))
	}
	return &vouchedFile{File: file, number: number, info: info, records: blocks.NewGrowing(v.stream, uint32(number))}, nil
}

// read reads what was appended to a file.
func (v *vouched) read(f *vouchedFile) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("flush messages: %w", withoutPath(err))
	}
	if info.Size() < f.end {
		return v.damage(f.number, "was truncated")
	}
	known := min(f.end, int64(len(f.tail)))
	buf := slices.Grow(v.buf[:0], int(info.Size()-f.end+known))[:info.Size()-f.end+known]
	if cap(buf) <= keptBuffer {
		v.buf = buf
	}
	if _, err := f.ReadAt(buf, f.end-known); err != nil {
		return fmt.Errorf("read flushed messages: %w", withoutPath(err))
	}
	if string(buf[:known]) != string(f.tail[:known]) {
		return v.damage(f.number, "was truncated or overwritten")
	}
	n := len(buf) - int(known)
	if !v.blind {
		var last uint64
		var damaged bool
		if n, last, damaged = f.records.Take(buf[known:]); damaged {
			return v.damage(f.number, "was truncated or overwritten")
		}
		v.last = max(v.last, last)
	}
	f.end += int64(n)
	read := buf[:int(known)+n]
	copy(f.tail[:], read[max(0, len(read)-len(f.tail)):])
	return nil
}

// quiet reports whether the last file is as the last check left it, or has only grown, or is being checked. It reads no
// messages.
func (v *vouched) quiet() bool {
	if !v.mu.TryLock() {
		return true // maybe by a check that waits for a slow disk
	}
	defer v.mu.Unlock()
	if v.file == nil {
		return false
	}
	info, err := os.Stat(v.path(v.file.number))
	if err != nil || !os.SameFile(info, v.file.info) || info.Size() < v.file.end {
		return false
	}
	return v.file.continues(v.file)
}

// continues reports whether a file has the bytes before the end of another one at the same place.
func (f *vouchedFile) continues(other *vouchedFile) bool {
	var tail [8]byte
	known := min(other.end, int64(len(tail)))
	_, err := f.ReadAt(tail[:known], other.end-known)
	return err == nil && string(tail[:known]) == string(other.tail[:known])
}

// gone is the error of a flush that found no file of a stream which had one.
func (v *vouched) gone() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	begun, err := os.Stat(filepath.Dir(v.folder))
	if v.file == nil || err != nil || !os.SameFile(begun, v.begun) {
		return nil // the stream itself was removed: every write into it fails
	}
	return v.damage(v.file.number, "was removed")
}

func (v *vouched) damage(number uint64, what string) error {
	return fmt.Errorf("%w: %d.blk of %s %s", ErrDamaged, number, v.stream, what)
}

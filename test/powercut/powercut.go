// Package powercut simulates a disk that loses power: a block device with a real file system, for tests of programs
// that guarantee the durability of flushed data. A power cut discards all or any of the writes that no flush of the
// device has covered, in any order, as a disk with a write cache does.
//
// The device is a loop device over a file that this package serves through FUSE, so the journal, barriers and
// flushes of the file system are real. It needs root, /dev/fuse and loop devices.
package powercut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sector is the size of the unit that a disk writes atomically.
const sector = 4096

// Disk is a mounted file system on a device that can lose unflushed writes.
type Disk struct {
	dir    string
	size   int64
	server *fuse.Server
	loop   string // the loop device; "": none is attached
	device *device
}

// New creates a disk of size bytes with an ext4 on it, and mounts it at Path. The folder dir must exist; it holds
// the disk's files. The error states what this machine lacks.
func New(dir string, size int64) (*Disk, error) {
	d := &Disk{dir: dir, size: size}
	for _, folder := range []string{d.Path(), filepath.Join(dir, "fuse")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("create disk: %w", err)
		}
	}
	image, err := os.Create(d.flushed())
	if err != nil {
		return nil, fmt.Errorf("create disk: %w", err)
	}
	if err := errors.Join(image.Truncate(size), image.Close()); err != nil {
		return nil, fmt.Errorf("create disk: %w", err)
	}
	if _, err := run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.flushed()); err != nil {
		return nil, err
	}
	return d, d.attach()
}

// Path is the root folder of the file system.
func (d *Disk) Path() string { return filepath.Join(d.dir, "mnt") }

// flushed is the path of the image with everything that was flushed.
func (d *Disk) flushed() string { return filepath.Join(d.dir, "flushed.img") }

// attach serves the image as a device and mounts its file system.
func (d *Disk) attach() (err error) {
	defer func() {
		if err != nil {
			d.detach()
		}
	}()
	if d.device, err = newDevice(d.flushed(), filepath.Join(d.dir, "written.img"), d.size); err != nil {
		return err
	}
	folder := filepath.Join(d.dir, "fuse")
	d.server, err = fs.Mount(folder, &root{device: d.device}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "powercut", Name: "powercut"}})
	if err != nil {
		return fmt.Errorf("mount a FUSE file system: %w", err)
	}
	if d.loop, err = run("losetup", "--find", "--show", filepath.Join(folder, "disk")); err != nil {
		return err
	}
	if err := syscall.Mount(d.loop, d.Path(), "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount ext4: %w", err)
	}
	return nil
}

// detach unmounts and removes everything, as far as it exists.
func (d *Disk) detach() {
	_ = syscall.Unmount(d.Path(), syscall.MNT_DETACH)
	if d.loop != "" {
		_, _ = run("losetup", "--detach", d.loop)
		d.loop = ""
	}
	if d.server != nil {
		if d.server.Unmount() != nil {
			_ = syscall.Unmount(filepath.Join(d.dir, "fuse"), syscall.MNT_DETACH|syscall.MNT_FORCE)
		}
		d.server = nil
	}
	if d.device != nil {
		d.device.close()
		d.device = nil
	}
}

// Cut cuts the power: from now on every read, write and flush of the device fails.
func (d *Disk) Cut() { d.device.cut() }

// Restore restores the power. It must follow Cut and the end of the last program on the disk. The disk then
// contains everything that was flushed, and those of the later writes that r selects. It returns the number of lost
// writes.
func (d *Disk) Restore(r *rand.Rand) (lost int, err error) {
	lost, err = d.device.keepSome(r)
	d.detach()
	if err != nil {
		return lost, fmt.Errorf("restore disk: %w", err)
	}
	return lost, d.attach()
}

// Close removes the disk. No program may use it any more.
func (d *Disk) Close() { d.detach() }

// commandTime limits a command of the system.
const commandTime = 30 * time.Second

// run runs a command of the system and returns what it printed.
func run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return said, nil
}

// write is a sector that was written and not flushed.
type write struct {
	offset int64
	data   []byte
}

// device is the content of the disk: what programs see, and what remains after a power cut.
type device struct {
	size int64

	mu        sync.Mutex
	dead      bool
	seen      *os.File // with all writes
	kept      *os.File // with the flushed ones
	unflushed []write
}

func newDevice(kept, seen string, size int64) (*device, error) {
	raw, err := os.ReadFile(kept)
	if err == nil {
		err = os.WriteFile(seen, raw, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	d := &device{size: size}
	if d.kept, err = os.OpenFile(kept, os.O_RDWR, 0); err == nil {
		d.seen, err = os.OpenFile(seen, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	return d, nil
}

func (d *device) close() {
	d.kept.Close()
	d.seen.Close()
}

func (d *device) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// keepSome writes some of the unflushed sectors, in any order, and drops the others.
func (d *device) keepSome(r *rand.Rand) (lost int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	share := r.Float64()
	r.Shuffle(len(d.unflushed), func(i, j int) { d.unflushed[i], d.unflushed[j] = d.unflushed[j], d.unflushed[i] })
	for _, w := range d.unflushed {
		if r.Float64() > share {
			lost++
			continue
		}
		if _, err := d.kept.WriteAt(w.data, w.offset); err != nil {
			return lost, err
		}
	}
	d.unflushed = nil
	return lost, nil
}

// write stores data; a power cut may lose it unless a flush follows.
func (d *device) write(data []byte, offset int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return io.ErrClosedPipe
	}
	if _, err := d.seen.WriteAt(data, offset); err != nil {
		return err
	}
	data = append([]byte(nil), data...)
	for len(data) > 0 {
		n := min(len(data), sector-int(offset%sector))
		d.unflushed = append(d.unflushed, write{offset, data[:n]})
		data, offset = data[n:], offset+int64(n)
	}
	return nil
}

func (d *device) read(into []byte, offset int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return 0, io.ErrClosedPipe
	}
	n, err := d.seen.ReadAt(into, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// flush makes all earlier writes durable.
func (d *device) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return io.ErrClosedPipe
	}
	for _, w := range d.unflushed {
		if _, err := d.kept.WriteAt(w.data, w.offset); err != nil {
			return err
		}
	}
	d.unflushed = d.unflushed[:0]
	return nil
}

// root is the FUSE file system: one file, the device.
type root struct {
	fs.Inode

	device *device
}

// OnAdd adds the file.
func (r *root) OnAdd(ctx context.Context) {
	r.AddChild("disk", r.NewPersistentInode(ctx, &file{device: r.device}, fs.StableAttr{Ino: 2}), true)
}

// file is the device as a file.
type file struct {
	fs.Inode

	device *device
}

var (
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
)

// Open opens the file without a page cache, so that writes arrive here at once.
func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Read reads the newest data, flushed or not.
func (f *file) Read(_ context.Context, _ fs.FileHandle, into []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	n, err := f.device.read(into, offset)
	if err != nil {
		return nil, syscall.EIO
	}
	return fuse.ReadResultData(into[:n]), 0
}

// Write writes to the cache of the disk.
func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if f.device.write(data, offset) != nil {
		return 0, syscall.EIO
	}
	return uint32(len(data)), 0
}

// Fsync is the flush of the device.
func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if f.device.flush() != nil {
		return syscall.EIO
	}
	return 0
}

// Getattr returns the size.
func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(f.device.size)
	return 0
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"kycbridge/internal/regular"
)

// unreadable is the error of a file that cannot be read: its name, what is wrong with it, and what to do. A name that
// may be a secret, written where a path belongs, is left out.
func unreadable(name string, err error) error {
	if name == "" {
		return errNoName
	}
	hidden := regular.Named(name) == "" && name != inputName("-")
	if hidden {
		name = "the file"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && hidden:
		return fmt.Errorf("%w; name an existing file", syscall.ENOENT)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w; name an existing file", name, syscall.ENOENT)
	case errors.Is(err, regular.ErrIrregular):
		return fmt.Errorf("%s cannot be read: %w; name a file", name, regular.ErrIrregular)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s is a folder; name a file", name)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: a part of this path is a file and not a folder; name an existing file", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied; name a file that this user may read", name)
	}
	return fmt.Errorf("%s cannot be read: %w; name another file", name, withoutPath(err))
}

// unwritable is the error of a file that cannot be created or written.
func unwritable(name string, err error) error {
	folder := filepath.Dir(name)
	_, noFolder := os.Stat(folder)
	switch {
	case name == "":
		return errNoName
	case errors.Is(err, fs.ErrNotExist) && errors.Is(noFolder, fs.ErrNotExist):
		return fmt.Errorf("%s cannot be written: the folder %s does not exist; make it, or name another file", name, folder)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s is a folder; name a file", name)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s cannot be written: a part of this path is a file and not a folder; name another file", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be written: permission denied; name a file where this user may write", name)
	}
	return fmt.Errorf("%s cannot be written: %w; name another file, or correct the cause", name, withoutPath(err))
}

// replaceFile replaces the content of a file, or creates it, readable by its owner only. Owner and mode of a file stay:
// the service may run as another user. A power cut leaves the old content or the new one.
func replaceFile(name string, content []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = name, nil
	}
	if err != nil {
		return unwritable(name, err)
	}
	part, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return unwritable(name, err)
	}
	defer os.RemoveAll(part.Name()) // renamed already on success
	_, err = part.Write(content)
	if err = cmp.Or(err, keepAccess(part, target), part.Sync(), part.Close()); err != nil {
		return unwritable(name, err)
	}
	if err = cmp.Or(os.Rename(part.Name(), target), syncFolder(target)); err != nil {
		return unwritable(name, err)
	}
	return nil
}

// keepAccess gives a new file the owner and the mode of the one that it replaces, if there is one.
func keepAccess(part *os.File, replaced string) error {
	before, err := os.Stat(replaced)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := part.Stat()
	if err != nil {
		return err
	}
	old, ok := before.Sys().(*syscall.Stat_t)
	own, _ := now.Sys().(*syscall.Stat_t)
	if ok && (old.Uid != own.Uid || old.Gid != own.Gid) {
		if err := part.Chown(int(old.Uid), int(old.Gid)); err != nil {
			return err
		}
	}
	return part.Chmod(before.Mode().Perm())
}

// syncFolder makes the name of a new file durable, where the file system can.
func syncFolder(name string) error {
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	if err = folder.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return cmp.Or(err, folder.Close())
}

// errNoName is the error of an empty file name, such as an unset variable of a script.
var errNoName = errors.New("the name of the file is empty; write one")

// withoutPath is the cause of an error about a file, whose message names the file already.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	if linkError, ok := errors.AsType[*os.LinkError](err); ok {
		return linkError.Err
	}
	return err
}

// openInput opens a regular file for reading, or what the shell has passed as one, such as <(command): that is open
// already, so it does not wait for anybody to open the other end.
func openInput(name string) (*os.File, error) {
	open := regular.Open
	if passed(name) {
		open = os.Open
	}
	f, err := open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return f, nil
}

// passed reports whether a name means something that this process had open when it was started.
func passed(name string) bool {
	folder := filepath.Dir(name)
	return name == "/dev/stdin" || folder == "/dev/fd" || folder == "/proc/self/fd"
}

// inputName names an input in messages.
func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// namesFile refuses "-" as the name of a file to write: a file of that name would be made, though standard output is
// meant.
func namesFile(name string) error {
	if name == "-" {
		return errors.New("- does not mean standard output here: name a file, or write ./- for one that is called -")
	}
	return nil
}

// readInput reads a file of at most limit bytes, or stdin for "-".
func readInput(name string, stdin io.Reader, limit int64) ([]byte, error) {
	from := stdin
	if name != "-" || stdin == nil {
		f, err := openInput(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	name = inputName(name)
	raw, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return raw, nil
}

// readObject reads a JSON object of at most limit bytes from a file or stdin.
func readObject(name string, stdin io.Reader, limit int64) (map[string]json.RawMessage, error) {
	raw, err := readInput(name, stdin, limit)
	if err != nil {
		return nil, err
	}
	name = inputName(name)
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, fmt.Errorf("%s is empty; write a JSON object into it", name)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, fmt.Errorf("%s does not contain a JSON object", name)
	}
	return object, nil
}

// Package regular opens regular files, and nothing else, and says which names of files a message may show.
//
// To open a named pipe waits until somebody writes to it, and a device may never end: in place of a configuration or a
// secret, either would stop a command or a reload for ever.
package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// ErrIrregular is the error of a named pipe, a socket or a device in place of a file.
var ErrIrregular = errors.New("it is not a regular file, but a pipe, a socket or a device")

// Open opens a regular file for reading. It does not wait. The error is a *fs.PathError: of a folder EISDIR, of
// anything else that is no regular file ErrIrregular.
func Open(path string) (*os.File, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: cause(err)}
	} else if err := irregular(info); err != nil { // some devices act when they are opened
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have been replaced by a pipe meanwhile
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = irregular(info)
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: cause(err)}
	}
	return f, nil
}

// irregular is nil for a regular file.
func irregular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return syscall.EISDIR
	}
	return ErrIrregular
}

// cause is the error within a *fs.PathError.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// plainPath matches a path that no secret resembles: of several parts, or with a usual extension.
var plainPath = regexp.MustCompile(`^(/|\.{1,2}/)?([a-z0-9._-]+/)+[a-z0-9._-]+$|^[A-Za-z0-9_-]+\.` +
	`(pem|crt|cer|key|keys|pub|jwk|jwks|txt|json|ndjson|token|secret|creds|conf|ya?ml|zip|jpe?g|png|pdf|mp4)$`)

// Named is the name of a file as a message may show it. It is "" if the text may be a secret that was written where a
// path belongs: it is no file, is in no folder, and does not look like a path.
func Named(path string) string {
	folder := filepath.Dir(path)
	_, noFile := os.Lstat(path)
	_, noFolder := os.Stat(folder)
	if noFile != nil && (noFolder != nil || folder == "." || folder == "/") && !plainPath.MatchString(path) {
		return ""
	}
	return path
}

// Folder is os.DirFS of which only folders and regular files can be opened.
func Folder(dir string) fs.FS { return folder{os.DirFS(dir)} }

type folder struct{ fs.FS }

// Open opens a folder or a regular file.
func (f folder) Open(name string) (fs.File, error) {
	info, err := fs.Stat(f.FS, name)
	if err == nil && !info.IsDir() {
		err = irregular(info)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: cause(err)}
	}
	return f.FS.Open(name)
}

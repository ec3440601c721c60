package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quietPipe treats a closed reader (| head), and a signal, as the end of the work.
func quietPipe(err error) error {
	if errors.Is(err, context.Canceled) || outputClosed(err) {
		return nil
	}
	return err
}

// outputClosed reports whether err is that of a write to a file whose reader is gone. A broken connection has the same
// number (EPIPE), but is a failure.
func outputClosed(err error) bool {
	written, ok := errors.AsType[*fs.PathError](err)
	return ok && errors.Is(written, syscall.EPIPE)
}

// untilUnread returns a context that ends when the reader of out has closed it (| head -1). A command with --follow
// writes only when there is something new: without this it would notice a closed reader only then, and a shell would
// wait for it. stop releases the context.
func untilUnread(ctx context.Context, out io.Writer) (read context.Context, stop func()) {
	read, cancel := context.WithCancel(ctx)
	file, ok := out.(*os.File)
	if !ok {
		return read, cancel
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		for read.Err() == nil {
			if isUnread(file, 200*time.Millisecond) {
				return
			}
		}
	}()
	return read, func() { cancel(); <-ended }
}

// isUnread reports whether the reader of a pipe has closed it. It waits for that, but no longer than wait.
func isUnread(out *os.File, wait time.Duration) bool {
	conn, err := out.SyscallConn()
	if err != nil {
		return true
	}
	fds := make([]unix.PollFd, 1) // without events: only errors are reported
	err = conn.Control(func(fd uintptr) {
		fds[0].Fd = int32(fd)
		_, _ = unix.Poll(fds, int(wait.Milliseconds()))
	})
	return err != nil || fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
}

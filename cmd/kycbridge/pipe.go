package main

import (
	"context"
	"errors"
	"syscall"
)

// quietPipe takes the end of a reader (| head), and a signal, for the end of the work.
func quietPipe(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

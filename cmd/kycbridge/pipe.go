package main

import (
	"context"
	"errors"
	"syscall"
)

// quietPipe treats a closed reader (| head), and a signal, as the end of the work.
func quietPipe(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

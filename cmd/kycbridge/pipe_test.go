package main

import (
	"os"
	"testing"
	"time"
)

// TestUntilUnread: a command that follows ends when the reader of its output has closed it, even if there is nothing
// more to write.
func TestUntilUnread(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, stop := untilUnread(t.Context(), w)
	defer stop()
	select {
	case <-ctx.Done():
		t.Fatal("it ended with a reader")
	case <-time.After(500 * time.Millisecond):
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		t.Error("it continues without a reader")
	}
}

package handlers

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBodiesShareABudget(t *testing.T) {
	var all budget
	all.left.Store(200 << 10)
	read := func(memory *share, size int) error {
		r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", size)))
		r.ContentLength = -1 // chunked: the size is not declared
		body, err := readBody(r, 1<<20, memory)
		if err == nil && len(body) != size {
			t.Errorf("read %d bytes of %d", len(body), size)
		}
		return err
	}
	first, second := share{of: &all}, share{of: &all}
	if err := read(&first, 60<<10); err != nil {
		t.Fatal(err)
	}
	if err := read(&second, 150<<10); !errors.Is(err, errBusy) {
		t.Errorf("more than the budget holds: %v, want errBusy", err)
	}
	second.release()
	first.release()
	if left := all.left.Load(); left != 200<<10 {
		t.Errorf("%d bytes left after all was released", left)
	}
	third := share{of: &all}
	if err := read(&third, 60<<10); err != nil {
		t.Error(err)
	}
}

// TestMemoryIsTakenForReceivedBytes: a declared length takes no memory of the others before the bytes arrive.
func TestMemoryIsTakenForReceivedBytes(t *testing.T) {
	const piece = 1000
	for _, declared := range []int64{-1, 511, 64<<10 - 1, 1 << 20} {
		var all budget
		all.left.Store(bodyBudget)
		memory := share{of: &all}
		r := httptest.NewRequest("POST", "/", nil)
		r.ContentLength = declared
		received := 0
		r.Body = io.NopCloser(readerFunc(func(b []byte) (int, error) {
			if most := max(firstRead, 2*received); memory.taken > int64(most) {
				t.Errorf("%d bytes declared, %d received: %d bytes of memory, at most %d", declared, received, memory.taken, most)
			}
			n := min(len(b), piece)
			if received += n; received > 100<<10 {
				return n, io.EOF
			}
			return n, nil
		}))
		if _, err := readBody(r, 1<<20, &memory); err != nil {
			t.Error(err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

package handlers

import (
	"errors"
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

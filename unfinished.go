package kycbridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnfinished means that an erasure has not erased everything, and must be repeated.
var ErrUnfinished = errors.New("erasure not finished")

// Left is what an erasure could not erase, because keys of stored bodies could not be read.
type Left struct {
	KeysLeft int `json:"keys_left,omitempty"` // keys of erased bodies whose destruction is not confirmed
	// Unread is the number of payloads that are kept because their bodies cannot be decrypted: they may belong to the
	// verification, or be held.
	Unread int      `json:"unread,omitempty"`
	Pages  []string `json:"key_pages,omitempty"` // pages of keys that could not be opened: shelf and name
}

// Any reports whether something is left.
func (l Left) Any() bool { return l.KeysLeft > 0 || l.Unread > 0 }

// AddUnread counts a payload under a page of keys that could not be opened.
func (l *Left) AddUnread(page string) {
	l.Unread++
	l.addPages(page)
}

// Add adds what is left of another part of the erasure.
func (l *Left) Add(more Left) {
	l.KeysLeft += more.KeysLeft
	l.Unread += more.Unread
	l.addPages(more.Pages...)
}

func (l *Left) addPages(pages ...string) {
	for _, page := range pages {
		if at, known := slices.BinarySearch(l.Pages, page); !known {
			l.Pages = slices.Insert(l.Pages, at, page)
		}
	}
}

// shownPages is how many pages of keys a text names.
const shownPages = 5

// Text is l as text; "" if nothing is left.
func (l Left) Text() string {
	var parts []string
	if l.KeysLeft > 0 {
		parts = append(parts, fmt.Sprintf("keys_left: %d (keys of erased bodies that may still exist)", l.KeysLeft))
	}
	if l.Unread > 0 {
		parts = append(parts, fmt.Sprintf("unread: %d (kept payloads that cannot be decrypted, and may belong to the "+
			"verification or be held)", l.Unread))
	}
	if n := len(l.Pages); n > 0 {
		named := strings.Join(l.Pages[:min(n, shownPages)], ", ")
		if n > shownPages {
			named += fmt.Sprintf(" and %d more", n-shownPages)
		}
		parts = append(parts, "pages of keys that do not open: "+named)
	}
	return strings.Join(parts, "; ")
}

// UnfinishedError is the error of an erasure that has not erased everything. Repeating it finishes it, as soon as its
// cause is removed.
type UnfinishedError struct {
	Left
	Erased *Tombstone // numbers of what this attempt has erased of a verification; nil: not known
	Cause  error      // that ended the erasure early; nil: only keys could not be read
}

// Error says what is left, and what to do.
func (e *UnfinishedError) Error() string {
	text := "the erasure is not finished"
	if left := e.Text(); left != "" {
		text += ": " + left
	}
	if e.Cause != nil {
		return text + ": " + e.Cause.Error() + "; run it again"
	}
	return text + ". Restore the key service or the master key, or the stream of keys from its backup, and run it again"
}

// Unwrap makes it an ErrUnfinished, and an error of its cause.
func (e *UnfinishedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrUnfinished}
	}
	return []error{ErrUnfinished, e.Cause}
}

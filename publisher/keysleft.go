package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// keyLeft is a key that must be destroyed as soon as its page opens. Its body is erased, so no message names it.
type keyLeft struct {
	Key            string `json:"key"`                       // its name, as in Kept.Key
	VerificationID string `json:"verification_id,omitempty"` // that was purged; "": the body was removed for another reason
}

// keysLeft is the body of a message that lists the keys that are left of a page.
type keysLeft struct {
	Left []keyLeft `json:"left"`
}

// keysLeftOf is the subject of the list for a page.
func (n Names) keysLeftOf(shelf kycbridge.Shelf, page string) string {
	return n.join("erased.left", string(shelf), page)
}

// DestroyKeys destroys the keys of stored bodies, by the names that Kept.Key contains. Afterwards these bodies, and
// all copies of them, cannot be decrypted any more. Names of destroyed or unknown keys are no error. A key whose page
// cannot be opened, because the key service is wrong or does not answer, or the page was altered, is recorded durably:
// its body may be erased, and DestroyLeft destroys it later.
func (s *Store) DestroyKeys(ctx context.Context, shelf kycbridge.Shelf, names []string) error {
	return s.DestroyKeysOf(ctx, "", shelf, names)
}

// DestroyKeysOf is DestroyKeys for the purge of a verification: DestroyLeft finds what is left of it.
func (s *Store) DestroyKeysOf(
	ctx context.Context, verificationID string, shelf kycbridge.Shelf, names []string,
) error {
	shelf = orPayloads(shelf)
	for page, some := range namesByPage(names) {
		if s.destroyOf(ctx, shelf, page, some) == nil {
			continue
		}
		err := s.changeKeysLeft(ctx, s.names.keysLeftOf(shelf, page), func(left []keyLeft) []keyLeft {
			for _, name := range some {
				if !isLeft(left, name) {
					left = append(left, keyLeft{name, verificationID})
				}
			}
			return left
		})
		if err != nil {
			return fmt.Errorf("destroy keys: %w", err)
		}
	}
	return nil
}

// DestroyLeft destroys the keys that earlier attempts have left, of one verification, or all of them with "", and
// returns those that are still left, with their pages.
func (s *Store) DestroyLeft(ctx context.Context, verificationID string) (kycbridge.Left, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	var still kycbridge.Left
	info, err := s.tombstones.Info(ctx, jetstream.WithSubjectFilter(s.names.join("erased.left.>")))
	if err != nil {
		return still, fmt.Errorf("destroy keys: %w", err)
	}
	for subject := range info.State.Subjects {
		shelf, page, ok := strings.Cut(strings.TrimPrefix(subject, s.names.join("erased.left.")), ".")
		if !ok {
			continue
		}
		left, err := s.destroyLeftOf(ctx, kycbridge.Shelf(shelf), page, verificationID)
		if err != nil {
			return still, fmt.Errorf("destroy keys: %w", err)
		}
		still.Add(left)
	}
	return still, nil
}

// destroyLeftOf is DestroyLeft for one page.
func (s *Store) destroyLeftOf(
	ctx context.Context, shelf kycbridge.Shelf, page, verificationID string,
) (still kycbridge.Left, err error) {
	subject := s.names.keysLeftOf(shelf, page)
	all, _, err := s.readKeysLeft(ctx, subject)
	if err != nil {
		return still, err
	}
	var wanted []string
	for _, one := range all {
		if verificationID == "" || one.VerificationID == verificationID {
			wanted = append(wanted, one.Key)
		}
	}
	if len(wanted) == 0 {
		return still, nil
	}
	if s.destroyOf(ctx, shelf, page, wanted) != nil {
		return kycbridge.Left{KeysLeft: len(wanted), Pages: []string{pageName(shelf, page)}}, ctx.Err()
	}
	return still, s.changeKeysLeft(ctx, subject, func(left []keyLeft) []keyLeft {
		return slices.DeleteFunc(left, func(one keyLeft) bool { return slices.Contains(wanted, one.Key) })
	})
}

// destroyOf destroys keys of one page. An error means that their destruction is not confirmed. A page that is missing
// was removed with all its keys, unless the stream of pages has lost it: then a backup may bring it back.
func (s *Store) destroyOf(ctx context.Context, shelf kycbridge.Shelf, id string, names []string) error {
	exists, newest := false, uint64(0)
	var slots []int
	for _, name := range names {
		_, made, slot, _ := parseKeyName(name)
		slots, newest = append(slots, slot), max(newest, made)
	}
	err := s.sealer.pages.rewrite(ctx, shelf, id, func(p *page) (changed bool) {
		exists = true
		for _, slot := range slots {
			changed = p.destroy(slot) || changed
		}
		return changed
	})
	if err != nil || exists {
		return err
	}
	return s.sealer.pages.reaches(ctx, newest)
}

// isLeft reports whether a list contains a key.
func isLeft(left []keyLeft, name string) bool {
	return slices.ContainsFunc(left, func(one keyLeft) bool { return one.Key == name })
}

// readKeysLeft reads the list for a page, and the sequence of its message; 0 if there is none.
func (s *Store) readKeysLeft(ctx context.Context, subject string) (left []keyLeft, seq uint64, err error) {
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the keys that are left: %w", err)
	}
	var all keysLeft
	_ = json.Unmarshal(raw.Data, &all) // an unreadable list is replaced
	return all.Left, raw.Sequence, nil
}

// changeKeysLeft changes the list for a page durably, and removes it when it is empty.
func (s *Store) changeKeysLeft(ctx context.Context, subject string, change func([]keyLeft) []keyLeft) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	for {
		before, at, err := s.readKeysLeft(ctx, subject)
		if err != nil {
			return err
		}
		after := change(slices.Clone(before))
		switch {
		case slices.Equal(before, after):
			return nil
		case len(after) == 0: // removes nothing if another process has just written a new list
			return removeOne(ctx, s.tombstones, at)
		}
		body, err := json.Marshal(keysLeft{after})
		if err != nil {
			return fmt.Errorf("record the keys that are left: %w", err)
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body},
			jetstream.WithExpectLastSequencePerSubject(at))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just changed it
		}
		if err != nil {
			return fmt.Errorf("record the keys that are left: %w", err)
		}
		return nil
	}
}

// namesByPage are the names of keys by the pages that contain them.
func namesByPage(names []string) map[string][]string {
	byPage := map[string][]string{}
	for _, name := range names {
		if page, _, _, ok := parseKeyName(name); ok && !slices.Contains(byPage[page], name) {
			byPage[page] = append(byPage[page], name)
		}
	}
	return byPage
}

// pageName names a page for an operator.
func pageName(shelf kycbridge.Shelf, page string) string { return string(shelf) + "/" + page }

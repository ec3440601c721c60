package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Index returns candidates for an id, or for a prefix. It does not compare ids (see kycbridge.Indexed).
type Index interface {
	Indexed(ctx context.Context, text string, beginning bool) ([]kycbridge.Indexed, error)
	QuarantinedOf(ctx context.Context, verificationID string) (places []uint64, err error)
}

// Unindexer removes a verification from the index.
type Unindexer interface {
	Unindex(ctx context.Context, k kycbridge.Key) (int, error)
}

// Indexing rebuilds the index from the stored messages, and reports how many messages are not indexed yet.
type Indexing interface {
	Rebuild(ctx context.Context, progress func(kycbridge.IndexLag)) error
	Lag(ctx context.Context) (kycbridge.IndexLag, error)
}

// LastEvents returns the last event of a verification by internal id, or kycbridge.ErrNotFound.
type LastEvents interface {
	Head(ctx context.Context, verificationID string) (kycbridge.Key, kycbridge.State, error)
}

// KeyFinder returns the account of a verification with payloads, or kycbridge.ErrNotFound.
type KeyFinder interface {
	KeyOf(ctx context.Context, verificationID string) (kycbridge.Key, error)
}

// Found is a verification, or a payload without a known verification, that matches the searched id. It contains
// neither personal data nor the searched id.
type Found struct {
	By             kycbridge.IndexKind `json:"by"` // which of its ids matches
	Provider       string              `json:"provider"`
	Account        string              `json:"account"`
	VerificationID string              `json:"verification_id,omitempty"`
	PayloadID      string              `json:"payload_id,omitempty"` // of the payload that has the id
	PayloadStatus  string              `json:"payload_status,omitempty"`
	Seq            uint64              `json:"seq,omitempty"` // of that payload on its shelf
	Revision       int                 `json:"revision,omitempty"`
	Status         string              `json:"status,omitempty"`
	Outcome        string              `json:"outcome,omitempty"`
	Final          bool                `json:"final,omitempty"`
	At             string              `json:"at,omitempty"` // when the facts of the last event were received
}

// SearchResult lists the matches, and for a single verification its timeline. Without a match it lists the erased
// verifications that had the searched id.
type SearchResult struct {
	Found    []Found   `json:"found"`
	Timeline *Timeline `json:"timeline,omitempty"`
	Erased   []Erased  `json:"erased,omitempty"`
}

// Erased is a verification that was erased, and of which nothing came since.
type Erased struct {
	Provider       string    `json:"provider"`
	Account        string    `json:"account"`
	VerificationID string    `json:"verification_id"`
	At             time.Time `json:"at"` // when it was erased
	// Unfinished: the erasure is not finished, so something of it may still be stored.
	Unfinished bool `json:"unfinished,omitempty"`
}

// Search finds verifications, and returns the timeline if there is one match and timeline is set.
func (a *Archive) Search(ctx context.Context, text string, timeline bool) (r SearchResult, err error) {
	found, err := a.Find(ctx, text)
	if err != nil {
		return r, err
	}
	r.Found = append([]Found{}, found...)
	if len(found) == 0 {
		r.Erased, err = a.erased(ctx, text)
		return r, err
	}
	if !timeline || len(found) != 1 || found[0].VerificationID == "" {
		return r, nil
	}
	f := found[0]
	t, err := a.Timeline(ctx, kycbridge.Key{Provider: f.Provider, Account: f.Account, VerificationID: f.VerificationID})
	if errors.Is(err, kycbridge.ErrNotFound) { // it was erased meanwhile
		return SearchResult{Found: []Found{}}, nil
	}
	if err == nil {
		r.Timeline = &t
	}
	return r, err
}

// erased returns the erased verifications that had an id: the internal one, or the provider's reference, from which the
// internal one is derived. Of other ids a tombstone tells nothing, nor of the beginning of one.
func (a *Archive) erased(ctx context.Context, text string) (all []Erased, err error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > longestText {
		return nil, nil
	}
	for _, account := range a.Accounts {
		k := kycbridge.Key{Provider: account.Provider.Name, Account: account.Name}
		reference := event.VerificationID(k.Provider, k.Account, account.Provider.Canonical(text))
		ids := []string{reference}
		if isVerificationID(text) {
			ids = append(ids, strings.ToLower(text))
		}
		for _, k.VerificationID = range ids {
			t, err := a.Tombstones.Tombstone(ctx, k)
			if err != nil {
				return nil, err
			}
			if t != nil {
				all = append(all, Erased{k.Provider, k.Account, k.VerificationID, t.At, t.Unfinished})
			}
		}
	}
	return all, nil
}

// isVerificationID reports whether a text has the form of an internal id.
func isVerificationID(text string) bool {
	return len(text) == 36 && strings.Trim(strings.ToLower(text), "0123456789abcdef-") == ""
}

const (
	shortestText = 4
	longestText  = 1024
)

// Find returns the verifications, and payloads without one, that have an id: internal, external reference, the
// provider's reference, or payload id. If none has it, Find returns those whose id begins with it: from 4
// characters on for internal ids, from 8 on for others. The newest comes first. kycbridge.ErrAmbiguous means that
// there are too many candidates. Recently stored messages may not be indexed yet: before Find reports no match, it
// waits for the index, for indexPatience at most.
func (a *Archive) Find(ctx context.Context, text string) ([]Found, error) {
	found, err := a.findIndexed(ctx, text)
	for deadline := time.Now().Add(indexPatience); err == nil && len(found) == 0 && time.Now().Before(deadline); {
		lag, lagErr := a.Indexing.Lag(ctx)
		if lagErr != nil {
			break
		}
		found, err = a.findIndexed(ctx, text) // includes what was indexed since the last search
		if lag.Total() == 0 || !pause(ctx, indexPause) {
			break
		}
	}
	return found, err
}

const (
	indexPatience = 2 * time.Second
	indexPause    = 100 * time.Millisecond
)

// pause reports whether d has passed before ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// findIndexed is Find over what is indexed now.
func (a *Archive) findIndexed(ctx context.Context, text string) ([]Found, error) {
	s := search{Archive: a, texts: a.readings(text), seen: map[string]bool{}}
	if len(text) > longestText || len(s.texts) == 0 {
		return nil, nil
	}
	for _, step := range []func(context.Context) error{s.whole, s.references, s.beginnings, s.refused} {
		if err := step(ctx); err != nil || len(s.found) > 0 {
			slices.SortStableFunc(s.found, func(x, y Found) int { return cmp.Compare(y.At, x.At) })
			return s.found, err
		}
	}
	return nil, nil
}

// readings are the possible ids of a text: as it is, and without the prefix of payload ids.
func (a *Archive) readings(text string) (texts []string) {
	add := func(t string) {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	add(text)
	add(strings.TrimPrefix(text, "sha256:"))
	for account := range a.Accounts {
		if local, ok := strings.CutPrefix(text, account.Provider+"."+account.Account+"."); ok {
			add(strings.TrimPrefix(local, "sha256:"))
		}
	}
	return texts
}

// search is one search for an id.
type search struct {
	*Archive
	texts []string
	begin bool // prefixes match
	found []Found
	seen  map[string]bool
}

// matches reports whether an id is the searched one.
func (s *search) matches(id string) bool {
	return id != "" && slices.ContainsFunc(s.texts, func(text string) bool {
		if s.begin {
			return len(id) >= len(text) && strings.EqualFold(id[:len(text)], text)
		}
		return strings.EqualFold(id, text)
	})
}

// add adds a match, once.
func (s *search) add(f Found) {
	name := f.VerificationID
	if name == "" {
		name = fmt.Sprint(f.PayloadStatus, f.Seq)
	}
	if !s.seen[name] {
		s.seen[name] = true
		s.found = append(s.found, f)
	}
}

// whole searches for the complete id.
func (s *search) whole(ctx context.Context) error {
	if err := s.verification(ctx, kycbridge.IndexVerification, s.texts[0]); err != nil {
		return err
	}
	for _, text := range s.texts {
		if err := s.indexed(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// beginnings searches for ids that begin with the text.
func (s *search) beginnings(ctx context.Context) error {
	s.begin = true
	for _, text := range s.texts {
		if len(text) < shortestText {
			continue
		}
		if err := s.indexed(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// indexed examines the candidates of the index.
func (s *search) indexed(ctx context.Context, text string) error {
	entries, err := s.Index.Indexed(ctx, text, s.begin)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case e.VerificationID == "":
			err = s.place(ctx, e)
		case e.Kind == kycbridge.IndexPayload:
			err = s.payloadOf(ctx, e.VerificationID)
		default:
			err = s.verification(ctx, e.Kind, e.VerificationID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// references tries the text as a provider's reference of every account: the internal id is derived from
// it, so verifications are found that are not indexed yet, or have no event.
func (s *search) references(ctx context.Context) error {
	for _, account := range s.Accounts {
		reference := account.Provider.Canonical(s.texts[0])
		id := event.VerificationID(account.Provider.Name, account.Name, reference)
		f, ok, err := s.describe(ctx, id)
		if err != nil {
			return err
		}
		if ok {
			f.By = kycbridge.IndexReference
			s.add(f)
		}
	}
	return nil
}

// verification adds a verification if it has the id.
func (s *search) verification(ctx context.Context, by kycbridge.IndexKind, id string) error {
	f, ok, err := s.describe(ctx, strings.ToLower(id))
	if err != nil || !ok {
		return err
	}
	has := by == kycbridge.IndexVerification && s.isOurs(f.VerificationID)
	if by == kycbridge.IndexExternal || by == kycbridge.IndexReference {
		if has, err = s.hasReference(ctx, f, by); err != nil {
			return err
		}
	}
	if has {
		f.By = by
		s.add(f)
	}
	return nil
}

// isOurs reports whether an internal id is the searched one, which may be written without its hyphens.
func (s *search) isOurs(id string) bool {
	bare := func(t string) string { return strings.ReplaceAll(strings.ToLower(t), "-", "") }
	text := bare(s.texts[0])
	return text == bare(id) || s.begin && strings.HasPrefix(bare(id), text)
}

// hasReference reports whether an event of the verification, or a stored payload, has the reference. An
// external reference may change from revision to revision.
func (s *search) hasReference(ctx context.Context, f Found, by kycbridge.IndexKind) (has bool, err error) {
	k := kycbridge.Key{Provider: f.Provider, Account: f.Account, VerificationID: f.VerificationID}
	err = s.Events.Revisions(ctx, k, func(state kycbridge.State) error {
		d := state.Data
		if by == kycbridge.IndexExternal {
			has = s.matches(d.ExternalReference)
		} else {
			for _, reference := range d.Provider.References {
				has = has || s.matches(reference)
			}
		}
		if has {
			return kycbridge.ErrEnough
		}
		return nil
	})
	if err != nil || has || by == kycbridge.IndexExternal {
		return has, err
	}
	err = s.keptOf(ctx, k, func(p kycbridge.Kept) error {
		has = has || s.matches(p.Reference)
		return nil
	})
	return has, err
}

// keptOf reads the payloads of a verification in the log, without their bodies.
func (a *Archive) keptOf(ctx context.Context, k kycbridge.Key, each func(kycbridge.Kept) error) error {
	return a.Shelves.Kept(ctx, kycbridge.KeptQuery{Provider: k.Provider, Account: k.Account,
		VerificationID: k.VerificationID, HeadersOnly: true}, each)
}

// describe returns the current state of a verification; ok is false if the verification is not known.
func (a *Archive) describe(ctx context.Context, id string) (f Found, ok bool, err error) {
	k, state, err := a.LastEvents.Head(ctx, id)
	if errors.Is(err, kycbridge.ErrNotFound) {
		if k, err = a.KeyFinder.KeyOf(ctx, id); errors.Is(err, kycbridge.ErrNotFound) {
			return f, false, nil
		}
	}
	if err != nil {
		return f, false, err
	}
	f = Found{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}
	if d := state.Data.Published(); d != nil {
		f.Revision, f.Status, f.At = d.Revision, string(d.Status), d.Provider.Event.ReceivedAt
		f.Outcome, f.Final = string(d.Decision.Outcome), d.Decision.Final
	}
	return f, true, nil
}

// payloadOf adds the verification whose payload has the id.
func (s *search) payloadOf(ctx context.Context, verificationID string) error {
	f, ok, err := s.describe(ctx, verificationID)
	if err != nil || !ok {
		return err
	}
	k := kycbridge.Key{Provider: f.Provider, Account: f.Account, VerificationID: f.VerificationID}
	return s.keptOf(ctx, k, func(p kycbridge.Kept) error {
		if s.matches(kycbridge.LocalPayloadID(p.Payload)) || s.matches(p.ID) {
			f.By, f.PayloadID, f.PayloadStatus, f.Seq = kycbridge.IndexPayload, p.ID, StatusAccepted, p.Seq
			s.add(f)
		}
		return nil
	})
}

// place adds a payload in quarantine, with its verification if known.
func (s *search) place(ctx context.Context, e kycbridge.Indexed) error {
	k, err := s.Shelves.KeptAt(ctx, e.Shelf, e.Seq)
	if errors.Is(err, kycbridge.ErrNotFound) {
		return nil // it has expired
	}
	if err != nil {
		return err
	}
	return s.addKept(ctx, k)
}

// addKept adds a payload from a shelf other than the log, if the payload has the id.
func (s *search) addKept(ctx context.Context, k kycbridge.Kept) error {
	if !s.matches(kycbridge.LocalPayloadID(k.Payload)) && !s.matches(k.ID) {
		return nil
	}
	f := Found{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, At: event.Instant(k.ReceivedAt)}
	if k.VerificationID != "" {
		known, ok, err := s.describe(ctx, k.VerificationID)
		if err != nil {
			return err
		}
		if ok {
			f = known
		}
	}
	f.By, f.PayloadID, f.PayloadStatus, f.Seq = kycbridge.IndexPayload, k.ID, s.entryOf(k).Status, k.Seq
	s.add(f)
	return nil
}

// refused scans the refused payloads, which are not indexed: their content is unauthenticated, and there
// are few.
func (s *search) refused(ctx context.Context) error {
	if len(s.texts[0]) < 2*shortestText {
		return nil
	}
	return s.Shelves.Kept(ctx, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused, HeadersOnly: true},
		func(k kycbridge.Kept) error {
			return s.addKept(ctx, k)
		})
}

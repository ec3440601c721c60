package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// Found is a verification, or a payload of none, that a search has met.
type Found struct {
	kycbridge.Key
	By      string // which of its ids was meant
	Status  event.Status
	Outcome event.Outcome
	At      time.Time
	Entry   *archive.Entry // a payload; nil: a verification
}

// Address is where it is shown.
func (f Found) Address() string {
	if f.Entry != nil {
		return payloadAddress(*f.Entry)
	}
	return verificationAddress(f.Key)
}

func verificationAddress(k kycbridge.Key) string {
	return "/console/verifications/" + k.Provider + "/" + k.Account + "/" + k.VerificationID
}

const (
	longestQuery   = 1024 // bytes
	shortestPrefix = 6    // of an id of ours
	mostFound      = 50
)

// search finds by what the archive offers: ids of ours and references of the provider at once, payload ids,
// external references and beginnings of ids among the newest of what is stored.
type search struct{ *Console }

// Find looks for q, the surest ways first.
func (s search) Find(ctx context.Context, q string) ([]Found, error) {
	a, err := s.Archive()
	if err != nil {
		return nil, err
	}
	ways := []func(context.Context, *archive.Archive, string) ([]Found, error){
		s.byID, s.byReference, s.byPayload, s.byNewest,
	}
	for _, way := range ways {
		if found, err := way(ctx, a, q); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// byID finds our own id, at whichever account.
func (s search) byID(ctx context.Context, a *archive.Archive, q string) ([]Found, error) {
	id := strings.ToLower(q)
	if (archive.Filter{Verification: id}).Check() != nil {
		return nil, nil
	}
	return s.published(ctx, a, kycbridge.Key{Provider: "*", Account: "*", VerificationID: id}, "id")
}

// byReference finds what a provider calls the verification: our id is made of that.
func (s search) byReference(ctx context.Context, a *archive.Archive, q string) (all []Found, err error) {
	for _, account := range s.Accounts {
		configured, err := a.Accounts.Find(account.Provider, account.Name)
		if err != nil {
			continue
		}
		reference := configured.Provider.Canonical(q)
		k := kycbridge.Key{
			Provider:       account.Provider,
			Account:        account.Name,
			VerificationID: event.VerificationID(account.Provider, account.Name, reference),
		}
		found, err := s.published(ctx, a, k, "reference")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// published is the verification if an event tells of it.
func (s search) published(ctx context.Context, a *archive.Archive, k kycbridge.Key, by string) ([]Found, error) {
	last, err := a.NewestEvents.Last(ctx, k, true)
	if err != nil || last.Data == nil {
		return nil, err
	}
	return []Found{foundIn(last.Data.Published(), by)}, nil
}

// foundIn is a find with the state of its verification.
func foundIn(d *event.Data, by string) Found {
	return Found{
		Key:     kycbridge.Key{Provider: d.Provider.Name, Account: d.Account, VerificationID: d.VerificationID},
		By:      by,
		Status:  d.Status,
		Outcome: d.Decision.Outcome,
		At:      event.ParseInstant(d.Provider.Event.ReceivedAt),
	}
}

// byPayload finds a payload id; it begins with provider and account.
func (s search) byPayload(ctx context.Context, a *archive.Archive, q string) (all []Found, err error) {
	if strings.Count(q, ".") < 2 || strings.ContainsAny(q, " @") {
		return nil, nil
	}
	for _, status := range []string{archive.StatusAccepted, archive.StatusQuarantined, archive.StatusRefused} {
		page, _, err := a.Page(ctx, archive.Filter{Status: status, ID: q}, 0, 1)
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			e := a.EntryOf(k)
			all = append(
				all,
				Found{Key: kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID},
					By: "payload id", At: k.ReceivedAt, Entry: &e},
			)
		}
	}
	return all, nil
}

// byNewest looks through the newest events for an external reference, for any id of the provider, and for
// the beginning of an id of ours.
func (s search) byNewest(ctx context.Context, a *archive.Archive, q string) (all []Found, err error) {
	seen := map[kycbridge.Key]bool{}
	_, err = a.NewestEvents.NewestEvents(ctx, "", "", 0, func(e kycbridge.PublishedEvent) bool {
		if by := holds(&e.Event.Data, q); by != "" && !seen[e.Key] {
			seen[e.Key] = true
			all = append(all, foundIn(&e.Event.Data, by))
		}
		return len(all) < mostFound
	})
	slices.SortStableFunc(all, func(x, y Found) int { return cmp.Compare(x.By, y.By) })
	return all, err
}

// holds says as what an event holds q; "" if it does not.
func holds(d *event.Data, q string) string {
	switch {
	case d.ExternalReference == q:
		return "external reference"
	case len(q) >= shortestPrefix && strings.HasPrefix(d.VerificationID, strings.ToLower(q)):
		return "beginning of the id"
	}
	for _, reference := range d.Provider.References {
		if reference == q {
			return "reference"
		}
	}
	return ""
}

// searchView is what a search has found. What was looked for may be about a person and is not repeated.
type searchView struct{ Found []Found }

// search answers a form and not an address: an external reference may be somebody's e-mail address.
func (c *Console) search(v visit) error {
	q := strings.TrimSpace(v.r.PostFormValue("q"))
	if q == "" || len(q) > longestQuery {
		return errInput(
			"Write an id: the external reference, the provider's reference, our id or its beginning, or a payload id.",
		)
	}
	found, err := c.Finder.Find(v.r.Context(), q)
	if err != nil {
		return err
	}
	if len(found) == 1 {
		http.Redirect(v.w, v.r, found[0].Address(), http.StatusSeeOther)
		return nil
	}
	return c.show(v, "search", "Search", searchView{found})
}

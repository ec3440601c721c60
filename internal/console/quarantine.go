package console

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/archive"
)

const (
	groupsFrom  = 5000 // the newest payloads of a shelf, which are grouped
	maxReplays  = 500  // payloads that are replayed by one click
	maxPreviews = 100  // payloads that are previewed on one page
)

// groupKey is what the payloads of a group have in common.
type groupKey struct {
	Status, Provider, Account, Reason, Place string
}

// groupOf is the group of a payload: by the reason, and the pointer of the fault. In a pointer, asterisks
// replace indices, so that one fault in many items is one group.
func groupOf(k kycbridge.Kept) groupKey {
	g := groupKey{Status: archive.StatusQuarantined, Provider: k.Provider, Account: k.Account, Reason: k.Reason}
	if k.Shelf == kycbridge.ShelfRefused {
		g.Status = archive.StatusRefused
		return g
	}
	if len(k.Errors) > 0 {
		g.Place = placeOf(k.Errors[0], k.Provider)
	}
	return g
}

// placeOf is a pointer and the expectation there.
func placeOf(e kycbridge.FieldError, provider string) string {
	parts := strings.Split(e.Path, "/")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "*"
			continue
		}
		parts[i] = archive.MemberName(part, provider)
	}
	return strings.TrimSpace(strings.Join(parts, "/") + " " + e.Message)
}

// Address is the address of the group's list of payloads.
func (g groupKey) Address() string {
	q := url.Values{
		"status":   {g.Status},
		"provider": {g.Provider},
		"account":  {g.Account},
		"reason":   {g.Reason},
		"place":    {g.Place},
	}
	return "/console/quarantine/group?" + q.Encode()
}

// groupIn reads a group from a query or a form.
func groupIn(q url.Values) groupKey {
	return groupKey{q.Get("status"), q.Get("provider"), q.Get("account"), q.Get("reason"), q.Get("place")}
}

// group is the number of payloads of a group, with the times of the first and the last.
type group struct {
	groupKey
	Count       int
	First, Last time.Time
}

// groupsView are the groups of both shelves.
type groupsView struct {
	Quarantined, Refused []group
	Most                 int
	Cut                  bool // there are older ones, which are not counted
}

// groups shows why payloads were quarantined or refused.
func (c *Console) groups(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	view := groupsView{Most: groupsFrom}
	for status, into := range map[string]*[]group{
		archive.StatusQuarantined: &view.Quarantined, archive.StatusRefused: &view.Refused,
	} {
		found, next, err := a.Page(v.r.Context(), archive.Filter{Status: status}, 0, groupsFrom)
		if err != nil {
			return err
		}
		*into = grouped(found)
		view.Cut = view.Cut || next > 0
	}
	return c.show(v, "quarantine", "Quarantine and refused", view)
}

// grouped counts groups, the largest first.
func grouped(all []kycbridge.Kept) []group {
	groups := map[groupKey]*group{}
	for _, k := range all {
		key := groupOf(k)
		g, ok := groups[key]
		if !ok {
			g = &group{groupKey: key, First: k.ReceivedAt, Last: k.ReceivedAt}
			groups[key] = g
		}
		g.Count++
		if k.ReceivedAt.Before(g.First) {
			g.First = k.ReceivedAt
		}
		if k.ReceivedAt.After(g.Last) {
			g.Last = k.ReceivedAt
		}
	}
	out := make([]group, 0, len(groups))
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(x, y group) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), y.Last.Compare(x.Last), cmp.Compare(x.Place, y.Place))
	})
	return out
}

// groupView are payloads of one group.
type groupView struct {
	Key   groupKey
	Rows  []archive.Entry
	Older string
	All   int // number of payloads of the group among the newest
}

// members are the newest payloads of a group, n at most.
func (c *Console) members(
	ctx context.Context,
	a *archive.Archive,
	g groupKey,
	before uint64,
	n int,
) (all []kycbridge.Kept, next uint64, err error) {
	f := archive.Filter{Status: g.Status, Provider: g.Provider, Account: g.Account}
	if g.Status != archive.StatusQuarantined && g.Status != archive.StatusRefused || f.Check() != nil {
		return nil, 0, kycbridge.ErrNotFound
	}
	next, err = a.Newest.NewestKept(
		ctx,
		kycbridge.KeptQuery{Shelf: shelfOf(g.Status), Provider: g.Provider, Account: g.Account},
		before,
		func(k kycbridge.Kept) bool {
			if groupOf(k) == g {
				all = append(all, k)
			}
			return len(all) < n
		},
	)
	return all, next, err
}

func shelfOf(status string) kycbridge.Shelf {
	if status == archive.StatusRefused {
		return kycbridge.ShelfRefused
	}
	return kycbridge.ShelfQuarantine
}

// group lists the payloads of one group.
func (c *Console) group(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	view := groupView{Key: groupIn(q)}
	all, next, err := c.members(v.r.Context(), a, view.Key, number(q.Get("before")), onPage)
	if err != nil {
		return err
	}
	for _, k := range all {
		view.Rows = append(view.Rows, a.EntryOf(k))
	}
	view.Older = older(v.r, next)
	return c.show(v, "group", "Payloads of one reason", view)
}

// manyView is the predicted or actual result of a replay of several payloads.
type manyView struct {
	Key     groupKey
	Results map[string]int
	Rows    []admissionView
	Chosen  []string // sequences, for the confirming form
	Whole   bool     // the whole group was selected
	Done    bool
	Left    bool // the group has further payloads
}

// admissionView is one row of manyView.
type admissionView struct {
	archive.Admission
	Entry archive.Entry
}

// chosen are the payloads selected in a form: the ticked ones, or the whole group.
func (c *Console) chosen(v visit, a *archive.Archive) (view manyView, all []kycbridge.Kept, err error) {
	form := v.r.PostForm
	view = manyView{Key: groupIn(form), Whole: form.Get("whole") != "", Results: map[string]int{}}
	if view.Whole {
		all, next, err := c.members(v.r.Context(), a, view.Key, 0, maxReplays)
		view.Left = next > 0
		return view, all, err
	}
	for _, seq := range form["seq"][:min(len(form["seq"]), maxReplays)] {
		k, err := a.At(v.r.Context(), view.Key.Status, number(seq))
		if errors.Is(err, kycbridge.ErrNotFound) {
			continue // admitted meanwhile
		}
		if err != nil {
			return view, nil, err
		}
		all, view.Chosen = append(all, k), append(view.Chosen, strconv.FormatUint(k.Seq, 10))
	}
	if len(all) == 0 {
		err = errInput("Tick payloads, or choose the whole group.")
	}
	return view, all, err
}

// previewMany computes the result of a replay of several payloads without replaying them.
func (c *Console) previewMany(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	view, all, err := c.chosen(v, a)
	if err != nil {
		return err
	}
	for i, k := range all {
		k, err := a.Shelves.KeptAt(v.r.Context(), k.Shelf, k.Seq)
		if errors.Is(err, kycbridge.ErrNotFound) {
			continue // admitted meanwhile
		}
		if err != nil {
			return err
		}
		preview, err := a.Preview(v.r.Context(), k)
		if err != nil {
			return err
		}
		view.Results[preview.Result]++
		if i < maxPreviews {
			preview.Replayed = masked(preview.Replayed)
			view.Rows = append(view.Rows, admissionView{preview, a.EntryOf(k)})
		}
	}
	return c.show(v, "many", "Preview of the replay", view)
}

// admitMany replays several payloads.
func (c *Console) admitMany(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	view, all, err := c.chosen(v, a)
	if err != nil {
		return err
	}
	slices.Reverse(all) // in the order in which they were received
	err = c.admitEach(v.r.Context(), a, all, &view)
	c.Logger.Info("payloads replayed", zap.String("status", view.Key.Status), zap.Int("payloads", len(all)),
		zap.Int("admitted", view.Results[archive.ResultAdmitted]), zap.String("by", v.by))
	if err != nil {
		return err
	}
	view.Done = true
	return c.show(v, "many", "Result of the replay", view)
}

// admitEach replays payloads in turn, and adds each result to view. It stops at the first error; earlier
// ones stay admitted.
func (c *Console) admitEach(ctx context.Context, a *archive.Archive, all []kycbridge.Kept, view *manyView) error {
	for i, k := range all {
		k, err := a.Shelves.KeptAt(ctx, k.Shelf, k.Seq)
		if errors.Is(err, kycbridge.ErrNotFound) {
			continue // admitted meanwhile
		}
		if err != nil {
			return err
		}
		done, err := a.Readmit(ctx, k, false)
		if err != nil {
			return err
		}
		view.Results[done.Result]++
		if i < maxPreviews {
			view.Rows = append(view.Rows, admissionView{archive.Admission{Replayed: done}, a.EntryOf(k)})
		}
	}
	return nil
}

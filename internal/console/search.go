package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// Found is a verification, or a payload, that matches a search.
type Found struct{ archive.Found }

// Address is the address of its page.
func (f Found) Address() string {
	if f.PayloadID != "" {
		return payloadAddress(archive.Entry{Status: f.PayloadStatus, Seq: f.Seq})
	}
	return verificationAddress(kycbridge.Key{Provider: f.Provider, Account: f.Account, VerificationID: f.VerificationID})
}

func verificationAddress(k kycbridge.Key) string {
	return "/console/verifications/" + k.Provider + "/" + k.Account + "/" + k.VerificationID
}

// Called names the kind of id that matched.
func (f Found) Called() string {
	switch f.By {
	case kycbridge.IndexExternal:
		return "external reference"
	case kycbridge.IndexReference:
		return "the provider's reference"
	case kycbridge.IndexPayload:
		return "payload id"
	}
	return "verification id"
}

// Time is when the facts of its last event were received.
func (f Found) Time() time.Time { return event.ParseInstant(f.At) }

const (
	longestQuery = 1024 // bytes
	maxFound     = 50
)

// searchView is the result of a search. The searched text may be personal and is not repeated.
type searchView struct {
	Found  []Found
	More   bool             // there are more than shown
	Erased []archive.Erased // if nothing is found
}

// search reads the id from a form and not from the URL: an external reference may be an e-mail address.
func (c *Console) search(v visit) error {
	q := strings.TrimSpace(v.r.PostFormValue("q"))
	if q == "" || len(q) > longestQuery {
		return errInput(
			"Write an id: the external reference, the provider's reference, the verification id or its beginning, or a payload id.",
		)
	}
	a, err := c.Archive()
	if err != nil {
		return err
	}
	r, err := a.Search(v.r.Context(), q, false)
	if errors.Is(err, kycbridge.ErrAmbiguous) {
		return errInput("Many ids begin like this. Write more characters.")
	}
	if err != nil {
		return err
	}
	view := searchView{More: len(r.Found) > maxFound, Erased: r.Erased}
	for _, f := range r.Found[:min(len(r.Found), maxFound)] {
		view.Found = append(view.Found, Found{f})
	}
	if len(view.Found) == 1 {
		http.Redirect(v.w, v.r, view.Found[0].Address(), http.StatusSeeOther)
		return nil
	}
	return c.show(v, "search", "Search", view)
}

package test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/fixture"
)

// officeCallback is a callback of Signzy's back office: its status, when a person acted and when it was submitted, in
// minutes (0: the body does not contain the time), and when it is received.
type officeCallback struct {
	status           string
	acted, submitted int
	received         int
}

func (c officeCallback) body() []byte {
	ms := func(minute int) int64 { return received.Add(time.Duration(minute) * time.Minute).UnixMilli() }
	text := `{"merchantSignup":{},"merchantData":{"id":"M1","status":"` + c.status + `","look":` + fmt.Sprint(c.received)
	if c.acted != 0 {
		text += fmt.Sprintf(`,"actionTime":%d`, ms(c.acted))
	}
	if c.submitted != 0 {
		text += fmt.Sprintf(`,"initialSubmissionDate":%d,"onboardingEndDate":%d`, ms(c.submitted), ms(c.submitted))
	}
	return []byte(text + `}}`)
}

// TestBackOfficeOrder: callbacks of the back office are ordered by actionTime. Without it a decision counts only where
// nothing is decided, and opens a review beside another one; a pending application never takes back a decision, unless
// a person has moved it back after that.
func TestBackOfficeOrder(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	const (
		approved, rejected = "completed/approved/unconfirmed", "completed/rejected/unconfirmed"
		review, untimed    = "in_review/none/", "in_review/review/"
		redo, toConfirm    = "requires_input/resubmit/", "in_review/review/unconfirmed"
	)
	for _, c := range []struct {
		name      string
		confirm   bool
		callbacks []officeCallback
		want      string
	}{
		{"in order", false, []officeCallback{{"New", 0, 0, 1}, {"pending", 0, 5, 6}, {"accept", 20, 5, 21}}, approved},
		{"in order, without times", false, []officeCallback{{"New", 0, 0, 1}, {"pending", 0, 0, 6}, {"accept", 0, 0, 21}},
			approved},
		{"the new link last", false, []officeCallback{{"pending", 0, 5, 6}, {"New", 0, 0, 7}}, review},
		{"an older pending last", false, []officeCallback{{"accept", 20, 5, 21}, {"pending", 0, 5, 22}}, approved},
		{"a pending without a time last", false, []officeCallback{{"accept", 20, 0, 21}, {"pending", 0, 0, 60}}, approved},
		{"neither has a time", false, []officeCallback{{"accept", 0, 0, 21}, {"pending", 0, 0, 22}}, approved},
		{"moved back to pending", false, []officeCallback{{"accept", 20, 5, 21}, {"pending", 40, 5, 41}}, "unknown/none/"},
		{"an older move back last", false, []officeCallback{{"accept", 20, 5, 21}, {"pending", 15, 5, 41}}, approved},
		{"accepted after a move back", false, []officeCallback{{"accept", 20, 5, 21}, {"pending", 40, 5, 41},
			{"accept", 50, 5, 51}}, approved},
		{"rejected later", false, []officeCallback{{"accept", 20, 5, 21}, {"reject", 40, 5, 41}}, rejected},
		{"rejected later, received before", false, []officeCallback{{"reject", 40, 5, 41}, {"accept", 20, 5, 42}}, rejected},
		{"accepted later", false, []officeCallback{{"reject", 20, 5, 21}, {"accept", 40, 5, 41}}, approved},
		{"at one instant", false, []officeCallback{{"reject", 20, 5, 21}, {"accept", 20, 5, 22}}, rejected},
		{"at one instant, the other first", false, []officeCallback{{"accept", 20, 5, 21}, {"reject", 20, 5, 22}}, rejected},
		{"a rejection without a time", false, []officeCallback{{"accept", 20, 5, 21}, {"reject", 0, 0, 22}}, untimed},
		{"an approval without a time", false, []officeCallback{{"reject", 20, 5, 21}, {"accept", 0, 0, 60}}, untimed},
		{"two without a time", false, []officeCallback{{"reject", 0, 0, 21}, {"accept", 0, 0, 60}}, untimed},
		{"redone", false, []officeCallback{{"draft", 10, 5, 11}, {"pending", 10, 15, 16}, {"accept", 20, 15, 21}}, approved},
		{"redone, without times", false, []officeCallback{{"draft", 0, 0, 11}, {"pending", 0, 0, 16}, {"accept", 0, 0, 21}},
			approved},
		{"redone, received before the request", false, []officeCallback{{"pending", 10, 15, 16}, {"draft", 10, 5, 17}}, review},
		{"a redo of an accepted one", false, []officeCallback{{"accept", 20, 5, 21}, {"draft", 30, 5, 31}}, redo},
		{"an older redo last", false, []officeCallback{{"accept", 20, 5, 21}, {"draft", 10, 5, 31}}, approved},
		{"an older pending after a redo", false, []officeCallback{{"draft", 20, 5, 21}, {"pending", 0, 5, 31}}, redo},
		{"a redo without a time", false, []officeCallback{{"accept", 20, 5, 21}, {"redo", 0, 0, 31}}, untimed},
		{"left after the approval", false, []officeCallback{{"accept", 20, 5, 21}, {"dropoff", 0, 0, 60}}, approved},
		{"accepted after it was left", false, []officeCallback{{"dropoff", 0, 0, 6}, {"accept", 20, 0, 21}}, approved},
		{"an unknown word", false, []officeCallback{{"accept", 20, 5, 21}, {"on hold", 30, 5, 31}}, "unknown/none/"},
		{"an older unknown word", false, []officeCallback{{"accept", 20, 5, 21}, {"on hold", 10, 5, 31}}, approved},
		{"an unknown word without a time", false, []officeCallback{{"accept", 20, 5, 21}, {"on hold", 0, 0, 31}},
			"unknown/none/"},
		{"confirm", true, []officeCallback{{"pending", 0, 5, 6}, {"accept", 20, 5, 21}}, toConfirm},
		{"confirm, rejected", true, []officeCallback{{"reject", 20, 5, 21}}, toConfirm},
		{"confirm, redo", true, []officeCallback{{"accept", 20, 5, 21}, {"draft", 30, 5, 31}}, redo},
		{"confirm, pending again", true, []officeCallback{{"accept", 20, 5, 21}, {"pending", 0, 5, 31}}, toConfirm},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := kycbridge.Settings{Confirm: c.confirm, Own: table["signzy"].Decode(map[string]any{"back_office": true})}
			p := newProductPath(table["signzy"], settings)
			for _, callback := range c.callbacks {
				at := received.Add(time.Duration(callback.received) * time.Minute)
				fresh, err := p.receive(message{body: string(callback.body()), via: event.ViaCallback, at: at})
				if err != nil || !fresh {
					t.Fatal(callback, fresh, err)
				}
			}
			last := p.memoryStore.events[len(p.memoryStore.events)-1].Data
			if got := fmt.Sprintf("%s/%s/%s", last.Status, last.Decision.Outcome, last.StatusDetail); got != c.want {
				t.Errorf("%s, want %s: %+v", got, c.want, last.Reasons)
			}
			if last.Payload.Confirmed {
				t.Error("a callback counts as confirmed")
			}
		})
	}
}

// TestBackOfficeWithoutConfirmation: an account that has not set the key quarantines such a callback, and names the key
// to the operator.
func TestBackOfficeWithoutConfirmation(t *testing.T) {
	set, err := sharedSchemas()
	if err != nil {
		t.Fatal(err)
	}
	p := newPath(set, fixture.Case{Provider: "signzy", Profile: event.ProfileFull})
	got, err := p.intake.Ingest(t.Context(), p.account, kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: received,
		Body: officeCallback{status: "accept", acted: -5}.body()})
	if err != nil || got.Reason != kycbridge.QuarantineForeign || p.memory.stored != nil || len(got.Errors) != 1 ||
		!strings.Contains(got.Errors[0].Message, "back_office: true") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestBackOfficePrivacy: in no profile does an event contain an address for logging in, and in masked and none no
// personal data.
func TestBackOfficePrivacy(t *testing.T) {
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, c := range cases {
		if c.Provider != "signzy" || c.Own["back_office"] != true {
			continue
		}
		tried++
		hidden := []string{"synthetic", "go.example.com", "s.example.com", "sample-bank"}
		for _, profile := range []event.Profile{event.ProfileFull, event.ProfileMasked, event.ProfileNone} {
			c.Profile = profile
			out, err := eventOf(c)
			if err != nil {
				t.Fatal(err)
			}
			if profile != event.ProfileFull {
				hidden = append(hidden, "Jane", "jane@", "555010", "Sample")
			}
			for _, word := range hidden {
				if bytes.Contains(out, []byte(word)) {
					t.Errorf("%s, %s: the event contains %q: %s", c.Dir(), profile, word, out)
				}
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d cases", tried)
	}
}

package simulated

import (
	"bytes"
	"embed"
	"encoding/json"
	"strings"
	"text/template"
	"time"

	"kycbridge/internal/simulate"
)

//go:embed bodies/*.tmpl
var bodies embed.FS

// timeText is how Ondato writes an instant: 7 digits of the second's fraction.
const timeText = "2006-01-02T15:04:05.0000000Z"

// step is the least difference between two instants that Ondato can write.
const step = 100 * time.Nanosecond

// parseTemplates are the bodies of the API. text and raw write JSON; raw takes it as it is.
func parseTemplates() *template.Template {
	return template.Must(template.New("ondato").Funcs(template.FuncMap{
		"text": func(s string) (string, error) {
			b, err := json.Marshal(s)
			return string(b), err
		},
		"time": func(t time.Time) string { return `"` + t.UTC().Format(timeText) + `"` },
		"raw":  func(b []byte) string { return string(b) },
	}).ParseFS(bodies, "bodies/*.tmpl"))
}

// verification is one IDV with its KYC identification.
type verification struct {
	ID, KYC, Reference, Setup string
	Front, Back, Enrollment   string // ids of files and of the face
	Registration              []byte // as it came; nil if it did not
	Birthdate                 string
	FirstName, LastName       string // as the document has them
	begun                     time.Time
	script                    simulate.Script
	told                      bool // an end that stays has been answered
	messages                  []*message
}

// message is one webhook. Delivered is zero until it has been taken, guarded by the server's lock.
type message struct {
	ID, Application, Type string
	Created, Delivered    time.Time
	Payload               []byte
}

// view is a verification at one moment, for the templates.
type view struct {
	*verification
	Application, SetupVersion, KYCSetup, KYCSetupVersion string

	FullName string
	State    state
	Asked    bool

	Created, Modified, Consented, Entered, Completed time.Time
}

// clocked is when a beat happens by the clock: life may run ahead of it, and a receiver does not
// believe in messages from the future.
func (a *account) clocked(v *verification, at time.Duration) time.Time {
	return v.begun.Add(a.s.Clock(at))
}

// view shows a verification as it is after so much of its life.
func (a *account) view(v *verification, age time.Duration) view {
	view := view{
		verification: v,
		Application:  application, SetupVersion: setupVersion,
		KYCSetup: kycSetup, KYCSetupVersion: kycSetupVersion,
		FullName: strings.TrimSpace(v.FirstName + " " + v.LastName),
		Created:  v.begun, Modified: v.begun,
	}
	for _, b := range v.script {
		if b.At > age {
			break
		}
		was, is, at := view.State, a.states[b.State], a.clocked(v, b.At)
		view.State, view.Asked = is, is.Asked
		if was.IDV != is.IDV || was.Consent != is.Consent || (was.KYC == "") != (is.KYC == "") {
			view.Modified = at
		}
		if is.Consent && !was.Consent {
			view.Consented = at
		}
		if is.KYC != "" && was.KYC == "" {
			view.Entered = at
		}
		switch {
		case !is.final():
			view.Completed = time.Time{}
		case was.KYC != is.KYC || was.Reason != is.Reason:
			view.Completed = at
		}
	}
	return view
}

// age is how long a verification has lived.
func (a *account) age(v *verification) time.Duration {
	return time.Duration(float64(time.Since(v.begun)) * a.s.Speed)
}

// settled reports whether what the API tells in st will stay.
func (a *account) settled(v *verification, st state) bool {
	last := a.states[v.script[len(v.script)-1].State]
	return st.final() && st.KYC == last.KYC && st.Reason == last.Reason
}

// body fills a template and takes the spaces out.
func (a *account) body(name string, values any) []byte {
	var filled, compact bytes.Buffer
	if err := a.templates.ExecuteTemplate(&filled, name+".json.tmpl", values); err != nil {
		panic(err) // the templates are ours, and so are the values
	}
	if err := json.Compact(&compact, filled.Bytes()); err != nil {
		panic(err)
	}
	return compact.Bytes()
}

// resource is the body of the resource that a webhook is of.
func (a *account) resource(kind string, view view) []byte {
	if strings.HasPrefix(kind, "KycIdentification.") {
		return a.body("kyc", view)
	}
	return a.body("idv", view)
}

// plan writes every webhook that v's script holds. No two of them are of one instant, because
// receivers order them by it.
func (a *account) plan(v *verification) (waits []time.Duration) {
	for _, b := range v.script {
		for _, kind := range b.Callbacks {
			v.messages = append(v.messages, &message{
				ID: a.newID(), Application: application, Type: kind,
				Created: a.clocked(v, b.At).Add(time.Duration(len(v.messages)) * step),
				Payload: a.resource(kind, a.view(v, b.At)),
			})
			waits = append(waits, b.At)
		}
	}
	return waits
}

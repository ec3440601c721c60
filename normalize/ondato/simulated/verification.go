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

// timeText is Ondato's layout of an instant: with 7 fractional digits of the second.
const timeText = "2006-01-02T15:04:05.0000000Z"

// step is the smallest difference between two instants that this layout can express.
const step = 100 * time.Nanosecond

// parseTemplates returns the templates of the API's bodies. text encodes a string as JSON; raw inserts JSON
// unchanged.
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
	Registration              []byte // as received; nil if it was missing
	Birthdate                 string
	FirstName, LastName       string // as on the document
	begun                     time.Time
	script                    simulate.Script
	told                      bool // a final state that will not change was returned
	messages                  []*message
}

// message is one webhook. Delivered is zero until the receiver has accepted it; the server's lock guards it.
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

// clocked converts the time of a beat to real time: simulated time may run faster, and a receiver does not
// accept messages from the future.
func (a *account) clocked(v *verification, at time.Duration) time.Time {
	return v.begun.Add(a.s.Clock(at))
}

// view returns a verification as it is at this age, in simulated time.
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

// age returns the age of a verification in simulated time.
func (a *account) age(v *verification) time.Duration {
	return time.Duration(float64(time.Since(v.begun)) * a.s.Speed)
}

// settled reports whether the verdict in st is the last one of the script.
func (a *account) settled(v *verification, st state) bool {
	last := a.states[v.script[len(v.script)-1].State]
	return st.final() && st.KYC == last.KYC && st.Reason == last.Reason
}

// body executes a template and compacts the JSON.
func (a *account) body(name string, values any) []byte {
	var filled, compact bytes.Buffer
	if err := a.templates.ExecuteTemplate(&filled, name+".json.tmpl", values); err != nil {
		panic(err) // the templates and the values are part of this package
	}
	if err := json.Compact(&compact, filled.Bytes()); err != nil {
		panic(err)
	}
	return compact.Bytes()
}

// resource returns the body of the resource that a webhook is about.
func (a *account) resource(kind string, view view) []byte {
	if strings.HasPrefix(kind, "KycIdentification.") {
		return a.body("kyc", view)
	}
	return a.body("idv", view)
}

// plan creates every webhook of v's script and returns when each is due. No two of them have the same time,
// because receivers order them by it.
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

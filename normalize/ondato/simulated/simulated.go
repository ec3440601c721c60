// Package simulated is a simulated Ondato: its documented API, and the simulated applicants.
// Everything in it is synthetic.
package simulated

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/template"
	"time"

	"kycbridge/internal/simulate"
)

// The credentials that a simulated Ondato accepts and presents if Options.Credentials are empty.
const (
	clientID     = "ondato-client"
	clientSecret = "ondato-secret-0001"
	user         = "ondato"
	password     = "ondato-callback-0001"
)

// Ids of the simulated account.
const (
	application     = "a0000000-0000-4000-8000-000000000001"
	setupID         = "5e000000-0000-4000-8000-000000000001"
	setupVersion    = "5e000000-0000-4000-8000-0000000000a1"
	kycSetup        = "5e000000-0000-4000-8000-000000000002"
	kycSetupVersion = "5e000000-0000-4000-8000-0000000000a2"
)

// New simulates Ondato: the token endpoint, the IDV and the KYC API on one host, and webhooks with
// Basic or, if Credentials.HMAC or Credentials.OAuth2 is set, the Ondato-Signature or an access token.
// By default the client is "ondato-client" with "ondato-secret-0001", and webhooks present "ondato" with
// "ondato-callback-0001".
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
func New() simulate.Provider {
	return simulate.Provider{
		Name: "ondato", OAuth2: true,
		API: apiOf, Auth: authOf,
		Routes: routes,
		Fault500: func(string) simulate.Canned {
			return refused(http.StatusInternalServerError, "InternalError", "An unexpected error occurred.")
		},
		Fault429: func(string) simulate.Canned {
			return refused(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
		},
		Begin: func(s *simulate.Server, externalReference, person string) string {
			a := s.State.(*account)
			return a.begin(create{ExternalReferenceID: externalReference}, person).ID
		},
		Retries: []time.Duration{
			10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		},
		Delivered: func(status int) bool { return status >= http.StatusOK && status <= http.StatusNoContent },
	}
}

// account is the simulated account. The server's lock guards its mutable members.
type account struct {
	s             *simulate.Server
	templates     *template.Template
	states        map[string]state
	tokens        map[string]issued
	verifications []*verification
	byID          map[string]*verification // by the ids of both resources
}

// create is the body of the request that creates an identity verification.
type create struct {
	SetupID             string          `json:"setupId"`
	ExternalReferenceID string          `json:"externalReferenceId"`
	Registration        json.RawMessage `json:"registration"`
}

// begin creates a verification and schedules its webhooks. If person is empty, the reference determines it.
func (a *account) begin(r create, person string) *verification {
	if person == "" {
		person = simulate.PersonOf(r.ExternalReferenceID, a.s.Person)
	}
	v := &verification{
		Reference: r.ExternalReferenceID, Setup: cmp.Or(strings.ToLower(r.SetupID), setupID), Registration: r.Registration,
		Birthdate: "1990-02-01", FirstName: "TESTA", LastName: "SAMPLE",
		begun: time.Now(), script: scriptOf(person),
	}
	v.register(r.Registration)
	a.s.Lock()
	v.ID, v.KYC, v.Enrollment, v.Front, v.Back = a.newID(), a.newID(), a.newID(), a.newID(), a.newID()
	waits := a.plan(v)
	a.verifications = append(a.verifications, v)
	a.byID[v.ID], a.byID[v.KYC] = v, v
	a.s.Unlock()
	for i, m := range v.messages {
		a.s.Send(a.message(m), waits[i])
	}
	return v
}

// register sets the name and the birth date on the document to those in the registration.
func (v *verification) register(registration []byte) {
	var person struct{ FirstName, LastName, DateOfBirth string }
	if json.Unmarshal(registration, &person) != nil {
		return
	}
	v.FirstName = cmp.Or(strings.ToUpper(person.FirstName), v.FirstName)
	v.LastName = cmp.Or(strings.ToUpper(person.LastName), v.LastName)
	v.Birthdate = cmp.Or(person.DateOfBirth, v.Birthdate)
}

// newID returns a UUID from the seeded source of ids. The caller holds the lock.
func (a *account) newID() string {
	high, low := a.s.IDs.Uint64(), a.s.IDs.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(high>>32), uint16(high>>16), high&0xfff, low>>48&0xfff,
		low&0xffffffffffff)
}

// message returns a webhook as it is sent: every delivery has the same id and body.
func (a *account) message(m *message) simulate.Message {
	out := simulate.Message{
		URL:    a.s.CallbackURL,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:   a.body("webhook", m),
		Taken: func(at time.Time) {
			a.s.Lock()
			defer a.s.Unlock()
			if m.Delivered.IsZero() {
				m.Delivered = at
			}
		},
	}
	if secret := a.s.Credentials.HMAC; secret != "" {
		out.Sign = func(h http.Header, body []byte, at time.Time) {
			h.Set("Ondato-Signature", signatureOver(secret, body, at))
		}
		return out
	}
	if a.s.Credentials.OAuth2.ClientID != "" {
		out.Sign = func(h http.Header, _ []byte, _ time.Time) { a.s.SetToken(h) }
		return out
	}
	basic := http.Request{Header: out.Header}
	basic.SetBasicAuth(user, cmp.Or(a.s.Credentials.Callback, password))
	return out
}

// signatureOver returns the signature over the time and the body, as they are sent.
func signatureOver(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(append([]byte(t+"."), body...))
	return "t=" + t + ", s=" + hex.EncodeToString(mac.Sum(nil))
}

// refused returns the error body of both APIs.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990318/Errors
func refused(status int, reason, message string) simulate.Canned {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"reason": %q, "message": %q}`, reason, message)
	return simulate.Canned{Status: status, ContentType: "application/json", Body: body.Bytes()}
}

func apiOf(s *simulate.Server) map[string]string {
	return map[string]string{
		"token_url": s.URL() + "/connect/token", "idv_url": s.URL(), "kyc_url": s.URL(), "page_url": s.URL() + "/?id={id}",
		"setup_id":  "5e000000-0000-4000-8000-000000000001",
		"client_id": cmp.Or(s.Credentials.User, clientID), "client_secret": cmp.Or(s.Credentials.Password, clientSecret),
	}
}

func authOf(c simulate.Credentials) string {
	if c.HMAC != "" {
		return `{hmac: {secrets: ["` + c.HMAC + `"]}}`
	}
	if c.OAuth2.ClientID != "" {
		return `{oauth2: {clients: [{id: "` + c.OAuth2.ClientID + `", secret: "` + c.Callback + `"}]}}`
	}
	return `{basic: [{username: ` + user + `, password: "` + cmp.Or(c.Callback, password) + `"}]}`
}

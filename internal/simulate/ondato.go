package simulate

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
)

// What a simulated Ondato accepts and presents where Options.Credentials say nothing.
const (
	ondatoClientID     = "ondato-client"
	ondatoClientSecret = "ondato-secret-0001"
	ondatoUser         = "ondato"
	ondatoPassword     = "ondato-callback-0001"
)

// Ids of the simulated account.
const (
	ondatoApplication     = "a0000000-0000-4000-8000-000000000001"
	ondatoSetupID         = "5e000000-0000-4000-8000-000000000001"
	ondatoSetupVersion    = "5e000000-0000-4000-8000-0000000000a1"
	ondatoKYCSetup        = "5e000000-0000-4000-8000-000000000002"
	ondatoKYCSetupVersion = "5e000000-0000-4000-8000-0000000000a2"
)

// Ondato simulates Ondato: the token endpoint, the IDV and the KYC API on one host, and webhooks with
// Basic or, where Credentials.HMAC is set, the Ondato-Signature. By default the client is
// "ondato-client" with "ondato-secret-0001", and webhooks present "ondato" with
// "ondato-callback-0001".
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
func Ondato() Provider {
	return Provider{
		Name: "ondato",
		API:  ondatoAPI, Auth: ondatoAuth,
		Routes: ondatoRoutes,
		Fault500: func(string) Canned {
			return ondatoRefused(http.StatusInternalServerError, "InternalError", "An unexpected error occurred.")
		},
		Fault429: func(string) Canned {
			return ondatoRefused(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
		},
		Begin: func(s *Server, externalReference, person string) string {
			a := s.state.(*ondatoAccount)
			return a.begin(ondatoCreate{ExternalReferenceID: externalReference}, person).ID
		},
		Retries: []time.Duration{
			10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		},
		Delivered: func(status int) bool { return status >= http.StatusOK && status <= http.StatusNoContent },
	}
}

// ondatoAccount is the simulated account. What changes in it is guarded by the server's mu.
type ondatoAccount struct {
	s             *Server
	templates     *template.Template
	states        map[string]ondatoState
	tokens        map[string]ondatoToken
	verifications []*ondatoVerification
	byID          map[string]*ondatoVerification // by the ids of both resources
}

// ondatoCreate is the body that makes an identity verification.
type ondatoCreate struct {
	SetupID             string          `json:"setupId"`
	ExternalReferenceID string          `json:"externalReferenceId"`
	Registration        json.RawMessage `json:"registration"`
}

// begin makes a verification and sets its webhooks on their way. An empty person is the one that the
// reference names.
func (a *ondatoAccount) begin(r ondatoCreate, person string) *ondatoVerification {
	if person == "" {
		person = personOf(r.ExternalReferenceID, a.s.Person)
	}
	v := &ondatoVerification{
		Reference: r.ExternalReferenceID, Setup: cmp.Or(strings.ToLower(r.SetupID), ondatoSetupID), Registration: r.Registration,
		Birthdate: "1990-02-01", FirstName: "TESTA", LastName: "SAMPLE",
		begun: time.Now(), script: ondatoScript(person),
	}
	v.register(r.Registration)
	a.s.mu.Lock()
	v.ID, v.KYC, v.Enrollment, v.Front, v.Back = a.newID(), a.newID(), a.newID(), a.newID(), a.newID()
	waits := a.plan(v)
	a.verifications = append(a.verifications, v)
	a.byID[v.ID], a.byID[v.KYC] = v, v
	a.s.mu.Unlock()
	for i, m := range v.messages {
		a.s.send(a.message(m), waits[i])
	}
	return v
}

// register lets the document name the person that was announced.
func (v *ondatoVerification) register(registration []byte) {
	var person struct{ FirstName, LastName, DateOfBirth string }
	if json.Unmarshal(registration, &person) != nil {
		return
	}
	v.FirstName = cmp.Or(strings.ToUpper(person.FirstName), v.FirstName)
	v.LastName = cmp.Or(strings.ToUpper(person.LastName), v.LastName)
	v.Birthdate = cmp.Or(person.DateOfBirth, v.Birthdate)
}

// newID makes a UUID out of the seed. The caller holds mu.
func (a *ondatoAccount) newID() string {
	high, low := a.s.rand.Uint64(), a.s.rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(high>>32), uint16(high>>16), high&0xfff, low>>48&0xfff, low&0xffffffffffff)
}

// message is a webhook as it is sent: with the same id and body however often.
func (a *ondatoAccount) message(m *ondatoMessage) Message {
	out := Message{
		URL:    a.s.CallbackURL,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:   a.body("webhook", m),
		Taken: func(at time.Time) {
			a.s.mu.Lock()
			defer a.s.mu.Unlock()
			if m.Delivered.IsZero() {
				m.Delivered = at
			}
		},
	}
	if secret := a.s.Credentials.HMAC; secret != "" {
		out.Sign = func(h http.Header, body []byte, at time.Time) {
			h.Set("Ondato-Signature", ondatoSignature(secret, body, at))
		}
		return out
	}
	basic := http.Request{Header: out.Header}
	basic.SetBasicAuth(ondatoUser, cmp.Or(a.s.Credentials.Callback, ondatoPassword))
	return out
}

// ondatoSignature signs the time and the body as they are sent.
func ondatoSignature(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(append([]byte(t+"."), body...))
	return "t=" + t + ", s=" + hex.EncodeToString(mac.Sum(nil))
}

// ondatoRefused is the error body of both APIs.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990318/Errors
func ondatoRefused(status int, reason, message string) Canned {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"reason": %q, "message": %q}`, reason, message)
	return Canned{Status: status, ContentType: "application/json", Body: body.Bytes()}
}

package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Accounts that the configuration has.
const (
	ondatoAccount  = "ondato/acme"
	watchedAccount = "ondato/seen" // has an API, which answers 503
	idwiseAccount  = "idwise/flow"
	signzyAccount  = "signzy/one"
)

type object = map[string]any

// step is a callback of Ondato: its type, the status in it and what that means.
type step struct {
	kind, status, reason string
	fact                 Fact
}

func progress(status string) Fact { return Fact{Weight: Progress, State: State{status, "none"}} }
func decided(outcome string) Fact { return Fact{Weight: Verdict, State: State{"completed", outcome}} }
func byMachine(f Fact) Fact       { f.Machine = true; return f }
func byPerson(f Fact) Fact        { f.Person = true; return f }

// ondatoStep returns a row of the table of Ondato in docs/consume.md.
func ondatoStep(name string) step {
	switch name {
	case "begun":
		return step{"IdentityVerification.StatusChanged", "InProgress", "", progress("in_progress")}
	case "consent":
		return step{"IdentityVerification.Consented", "InProgress", "", progress("in_progress")}
	case "paused":
		return step{"IdentityVerification.StatusChanged", "Suspended", "", progress("in_progress")}
	case "created":
		return step{"KycIdentification.Created", "Unfinished", "", progress("in_progress")}
	case "processed":
		return step{"KycIdentification.Processed", "Awaiting", "", progress("processing")}
	case "finished":
		return step{"IdentityVerification.StatusChanged", "Completed", "", progress("processing")}
	case "expired":
		return step{"IdentityVerification.StatusChanged", "Expired", "", Fact{Weight: Ended, State: State{"expired", "none"}}}
	case "aborted":
		return step{"IdentityVerification.StatusChanged", "Aborted", "",
			Fact{Weight: Ended, State: State{"abandoned", "none"}}}
	case "approved":
		return step{"KycIdentification.Approved", "Approved", "AutomaticallyIdentified", byMachine(decided("approved"))}
	case "approved by a person":
		return step{"KycIdentification.Approved", "Approved", "ManuallyIdentified", byPerson(decided("approved"))}
	case "rejected":
		return step{"KycIdentification.Rejected", "Rejected", "PoorPhotoQuality", decided("rejected")}
	}
	return step{"Form.Created", "Unfinished", "", Fact{}}
}

// attempt is one KYC identification of an Ondato session.
type attempt struct {
	number  int
	id      string
	created time.Time
	person  string
}

// ondato writes a callback about v.
func ondato(r *rand.Rand, v *Verification, a attempt, name string, at time.Time) *Delivery {
	s := ondatoStep(name)
	id, application := uuid(r), "a0000000-0000-4000-8000-000000000001"
	payload := object{"id": v.Reference, "applicationId": application, "status": s.status,
		"createdUtc": stamp(r, a.created.Add(-time.Minute))}
	if !strings.HasPrefix(s.kind, "IdentityVerification") {
		payload["id"], payload["identityVerificationId"], payload["createdUtc"] = a.id, v.Reference, stamp(r, a.created)
		if s.fact.Attempt = a.number; s.reason != "" {
			payload["statusReason"] = s.reason
			payload["document"] = object{"firstName": "TESTA", "lastName": "SAMPLÉ", "documentNumber": a.person,
				"type": "Passport"}
		}
	}
	if r.IntN(4) == 0 {
		payload["note"] = strings.Repeat("x", r.IntN(3000))
	}
	d := deliver(v, s.kind, written(r,
		object{"id": id, "applicationId": application, "createdUtc": stamp(r, at), "type": s.kind, "payload": payload}))
	d.EventID, d.Fact = id, s.fact
	d.Fact.At = at
	return d
}

// idwise writes a callback about v; members are added to its body.
func idwise(r *rand.Rand, v *Verification, event string, members object, f Fact) *Delivery {
	id := uuid(r)
	body := object{"eventId": id, "journeyId": v.Reference, "referenceNo": "ref-1"}
	for name, value := range members {
		body[name] = value
	}
	d := deliver(v, event, written(r, object{"event": event, "body": body}))
	d.EventID, d.Fact = id, f
	return d
}

// signzy writes a callback about v.
func signzy(r *rand.Rand, v *Verification, current, step string, f Fact) *Delivery {
	d := deliver(v, current, written(r, object{
		"journeyId": v.Reference, "currentStatus": current, "step": step, "message": step, "userId": "user-1",
		"flow":         object{"flowId": "f1000000-0000-4000-8000-000000000001", "version": 1},
		"userInfo":     object{"externalReferenceId": "ref-1", "name": object{"firstName": "Jane", "lastName": "Sample"}},
		"capturedData": object{"consent": true, "country": "IN", "idType": "Driving License"},
		"createdAt":    1772442182000, "startedAt": 1772442200000, "completedAt": 1772442319271,
		"selfieAnalysis": object{"faceMatch": object{"status": "200", "verified": true, "matchPercentage": "97.50%"}},
	}))
	d.Fact = f
	return d
}

func deliver(v *Verification, name string, body []byte) *Delivery {
	return &Delivery{Of: v, Account: v.Account, Name: name, Body: body, Digest: digest(body), Want: "accepted"}
}

// written is JSON in one of the formats that senders use.
func written(r *rand.Rand, o object) []byte {
	indent := []string{"", "", " ", "\t"}[r.IntN(4)]
	raw, err := json.MarshalIndent(o, "", indent)
	if err != nil {
		panic(err) // values of these types always encode
	}
	return append(raw, []string{"", "\n", " \r\n"}[r.IntN(3)]...)
}

// stamp writes an instant with as many digits as senders use; instants are whole milliseconds here.
func stamp(r *rand.Rand, t time.Time) string {
	return t.UTC().Format([]string{"2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05.0000000Z",
		"2006-01-02T15:04:05.999Z"}[r.IntN(3)])
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&(1<<48-1))
}

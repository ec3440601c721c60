package test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"kycbridge/event"
	"kycbridge/normalize"
	"kycbridge/test/fixture"
	"kycbridge/test/model"
)

// signzyWords are the messages of Signzy: currentStatus, step, and the fault in the evidence.
var signzyWords = map[string][3]string{
	"completed":      {"COMPLETED", "COMPLETE"},
	"other_face":     {"COMPLETED", "COMPLETE", "refuted"},
	"covered_face":   {"COMPLETED", "COMPLETE", "doubtful"},
	"no_step":        {"COMPLETED", ""},
	"completed_but":  {"COMPLETED", "RETRIES_EXCEEDED"},
	"completed_odd":  {"COMPLETED", "SELFIE_AGAIN"},
	"terminated":     {"TERMINATED", "RETRIES_EXCEEDED"},
	"terminated_but": {"TERMINATED", "COMPLETE"},
	"unseen":         {"PAUSED", ""},
}

const signzyJourney = "DEVMODEL01"

// object is the object at a path of names in a decoded body.
func object(t map[string]any, names ...string) map[string]any {
	for _, name := range names {
		t = t[name].(map[string]any)
	}
	return t
}

// signzy writes an act as a journey of Signzy: a callback, or for the third attempt an answer of the API, because
// Signzy does not number attempts. Two members contain the time.
func signzy(t *testing.T, policy bool) func(n int, a act) message {
	clean, err := fixture.OutsideBody("signzy", "policy-clean")
	if err != nil {
		t.Fatal(err)
	}
	return func(n int, a act) message {
		m := message{at: minute(10 * (n + 10)), via: event.ViaCallback, ref: signzyJourney}
		if noticed(&m, a, n) {
			return m
		}
		w := signzyWords[a.Do]
		isOpen := w[0] == "PAUSED" && a.Which > 4 // a journey that goes on has no completedAt
		m.fact = model.Signzy(model.SignzyBody{
			Status: w[0], Step: w[1], Ended: !isOpen && slices.Contains([]int{0, 1, 3, 6}, a.Untimed), Policy: policy,
			Refuted: w[2] == "refuted", Doubtful: w[2] == "doubtful",
		})
		m.fact.At = 10*(n+10) - 10*a.At + 3
		var body map[string]any
		if err := json.Unmarshal(clean, &body); err != nil {
			t.Fatal(err)
		}
		body["journeyId"], body["currentStatus"], body["look"] = signzyJourney, w[0], n
		if body["step"] = w[1]; w[1] == "" {
			delete(body, "step")
		}
		object(body, "selfieAnalysis", "faceMatch")["verified"] = w[2] != "refuted"
		object(body, "selfieAnalysis", "additionalFaceChecks", "faceCoverDetection",
			"result")["isFaceCovered"] = w[2] == "doubtful"
		number := fmt.Sprintf("X%07d", n)
		if a.Person {
			m.fact.Person = number + " and " // Signzy sends no family name
			object(body, "documentIntelligence", "extractedFields")["Document Number"] = number
		} else {
			delete(body, "documentIntelligence")
			delete(body, "capturedData")
			if policy && m.fact.Outcome == "approved" {
				m.fact.Status, m.fact.Outcome, m.fact.Final = "in_review", "review", false // no document identifies the person
			}
		}
		at := minute(m.fact.At)
		body["completedAt"], body["updatedAt"] = at.UnixMilli(), at.Format(time.RFC3339)
		if a.Untimed > 0 {
			m.fact.Untimed = true
			for _, member := range []string{"completedAt", "updatedAt"} {
				delete(body, member)
				// In 2199 the document has expired, to which a policy objects.
				if form := untimedForms[a.Untimed]; form != "" && a.Untimed != 2 {
					body[member] = json.RawMessage(form)
				}
			}
		}
		if isOpen {
			delete(body, "completedAt")
		}
		if a.Attempt == 3 {
			m.via = event.ViaFetch
			m.fact.At = asked(m.fact, 10*(n+10))
		}
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		m.body = string(raw)
		return m
	}
}

// signzyPolicy approves a journey without an objection.
var signzyPolicy = normalize.Table{"min_face_match": 0.8, "min_liveness": 0.5}

// asked is the time of an answer of the API: if it does not approve, it states what held when it was requested. That of
// an open or a failed journey counts five minutes less, because the clocks may differ.
func asked(f model.Fact, at int) int {
	switch {
	case f.Word == model.Verdict && (f.Outcome == "rejected" || f.Outcome == "review"), f.Word == model.Doubt:
		return at
	case (f.Word == model.Progress || f.Word == model.End) && f.Mentions != "":
		return at - 5
	}
	return f.At
}

// TestModelSignzy: the product and the model agree after every step of random histories, with and without a policy of
// the account.
func TestModelSignzy(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "deadline", "again", "drop"}
	for word := range signzyWords {
		does = append(does, word)
	}
	slices.Sort(does)
	for name, settings := range map[string]map[string]any{
		"without a policy": nil,
		"with a policy":    {"policy": signzyPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			histories(t, "signzy", settings, acts(does), signzy(t, settings != nil))
		})
	}
}

package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"maps"
	"net/http"
	"strings"
	"time"
)

// signzyJourney is one journey. All but told is fixed when it is made.
type signzyJourney struct {
	signzyScript
	id     string
	number int
	begun  time.Time // in life time, in whole milliseconds
	create signzyCreate
	images map[string]string // addresses, by placeholder of the evidence
	clock  func(time.Time) time.Time
	told   bool // get-journey has answered with the end; guarded by Server.mu
}

// newSignzyJourney makes a journey. The caller holds mu.
func newSignzyJourney(s *Server, c signzyCreate, person string) *signzyJourney {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	id := make([]byte, 10)
	for i := range id {
		id[i] = letters[s.rand.IntN(len(letters))]
	}
	j := &signzyJourney{
		signzyScript: signzyPerson(person), id: string(id), number: s.next(),
		begun: s.Now().Truncate(time.Millisecond), create: c, images: map[string]string{}, clock: s.onClock,
	}
	for i, placeholder := range []string{"%front%", "%selfie%"} {
		secret := sha256.Sum256([]byte(j.id + placeholder))
		j.images[placeholder] = fmt.Sprintf("%s/api/files/%d/download/%s.jpeg", s.URL(), 1000000+10*j.number+i, hex.EncodeToString(secret[:]))
	}
	return j
}

// at is a moment of the journey, by the clock.
func (j *signzyJourney) at(after time.Duration) time.Time { return j.clock(j.begun.Add(after)) }

// callback is the journey as it stands in a callback: a snapshot of just before the last save, so it
// was updated about two seconds before it was completed (observed).
func (j *signzyJourney) callback(b beat) []byte {
	return j.body(b, j.at(b.at).Add(-signzySaving), nil)
}

// answer is the journey as get-journey shows it.
func (j *signzyJourney) answer(b beat) []byte {
	updated := j.at(b.at)
	if j.ended(b) {
		updated = updated.Add(7 * time.Millisecond)
	}
	return j.body(b, updated, map[string]any{"callbackSent": len(b.callbacks) > 0})
}

// signzySaving is how long the last save takes: the snapshot in a callback is that much older.
const signzySaving = 2114 * time.Millisecond

func (j *signzyJourney) ended(b beat) bool { return b.state == signzyDone || b.state == signzyUnknown }

// body is a journey at a beat, with further members.
func (j *signzyJourney) body(b beat, updated time.Time, more map[string]any) []byte {
	status, step, message := signzyWords(b.state)
	members := map[string]any{
		"flow":      map[string]any{"flowId": j.create.FlowID, "version": signzyFlowVersion},
		"_id":       fmt.Sprintf("%024x", j.number),
		"clientId":  "c1000000-0000-4000-8000-000000000001",
		"journeyId": j.id, "currentStatus": status, "step": step, "message": message,
		"isFrontendJourneyRequired": true, "inQueue": false, "mobileStatus": false,
		"processingConfig": j.processing(), "externalApiResponses": []any{},
		"createdAt": j.at(0).UnixMilli(), "startedAt": nil, "completedAt": nil,
		"updatedAt": signzyISO(updated), "_deleted": false, "deletionTimeLimit": nil, "__v": 0,
	}
	if b.state != signzyWaiting {
		members["startedAt"] = j.at(signzyOpens).UnixMilli()
	}
	if j.ended(b) {
		members["completedAt"] = j.firstEnd().UnixMilli()
	}
	if j.create.UserID != "" {
		members["userId"] = j.create.UserID
	}
	if j.create.UserInfo != nil {
		members["userInfo"] = j.create.UserInfo
	}
	for name, part := range j.evidenceAt(b) {
		members[name] = part
	}
	maps.Copy(members, more)
	body, _ := json.Marshal(members)
	return body
}

// firstEnd is when the applicant was done; evidence that changes later does not move it.
func (j *signzyJourney) firstEnd() time.Time {
	for _, b := range j.script {
		if j.ended(b) {
			return j.at(b.at)
		}
	}
	return time.Time{}
}

// processing repeats what came with the create call, in clear, above Signzy's defaults.
func (j *signzyJourney) processing() map[string]any {
	config := map[string]any{
		"language": "en", "redirectTime": 0, "successRedirectUrl": "", "failureRedirectUrl": "",
		"journeyLinkValidity": 3600, "journeySessionExpiry": 600,
	}
	for name, value := range j.create.ProcessingConfig {
		config[name] = value
	}
	return config
}

// evidenceAt reads the file of what a journey shows at a beat.
func (j *signzyJourney) evidenceAt(b beat) map[string]json.RawMessage {
	name := j.evidence[b.at]
	switch b.state {
	case signzyCapturing:
		name = "progress"
	case signzyWaiting, signzySent:
		name = "unopened"
	}
	raw, _ := signzyFiles.ReadFile("signzy/" + name + ".json")
	at := j.at(b.at)
	text := strings.NewReplacer(
		"%front%", j.images["%front%"], "%selfie%", j.images["%selfie%"],
		"%document_at%", signzyISO(at.Add(-75*time.Second)), "%selfie_at%", signzyISO(at.Add(-signzySaving-2*time.Millisecond)),
	).Replace(string(raw))
	var parts map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &parts)
	return parts
}

func signzyISO(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// signzyImage answers as the file service: whoever has the address gets the image. A token is none
// of its business, so one that comes along is told.
// Source: https://docs.signzy.com/contract360/persist-file-system
func (s *Server) signzyImage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	_, known := s.state.(*signzyState).images[r.URL.Path]
	s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		answer(w, http.StatusBadRequest, []byte(`{"message": "Authorization is not expected here"}`))
	case !known:
		answer(w, http.StatusNotFound, []byte(`{"message": "File not found"}`))
	default:
		(&Canned{Status: http.StatusOK, ContentType: "image/jpeg", Body: signzyPicture(r.URL.Path)}).write(w)
	}
}

// signzyPicture is a small grey square, of another grey for every path.
func signzyPicture(path string) []byte {
	picture := image.NewGray(image.Rect(0, 0, 16, 16))
	shade := sha256.Sum256([]byte(path))
	for i := range picture.Pix {
		picture.Pix[i] = shade[0]
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, picture, nil)
	return out.Bytes()
}

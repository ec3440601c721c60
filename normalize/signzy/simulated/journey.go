package simulated

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

	"kycbridge/internal/simulate"
)

// journey is one journey. Only told changes after its creation.
type journey struct {
	evidenced
	id     string
	number int
	begun  time.Time // in simulated time, in whole milliseconds
	create creation
	images map[string]string // URLs, by placeholder of the evidence
	clock  func(time.Time) time.Time
	told   bool // get-journey has already returned the end; guarded by the server's lock
}

// newJourney makes a journey. The caller holds the lock.
func newJourney(s *simulate.Server, c creation, person string) *journey {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	id := make([]byte, 10)
	for i := range id {
		id[i] = letters[s.IDs.IntN(len(letters))]
	}
	j := &journey{
		evidenced: scriptOf(person), id: string(id), number: s.Next(),
		begun: s.Now().Truncate(time.Millisecond), create: c, images: map[string]string{}, clock: s.OnClock,
	}
	for i, placeholder := range []string{"%front%", "%selfie%"} {
		secret := sha256.Sum256([]byte(j.id + placeholder))
		j.images[placeholder] = fmt.Sprintf("%s/api/files/%d/download/%s.jpeg", s.URL(), 1000000+10*j.number+i,
			hex.EncodeToString(secret[:]))
	}
	return j
}

// at converts a moment of the journey to real time.
func (j *journey) at(after time.Duration) time.Time { return j.clock(j.begun.Add(after)) }

// callback returns the journey as a callback contains it: a snapshot from just before the last save, so
// updatedAt is about two seconds before completedAt (observed).
func (j *journey) callback(b simulate.Beat) []byte {
	return j.body(b, j.at(b.At).Add(-saving), nil)
}

// answer returns the journey as get-journey returns it.
func (j *journey) answer(b simulate.Beat) []byte {
	updated := j.at(b.At)
	if j.ended(b) {
		updated = updated.Add(7 * time.Millisecond)
	}
	return j.body(b, updated, map[string]any{"callbackSent": len(b.Callbacks) > 0})
}

// saving is the duration of the last save: the snapshot in a callback is that much older.
const saving = 2114 * time.Millisecond

func (j *journey) ended(b simulate.Beat) bool {
	return b.State == done || b.State == unknown
}

// body returns a journey at a beat, with further members.
func (j *journey) body(b simulate.Beat, updated time.Time, more map[string]any) []byte {
	status, step, message := wordsOf(b.State)
	members := map[string]any{
		"flow":      map[string]any{"flowId": j.create.FlowID, "version": flowVersion},
		"_id":       fmt.Sprintf("%024x", j.number),
		"clientId":  "c1000000-0000-4000-8000-000000000001",
		"journeyId": j.id, "currentStatus": status, "step": step, "message": message,
		"isFrontendJourneyRequired": true, "inQueue": false, "mobileStatus": false,
		"processingConfig": j.processing(), "externalApiResponses": []any{},
		"createdAt": j.at(0).UnixMilli(), "startedAt": nil, "completedAt": nil,
		"updatedAt": isoTime(updated), "_deleted": false, "deletionTimeLimit": nil, "__v": 0,
	}
	if b.State != waiting {
		members["startedAt"] = j.at(opens).UnixMilli()
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

// firstEnd returns when the applicant completed the journey; evidence that changes later does not move it.
func (j *journey) firstEnd() time.Time {
	for _, b := range j.Script {
		if j.ended(b) {
			return j.at(b.At)
		}
	}
	return time.Time{}
}

// processing returns Signzy's defaults, overridden by the values of the create call, in clear text.
func (j *journey) processing() map[string]any {
	config := map[string]any{
		"language": "en", "redirectTime": 0, "successRedirectUrl": "", "failureRedirectUrl": "",
		"journeyLinkValidity": 3600, "journeySessionExpiry": 600,
	}
	for name, value := range j.create.ProcessingConfig {
		config[name] = value
	}
	return config
}

// evidenceAt reads the file with the evidence that a journey has at a beat.
func (j *journey) evidenceAt(b simulate.Beat) map[string]json.RawMessage {
	name := j.evidence[b.At]
	switch b.State {
	case capturing:
		name = "progress"
	case waiting, sent:
		name = "unopened"
	}
	raw, _ := bodies.ReadFile("bodies/" + name + ".json")
	at := j.at(b.At)
	text := strings.NewReplacer(
		"%front%", j.images["%front%"], "%selfie%", j.images["%selfie%"],
		"%document_at%", isoTime(at.Add(-75*time.Second)), "%selfie_at%", isoTime(at.Add(-saving-2*time.Millisecond)),
	).Replace(string(raw))
	var parts map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &parts)
	return parts
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// serveImage answers like the file service: any request with the URL gets the image. The file service needs no
// token, so a request with one is refused.
// Source: https://docs.signzy.com/contract360/persist-file-system
func serveImage(s *simulate.Server, w http.ResponseWriter, r *http.Request) {
	s.Lock()
	_, known := s.State.(*account).images[r.URL.Path]
	s.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		simulate.Answer(w, http.StatusBadRequest, []byte(`{"message": "Authorization is not expected here"}`))
	case !known:
		simulate.Answer(w, http.StatusNotFound, []byte(`{"message": "File not found"}`))
	default:
		(&simulate.Canned{Status: http.StatusOK, ContentType: "image/jpeg", Body: picture(r.URL.Path)}).Write(w)
	}
}

// picture returns a small grey square; the shade depends on the path.
func picture(path string) []byte {
	picture := image.NewGray(image.Rect(0, 0, 16, 16))
	shade := sha256.Sum256([]byte(path))
	for i := range picture.Pix {
		picture.Pix[i] = shade[0]
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, picture, nil)
	return out.Bytes()
}

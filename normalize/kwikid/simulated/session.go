package simulated

import (
	"maps"
	"strconv"
	"time"

	"kycbridge/internal/simulate"
)

// Synthetic values of every session.
const (
	phone       = "5550100001"
	validity    = 15 * time.Minute
	panNumber   = "AAAAA0000A"
	homeAddress = "1 Example Street"
	ipAddress   = "203.0.113.7"
	agent       = "agent-01"
	client      = "example-client"
)

// The statuses of a session; invented is not a status of the vendor.
const (
	waiting         = "waiting"
	requested       = "vkyc_requested"
	alloted         = "agent_alloted"
	accepted        = "kyc_request_accepted"
	requestRejected = "kyc_request_rejected"
	approved        = "kyc_result_approved"
	rejected        = "kyc_result_rejected"
	expired         = "session_expired"
	abandoned       = "user_abandoned"
	superseded      = "kyc_rejected"
	invented        = "vkyc_on_hold_review"
)

// ends are the statuses that may be the last of a session.
var ends = map[string]bool{
	approved: true, rejected: true, expired: true, abandoned: true, superseded: true,
}

// opens is when a person opens the link, after the start; a link with a shorter lifetime expires unopened.
const opens = time.Minute

// call is the script of a call until the agent accepts it, at 3 minutes.
var call = simulate.Script{
	simulate.At(0, waiting), simulate.At(opens, requested), simulate.At(2*time.Minute, alloted),
	simulate.At(3*time.Minute, accepted),
}

// scripts are the scripts of the simulated people by name. A person who is not listed behaves as Approve.
var scripts = map[string]simulate.Script{
	simulate.Approve: call.Then(simulate.At(5*time.Minute, approved, makerApproved)),
	simulate.Reject:  call.Then(simulate.At(5*time.Minute, rejected, makerRejected)),
	simulate.Abandon: call.Then(simulate.At(8*time.Minute, abandoned)),
	simulate.Flip: call.Then(
		simulate.At(5*time.Minute, approved, makerApproved), simulate.At(20*time.Minute, rejected, makerRejected)),
	simulate.SecondLook: call.Then(
		simulate.At(5*time.Minute, approved, makerApproved), simulate.At(15*time.Minute, approved, checkerApproved)),
	simulate.Resubmit: call[:3].Then(
		simulate.At(3*time.Minute, requestRejected), simulate.At(8*time.Minute, alloted),
		simulate.At(9*time.Minute, accepted), simulate.At(11*time.Minute, approved, makerApproved)),
	simulate.Supersede: call[:2].Then(simulate.At(10*time.Minute, superseded)),
	simulate.Unknown:   call[:2].Then(simulate.At(3*time.Minute, invented), simulate.At(24*time.Hour, expired)),
}

func scriptOf(person string, validity time.Duration) simulate.Script {
	if person == simulate.Expire || validity <= opens {
		return simulate.Script{simulate.At(0, waiting), simulate.At(validity, expired)}
	}
	if sc, ok := scripts[person]; ok {
		return sc
	}
	return scripts[simulate.Approve]
}

// session is one session. Its state at any time is derived from its script; no goroutine runs for it.
type session struct {
	beginning
	id, link   string
	born       time.Time // in simulated time, like superseded
	script     simulate.Script
	clock      func(time.Time) time.Time
	superseded time.Time     // when a newer link ended it; zero: no newer link
	toldState  time.Duration // the time of the final beat that was last returned to a client
	toldTimes  int           // how often that beat was returned
}

// supersede ends the session if it is open.
func (s *session) supersede(now time.Time) {
	if s.superseded.IsZero() && !ends[s.script.Now(now.Sub(s.born)).State] {
		s.superseded = now
	}
}

// view is a session as the API returns it at one time.
type view struct {
	session   *session // only members that never change are read
	state     string
	moment    time.Duration // of the beat, since the start of the session
	ended     bool
	callbacks int // of the beat
}

// view returns the session at now. The caller holds the lock.
func (s *session) view(now time.Time) view {
	if !s.superseded.IsZero() {
		return view{s, superseded, s.superseded.Sub(s.born), true, 0}
	}
	b := s.script.Now(now.Sub(s.born))
	return view{s, b.State, b.At, ends[b.State], len(b.Callbacks)}
}

// epoch returns a time of the session in the vendor's format: seconds since 1970 as text.
func (v view) epoch(after time.Duration) string {
	return strconv.FormatInt(v.session.clock(v.session.born.Add(after)).Unix(), 10)
}

// body returns the documented session_data. More keys are present as the session progresses.
func (v view) body(files string) map[string]any {
	data := map[string]any{
		"IS_VIDO_UPLOADED": false, "agent_tl": nil, "captured_images": []string{}, "client_name": client,
		"customer_IP": ipAddress, "feedback": "", "link_id": v.session.link, "number_of_videos_uploaded": 0,
		"origin": "KWIKID_ID", "phone_number": v.session.phone, "session_id": v.session.id, "session_status": v.state,
		"start_time": "", "user_id": v.session.user,
		"extras": map[string]any{"session_status": v.state, "session_type": "VKYC", "user_ip": ipAddress},
	}
	if v.moment >= opens && v.state != expired {
		data["start_time"] = v.epoch(opens)
	}
	switch v.state {
	case waiting, invented:
	case requested:
		data["vkyc_start_time"] = v.epoch(3 * time.Minute)
	case approved, rejected:
		v.addAgent(data)
		v.addResult(data, files)
	case expired, superseded:
		data["end_time"] = v.epoch(v.moment)
	default:
		v.addAgent(data)
	}
	switch v.state {
	case requestRejected:
		data["feedback"], data["end_time"] = nil, v.epoch(v.moment)
	case accepted, abandoned:
		v.addCall(data, files)
	}
	if v.state == abandoned {
		data["end_time"] = v.epoch(v.moment)
	}
	return data
}

func (v view) addAgent(data map[string]any) {
	data["agent_id"], data["agent_region"] = agent, "region-01"
	data["agent_assignment_time"] = v.epoch(2*time.Minute) + ".5"
}

func (v view) addCall(data map[string]any, files string) {
	data["vkyc_start_time"], data["selfie_request_time"] = v.epoch(3*time.Minute), v.epoch(3*time.Minute+30*time.Second)
	data["captured_images"], data["selfie_url"], data["user_ack"] = []string{"selfie"}, files+"/files/selfie.jpg", 1
}

// addResult adds all other keys that the vendor documents.
func (v view) addResult(data map[string]any, files string) {
	v.addCall(data, files)
	feedback, good := `{"type":"Approve","comment":"All Successful"}`, true
	if v.state == rejected {
		feedback, good = `{"type":"Reject","comment":"Document unreadable"}`, false
	}
	address := func(name string) string { return files + "/files/" + name }
	maps.Copy(data, map[string]any{
		"IS_VIDO_UPLOADED": true, "number_of_videos_uploaded": 2, "captured_images": []string{"selfie", "pan", "aadhaar"},
		"aadhaar_request_time": v.epoch(4 * time.Minute), "aadhaar_url": address("aadhaar-front.jpg"),
		"aadhaarback_url":  address("aadhaar-back.jpg"),
		"pan_request_time": v.epoch(4*time.Minute - 15*time.Second), "pan_url": address("pan.jpg"),
		"agent_screen_url": address("agent-screen.webm"), "agent_video_url": address("agent.webm"),
		"user_video_url":   address("user.webm"),
		"summary_json_url": address("summary.json"), "zip_url": address("all.zip"),
		"end_time": v.epoch(v.moment) + ".25", "feedback": feedback, "summary_data": v.summary(good, address),
		"extras": map[string]any{
			"applicant_name": "Testa Sample", "current_address": homeAddress, "current_employer_name": "Example Ltd",
			"institute_name": "Example Institute", "loan_amt": "100000", "pan_number": panNumber,
			"session_status": accepted, "session_type": "VKYC", "user_ip": ipAddress,
		},
	})
}

func (v view) summary(good bool, address func(string) string) map[string]any {
	line := func(title string, success bool) map[string]any {
		return map[string]any{"success": success, "title": title}
	}
	return map[string]any{
		"agent_id": agent, "client_name": client,
		"docs": []any{
			map[string]any{"name": "Pan Card", "details": map[string]any{}, "front_url": address("pan.jpg")},
			map[string]any{"name": "Aadhaar Card", "details": map[string]any{}, "facematch_score": map[string]any{},
				"front_url": address("aadhaar-front.jpg")},
			map[string]any{"name": "Signature Match",
				"validator": map[string]any{"success": false, "type": "isSignatureVerify"}},
		},
		"overall_summary": []any{line("Selfie", true), line("Pan Card", good), line("Aadhaar Card", true), nil,
			line("Qna", true)},
		"qna": []any{map[string]any{"q": "Which city do you live in?", "a": "Exampletown"}},
		"user_info": map[string]any{"location": homeAddress, "latitude": 12.5, "longitude": 77.5,
			"user_id": v.session.user},
	}
}

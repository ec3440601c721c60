package simulate

import (
	"maps"
	"strconv"
	"time"
)

// Synthetic values of every session.
const (
	kwikidPhone    = "5550100001"
	kwikidValidity = 15 * time.Minute
	kwikidPAN      = "AAAAA0000A"
	kwikidAddress  = "1 Example Street"
	kwikidIP       = "203.0.113.7"
	kwikidAgent    = "agent-01"
	kwikidClient   = "example-client"
)

// The statuses of a session; kwikidInvented is nobody's.
const (
	kwikidWaiting         = "waiting"
	kwikidRequested       = "vkyc_requested"
	kwikidAlloted         = "agent_alloted"
	kwikidAccepted        = "kyc_request_accepted"
	kwikidRequestRejected = "kyc_request_rejected"
	kwikidApproved        = "kyc_result_approved"
	kwikidRejected        = "kyc_result_rejected"
	kwikidExpired         = "session_expired"
	kwikidAbandoned       = "user_abandoned"
	kwikidSuperseded      = "kyc_rejected"
	kwikidInvented        = "vkyc_on_hold_review"
)

// kwikidEnds are the statuses after which nothing has to follow.
var kwikidEnds = map[string]bool{
	kwikidApproved: true, kwikidRejected: true, kwikidExpired: true, kwikidAbandoned: true, kwikidSuperseded: true,
}

// kwikidOpens is when a person opens the link; a link that ends before expires.
const kwikidOpens = time.Minute

// kwikidCall is how a call goes until the agent has taken it, at 3 minutes.
var kwikidCall = script{
	{0, kwikidWaiting, nil}, {kwikidOpens, kwikidRequested, nil}, {2 * time.Minute, kwikidAlloted, nil}, {3 * time.Minute, kwikidAccepted, nil},
}

// kwikidScripts are the people's, by name. Who is not listed behaves as Approve.
var kwikidScripts = map[string]script{
	Approve: kwikidCall.then(beat{5 * time.Minute, kwikidApproved, []string{makerApproved}}),
	Reject:  kwikidCall.then(beat{5 * time.Minute, kwikidRejected, []string{makerRejected}}),
	Abandon: kwikidCall.then(beat{8 * time.Minute, kwikidAbandoned, nil}),
	Flip: kwikidCall.then(
		beat{5 * time.Minute, kwikidApproved, []string{makerApproved}}, beat{20 * time.Minute, kwikidRejected, []string{makerRejected}}),
	SecondLook: kwikidCall.then(
		beat{5 * time.Minute, kwikidApproved, []string{makerApproved}}, beat{15 * time.Minute, kwikidApproved, []string{checkerApproved}}),
	Resubmit: kwikidCall[:3].then(
		beat{3 * time.Minute, kwikidRequestRejected, nil}, beat{8 * time.Minute, kwikidAlloted, nil},
		beat{9 * time.Minute, kwikidAccepted, nil}, beat{11 * time.Minute, kwikidApproved, []string{makerApproved}}),
	Supersede: kwikidCall[:2].then(beat{10 * time.Minute, kwikidSuperseded, nil}),
	Unknown:   kwikidCall[:2].then(beat{3 * time.Minute, kwikidInvented, nil}, beat{24 * time.Hour, kwikidExpired, nil}),
}

// then is sc and what follows it.
func (sc script) then(more ...beat) script { return append(sc[:len(sc):len(sc)], more...) }

func kwikidScript(person string, validity time.Duration) script {
	if person == Expire || validity <= kwikidOpens {
		return script{{0, kwikidWaiting, nil}, {validity, kwikidExpired, nil}}
	}
	if sc, ok := kwikidScripts[person]; ok {
		return sc
	}
	return kwikidScripts[Approve]
}

// kwikidSession is one session. What it is at a time follows from its script; nothing runs for it.
type kwikidSession struct {
	kwikidStart
	id, link   string
	born       time.Time // in life time, as superseded
	script     script
	clock      func(time.Time) time.Time
	superseded time.Time     // when a newer link ended it; zero: none did
	toldState  time.Duration // the beat whose end was told last
	toldTimes  int
}

// supersede ends the session if it is open.
func (s *kwikidSession) supersede(now time.Time) {
	if s.superseded.IsZero() && !kwikidEnds[s.script.now(now.Sub(s.born)).state] {
		s.superseded = now
	}
}

// kwikidView is a session as it is shown at one time.
type kwikidView struct {
	session   *kwikidSession // only what never changes is read of it
	state     string
	moment    time.Duration // of the beat, from the beginning
	ended     bool
	callbacks int // of the beat
}

// view is the session at now. The caller holds mu.
func (s *kwikidSession) view(now time.Time) kwikidView {
	if !s.superseded.IsZero() {
		return kwikidView{s, kwikidSuperseded, s.superseded.Sub(s.born), true, 0}
	}
	b := s.script.now(now.Sub(s.born))
	return kwikidView{s, b.state, b.at, kwikidEnds[b.state], len(b.callbacks)}
}

// epoch is a time of the session as the vendor writes it: seconds as text.
func (v kwikidView) epoch(after time.Duration) string {
	return strconv.FormatInt(v.session.clock(v.session.born.Add(after)).Unix(), 10)
}

// body is the documented session_data. Keys come as the session goes on.
func (v kwikidView) body(files string) map[string]any {
	data := map[string]any{
		"IS_VIDO_UPLOADED": false, "agent_tl": nil, "captured_images": []string{}, "client_name": kwikidClient,
		"customer_IP": kwikidIP, "feedback": "", "link_id": v.session.link, "number_of_videos_uploaded": 0,
		"origin": "KWIKID_ID", "phone_number": v.session.phone, "session_id": v.session.id, "session_status": v.state,
		"start_time": "", "user_id": v.session.user,
		"extras": map[string]any{"session_status": v.state, "session_type": "VKYC", "user_ip": kwikidIP},
	}
	if v.moment >= kwikidOpens && v.state != kwikidExpired {
		data["start_time"] = v.epoch(kwikidOpens)
	}
	switch v.state {
	case kwikidWaiting, kwikidInvented:
	case kwikidRequested:
		data["vkyc_start_time"] = v.epoch(3 * time.Minute)
	case kwikidApproved, kwikidRejected:
		v.addAgent(data)
		v.addResult(data, files)
	case kwikidExpired, kwikidSuperseded:
		data["end_time"] = v.epoch(v.moment)
	default:
		v.addAgent(data)
	}
	switch v.state {
	case kwikidRequestRejected:
		data["feedback"], data["end_time"] = nil, v.epoch(v.moment)
	case kwikidAccepted, kwikidAbandoned:
		v.addCall(data, files)
	}
	if v.state == kwikidAbandoned {
		data["end_time"] = v.epoch(v.moment)
	}
	return data
}

func (v kwikidView) addAgent(data map[string]any) {
	data["agent_id"], data["agent_region"] = kwikidAgent, "region-01"
	data["agent_assignment_time"] = v.epoch(2*time.Minute) + ".5"
}

func (v kwikidView) addCall(data map[string]any, files string) {
	data["vkyc_start_time"], data["selfie_request_time"] = v.epoch(3*time.Minute), v.epoch(3*time.Minute+30*time.Second)
	data["captured_images"], data["selfie_url"], data["user_ack"] = []string{"selfie"}, files+"/files/selfie.jpg", 1
}

// addResult fills all keys that the vendor documents.
func (v kwikidView) addResult(data map[string]any, files string) {
	v.addCall(data, files)
	feedback, good := `{"type":"Approve","comment":"All Successful"}`, true
	if v.state == kwikidRejected {
		feedback, good = `{"type":"Reject","comment":"Document unreadable"}`, false
	}
	address := func(name string) string { return files + "/files/" + name }
	maps.Copy(data, map[string]any{
		"IS_VIDO_UPLOADED": true, "number_of_videos_uploaded": 2, "captured_images": []string{"selfie", "pan", "aadhaar"},
		"aadhaar_request_time": v.epoch(4 * time.Minute), "aadhaar_url": address("aadhaar-front.jpg"), "aadhaarback_url": address("aadhaar-back.jpg"),
		"pan_request_time": v.epoch(4*time.Minute - 15*time.Second), "pan_url": address("pan.jpg"),
		"agent_screen_url": address("agent-screen.webm"), "agent_video_url": address("agent.webm"), "user_video_url": address("user.webm"),
		"summary_json_url": address("summary.json"), "zip_url": address("all.zip"),
		"end_time": v.epoch(v.moment) + ".25", "feedback": feedback, "summary_data": v.summary(good, address),
		"extras": map[string]any{
			"applicant_name": "Testa Sample", "current_address": kwikidAddress, "current_employer_name": "Example Ltd",
			"institute_name": "Example Institute", "loan_amt": "100000", "pan_number": kwikidPAN,
			"session_status": kwikidAccepted, "session_type": "VKYC", "user_ip": kwikidIP,
		},
	})
}

func (v kwikidView) summary(good bool, address func(string) string) map[string]any {
	line := func(title string, success bool) map[string]any {
		return map[string]any{"success": success, "title": title}
	}
	return map[string]any{
		"agent_id": kwikidAgent, "client_name": kwikidClient,
		"docs": []any{
			map[string]any{"name": "Pan Card", "details": map[string]any{}, "front_url": address("pan.jpg")},
			map[string]any{"name": "Aadhaar Card", "details": map[string]any{}, "facematch_score": map[string]any{}, "front_url": address("aadhaar-front.jpg")},
			map[string]any{"name": "Signature Match", "validator": map[string]any{"success": false, "type": "isSignatureVerify"}},
		},
		"overall_summary": []any{line("Selfie", true), line("Pan Card", good), line("Aadhaar Card", true), nil, line("Qna", true)},
		"qna":             []any{map[string]any{"q": "Which city do you live in?", "a": "Exampletown"}},
		"user_info":       map[string]any{"location": kwikidAddress, "latitude": 12.5, "longitude": 77.5, "user_id": v.session.user},
	}
}

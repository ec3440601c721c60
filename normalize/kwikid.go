package normalize

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge"
)

// The schemas of KwikID bodies, and the names of those that have none of their own.
const (
	kwikidSession = "session"
	kwikidWebhook = "webhook"

	kwikidGetDetails = "get_details"
)

// IdentifyKwikID finds what a KwikID body says about itself. Only the answer of get_details has a
// documented form (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations); its numeric status
// tells it from a webhook that may carry a session too. The form of webhooks is not documented
// (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook), so a session id and a portal label are
// searched for.
func IdentifyKwikID(doc any) kycbridge.Identity {
	root, _ := doc.(map[string]any)
	if session, ok := kwikidDetails(root); ok {
		status, _ := session["session_status"].(string)
		id := kycbridge.Identity{
			Schema: kwikidSession, Document: doc, Event: clip(status, maxName),
			Reference: LowerUUID(scalarText(session["session_id"])),
		}
		if id.Reference == "" {
			id.Missing = "/session_data/session_id"
		}
		return id
	}
	id := kycbridge.Identity{Schema: kwikidWebhook, Document: doc, Reference: kwikidSessionID(doc), Event: kwikidWebhook}
	if id.Reference == "" {
		id.Missing = "/session_id"
	}
	if label, ok := kwikidLabel(doc); ok {
		id.Event = label.name
	}
	return id
}

// kwikidDetails returns the session if root is an answer of get_details.
func kwikidDetails(root map[string]any) (map[string]any, bool) {
	switch root["status"].(type) {
	case json.Number, float64:
	default:
		return nil, false
	}
	session, ok := root["session_data"].(map[string]any)
	if !ok {
		return nil, false
	}
	_, ok = session["session_status"]
	return session, ok
}

// Bounds of the searches in bodies of unknown form, in levels of nesting. Labels are looked for near
// the top only, as a type further down may be that of anything.
const (
	kwikidDepth      = 8
	kwikidLabelDepth = 3
)

// kwikidSessionID is the first UUID under a key that reads session id, whatever its spelling.
func kwikidSessionID(doc any) string {
	found := ""
	search(doc, kwikidDepth, func(key, value string) bool {
		if fold(key) == "sessionid" && isUUID(value) {
			found = strings.ToLower(value)
		}
		return found == ""
	})
	return found
}

// search shows the members of doc that are text to see, depth-first with the keys in order and the
// members of an object before what lies below them, until see returns false.
func search(doc any, depth int, see func(key, value string) bool) bool {
	if depth == 0 {
		return true
	}
	switch doc := doc.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(doc))
		for _, key := range keys {
			if value, ok := doc[key].(string); ok && !see(key, value) {
				return false
			}
		}
		for _, key := range keys {
			if !search(doc[key], depth-1, see) {
				return false
			}
		}
	case []any:
		for _, item := range doc {
			if !search(item, depth-1, see) {
				return false
			}
		}
	}
	return true
}

// isUUID reports whether s has the form of a UUID of any version.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') {
			return false
		}
	}
	return strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

// LowerUUID makes the spellings of a UUID equal and leaves any other id alone.
func LowerUUID(s string) string {
	if isUUID(s) {
		return strings.ToLower(s)
	}
	return s
}

// kwikidVerdict is an event of the portal: who decided what.
type kwikidVerdict struct {
	name    string // the label in the portal
	stage   kycbridge.Stage
	outcome kycbridge.Outcome
	reason  string
}

// kwikidLabels are the four events of the portal by their folded label
// (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook); their form on the wire is not known.
var kwikidLabels = map[string]kwikidVerdict{
	"makerapproved":   {"Maker Approved", kycbridge.StageMaker, kycbridge.OutcomeApproved, ""},
	"makerrejected":   {"Maker Rejected", kycbridge.StageMaker, kycbridge.OutcomeRejected, reasonMakerRejected},
	"checkerapproved": {"Checker Approved", kycbridge.StageChecker, kycbridge.OutcomeApproved, ""},
	"checkerrejected": {"Checker Rejected", kycbridge.StageChecker, kycbridge.OutcomeRejected, "review.checker_rejected"},
}

// kwikidLabelKeys are the keys under which a webhook may name its event, folded.
var kwikidLabelKeys = map[string]bool{"event": true, "eventname": true, "eventtype": true, "type": true}

// kwikidLabel finds the event of a webhook. Two different labels in one body name none.
func kwikidLabel(doc any) (kwikidVerdict, bool) {
	var found kwikidVerdict
	labels := 0
	search(doc, kwikidLabelDepth, func(key, value string) bool {
		label, known := kwikidLabels[fold(value)]
		if known && kwikidLabelKeys[fold(key)] && label.name != found.name {
			found = label
			labels++
		}
		return labels < 2
	})
	return found, labels == 1
}

// KwikID maps answers of get_details and webhooks. Whatever arrives as a callback counts as a webhook,
// even in the form of an answer: only what we fetched ourselves is known to be KwikID's word on the session.
func KwikID(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var root map[string]any
	if err := decode(p.Body, &root); err != nil {
		return kycbridge.Observation{}, err
	}
	if root == nil {
		return kycbridge.Observation{}, errNotObject
	}
	if _, ok := kwikidDetails(root); !ok || p.Via == kycbridge.ViaCallback {
		return kwikidHook(root, s), nil
	}
	var answer struct {
		Session kwikidData `json:"session_data"`
	}
	if err := decode(p.Body, &answer); err != nil {
		return kycbridge.Observation{}, err
	}
	o := answer.Session.observe(s)
	kwikidChecked(&o, kwikidLabels[fold(p.Trigger)], p.TriggeredAt)
	return o, nil
}

// kwikidChecked adds the checker's word, which only a webhook tells, to the session that was fetched
// because of it. It stands where the session holds a maker's verdict; an approval stands only on an
// approval, because a maker's rejection that a checker overrules is nothing the vendor describes.
func kwikidChecked(o *kycbridge.Observation, label kwikidVerdict, at time.Time) {
	if label.stage != kycbridge.StageChecker || len(o.Decisions) != 1 {
		return
	}
	if label.outcome == kycbridge.OutcomeApproved && o.Decisions[0].Outcome != kycbridge.OutcomeApproved {
		return
	}
	step := kycbridge.DecisionStep{Stage: label.stage, Outcome: label.outcome, ActorType: kycbridge.ActorHuman, ProviderValue: label.name}
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, kycbridge.StatusCompleted, kycbridge.DetailUnconfirmed
	o.OccurredAt = at // it is as old as the callback, not as the look that followed it
	o.Decision = kycbridge.Decision{Outcome: label.outcome, Final: true, Stage: label.stage, ActorType: kycbridge.ActorHuman}
	o.Decisions = append(o.Decisions, step)
	if label.reason != "" {
		o.Reasons = []kycbridge.Reason{{Code: label.reason}}
	}
}

// kwikidHook maps a webhook. With s.Confirm it is a trigger; without, its label decides.
func kwikidHook(root map[string]any, s kycbridge.Settings) kycbridge.Observation {
	o := kycbridge.Observation{EventName: kwikidWebhook, References: map[string]string{}, ProviderStatus: map[string]any{}}
	set(o.References, "session_id", kwikidSessionID(root))
	search(root, kwikidLabelDepth, func(key, value string) bool {
		if fold(key) == "userid" {
			o.ExternalReference = externalReference(value)
		}
		return o.ExternalReference == ""
	})
	label, known := kwikidLabel(root)
	if known {
		o.EventName = label.name
		o.ProviderStatus["event"] = label.name
	}
	switch {
	case s.Confirm:
		fetch(&o)
		if label.stage == kycbridge.StageChecker {
			o.Trigger = label.name // no field of a session is known to hold a checker's word
		}
	case !known:
		o.Effect, o.Ignored = kycbridge.EffectNone, "no known event label"
	case len(o.References) == 0:
		o.Effect, o.Ignored = kycbridge.EffectNone, "no session id" // a verdict, but on nobody
	default:
		step := kycbridge.DecisionStep{
			Stage: label.stage, Outcome: label.outcome, ActorType: kycbridge.ActorHuman, ProviderValue: label.name,
		}
		if label.reason != "" {
			o.Reasons = []kycbridge.Reason{{Code: label.reason}}
		}
		kwikidDecide(&o, step, s)
		if o.Effect == kycbridge.EffectVerdict {
			o.StatusDetail = kycbridge.DetailUnconfirmed
		}
	}
	return o
}

// kwikidDecide applies one reviewer's verdict. Where a checker looks at it again (the account says so,
// because the sessions do not), a maker's verdict is a link of the chain and no decision yet.
func kwikidDecide(o *kycbridge.Observation, step kycbridge.DecisionStep, s kycbridge.Settings) {
	o.Decisions = []kycbridge.DecisionStep{step}
	if s.Checker && step.Stage == kycbridge.StageMaker {
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, kycbridge.StatusInReview, kycbridge.DetailAwaitingSecondReview
		return
	}
	o.Effect, o.Status = kycbridge.EffectVerdict, kycbridge.StatusCompleted
	o.Decision = kycbridge.Decision{Outcome: step.Outcome, Final: true, Stage: step.Stage, ActorType: step.ActorType}
}

// kwikidData is session_data. Scalars may be of any JSON type, objects may be null, and keys are
// missing before the session is over. What is not listed here is never read: extras.session_status is
// not the session's status, and addresses of machines, places, employers, loans and answers are nobody's business.
type kwikidData struct {
	SessionID     text     `json:"session_id"`
	SessionStatus text     `json:"session_status"`
	UserID        text     `json:"user_id"`
	LinkID        text     `json:"link_id"`
	AgentID       text     `json:"agent_id"`
	Feedback      feedback `json:"feedback"`
	PhoneNumber   text     `json:"phone_number"`
	StartTime     text     `json:"start_time"`
	CallTime      text     `json:"vkyc_start_time"`
	EndTime       text     `json:"end_time"`
	Extras        struct {
		ApplicantName  text `json:"applicant_name"`
		CurrentAddress text `json:"current_address"`
		PANNumber      text `json:"pan_number"`
	} `json:"extras"`
	Summary struct {
		Docs    []kwikidDoc `json:"docs"`
		Overall []*struct {
			Success text `json:"success"`
			Title   text `json:"title"`
		} `json:"overall_summary"`
	} `json:"summary_data"`

	SelfieURL      text `json:"selfie_url"`
	PANURL         text `json:"pan_url"`
	AadhaarURL     text `json:"aadhaar_url"`
	AadhaarBackURL text `json:"aadhaarback_url"`
	UserVideoURL   text `json:"user_video_url"`
	AgentVideoURL  text `json:"agent_video_url"`
	ScreenURL      text `json:"agent_screen_url"`
	SummaryURL     text `json:"summary_json_url"`
	ZipURL         text `json:"zip_url"`
}

type kwikidDoc struct {
	Name      text            `json:"name"`
	Details   map[string]text `json:"details"`
	FrontURL  text            `json:"front_url"`
	FaceScore map[string]any  `json:"facematch_score"`
	Validator *struct {
		Success text `json:"success"`
		Type    text `json:"type"`
	} `json:"validator"`
}

// feedback is the agent's word: JSON inside a string, an object, other text or nothing. Its comment
// is free text about a person and is not even kept.
type feedback struct {
	given bool   // it says something
	kind  string // its type, folded
}

// UnmarshalJSON never fails on valid JSON.
func (f *feedback) UnmarshalJSON(raw []byte) error {
	*f = feedback{}
	var inner text
	if err := inner.UnmarshalJSON(raw); err != nil {
		return err
	}
	if s := strings.TrimSpace(string(inner)); s != "" {
		raw = []byte(s)
	} else if raw[0] != '{' {
		return nil
	}
	var said map[string]text
	if err := json.Unmarshal(raw, &said); err != nil {
		f.given = true // text that is no JSON
		return nil
	}
	for _, word := range said {
		f.given = f.given || word != ""
	}
	f.kind = fold(string(said["type"]))
	return nil
}

// kwikidRow is what a session_status that is no verdict means.
type kwikidRow struct {
	effect kycbridge.Effect
	status kycbridge.Status
	detail string
	reason string
	action string
}

// Reasons that more than one status leads to.
const (
	reasonMakerRejected  = "review.maker_rejected"
	reasonSessionExpired = "session.expired"
)

// kwikidRows are the statuses with the vendor's remarks
// (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). Three of them end in rejected:
// kyc_request_rejected is a call that an agent did not take, kyc_rejected a link that a newer one
// replaced, and neither says anything about the person.
var kwikidRows = map[string]kwikidRow{
	"waiting":              {kycbridge.EffectProgress, kycbridge.StatusCreated, kycbridge.DetailLinkSent, "", ""},
	"vkyc_requested":       {kycbridge.EffectProgress, kycbridge.StatusInProgress, "call_scheduled", "", ""},
	"agent_alloted":        {kycbridge.EffectProgress, kycbridge.StatusInProgress, "agent_assigned", "", ""},
	"kyc_request_accepted": {kycbridge.EffectProgress, kycbridge.StatusInProgress, "call_in_progress", "", ""},
	"kyc_request_rejected": {kycbridge.EffectProgress, kycbridge.StatusRequiresInput, "", "session.declined_by_agent", "rejoin_call"},
	"kyc_rejected":         {kycbridge.EffectEnd, kycbridge.StatusCanceled, "", "session.superseded", ""},
	"session_expired":      {kycbridge.EffectEnd, kycbridge.StatusExpired, "", reasonSessionExpired, ""},
	"user_abandoned":       {kycbridge.EffectEnd, kycbridge.StatusAbandoned, "", "session.abandoned", ""},
}

// The two statuses that carry a verdict.
const (
	kwikidApproved  = "kyc_result_approved"
	kwikidRejected  = "kyc_result_rejected"
	kwikidScheduled = "vkyc_requested"
)

func (d *kwikidData) observe(s kycbridge.Settings) kycbridge.Observation {
	o := kycbridge.Observation{
		EventName:         kwikidGetDetails,
		ExternalReference: externalReference(string(d.UserID)),
		References:        map[string]string{},
		ProviderStatus:    statusOf(map[string]text{"session_status": d.SessionStatus}),
		ExtractedClaims:   d.claims(),
		Documents:         d.documents(),
		Media:             d.media(),
		Session:           d.session(),
	}
	set(o.References, "session_id", LowerUUID(string(d.SessionID)))
	set(o.References, "link_id", string(d.LinkID))
	row, known := kwikidRows[string(d.SessionStatus)]
	switch {
	case known:
		row.apply(&o)
	case d.SessionStatus == kwikidApproved, d.SessionStatus == kwikidRejected:
		d.verdict(&o, s)
	default:
		unmapped(&o, string(d.SessionStatus))
	}
	o.Checks = append(o.Checks, d.checks(o.Documents)...)
	o.Checks = distinct(o.Checks)
	return o
}

func (row kwikidRow) apply(o *kycbridge.Observation) {
	o.Effect, o.Status, o.StatusDetail = row.effect, row.status, row.detail
	var codes []string
	if row.reason != "" {
		codes = []string{row.reason}
		o.Reasons = []kycbridge.Reason{{Code: row.reason}}
	}
	if row.action != "" {
		o.RequiredActions = []kycbridge.RequiredAction{{Action: row.action, Reasons: codes}}
	}
}

// verdict: an approval is always an agent's, a rejection may be the vendor's own when a result was
// still pending at expiry. A feedback of type Reject tells that an agent rejected, none at all that
// the time did. Any other feedback leaves open who it was, and then nothing is said of expiry, because
// that would invite another attempt.
func (d *kwikidData) verdict(o *kycbridge.Observation, s kycbridge.Settings) {
	step := kycbridge.DecisionStep{
		Stage: kycbridge.StageMaker, Outcome: kycbridge.OutcomeApproved, ActorType: kycbridge.ActorHuman,
		ProviderValue: string(d.SessionStatus),
	}
	if d.SessionStatus == kwikidRejected {
		step.Outcome = kycbridge.OutcomeRejected
		reason := kycbridge.Reason{Code: reasonMakerRejected}
		switch {
		case d.Feedback.kind == "reject", d.Feedback.kind == "rejected":
		case d.Feedback.given:
			step.ActorType = kycbridge.ActorUnspecified
		default:
			step.ActorType = kycbridge.ActorSystem
			reason = kycbridge.Reason{Code: reasonSessionExpired, Retryable: ptr(true)}
		}
		o.Reasons = []kycbridge.Reason{reason}
	}
	if step.ActorType == kycbridge.ActorHuman {
		step.ActorRef = clip(string(d.AgentID), maxCode)
		o.Checks = append(o.Checks, kwikidReview(step.Outcome, step.ProviderValue))
	}
	kwikidDecide(o, step, s)
}

// kwikidReview is the agent's look at the person and the documents.
func kwikidReview(outcome kycbridge.Outcome, raw string) kycbridge.Check {
	c := kycbridge.Check{
		CheckID: kycbridge.CheckAgentReview, Type: kycbridge.CheckAgentReview, Result: kycbridge.ResultPassed, Method: "pvr",
		PerformedBy: "agent", ProviderCheck: "session_status", ProviderResult: raw,
	}
	if outcome != kycbridge.OutcomeApproved {
		c.Result, c.Reasons = kycbridge.ResultFailed, []string{reasonMakerRejected}
	}
	return c
}

// session: a call that is only booked has not started yet, though its time is known.
func (d *kwikidData) session() *kycbridge.Session {
	started := instant(string(d.StartTime))
	if started.IsZero() && d.SessionStatus != kwikidScheduled {
		started = instant(string(d.CallTime))
	}
	return &kycbridge.Session{
		Channel:   "video_call",
		StartedAt: kycbridge.Instant(started),
		EndedAt:   kycbridge.Instant(instant(string(d.EndTime))),
	}
}

// The ids of the two documents of a session, as captured_images calls them, and the vendor's titles.
const (
	kwikidPAN     = "pan"
	kwikidAadhaar = "aadhaar"
	titlePAN      = "Pan Card"
	titleAadhaar  = "Aadhaar Card"
)

// kwikidDocuments leads from a folded title to a document's id; other titles are no documents
// (Signature Match).
var kwikidDocuments = map[string]string{"pancard": kwikidPAN, "aadhaarcard": kwikidAadhaar}

// documents are those that were shown: listed in the summary, or with an image. A number that the
// caller sent along is no document.
func (d *kwikidData) documents() []kycbridge.Document {
	shown := map[string]kwikidDoc{}
	for _, doc := range d.Summary.Docs {
		id := kwikidDocuments[fold(string(doc.Name))]
		if _, ok := shown[id]; !ok && id != "" {
			shown[id] = doc
		}
	}
	var documents []kycbridge.Document
	add := func(id, title, number string, images ...text) {
		if _, ok := shown[id]; !ok && cmp.Or(images...) == "" {
			return
		}
		doc := newDocument(title, "IND", number)
		doc.DocumentID = id
		doc.Issuer = &kycbridge.Issuer{CountryCode: "IND"}
		documents = append(documents, doc)
	}
	add(kwikidPAN, titlePAN, string(d.Extras.PANNumber), d.PANURL)
	add(kwikidAadhaar, titleAadhaar, kwikidLastFour(shown[kwikidAadhaar].Details), d.AadhaarURL, d.AadhaarBackURL)
	return documents
}

// kwikidLastFour finds the last four digits of the number of an Aadhaar card. The members of details
// are not documented; a number that is masked already counts too.
func kwikidLastFour(details map[string]text) string {
	for _, key := range sorted(details) {
		name := fold(key)
		if !strings.Contains(name, "number") && !strings.Contains(name, "aadhaar") && !strings.HasPrefix(name, "uid") {
			continue
		}
		value := strings.Map(func(r rune) rune {
			switch r {
			case ' ', '-', '*', 'x', 'X':
				return -1
			}
			return r
		}, string(details[key]))
		if (len(value) == 4 || len(value) == 12) && strings.Trim(value, "0123456789") == "" {
			return lastFour(value)
		}
	}
	return ""
}

// checks are the summary's: the overall results first, then those of single documents.
func (d *kwikidData) checks(documents []kycbridge.Document) []kycbridge.Check {
	var checks []kycbridge.Check
	add := func(c kycbridge.Check) { checks = append(checks, c) }
	of := func(title text) []string {
		id := kwikidDocuments[fold(string(title))]
		if slices.ContainsFunc(documents, func(doc kycbridge.Document) bool { return doc.DocumentID == id }) {
			return []string{id}
		}
		return nil
	}
	for _, line := range d.Summary.Overall {
		if line != nil && line.Title != "" {
			add(kwikidOverall(line.Title, line.Success, of(line.Title)))
		}
	}
	for _, doc := range d.Summary.Docs {
		name := "docs." + snake(string(doc.Name))
		if v := doc.Validator; v != nil {
			add(kycbridge.Check{
				CheckID: name + ".validator", Type: kycbridge.CheckDataMatch, Result: kwikidSuccess(v.Success),
				DocumentIDs: of(doc.Name), ProviderCheck: clip(string(v.Type), maxCode), ProviderResult: clip(string(v.Success), maxCode),
			})
		}
		if len(doc.FaceScore) > 0 { // neither its members nor their range are documented
			add(kycbridge.Check{
				CheckID: name + ".facematch_score", Type: kycbridge.CheckFaceMatch, Result: kycbridge.ResultUndetermined,
				Method: checkMethod(kycbridge.CheckFaceMatch), DocumentIDs: of(doc.Name), ProviderCheck: "facematch_score",
			})
		}
	}
	return checks
}

// kwikidOverall is one line of overall_summary. What the line on the selfie judges is not documented,
// so it is no face match of ours.
func kwikidOverall(title, success text, documents []string) kycbridge.Check {
	label := snake(string(title))
	c := kycbridge.Check{
		CheckID:        "overall_summary." + label,
		Type:           "x_kwikid_" + cmp.Or(label, "summary"),
		Result:         kwikidSuccess(success),
		DocumentIDs:    documents,
		ProviderCheck:  clip(string(title), maxCode),
		ProviderResult: clip(string(success), maxCode),
	}
	switch folded := fold(string(title)); {
	case folded == "qna":
		c.Type = kycbridge.CheckQuestionnaire
	case kwikidDocuments[folded] != "":
		c.Type = kycbridge.CheckDocumentAuthenticity
	}
	c.Method = checkMethod(c.Type)
	return c
}

// kwikidSuccess reads the success of a line; neither true nor false is undetermined.
func kwikidSuccess(success text) kycbridge.Result {
	switch fold(string(success)) {
	case "true":
		return kycbridge.ResultPassed
	case "false":
		return kycbridge.ResultFailed
	}
	return kycbridge.ResultUndetermined
}

// claims come with the session and were not read from a document. A phone number counts only with its
// country: the vendor documents ten digits.
func (d *kwikidData) claims() kycbridge.Claims {
	claims := kycbridge.Claims{}
	setClaim(claims, "name", string(d.Extras.ApplicantName))
	if phone := strings.TrimSpace(string(d.PhoneNumber)); e164(phone) {
		claims["phone_number"] = phone
	}
	if formatted := clip(strings.TrimSpace(string(d.Extras.CurrentAddress)), maxClaim); formatted != "" {
		setAddress(claims, map[string]string{"formatted": formatted})
	}
	return orNil(claims)
}

// e164 reports whether s is a phone number with its country, as ITU-T E.164 writes it.
func e164(s string) bool {
	return len(s) >= 8 && len(s) <= 16 && s[0] == '+' && s[1] != '0' && strings.Trim(s[1:], "0123456789") == ""
}

// media lists the files of a session. All of them are addresses, so each has its place in the body.
func (d *kwikidData) media() []kycbridge.Media {
	var media []kycbridge.Media
	add := func(kind string, url text, field string) {
		field = "session_data." + field
		ref := mediaRef(string(url), field)
		known := func(m kycbridge.Media) bool { return m.ProviderRef == ref }
		if ref != "" && len(media) < most && !slices.ContainsFunc(media, known) {
			media = append(media, kycbridge.Media{Kind: kind, ProviderRef: ref, Field: field})
		}
	}
	add("selfie", d.SelfieURL, "selfie_url")
	add("document_front", d.PANURL, "pan_url")
	add("document_front", d.AadhaarURL, "aadhaar_url")
	add("document_back", d.AadhaarBackURL, "aadhaarback_url")
	add("user_video", d.UserVideoURL, "user_video_url")
	add("agent_video", d.AgentVideoURL, "agent_video_url")
	add("agent_screen", d.ScreenURL, "agent_screen_url")
	add("summary", d.SummaryURL, "summary_json_url")
	add("archive", d.ZipURL, "zip_url")
	for i, doc := range d.Summary.Docs {
		add("document_front", doc.FrontURL, "summary_data.docs."+strconv.Itoa(i)+".front_url")
	}
	return media
}

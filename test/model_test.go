package test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/test/model"
	"kycbridge/test/wait"
)

var historiesFlag = flag.Int("histories", 2000,
	"how many random histories of each provider are held against the model; a tenth of them under the race detector")

// memoryStore is a small store: it keeps payloads and events, and payloads can be dropped. What it answers without
// reading its events is in turn an assumption, outdated and right.
type memoryStore struct {
	payloads []kycbridge.Payload
	events   []kycbridge.Outgoing
	unread   int // answers without reading
}

func (s *memoryStore) Append(_ context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	for _, kept := range s.payloads {
		if kept.ID == p.ID {
			return kycbridge.Stored{Duplicate: true, Digest: kept.Digest}, nil
		}
	}
	p.Seq = uint64(len(s.payloads) + 1)
	s.payloads = append(s.payloads, p)
	return kycbridge.Stored{Digest: p.Digest}, nil
}

func (s *memoryStore) Quarantine(_ context.Context, _ kycbridge.Payload, why string, f []kycbridge.FieldError) error {
	return fmt.Errorf("quarantined: %s %v", why, f)
}

func (s *memoryStore) Refuse(context.Context, kycbridge.Payload, kycbridge.Request, string) {}

func (s *memoryStore) Last(_ context.Context, _ kycbridge.Key, fresh bool) (kycbridge.State, error) {
	known := len(s.events)
	if !fresh {
		s.unread++
		known = []int{0, max(known-1, 0), known}[s.unread%3]
	}
	if known == 0 {
		return kycbridge.State{Read: fresh}, nil
	}
	e := s.events[known-1]
	return kycbridge.State{Data: &kycbridge.Revision{Data: e.Data, Memory: e.Memory}, Seq: uint64(known), Read: fresh}, nil
}

func (s *memoryStore) Publish(_ context.Context, _ kycbridge.Key, e kycbridge.Outgoing, after uint64) error {
	if after != uint64(len(s.events)) {
		return kycbridge.ErrConflict
	}
	s.events = append(s.events, e)
	return nil
}

func (s *memoryStore) History(_ context.Context, k kycbridge.Key, each func(kycbridge.Payload) error) error {
	for _, p := range s.payloads {
		if p.VerificationID != k.VerificationID || p.Body == nil {
			continue
		}
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

// productPath is the product's path with a memoryStore, and the model that it is compared with.
type productPath struct {
	memoryStore memoryStore
	account     *kycbridge.Account
	intake      kycbridge.Intake
	normalizer  kycbridge.Normalizer
	model       model.Machine
	dropped     bool                // a payload was dropped
	republished bool                // a repeated payload made an event
	filled      bool                // and filled in unknown data
	looked      bool                // a repeated payload showed that an end is not valid
	done        []kycbridge.Payload // by number of the payload
	said        []model.Fact
	published   []bool // whether the payload became an event
}

func newProductPath(provider kycbridge.Provider, settings kycbridge.Settings) *productPath {
	c := &productPath{account: &kycbridge.Account{
		Name: "acme", Provider: provider, Environment: event.EnvironmentTest,
		Profile: event.ProfileFull, Settings: settings,
		API: kycbridge.API{Fetch: func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) { return nil, nil }},
	}}
	c.intake = kycbridge.Intake{Log: &c.memoryStore, Quarantine: &c.memoryStore, Refusals: &c.memoryStore}
	c.normalizer = kycbridge.Normalizer{
		Accounts: kycbridge.Accounts{{Provider: provider.Name, Account: "acme"}: c.account},
		Events:   &c.memoryStore, Log: &c.memoryStore, Quarantine: &c.memoryStore, Mapping: app.Mapping,
		TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 1, Now: func() time.Time { return recorded },
	}
	return c
}

// message is one body with its meaning.
type message struct {
	fact   model.Fact
	body   string
	via    event.Via
	notice kycbridge.NoticeKind
	at     time.Time // of receipt
	ref    string
}

// receive passes m to both and reports whether it was not stored before.
func (c *productPath) receive(m message) (fresh bool, err error) {
	ctx := context.Background()
	before := len(c.memoryStore.payloads)
	if m.notice != "" {
		notice := kycbridge.Notice{Notice: m.notice, Reference: m.ref, At: m.at}
		_, err = c.intake.Record(ctx, c.account, notice, event.ViaStart)
	} else {
		placement := ""
		if m.via == event.ViaCallback {
			placement = "header"
		}
		_, err = c.intake.Ingest(ctx, c.account, kycbridge.Payload{
			Via: m.via, Placement: placement, ReceivedAt: m.at, ContentType: "application/json", Body: []byte(m.body)})
	}
	if err != nil || len(c.memoryStore.payloads) == before {
		return false, err
	}
	p := c.memoryStore.payloads[before]
	m.fact.Seq, m.fact.Received = before, int(m.at.Sub(modelEpoch).Minutes())
	c.done, c.said, c.published = append(c.done, p), append(c.said, m.fact), append(c.published, false)
	return true, c.work(before)
}

// work passes payload i to both, for the first time.
func (c *productPath) work(i int) error {
	c.model.Step(c.said[i])
	done, err := c.normalizer.Process(context.Background(), c.done[i])
	c.model.Done(done.Event != nil)
	c.published[i] = done.Event != nil
	return err
}

// again passes payload i to the product once more, as after the crash of a worker that had not acknowledged it. The
// product may then process the payloads stored after it once more, too.
func (c *productPath) again(i int) error {
	was, before := c.seen(), len(c.memoryStore.events)
	if _, err := c.normalizer.Process(context.Background(), c.done[i]); err != nil {
		return err
	}
	for _, e := range c.memoryStore.events[before:] {
		is := stateOf(&e)
		cause := slices.IndexFunc(c.done, func(p kycbridge.Payload) bool { return p.ID == e.Data.Payload.ID })
		if err := c.repeated(cause, was, is); err != nil {
			return err
		}
		was = is
	}
	return nil
}

// repeated is called when payload i was processed again and made an event: before it the state was was, now it is is.
// Whether the payload made an event the first time or not, the repetition changes nothing that counts. A payload that
// left the session open and contained nothing new is not recorded: its repetition may move an open, undecided session
// back, may revoke an older end that was processed after it, and may answer an older request. A doubt may replace a
// review of a verdict without a time.
func (c *productPath) repeated(i int, was, is model.State) error {
	c.republished = true
	if was.Person == "" && is.Outcome != "approved" && is.Person != "" {
		was.Person, c.filled = is.Person, true // unknown data may be filled in
	}
	w, decides := c.said[i].Word, c.said[i].Outcome != "none"
	isLook := w == model.Reopen || w == model.Resubmit || w == model.Submit && was.Outcome == "resubmit" ||
		w == model.Doubt && was.Untimed
	if c.published[i] || counts(is) != counts(was) && !isLook {
		return fmt.Errorf("payload %d came again and made an event: %+v", i, is)
	}
	c.published[i] = true
	c.looked = c.looked || counts(is) != counts(was)
	if is != was && (w == model.Progress || w == model.Submit || isLook || !decides) {
		c.model.Step(c.said[i])
		c.model.Done(true)
	}
	return nil
}

// counts is s; if the session is open and undecided, without its status, stage and actions.
func counts(s model.State) model.State {
	if slices.Contains([]string{"created", "in_progress", "processing", "requires_input", "in_review"}, s.Status) &&
		s.Outcome == "none" {
		s.Status, s.Stage, s.Actions = "open", "", false
	}
	return s
}

// forget drops a stored payload.
func (c *productPath) forget(i int) {
	c.memoryStore.payloads[i].Body, c.dropped = nil, true
	c.model.Forget(i)
}

// replay recomputes the verification from all its payloads, which must change nothing; if a repeated payload made an
// event, it may only change what does not count.
func (c *productPath) replay() error {
	if c.dropped || c.looked || len(c.done) == 0 {
		return nil
	}
	r := kycbridge.Replayer{
		Normalizer: &c.normalizer,
		Examine:    func(*kycbridge.Account, kycbridge.Payload) (document.Object, string) { return nil, "" },
		Unmapped:   func(string) bool { return false },
		Base: func(context.Context, kycbridge.Key, []kycbridge.Payload) (*kycbridge.Revision, error) {
			return nil, nil
		},
	}
	p := c.done[0]
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	was := c.seen()
	out, e, err := r.Replay(context.Background(), k)
	if err != nil || out.Blocked != "" {
		return fmt.Errorf("replay: %s %w", out.Why, err)
	}
	is := c.seen()
	if c.filled && is.Person == "" {
		is.Person = was.Person
	}
	if e != nil && (!c.republished || counts(is) != counts(was)) {
		return fmt.Errorf("a replay changed\n%+v to\n%+v: %v", was, is, out.Differences())
	}
	return nil
}

// seen is the last event as a state of the model.
func (c *productPath) seen() model.State {
	if len(c.memoryStore.events) == 0 {
		return model.State{}
	}
	return stateOf(&c.memoryStore.events[len(c.memoryStore.events)-1])
}

// stateOf is an event as a state of the model.
func stateOf(e *kycbridge.Outgoing) model.State {
	d := e.Data
	s := model.State{Status: string(d.Status), Outcome: string(d.Decision.Outcome), Final: d.Decision.Final,
		Stage: string(d.Decision.Stage), Actions: len(d.RequiredActions) > 0}
	for _, r := range d.Reasons {
		s.Contradiction = s.Contradiction || r.Code == event.ReasonContradiction
		s.Unmapped = s.Unmapped || r.Code == event.ReasonUnmappedStatus
		s.Untimed = s.Untimed || r.Code == event.ReasonUntimed
	}
	if len(d.Documents) > 0 {
		s.Person = d.Documents[0].DocumentNumber
	}
	if name, _ := d.ExtractedClaims["family_name"].(string); s.Person != name {
		s.Person += " and " + name
	}
	return s
}

// grown checks that revisions increase by one and that no event repeats the previous one.
func (c *productPath) grown(before int) error {
	for i := before; i < len(c.memoryStore.events); i++ {
		d := c.memoryStore.events[i].Data
		if d.Revision != i+1 {
			return fmt.Errorf("event %d has revision %d", i+1, d.Revision)
		}
		if i == 0 {
			continue
		}
		last := c.memoryStore.events[i-1].Data
		if d.Supersedes != c.memoryStore.events[i-1].ID {
			return fmt.Errorf("revision %d supersedes %q", d.Revision, d.Supersedes)
		}
		if len(event.Differences(&last, &d)) == 0 {
			return fmt.Errorf("revision %d says what revision %d said", d.Revision, d.Revision-1)
		}
	}
	return nil
}

// agree compares product and model after a step.
func (c *productPath) agree(before int) error {
	if err := c.grown(before); err != nil {
		return err
	}
	got := c.seen()
	c.model.Fill(got.Person)
	want := c.model.State
	want.InDoubt = false // no member of the event
	if got != want {
		return fmt.Errorf("product %+v\n  model %+v", got, want)
	}
	return nil
}

// act is one step of a history: a message, a payload processed again, or a payload dropped.
type act struct {
	Do      string
	Which   int
	Attempt int
	At      int
	Untimed int
	Person  bool
}

func (a act) String() string {
	return fmt.Sprintf("%s which=%d attempt=%d at=%d untimed=%d person=%v",
		a.Do, a.Which, a.Attempt, a.At, a.Untimed, a.Person)
}

// acts generates the acts of a provider's histories.
func acts(does []string) *rapid.Generator[[]act] {
	one := rapid.Custom(func(t *rapid.T) act {
		return act{
			Do:      rapid.SampledFrom(does).Draw(t, "do"),
			Which:   rapid.IntRange(0, 9).Draw(t, "which"),
			Attempt: rapid.IntRange(1, 3).Draw(t, "attempt"),
			At:      rapid.IntRange(0, 8).Draw(t, "at"),
			Untimed: max(0, rapid.IntRange(0, 15).Draw(t, "untimed")-9),
			Person:  rapid.Bool().Draw(t, "person"),
		}
	})
	return rapid.SliceOfN(one, 1, 9)
}

// run plays a history and returns the first difference between product and model.
func (c *productPath) run(history []act, write func(n int, a act) message) error {
	for n, a := range history {
		before := len(c.memoryStore.events)
		var err error
		switch a.Do {
		case "again", "drop":
			if len(c.done) == 0 {
				continue
			}
			if i := a.Which % len(c.done); a.Do == "drop" {
				c.forget(i)
			} else if c.published[i] || c.memoryStore.payloads[i].Body != nil {
				err = c.again(i)
			}
		default:
			_, err = c.receive(write(n, a))
		}
		if err == nil {
			err = c.agree(before)
		}
		if err != nil {
			return fmt.Errorf("step %d, %v: %w", n, a, err)
		}
	}
	return c.replay()
}

var modelEpoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func minute(m int) time.Time { return modelEpoch.Add(time.Duration(m) * time.Minute) }

const (
	ondatoIDV = "b0000000-0000-4000-8000-000000000001"
	ondatoApp = "a0000000-0000-4000-8000-000000000001"
)

// ondatoWords are the messages of Ondato: event, status, statusReason.
var ondatoWords = map[string][3]string{
	"pending": {"idv", "Pending"}, "in_progress": {"idv", "InProgress"}, "suspended": {"idv", "Suspended"},
	"flow_completed": {"idv", "Completed"}, "aborted": {"idv", "Aborted"}, "expired": {"idv", "Expired"},
	"created":          {"KycIdentification.Created", "Unfinished"},
	"processed":        {"KycIdentification.Processed", "Awaiting"},
	"approved":         {"KycIdentification.Approved", "Approved", "AutomaticallyIdentified"},
	"rejected":         {"KycIdentification.Rejected", "Rejected", "PoorPhotoQuality"},
	"by_a_person":      {"KycIdentification.Approved", "Approved", "ManuallyIdentified"},
	"approved_but":     {"KycIdentification.Approved", "Rejected"},
	"rejected_but":     {"KycIdentification.Rejected", "Approved"},
	"updated_approved": {"KycIdentification.Updated", "Approved"},
	"updated_rejected": {"KycIdentification.Updated", "Rejected"},
	"fetched_approved": {"fetched", "Approved", "AutomaticallyIdentified"},
	"fetched_rejected": {"fetched", "Rejected", "PoorPhotoQuality"},
	"fetched_awaiting": {"fetched", "Awaiting"},
	"unfinished":       {"fetched", "Unfinished"},
	"unknown":          {"fetched", "Escalated"},
	// Statuses that do not belong to the event.
	"idv_rejected":       {"idv", "Rejected"},
	"created_rejected":   {"KycIdentification.Created", "Rejected"},
	"processed_rejected": {"KycIdentification.Processed", "Rejected"},
	"processed_approved": {"KycIdentification.Processed", "Approved"},
	"expired_rejected":   {"KycIdentification.Expired", "Rejected"},
	// Answers with the end of the check.
	"fetched_approved_then": {"fetched", "Approved", "AutomaticallyIdentified"},
	"fetched_rejected_then": {"fetched", "Rejected", "PoorPhotoQuality"},
	"fetched_by_a_person":   {"fetched", "Approved", "ManuallyIdentified"},
}

// when is a time of the provider in one of its known formats.
func when(at time.Time, form int) string {
	switch form % 6 {
	case 1:
		return fmt.Sprintf("%q", at.Format("2006-01-02T15:04:05"))
	case 2:
		return fmt.Sprintf("%q", at.Format("2006-01-02T15:04:05+0000"))
	case 3:
		return fmt.Sprintf("%q", at.Format(time.RFC1123))
	case 4:
		return fmt.Sprintf("%q", fmt.Sprintf("/Date(%d)/", at.UnixMilli()))
	case 5:
		return fmt.Sprintf("%d", at.UnixMilli())
	}
	return fmt.Sprintf("%q", at.Format(time.RFC3339))
}

// untimedForms are times that cannot be trusted.
var untimedForms = []string{"", `"soon"`, `"2199-01-01T00:00:00Z"`, `"1999-12-31T23:59:59Z"`, `null`, `""`, `{}`}

// ondato writes an act as Ondato's message. Receipt n is at minute 10(n+10); a provider's time is up
// to 77 minutes before it or 3 after.
func ondato(n int, a act) message {
	m := message{at: minute(10 * (n + 10)), via: event.ViaCallback, ref: ondatoIDV}
	if noticed(&m, a, n) {
		return m
	}
	word := ondatoWords[a.Do]
	name, status := word[0], word[1]
	at := 10*(n+10) - 10*a.At + 3
	m.fact = model.Ondato(name, status, word[2])
	m.fact.At = at
	created := fmt.Sprintf(`"createdUtc": %s,`, when(minute(at), a.Which))
	if a.Untimed > 0 && name != "fetched" {
		m.fact.Untimed = true
		created = ""
		if form := untimedForms[a.Untimed]; form != "" {
			created = fmt.Sprintf(`"createdUtc": %s,`, form)
		}
	}
	if name == "idv" {
		m.body = fmt.Sprintf(`{"id": "e%07d-0000-4000-8000-000000000001", "applicationId": %q, %s
			"type": "IdentityVerification.StatusChanged",
			"payload": {"id": %q, "applicationId": %q, "createdUtc": "2026-03-02T08:55:00Z", "status": %q, "step": {}}}`,
			n, ondatoApp, created, ondatoIDV, ondatoApp, status)
		return m
	}
	m.fact.Attempt, m.fact.Undated = a.Attempt%10, a.Attempt > 10
	kyc := fmt.Sprintf(`"id": "c%07d-0000-4000-8000-000000000001", "applicationId": %q, "identityVerificationId": %q,
		"status": %q`, m.fact.Attempt, ondatoApp, ondatoIDV, status)
	if !m.fact.Undated {
		kyc += fmt.Sprintf(`, "createdUtc": %q`, minute(-100+a.Attempt).Format(time.RFC3339))
	}
	if a.Person {
		m.fact.Person = fmt.Sprintf("X%07d", m.fact.Attempt)
		kyc += fmt.Sprintf(`, "document": {"firstName": "Testa", "lastName": %q, "documentNumber": %q, "type": "IdCard"}`,
			m.fact.Person, m.fact.Person)
	}
	if word[2] != "" {
		kyc += fmt.Sprintf(`, "statusReason": %q`, word[2])
	}
	if name == "fetched" {
		fetched(&m, a, n, kyc)
		return m
	}
	m.body = fmt.Sprintf(`{"id": "e%07d-0000-4000-8000-000000000001", "applicationId": %q, %s
		"type": %q, "payload": {%s}}`,
		n, ondatoApp, created, name, kyc)
	return m
}

// fetched writes an answer of the API. A rejection counts from the request on, whatever time it contains; an approval
// from its own time, or without one from five minutes before the request, because the clocks may differ.
func fetched(m *message, a act, n int, kyc string) {
	asked := 10 * (n + 10)
	m.via, m.fact.At = event.ViaFetch, asked-5
	if completed := asked - 10*a.At + 3; a.Do == "fetched_by_a_person" || strings.HasSuffix(a.Do, "_then") {
		kyc += fmt.Sprintf(`, "completedUtc": %s`, when(minute(completed), a.Which))
		m.fact.At = completed
	}
	if m.fact.Outcome == "rejected" {
		m.fact.At = asked
	}
	m.body = "{" + kyc + "}"
}

// noticed writes those acts that are notices of kycbridge.
func noticed(m *message, a act, n int) bool {
	switch a.Do {
	case "start":
		m.notice, m.fact = kycbridge.NoticeStarted, model.Fact{Word: model.Note, At: 10 * (n + 10)}
	case "watch":
		m.notice, m.fact = kycbridge.NoticeWatched, model.Fact{Word: model.Note, At: 10 * (n + 10)}
	case "deadline":
		m.notice = kycbridge.NoticeDeadline
		m.fact = model.Fact{Word: model.Deadline, Status: "expired", At: 10 * (n + 10)}
	}
	return m.notice != ""
}

// TestModelOndato: the product and the model agree after every step of random histories.
func TestModelOndato(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "deadline", "again", "again", "drop"}
	for word := range ondatoWords {
		does = append(does, word)
	}
	slices.Sort(does)
	histories(t, "ondato", nil, acts(does), ondato)
}

// TestModelOndatoUndated: the same with an attempt whose messages do not contain its time of creation.
func TestModelOndatoUndated(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "deadline", "again", "drop"}
	for word := range ondatoWords {
		does = append(does, word)
	}
	slices.Sort(does)
	histories(t, "ondato", nil, acts(does), func(n int, a act) message {
		if a.Attempt == 2 {
			a.Attempt += 10
		}
		return ondato(n, a)
	})
}

// TestModelOndatoLate: the same for answers of the API that are processed later than messages that arrived after the
// request.
func TestModelOndatoLate(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "drop"}
	for word := range ondatoWords {
		does = append(does, word)
	}
	slices.Sort(does)
	histories(t, "ondato", nil, acts(does), ondatoLate)
}

// ondatoLate writes an act as a message with a time; a verdict of the API was requested up to 20 minutes earlier.
func ondatoLate(n int, a act) message {
	a.Untimed = 0
	switch a.Do {
	case "fetched_rejected", "fetched_rejected_then", "fetched_approved_then", "fetched_by_a_person":
		n -= a.Which % 3
	}
	return ondato(n, a)
}

// idwiseWords are the messages of IDWise: event or part, system's decision, reviewer's, final.
var idwiseWords = map[string][4]string{
	"step":              {"Finished Step"},
	"submitted":         {"Step Submitted"},
	"user_steps":        {"Finished User Steps", "Incomplete"},
	"complete":          {"Finished Journey", "Complete"},
	"refer":             {"Finished Journey", "Refer"},
	"rejected":          {"Finished Journey", "Rejected"},
	"incomplete":        {"Finished Journey", "Incomplete"},
	"manual_approved":   {"Manually Reviewed", "Refer", "Approved", "Approved"},
	"manual_rejected":   {"Manually Reviewed", "Refer", "Rejected", "Rejected"},
	"manual_but":        {"Manually Reviewed", "Refer", "Approved", "Rejected"},
	"update_required":   {"Verification Update Required", "Refer", "Resubmission Requested", "Refer"},
	"renewal_overdue":   {"KYC Renewal Deadline Exceeded"},
	"monitor":           {"AML Monitor Update", "Complete"},
	"result_complete":   {"result", "Complete", "", "Complete"},
	"result_refer":      {"result", "Refer"},
	"result_rejected":   {"result", "Rejected"},
	"result_approved":   {"result", "Refer", "Approved", "Approved"},
	"result_refused":    {"result", "Refer", "Rejected", "Rejected"},
	"result_but":        {"result", "Complete", "", "Rejected"},
	"result_incomplete": {"result", "Incomplete"},
	"result_resubmit":   {"result", "Refer", "Resubmission Requested", "Refer"},
	"summary":           {"summary"},
}

const idwiseJourney = "65f000000000000000000001"

// idwise writes an act as IDWise's message. No message contains a time: a callback has the time of its receipt, a
// fetched body the time of the request.
func idwise(n int, a act) message {
	at := 10 * (n + 10)
	m := message{at: minute(at), via: event.ViaCallback, ref: idwiseJourney}
	if noticed(&m, a, n) {
		if m.fact.Word == model.Deadline {
			m.fact.Status = "abandoned"
		}
		return m
	}
	w := idwiseWords[a.Do]
	m.fact = model.IDWise(w[0], w[1], w[2], w[3])
	m.fact.At = at
	if w[0] == "summary" {
		m.via = event.ViaFetch
		m.body = fmt.Sprintf(`{"journey_id": %q, "is_completed": false, "look": %d, "step_summaries": []}`, idwiseJourney, n)
		return m
	}
	if w[0] == "result" {
		m.via = event.ViaFetch
		applicant := ""
		if a.Person {
			m.fact.Person = fmt.Sprintf("X%07d", n)
			applicant = fmt.Sprintf(`, "documents": {"0": {"document_type": "Passport", "extracted_fields": {
				"Last Name": {"value": %q}, "Document Number": {"value": %q}}}}`, m.fact.Person, m.fact.Person)
		}
		m.body = fmt.Sprintf(`{"journey_id": %q, "reference_number": "ref-%d", "start_time": "2026-03-02T09:00:00.962462",
			"system_decision": %s, "manual_decision": %s, "final_decision": %s%s}`,
			idwiseJourney, n, word(w[1]), word(w[2]), word(w[3]), applicant)
		return m
	}
	more := ""
	for i, name := range []string{"systemDecision", "manualDecision", "finalDecision"} {
		if w[i+1] != "" {
			more += fmt.Sprintf(`, %q: %q`, name, w[i+1])
		}
	}
	if w[0] == "Verification Update Required" {
		more += `, "trigger": "Manual Review", "requiredSteps": [{"stepId": "0", "reasonCode": "RESUBMIT_BAD_QUALITY"}]`
	}
	m.body = fmt.Sprintf(`{"event": %q, "body": {"eventId": "e%07d-0000-4000-8000-000000000001", "journeyId": %q,
		"referenceNo": "ref-%d"%s}}`,
		w[0], n, idwiseJourney, n, more)
	return m
}

// word is a decision word as JSON, or null.
func word(s string) string {
	if s == "" {
		return "null"
	}
	return fmt.Sprintf("%q", s)
}

// TestModelIDWise: the product and the model agree after every step of random histories of an account
// that does not confirm.
func TestModelIDWise(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "deadline", "again", "drop"}
	for word := range idwiseWords {
		does = append(does, word)
	}
	slices.Sort(does)
	histories(t, "idwise", nil, acts(does), idwise)
}

// TestModelIDWiseLate: the same for messages that are processed later than others that arrived after them.
func TestModelIDWiseLate(t *testing.T) {
	t.Parallel()
	does := []string{"start", "watch", "again", "drop"}
	for word := range idwiseWords {
		does = append(does, word)
	}
	slices.Sort(does)
	histories(t, "idwise", nil, acts(does), idwiseLate)
}

// idwiseLate writes an act as a message that was received earlier and is processed only now.
func idwiseLate(n int, a act) message {
	m, late := idwise(n, a), 35*(a.At/3)
	if m.notice == "" {
		m.at, m.fact.At = m.at.Add(-time.Duration(late)*time.Minute), m.fact.At-late
	}
	return m
}

// TestModelFound: histories in which product and model once disagreed, or in which a repeated payload or a
// replay once changed the outcome.
func TestModelFound(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	later := func(do string, at int) act { return act{Do: do, Attempt: 1, At: at} }
	say := func(do string) act { return later(do, 0) }
	again := func(which int) act { return act{Do: "again", Which: which, Attempt: 1} }
	untimed := func(do string) act { return act{Do: do, Attempt: 1, Untimed: 1} }
	of := func(do string, attempt int) act { return act{Do: do, Attempt: attempt} }
	for name, history := range map[string][]act{
		"ondato: an end before a look": {
			say("aborted"), untimed("aborted"), say("fetched_awaiting"), again(1),
		},
		"ondato: an end of what was approved": {
			say("aborted"), say("approved"), say("aborted"), untimed("approved_but"), again(2),
		},
		"ondato: an end before an attempt": {
			say("aborted"), say("approved_but"), say("aborted"), {Do: "created", Attempt: 2, Untimed: 1}, again(2),
		},
		"ondato: a look before an end": {
			say("processed"), say("fetched_awaiting"), untimed("aborted"), again(1),
		},
		"ondato: a look before an approval": {
			say("processed"), say("fetched_awaiting"), untimed("approved"), again(1),
		},
		"ondato: a look before an end of before": {
			say("processed"), say("fetched_awaiting"), later("aborted", 2), again(1),
		},
		"ondato: a word before our end": {
			say("in_progress"), say("in_progress"), say("deadline"), again(1),
		},
		"ondato: a newer attempt beside an approval": {
			say("approved"), of("created", 2), say("approved_but"), again(1),
		},
		"ondato: two attempts beside an approval": {
			say("approved"), of("created", 3), of("approved_but", 2), again(1),
		},
		"ondato: an attempt that named itself": {
			say("aborted"), {Do: "created", Attempt: 2, Untimed: 1}, say("rejected"), again(1),
		},
		"ondato: a doubt before an approval": {
			say("approved_but"), untimed("approved_but"), say("approved"), again(1),
		},
		"ondato: an approval before a doubt": {
			say("approved"), say("approved"), untimed("approved_but"), again(1),
		},
		"ondato: an untimed approval before a doubt": {
			say("approved"), untimed("approved"), say("approved_but"), again(1),
		},
		"ondato: an untimed denial of a rejection": {
			say("rejected"), untimed("rejected"), say("approved"), again(1),
		},
		"ondato: an end of what is in doubt": {
			say("aborted"), say("approved_but"), say("aborted"), later("approved", 2), again(2),
		},
		"ondato: an approval before doubt and end": {
			say("approved"), say("approved"), say("approved_but"), say("aborted"), again(1),
		},
		"ondato: a denial and an approval at once": {
			later("approved", 1), later("updated_rejected", 1), later("approved", 2),
		},
		"ondato: an untimed approval after an untimed denial": {
			say("approved"), untimed("updated_rejected"), say("aborted"), untimed("approved"),
		},
		"ondato: an untimed approval of an attempt that was denied before": {
			say("approved"), of("updated_rejected", 3), {Do: "approved", Attempt: 3, Untimed: 1}, again(1),
		},
		"ondato: replay of a reopening": {
			say("aborted"), say("approved"), say("fetched_awaiting"),
		},
		"idwise: our end before a word": {
			say("deadline"), say("deadline"), say("incomplete"), say("start"), again(1),
		},
		"idwise: replay of a result": {
			say("complete"), say("result_but"), say("manual_approved"),
		},
		"idwise late: an approval at once with a request": {
			say("update_required"), say("start"), say("start"), say("start"),
			say("start"), say("start"), say("step"), later("manual_approved", 6), say("complete")},
		"idwise late: two approvals at once, a doubt before": {
			say("complete"), say("start"), say("start"), later("manual_but", 3),
			say("start"), say("start"), say("start"), later("manual_approved", 6)},
		"idwise late: a request before the answer": {
			say("update_required"), say("start"), say("start"), say("step"),
			later("update_required", 3), say("complete")},
		"idwise late: an overdue renewal, processed after a later review": {
			later("manual_approved", 3), say("refer"), later("renewal_overdue", 3)},
		"ondato: a machine's approval under review of a person's": {
			of("approved_but", 2), {Do: "by_a_person", Attempt: 2, At: 1}, {Do: "by_a_person", Attempt: 2, Untimed: 1},
			of("approved", 2)},
		"ondato: a machine's approval after a person's was in doubt and the session ended": {
			of("by_a_person", 3), of("updated_rejected", 3), say("aborted"), of("approved", 3)},
		"kwikid: an approval before doubt and our end": {
			say("hook Maker Approved"), say("hook Maker Approved"), say("session approved_but"), say("deadline"), again(1)},
		"kwikid: an odd word twice before an approval and our end": {
			say("session checker_odd"), say("session checker_odd"), say("hook Maker Approved"), say("deadline"), again(1)},
	} {
		t.Run(name, func(t *testing.T) {
			provider, write := "ondato", ondato
			switch {
			case strings.HasPrefix(name, "kwikid"):
				provider, write = "kwikid", kwikid(false)
			case strings.HasPrefix(name, "idwise late"):
				provider, write = "idwise", idwiseLate
			case strings.HasPrefix(name, "idwise"):
				provider, write = "idwise", idwise
			}
			if err := newProductPath(table[provider], kycbridge.Settings{}).run(history, write); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestModelNotices: a rule that is broken on one side shows as a disagreement. The test breaks the rule in the model,
// which has the same effect on the comparison as breaking it in the product.
func TestModelNotices(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	say := func(do string, more ...func(*act)) act {
		a := act{Do: do, Attempt: 1}
		for _, change := range more {
			change(&a)
		}
		return a
	}
	earlier := func(a *act) { a.At = 6 }
	person := func(a *act) { a.Person = true }
	second := func(a *act) { a.Attempt = 2 }
	untimed := func(a *act) { a.Untimed = 1 }
	for name, tt := range map[string]struct {
		broken  model.Rules
		history []act
	}{
		"an older verdict wins": {model.Rules{OlderVerdictWins: true}, []act{say("rejected"), say("approved", earlier)}},
		"a notice sets the bar": {model.Rules{NoticeSetsBar: true}, []act{say("watch"), say("aborted", earlier)}},
		"attempts are merged":   {model.Rules{AttemptsMerge: true}, []act{say("rejected", person), say("created", second)}},
		"untimed counts as now": {model.Rules{UntimedIsNow: true}, []act{say("rejected"), say("approved", untimed)}},
		"doubt is ignored":      {model.Rules{DoubtIgnored: true}, []act{say("approved"), say("approved_but")}},
	} {
		t.Run(name, func(t *testing.T) {
			whole := newProductPath(table["ondato"], kycbridge.Settings{})
			broken := newProductPath(table["ondato"], kycbridge.Settings{})
			broken.model.Broken = tt.broken
			if err := whole.run(tt.history, ondato); err != nil {
				t.Errorf("with all rules: %v", err)
			}
			if err := broken.run(tt.history, ondato); err == nil {
				t.Error("the violation was not detected")
			}
		})
	}
}

// seedOf is the seed of a run: the given one, otherwise a new one if a number of histories is given. An ordinary
// run uses the same histories every time, so that its result depends on the change only.
func seedOf(given string) string {
	isSearch := false
	flag.Visit(func(f *flag.Flag) { isSearch = isSearch || f.Name == "histories" })
	switch {
	case given != "0":
		return given
	case isSearch:
		return fmt.Sprint(rand.Uint64())
	}
	return "3"
}

// histories compares random histories of a provider with the model.
func histories(
	t *testing.T, provider string, own map[string]any, g *rapid.Generator[[]act], write func(int, act) message,
) {
	t.Helper()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	seed := seedOf(flag.Lookup("rapid.seed").Value.String())
	number := *historiesFlag
	if wait.Race {
		number /= 10
	}
	set := map[string]string{"rapid.checks": fmt.Sprint(number), "rapid.nofailfile": "true", "rapid.seed": seed}
	for name, value := range set {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, before) })
	}
	begin := time.Now()
	defer func() {
		t.Logf("%s: %d histories, -rapid.seed=%s, %s", provider, number, seed, time.Since(begin).Round(time.Second))
	}()
	rapid.Check(t, func(t *rapid.T) {
		settings := kycbridge.Settings{Own: table[provider].Decode(own)}
		if err := newProductPath(table[provider], settings).run(g.Draw(t, "history"), write); err != nil {
			t.Fatal(err)
		}
	})
}

package poll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/publisher"
)

// pollFixture is a poller on a real store, with a provider that answers as configured and a clock of its
// own.
type pollFixture struct {
	t      *testing.T
	store  *publisher.Store
	poller *Poller
	intake *kycbridge.Intake
	state  *event.Data // the published state
	unread error       // why it cannot be read

	mu       sync.Mutex
	now      time.Time
	answers  []func() ([]kycbridge.Fetched, error)
	asked    []kycbridge.Query
	outcomes []string
}

// statuses are the answers of the test's provider, with their observations.
var statuses = map[string]kycbridge.Observation{
	"open":   {Effect: kycbridge.EffectProgress, Status: event.StatusInProgress},
	"other":  {Effect: kycbridge.EffectProgress, Status: event.StatusInProgress},
	"review": {Effect: kycbridge.EffectVerdict, Status: event.StatusInReview},
	"approved": {Effect: kycbridge.EffectVerdict, Status: event.StatusCompleted,
		Decision: event.Decision{Outcome: event.OutcomeApproved, Final: true}},
	"rejected": {Effect: kycbridge.EffectVerdict, Status: event.StatusCompleted,
		Decision: event.Decision{Outcome: event.OutcomeRejected, Final: true}},
}

func newPollFixture(t *testing.T) *pollFixture {
	t.Helper()
	names := publisher.Names{Subject: "kyc", Stream: "KYC"}
	server, err := publisher.StartEmbedded(publisher.EmbeddedOptions{Dir: t.TempDir(), Names: names, MaxBody: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	connection, err := publisher.Connect(t.Context(),
		publisher.Dial{Name: "store", Options: server.Dial(), Server: server}, 1<<20,
		zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	store, err := publisher.OpenStore(t.Context(), connection, names, 1<<20, 1, kycbridge.DefaultRetention())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	r := &pollFixture{t: t, store: store, now: time.Now().UTC()}
	r.intake = &kycbridge.Intake{
		Log:        store,
		Quarantine: store,
	}
	account := &kycbridge.Account{Name: "acme", API: kycbridge.API{Fetch: r.fetch}, Provider: kycbridge.Provider{
		Name: "kwikid", ReferenceName: "session_id", Polled: true, CanonicalReference: strings.ToLower,
		Read: func(body []byte) (document.Object, []kycbridge.FieldError) {
			return document.Object{"text": string(body)}, nil
		},
		Identify: func(doc document.Object, _ event.Via) kycbridge.Identity {
			reference, _, _ := strings.Cut(doc.Text("text"), " ")
			return kycbridge.Identity{Reference: reference, Document: doc}
		},
		Validate: func(_ string, doc document.Object) []kycbridge.FieldError {
			if strings.Contains(doc.Text("text"), "broken") {
				return []kycbridge.FieldError{{Message: "broken"}}
			}
			return nil
		},
		Map: func(_ document.Object, p kycbridge.Payload, _ kycbridge.Settings) (kycbridge.Observation, error) {
			_, status, _ := strings.Cut(string(p.Body), " ")
			return statuses[strings.TrimPrefix(status, "broken ")], nil
		},
	}}
	key := kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}
	r.poller = &Poller{
		Accounts: kycbridge.Accounts{key: account},
		Policy: func(kycbridge.AccountKey) Policy {
			return Policy{Interval: time.Minute, Deadline: time.Hour, First: 10 * time.Second,
				Rechecks: []time.Duration{time.Second, 2 * time.Second}}
		},
		Intake: r.intake, Timers: store, History: store,
		State:   func(context.Context, kycbridge.Key, bool) (*event.Data, error) { return r.state, r.unread },
		Now:     func() time.Time { return r.now },
		Log:     zaptest.NewLogger(t),
		Observe: func(_ kycbridge.AccountKey, outcome string) { r.outcomes = append(r.outcomes, outcome) },
	}
	return r
}

// fetch returns the next answer.
func (r *pollFixture) fetch(_ context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	if len(r.answers) == 0 {
		r.t.Fatal("the provider was asked once more than expected")
	}
	answer := r.answers[0]
	r.answers = r.answers[1:]
	return answer()
}

func (r *pollFixture) answer(bodies ...string) {
	for _, body := range bodies {
		r.answers = append(r.answers, func() ([]kycbridge.Fetched, error) {
			return []kycbridge.Fetched{{Part: "session", ContentType: "application/json", Body: []byte(body)}}, nil
		})
	}
}

func (r *pollFixture) fails(kind kycbridge.ProviderErrorKind, retryAfter time.Duration) {
	r.answers = append(r.answers, func() ([]kycbridge.Fetched, error) {
		return nil, &kycbridge.ProviderError{Kind: kind, Call: "get_details", RetryAfter: retryAfter,
			Sent: kind != kycbridge.ProviderPaused}
	})
}

func (r *pollFixture) watch() kycbridge.Watch {
	return kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now,
		Deadline: r.now.Add(time.Hour)}
}

// work processes w and returns the timer that it set.
func (r *pollFixture) work(w kycbridge.Watch) *kycbridge.Watch {
	r.t.Helper()
	if err := r.poller.Work(r.t.Context(), w, false); err != nil {
		r.t.Fatal(err)
	}
	return r.timer()
}

func (r *pollFixture) timer() *kycbridge.Watch {
	r.t.Helper()
	timer, err := r.store.Timer(r.t.Context(), r.watch().Key())
	if err != nil {
		r.t.Fatal(err)
	}
	return timer
}

// clear removes the timer, as the server does when it is due.
func (r *pollFixture) clear() {
	r.t.Helper()
	if _, err := r.store.EraseWatches(r.t.Context(), r.watch().Key()); err != nil {
		r.t.Fatal(err)
	}
}

// receive stores a callback.
func (r *pollFixture) receive(body string) {
	r.t.Helper()
	a, err := r.poller.Accounts.Find("kwikid", "acme")
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = r.intake.Ingest(r.t.Context(), a, kycbridge.Payload{Provider: "kwikid", Account: "acme", Reference: "s1",
		Via: event.ViaCallback, ReceivedAt: r.now, ContentType: "application/json", Body: []byte(body)})
	if err != nil {
		r.t.Fatal(err)
	}
}

// stored are the bodies in the payload log, notices as their kind.
func (r *pollFixture) stored() []string {
	r.t.Helper()
	var out []string
	err := r.store.History(r.t.Context(), r.watch().Key(), func(p kycbridge.Payload) error {
		text := fmt.Sprintf("%s via %s", p.Body, p.Via)
		if p.Notice {
			text = fmt.Sprintf("%s via %s", p.Event, p.Via)
		}
		out = append(out, text)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *pollFixture) wantStored(want ...string) {
	r.t.Helper()
	if got := strings.Join(r.stored(), "; "); got != strings.Join(want, "; ") {
		r.t.Errorf("stored %s\n  want %s", got, strings.Join(want, "; "))
	}
}

func TestASessionIsPolledUntilItsEndIsPublished(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open", "s1 open", "s1 approved", "s1 approved")
	w := r.watch()
	for range 4 {
		w = *r.work(w) // no end is published, so polling continues
	}
	r.state = &event.Data{Status: event.StatusCompleted,
		Decision: event.Decision{Outcome: event.OutcomeApproved, Final: true}}
	r.clear()
	if timer := r.work(w); timer != nil {
		t.Errorf("timer %+v after the end was published", timer)
	}
	r.wantStored("s1 open via poll", "s1 approved via poll")
	if got := strings.Join(r.outcomes, " "); got != "news unchanged news unchanged ended" {
		t.Errorf("looks %s", got)
	}
}

// TestAProductWithoutAnAPIIsNotPolled: a verification of a product whose results the API does not have is neither
// polled nor watched, whatever asked for it. While it is not known which product it is of, it is not polled either.
func TestAProductWithoutAnAPIIsNotPolled(t *testing.T) {
	r := newPollFixture(t)
	account := r.poller.Accounts.(kycbridge.Accounts)[kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}]
	account.Provider.CallbackOnly = []string{"back_office"}
	r.state = &event.Data{Status: event.StatusInReview, Provider: event.ProviderData{Product: "back_office"}}
	triggered := r.watch()
	triggered.Trigger, triggered.Deadline = kycbridge.NoTrigger, time.Time{}
	asked := r.watch()
	asked.Asked = true
	for _, w := range []kycbridge.Watch{r.watch(), triggered, asked} {
		if timer := r.work(w); timer != nil || len(r.asked) > 0 {
			t.Errorf("%+v: timer %v, asked %v", w, timer, r.asked)
		}
	}
	if _, err := r.poller.Watch(t.Context(), account, kycbridge.WatchRequest{Reference: "s1"}); !errors.Is(err,
		kycbridge.ErrUnsupported) {
		t.Error(err)
	}
	r.unread = errors.New("no answer")
	if timer := r.work(r.watch()); timer == nil || len(r.asked) > 0 {
		t.Errorf("unread: timer %v, asked %v", timer, r.asked)
	}
	r.unread, r.state.Provider.Product = nil, ""
	r.answer("s1 open")
	if timer := r.work(r.watch()); timer == nil || len(r.asked) != 1 {
		t.Errorf("another product: timer %v, asked %v", timer, r.asked)
	}
}

func TestAnEndedSessionIsNotPolled(t *testing.T) {
	r := newPollFixture(t)
	r.state = &event.Data{Status: event.StatusCompleted}
	if timer := r.work(r.watch()); timer != nil || len(r.asked) > 0 {
		t.Errorf("timer %v, asked %v", timer, r.asked)
	}
}

func TestARepeatedStateIsANewFact(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open", "s1 other", "s1 open", "s1 other")
	w := r.watch()
	for range 4 {
		w = *r.work(w)
	}
	r.wantStored("s1 open via poll", "s1 other via poll", "s1 open via poll", "s1 other via poll")
}

func TestARedeliveredWatchStoresOnce(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open", "s1 other", "s1 other")
	first := *r.work(r.watch())
	r.work(first)
	r.work(first) // the process crashed before it could delete the due message
	r.wantStored("s1 open via poll", "s1 other via poll")
}

func TestATriggerIsFetchedAfterTheEnd(t *testing.T) {
	r := newPollFixture(t)
	r.state = &event.Data{Status: event.StatusCompleted}
	r.answer("s1 open")
	timer := r.work(kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now,
		Trigger: kycbridge.NoTrigger})
	if timer == nil || timer.Deadline.IsZero() {
		t.Fatalf("timer %v", timer)
	}
	if !r.asked[0].Triggered {
		t.Error("not asked for the result")
	}
	r.wantStored("s1 open via fetch")
}

func TestATriggerWithoutAResultIsPolledAgain(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 approved", "s1 approved", "s1 approved", "s1 approved")
	trigger := kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now,
		Trigger: kycbridge.NoTrigger}
	if timer := r.work(trigger); timer == nil || timer.Trigger != "" {
		t.Fatalf("timer %+v after a trigger that news followed", timer)
	}
	r.state = &event.Data{Status: event.StatusCompleted,
		Decision: event.Decision{Outcome: event.OutcomeApproved, Final: true}}
	// Another callback arrives about the same session: if the answer contains no new result, the API may be
	// delayed.
	timer := r.work(trigger)
	for look := 1; look <= 2; look++ {
		if timer == nil || timer.Looks != look || timer.Trigger == "" {
			t.Fatalf("look %d: timer %+v", look, timer)
		}
		w := *timer
		r.clear()
		timer = r.work(w)
	}
	if timer == nil || timer.Trigger != "" {
		t.Errorf("timer %+v after the last look", timer)
	}
	r.wantStored("s1 approved via fetch")
	if got := strings.Join(r.outcomes, " "); got != "news unchanged unchanged unchanged" {
		t.Errorf("looks %s", got)
	}
}

// TestATriggerWordIsKeptUntilTheEnd: a label that only a callback contains is kept until the body that it
// belongs to is available.
func TestATriggerWordIsKeptUntilTheEnd(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open", "s1 open", "s1 approved")
	w := kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now, Trigger: "Checker Approved",
		TriggeredAt: r.now}
	for range 2 {
		w = *r.work(w)
		r.clear()
		if w.Trigger != "Checker Approved" {
			t.Fatalf("timer %+v", w)
		}
	}
	if w = *r.work(w); w.Trigger != "" {
		t.Errorf("timer %+v after the end", w)
	}
	r.wantStored("s1 open via fetch", "s1 approved via fetch")
}

func TestATriggerWordMakesABodyNew(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 review", "s1 review", "s1 review", "s1 review")
	r.work(r.watch())
	word := func(word string, at time.Duration) kycbridge.Watch {
		return kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now, Trigger: word,
			TriggeredAt: r.now.Add(at)}
	}
	r.work(word("Checker Rejected", 1))
	r.clear()
	r.work(word("Checker Approved", 2))
	r.clear()
	r.work(word("Checker Rejected", 3)) // the first label again, equally new
	r.wantStored("s1 review via poll", "s1 review via fetch", "s1 review via fetch", "s1 review via fetch")
}

// TestATimerKeepsAConcurrentTrigger: a poll that was running when a trigger failed does not replace the
// trigger's timer by its own.
func TestATimerKeepsAConcurrentTrigger(t *testing.T) {
	r := newPollFixture(t)
	r.fails(kycbridge.ProviderUnavailable, 0)
	r.work(kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now,
		Trigger: "Checker Rejected", TriggeredAt: r.now})
	r.answer("s1 review")
	if timer := r.work(r.watch()); timer == nil || timer.Trigger != "Checker Rejected" {
		t.Errorf("timer %+v", timer)
	}
}

// TestAHandledTriggerDoesNotReturn: the value of an older callback, which still waited for a result in the timer, does
// not return after a newer one has been handled.
func TestAHandledTriggerDoesNotReturn(t *testing.T) {
	r := newPollFixture(t)
	word := func(word string, at time.Duration) kycbridge.Watch {
		return kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now, Trigger: word,
			TriggeredAt: r.now.Add(at)}
	}
	r.answer("s1 open", "s1 rejected", "s1 approved")
	if timer := r.work(word("Checker Approved", 1)); timer == nil || timer.Trigger != "Checker Approved" {
		t.Fatalf("timer %+v", timer)
	}
	if timer := r.work(word("Checker Rejected", 2)); timer == nil || timer.Trigger != "" {
		t.Errorf("timer %+v after the newer label was handled", timer)
	}
	trigger := word(kycbridge.NoTrigger, 3)
	if timer := r.work(trigger); timer == nil || timer.Trigger != "" {
		t.Errorf("timer %+v after the next callback", timer)
	}
	var words []string
	err := r.store.History(t.Context(), r.watch().Key(), func(p kycbridge.Payload) error {
		words = append(words, p.Trigger)
		return nil
	})
	if got := strings.Join(words, "; "); err != nil || got != "Checker Approved; Checker Rejected; " {
		t.Errorf("labels %q, %v", got, err)
	}
}

// TestAnAnswerAfterACallbackIsANewFact: an answer with the same result as before counts again after a
// callback has revoked the result.
func TestAnAnswerAfterACallbackIsANewFact(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 approved", "s1 approved")
	r.work(r.watch())
	r.clear()
	r.state = &event.Data{Status: event.StatusRequiresInput, Decision: event.Decision{Outcome: event.OutcomeResubmit}}
	r.work(kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1", Since: r.now,
		Trigger: kycbridge.NoTrigger, TriggeredAt: r.now})
	r.wantStored("s1 approved via poll", "s1 approved via fetch")
}

// TestAnEqualAnswerCountsAfterACallback: an answer with the same rejection as before, without a trigger, counts once
// after a callback has approved. It does not count before an event has published the approval, and an applicant who
// proceeds is ahead of the provider's API.
func TestAnEqualAnswerCountsAfterACallback(t *testing.T) {
	r := newPollFixture(t)
	asked := r.watch()
	asked.Asked = true
	r.answer("s1 rejected", "s1 rejected")
	seen := r.work(r.watch()).Seen
	asked.Seen = seen
	r.receive("s1 approved")
	r.state = &event.Data{Status: event.StatusInProgress, Decision: event.Decision{Outcome: event.OutcomeNone}}
	r.work(asked)
	r.wantStored("s1 rejected via poll", "s1 approved via callback")
	r.state = &event.Data{Status: event.StatusCompleted, Decision: event.Decision{Outcome: event.OutcomeApproved}}
	r.unread = kycbridge.ErrUnavailable
	r.answer("s1 rejected")
	if again := r.work(asked); again == nil || !again.Asked || again.Failures != 1 {
		t.Errorf("%+v, want the watch to be polled again while the published state cannot be read", again)
	}
	r.unread = nil
	r.answer("s1 rejected", "s1 rejected")
	asked.Seen = r.work(asked).Seen
	r.work(asked)
	r.wantStored("s1 rejected via poll", "s1 approved via callback", "s1 rejected via poll")
}

// TestAnEqualApprovalIsNoNews: the API may be behind a callback, and an approval has no time of its own. Without a
// trigger an equal one does not replace what the callback has stated, even if a person has asked for the poll.
func TestAnEqualApprovalIsNoNews(t *testing.T) {
	for _, state := range []event.Data{
		{Status: event.StatusCompleted, Decision: event.Decision{Outcome: event.OutcomeRejected}},
		{Status: event.StatusInReview, Decision: event.Decision{Outcome: event.OutcomeReview}},
		{Status: event.StatusUnknown, Decision: event.Decision{Outcome: event.OutcomeNone}},
	} {
		r := newPollFixture(t)
		asked := r.watch()
		asked.Asked = true
		r.answer("s1 approved", "s1 approved")
		asked.Seen = r.work(r.watch()).Seen
		r.receive("s1 rejected")
		r.state = &state
		r.work(asked)
		r.wantStored("s1 approved via poll", "s1 rejected via callback")
	}
}

// TestEqualAnswersOfTwoPartsEnd: two parts that contradict each other and the published state are stored again once
// each after a callback, not at every poll.
func TestEqualAnswersOfTwoPartsEnd(t *testing.T) {
	r := newPollFixture(t)
	both := func() ([]kycbridge.Fetched, error) {
		return []kycbridge.Fetched{
			{Part: "session", ContentType: "application/json", Body: []byte("s1 rejected")},
			{Part: "report", ContentType: "application/json", Body: []byte("s1 approved")},
		}, nil
	}
	r.answers = slices.Repeat([]func() ([]kycbridge.Fetched, error){both}, 5)
	w := r.watch()
	w.Seen = r.work(w).Seen
	r.state = &event.Data{Status: event.StatusInReview, Decision: event.Decision{Outcome: event.OutcomeReview}}
	r.receive("s1 review")
	for range 4 {
		w.Seen = r.work(w).Seen
	}
	if stored := r.stored(); len(stored) > 5 {
		t.Errorf("stored %d payloads: %s", len(stored), strings.Join(stored, "; "))
	}
}

func TestARedeliveredDueWatchIsSkipped(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open")
	r.work(r.watch())
	if err := r.poller.Work(t.Context(), r.watch(), true); err != nil {
		t.Fatal(err)
	}
	if len(r.asked) != 1 {
		t.Errorf("asked %d times", len(r.asked))
	}
}

func TestAQuarantinedBodyEndsNothing(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 broken approved", "s1 broken approved")
	timer := r.work(r.watch())
	if timer == nil {
		t.Fatal("an unpublished approval ended the watch")
	}
	if timer = r.work(*timer); timer == nil {
		t.Fatal("the same one did, at the second look")
	}
	r.wantStored()
}

func TestABodyOfAnotherSessionIsQuarantined(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s2 approved")
	if timer := r.work(r.watch()); timer == nil {
		t.Error("the end of another session ended the watch")
	}
	r.wantStored()
}

func TestTheDeadlineEndsASession(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 open", "s1 open", "s1 open")
	w := *r.work(r.watch())
	r.now = w.Deadline.Add(-time.Second)
	w = *r.work(w)
	r.now = w.Deadline
	before := r.timer()
	if err := r.poller.Work(t.Context(), w, false); err != nil {
		t.Fatal(err)
	}
	if after := r.timer(); before.Failures != after.Failures {
		t.Error("a new timer after the deadline")
	}
	r.wantStored("s1 open via poll", "deadline via deadline")
}

// TestALaterDeadlineCountsDuringTheLastPoll: a request that was accepted while the provider was asked for the last time
// keeps the session open, whether its watch waits for its time or is due.
func TestALaterDeadlineCountsDuringTheLastPoll(t *testing.T) {
	requests := map[string]func(r *pollFixture, w kycbridge.Watch) error{
		"timer": func(r *pollFixture, w kycbridge.Watch) error { return r.store.Schedule(t.Context(), w, r.now) },
		"due":   func(r *pollFixture, w kycbridge.Watch) error { return r.store.Trigger(t.Context(), w) },
	}
	for name, request := range requests {
		for _, isAnswered := range []bool{true, false} {
			r := newPollFixture(t)
			w := r.watch()
			later := w
			later.Deadline, later.Asked = w.Deadline.Add(48*time.Hour), true
			r.now = w.Deadline.Add(outageExtension + time.Hour)
			r.answers = append(r.answers, func() ([]kycbridge.Fetched, error) {
				if err := request(r, later); err != nil {
					t.Error(err)
				}
				if !isAnswered {
					return nil, &kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Call: "get_details", Sent: true}
				}
				return []kycbridge.Fetched{{Part: "session", ContentType: "application/json", Body: []byte("s1 open")}}, nil
			})
			if timer := r.work(w); timer == nil || !timer.Deadline.Equal(later.Deadline) {
				t.Errorf("%s, answered %t: timer %+v", name, isAnswered, timer)
			}
			if last := strings.Join(r.stored(), "; "); strings.Contains(last, "deadline") {
				t.Errorf("%s, answered %t: it was ended: %s", name, isAnswered, last)
			}
		}
	}
}

func TestAReviewExtendsTheDeadline(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 review", "s1 review", "s1 review")
	w := *r.work(r.watch())
	r.now = w.Deadline.Add(time.Second)
	w = *r.work(w)
	if !w.Deadline.After(r.now) {
		t.Error("no new deadline")
	}
	r.now = w.Since.Add(reviewExtension + time.Hour)
	if err := r.poller.Work(t.Context(), w, false); err != nil {
		t.Fatal(err)
	}
	r.wantStored("s1 review via poll", "deadline via deadline")
}

func TestAnUnknownSessionEnds(t *testing.T) {
	r := newPollFixture(t)
	for range 5 {
		r.fails(kycbridge.ProviderNotFound, 0)
	}
	w := r.watch()
	for range 2 {
		w = *r.work(w)
	}
	r.answer("s1 open")
	r.answers = append(r.answers[3:], r.answers[:3]...)
	if w = *r.work(w); w.Missing != 0 {
		t.Errorf("missing %d after an answer", w.Missing)
	}
	for range 2 {
		w = *r.work(w)
	}
	if err := r.poller.Work(t.Context(), w, false); err != nil {
		t.Fatal(err)
	}
	r.wantStored("s1 open via poll", "unknown via fetch")
}

func TestFailuresDelayThePoll(t *testing.T) {
	r := newPollFixture(t)
	for _, kind := range []kycbridge.ProviderErrorKind{kycbridge.ProviderUnavailable, kycbridge.ProviderUnreachable,
		kycbridge.ProviderMalformed, kycbridge.ProviderCredentials, kycbridge.ProviderForbidden, kycbridge.ProviderInvalid} {
		r.fails(kind, 0)
	}
	w := r.watch()
	for n := 1; n <= 6; n++ {
		if w = *r.work(w); w.Failures != n {
			t.Fatalf("failures %d after %d", w.Failures, n)
		}
	}
	r.fails(kycbridge.ProviderPaused, time.Second)
	if w = *r.work(w); w.Failures != 6 {
		t.Error("a question that was never sent counts as a failure")
	}
	r.fails(kycbridge.ProviderPending, 0)
	if w = *r.work(w); w.Failures != 0 {
		t.Error("nothing to show yet is an answer")
	}
	r.fails(kycbridge.ProviderUnavailable, 0)
	r.now = w.Deadline.Add(time.Hour)
	if w = *r.work(w); w.Failures != 1 {
		t.Error("given up although its end is unknown")
	}
	r.fails(kycbridge.ProviderUnavailable, 0)
	r.now = w.Deadline.Add(outageExtension + time.Minute)
	if err := r.poller.Work(t.Context(), w, false); err != nil {
		t.Fatal(err)
	}
	r.wantStored("deadline via deadline")
}

func TestAnOutageEndsNoReview(t *testing.T) {
	r := newPollFixture(t)
	r.answer("s1 review")
	w := *r.work(r.watch())
	r.now = w.Deadline.Add(outageExtension + time.Hour)
	r.fails(kycbridge.ProviderUnavailable, 0)
	w = *r.work(w)
	w.Status = event.StatusInProgress
	r.fails(kycbridge.ProviderCredentials, 0) // must be corrected by the operator
	r.work(w)
	r.wantStored("s1 review via poll")
}

func TestAWatchIsDurableBeforeTheAnswer(t *testing.T) {
	r := newPollFixture(t)
	account := r.poller.Accounts.(kycbridge.Accounts)[kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}]
	id, err := r.poller.Watch(t.Context(), account, kycbridge.WatchRequest{Reference: "S1", ExternalReference: "ref-1"})
	if err != nil || id != r.watch().Key().VerificationID {
		t.Fatal(id, err)
	}
	r.wantStored("watched via start")
	id, err = r.poller.Started(t.Context(), account,
		kycbridge.Started{Reference: "s1", URL: "https://kyc.example.com/1", ExpiresAt: r.now.Add(30 * time.Minute)}, "ref-1")
	if err != nil || id != r.watch().Key().VerificationID {
		t.Fatal(id, err)
	}
	r.wantStored("watched via start", "started via start")
	timer := r.timer()
	if timer == nil || timer.Deadline.Before(r.now.Add(40*time.Minute)) ||
		timer.Deadline.After(r.now.Add(90*time.Minute)) {
		t.Errorf("timer %+v", timer)
	}
	account.API.Fetch = nil
	if _, err := r.poller.Watch(t.Context(), account, kycbridge.WatchRequest{Reference: "s1"}); !errors.Is(err,
		kycbridge.ErrUnsupported) {
		t.Error(err)
	}
}

// TestASubmissionIsPolledSoon: a step moves the next poll forward; an unwatched verification is watched
// from then on.
func TestASubmissionIsPolledSoon(t *testing.T) {
	submitted := func(r *pollFixture) *kycbridge.Watch {
		t.Helper()
		account := r.poller.Accounts.(kycbridge.Accounts)[kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}]
		if err := r.poller.Submitted(t.Context(), account, "S1"); err != nil {
			t.Fatal(err)
		}
		timer := r.timer()
		if timer == nil || !timer.Asked || timer.Reference != "s1" {
			t.Fatalf("timer %+v", timer)
		}
		return timer
	}
	t.Run("of a watched one", func(t *testing.T) {
		r := newPollFixture(t)
		r.answer("s1 open", "s1 other")
		before := r.work(r.watch())
		timer := submitted(r)
		if !timer.LookBy.Equal(r.now.Add(submitPause)) || timer.Seen["session"] != before.Seen["session"] ||
			!timer.Deadline.Equal(before.Deadline) || timer.Status != before.Status {
			t.Errorf("before %+v\nafter %+v", before, timer)
		}
		r.clear() // it is due
		if timer = r.work(*timer); timer == nil || !timer.LookBy.IsZero() || timer.Asked {
			t.Errorf("after the look %+v", timer)
		}
		r.wantStored("s1 open via poll", "s1 other via poll")
	})
	t.Run("of an unknown one", func(t *testing.T) {
		r := newPollFixture(t)
		if timer := submitted(r); !timer.Deadline.Equal(r.now.Add(time.Hour)) {
			t.Errorf("timer %+v", timer)
		}
		r.wantStored("watched via start")
	})
	t.Run("of one whose state cannot be read", func(t *testing.T) {
		r := newPollFixture(t)
		r.unread = kycbridge.ErrUnavailable
		submitted(r)
		r.wantStored()
	})
	t.Run("of one that has ended", func(t *testing.T) {
		r := newPollFixture(t)
		r.answer("s1 open", "s1 approved")
		w := *r.work(r.watch())
		r.state = &event.Data{Status: event.StatusExpired}
		r.clear()
		timer := submitted(r)
		if timer.Seen["session"] != w.Seen["session"] {
			t.Errorf("what is stored is forgotten: %+v", timer.Seen)
		}
		r.clear()
		r.work(*timer)
		r.wantStored("s1 open via poll", "s1 approved via poll")
	})
	t.Run("of one that is being looked at", func(t *testing.T) {
		r := newPollFixture(t)
		r.state = &event.Data{Status: event.StatusInProgress}
		r.answers = append(r.answers, func() ([]kycbridge.Fetched, error) {
			submitted(r)
			return []kycbridge.Fetched{{Part: "session", Body: []byte("s1 open")}}, nil
		})
		timer := r.work(r.watch()) // its next poll would be in a minute
		if timer == nil || !timer.LookBy.Equal(r.now.Add(submitPause)) || !timer.Asked {
			t.Errorf("timer %+v", timer)
		}
	})
}

func TestIntervals(t *testing.T) {
	p := Policy{Interval: time.Minute,
		Intervals: map[string]time.Duration{"waiting": 2 * time.Minute, "kyc_request_accepted": 10 * time.Second,
			"in_review": time.Hour}}
	for status, want := range map[string]time.Duration{"waiting": 2 * time.Minute,
		"kyc_request_accepted": 10 * time.Second, "unheard of": time.Minute} {
		o := kycbridge.Observation{ProviderStatus: map[string]any{"session_status": status, "n": 1}}
		if got := p.interval(o); got != want {
			t.Errorf("%s: %s", status, got)
		}
	}
	if got := p.interval(kycbridge.Observation{Status: event.StatusInReview}); got != time.Hour {
		t.Error(got)
	}
	own := p.OverriddenBy(Policy{Interval: 5 * time.Minute, Intervals: map[string]time.Duration{"waiting": time.Second}})
	accepted := kycbridge.Observation{ProviderStatus: map[string]any{"s": "kyc_request_accepted"}}
	if own.interval(accepted) != 5*time.Minute || own.Intervals["waiting"] != time.Second {
		t.Errorf("%+v", own)
	}
	for n, last := 1, time.Duration(0); n < 40; n++ {
		d := p.backoff(n, 0)
		if d <= 0 || d > maxBackoff*3/2 {
			t.Fatalf("backoff %d is %s", n, d)
		}
		last = max(last, d)
	}
	if got := p.backoff(1, time.Hour); got != time.Hour {
		t.Errorf("the provider's wish: %s", got)
	}
}

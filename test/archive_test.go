package test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

// store is kycbridge in this process with one Ondato account and the stored-payload tool.
type store struct {
	t       *testing.T
	app     *app.App
	account *kycbridge.Account
	dir     string
}

// newStore starts it; auth is the auth section of the account.
func newStore(t *testing.T, auth string) *store {
	t.Helper()
	s := &store{t: t, dir: filepath.Join(t.TempDir(), "data")}
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	writeFile(t, path, fmt.Sprintf("listen: '127.0.0.1:0'\nadmin: {listen: '127.0.0.1:0'}\nembedded: {listen: "+
		"'127.0.0.1:0'}\ndata_dir: %s\naccounts:\n  - {name: acme, provider: ondato, environment: test, confirm: false, "+
		"auth: %s}\n", s.dir, auth))
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	if s.app, err = app.Start(t.Context(), config, app.AllRoles(),
		zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.app.Stop)
	if s.account, err = s.app.Accounts().Find("ondato", "acme"); err != nil {
		t.Fatal(err)
	}
	return s
}

// kycHook is an Ondato webhook of verification n, the seq-th of it.
func kycHook(n, seq int, event, status, reason string) []byte {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(n)*time.Second +
		time.Duration(seq)*time.Minute).Format(time.RFC3339Nano)
	return fmt.Appendf(nil, `{"id":"e%07d-%04d-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"%s","payload":{"id":"c%07d-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"2026-03-02T08:57:30.77Z","identityVerificationId":"%s","externalReferenceId":"ref-%d","status":"%s","statusReason":"%s","document":{"fullName":"Person%07d Sample","documentNumber":"DOC%07d","type":"Passport"}},"type":"KycIdentification.%s"}`,
		n, seq, at, n, idv(n), n, status, reason, n, n, event)
}

func idv(n int) string { return fmt.Sprintf("b%07d-0000-4000-8000-000000000001", n) }

func idOf(n int) string { return event.VerificationID("ondato", "acme", idv(n)) }

// ingest ingests bodies: those of one verification in order, many verifications concurrently.
func (s *store) ingest(verifications int, bodies func(n int) [][]byte) {
	s.t.Helper()
	var handing sync.WaitGroup
	numbers := make(chan int)
	for range 64 {
		handing.Go(func() {
			for n := range numbers {
				for _, body := range bodies(n) {
					if _, err := s.app.Ingest(s.t.Context(), s.account,
						kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: time.Now(), ContentType: "application/json",
							Body: body}); err != nil {
						s.t.Error(err)
					}
				}
			}
		})
	}
	for n := range verifications {
		numbers <- n
	}
	close(numbers)
	handing.Wait()
	s.settled(time.Minute + time.Duration(verifications)*time.Millisecond)
}

func (s *store) settled(patience time.Duration) {
	s.t.Helper()
	wait.For(s.t, patience, "every payload worked", func() bool {
		backlog, _, err := s.app.Progress(s.t.Context())
		return err == nil && backlog == 0
	})
}

func (s *store) events() int {
	s.t.Helper()
	_, events, err := s.app.Progress(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return events
}

// replay replays and returns the results, by verification or payload.
func (s *store) replay(o archive.ReplayOptions) (map[string]archive.Replayed, archive.Summary) {
	s.t.Helper()
	results := map[string]archive.Replayed{}
	sum, err := s.app.Archive().Replay(s.t.Context(), o, func(r archive.Replayed) error {
		key := r.VerificationID
		if r.PayloadID != "" {
			key = r.PayloadID
		}
		results[key] = r
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return results, sum
}

func (s *store) report() archive.Report {
	s.t.Helper()
	r, err := s.app.Archive().Account(s.t.Context(), archive.Filter{}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

var replayedFlag = flag.Int("replayed", 500,
	"how many verifications of two payloads TestReplayThroughAnotherMapping replays")

// TestReplayThroughAnotherMapping: one reason is mapped differently. A dry run lists exactly the verifications and
// fields that change, the replay publishes exactly those revisions, and a second replay publishes nothing. With
// -replayed 5000 that is over 10,000 payloads.
func TestReplayThroughAnotherMapping(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	verifications := *replayedFlag
	s.ingest(verifications, func(n int) [][]byte {
		end := kycHook(n, 2, "Approved", "Approved", "AutomaticallyIdentified")
		if n%10 == 3 {
			end = kycHook(n, 2, "Rejected", "Rejected", "BlurredPhoto")
		}
		return [][]byte{kycHook(n, 1, "Processed", "Awaiting", ""), end}
	})
	before := s.events()
	if results, sum := s.replay(archive.ReplayOptions{DryRun: true}); len(results) > 0 ||
		sum.Payloads != 2*verifications || sum.Verifications != verifications {
		t.Fatalf("with the same mapping: %d differ, %+v", len(results), sum)
	}
	mapping := s.account.Provider.Map
	s.account.Provider.Map = func(
		doc document.Object, p kycbridge.Payload, set kycbridge.Settings,
	) (kycbridge.Observation, error) {
		o, err := mapping(doc, p, set)
		for i, reason := range o.Reasons {
			if reason.Code == "image.blurred" {
				o.Reasons[i].Code = "image.poor_quality"
			}
		}
		return o, err
	}
	results, sum := s.replay(archive.ReplayOptions{DryRun: true})
	if len(results) != verifications/10 || sum.Results[archive.ResultChanged] != verifications/10 || s.events() != before {
		t.Fatalf("%d verifications differ, %+v, %d events", len(results), sum, s.events())
	}
	for n := range verifications {
		r, changed := results[idOf(n)]
		if changed != (n%10 == 3) {
			t.Fatalf("verification %d: changed %v", n, changed)
		}
		if changed && (len(r.Differences) != 1 || r.Differences[0].Path != "/reasons/0/code" ||
			r.Differences[0].Before != "image.blurred" || r.Differences[0].After != "image.poor_quality") {
			t.Fatalf("verification %d: %+v", n, r.Differences)
		}
	}
	results, sum = s.replay(archive.ReplayOptions{})
	if len(results) != verifications/10 || sum.Events != verifications/10 || s.events() != before+verifications/10 {
		t.Errorf("published %d of %+v", s.events()-before, sum)
	}
	state, err := s.app.State(t.Context(), kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(13)})
	if err != nil || state.Revision != 3 || state.Provider.Event.Via != event.ViaReplay ||
		state.Reasons[0].Code != "image.poor_quality" || state.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("state %+v, %v", state, err)
	}
	if results, sum = s.replay(archive.ReplayOptions{}); len(results) > 0 || sum.Events > 0 ||
		s.events() != before+verifications/10 {
		t.Errorf("a second replay: %d, %+v", len(results), sum)
	}
	if r := s.report(); !r.Sound() {
		t.Errorf("report %+v", r)
	}
}

// TestReplayOfQuarantine: a schema that was too strict is corrected; all payloads are processed, in order,
// and the report is complete before and after.
func TestReplayOfQuarantine(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	validate := s.account.Provider.Validate
	s.account.Provider.Validate = func(string, document.Object) []kycbridge.FieldError {
		return []kycbridge.FieldError{{Path: "/payload", Message: "is not liked today"}}
	}
	const verifications = 250
	s.ingest(verifications, func(n int) [][]byte {
		return [][]byte{kycHook(n, 1, "Created", "Unfinished", ""), kycHook(n, 2, "Processed", "Awaiting", ""),
			kycHook(n, 3, "Rejected", "Rejected", "BlurredPhoto"), kycHook(n, 4, "Approved", "Approved", "ManuallyIdentified")}
	})
	if r := s.report(); !r.Sound() || r.Total.Quarantined[kycbridge.QuarantineSchema] != 4*verifications ||
		r.Total.Received != 4*verifications || r.Total.Accepted != 0 {
		t.Fatalf("report before %+v", r.Total)
	}
	quarantined := archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusQuarantined}}
	if _, sum := s.replay(quarantined); sum.Results["still quarantined"] != 4*verifications {
		t.Fatalf("with the strict schema: %+v", sum)
	}
	s.account.Provider.Validate = validate
	if _, sum := s.replay(archive.ReplayOptions{DryRun: true,
		Filter: archive.Filter{Status: archive.StatusQuarantined}}); sum.Results[archive.ResultAdmitted] != 4*verifications {
		t.Fatalf("dry run %+v", sum)
	}
	if r := s.report(); r.Total.Accepted != 0 {
		t.Fatalf("a dry run moved payloads: %+v", r.Total)
	}
	if _, sum := s.replay(quarantined); sum.Results[archive.ResultAdmitted] != 4*verifications {
		t.Fatalf("replay %+v", sum)
	}
	s.settled(time.Minute)
	r := s.report()
	if !r.Sound() || r.Total.Accepted != 4*verifications || r.Total.Quarantined[kycbridge.QuarantineSchema] != 0 ||
		r.Total.Received != 4*verifications {
		t.Fatalf("report after %+v", r.Total)
	}
	for n := range verifications {
		var order []string
		err := s.app.Archive().List(t.Context(), archive.Filter{Verification: idOf(n)}, func(e archive.Entry) error {
			order = append(order, strings.TrimPrefix(e.Event, "KycIdentification."))
			return nil
		})
		state, stateErr := s.app.State(t.Context(),
			kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(n)})
		if err = errors.Join(err, stateErr); err != nil ||
			!slices.Equal(order, []string{"Created", "Processed", "Rejected", "Approved"}) ||
			state.Decision.Outcome != event.OutcomeApproved || state.Revision != 4 {
			t.Fatalf("verification %d: %v, %+v, %v", n, order, state, err)
		}
	}
}

// TestReplayOfRefused: a wrong secret refuses all callbacks; with the right one the genuine callbacks are
// admitted, and only those.
func TestReplayOfRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{hmac: {secrets: [wrong-secret-0001]}}")
	post := func(body []byte, secret string, at time.Time) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+s.app.CallbackAddr()+"/webhooks/ondato/acme", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Ondato-Signature", signature(secret, at, body))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("answered %d", res.StatusCode)
		}
	}
	const genuine, forged = 200, 50
	for n := range genuine {
		post(kycHook(n, 1, "Approved", "Approved", "ManuallyIdentified"), "right-secret-0001", time.Now())
	}
	for n := range forged {
		post(kycHook(1000+n, 1, "Approved", "Approved", "ManuallyIdentified"), "forged-secret-0001", time.Now())
	}
	wait.For(t, time.Minute, "all refused are kept", func() bool { return s.report().Total.Refused == genuine+forged })
	s.account.Credentials.HMAC.Secrets = []string{"right-secret-0001"}
	results, sum := s.replay(archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusRefused}})
	if sum.Results[archive.ResultAdmitted] != genuine || sum.Results["still refused"] != forged ||
		len(results) != genuine+forged {
		t.Errorf("%+v", sum)
	}
	s.settled(time.Minute)
	if r := s.report(); !r.Sound() || r.Total.Accepted != genuine || r.Total.Refused != forged || s.events() != genuine {
		t.Errorf("%+v, %d events", r.Total, s.events())
	}
	for n := range forged {
		if _, err := s.app.State(t.Context(),
			kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(1000 + n)}); !errors.Is(err,
			kycbridge.ErrNotFound) {
			t.Errorf("a forged callback was admitted: %v", err)
		}
	}
}

// TestReportFindsALoss: one event is removed from the stream.
func TestReportFindsALoss(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	s.ingest(50, func(n int) [][]byte {
		return [][]byte{kycHook(n, 1, "Processed", "Awaiting", ""),
			kycHook(n, 2, "Approved", "Approved", "AutomaticallyIdentified"),
			[]byte(`{"id":"` + idv(n) + `","type":"Form.Created","createdUtc":"2026-03-02T09:00:00Z","payload":{"id":"` +
				idv(n) + `","identityVerificationId":"` + idv(n) + `"}}`)}
	})
	r := s.report()
	if !r.Sound() || r.Total.Accepted != 150 || r.Total.WithEvent != 100 ||
		r.Total.NoEvent[kycbridge.NoEventIgnored] != 50 || r.Total.Events != 100 {
		t.Fatalf("healthy: %+v", r.Total)
	}
	nc, err := nats.Connect(s.app.ClientURL(), nats.UserInfo("kycbridge", operatorPassword(t, s.dir)))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stream.GetLastMsgForSubject(t.Context(), "kyc.event.v1.ondato.acme.*."+idOf(7))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), raw.Sequence); err != nil {
		t.Fatal(err)
	}
	r = s.report()
	if r.Sound() || r.LostAll != 1 || len(r.Lost) != 1 || r.Lost[0].VerificationID != idOf(7) ||
		r.Lost[0].Event != "KycIdentification.Approved" {
		t.Fatalf("after the loss: %+v, %+v", r.Total, r.Lost)
	}
	// A replay would repair it. (Not within two minutes of the first publish: the server still treats the
	// event as a duplicate of the removed one.)
	if results, sum := s.replay(archive.ReplayOptions{DryRun: true}); sum.Results[archive.ResultChanged] != 1 ||
		results[idOf(7)].Result != archive.ResultChanged {
		t.Errorf("replay %+v", sum)
	}
}

func operatorPassword(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "operator-password"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// TestPurge: after one person is erased, no file under the data directory contains the name, number or ids
// of that person, while kycbridge runs and after it has stopped; the data of all others is complete.
func TestPurge(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	const persons = 40
	s.ingest(persons, func(n int) [][]byte {
		return [][]byte{kycHook(n, 1, "Processed", "Awaiting", ""),
			kycHook(n, 2, "Approved", "Approved", "AutomaticallyIdentified")}
	})
	seeds := []string{"Person0000017", "DOC0000017", idv(17), "ref-17\"", "c0000017-0000", "e0000017-0001"}
	if found := filesWith(t, s.dir, seeds); len(found) == 0 {
		t.Fatal("nothing is found before the erasure, so the search proves nothing")
	}
	erased, err := s.app.Archive().Purge(t.Context(), idOf(17), true)
	if err != nil || erased.Payloads != 2 || erased.Events != 2 {
		t.Fatalf("dry run %+v, %v", erased, err)
	}
	if erased, err = s.app.Archive().Purge(t.Context(), idOf(17), false); err != nil || erased.Payloads != 2 ||
		erased.Events != 2 {
		t.Fatalf("%+v, %v", erased, err)
	}
	if found := filesWith(t, s.dir, seeds); len(found) > 0 {
		t.Errorf("while it runs: %v", found)
	}
	if _, err := s.app.State(t.Context(),
		kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(17)}); !errors.Is(err,
		kycbridge.ErrNotFound) {
		t.Errorf("its state: %v", err)
	}
	if again, err := s.app.Archive().Purge(t.Context(), idOf(17), false); err != nil || !again.Empty() ||
		again.Before == nil {
		t.Errorf("erased again: %+v, %v", again, err)
	}
	if _, err := s.app.Archive().Purge(t.Context(), idOf(4711), false); !errors.Is(err, kycbridge.ErrNotFound) {
		t.Errorf("nothing was erased: %v", err)
	}
	if r := s.report(); !r.Sound() || r.Total.Accepted != 2*(persons-1) || r.Total.Events != 2*(persons-1) {
		t.Errorf("the rest: %+v", r.Total)
	}
	for n := range persons {
		state, err := s.app.State(context.Background(),
			kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(n)})
		if n != 17 && (err != nil || state.Decision.Outcome != event.OutcomeApproved) {
			t.Errorf("person %d: %+v, %v", n, state, err)
		}
	}
	s.app.Stop()
	if found := filesWith(t, s.dir, seeds); len(found) > 0 {
		t.Errorf("after it has stopped: %v", found)
	}
}

// filesWith lists the seeds that the files below dir contain, each with its file.
func filesWith(t *testing.T, dir string, seeds []string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
			if info, err := os.Stat(target); err == nil && info.IsDir() {
				found = append(found, filesWith(t, target, seeds)...)
				return nil
			}
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		for _, seed := range seeds {
			if strings.Contains(string(raw), seed) {
				found = append(found, seed+" in "+strings.TrimPrefix(path, dir))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// signature is a signature as Ondato makes it, over time and body.
func signature(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d, s=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

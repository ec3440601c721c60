package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"kycbridge"
)

// largeStart is the total size of a large start, and mayGrow the limit of the memory that it may take in the process.
const (
	largeStart = 60 << 20
	mayGrow    = 24 << 20
)

// receivedForms are the forms that a provider received.
type receivedForms struct {
	length int64 // as declared
	video  [sha256.Size]byte
	photo  string
	user   string
}

// videoKYC is a KwikID that accepts forms and records them.
func videoKYC(t *testing.T) (address string, got chan receivedForms) {
	t.Helper()
	got = make(chan receivedForms, 10)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agentapi/v1/agent/generate_token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Token": "synthetic", "status_code": 200, "success": true}`)
	})
	mux.HandleFunc("POST /appapi/v1/dkyc/push_user_data", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			UserID string `json:"user_id"`
			Data   []struct {
				Forms map[string]map[string]string `json:"user_form_data"`
			} `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
			return
		}
		in := receivedForms{length: r.ContentLength, user: request.UserID}
		for _, step := range request.Data {
			if files := step.Forms["DOCUMENT_COLLECTION"]; files != nil {
				in.video, in.photo = sha256.Sum256([]byte(files["docPerVerVideo"])), files["docPhoto"]
			}
		}
		got <- in
		_, _ = io.WriteString(w, `{"success": true, "session_id": "5e551000-0000-4000-8000-000000000020", "track": {"user_id": "`+request.UserID+`", "session_id": "5e551000-0000-4000-8000-000000000020"}}`)
	})
	mux.HandleFunc("GET /agentapi/v1/session/get_details/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"session_data": {"session_id": "`+r.PathValue("id")+`", "session_status": "waiting"}, "status": 200}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, got
}

// TestAStartWithAVideo: forms with documents and a video of 60 MiB in total reach the provider byte for byte, and the
// process does not hold them in memory: its resident memory hardly grows.
func TestAStartWithAVideo(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("resident memory is read from /proc")
	}
	address, got := videoKYC(t)
	b := newBridge(t, `log: {level: warn}
accounts:
  - name: acme
    provider: kwikid
    environment: test
    api: {base_url: "`+address+`", username: kycbridge01, password: Example0000}
    poll: {interval: 1h}
`)
	b.start(t)
	start := func(video, key string) startAnswer {
		t.Helper()
		const place = `"docPerVerVideo":"https://files.example.com/kyc/video.mp4"`
		whole := `{"provider":"kwikid","account":"acme","external_reference":"case-1","person":{"phone_number":"5550100001"},"options":` + kwikidForms(t) + `}`
		before, after, found := strings.Cut(whole, place)
		if !found {
			t.Fatal("the forms name no video")
		}
		body := io.MultiReader(strings.NewReader(before+`"docPerVerVideo":"`), strings.NewReader(video),
			strings.NewReader(`"`+after))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL(startsPath), body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer ops-token-2e77a1")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return startAnswer{res.StatusCode, res.Header, raw}
	}
	// A small start first, so that memory that every start uses is already allocated.
	if answer := start("QUJD", "key-1"); answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	<-got
	before := status(b.cmd.Process.Pid, "VmHWM")
	part := strings.Repeat("SGVsbG8gd29ybGQhSGVsbG8+/w9+", 1<<10)
	video := strings.Repeat(part, largeStart/len(part))
	began := time.Now()
	answer := start(strings.ReplaceAll(video, "/", `\/`), "key-2") // as some JSON encoders write
	took := time.Since(began)
	after := status(b.cmd.Process.Pid, "VmHWM")
	if answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	in := <-got
	if in.video != sha256.Sum256([]byte(video)) || in.photo != "aW1hZ2U=" || in.user != "case-1" ||
		in.length < int64(len(video)) || in.length > int64(len(video))+64<<10 {
		t.Errorf("%d bytes, photo %q, of %s", in.length, in.photo, in.user)
	}
	t.Logf("a start of %d MiB took %s; resident memory was at most %d MiB before and %d MiB after",
		(len(video)+1<<19)>>20, took.Round(time.Millisecond), before>>20, after>>20)
	if after-before > mayGrow {
		t.Errorf("resident memory grew by %d MiB", (after-before)>>20)
	}
	// The same request again is the same start.
	again := start(strings.ReplaceAll(video, "/", `\/`), "key-2")
	if again.status != http.StatusCreated || again.header.Get("Idempotency-Replayed") != "true" ||
		!bytes.Equal(again.body, answer.body) {
		t.Errorf("%d %s", again.status, again.body)
	}
	if left, err := os.ReadDir(b.dir); err != nil || strings.Contains(fmt.Sprint(left), "start-") {
		t.Errorf("what is left: %v, %v", left, err)
	}
	// A request that is too large is refused with the problem of this limit, and other requests keep their limit.
	api := describedAPI(t)
	tooLarge := start(strings.Repeat("QUJD", 17<<20), "key-3")
	api.wantProblem(t, &world{t: t}, tooLarge, 413, "too_large")
	var receipt kycbridge.StartReceipt
	if err := json.Unmarshal(answer.body, &receipt); err != nil || receipt.Reference == "" || len(got) > 0 {
		t.Errorf("%s, %d more were sent", answer.body, len(got))
	}
}

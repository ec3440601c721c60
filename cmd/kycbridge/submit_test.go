package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
)

// acmeSubmission is a command line about a verification in progress.
func acmeSubmission(command, api string, more ...string) []string {
	return append([]string{command, "--api", api, "--provider", "ondato", "--account", "acme", "--reference", "a/b 1"},
		more...)
}

// TestSubmissions: a submission on the command line reaches the provider unchanged.
func TestSubmissions(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	front, more := textFile(t, "\x89PNG\r\n\x1a\n"), textFile(t, `{"source":"branch"}`)
	png := kycbridge.StepImage{ContentType: "image/png", Body: []byte("\x89PNG\r\n\x1a\n")}
	back := kycbridge.StepImage{ContentType: "text/plain; charset=utf-8", Body: []byte("back")}
	for name, tt := range map[string]struct {
		args   []string
		stdin  string
		stdout string
		want   noted
	}{
		"step": {acmeSubmission("step", api, "--step", "0/1", "--image", front, "--image2", "-", "--additional-data", more),
			"back", "status        submitted\nprovider      {\"ok\":true}\n",
			noted{step: kycbridge.Step{Reference: "a/b 1", StepID: "0/1", Images: []kycbridge.StepImage{png, back},
				Data: json.RawMessage(`{"source":"branch"}`), JSON: true}}},
		"skip": {acmeSubmission("step", api, "--step", "1", "--skip", "--json"), "",
			"{\"provider\":{\"ok\":true},\"status\":\"submitted\"}\n",
			noted{step: kycbridge.Step{Reference: "a/b 1", StepID: "1", Skip: true, JSON: true}}},
		"complete": {acmeSubmission("complete", api), "", "status        submitted\n", noted{completed: "a/b 1"}},
		"review": {acmeSubmission("review", api, "--decision", "approved", "--comment", "Seen in the branch"), "",
			"status        submitted\n",
			noted{review: kycbridge.Review{Reference: "a/b 1", Decision: event.OutcomeApproved, Comment: "Seen in the branch"}}},
		"resubmission": {acmeSubmission("review", api, "--decision", "resubmit", "--resubmit", "0", "--approve", "1",
			"--resubmit", "2"), "", "status        submitted\n",
			noted{review: kycbridge.Review{Reference: "a/b 1", Decision: event.OutcomeResubmit,
				Steps: []kycbridge.StepReview{{StepID: "0", Redo: true}, {StepID: "2", Redo: true}, {StepID: "1"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			b.change(func(n *noted) { *n = noted{} })
			got := typed(t, tt.stdin, nil, tt.args...)
			if got.code != 0 || got.stdout != tt.stdout {
				t.Fatalf("%+v", got)
			}
			if diff := cmp.Diff(tt.want, b.asked(), cmp.AllowUnexported(noted{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSubmissionsRefused: invalid flags and failures are reported with a remedy.
func TestSubmissionsRefused(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	for name, tt := range map[string]struct {
		args []string
		err  error
		says string
	}{
		"no step": {acmeSubmission("step", api, "--skip"), nil, "--step needed"},
		"nothing": {acmeSubmission("step", api, "--step", "0"), nil, "--image or --skip needed"},
		"no such file": {acmeSubmission("step", api, "--step", "0", "--image", "nowhere/front.png"), nil,
			"--image: nowhere/front.png: no such file"},
		"no decision": {acmeSubmission("review", api), nil, "--decision needed"},
		"unknown word": {acmeSubmission("review", api, "--decision", "Approved"), nil,
			`/decision must be one of "approved", "rejected", "resubmit"`},
		"no steps": {acmeSubmission("review", api, "--decision", "resubmit"), nil, "/steps is required"},
		"no reference": {[]string{"complete", "--api", api, "--provider", "ondato", "--account", "acme"}, nil,
			"--reference needed"},
		"nobody there": {acmeSubmission("complete", "http://127.0.0.1:1"), nil, "cannot reach the admin API"},
		"outcome unknown": {acmeSubmission("complete", api), errorOf("inside"),
			"check the verification before you send it again"},
		"not watched": {acmeSubmission("complete", api),
			&kycbridge.UnwatchedError{Receipt: kycbridge.StartReceipt{VerificationID: "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0",
				Reference: "b1"}, Err: errorOf("away")},
			"verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0, reference b1"},
	} {
		t.Run(name, func(t *testing.T) {
			b.change(func(n *noted) { *n = noted{err: tt.err} })
			if got := typed(t, "", nil, tt.args...); got.code == 0 || got.stdout != "" ||
				!strings.Contains(got.stderr, tt.says) {
				t.Errorf("%+v", got)
			}
		})
	}
}

type errorOf string

func (e errorOf) Error() string { return string(e) }

// TestStartWithDocuments: files of options contain documents, which are larger than other files.
func TestStartWithDocuments(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	video := strings.Repeat("QUJD", 1<<20)
	options := textFile(t, `{"forms":[{"video":"`+video+`"}]}`)
	if got := typed(t, "", nil, acmeStart(api, "--options-file", options)...); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if files := b.asked().start.Files; len(files) != 1 || files[0].Size != int64(len(video)) {
		t.Errorf("%d files", len(files))
	}
	if got := typed(t, "", nil, acmeStart(api, "--person-file", options)...); got.code == 0 ||
		!strings.Contains(got.stderr, "is larger than 1 MiB") {
		t.Errorf("%+v", got)
	}
}

package simulate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kwikidLines writes a script as "minute state" and the callbacks' labels.
func kwikidLines(sc script) []string {
	var lines []string
	for _, b := range sc {
		line := b.at.String() + " " + b.state
		for _, label := range b.callbacks {
			line += ", " + label
		}
		lines = append(lines, line)
	}
	return lines
}

func TestKwikIDScriptTable(t *testing.T) {
	call := []string{"0s waiting", "1m0s vkyc_requested", "2m0s agent_alloted", "3m0s kyc_request_accepted"}
	after := func(n int, more ...string) []string { return append(call[:n:n], more...) }
	approved := after(4, "5m0s kyc_result_approved, Maker Approved")
	tests := map[string][]string{
		Approve:    approved,
		Review:     approved,
		Reject:     after(4, "5m0s kyc_result_rejected, Maker Rejected"),
		Flip:       after(4, "5m0s kyc_result_approved, Maker Approved", "20m0s kyc_result_rejected, Maker Rejected"),
		SecondLook: after(4, "5m0s kyc_result_approved, Maker Approved", "15m0s kyc_result_approved, Checker Approved"),
		Abandon:    after(4, "8m0s user_abandoned"),
		Expire:     after(1, "15m0s session_expired"),
		Supersede:  after(2, "10m0s kyc_rejected"),
		Unknown:    after(2, "3m0s vkyc_on_hold_review", "24h0m0s session_expired"),
		Resubmit: after(3, "3m0s kyc_request_rejected", "8m0s agent_alloted", "9m0s kyc_request_accepted",
			"11m0s kyc_result_approved, Maker Approved"),
	}
	for _, person := range People() {
		if diff := cmp.Diff(tests[person], kwikidLines(kwikidScript(person, kwikidValidity))); diff != "" {
			t.Errorf("%s: %s", person, diff)
		}
	}
	short := []string{"0s waiting", "30s session_expired"}
	if diff := cmp.Diff(short, kwikidLines(kwikidScript(Approve, 30*time.Second))); diff != "" {
		t.Errorf("a link that ends before it is opened: %s", diff)
	}
}

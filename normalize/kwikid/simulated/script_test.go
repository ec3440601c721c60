package simulated

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/internal/simulate"
)

// lines writes a script as "minute state" and the callbacks' labels.
func lines(sc simulate.Script) []string {
	var lines []string
	for _, b := range sc {
		line := b.At.String() + " " + b.State
		for _, label := range b.Callbacks {
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
		simulate.Approve: approved,
		simulate.Review:  approved,
		simulate.Reject:  after(4, "5m0s kyc_result_rejected, Maker Rejected"),
		simulate.Flip: after(4, "5m0s kyc_result_approved, Maker Approved",
			"20m0s kyc_result_rejected, Maker Rejected"),
		simulate.SecondLook: after(4, "5m0s kyc_result_approved, Maker Approved",
			"15m0s kyc_result_approved, Checker Approved"),
		simulate.Abandon:   after(4, "8m0s user_abandoned"),
		simulate.Expire:    after(1, "15m0s session_expired"),
		simulate.Supersede: after(2, "10m0s kyc_rejected"),
		simulate.Unknown:   after(2, "3m0s vkyc_on_hold_review", "24h0m0s session_expired"),
		simulate.Resubmit: after(3, "3m0s kyc_request_rejected", "8m0s agent_alloted", "9m0s kyc_request_accepted",
			"11m0s kyc_result_approved, Maker Approved"),
	}
	for _, person := range simulate.People() {
		if diff := cmp.Diff(tests[person], lines(scriptOf(person, validity))); diff != "" {
			t.Errorf("%s: %s", person, diff)
		}
	}
	short := []string{"0s waiting", "30s session_expired"}
	if diff := cmp.Diff(short, lines(scriptOf(simulate.Approve, 30*time.Second))); diff != "" {
		t.Errorf("a link that ends before it is opened: %s", diff)
	}
}

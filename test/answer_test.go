package test

import (
	"fmt"
	"testing"

	"kycbridge"
)

// TestAnswerBeforeItsRequest: a request for resubmission that is processed after its answer leaves the state as if it
// had been processed before it. The first submission after the request is the answer.
func TestAnswerBeforeItsRequest(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	type word struct {
		do string
		at int // slot of its receipt
	}
	for name, c := range map[string]struct {
		words []word
		want  string
	}{
		"a step": {
			[]word{{"submitted", 1}, {"update_required", 0}}, "in_progress/none",
		},
		"a request that was fetched": {
			[]word{{"submitted", 1}, {"result_resubmit", 0}}, "in_progress/none",
		},
		"a rejection between two steps": {
			[]word{{"submitted", 1}, {"submitted", 3}, {"update_required", 0}, {"rejected", 2}}, "completed/rejected",
		},
		"a review between two steps": {
			[]word{{"submitted", 3}, {"submitted", 1}, {"update_required", 0}, {"refer", 2}}, "in_review/review",
		},
		"a rejection before the first step": {
			[]word{{"submitted", 2}, {"submitted", 3}, {"update_required", 0}, {"rejected", 1}}, "in_progress/none",
		},
		"an approval that the request has revoked": {
			[]word{{"submitted", 2}, {"update_required", 1}, {"result_approved", 0}}, "in_progress/none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProductPath(table["idwise"], kycbridge.Settings{})
			for _, w := range c.words {
				if _, err := p.receive(idwise(w.at, act{Do: w.do})); err != nil {
					t.Fatal(err)
				}
			}
			last := p.memoryStore.events[len(p.memoryStore.events)-1].Data
			if got := fmt.Sprintf("%s/%s", last.Status, last.Decision.Outcome); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if last.Payload.Confirmed != (last.Decision.Outcome != "none" && last.StatusDetail == "") {
				t.Errorf("confirmed: %v, with %+v", last.Payload.Confirmed, last.Decision)
			}
		})
	}
}

package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"kycbridge/internal/rest"
)

// ID is text that IDWise writes as a string in one place and as a number in another. Any other value reads as
// "".
type ID string

// UnmarshalJSON accepts either form.
func (id *ID) UnmarshalJSON(raw []byte) error {
	*id = ""
	switch c := raw[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*id = ID(s)
	case c == '-', c >= '0' && c <= '9':
		*id = ID(raw)
	}
	return nil
}

// Flag is a boolean, which may come as text. null is false.
type Flag bool

// UnmarshalJSON accepts either form.
func (f *Flag) UnmarshalJSON(raw []byte) error {
	*f = Flag(string(bytes.Trim(raw, `"`)) == "true")
	return nil
}

// Journey is the answer of StartJourney (https://docs.idwise.com/reference/start-journey-api).
type Journey struct {
	JourneyID     ID            `json:"journey_id"`
	ReferenceNo   ID            `json:"reference_no"`
	IsCompleted   Flag          `json:"is_completed"`
	StepSummaries []StepSummary `json:"step_summaries"`
	Answer        rest.Answer   `json:"-"` // unchanged
}

// Summary is a journey's progress. It contains no decision: IsCompleted means that nothing can be submitted
// any more (https://docs.idwise.com/reference/get-journey-summary).
type Summary struct {
	JourneyID     ID            `json:"journey_id"`
	IsCompleted   Flag          `json:"is_completed"`
	StepSummaries []StepSummary `json:"step_summaries"`
	Answer        rest.Answer   `json:"-"` // unchanged
}

// StepSummary is the progress of one step.
type StepSummary struct {
	Definition struct {
		StepID    ID `json:"step_id"`
		StepType  ID `json:"step_type"`
		StepTitle ID `json:"step_title"`
	} `json:"definition"`
	Result struct {
		HasPassedRules *Flag `json:"has_passed_rules"` // nil: not known yet
		IsConcluded    *Flag `json:"is_concluded"`     // nil: not known yet
		Status         ID    `json:"status"`
		FeedbackCode   ID    `json:"error_user_feedback_code"`
	} `json:"result"`
}

// Result contains IDWise's decisions. A decision may be any text; "" means no decision
// (https://docs.idwise.com/docs/journey-result).
type Result struct {
	JourneyID      ID          `json:"journey_id"`
	SystemDecision ID          `json:"system_decision"`
	ManualDecision ID          `json:"manual_decision"`
	FinalDecision  ID          `json:"final_decision"`
	Answer         rest.Answer `json:"-"` // unchanged
}

// undecided reports whether the journey has no decision yet.
func (r Result) undecided() bool {
	for _, word := range []ID{r.SystemDecision, r.ManualDecision, r.FinalDecision} {
		if word != "" && !strings.EqualFold(string(word), "Incomplete") {
			return false
		}
	}
	return true
}

var errNotJSON = errors.New("the answer is not the JSON that was expected") // the decoder's error may quote it

// decode reads JSON and omits members of another type than expected.
func decode(body []byte, v any) error {
	err := json.Unmarshal(rest.Answer{Body: body}.JSON(), v)
	var other *json.UnmarshalTypeError
	if err == nil || errors.As(err, &other) && other.Field != "" {
		return nil
	}
	return errNotJSON
}

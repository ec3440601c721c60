package signzy

import (
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are the settings of an account that only Signzy has.
type Settings struct {
	Policy   map[string]float64 // thresholds that turn evidence into a verdict, by key; empty: none
	Overlook []string           // types of checks that the policy overlooks
	// FlowStatuses map statuses that Signzy has not published to statuses of kycbridge, as the operator
	// configured them. The target is never completed.
	FlowStatuses map[string]string
	BackOffice   bool // callbacks of the back office are accepted
}

// overlookKey is the key of a policy that contains no threshold but the types of checks that do not count
// against an approval.
const overlookKey = "overlook"

// settings returns the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{
		PolicySetting(PolicyKeys(), Overlookable()).WithExample(normalize.Table{"min_face_match": 0.9}),
		normalize.Words("flow_statuses", checkFlowStatus).WithExample(map[string]string{
			"IN_PROGRESS": "requires_input", "EXPIRED": "requires_input",
		}),
		normalize.Flag("back_office").Confirmed(),
	}
}

// PolicySetting is the key policy, for a mapping that has these thresholds and lets an operator overlook these
// types of checks.
func PolicySetting(thresholds, overlookable []string) normalize.Setting {
	names := append(slices.Clip(thresholds), overlookKey)
	return normalize.Numbers("policy", []string{overlookKey}, func(policy normalize.Table) (faults []normalize.Fault) {
		bounds := policy.Numbers()
		for _, name := range policy.Names() {
			switch bound := bounds[name]; {
			case !slices.Contains(names, name):
				faults = append(faults, normalize.Fault{At: []any{name}, Problem: "unknown key", Word: name, Known: names})
			case bound < 0 || bound > 1:
				faults = append(faults, normalize.Fault{
					At: []any{name}, Problem: "is out of 0 to 1", Remedy: "write a threshold such as 0.8",
				})
			}
		}
		for i, check := range policy.List(overlookKey) {
			if !slices.Contains(overlookable, check) {
				faults = append(faults, normalize.Fault{
					At: []any{overlookKey, i}, Problem: "is no check that a policy may pass over",
					Remedy: "write some of " + strings.Join(overlookable, ", "),
				})
			}
		}
		if len(policy) > 0 && len(bounds) == 0 {
			faults = append(faults, normalize.Fault{
				Problem: "has no threshold, so it decides nothing",
				Remedy:  "write one such as min_face_match: 0.8, or remove policy",
			})
		}
		return faults
	})
}

// checkFlowStatus refuses completed: an operator's mapping must never produce a verdict.
func checkFlowStatus(status string) []normalize.Fault {
	known := []string{
		"created", "in_progress", "processing", "in_review", "requires_input", "expired", "abandoned", "canceled", "failed",
	}
	switch {
	case status == "completed":
		return []normalize.Fault{{
			Problem: "completed is the provider's to say", Remedy: "write one of " + strings.Join(known, ", "),
		}}
	case !slices.Contains(known, status):
		return []normalize.Fault{{Problem: "is none of our statuses", Word: status, Known: known}}
	}
	return nil
}

// decodeSettings makes Settings from the configured values.
func decodeSettings(values map[string]any) any {
	v := normalize.Values(values)
	policy := v.Table("policy")
	return Settings{
		Policy: policy.Numbers(), Overlook: policy.List(overlookKey), FlowStatuses: v.Words("flow_statuses"),
		BackOffice: v.Flag("back_office"),
	}
}

// own returns the settings of Signzy among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

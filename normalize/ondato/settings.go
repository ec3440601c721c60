package ondato

import (
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are the settings of an account that only Ondato has.
type Settings struct {
	ManualReview   bool     // the setup sends every identification to a reviewer
	ApplicationIDs []string // the applications whose envelopes are accepted; empty: any
}

// settings returns the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{
		normalize.Flag("manual_review"), normalize.Texts("application_ids", "write the id or remove it"),
	}
}

// decodeSettings converts the configured values into Settings.
func decodeSettings(values map[string]any) any {
	v := normalize.Values(values)
	return Settings{ManualReview: v.Flag("manual_review"), ApplicationIDs: v.Texts("application_ids")}
}

// own returns the Ondato settings of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

// foreign states why an account does not accept the envelopes of an application; "" if it does. All ids of an
// envelope must be accepted.
func foreign(own any, application string) (why string) {
	settings, _ := own.(Settings)
	ours := settings.ApplicationIDs
	other := func(id string) bool {
		return !slices.ContainsFunc(ours, func(our string) bool { return strings.EqualFold(our, id) })
	}
	if len(ours) > 0 && slices.ContainsFunc(strings.Split(application, betweenIDs), other) {
		return "comes from an application that application_ids does not name"
	}
	return ""
}

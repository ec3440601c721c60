package ondato

import (
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are what an account says of Ondato alone.
type Settings struct {
	ManualReview   bool     // the setup sends every identification to a reviewer
	ApplicationIDs []string // whose envelopes are taken; empty: any
}

// settings are the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{
		normalize.Flag("manual_review"), normalize.Texts("application_ids", "write the id or remove it"),
	}
}

// decodeSettings makes Settings of what was configured.
func decodeSettings(values map[string]any) any {
	v := normalize.Values(values)
	return Settings{ManualReview: v.Flag("manual_review"), ApplicationIDs: v.Texts("application_ids")}
}

// own are the settings of Ondato among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

// foreign reports whether an envelope is of an application that the account does not take envelopes of.
func foreign(own any, application string) bool {
	settings, _ := own.(Settings)
	ours := settings.ApplicationIDs
	return len(ours) > 0 && !slices.ContainsFunc(ours, func(id string) bool { return strings.EqualFold(id, application) })
}

package idwise

import (
	"kycbridge"
	"kycbridge/normalize"
)

// Settings are the settings of an account that only IDWise has.
type Settings struct {
	RenewalOverdue string // the effect of an overdue renewal: expire or keep; "": expire
}

// settings returns the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{normalize.Word("renewal_overdue", "expire", renewalKeep).WithExample(renewalKeep)}
}

// decodeSettings makes Settings from the configured values.
func decodeSettings(values map[string]any) any {
	return Settings{RenewalOverdue: normalize.Values(values).Text("renewal_overdue")}
}

// own returns the settings of IDWise among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

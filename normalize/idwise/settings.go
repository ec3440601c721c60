package idwise

import (
	"kycbridge"
	"kycbridge/normalize"
)

// Settings are what an account says of IDWise alone.
type Settings struct {
	RenewalOverdue string // what an overdue renewal does: expire, or keep; "": expire
}

// settings are the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{normalize.Word("renewal_overdue", "expire", renewalKeep).WithExample(renewalKeep)}
}

// decodeSettings makes Settings of what was configured.
func decodeSettings(values map[string]any) any {
	return Settings{RenewalOverdue: normalize.Values(values).Text("renewal_overdue")}
}

// own are the settings of IDWise among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

package verident

import (
	"strings"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are what an account says of Verident alone.
type Settings struct {
	ReferencePrefix string // what our caller puts before its references; taken off again
}

// settings are the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{normalize.Text("reference_prefix", checkPrefix).WithExample("case-")}
}

func checkPrefix(prefix string) []normalize.Fault {
	if len(prefix) <= 16 && !strings.ContainsAny(prefix, " /") {
		return nil
	}
	return []normalize.Fault{{Problem: "is no prefix of a reference", Remedy: "write at most 16 characters, no spaces"}}
}

// decodeSettings makes Settings of what was configured.
func decodeSettings(values map[string]any) any {
	return Settings{ReferencePrefix: normalize.Values(values).Text("reference_prefix")}
}

// own are the settings of Verident among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

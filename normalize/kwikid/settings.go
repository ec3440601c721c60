package kwikid

import (
	"regexp"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are what an account says of KwikID alone.
type Settings struct {
	Checker bool   // maker-checker is in use
	Country string // ISO 3166-1 alpha-2, of phone numbers without a prefix; "": IN
}

// settings are the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{normalize.Flag("checker"), normalize.Text("country", checkCountry).WithExample("LT")}
}

func checkCountry(country string) []normalize.Fault {
	if regexp.MustCompile(`^[A-Z]{2}$`).MatchString(country) {
		return nil
	}
	return []normalize.Fault{{Problem: "is no country of two capital letters", Remedy: "write one such as IN"}}
}

// decodeSettings makes Settings of what was configured.
func decodeSettings(values map[string]any) any {
	v := normalize.Values(values)
	return Settings{Checker: v.Flag("checker"), Country: v.Text("country")}
}

// own are the settings of KwikID among those of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

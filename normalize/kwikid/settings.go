package kwikid

import (
	"regexp"

	"kycbridge"
	"kycbridge/normalize"
)

// Settings are the settings of an account that only KwikID has.
type Settings struct {
	Checker bool   // maker-checker is in use
	Country string // ISO 3166-1 alpha-2, of phone numbers without a country code; "": IN
}

// settings returns the keys of the configuration.
func settings() []normalize.Setting {
	return []normalize.Setting{normalize.Flag("checker"), normalize.Text("country", checkCountry).WithExample("LT")}
}

func checkCountry(country string) []normalize.Fault {
	if regexp.MustCompile(`^[A-Z]{2}$`).MatchString(country) {
		return nil
	}
	return []normalize.Fault{{Problem: "is no country of two capital letters", Remedy: "write one such as IN"}}
}

// decodeSettings converts the configured values into Settings.
func decodeSettings(values map[string]any) any {
	v := normalize.Values(values)
	return Settings{Checker: v.Flag("checker"), Country: v.Text("country")}
}

// own returns the KwikID settings of an account.
func own(s kycbridge.Settings) Settings {
	o, _ := s.Own.(Settings)
	return o
}

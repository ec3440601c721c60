package app

import (
	"kycbridge/internal/simulate"
	"kycbridge/normalize"
	"kycbridge/normalize/idwise"
	"kycbridge/normalize/kwikid"
	"kycbridge/normalize/ondato"
	"kycbridge/normalize/signzy"
)

// providers is the only table of providers: to add a provider, add its files and one line here.
func providers() []normalize.Entry {
	return []normalize.Entry{
		signzy.Entry(),
		ondato.Entry(),
		idwise.Entry(),
		kwikid.Entry(),
	}
}

// Simulated are the simulated providers, one of each provider that has one.
func Simulated() (out []simulate.Provider) {
	for _, p := range providers() {
		if p.Simulated != nil {
			out = append(out, p.Simulated())
		}
	}
	return out
}

// ProviderCatalog is the part of the table of providers that the configuration needs.
func ProviderCatalog() Catalog {
	c := Catalog{
		AuthKeys: map[string][]string{}, Placements: map[string][]string{}, Settings: map[string][]normalize.Setting{},
		APIKeys: map[string][]string{}, APINeeds: map[string][]string{}, APIWords: map[string]map[string][]string{},
		ConfirmByDefault: map[string]bool{}, Setups: map[string]normalize.Setup{},
	}
	for _, p := range providers() {
		c.Names = append(c.Names, p.Name)
		c.AuthKeys[p.Name], c.Placements[p.Name], c.Settings[p.Name] = p.Auth, p.Placements, p.Settings
		c.APIKeys[p.Name], c.APINeeds[p.Name], c.APIWords[p.Name] = p.APIKeys, p.APINeeds, p.APIWords
		c.Setups[p.Name], c.ConfirmByDefault[p.Name] = p.Setup, p.ConfirmByDefault
	}
	return c
}

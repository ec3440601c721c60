package app

import (
	"kycbridge/test/fixture"
)

// DemoConfig is a configuration for synthetic payloads only: one account a case, named after it,
// that key admits; ports of the system's choice; everything below dir.
func DemoConfig(dir, key string, cases []fixture.Case) *Config {
	c := defaults()
	c.Listen, c.Admin.Listen, c.Embedded.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = dir
	confirm := false
	for _, one := range cases {
		s := one.Settings
		c.Accounts = append(c.Accounts, Account{
			Name: one.Name, Provider: one.Provider, Environment: "test",
			Auth: Auth{Bearer: []Secret{Secret(key)}}, PII: string(one.Profile), Confirm: &confirm,
			Checker: s.Checker, ManualReview: s.ManualReview, RenewalOverdue: s.RenewalOverdue,
			TrustFramework: one.Trust, Policy: s.Policy, FlowStatuses: s.FlowStatuses,
		})
	}
	return &c
}

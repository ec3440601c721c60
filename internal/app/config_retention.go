package app

import (
	"fmt"
	"time"

	"kycbridge"
)

// Age is a duration that may be written in days, such as 30d. 0: forever.
type Age time.Duration

// MarshalYAML returns the form that the configuration file uses.
func (a Age) MarshalYAML() (any, error) {
	d, day := time.Duration(a), 24*time.Hour
	if d == 0 {
		return 0, nil
	}
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day), nil
	}
	return d.String(), nil
}

// Retention is how long data is kept, by class.
type Retention struct {
	Payloads   Age `yaml:"payloads"`
	Quarantine Age `yaml:"quarantine"`
	Refused    Age `yaml:"refused"`
	Events     Age `yaml:"events"`
	Starts     Age `yaml:"starts"`
}

// AccountRetention replaces the retention of an account; an unset class is not replaced.
type AccountRetention struct {
	Payloads *Age `yaml:"payloads,omitempty"`
	Events   *Age `yaml:"events,omitempty"`
}

// defaultRetention is the retention without configuration.
func defaultRetention() Retention {
	d := kycbridge.DefaultRetention()
	return Retention{Payloads: Age(d.Payloads), Quarantine: Age(d.Quarantine), Refused: Age(d.Refused),
		Events: Age(d.Events), Starts: Age(d.Starts)}
}

// retention creates the domain's retention from c.
func (c *Config) retention() kycbridge.Retention {
	r := c.Retention
	out := kycbridge.Retention{Payloads: time.Duration(r.Payloads), Quarantine: time.Duration(r.Quarantine),
		Refused: time.Duration(r.Refused), Events: time.Duration(r.Events), Starts: time.Duration(r.Starts),
		Accounts: map[kycbridge.AccountKey]kycbridge.AccountRetention{}}
	for _, a := range c.Accounts {
		if a.Retention == (AccountRetention{}) {
			continue
		}
		out.Accounts[kycbridge.AccountKey{Provider: a.Provider, Account: a.Name}] = kycbridge.AccountRetention{
			Payloads: (*time.Duration)(a.Retention.Payloads), Events: (*time.Duration)(a.Retention.Events)}
	}
	return out
}

// shortestServerAge is the shortest retention that a server enforces here: it must exceed the time for which the
// server recognizes duplicates.
const shortestServerAge = time.Hour

// retention checks how long data is kept.
func (c checker) retention() {
	c.serverAge("retention.refused", c.config.Retention.Refused)
	c.serverAge("retention.starts", c.config.Retention.Starts)
	r := c.config.retention()
	c.eventsOutlast("retention.events", r, kycbridge.AccountKey{})
	for i, a := range c.config.Accounts {
		if a.Retention != (AccountRetention{}) {
			c.eventsOutlast(item("accounts", i)+".retention", r, kycbridge.AccountKey{Provider: a.Provider, Account: a.Name})
		}
	}
}

// serverAge checks a retention that a server enforces.
func (c checker) serverAge(key string, age Age) {
	if age > 0 && time.Duration(age) < shortestServerAge {
		c.fault(key, "is too short", "write 1h or more, or 0 for ever")
	}
}

// eventsOutlast refuses a retention that erases events before their payloads: the payloads would seem to have led
// to no event.
func (c checker) eventsOutlast(key string, r kycbridge.Retention, a kycbridge.AccountKey) {
	events, payloads := r.Of(kycbridge.ClassEvents, a), r.Of(kycbridge.ClassPayloads, a)
	if events > 0 && (payloads == 0 || events < payloads) {
		c.fault(key, "keeps events for less time than their payloads", "keep events for as long, or write 0 for ever")
	}
}

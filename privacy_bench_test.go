package kycbridge

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"kycbridge/event"
)

// BenchmarkFinish measures the privacy processing of an event, over the event of a fixture.
func BenchmarkFinish(b *testing.B) {
	for _, name := range []string{"signzy/get-journey-completed-full", "ondato/kyc-identification-approved",
		"kwikid/get-details-approved", "idwise/journey-result-complete"} {
		raw, err := os.ReadFile(filepath.Join("test/fixture/testdata", name, "golden.json"))
		if err != nil {
			b.Fatal(err)
		}
		var golden event.Event
		if err := json.Unmarshal(raw, &golden); err != nil || golden.Data.Checks == nil {
			b.Fatalf("%s: %v", name, err)
		}
		f := Fact{Account: &Account{Profile: event.ProfileFull, Environment: event.EnvironmentTest},
			Observation: Observation{EventName: golden.Data.Provider.Event.Name}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := Revision{Data: golden.Data}
				finish(&d, f)
			}
		})
	}
}

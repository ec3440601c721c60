package test

import (
	"context"
	"errors"
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// The fuzz targets pass arbitrary bodies through the whole path of one provider: decode, identify, validate, map,
// lifecycle, check. Nothing may panic; a body is stored, quarantined or refused with a reason; and an event from it
// satisfies the closed schema.

func FuzzPathSignzy(f *testing.F) { fuzzPath(f, "signzy") }
func FuzzPathOndato(f *testing.F) { fuzzPath(f, "ondato") }
func FuzzPathIDWise(f *testing.F) { fuzzPath(f, "idwise") }
func FuzzPathKwikID(f *testing.F) { fuzzPath(f, "kwikid") }

func fuzzPath(f *testing.F, provider string) {
	f.Helper()
	set, err := schemas.New()
	if err != nil {
		f.Fatal(err)
	}
	closed, err := schemas.Closed()
	if err != nil {
		f.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		if c.Provider == provider {
			f.Add(c.Body, c.Via == event.ViaCallback, false)
			f.Add(c.Body, c.Via == event.ViaCallback, true)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, callback, strict bool) {
		c := fixture.Case{Provider: provider, Profile: event.ProfileFull, Via: event.ViaPoll, Body: body}
		if callback {
			c.Via = event.ViaCallback
		}
		if strict { // the other value of every setting
			c.Profile, c.Trust = event.ProfileMasked, "any"
			if others := variants[provider]; len(others) > 1 {
				c.Own = others[1]
			}
		}
		p := newPath(set, c)
		ctx := context.Background()
		receipt, err := p.intake.Ingest(ctx, p.account, kycbridge.Payload{Via: c.Via, ReceivedAt: received, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Status == kycbridge.ReceiptQuarantined {
			if len(receipt.Errors) == 0 || p.memory.stored != nil {
				t.Fatalf("quarantined without a reason, or stored all the same: %+v", receipt)
			}
			return
		}
		done, err := p.normalizer.Process(ctx, *p.memory.stored)
		if errors.Is(err, kycbridge.ErrUnmappable) {
			t.Logf("valid, but: %v", err) // it is quarantined later, so this is not a fault
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if done.Event == nil {
			return
		}
		doc, faults := document.Decode(p.memory.event)
		if len(faults) == 0 {
			faults = closed.Validate(doc)
		}
		for _, fault := range faults {
			t.Errorf("closed schema: %s: %s", fault.Path, fault.Message)
		}
	})
}

package verident

import (
	"testing"

	"kycbridge/test/admission"
)

func FuzzVerify(f *testing.F) { admission.Fuzz(f, Verify) }

// TestVerifyRefuses: what the Verify of every provider has to refuse.
func TestVerifyRefuses(t *testing.T) { admission.Refuses(t, Verify) }

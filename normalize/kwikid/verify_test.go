package kwikid

import (
	"net/http"
	"testing"

	"kycbridge/test/admission"
)

func TestVerify(t *testing.T) { admission.Run(t, Verify, admission.Common()) }

func FuzzVerify(f *testing.F) { admission.Fuzz(f, Verify) }

// TestVerifyRefuses checks what the Verify of every provider must refuse.
func TestVerifyRefuses(t *testing.T) { admission.Refuses(t, Verify) }

func BenchmarkVerify(b *testing.B) {
	admission.Bench(b, Verify, "header", func(_ string) http.Header {
		return http.Header{"X-Custom": {admission.FixedHeader}}
	})
}

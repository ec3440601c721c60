package publisher

import (
	"testing"
	"time"

	"kycbridge"
)

// TestALongerRetentionKeepsTheRecords: what belongs to a payload is kept for as long as the payload when a reload keeps
// payloads for longer. A shorter retention removes nothing before the next start.
func TestALongerRetentionKeepsTheRecords(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	account := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	keeps := func(age time.Duration) kycbridge.Retention {
		r := kycbridge.DefaultRetention()
		r.Accounts = map[kycbridge.AccountKey]kycbridge.AccountRetention{account: {Payloads: &age}}
		return r
	}
	usual, years := kycbridge.DefaultRetention().Payloads, 5*365*24*time.Hour
	for _, c := range []struct{ age, want time.Duration }{
		{time.Hour, usual + recordsLonger}, {years, years + recordsLonger}, {time.Hour, years + recordsLonger}, {0, 0}} {
		store.KeepLonger(keeps(c.age))
		_, err := store.Repair(t.Context())
		must(t, err)
		stream, err := store.js.Stream(t.Context(), testNames.dispositions())
		must(t, err)
		if got := stream.CachedInfo().Config.MaxAge; got != c.want {
			t.Errorf("payloads for %s: dispositions for %s, want %s", c.age, got, c.want)
		}
	}
	if store.longestShelf() != 0 {
		t.Errorf("ids for %s", store.longestShelf())
	}
}

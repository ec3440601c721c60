package publisher

import (
	"fmt"
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

// TestTheLongestRetentionRemains: of two processes with different retentions, the one with the shorter one does not
// shorten the age limits of the streams while it runs.
func TestTheLongestRetentionRemains(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	usual := kycbridge.DefaultRetention()
	shorter, longer := usual, usual
	shorter.Payloads, shorter.Refused, shorter.Starts = usual.Payloads/3, usual.Refused/3, usual.Starts/3
	longer.Payloads, longer.Refused, longer.Starts = 3*usual.Payloads, 3*usual.Refused, 3*usual.Starts
	var stores []*Store
	for i, retention := range []kycbridge.Retention{shorter, longer} {
		store, err := OpenStore(t.Context(), connect(t, server, fmt.Sprint("process ", i)), testNames, testMaxBody, 1,
			retention)
		must(t, err)
		t.Cleanup(store.Close)
		stores = append(stores, store)
	}
	for _, store := range []*Store{stores[0], stores[1], stores[0]} {
		_, err := store.Repair(t.Context())
		must(t, err)
		for name, want := range map[string]time.Duration{testNames.dispositions(): longer.Payloads + recordsLonger,
			testNames.refused(): longer.Refused, testNames.starts(): longer.Starts} {
			stream, err := store.js.Stream(t.Context(), name)
			must(t, err)
			if got := stream.CachedInfo().Config.MaxAge; got != want {
				t.Errorf("%s keeps its messages for %s, want %s", name, got, want)
			}
		}
	}
}

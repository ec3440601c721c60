package publisher

import (
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/archive"
)

// TestRetentionOfAccountsOfAnotherProcess: processes with different accounts share a store. What one keeps for longer,
// or for ever, the others do not remove, also not after a start without the account in any of them. An account whose
// retention nobody has recorded is removed.
func TestRetentionOfAccountsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server, long, bus := start(t, t.TempDir())
	short, _ := openStreams(t, server)
	account := func(name string) kycbridge.AccountKey {
		return kycbridge.AccountKey{Provider: "ondato", Account: name}
	}
	ever, hour := time.Duration(0), time.Hour
	must(t, long.ShareRetention(t.Context(), []kycbridge.AccountKey{account("ever"), account("hour"), account("brief")},
		kycbridge.Retention{Payloads: time.Minute, Quarantine: 20 * time.Millisecond,
			Accounts: map[kycbridge.AccountKey]kycbridge.AccountRetention{
				account("ever"): {Quarantine: &ever}, account("hour"): {Payloads: &hour, Quarantine: &hour}}}))
	for _, name := range []string{"ever", "hour", "brief", "own"} {
		p := payload("idv-"+name, "e-"+name, `{"a": 1}`)
		p.Account = name
		must(t, long.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil))
	}
	time.Sleep(1100 * time.Millisecond) // a retention is recorded in seconds
	tool := &archive.Archive{Accounts: kycbridge.Accounts{account("own"): {}}, Shelves: short, ShelfWriter: short,
		DispositionLog: short, Holds: short, Claims: short, Ageing: short, Events: bus, Bus: bus, Now: time.Now,
		Retention: kycbridge.Retention{Payloads: time.Millisecond, Quarantine: time.Millisecond}}
	_, err := tool.Retain(t.Context(), false, true)
	must(t, err)
	left := map[string]bool{}
	for _, k := range kept(t, short, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
		left[k.Account] = true
	}
	if !left["ever"] || !left["hour"] || left["brief"] || left["own"] {
		t.Errorf("left are the payloads of %v, want ever and hour", left)
	}
	got, err := short.Retentions(t.Context())
	must(t, err)
	if d := got[account("hour")]; d.Payloads == nil || *d.Payloads != time.Hour || *d.Quarantine != time.Hour {
		t.Errorf("recorded: %+v", d)
	}
}

// TestWhatDescribesPayloadsLastsAsLong: the dispositions of payloads that another process keeps for longer are kept, by
// a start with a shorter retention and beside it. They become shorter when no older payload is left.
func TestWhatDescribesPayloadsLastsAsLong(t *testing.T) {
	t.Parallel()
	server, long, _ := start(t, t.TempDir())
	limit := func() time.Duration {
		stream, err := long.js.Stream(t.Context(), testNames.dispositions())
		must(t, err)
		return stream.CachedInfo().Config.MaxAge
	}
	years := 5 * 365 * 24 * time.Hour
	r := kycbridge.Retention{Payloads: years, Quarantine: years}
	must(t, long.ShareRetention(t.Context(), []kycbridge.AccountKey{{Provider: "ondato", Account: "acme"}}, r))
	_, err := long.Repair(t.Context())
	must(t, err)
	if got := limit(); got != years+recordsLonger {
		t.Fatalf("dispositions are kept for %s", got)
	}

	_, err = long.Append(t.Context(), payload("idv-1", "e1", "{}"))
	must(t, err)
	time.Sleep(50 * time.Millisecond)
	short := dispositionsFor(20 * time.Millisecond)
	_, err = long.ensure(t.Context(), short)
	must(t, err)
	if got := limit(); got != years+recordsLonger {
		t.Errorf("a start with a shorter retention: dispositions are kept for %s", got)
	}
	must(t, long.payloadLog.Purge(t.Context()))
	_, err = long.ensure(t.Context(), short)
	must(t, err)
	if got := limit(); got != short.config.MaxAge {
		t.Errorf("without an older payload: dispositions are kept for %s", got)
	}

	_, err = long.ensure(t.Context(), dispositionsFor(duplicateWindow))
	must(t, err)
	other, _ := openStreams(t, server)
	must(t, other.ShareRetention(t.Context(), nil, kycbridge.DefaultRetention()))
	_, err = other.Repair(t.Context())
	must(t, err)
	if got := limit(); got != years+recordsLonger {
		t.Errorf("beside a process with a longer retention: dispositions are kept for %s", got)
	}
}

// dispositionsFor is the stream of dispositions for a retention of payloads.
func dispositionsFor(age time.Duration) (of stream) {
	for _, s := range storeStreams(testNames, testMaxBody, 1, kycbridge.Retention{Payloads: age}) {
		if s.config.Name == testNames.dispositions() {
			of = s
		}
	}
	of.config.MaxAge = age + recordsLonger
	return of
}

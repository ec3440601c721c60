package publisher

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"kycbridge"
)

func TestOldestPayload(t *testing.T) {
	_, store, _ := start(t, t.TempDir())
	oldest := func() time.Duration {
		age, err := store.OldestPayload(t.Context())
		must(t, err)
		return age
	}
	if age := oldest(); age != 0 {
		t.Errorf("an empty log is %s old", age)
	}
	append1 := time.Now()
	_, err := store.Append(t.Context(), payload("idv-1", "e1", "{}"))
	must(t, err)
	eventually(t, "the first has an age", func() bool { return oldest() > 400*time.Millisecond })
	append2 := time.Now()
	_, err = store.Append(t.Context(), payload("idv-2", "e2", "{}"))
	must(t, err)
	if age := oldest(); age < 300*time.Millisecond || age > time.Since(append1)+100*time.Millisecond {
		t.Errorf("without a consumer the first is %s old", age)
	}

	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 2, Log: zaptest.NewLogger(t), Hold: func() bool { return true },
			Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				if p.ID == "ondato.acme.e2" {
					<-release
				}
				return kycbridge.Disposition{Revision: 1}, 0
			}})
	})
	eventually(t, "the second is the oldest", func() bool {
		age := oldest()
		return age > 0 && age <= time.Since(append2)+100*time.Millisecond && age < time.Since(append1)-300*time.Millisecond
	})
	close(release)
	eventually(t, "none is left", func() bool { return oldest() == 0 })
	cancel()
	running.Wait()
}

func TestOldestDueIsPerAccount(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	w := watch("session-1")
	account := kycbridge.AccountKey{Provider: w.Provider, Account: w.Account}
	oldest := func(a kycbridge.AccountKey) time.Duration {
		age, err := store.OldestDue(t.Context(), a)
		must(t, err)
		return age
	}
	must(t, store.Schedule(t.Context(), watch("session-2"), time.Now().Add(time.Hour)))
	if age := oldest(account); age != 0 {
		t.Errorf("what is not due yet is %s late", age)
	}
	must(t, store.Schedule(t.Context(), w, time.Now().Add(-time.Second)))
	eventually(t, "it is late", func() bool { return oldest(account) > 300*time.Millisecond })
	if age := oldest(kycbridge.AccountKey{Provider: w.Provider, Account: "other"}); age != 0 {
		t.Errorf("another account is %s late", age)
	}
	consumeDue(t, store, func(context.Context, kycbridge.Watch) error { return nil })
	eventually(t, "nothing is late", func() bool { return oldest(account) == 0 })
}

func TestDiskUsage(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	before, err := server.Disk()
	must(t, err)
	if before.Free == 0 || before.Size <= before.Free {
		t.Errorf("%+v", before)
	}
	_, err = store.Append(t.Context(), payload("idv-1", "e1", `{"pad":"`+strings.Repeat("x", 100_000)+`"}`))
	must(t, err)
	after, err := server.Disk()
	must(t, err)
	if grown := after.Stored - before.Stored; grown < 100_000 || grown > 200_000 {
		t.Errorf("100 kB more are %d bytes", grown)
	}
}

package publisher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// TestDamageBesideAServer damages the newest file of a stream while the server uses it: the next message, or the next
// look after a second at most, says so, and nothing is reported as stored from then on.
func TestDamageBesideAServer(t *testing.T) {
	t.Parallel()
	replaced := func(content func(raw []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, block string) {
			raw, err := os.ReadFile(block)
			must(t, err)
			must(t, os.WriteFile(block+".other", content(raw), 0o600))
			must(t, os.Rename(block+".other", block))
		}
	}
	rewritten := func(content func(raw []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, block string) {
			raw, err := os.ReadFile(block)
			must(t, err)
			must(t, os.WriteFile(block, content(raw), 0o600))
		}
	}
	half := func(raw []byte) []byte { return raw[:len(raw)/2] }
	for name, harm := range map[string]func(t *testing.T, block string){
		"cut":                       rewritten(half),
		"cut by a few bytes":        rewritten(func(raw []byte) []byte { return raw[:len(raw)-3] }),
		"emptied":                   rewritten(func([]byte) []byte { return nil }),
		"removed":                   func(t *testing.T, block string) { must(t, os.Remove(block)) },
		"folder removed":            func(t *testing.T, block string) { must(t, os.RemoveAll(filepath.Dir(block))) },
		"replaced by an older copy": replaced(half),
		"replaced by a copy":        replaced(func(raw []byte) []byte { return raw }),
		"end overwritten": rewritten(func(raw []byte) []byte {
			return append(raw[:len(raw)-8:len(raw)-8], "overwrit"...)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			server, store, _ := start(t, dir)
			for i := range 30 {
				_, err := store.Append(t.Context(), payload("idv", fmt.Sprint("e", i), `{"n":"`+strings.Repeat("x", 500)+`"}`))
				must(t, err)
			}
			harm(t, newestBlock(t, dir, testNames.payloads()))
			for i := range 3 {
				_, err := store.Append(t.Context(), payload("idv", fmt.Sprint("later", i), `{}`))
				if err == nil {
					t.Errorf("payload %d after the damage is reported as stored", i)
				}
			}
			if _, why := server.Stopped(); !errors.Is(why, ErrDamaged) || store.Ready(t.Context()) == nil {
				t.Errorf("the server goes on: %v", why)
			}
		})
	}
}

// TestDamageOfAnIdleStream: nothing is written into the damaged stream.
func TestDamageOfAnIdleStream(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{testNames.holds(), testNames.tombstones(), testNames.events(), testNames.quarantine(),
		testNames.dispositions()} {
		t.Run(stream, func(t *testing.T) {
			dir := t.TempDir()
			stocked(t, dir)
			server, store, _ := start(t, dir)
			_, err := store.Append(t.Context(), payload("idv", "e-new", `{}`))
			must(t, err)
			time.Sleep(lookInterval)
			block := newestBlock(t, dir, stream)
			info, err := os.Stat(block)
			must(t, err)
			if info.Size() == 0 {
				t.Skip("it has no message")
			}
			must(t, os.Truncate(block, info.Size()/2))
			eventually(t, "the server says why it has to be restarted", func() bool {
				_, why := server.Stopped()
				return errors.Is(why, ErrDamaged) && strings.Contains(why.Error(), stream)
			})
		})
	}
}

// TestRemovedStream: an operator removes a stream, which is no damage, and somebody removes the folder of another one.
func TestRemovedStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, _ := start(t, dir)
	must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato", Account: "acme",
		VerificationID: "00000000-0000-5000-8000-000000000001"}))
	_, err := store.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	must(t, err)
	_, err = store.js.Publish(t.Context(), "other", []byte("message"))
	must(t, err)
	time.Sleep(2 * lookInterval)
	must(t, store.js.DeleteStream(t.Context(), "OTHER"))
	time.Sleep(3 * lookInterval)
	if _, why := server.Stopped(); why != nil {
		t.Fatalf("a removed stream stops the server: %v", why)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "jetstream", ownAccount, "streams", testNames.tombstones())))
	eventually(t, "the server says why it has to be restarted", func() bool {
		_, why := server.Stopped()
		return errors.Is(why, ErrDamaged) && strings.Contains(why.Error(), testNames.tombstones())
	})
}

// TestErasingIsNoDamage: while messages are stored, the server erases, expires and purges others, which rewrites,
// shortens and removes its files.
func TestErasingIsNoDamage(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	body := `{"n":"` + strings.Repeat("x", 100<<10) + `"}`
	for i := range 300 {
		_, err := store.Append(t.Context(), payload("idv", fmt.Sprint("e", i), body))
		must(t, err)
		info, err := store.payloadLog.Info(t.Context())
		must(t, err)
		last := info.State.LastSeq
		switch {
		case i%7 == 0:
			must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, last, true))
		case i%3 == 0:
			must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, last, false))
		case i%100 == 50:
			must(t, store.payloadLog.Purge(t.Context()))
		case i == 220:
			for seq := uint64(1); seq <= last; seq++ {
				_ = store.Erase(t.Context(), kycbridge.ShelfPayloads, seq, seq%2 == 0)
			}
		}
	}
	time.Sleep(2 * lookInterval)
	if _, why := server.Stopped(); why != nil || store.Ready(t.Context()) != nil {
		t.Errorf("a healthy server is stopped: %v", why)
	}
}

// newestBlock is the newest file of a stream.
func newestBlock(t *testing.T, dir, stream string) string {
	t.Helper()
	folder := filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "msgs")
	numbers, err := newBlockFiles(folder).numbers()
	must(t, err)
	if len(numbers) == 0 {
		t.Fatalf("%s has no file", stream)
	}
	return newBlockFiles(folder).path(numbers[len(numbers)-1])
}

package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/keys"
)

// keyService is a stand-in for the transit engine of a key service. It wraps a key by encoding it.
type keyService struct {
	state atomic.Int32 // right, wrong or sealed
}

// What a key service answers.
const (
	serviceRight = iota
	serviceWrong // it decrypts to another key
	serviceSealed
)

func (k *keyService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Plaintext, Ciphertext string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	data := map[string]string{"ciphertext": "vault:v1:" + in.Plaintext,
		"plaintext": strings.TrimPrefix(in.Ciphertext, "vault:v1:")}
	switch k.state.Load() {
	case serviceSealed:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case serviceWrong:
		data["plaintext"] = base64.StdEncoding.EncodeToString(keys.New())
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

// TestUnfinishedPurge: a process is started again, and its key service answers with other keys, or not at all. A purge
// over the API is answered 503 with what is left, and a command ends with 1 and says it. When the service is right,
// the same command finishes the purge. An id that nothing has is unknown, as long as that is known.
func TestUnfinishedPurge(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]int32{"wrong": serviceWrong, "sealed": serviceSealed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := &keyService{}
			server := httptest.NewServer(service)
			t.Cleanup(server.Close)
			dir := t.TempDir()
			private, public := newSigningKey(t)
			writeFile(t, filepath.Join(dir, "log.key"), private)
			writeFile(t, filepath.Join(dir, "log.pub"), public)
			b := newBridge(t, fmt.Sprintf("encryption: {vault: {address: %q, key: kyc, token: t}}\n"+
				"integrity: {log: true, signing_key_file: %s}\n%s", server.URL, filepath.Join(dir, "log.key"), oneAccount))
			b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights()})
			b.start(t)
			b.approve(t, 1, 3)
			b.settled(t, 20*time.Second)
			purge := func(verification string) (code int, stdout, stderr string) {
				return run(t, "kycbridge", "payloads", "purge", "--config", b.config, "--verification", verification, "--yes",
					"--json", "--why", "x")
			}
			b.stop(t)
			b.start(t) // without pages of keys in memory

			service.state.Store(state)
			status, answer := b.purges(t, "alice", idOf(1))
			if status != 503 || answer["type"] != "urn:kycbridge:problem:unfinished" || answer["keys_left"] != 1.0 ||
				answer["verification_id"] != idOf(1) || answer["erased"].(map[string]any)["payloads"] != 1.0 {
				t.Errorf("the API: %d %v", status, answer)
			}
			if state == serviceWrong { // with a sealed one, no command opens the store
				code, stdout, stderr := purge(idOf(1))
				if code != 1 || !strings.Contains(stdout, `"keys_left":1`) || !strings.Contains(stderr, "keys_left: 1") {
					t.Errorf("the command: %d %s%s", code, stdout, stderr)
				}
			}
			erasure := func() string { return b.saidOfErasure(t, dir, idOf(1)) }
			if said := erasure(); state == serviceWrong && (strings.Count(said, "partly erased at ") != 2 ||
				!strings.Contains(said, "and not finished")) {
				t.Errorf("of an unfinished erasure: %s", said)
			}
			if status, answer := b.purges(t, "alice", idOf(9)); status != 404 {
				t.Errorf("an unknown id: %d %v", status, answer)
			}

			service.state.Store(serviceRight)
			code, stdout, stderr := run(t, "kycbridge", "payloads", "purge", "--config", b.config, "--verification", idOf(1),
				"--yes", "--why", "x")
			if code != 0 || !strings.HasSuffix(stdout, "\nnothing was left to erase: the earlier erasure is finished now\n") {
				t.Errorf("with the right service: %d %s%s", code, stdout, stderr)
			}
			if code, stdout, stderr := purge(idOf(1)); code != 0 || strings.Contains(stdout, "keys_left") {
				t.Errorf("again with the right service: %d %s%s", code, stdout, stderr)
			}
			if said := erasure(); strings.Contains(said, "partly") || strings.Contains(said, "not finished") ||
				strings.Count(said, "was erased at ") != 2 {
				t.Errorf("of a finished erasure: %s", said)
			}
			if got := []int{b.stored(t, idOf(1)), b.stored(t, idOf(2)), b.stored(t, idOf(3))}; got[0] != 0 || got[1] != 1 ||
				got[2] != 1 {
				t.Errorf("%v payloads are stored", got)
			}
		})
	}
}

// saidOfErasure is what a bundle, a hold and a search say about a verification. The hold is released.
func (b *bridge) saidOfErasure(t *testing.T, dir, verification string) (said string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.zip")
	for _, args := range [][]string{
		{"payloads", "bundle", "--config", b.config, "--verification", verification, "-o", file, "--why", "x"},
		{"verify", file, "--key", filepath.Join(dir, "log.pub")},
		{"find", verification, "--config", b.config},
		{"payloads", "hold", "--config", b.config, "--verification", verification, "--reason", "x"},
		{"payloads", "release", "--config", b.config, "--verification", verification, "--why", "x"},
	} {
		_, stdout, stderr := run(t, "kycbridge", args...)
		said += stdout + stderr
	}
	return said
}

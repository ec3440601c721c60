package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/internal/ledger"
	"kycbridge/test/wait"
)

// TestLedger: a process keeps and signs the tamper-evident log, live subscribers receive the checkpoints, and the
// report agrees with it. A bundle of a verification is proven with the public key alone. After an erasure the log
// still proves the other verifications, with earlier checkpoints.
func TestLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, public := newSigningKey(t)
	writeFile(t, filepath.Join(dir, "log.key"), private)
	writeFile(t, filepath.Join(dir, "log.pub"), public)
	writeFile(t, filepath.Join(dir, "master"), newMasterKey(t, "m"))
	b := newBridge(t, "integrity: {log: true, signing_key_file: "+filepath.Join(dir, "log.key")+"}\n"+
		"encryption: {key_file: "+filepath.Join(dir, "master")+"}\n"+oneAccount)
	b.start(t)
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	live, err := nc.SubscribeSync("kyc.checkpoint.v1")
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	b.approve(t, 1, 30)
	b.settled(t, 20*time.Second)

	file, one := filepath.Join(dir, "one.zip"), idOf(3)
	if code, _, stderr := run(t, "kycbridge", "payloads", "bundle", "--config", b.config, "--verification", one,
		"-o", file, "--why", "case 4711"); code != 0 {
		t.Fatalf("bundle: %s", stderr)
	}
	heard, err := live.NextMsg(wait.Slowdown * 20 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ledger.ParseVerifiers(public)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := keys.Open(heard.Data); err != nil || c.Origin != "kycbridge/KYC" || c.Size == 0 {
		t.Errorf("heard %+v, %v", c, err)
	}
	verify := func(file string) (int, string) {
		code, stdout, stderr := run(t, "kycbridge", "verify", file, "--key", filepath.Join(dir, "log.pub"))
		return code, stdout + stderr
	}
	if code, said := verify(file); code != 0 || !strings.Contains(said, "1 payload and 1 event") ||
		!strings.Contains(said, "case 4711") {
		t.Errorf("verify: %d, %s", code, said)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	writeFile(t, file+".altered", string(raw))
	if code, said := verify(file + ".altered"); code != 1 || !strings.Contains(said, "not proven: ") {
		t.Errorf("an altered bundle: %d, %s", code, said)
	}

	checkpoint := filepath.Join(dir, "checkpoint")
	code, stdout, stderr := run(t, "kycbridge", "log", "checkpoint", "--config", b.config)
	if code != 0 {
		t.Fatal(stderr)
	}
	writeFile(t, checkpoint, stdout)
	writeFile(t, checkpoint+".none", "a token")
	code, stdout, stderr = run(t, "kycbridge", "payloads", "report", "--config", b.config,
		"--checkpoint", checkpoint+".none")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "contains no checkpoint") {
		t.Errorf("a file that is no checkpoint: %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "kycbridge", "payloads", "purge", "--config", b.config, "--verification", one, "--yes",
		"--why", "request"); code != 0 {
		t.Fatalf("purge: %s", stderr)
	}
	after := filepath.Join(dir, "after.zip")
	if code, _, stderr := run(t, "kycbridge", "payloads", "bundle", "--config", b.config, "--verification", one,
		"-o", after, "--why", "case 4711"); code != 0 {
		t.Fatalf("bundle of an erased verification: %s", stderr)
	}
	if code, said := verify(after); code != 0 || !strings.Contains(said, "0 payloads and 0 events") ||
		!strings.Contains(said, "was erased at ") {
		t.Errorf("the bundle of an erased verification: %d, %s", code, said)
	}
	report := func() (int, string) {
		code, stdout, stderr := run(t, "kycbridge", "payloads", "report", "--config", b.config, "--checkpoint", checkpoint)
		return code, stdout + stderr
	}
	if code, said := report(); code != 0 || !strings.Contains(said, "tamper-evident log: ") {
		t.Errorf("report: %d, %s", code, said)
	}
	if code, said := verify(file); code != 0 {
		t.Errorf("the bundle from before: %d, %s", code, said)
	}
	// A user with write access to the store removes an event.
	js := b.operator(t)
	m := lastOf(t, js, "KYC_EVENTS", "kyc.event.v1.ondato.acme.*."+idOf(5))
	stream, err := js.Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), m.Sequence); err != nil {
		t.Fatal(err)
	}
	if code, said := report(); code != 1 || !strings.Contains(said, "event ") {
		t.Errorf("report without an event: %d, %s", code, said)
	}
	b.stop(t)
	// On a stop, the process signs what was stored until then.
	_, said := report()
	signed := regexp.MustCompile(`tamper-evident log: (\d+) entries, (\d+) of them signed`).FindStringSubmatch(said)
	if len(signed) != 3 || signed[1] != signed[2] {
		t.Errorf("after the stop: %s", said)
	}
	if code, stdout, _ := run(t, "kycbridge", "log", "checkpoint", "--config", b.config); code != 0 ||
		!strings.Contains(stdout, "kycbridge/KYC") {
		t.Errorf("a stopped store: %d, %s", code, stdout)
	}
}

// TestLedgerWithoutItsEarlierKey: after a rotation of the signing key the report checks what the earlier key signed,
// with its public part. Without it the report names the key, and does not claim that messages were altered.
func TestLedgerWithoutItsEarlierKey(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "log.key")
	old, _ := newSigningKey(t)
	next, _ := newSigningKey(t)
	b := newBridge(t, "integrity: {log: true, signing_key_file: "+key+"}\n"+oneAccount)
	round := func(keys string, from int) (int, string) {
		writeFile(t, key, keys)
		b.start(t)
		b.approve(t, from, from+10)
		b.settled(t, 20*time.Second)
		b.stop(t) // signs what is in the log
		b.start(t)
		code, stdout, stderr := run(t, "kycbridge", "payloads", "report", "--config", b.config)
		b.stop(t)
		return code, stdout + stderr
	}
	if code, said := round(old, 1); code != 0 {
		t.Fatalf("before the rotation: %d, %s", code, said)
	}
	if code, said := round(next+old, 100); code != 0 {
		t.Errorf("with both keys: %d, %s", code, said)
	}
	code, said := round(next, 200)
	if code != 1 || !strings.Contains(said, "signed with a key that is not in integrity.signing_key") ||
		strings.Contains(said, "altered") {
		t.Errorf("without the earlier key: %d, %s", code, said)
	}
}

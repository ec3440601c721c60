package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

// tool runs a command, which must succeed, on the store of the bridge.
func (b *bridge) tool(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, "kycbridge", append(args, "--config", b.config)...)
	if code != 0 {
		t.Fatalf("%v: %d %s", args, code, stderr)
	}
	return stdout
}

// purges erases a verification over the API.
func (b *bridge) purges(t *testing.T, name, verificationID string) (status int, answer map[string]any) {
	t.Helper()
	return b.postAs(t, name, "/v1/payloads/purge", "application/json",
		fmt.Sprintf(`{"verification":%q,"confirm":true}`, verificationID))
}

// postAs sends a request to the API with the token of a person.
func (b *bridge) postAs(t *testing.T, name, path, contentType, body string) (status int, answer map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+name+"-secret")
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Reason", "Art.%2017")
	res, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return res.StatusCode, answer
}

// stored is the number of accepted payloads of a verification.
func (b *bridge) stored(t *testing.T, verificationID string) int {
	t.Helper()
	return strings.Count(b.tool(t, "payloads", "list", "--json", "--verification", verificationID), "\n")
}

// holds are the holds that the command lists.
func (b *bridge) holds(t *testing.T) (all []archive.Held) {
	t.Helper()
	for l := range strings.Lines(b.tool(t, "payloads", "holds", "--json")) {
		var h archive.Held
		if err := json.Unmarshal([]byte(l), &h); err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

// TestHolds: a held verification is not erased: not by a purge over the API or by the command, and not with old
// payloads. A replay and an import of it work. After its release, or after the end of the hold, it is erased.
func TestHolds(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights(), "bob": {kycbridge.RightHold},
		"eve": {kycbridge.RightRead, kycbridge.RightPurge}})
	b.start(t)
	b.approve(t, 1, 3)
	b.settled(t, 20*time.Second)
	by := func(name string, args ...string) (int, string) {
		code, stdout, stderr := b.command(t, name, append([]string{"payloads"}, args...)...)
		return code, stdout + stderr
	}
	if code, text := by("eve", "hold", "--verification", idOf(1), "--reason", "x"); code != 1 ||
		!strings.Contains(text, "right missing: ") {
		t.Errorf("without the right: %d %s", code, text)
	}
	if code, text := by("bob", "hold", "--verification", idOf(1)); code == 0 || !strings.Contains(text, "--reason") {
		t.Errorf("without a reason: %d %s", code, text)
	}
	if code, text := by("bob", "hold", "--verification", idOf(9), "--reason", "x"); code != 1 {
		t.Errorf("of an unknown verification: %d %s", code, text)
	}
	if code, text := by("bob", "hold", "--verification", idOf(1), "--reason", "Fall 7"); code != 0 ||
		!strings.Contains(text, "held until it is released") {
		t.Fatalf("%d %s", code, text)
	}
	b.tool(t, "payloads", "hold", "--verification", idOf(2)[:12], "--reason", "case 8", "--until", "2999-01-01")

	status, answer := b.purges(t, "eve", idOf(1))
	if status != 409 || answer["type"] != "urn:kycbridge:problem:held" || answer["hold_reason"] != "Fall 7" ||
		answer["hold_until"] != nil || answer["verification_id"] != idOf(1) {
		t.Errorf("purge of a held one: %d %v", status, answer)
	}
	if _, answer := b.purges(t, "eve", idOf(2)); answer["hold_until"] != "2999-01-01T00:00:00Z" {
		t.Errorf("%v", answer)
	}
	for _, more := range []string{"--yes", "--dry-run"} {
		code, stdout, stderr := run(t, "kycbridge", "payloads", "purge", "--config", b.config, "--verification", idOf(2),
			more, "--why", "x")
		if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "(case 8)") {
			t.Errorf("purge %s: %d %s%s", more, code, stdout, stderr)
		}
	}
	if text := b.tool(t, "payloads", "purge", "--older-than", "0s", "--yes", "--why", "x"); !strings.Contains(text,
		"1 accepted; 2 held, kept") {
		t.Errorf("old ones: %s", text)
	}
	if got := []int{b.stored(t, idOf(1)), b.stored(t, idOf(2)), b.stored(t, idOf(3))}; !slices.Equal(got, []int{1, 1, 0}) {
		t.Errorf("%v payloads are stored", got)
	}
	if code, text := by("alice", "holds"); code != 0 || strings.Count(text, "\n") != 3 ||
		!strings.Contains(text, "Fall 7") {
		t.Errorf("holds: %d %s", code, text)
	}

	exported := b.tool(t, "payloads", "export", "--verification", idOf(1), "--why", "x")
	if text := b.tool(t, "payloads", "replay", "--verification", idOf(1), "--yes"); !strings.Contains(text, "1") {
		t.Errorf("replay: %s", text)
	}
	file := b.dir + "/exported"
	writeFile(t, file, exported)
	text := b.tool(t, "payloads", "import", file, "--yes", "--why", "the store is restored")
	if !strings.Contains(text, "1 ") {
		t.Errorf("import: %s", text)
	}

	if code, text := by("bob", "release", "--verification", idOf(1), "--why", "it is closed"); code != 0 ||
		!strings.Contains(text, "released at") {
		t.Errorf("release: %d %s", code, text)
	}
	if code, text := by("bob", "release", "--verification", idOf(3), "--why", "x"); code != 1 ||
		strings.Count(text, "\n") != 1 {
		t.Errorf("release of none: %d %s", code, text)
	}
	all := b.holds(t)
	if len(all) != 2 || all[0].Active || all[0].Reason != "Fall 7" || all[0].By != "bob" || all[0].ReleasedBy != "bob" ||
		all[0].ReleaseReason != "it is closed" || !all[1].Active || !strings.HasPrefix(all[1].By, "os:") {
		t.Errorf("%+v", all)
	}
	if status, answer := b.purges(t, "eve", idOf(1)); status != 200 || answer["payloads"] != 1.0 {
		t.Errorf("purge after the release: %d %v", status, answer)
	}
	soon := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)
	b.tool(t, "payloads", "hold", "--verification", idOf(2), "--reason", "case 8", "--until", soon)
	wait.For(t, 20*time.Second, "the end of a hold", func() bool { return !b.holds(t)[1].Active })
	if status, _ := b.purges(t, "eve", idOf(2)); status != 200 {
		t.Errorf("purge after the end: %d", status)
	}
	if text := b.tool(t, "payloads", "hold", "--verification", idOf(2), "--reason", "late"); !strings.Contains(text,
		"it was erased at") {
		t.Errorf("a hold after an erasure: %s", text)
	}
	b.tool(t, "payloads", "report")
	one := kycbridge.Access{By: "bob", Operation: "hold_payloads", VerificationID: idOf(1), Provider: "ondato",
		Account: "acme", Reason: "Fall 7", Result: "begun", Remote: "127.0.0.1"}
	one.Provider, one.Account = "", ""
	b.accessed(t, one)
	one.Operation, one.Reason, one.Result = "release_payloads", "it is closed", "200"
	b.accessed(t, one)
	one.By, one.Operation, one.Reason, one.Result = "eve", "purge_payloads", "Art. 17", "409"
	b.accessed(t, one)
}

// TestHoldAgainstPurge: if a hold and a purge are requested at the same moment, one of them comes first. Either the
// purge is refused and all data is kept, or the hold reports that the verification was erased. Three processes run on
// one NATS.
func TestHoldAgainstPurge(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	external := fmt.Sprintf("store: {url: %[1]q}\nbus: {url: %[1]q}\n%[2]s", server.url(), oneAccount)
	var bridges []*bridge
	for range 2 {
		b := newBridge(t, external)
		b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights()})
		b.start(t)
		bridges = append(bridges, b)
	}
	const people = 30
	bridges[0].approve(t, 1, people)
	bridges[0].settled(t, 20*time.Second)
	refused := 0
	for n := 1; n <= people; n++ {
		var both sync.WaitGroup
		var status int
		var held archive.Held
		both.Go(func() {
			time.Sleep(time.Duration(n%6) * 3 * time.Millisecond)
			status, _ = bridges[0].purges(t, "alice", idOf(n))
		})
		both.Go(func() {
			time.Sleep(time.Duration(n%5) * 3 * time.Millisecond)
			code, stdout, stderr := bridges[1].holdNow(t, idOf(n))
			if code != 200 || json.Unmarshal([]byte(stdout), &held) != nil {
				t.Errorf("hold: %d %s %s", code, stdout, stderr)
			}
		})
		both.Wait()
		left := bridges[0].stored(t, idOf(n))
		if ok := status == 409 && left == 1 && held.Erased.IsZero() ||
			status == 200 && left == 0 && !held.Erased.IsZero(); !ok {
			t.Errorf("%d: purge %d, hold %+v, %d payloads are left", n, status, held, left)
		}
		if status == 409 {
			refused++
		}
	}
	t.Logf("%d of %d purges were refused", refused, people)
	if refused == 0 || refused == people {
		t.Error("they never met")
	}
}

// holdNow holds a verification over the API.
func (b *bridge) holdNow(t *testing.T, verificationID string) (status int, body, header string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL("/v1/payloads/hold"),
		strings.NewReader(fmt.Sprintf(`{"verification":%q}`, verificationID)))
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	r.Header.Set("Authorization", "Bearer alice-secret")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Reason", "case")
	res, err := b.client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(raw), fmt.Sprint(res.Header)
}

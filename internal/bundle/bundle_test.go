package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"kycbridge/internal/ledger"
	"kycbridge/test/wait"
)

// sample is a bundle of a log with more than its messages.
func sample(t *testing.T, key ed25519.PrivateKey) Bundle {
	t.Helper()
	about := About{VerificationID: "786513b3-69c4-5dfa-afc2-55ed2d4345cf", Provider: "ondato", Account: "acme",
		MadeAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), MadeBy: "alice", Reason: `case <b>"4711"</b>`, Mapping: "2",
		Program: "v1"}
	b := Bundle{About: about}
	prover, tree := ledger.NewProver(), ledger.Tree{}
	add := func(l ledger.Leaf, wanted bool) {
		tree.Add(l)
		if err := prover.Add(l, wanted); err != nil {
			t.Fatal(err)
		}
	}
	bodies := map[ledger.Kind]string{
		ledger.Payload: `{"name":"Testa <script>alert(1)</script>"}`,
		ledger.Event:   `{"specversion":"1.0"}`,
		ledger.Access: `{"time":"2026-03-02T09:00:00Z","by":"alice","operation":"state","reason":"look",` +
			`"result":"200"}`,
	}
	for i := range 600 {
		kind := ledger.Kinds()[i%3]
		m := ledger.Message{Kind: kind, Seq: uint64(i + 1), Place: "payload.ondato.acme.x", Salt: []byte("salt"),
			Headers: map[string][]string{"Kyc-Via": {"callback"}}, Digest: "sha256:" + digestOf([]byte(bodies[kind]))}
		wanted := i%100 < 3
		if wanted {
			b.Messages = append(b.Messages, Message{Message: m, Body: []byte(bodies[kind]), Leaf: int64(i)})
		}
		add(m.Leaf(), wanted)
	}
	for i := range b.Messages {
		var err error
		if b.Messages[i].Proof, err = prover.Prove(b.Messages[i].Leaf); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	c := ledger.Checkpoint{Origin: "kycbridge/KYC", Size: tree.Size, Root: tree.Root(), At: about.MadeAt}
	if b.Checkpoint, err = c.Sign(key); err != nil {
		t.Fatal(err)
	}
	return b
}

func keysOf(t *testing.T, public ed25519.PublicKey) *ledger.Verifiers {
	t.Helper()
	v, err := ledger.NewVerifiers(public)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryByteIsProven alters each byte of a bundle in turn: each alteration is refused, and the error
// names the place.
func TestEveryByteIsProven(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := Write(sample(t, key), key)
	if err != nil {
		t.Fatal(err)
	}
	keys := keysOf(t, public)
	v, err := Verify(raw, keys)
	if err != nil || len(v.Messages) != 18 || v.Signed.Size != 600 || v.About.Reason != `case <b>"4711"</b>` {
		t.Fatalf("%d messages, %+v, %v", len(v.Messages), v.Signed, err)
	}
	place := regexp.MustCompile(`^(MANIFEST|about\.json|checkpoint\.txt|index\.html|messages/[-a-z0-9.]+): |` +
		`at byte \d+|cut off or damaged`)
	rnd := rand.New(rand.NewPCG(1, 2))
	step := 1
	if wait.Slowdown > 1 { // no concurrency: the run without the race detector alters them all
		step = 97
	}
	for i := 0; i < len(raw); i += step {
		altered := bytes.Clone(raw)
		altered[i] ^= 1 << rnd.IntN(8)
		if _, err := Verify(altered, keys); err == nil {
			t.Errorf("byte %d may be altered", i)
		} else if !place.MatchString(err.Error()) && !strings.Contains(err.Error(), `\x`) {
			t.Errorf("byte %d: the error names no place: %v", i, err)
		}
	}
	for i := 0; i < len(raw); i += step {
		if _, err := Verify(raw[:i], keys); err == nil {
			t.Errorf("it may be cut off at %d", i)
		}
	}
	if _, err := Verify(append(bytes.Clone(raw), 0), keys); err == nil {
		t.Error("a byte may be added")
	}
	stranger, _, _ := ed25519.GenerateKey(nil)
	_, err = Verify(raw, keysOf(t, stranger))
	if err == nil || !strings.Contains(err.Error(), "not signed with this key") {
		t.Errorf("with another key: %v", err)
	}
}

// TestForgedBundles: if a holder of the key puts other messages under a valid manifest, the log reveals
// it.
func TestForgedBundles(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(b *Bundle){
		"another body":    func(b *Bundle) { b.Messages[1].Body = []byte("{}") },
		"another header":  func(b *Bundle) { b.Messages[0].Headers = map[string][]string{"Kyc-Via": {"poll"}} },
		"another place":   func(b *Bundle) { b.Messages[2].Leaf++ },
		"another message": func(b *Bundle) { b.Messages[3].Seq = 7 },
		"no proof":        func(b *Bundle) { b.Messages[0].Proof = nil },
		"body and digest": func(b *Bundle) {
			b.Messages[1].Body = []byte("{}")
			b.Messages[1].Digest = "sha256:" + digestOf([]byte("{}"))
		},
	} {
		b := sample(t, key)
		forge(&b)
		raw, err := Write(b, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(raw, keysOf(t, public)); err == nil || !strings.Contains(err.Error(), "messages/") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBundlesThatUnpackToMore: a file that somebody sent takes no more memory than its size before it is known to be a
// bundle.
func TestBundlesThatUnpackToMore(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const large = 8 << 20
	for name, method := range map[string]uint16{"compressed": zip.Deflate, "shared": zip.Store} {
		var made bytes.Buffer
		z := zip.NewWriter(&made)
		for _, file := range []string{"a", "b", "c", "d"} {
			part, err := z.CreateHeader(&zip.FileHeader{Name: file, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if file == "a" {
				_, _ = part.Write(make([]byte, large))
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		raw := made.Bytes()
		if method == zip.Store { // all four entries of the directory describe the first file
			directory := bytes.Index(raw, []byte("PK\x01\x02"))
			const entry = 46 + 1 // bytes, with a name of one byte
			for i := 1; i < 4; i++ {
				copy(raw[directory+i*entry:], raw[directory:directory+entry-1])
			}
		}
		refusedCheaply(t, name, raw, large, keysOf(t, public))
	}
}

// refusedCheaply checks that a file is refused with fewer bytes of memory than limit.
func refusedCheaply(t *testing.T, name string, raw []byte, limit uint64, keys *ledger.Verifiers) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Verify(raw, keys)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "is compressed, or shares its bytes with another file") {
		t.Errorf("%s: %v", name, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took >= limit {
		t.Errorf("%s: %d bytes of memory for a file of %d", name, took, len(raw))
	}
}

// TestPage: the page shows everything as text, loads nothing and runs nothing.
func TestPage(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := sample(t, key).page()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"786513b3-69c4-5dfa-afc2-55ed2d4345cf", "&lt;script&gt;", "alice", "4711", "callback",
		"messages/0001-payload", "@media print"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	for _, no := range []string{"<script", "src=", "href=", "<b>"} {
		if bytes.Contains(page, []byte(no)) {
			t.Errorf("the page contains %q", no)
		}
	}
	if bytes.Contains(page, []byte("erased")) {
		t.Error("the page says that the verification was erased")
	}
	if n := bytes.Count(page, []byte("<tr>")); n < 18 {
		t.Error(fmt.Sprint("only ", n, " rows"))
	}
}

// TestPageOfErased: what was erased is not called expired.
func TestPageOfErased(t *testing.T) {
	about := About{ErasedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	page, err := Bundle{About: about}.page()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2026-03-02 09:00:00 UTC", "none: they were erased"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	if bytes.Contains(page, []byte("expired")) {
		t.Error("the page says that payloads have expired")
	}
}

// TestPageOfPartlyErased: a verification whose erasure is not finished is not called erased.
func TestPageOfPartlyErased(t *testing.T) {
	page, err := Bundle{About: About{PartlyErasedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}}.page()
	if err != nil {
		t.Fatal(err)
	}
	if want := "begun and not finished at 2026-03-02 09:00:00 UTC"; !bytes.Contains(page, []byte(want)) {
		t.Errorf("the page does not contain %q", want)
	}
	if bytes.Contains(page, []byte("<th>erased</th>")) {
		t.Error("the page says that the verification was erased")
	}
}

package ledger

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func leafAt(n int) Leaf {
	return Leaf{Kind: Payload, Seq: uint64(n + 1), Hash: Hash([]byte("salt"), fmt.Sprint("id-", n), "sha256:00")}
}

// TestTree compares the incremental tree, and proofs from the sparse prover, with the reference implementation
// over all hashes.
func TestTree(t *testing.T) {
	wanted := []int{0, 5, 255, 700}
	var tree Tree
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, all[i])
		}
		return out, nil
	})
	p := NewProver()
	for n := range 1100 {
		hashes, err := tlog.StoredHashes(int64(n), leafAt(n).Record(), reader)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hashes...)
		tree.Add(leafAt(n))
		if err := p.Add(leafAt(n), slices.Contains(wanted, n)); err != nil {
			t.Fatal(err)
		}
		want, err := tlog.TreeHash(int64(n+1), reader)
		got, errGot := p.Root()
		if err != nil || errGot != nil || tree.Root() != want || got != want {
			t.Fatalf("root of %d leaves: %v, %v", n+1, err, errGot)
		}
	}
	if len(p.hashes) > 3*2*block+200 {
		t.Errorf("the prover keeps %d hashes", len(p.hashes))
	}
	c := Checkpoint{Size: tree.Size, Root: tree.Root()}
	for _, n := range wanted {
		proof, err := p.Prove(int64(n))
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(proof, c, int64(n), leafAt(n)); err != nil {
			t.Errorf("leaf %d: %v", n, err)
		}
		other := leafAt(n)
		other.Hash[7] ^= 1
		if Check(proof, c, int64(n), other) == nil || Check(proof, c, int64(n+1), leafAt(n)) == nil {
			t.Errorf("leaf %d: a wrong proof is accepted", n)
		}
	}
	if empty := (&Tree{}).Root(); fmt.Sprintf("%x", empty[:4]) != "e3b0c442" {
		t.Errorf("the root of no leaves is %x", empty)
	}
}

func TestPack(t *testing.T) {
	leaves := []Leaf{leafAt(0), {Kind: EventsBack, Seq: 1 << 60}, leafAt(2)}
	got, err := Unpack(Pack(leaves))
	if err != nil || !slices.Equal(got, leaves) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Unpack(Pack(leaves)[:50]); err == nil {
		t.Error("cut leaves are accepted")
	}
}

func TestCheckpoint(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	c := Checkpoint{Origin: "kycbridge/KYC", Size: 7, Root: tlog.RecordHash([]byte("x")),
		At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	signed, err := c.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	line, err := VerifierKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{line + "\n", "# comment\n" + line,
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))} {
		v, err := ParseVerifiers(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Open(signed)
		if err != nil || got != c {
			t.Errorf("%+v, %v", got, err)
		}
		forged, _ := c.Sign(stranger)
		if _, err := v.Open(forged); err == nil {
			t.Error("a stranger's signature is accepted")
		}
		for i := range signed {
			altered := slices.Clone(signed)
			altered[i] ^= 4
			if got, err := v.Open(altered); err == nil && got == c {
				continue // within the base64 of the signature nothing but padding bits can change
			} else if err == nil {
				t.Errorf("byte %d may be altered: %+v", i, got)
			}
		}
	}
	for _, bad := range []string{"", "# x", "kycbridge+00000000+AAAA", strings.Replace(line, "+", "-", 1)} {
		if _, err := ParseVerifiers(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// TestLeafIsThatOfTheDocumentation: the vector was computed without Go, as docs/payloads.md describes the hash.
func TestLeafIsThatOfTheDocumentation(t *testing.T) {
	m := Message{Kind: Payload, Seq: 7, Place: "payload.ondato.acme.x", Salt: []byte("salt"), Digest: "sha256:00",
		Headers: map[string][]string{"Kyc-Event": {"Pr\u00fcfung \"\\\u2028\U0001F600"}, "Kyc-Via": {"a", "b"}}}
	const want = "b069d8810dacb2a0fd10b6ce68872ddf54339cb95ddf9fa92085d6d9a310e1a1"
	leaf := m.Leaf()
	if got := hex.EncodeToString(leaf.Hash[:]); got != want {
		t.Errorf("the hash is %s, not %s", got, want)
	}
}

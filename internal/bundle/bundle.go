// Package bundle writes and verifies evidence bundles: one file with everything that is stored about a
// verification, and the proof that nothing in it was changed since.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kycbridge/internal/ledger"
)

// The files of a bundle. Each message has two: what the log proves about it, and its body.
const (
	manifestFile   = "MANIFEST"
	checkpointFile = "checkpoint.txt"
	aboutFile      = "about.json"
	pageFile       = "index.html"
	messageFolder  = "messages/"
)

// manifestTitle is the first line of the manifest.
const manifestTitle = "kycbridge evidence bundle v1"

// About describes a bundle.
type About struct {
	VerificationID string    `json:"verification_id"`
	Provider       string    `json:"provider"`
	Account        string    `json:"account"`
	MadeAt         time.Time `json:"made_at"`
	MadeBy         string    `json:"made_by"`
	Reason         string    `json:"reason"`
	Mapping        string    `json:"mapping"` // version of the mappings that made the events
	Program        string    `json:"program"` // version of kycbridge
	// ErasedAt is when the verification was erased; zero if it was not. Earlier payloads and events are gone.
	ErasedAt time.Time `json:"erased_at,omitzero"`
	// PartlyErasedAt is when an erasure was last attempted that is not finished: some is gone, some is still stored.
	PartlyErasedAt time.Time `json:"partly_erased_at,omitzero"`
}

// Message is a stored message with its proof.
type Message struct {
	ledger.Message
	Leaf  int64       `json:"leaf"`  // its place in the log
	Proof []tlog.Hash `json:"proof"` // that the signed log contains it there
	Body  []byte      `json:"-"`     // as it was received or published
}

// Bundle is everything in a bundle.
type Bundle struct {
	About      About
	Checkpoint []byte // signed
	Messages   []Message
}

// file is one file of a bundle.
type file struct {
	name    string
	content []byte
}

// Write makes the bundle and signs its manifest.
func Write(b Bundle, key ed25519.PrivateKey) ([]byte, error) {
	files, err := b.files()
	if err != nil {
		return nil, err
	}
	text := manifestTitle + "\n" + b.About.VerificationID + "\n"
	for _, f := range files {
		text += digestOf(f.content) + " " + f.name + "\n"
	}
	manifest, err := ledger.SignText(text, key)
	if err != nil {
		return nil, fmt.Errorf("sign the bundle: %w", err)
	}
	return pack(append([]file{{manifestFile, manifest}}, files...))
}

func (b Bundle) files() ([]file, error) {
	about, err := json.MarshalIndent(b.About, "", "  ")
	if err != nil {
		return nil, err
	}
	page, err := b.page()
	if err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	files := []file{{aboutFile, about}, {checkpointFile, b.Checkpoint}, {pageFile, page}}
	for i, m := range b.Messages {
		proof, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return nil, err
		}
		name := name(i+1, m.Kind)
		files = append(files, file{name + ".json", proof}, file{name + ".body", m.Body})
	}
	return files, nil
}

// name is the name of the files of a message, without their extensions.
func name(n int, kind ledger.Kind) string {
	return fmt.Sprintf("%s%04d-%s", messageFolder, n, strings.ReplaceAll(kind.String(), " ", "-"))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// packedAt is the time of every file in a bundle, the first that the format knows: strict readers refuse a date
// without month and day.
var packedAt = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack writes files uncompressed, in order and with one time, so that the same files are always the same bytes.
func pack(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		part, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store, Modified: packedAt})
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// find returns the content of a file.
func find(files []file, name string) ([]byte, bool) {
	i := slices.IndexFunc(files, func(f file) bool { return f.name == name })
	if i < 0 {
		return nil, false
	}
	return files[i].content, true
}

package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kycbridge/internal/ledger"
)

// Verified is a bundle whose every byte was checked.
type Verified struct {
	Bundle
	Signed ledger.Checkpoint
}

// Verify checks a bundle with public keys: the signature of its manifest, the digest of every file, the signature
// of the checkpoint, and for each message that the signed log contains exactly this message. The error names the
// place where a bundle was changed.
func Verify(raw []byte, keys *ledger.Verifiers) (Verified, error) {
	files, err := unpack(raw)
	if err != nil {
		return Verified{}, err
	}
	if err := checkManifest(files, keys); err != nil {
		return Verified{}, err
	}
	if again, err := pack(files); err != nil || !bytes.Equal(again, raw) {
		return Verified{}, fmt.Errorf("the file was changed between its parts, at byte %d", firstDifference(again, raw))
	}
	return read(files, keys)
}

// unpack reads all files, whose signature is checked afterwards.
func unpack(raw []byte) ([]file, error) {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("this is no bundle, or it is cut off or damaged: %w", err)
	}
	if err := checkSizes(z.File, uint64(len(raw))); err != nil {
		return nil, err
	}
	var files []file
	for _, f := range z.File {
		part, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be read: %w", printable(f.Name), err)
		}
		content, err := io.ReadAll(part)
		_ = part.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: was changed: %w", printable(f.Name), err)
		}
		files = append(files, file{f.Name, content})
	}
	return files, nil
}

// checkSizes refuses files that together are larger than the bundle, which is not compressed. Anybody may have made it,
// and a small file that unpacks to a large one would take all the memory.
func checkSizes(files []*zip.File, size uint64) error {
	for _, f := range files {
		if f.Method != zip.Store || f.UncompressedSize64 > size {
			return fmt.Errorf("%s: is compressed, or shares its bytes with another file: this is no bundle of kycbridge",
				printable(f.Name))
		}
		size -= f.UncompressedSize64
	}
	return nil
}

// printable is a file name in printable form, for an error.
func printable(name string) string { return strings.Trim(fmt.Sprintf("%q", name), `"`) }

// checkManifest checks that the signed manifest lists exactly these files with these digests.
func checkManifest(files []file, keys *ledger.Verifiers) error {
	signed, ok := find(files, manifestFile)
	if !ok || files[0].name != manifestFile {
		return fmt.Errorf("%s: is missing: this is no bundle of kycbridge", manifestFile)
	}
	text, err := keys.OpenText(signed)
	if err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 2 || lines[0] != manifestTitle {
		return fmt.Errorf("%s: is not that of a bundle this program knows", manifestFile)
	}
	want := lines[2:]
	for i, f := range files[1:] {
		if i >= len(want) {
			return fmt.Errorf("%s: was added to the bundle", printable(f.name))
		}
		digest, name, _ := strings.Cut(want[i], " ")
		switch {
		case name != f.name:
			return fmt.Errorf("%s: is missing, or stands at another place", printable(name))
		case digest != digestOf(f.content):
			return fmt.Errorf("%s: was changed", printable(name))
		}
	}
	if missing := len(want) - (len(files) - 1); missing > 0 {
		_, name, _ := strings.Cut(want[len(files)-1], " ")
		return fmt.Errorf("%s: is missing", printable(name))
	}
	return nil
}

// read decodes the files of a bundle with a valid manifest, and checks the proofs.
func read(files []file, keys *ledger.Verifiers) (v Verified, err error) {
	about, _ := find(files, aboutFile)
	if err := json.Unmarshal(about, &v.About); err != nil {
		return v, fmt.Errorf("%s: cannot be read", aboutFile)
	}
	v.Checkpoint, _ = find(files, checkpointFile)
	if v.Signed, err = keys.Open(v.Checkpoint); err != nil {
		return v, fmt.Errorf("%s: %w", checkpointFile, err)
	}
	for _, f := range files {
		name, isProof := strings.CutSuffix(f.name, ".json")
		if !isProof || !strings.HasPrefix(f.name, messageFolder) {
			continue
		}
		var m Message
		if err := json.Unmarshal(f.content, &m); err != nil {
			return v, fmt.Errorf("%s: cannot be read", f.name)
		}
		body, ok := find(files, name+".body")
		if m.Body = body; !ok {
			return v, fmt.Errorf("%s.body: is missing", name)
		}
		if "sha256:"+digestOf(body) != m.Digest {
			return v, fmt.Errorf("%s.body: is not the body that the log knows", name)
		}
		if err := ledger.Check(m.Proof, v.Signed, m.Leaf, m.Message.Leaf()); err != nil {
			return v, fmt.Errorf("%s: %w", f.name, err)
		}
		v.Messages = append(v.Messages, m)
	}
	return v, nil
}

// firstDifference is the position of the first byte that differs.
func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

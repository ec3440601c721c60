package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stamp is the state of a file when it was last found intact.
type stamp struct {
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"`        // modification time, Unix nanoseconds
	Checked int64  `json:"checked"`        // Unix time
	Last    uint64 `json:"last,omitempty"` // last sequence of a block
	Digest  string `json:"digest,omitempty"`
}

func stampOf(info fs.FileInfo, last uint64) stamp {
	return stamp{Size: info.Size(), Changed: info.ModTime().UnixNano(), Checked: time.Now().Unix(), Last: last}
}

// memory records which files were found intact, by their path in the store, so that not every start reads
// all of a large store. It is stored in a file of its own, which only saves time: without it everything is
// read.
type memory map[string]stamp

// recall reads a memory; an empty one if it is missing or damaged.
func recall(path string) memory {
	raw, err := os.ReadFile(path)
	sum, body, ok := bytes.Cut(raw, []byte("\n"))
	m := memory{}
	if err != nil || !ok || string(sum) != digest(body) || json.Unmarshal(body, &m) != nil {
		return memory{}
	}
	return m
}

// keep writes the memory.
func (m memory) keep(path string) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return write(path, append([]byte(digest(body)+"\n"), body...))
}

// prune removes the entries of missing files.
func (m memory) prune(dir string) {
	for name := range m {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			delete(m, name)
		}
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unchanged reports whether a file is as it was when it was found intact, at or after since.
func (m memory) unchanged(name string, info fs.FileInfo, since time.Time) (stamp, bool) {
	s, ok := m[name]
	return s, ok && s.Size == info.Size() && s.Changed == info.ModTime().UnixNano() && s.Checked >= since.Unix()
}

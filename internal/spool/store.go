package spool

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"
	"os"
)

// inMemory is how much is held in memory before a file is created.
const inMemory = 1 << 20

// store appends bytes: the first in memory, and all of them in a file above a limit. The file has no name,
// and its content is encrypted with a key of this process, so it is unreadable after the process has
// ended, and after close.
type store struct {
	dir          string
	memory, disk func(n int) bool
	size         int64
	mem          []byte
	file         *os.File
	block        cipher.Block
	nonce        [aes.BlockSize]byte
	stream       cipher.Stream // for the next bytes
	scratch      []byte
}

func newStore(dir string, memory, disk func(n int) bool) *store {
	return &store{dir: dir, memory: memory, disk: disk}
}

// write appends p, which is at most a chunk.
func (s *store) write(p []byte) error {
	if s.file == nil && len(s.mem)+len(p) <= inMemory {
		return s.hold(p)
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	return s.append(p)
}

// hold keeps p in memory.
func (s *store) hold(p []byte) error {
	if need := len(s.mem) + len(p); need > cap(s.mem) {
		grown := min(inMemory, max(chunk, 2*need))
		if !s.memory(grown - cap(s.mem)) {
			return ErrFull
		}
		s.mem = append(make([]byte, 0, grown), s.mem...)
	}
	s.mem = append(s.mem, p...)
	s.size += int64(len(p))
	return nil
}

// open creates the file and moves the memory content there.
func (s *store) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return disk(err)
	}
	file, err := os.CreateTemp(s.dir, "start-*.tmp")
	if err != nil {
		return disk(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return disk(err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(s.nonce[:])
	if s.block, err = aes.NewCipher(key); err != nil {
		file.Close()
		return disk(err)
	}
	s.file, s.stream = file, cipher.NewCTR(s.block, s.nonce[:])
	held := s.mem
	s.mem, s.size = nil, 0
	for len(held) > 0 {
		n := min(len(held), chunk)
		if err := s.append(held[:n]); err != nil {
			return err
		}
		held = held[n:]
	}
	return nil
}

// append writes p to the file.
func (s *store) append(p []byte) error {
	if !s.disk(len(p)) {
		return ErrFull
	}
	s.scratch = append(s.scratch[:0], p...)
	s.stream.XORKeyStream(s.scratch, s.scratch)
	if _, err := s.file.Write(s.scratch); err != nil {
		return disk(err)
	}
	s.size += int64(len(p))
	return nil
}

// reader reads size bytes from offset first. Concurrent reads are allowed.
func (s *store) reader(first, size int64) io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem[first : first+size])
	}
	return &cipher.StreamReader{S: s.from(first), R: io.NewSectionReader(s.file, first, size)}
}

// from is the key stream from an offset.
func (s *store) from(first int64) cipher.Stream {
	counter := s.nonce
	low := binary.BigEndian.Uint64(counter[8:])
	sum := low + uint64(first)/aes.BlockSize
	binary.BigEndian.PutUint64(counter[8:], sum)
	if sum < low {
		binary.BigEndian.PutUint64(counter[:8], binary.BigEndian.Uint64(counter[:8])+1)
	}
	stream := cipher.NewCTR(s.block, counter[:])
	skipped := make([]byte, first%aes.BlockSize)
	stream.XORKeyStream(skipped, skipped)
	return stream
}

func (s *store) close() error {
	s.mem = nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

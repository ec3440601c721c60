package rest

import (
	"bytes"
	"io"
	"time"

	"kycbridge"
)

// slowestUpload is the minimum upload rate in bytes per second. It extends the time limit of a call with
// files.
const slowestUpload = 256 << 10

// Uploading is the time that the upload of a file adds to the time limit of a call.
func Uploading(size int64) time.Duration { return time.Duration(size/slowestUpload) * time.Second }

// piece is a part of a body: text, or a file in the place of its mark.
type piece struct {
	text []byte
	file kycbridge.File // Open is nil for text
}

// body is what a call sends.
type body struct {
	pieces []piece
	size   int64
}

// newBody replaces the marks in text with the files of a call.
func newBody(text []byte, files []kycbridge.File) body {
	b := body{pieces: []piece{{text: text}}}
	for _, f := range files {
		var split []piece
		for _, p := range b.pieces {
			split = append(split, p.split(f)...)
		}
		b.pieces = split
	}
	for _, p := range b.pieces {
		b.size += int64(len(p.text)) + p.file.Size
	}
	return b
}

// split cuts a text at the marks of a file.
func (p piece) split(f kycbridge.File) []piece {
	if p.file.Open != nil || f.Mark == "" {
		return []piece{p}
	}
	texts := bytes.Split(p.text, []byte(f.Mark))
	out := []piece{{text: texts[0]}}
	for _, text := range texts[1:] {
		out = append(out, piece{file: f}, piece{text: text})
	}
	return out
}

// open reads the body from its beginning.
func (b body) open() io.ReadCloser {
	readers := make([]io.Reader, len(b.pieces))
	for i, p := range b.pieces {
		if p.file.Open != nil {
			readers[i] = p.file.Open()
		} else {
			readers[i] = bytes.NewReader(p.text)
		}
	}
	return io.NopCloser(io.MultiReader(readers...))
}

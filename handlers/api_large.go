package handlers

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/internal/spool"
)

// DefaultMaxStart is the default limit of the body of a start, in bytes: forms contain documents and a
// video.
const DefaultMaxStart = 64 << 20

const (
	// apiStartRest limits a start without its documents and videos.
	apiStartRest = 4 << 20
	// maxLargeStarts is how many starts of the largest size may be stored in files at once.
	maxLargeStarts = 4
	// apiUpload is the minimum rate of the body of a start, both received and sent to the provider, in
	// bytes per second.
	apiUpload = 256 << 10
)

// uploading is the additional time limit of a request with a body.
func uploading(size int64) time.Duration { return time.Duration(size/apiUpload) * time.Second }

// startBody is the body of a start with its documents and videos in files.
type startBody struct {
	*spool.Text
	doc    map[string]any
	memory share
	disk   share
}

// close removes the files.
func (l *startBody) close() {
	_ = l.Close() // an error leaves only unused files
	l.memory.release()
	l.disk.release()
}

// size is the number of bytes in files.
func (l *startBody) size() (n int64) {
	for _, f := range l.Files {
		n += f.Size
	}
	return n
}

// readStart reads the body of a start. Its strings of more than 64 KiB must be base64.
func (s *api) readStart(c echo.Context, t *requestLog) (*startBody, error) {
	r := c.Request()
	if !isJSON(r.Header) {
		return nil, errMediaType
	}
	if r.ContentLength > s.MaxStart {
		return nil, errTooLarge
	}
	extendDeadlines(c, apiReceive+uploading(s.MaxStart), apiReceive+s.Timeout+apiSend+2*uploading(s.MaxStart))
	l := &startBody{memory: share{of: &s.bodies}, disk: share{of: &s.spooled}}
	counted := &counter{Reader: http.MaxBytesReader(c.Response().Writer, r.Body, s.MaxStart)}
	text, err := spool.Read(counted, spool.Limits{
		Rest: int(min(apiStartRest, s.MaxStart)), Dir: s.SpoolDir, Memory: l.memory.take, Disk: l.disk.take,
	})
	if t.bytes = counted.n; err != nil {
		l.memory.release()
		l.disk.release()
		return nil, notSpooled(err)
	}
	l.Text = text
	if l.doc, err = s.startDocument(text); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// startDocument decodes and checks the body without its files.
func (s *api) startDocument(text *spool.Text) (map[string]any, error) {
	doc, err := s.document("StartRequest", text.JSON)
	var fault *requestFault
	if errors.As(err, &fault) && len(text.Files)+len(text.Others) > 0 {
		for i, f := range fault.errors { // an offset in the body without its files is not one in the body
			fault.errors[i].Message, _, _ = strings.Cut(f.Message, " at byte ")
		}
	}
	if err != nil {
		return nil, err
	}
	const onlyBase64 = "must be base64 without line breaks: no other text is so long"
	return doc, faulty(errInvalidRequest, markedPlaces("", doc, text.Others, onlyBase64))
}

// notSpooled is the error for the sender after a failure to read a body.
func notSpooled(err error) error {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, spool.ErrTooLarge):
		return errTooLarge
	case errors.Is(err, spool.ErrFull):
		return errBusy
	case errors.Is(err, spool.ErrDisk):
		return fmt.Errorf("read body: %w: %w", errFault, err)
	}
	return fmt.Errorf("read body: %w", errInterrupted)
}

// markedPlaces returns a fault for each pointer with one of the marks.
func markedPlaces(place string, node any, marks []string, message string) (found []kycbridge.FieldError) {
	if len(marks) == 0 {
		return nil
	}
	switch node := node.(type) {
	case string:
		if slices.Contains(marks, node) {
			found = append(found, kycbridge.FieldError{Path: place, Message: message})
		}
	case []any:
		for i, item := range node {
			found = append(found, markedPlaces(place+"/"+strconv.Itoa(i), item, marks, message)...)
		}
	case map[string]any:
		for name, member := range node {
			found = append(found, markedPlaces(place+"/"+name, member, marks, message)...)
		}
	}
	return found
}

// refusesFiles returns a fault for each file in a request to a provider without files.
func (l *startBody) refusesFiles() []kycbridge.FieldError {
	marks := make([]string, len(l.Files))
	for i, f := range l.Files {
		marks[i] = f.Mark
	}
	return markedPlaces("", l.doc, marks, "must have at most 65536 characters")
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

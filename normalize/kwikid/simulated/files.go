package simulated

import (
	"bytes"
	"image"
	"image/jpeg"
	"net/http"
	"path"

	"kycbridge/internal/simulate"
)

// media serves a synthetic file by the extension of its name: a grey image, an empty archive, an empty summary
// or a few bytes in place of a video; 404 for any other extension.
func media(w http.ResponseWriter, r *http.Request) {
	c := simulate.Canned{Status: http.StatusOK}
	switch path.Ext(r.PathValue("name")) {
	case ".jpg":
		var out bytes.Buffer
		if jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 16, 16)), nil) != nil {
			c.Status = http.StatusInternalServerError
		}
		c.ContentType, c.Body = "image/jpeg", out.Bytes()
	case ".webm":
		c.ContentType, c.Body = "video/webm", []byte("synthetic video")
	case ".json":
		c.ContentType, c.Body = "application/json", []byte("{}")
	case ".zip":
		c.ContentType, c.Body = "application/zip", append([]byte("PK\x05\x06"), make([]byte, 18)...)
	default:
		c.Status = http.StatusNotFound
	}
	c.Write(w)
}

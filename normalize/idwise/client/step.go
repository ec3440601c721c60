package client

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// StepRequest submits one step of a running journey (https://docs.idwise.com/reference/process-journey-step).
type StepRequest struct {
	JourneyID      string
	StepID         string                // from the flow: 0, additional_face
	Images         []kycbridge.StepImage // front, then the other side if the document has one
	Skip           bool                  // the applicant skips the step
	AdditionalData json.RawMessage       // an object, or empty
	JSON           bool                  // images as base64 within JSON, which is a third larger
}

// imageFields are the names of the fields for the front and for the other side.
var imageFields = [...]string{"image", "image2"}

// ProcessStep submits a step and returns IDWise's answer. IDWise processes the step afterwards: Summary
// returns the progress. The call is sent once.
func (c *Client) ProcessStep(ctx context.Context, s StepRequest) (rest.Answer, error) {
	if err := c.checkStep(s); err != nil {
		return rest.Answer{}, err
	}
	write := c.multipart
	if s.JSON {
		write = c.stepJSON
	}
	body, contentType, err := write(s)
	if err != nil {
		return rest.Answer{}, err
	}
	call := c.call(callStep, http.MethodPost, c.journey("/process-journey-step"), body)
	call.Header.Set("Content-Type", contentType)
	call.Check = done(callStep, about(s.JourneyID))
	return c.rest.Do(ctx, call)
}

// checkStep finds values that the vendor would refuse or misinterpret.
func (c *Client) checkStep(s StepRequest) error {
	switch {
	case !segment(s.JourneyID):
		return refused(callStep, "/reference", "must be a journey id")
	case s.StepID == "":
		return refused(callStep, "/step_id", "is required")
	case s.Skip && c.config.SkipField == "":
		return refused(callStep, "/skip",
			"is not possible yet: write the name of the vendor's skip flag into api.skip_field of the account")
	case !s.Skip && len(s.Images) == 0:
		return refused(callStep, "/image", "is required: the front side, or the face")
	case len(s.Images) > len(imageFields):
		return refused(callStep, "/image2", "must be the last: a step has two sides at most")
	case len(s.AdditionalData) > 0 && !object(s.AdditionalData):
		return refused(callStep, "/additional_data", "must be a JSON object")
	}
	return nil
}

func object(raw json.RawMessage) bool {
	return json.Valid(raw) && bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
}

// multipart writes the step as a form with files, which the vendor prefers. The form is written to memory,
// which cannot fail.
func (c *Client) multipart(s StepRequest) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	fields := [][2]string{{"journey_id", s.JourneyID}, {"step_id", s.StepID}}
	if s.Skip {
		fields = append(fields, [2]string{c.config.SkipField, "true"})
	}
	if len(s.AdditionalData) > 0 {
		fields = append(fields, [2]string{"additional_data", string(s.AdditionalData)})
	}
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return nil, "", err
		}
	}
	for i, image := range s.Images {
		part, err := form.CreatePart(fileHeader(imageFields[i], image))
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(image.Body); err != nil {
			return nil, "", err
		}
	}
	err = form.Close()
	return b.Bytes(), form.FormDataContentType(), err
}

// fileHeader names a file by its content type. The caller's content type is used only after it was parsed, so
// that it cannot inject header text.
func fileHeader(field string, image kycbridge.StepImage) textproto.MIMEHeader {
	kind, _, err := mime.ParseMediaType(image.ContentType)
	if err != nil {
		kind = http.DetectContentType(image.Body)
	}
	suffix := map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf"}[kind]
	return textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="` + field + `"; filename="` + field + suffix + `"`},
		"Content-Type":        {kind},
	}
}

// stepJSON writes the step as JSON with images as base64.
func (c *Client) stepJSON(s StepRequest) (body []byte, contentType string, err error) {
	fields := map[string]any{"journey_id": s.JourneyID, "step_id": s.StepID}
	for i, image := range s.Images {
		fields[imageFields[i]] = image.Body // []byte is written as base64
	}
	if s.Skip {
		fields[c.config.SkipField] = "true" // the vendor requires a boolean as text
	}
	if len(s.AdditionalData) > 0 {
		fields["additional_data"] = s.AdditionalData
	}
	body, err = written(callStep, fields)
	return body, "application/json", err
}

// page reports whether an answer is a web page, such as a gateway's error page.
func page(contentType string, body []byte) bool {
	return strings.HasPrefix(contentType, "text/html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// maxParts limits the parts of a form; a valid one has four at most.
const maxParts = 8

// step is POST …/steps/{step}.
func (s *api) step(c echo.Context, t *requestLog) error {
	a, reference, err := s.verification(c, t)
	if err != nil {
		return err
	}
	if a.API.Step == nil {
		return unsupported(a)
	}
	extendDeadlines(c, apiReceive, apiReceive+s.Timeout+apiSend)
	memory := share{of: &s.bodies}
	defer memory.release()
	step, err := s.readStep(c, t, &memory)
	if err != nil {
		return err
	}
	step.Reference, step.StepID = reference, param(c, "step")
	return s.submit(c, t, a, reference, func(ctx context.Context) (kycbridge.StepAnswer, error) {
		return a.API.Step(ctx, step)
	})
}

// readStep reads a step from a form or from JSON.
func (s *api) readStep(c echo.Context, t *requestLog, memory *share) (kycbridge.Step, error) {
	contentType, parameters, _ := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	form := contentType == "multipart/form-data"
	if !form && !isJSON(c.Request().Header) {
		return kycbridge.Step{}, errStepMediaType
	}
	body, err := s.readAll(c, t, apiMaxStep, memory)
	if err != nil {
		return kycbridge.Step{}, err
	}
	if form {
		return s.formStep(body, parameters["boundary"])
	}
	return s.jsonStep(body)
}

// jsonStep reads a step whose images are base64.
func (s *api) jsonStep(body []byte) (kycbridge.Step, error) {
	doc, err := s.document("StepRequest", body)
	if err != nil {
		return kycbridge.Step{}, err
	}
	step := stepOf(doc)
	step.JSON = true
	for _, name := range []string{"image", "image2"} {
		encoded := text(doc, name)
		if encoded == "" {
			continue
		}
		image, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return kycbridge.Step{}, faulty(errInvalidRequest,
				[]kycbridge.FieldError{{Path: "/" + name, Message: "must be base64"}})
		}
		step.Images = append(step.Images, kycbridge.StepImage{ContentType: http.DetectContentType(image), Body: image})
	}
	return step, nil
}

// formStep reads a step whose images are files of a form.
func (s *api) formStep(body []byte, boundary string) (kycbridge.Step, error) {
	doc, images, err := s.formParts(multipart.NewReader(bytes.NewReader(body), boundary))
	if err != nil {
		return kycbridge.Step{}, err
	}
	if err := faulty(errInvalidRequest, s.Validate("StepForm", doc)); err != nil {
		return kycbridge.Step{}, err
	}
	step := stepOf(doc)
	for _, name := range []string{"image", "image2"} {
		if image, ok := images[name]; ok {
			step.Images = append(step.Images, image)
		}
	}
	return step, nil
}

// formParts reads the parts of a form: the files separately, with an empty text for each in the document
// that the schema describes.
func (s *api) formParts(form *multipart.Reader) (doc map[string]any, images map[string]kycbridge.StepImage, err error) {
	doc, images = map[string]any{}, map[string]kycbridge.StepImage{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return doc, images, nil
		}
		if err != nil {
			return nil, nil, badForm("is not a form that can be read")
		}
		name := part.FormName()
		if _, twice := doc[name]; twice || len(doc) == maxParts {
			return nil, nil, badForm("holds a part twice, or too many parts")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, badForm("is not a form that can be read")
		}
		switch name {
		case "image", "image2":
			doc[name], images[name] = "", kycbridge.StepImage{ContentType: imageType(part.Header.Get("Content-Type"), content),
				Body: content}
			if len(content) == 0 {
				return nil, nil, faulty(errInvalidRequest, []kycbridge.FieldError{{Path: "/" + name, Message: "must not be empty"}})
			}
		case "data", "additional_data":
			data, faults := s.Decode(content)
			if len(faults) > 0 {
				return nil, nil, faulty(errInvalidRequest, prefixFaults("/"+name, faults))
			}
			doc[name] = data
		case "skip":
			doc[name] = string(content)
			if said, known := map[string]bool{"true": true, "false": false}[string(content)]; known {
				doc[name] = said
			}
		default:
			doc[name] = ""
		}
	}
}

func badForm(message string) error {
	return faulty(errBadRequest, []kycbridge.FieldError{{Message: message}})
}

// prefixFaults converts the pointers of faults in a part of a form.
func prefixFaults(place string, faults []kycbridge.FieldError) []kycbridge.FieldError {
	moved := make([]kycbridge.FieldError, len(faults))
	for i, f := range faults {
		moved[i] = kycbridge.FieldError{Path: place + f.Path, Message: f.Message}
	}
	return moved
}

// stepOf is the step of a valid document without its images.
func stepOf(doc map[string]any) kycbridge.Step {
	var step kycbridge.Step
	step.Skip, _ = doc["skip"].(bool)
	for _, name := range []string{"data", "additional_data"} { // the schema accepts one of them
		if data, ok := doc[name]; ok {
			step.Data, _ = json.Marshal(data) // encoding a decoded tree never fails
		}
	}
	return step
}

// imageType is the declared type of a file, or the detected one if that is not specific.
func imageType(said string, content []byte) string {
	known, _, err := mime.ParseMediaType(said)
	if err != nil || known == "application/octet-stream" {
		return http.DetectContentType(content)
	}
	return known
}

// readJSON reads the JSON object of a request and checks it against a component.
func (s *api) readJSON(c echo.Context, t *requestLog, component string, limit int64) (map[string]any, error) {
	if !isJSON(c.Request().Header) {
		return nil, errMediaType
	}
	memory := share{of: &s.bodies}
	defer memory.release()
	body, err := s.readAll(c, t, limit, &memory)
	if err != nil {
		return nil, err
	}
	return s.document(component, body)
}

// readAll reads a body of at most limit bytes.
func (s *api) readAll(c echo.Context, t *requestLog, limit int64, memory *share) ([]byte, error) {
	body, err := readBody(c.Request(), limit, memory)
	t.bytes = int64(len(body))
	return body, err
}

// document decodes and checks a JSON object.
func (s *api) document(component string, body []byte) (map[string]any, error) {
	decoded, faults := s.Decode(body)
	if err := faulty(errBadRequest, faults); err != nil {
		return nil, err
	}
	if err := faulty(errInvalidRequest, s.Validate(component, decoded)); err != nil {
		return nil, err
	}
	doc, ok := decoded.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("decoded request is a %T: %w", decoded, errFault)
	}
	return doc, nil
}

// text is a string member, or "".
func text(doc map[string]any, member string) string {
	s, _ := doc[member].(string)
	return s
}

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed schemas/*.json
var schemas embed.FS

// Event is the event that is published for a callback. It contains the body as received, because nothing else keeps it.
type Event struct {
	ID           string   `json:"id"`
	Provider     string   `json:"provider"`
	Account      string   `json:"account"`
	Verification string   `json:"verification"`
	Status       string   `json:"status"`
	Reason       string   `json:"reason,omitempty"`
	OccurredAt   string   `json:"occurred_at"`
	Document     Document `json:"document"`
	Checks       []Check  `json:"checks"`

	Raw json.RawMessage `json:"raw"`
}

// Document is the identity document that was shown.
type Document struct {
	Type        string `json:"type,omitempty"`
	Number      string `json:"number,omitempty"`
	Country     string `json:"country,omitempty"`
	FirstName   string `json:"first_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	DateOfBirth string `json:"date_of_birth,omitempty"`
	Expires     string `json:"expires,omitempty"`
}

// Check is one check of the provider.
type Check struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Score  string `json:"score,omitempty"`
}

// provider is how the callbacks of one provider are read.
type provider struct {
	name   string
	schema *jsonschema.Schema
	read   func(object) Event
}

func providers() ([]provider, error) {
	all := []provider{{name: "ondato", read: readOndato}, {name: "signzy", read: readSignzy}}
	for i, p := range all {
		raw, err := schemas.ReadFile("schemas/" + p.name + ".json")
		if err != nil {
			return nil, err
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat = true
		if err := compiler.AddResource(p.name+".json", bytes.NewReader(raw)); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", p.name, err)
		}
		if all[i].schema, err = compiler.Compile(p.name + ".json"); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", p.name, err)
		}
	}
	return all, nil
}

// event decodes, validates and maps a body.
func (p provider) event(account string, body []byte) (Event, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return Event{}, fmt.Errorf("decode: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Event{}, errors.New("decode: text after the JSON value")
	}
	if err := p.schema.Validate(decoded); err != nil {
		return Event{}, err
	}
	e := p.read(decoded.(map[string]any)) // the schemas accept objects only
	e.ID, e.Provider, e.Account, e.Raw = p.name+":"+account+":"+e.ID, p.name, account, body
	return e, nil
}

// object is a decoded JSON object; a missing member is the zero value.
type object map[string]any

func (o object) object(name string) object {
	inner, _ := o[name].(map[string]any)
	return inner
}

// text is a string, number or boolean as text.
func (o object) text(name string) string {
	switch v := o[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func readOndato(body object) Event {
	payload := body.object("payload")
	d := payload.object("document")
	return Event{
		ID: body.text("id"), Verification: payload.text("identityVerificationId"), Status: payload.text("status"),
		Reason: payload.text("statusReason"), OccurredAt: body.text("createdUtc"),
		Document: Document{Type: d.text("type"), Number: d.text("documentNumber"), Country: d.text("countryIso3"),
			FirstName: d.text("firstName"), LastName: d.text("lastName"), DateOfBirth: d.text("dateOfBirth"),
			Expires: d.text("dateOfExpiration")},
		Checks: []Check{{Name: "cross_check", Result: payload.text("isCrossChecked")},
			{Name: "mrz", Result: d.text("mrzVerified")}},
	}
}

func readSignzy(body object) Event {
	read, captured := body.object("documentIntelligence"), body.object("capturedData")
	fields, name := read.object("extractedFields"), body.object("userInfo").object("name")
	liveness := body.object("selfieAnalysis").object("passiveLiveliness")
	face := body.object("selfieAnalysis").object("faceMatch")
	return Event{
		ID: body.text("journeyId") + ":" + body.text("updatedAt"), Verification: body.text("journeyId"),
		Status: body.text("currentStatus"), Reason: body.text("message"), OccurredAt: body.text("updatedAt"),
		Document: Document{Type: captured.text("idType"), Number: fields.text("Document Number"),
			Country: captured.text("country"), FirstName: name.text("firstName"), LastName: name.text("lastName"),
			DateOfBirth: fields.text("Date of Birth"), Expires: fields.text("Date Of Expiry")},
		Checks: []Check{{Name: "document", Result: read.object("completeStatus").text("overallStatus")},
			{Name: "liveness", Result: liveness.text("liveness"), Score: liveness.text("score")},
			{Name: "face_match", Result: face.text("verified"), Score: face.text("matchPercentage")}},
	}
}

package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/normalize/values"
)

// startOptions are the options that only Ondato has.
type startOptions struct {
	RepresentativeID     string `json:"representative_id"`
	FaceAuthenticationID string `json:"face_authentication_id"`
}

// start creates an identity verification. Return addresses, language and validity belong to the setup at Ondato
// and are left out.
func (c *Client) start(ctx context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
	create, err := c.createRequest(r)
	if err != nil {
		return kycbridge.Started{}, err
	}
	now := time.Now()
	id, answer, err := c.CreateIdentityVerification(ctx, create)
	if err != nil {
		return kycbridge.Started{}, err
	}
	id = strings.ToLower(id) // references of this provider are compared in lower case
	return kycbridge.Started{
		Reference: id,
		URL:       strings.ReplaceAll(c.config.PageURL, idPlace, url.QueryEscape(id)),
		ExpiresAt: now.Add(linkLife),
		FlowID:    create.SetupID,
		Answer:    rest.Only(answer.Body, "id", "status", "setup.id", "setup.versionId"),
	}, nil
}

func (c *Client) createRequest(r kycbridge.StartRequest) (CreateRequest, error) {
	create := CreateRequest{
		SetupID:             r.FlowID,
		ExternalReferenceID: r.ExternalReference,
		Registration:        registration(r.Person),
	}
	if create.SetupID == "" {
		create.SetupID = c.config.SetupID
	}
	if len(r.Options) == 0 {
		return create, nil
	}
	var options startOptions
	if json.Unmarshal(r.Options, &options) != nil {
		return CreateRequest{}, &kycbridge.ProviderError{
			Kind: kycbridge.ProviderInvalid, Call: callCreate, Err: errors.New("the options cannot be read"),
			Fields: []kycbridge.FieldError{{Path: "/options", Message: "must be as the schema ondato/start has them"}},
		}
	}
	create.RepresentativeID = options.RepresentativeID
	if options.FaceAuthenticationID != "" {
		create.FaceAuthentication = &FaceAuthentication{IdentityVerificationID: options.FaceAuthenticationID}
	}
	return create, nil
}

// registration returns the data about a person that Ondato accepts; nil if p contains none of it.
func registration(p kycbridge.Person) *Registration {
	given, middle, family := p.Parts()
	r := Registration{
		DateOfBirth:  p.Birthdate,
		Email:        p.Email,
		FirstName:    given,
		MiddleName:   middle,
		LastName:     family,
		PersonalCode: p.PersonalNumber,
		PhoneNumber:  phone(p.PhoneNumber),
	}
	if p.Address != nil {
		r.CountryCode = values.CountryAlpha2(p.Address.Country)
	}
	if r == (Registration{}) {
		return nil
	}
	return &r
}

// maxPhone is the maximum number of digits of an E.164 number.
const maxPhone = 15

// phone converts an E.164 number to a JSON number; "" for any other text, which is left out.
func phone(e164 string) json.Number {
	digits := strings.TrimPrefix(e164, "+")
	if digits == "" || len(digits) > maxPhone || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return json.Number(digits)
}

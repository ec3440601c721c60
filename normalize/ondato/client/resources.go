package client

import "encoding/json"

// Token is an answer of the token endpoint.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990304
type Token struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   word   `json:"expires_in"` // seconds
	TokenType   word   `json:"token_type"`
	Scope       word   `json:"scope"`
}

// CreateRequest is the body of the call that creates an identity verification (IDV).
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
type CreateRequest struct {
	SetupID             string              `json:"setupId,omitempty"`
	ExternalReferenceID string              `json:"externalReferenceId,omitempty"`
	Registration        *Registration       `json:"registration,omitempty"`
	RepresentativeID    string              `json:"representativeId,omitempty"`
	FaceAuthentication  *FaceAuthentication `json:"faceAuthentication,omitempty"`
}

// Registration is what is known about the applicant before the verification.
type Registration struct {
	DateOfBirth  string `json:"dateOfBirth,omitempty"` // YYYY-MM-DD
	Email        string `json:"email,omitempty"`
	FirstName    string `json:"firstName,omitempty"`
	MiddleName   string `json:"middleName,omitempty"`
	LastName     string `json:"lastName,omitempty"`
	PersonalCode string `json:"personalCode,omitempty"`
	// PhoneNumber is a JSON number with the digits of the international number; it may exceed 32 bits.
	PhoneNumber json.Number `json:"phoneNumber,omitempty"`
	CountryCode string      `json:"countryCode,omitempty"` // ISO 3166-1 alpha-2
}

// FaceAuthentication names an earlier identity verification whose face the applicant is compared to.
type FaceAuthentication struct {
	IdentityVerificationID string `json:"identityVerificationId"`
}

package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
)

// TokenRequest requests a token.
type TokenRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// TokenAnswer contains a token, a JWT.
type TokenAnswer struct {
	Token      string `json:"Token"`
	StatusCode Text   `json:"status_code"`
}

// GenerateToken requests a token. An answer without a token is an error, even if it reports success.
func (c *Client) GenerateToken(ctx context.Context, r TokenRequest) (TokenAnswer, error) {
	call, err := posted(callToken, c.config.BaseURL+c.config.AgentPrefix+pathToken, r)
	if err != nil {
		return TokenAnswer{}, err
	}
	call.Header, call.Repeat = headers(), true
	var out TokenAnswer
	call.Check = func(a rest.Answer) error {
		out = TokenAnswer{}
		if err := accept(callToken, a, &out); err != nil {
			return err
		}
		if out.Token == "" {
			return errors.New("the answer has no Token")
		}
		return nil
	}
	_, err = c.rest.Do(ctx, call)
	return out, err
}

// renew fills the token cache. If it fails, the call that needed the token has not been sent, and the error
// reports that.
func (c *Client) renew(ctx context.Context) (string, time.Time, error) {
	answer, err := c.GenerateToken(ctx, TokenRequest{c.config.Username, c.config.Password})
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		e.Sent = false
	}
	return answer.Token, expiry(answer.Token, time.Now()), err
}

// shortestLife is the shortest lifetime of a new token that can be true.
const shortestLife = time.Second

// expiry reads the expiry of a new JWT without verifying the JWT: the vendor neither documents a lifetime nor sends
// one with the token. If it cannot be true, because the clocks differ, the lifetime from issue to expiry is counted
// from now. The zero time means that nothing can be read; then the token is used until the vendor refuses it.
func expiry(token string, now time.Time) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
		Iat float64 `json:"iat"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 {
		return time.Time{}
	}
	at := instant(claims.Exp)
	left, life := at.Sub(now), at.Sub(instant(claims.Iat))
	switch {
	case claims.Iat > 0 && life >= shortestLife && (left < shortestLife || left > life):
		return now.Add(life)
	case left < shortestLife:
		return time.Time{}
	}
	return at
}

func instant(seconds float64) time.Time {
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9))
}

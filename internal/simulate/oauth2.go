package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// accessToken is a token for callbacks, with its expiry.
type accessToken struct {
	text string
	end  time.Time
}

// SetToken adds an access token to a callback: the current one if it is still valid, else a new one from the
// token endpoint. If none can be fetched, the callback is sent without a token, is refused and is retried.
func (s *Server) SetToken(h http.Header) {
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	if time.Now().After(token.end) {
		var err error
		if token, err = s.fetchToken(); err != nil {
			return
		}
		s.mu.Lock()
		s.token = token
		s.mu.Unlock()
	}
	h.Set("Authorization", "Bearer "+token.text)
}

// forgetToken discards the token, which was refused, so that a new one is fetched.
func (s *Server) forgetToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = accessToken{}
}

// fetchToken requests a token with the client-credentials grant (RFC 6749, section 4.4).
func (s *Server) fetchToken() (accessToken, error) {
	ctx, cancel := context.WithTimeout(s.life, 30*time.Second)
	defer cancel()
	o := s.Credentials.OAuth2
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {o.ClientID},
		"client_secret": {s.Credentials.Callback}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return accessToken{}, fmt.Errorf("fetch token: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	began := time.Now()
	res, err := s.Client.Do(r)
	if err != nil {
		return accessToken{}, fmt.Errorf("fetch token: %w", err)
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&answer)
	if err != nil || res.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return accessToken{}, fmt.Errorf("fetch token: answered %d", res.StatusCode)
	}
	return accessToken{answer.AccessToken, began.Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

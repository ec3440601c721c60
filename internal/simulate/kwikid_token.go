package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// The vendor's rules for user names and passwords.
var (
	kwikidUserForm     = regexp.MustCompile(`^[A-Za-z0-9]{3,20}$`)
	kwikidPasswordForm = regexp.MustCompile(`^[A-Za-z0-9]{8,32}$`)
)

// generateToken hands out a JWT. That success is true on failures too is the vendor's own way.
func (k *kwikid) generateToken(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&given)
	switch {
	case err != nil || !kwikidUserForm.MatchString(given.Username) || !kwikidPasswordForm.MatchString(given.Password):
		answer(w, http.StatusBadRequest, []byte(`{"msg": "please provide valid username and password", "status_code": 400, "success": true}`))
	case given.Username != k.Credentials.User || given.Password != k.Credentials.Password:
		answer(w, http.StatusUnauthorized, []byte(`{"msg": "username/password did not match", "status_code": 401, "success": true}`))
	default:
		k.mu.Lock()
		n := k.next()
		k.mu.Unlock()
		token := kwikidJWT(map[string]any{"sub": given.Username, "jti": n, "exp": float64(time.Now().Add(k.TokenLife).UnixMilli()) / 1000})
		answer(w, http.StatusOK, kwikidWrite(map[string]any{"Token": token, "status_code": 200, "success": true}))
	}
}

// kwikidKey signs tokens; it guards nothing but synthetic data.
const kwikidKey = "synthetic-signing-key"

// kwikidJWT makes a token, signed with HS256.
func kwikidJWT(claims map[string]any) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(kwikidWrite(claims))
	return signed + "." + kwikidSignature(signed)
}

func kwikidSignature(signed string) string {
	mac := hmac.New(sha256.New, []byte(kwikidKey))
	mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// kwikidTokenHolds reports whether a token is one of ours and has not expired.
func kwikidTokenHolds(token string, now time.Time) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || !hmac.Equal([]byte(kwikidSignature(token[:dot])), []byte(token[dot+1:])) {
		return false
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Exp float64 `json:"exp"`
	}
	return err == nil && json.Unmarshal(raw, &claims) == nil && float64(now.UnixMilli())/1000 < claims.Exp
}

// authorized refuses calls without a good token in the header auth, with the vendor's two texts.
func (k *kwikid) authorized(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("auth")
		switch {
		case token == "":
			answer(w, http.StatusUnauthorized, []byte(`{"message": "Missing authorization header"}`))
		case !kwikidTokenHolds(token, time.Now()):
			answer(w, http.StatusUnauthorized, []byte(`{"message": "Token is invalid"}`))
		default:
			handle(w, r)
		}
	}
}

package simulated

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"kycbridge/internal/simulate"
)

// The vendor's rules for user names and passwords.
var (
	userForm     = regexp.MustCompile(`^[A-Za-z0-9]{3,20}$`)
	passwordForm = regexp.MustCompile(`^[A-Za-z0-9]{8,32}$`)
)

// generateToken issues a JWT. As at the vendor, success is true for failures too.
func (k *provider) generateToken(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&given)
	switch {
	case err != nil || !userForm.MatchString(given.Username) || !passwordForm.MatchString(given.Password):
		simulate.Answer(w, http.StatusBadRequest,
			[]byte(`{"msg": "please provide valid username and password", "status_code": 400, "success": true}`))
	case given.Username != k.Credentials.User || given.Password != k.Credentials.Password:
		simulate.Answer(w, http.StatusUnauthorized,
			[]byte(`{"msg": "username/password did not match", "status_code": 401, "success": true}`))
	default:
		k.Lock()
		n := k.Next()
		k.Unlock()
		token := jwtText(map[string]any{"sub": given.Username, "jti": n,
			"exp": float64(time.Now().Add(k.TokenLife).UnixMilli()) / 1000})
		simulate.Answer(w, http.StatusOK, write(map[string]any{"Token": token, "status_code": 200, "success": true}))
	}
}

// key signs tokens; it protects only synthetic data.
const key = "synthetic-signing-key"

// jwtText returns a token, signed with HS256.
func jwtText(claims map[string]any) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(write(claims))
	return signed + "." + signature(signed)
}

func signature(signed string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokenHolds reports whether a token has the signature of this simulator and has not expired.
func tokenHolds(token string, now time.Time) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || !hmac.Equal([]byte(signature(token[:dot])), []byte(token[dot+1:])) {
		return false
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Exp float64 `json:"exp"`
	}
	return err == nil && json.Unmarshal(raw, &claims) == nil && float64(now.UnixMilli())/1000 < claims.Exp
}

// authorized rejects calls without a valid token in the header auth, with the vendor's two error texts.
func (k *provider) authorized(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("auth")
		switch {
		case token == "":
			simulate.Answer(w, http.StatusUnauthorized, []byte(`{"message": "Missing authorization header"}`))
		case !tokenHolds(token, time.Now()):
			simulate.Answer(w, http.StatusUnauthorized, []byte(`{"message": "Token is invalid"}`))
		default:
			handle(w, r)
		}
	}
}

package ondato

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"kycbridge/normalize/credential"
)

// signature is a timestamp and a MAC from a header: t=<unix seconds>, s=<64 hex>.
type signature struct {
	timestamp string // as presented, because the signature covers this text
	at        time.Time
	mac       [sha256.Size]byte
}

// parseSignature reads t=<unix seconds>, s=<64 hex>. Spaces around the comma are optional, hex may be in
// either case, members with other names are skipped, and t and s may each occur only once.
func parseSignature(value string) (sig signature, ok bool) {
	var haveTime, haveMAC bool
	for more := value != ""; more; {
		var member string
		member, value, more = strings.Cut(value, ",")
		name, content, _ := strings.Cut(strings.Trim(member, " \t"), "=")
		switch name {
		case "t":
			if haveTime || !sig.setTime(content) {
				return signature{}, false
			}
			haveTime = true
		case "s":
			if haveMAC || !sig.setMAC(content) {
				return signature{}, false
			}
			haveMAC = true
		}
	}
	return sig, haveTime && haveMAC
}

// setTime accepts 1 to 12 decimal digits: no tolerance could admit a longer timestamp.
func (s *signature) setTime(digits string) bool {
	if len(digits) == 0 || len(digits) > 12 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return false
	}
	s.timestamp, s.at = digits, time.Unix(seconds, 0)
	return true
}

func (s *signature) setMAC(digits string) bool {
	if len(digits) != hex.EncodedLen(sha256.Size) {
		return false
	}
	_, err := hex.Decode(s.mac[:], []byte(digits))
	return err == nil
}

// within reports whether the signature was created at most past before now and at most future after now.
func (s *signature) within(now time.Time, past, future time.Duration) bool {
	age := now.Sub(s.at)
	return age <= past && age >= -future
}

// matches reports whether the MAC is HMAC-SHA256(secret, timestamp + "." + body) of one of the secrets.
func (s *signature) matches(secrets []string, body []byte) bool {
	return credential.HMAC(sha256.New, secrets, s.mac[:], []byte(s.timestamp+"."), body)
}

// sign returns a signature as the value of its header.
func sign(secret string, body []byte, at time.Time) string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "t=" + timestamp + ",s=" + hex.EncodeToString(mac.Sum(nil))
}

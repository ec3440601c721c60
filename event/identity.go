package event

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
)

// namespace is the UUID namespace of all name-based ids of kycbridge.
var namespace = [16]byte{0x6b, 0x79, 0x63, 0x62, 0x72, 0x69, 0x54, 0x67, 0x8e, 0x2d, 0x30, 0x31, 0x76, 0x65, 0x72, 0x66}

// VerificationID is the UUIDv5 of provider, account and the provider's own reference, so that no lookup
// table is needed. Provider and account are tokens without a slash, so no two verifications have the same
// name.
func VerificationID(provider, account, reference string) string {
	return uuid5(provider + "/" + account + "/" + reference)
}

// ID is the UUIDv5 of a verification and a revision: a retried publish is the same message.
func ID(verificationID string, revision int) string {
	return uuid5(verificationID + "/" + strconv.Itoa(revision))
}

// uuid5 is RFC 9562 section 5.5 in kycbridge's namespace.
func uuid5(name string) string {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(name))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	s := hex.EncodeToString(u)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

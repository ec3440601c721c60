package archive

import (
	"strings"

	"kycbridge"
	"kycbridge/document"
)

// addressed is the path of a callback to an unknown account. A segment is shown if it is the name of a configured
// provider or account, or a short word of letters: any other segment may be a credential.
func (a *Archive) addressed(k kycbridge.Kept) string {
	if k.Request == nil || k.Request.Path == "" {
		return ""
	}
	parts := strings.Split(k.Request.Path, "/")
	for i, part := range parts {
		if part != "" && !a.isWordOfAddress(part) {
			parts[i] = document.Withheld
		}
	}
	return strings.Join(parts, "/")
}

func (a *Archive) isWordOfAddress(part string) bool {
	for key := range a.Accounts {
		if strings.EqualFold(part, key.Provider) || strings.EqualFold(part, key.Account) {
			return true
		}
	}
	const longest = 16
	letters := "abcdefghijklmnopqrstuvwxyz-_"
	return len(part) <= longest && strings.Trim(strings.ToLower(part), letters) == ""
}

package app

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"kycbridge"
)

// AdminToken is a token for the admin API: only Token, which then has all rights, or a name with rights
// and the token or its digest.
type AdminToken struct {
	Name   string      `yaml:"name,omitempty"`
	Token  Secret      `yaml:"token,omitempty"`
	SHA256 TokenDigest `yaml:"token_sha256,omitempty"`
	Rights []string    `yaml:"rights,omitempty"`
}

// TokenDigest is the SHA-256 of a token, in hex. It is shown, but no other digest may depend on it.
type TokenDigest string

// plain reports whether t is a token without a name, which has all rights.
func (t AdminToken) plain() bool { return t.Name == "" && t.SHA256 == "" && t.Rights == nil }

// MarshalYAML returns the form that the configuration file uses, without the secret.
func (t AdminToken) MarshalYAML() (any, error) {
	if t.plain() {
		return t.Token, nil
	}
	type mapping AdminToken
	return mapping(t), nil
}

// token is t, the token with this number, for the admin API; ok is false if it is empty or its digest is invalid.
func (t AdminToken) token(number int) (out kycbridge.AdminToken, ok bool) {
	out = kycbridge.NamelessToken(number, t.Token.Reveal())
	if t.plain() {
		return out, t.Token != ""
	}
	out.Name, out.Rights, out.Nameless = t.Name, rights(t.Rights), false
	if t.SHA256 == "" {
		return out, t.Token != ""
	}
	raw, err := hex.DecodeString(fingerprint(string(t.SHA256)))
	return kycbridge.AdminToken{Name: out.Name, Digest: [sha256.Size]byte(append(raw, make([]byte, sha256.Size)...)),
		Rights: out.Rights}, err == nil && len(raw) == sha256.Size
}

// NamesHolders reports whether the configuration names a person or system that uses the admin API. Then every
// caller must give a reason to reveal or erase data.
func (a Admin) NamesHolders() bool {
	return len(a.ClientCerts) > 0 || slices.ContainsFunc(a.Tokens, func(t AdminToken) bool { return !t.plain() })
}

// tokens are the tokens that give access to the admin API.
func (a Admin) tokens() (out []kycbridge.AdminToken) {
	for i, t := range a.Tokens {
		if token, ok := t.token(i + 1); ok {
			out = append(out, token)
		}
	}
	return out
}

// rights converts the words of the configuration to rights.
func rights(words []string) (out kycbridge.Rights) {
	for _, word := range words {
		out = append(out, kycbridge.Right(word))
	}
	return out
}

// rightWords are all rights as words.
func rightWords() (words []string) {
	for _, r := range kycbridge.AllRights() {
		words = append(words, string(r))
	}
	return words
}

// holderName matches names in the access log. Names with a colon, which it does not match, belong to users of the
// operating system.
var holderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// adminTokens checks the tokens that give access to the API.
func (c checker) adminTokens() {
	seen := map[[sha256.Size]byte]int{}
	for i, t := range c.config.Admin.Tokens {
		key := item("admin.tokens", i)
		if t.plain() && t.Token == "" {
			c.fault(key, "is an empty secret", "write the secret or remove it")
			continue
		}
		if !t.plain() {
			c.adminToken(key, t)
		}
		token, ok := t.token(i + 1)
		if !ok {
			continue
		}
		if first, twice := seen[token.Digest]; twice && (!t.plain() || !c.config.Admin.Tokens[first].plain()) {
			c.fault(key, "is the token of "+item("admin.tokens", first)+" already", "give each person a token of its own")
			continue
		}
		seen[token.Digest] = i
	}
}

// adminToken checks a token with a name.
func (c checker) adminToken(key string, t AdminToken) {
	c.require(key+".name", t.Name, "write whose token it is: it stands in the access log")
	if t.Name != "" {
		c.holderName(key, t.Name)
	}
	switch {
	case t.Token == "" && t.SHA256 == "":
		c.fault(key, "has no token", "write token, token_file or token_sha256")
	case t.Token != "" && t.SHA256 != "":
		c.fault(key, "has both token and token_sha256", "write one of the two")
	}
	raw, err := hex.DecodeString(fingerprint(string(t.SHA256)))
	if t.SHA256 != "" && (err != nil || len(raw) != sha256.Size) {
		c.fault(key+".token_sha256", "is not a SHA-256 digest", `write its 64 hex digits: printf %s "$token" | sha256sum`)
	}
	if t.Rights == nil {
		c.fault(key+".rights", "is missing", "write some of "+strings.Join(rightWords(), ", "))
	}
	c.rights(key, t.Rights)
}

// holderName checks a name that appears in the access log.
func (c checker) holderName(key, name string) {
	if !holderName.MatchString(name) || strings.HasPrefix(name, "token-") {
		c.fault(key+".name", "cannot stand in the access log", "write 1 to 64 of the characters A-Z a-z 0-9 . _ @ -, "+
			"the first a letter or digit, and not beginning with token-")
	}
}

// rights checks the words of a list of rights.
func (c checker) rights(key string, words []string) {
	if words != nil && len(words) == 0 {
		c.fault(key+".rights", "is empty", "write some of "+strings.Join(rightWords(), ", "))
	}
	for i, word := range words {
		at := item(key+".rights", i)
		c.oneOf(at, word, rightWords()...)
		if slices.Contains(words[:i], word) {
			c.fault(at, "stands there already", "write each right once")
		}
	}
}

// holders checks that no two tokens and certificates have the same name.
func (c checker) holders() {
	seen := map[string]bool{}
	for i, t := range c.config.Admin.Tokens {
		c.onlyHolder(seen, item("admin.tokens", i), t.Name)
	}
	for i, cert := range c.config.Admin.ClientCerts {
		c.onlyHolder(seen, item("admin.client_certs", i), cert.Name)
	}
}

func (c checker) onlyHolder(seen map[string]bool, key, name string) {
	if seen[name] && name != "" {
		c.fault(key+".name", "is another holder's already", "write another name")
	}
	seen[name] = true
}

package archive

import (
	"mime"
	"regexp"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// Header fields and media types are text of the caller, who may be anybody: of a refused callback too. They are shown
// to viewers without permission for personal data only in the forms of this file.

// mediaTypes are the media types that are shown.
var mediaTypes = []string{"application/json", "application/cloudevents+json", "application/problem+json",
	"application/x-ndjson", "application/xml", "application/x-www-form-urlencoded", "application/octet-stream",
	"application/pdf", "multipart/form-data", "text/json", "text/plain", "text/html", "text/xml", "text/csv"}

// mediaType is a media type as it may be shown: a known one, with UTF-8 as its only parameter.
func mediaType(text string) string {
	known, parameters, err := mime.ParseMediaType(text)
	charset := strings.ToLower(parameters["charset"])
	delete(parameters, "charset")
	return maskUnless(text, err == nil && slices.Contains(mediaTypes, known) && len(parameters) == 0 &&
		(charset == "" || charset == "utf-8"))
}

// products are the programs that send requests, as they name themselves.
var products = []string{"apache-httpclient", "axios", "curl", "dart", "faraday", "go-http-client", "got", "guzzlehttp",
	"insomnia", "java", "java-http-client", "kycbridge", "kycbridge-send", "mozilla", "node", "node-fetch", "okhttp",
	"php", "postmanruntime", "python", "python-httpx", "python-requests", "python-urllib", "reactornetty", "restsharp",
	"ruby", "rest-client", "undici", "wget"}

// product matches a program with its version. A version of a few digits is no date of birth.
var product = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9.-]*)(/[0-9]{1,2}(\.[0-9]{1,3}){0,2})?$`)

// userAgent is the program that sent a request as it may be shown: the first product if it is a known one or that of
// the provider, and nothing of what follows.
func userAgent(text, provider string) string {
	first, rest, _ := strings.Cut(text, " ")
	found := product.FindStringSubmatch(first)
	if found == nil || !slices.Contains(products, strings.ToLower(found[1])) && !event.HarmlessWord(found[1], provider) {
		return maskUnless(text, false)
	}
	return strings.TrimSpace(first + " " + maskUnless(rest, false))
}

var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// headers are the header fields of a payload as they may be shown.
func headers(k kycbridge.Kept) map[string]string {
	if len(k.Header) == 0 {
		return nil
	}
	out := make(map[string]string, len(k.Header))
	for name, value := range k.Header {
		switch name {
		case "User-Agent":
			out[name] = userAgent(value, k.Provider)
		case "Traceparent":
			out[name] = maskUnless(value, traceparent.MatchString(value))
		case "Content-Encoding":
			out[name] = maskUnless(value, slices.Contains([]string{"gzip", "deflate", "br", "identity"}, value))
		default:
			out[name] = maskUnless(value, event.HarmlessID(value))
		}
	}
	return out
}

// revealed are header fields without secrets that a caller has written into them.
func revealed(fields map[string]string, secrets []string) map[string]string {
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]string, len(fields))
	for name, value := range fields {
		out[name] = withoutSecrets(value, secrets)
	}
	return out
}

// MemberName is the name of a member of a provider's body as it may be shown to viewers without permission for
// personal data.
func MemberName(name, provider string) string {
	if !event.HarmlessName(name, provider) {
		return document.Withheld
	}
	return document.Presentable(name)
}

// places are the faults of a body, with the names in their paths as they may be shown.
func places(faults []kycbridge.FieldError, provider string) []kycbridge.FieldError {
	out := slices.Clone(faults)
	for i := range out {
		tokens := strings.Split(out[i].Path, "/")
		for j, token := range tokens {
			if token != "" && strings.Trim(token, "0123456789") != "" {
				tokens[j] = MemberName(token, provider)
			}
		}
		out[i].Path = strings.Join(tokens, "/")
	}
	return out
}

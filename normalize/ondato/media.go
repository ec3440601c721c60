package ondato

import (
	"strconv"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// kinds maps the type and the part of a file to its kind: "type/part", or "type/" for any part. The part matters
// only if the type is a document photo or missing.
// Source: file types and parts of the vendor's KYC examples; the lists are open.
var kinds = map[string]string{
	"documentphoto/front":    "document_front",
	"documentphoto/datapage": "document_front", // the data page of a passport corresponds to the front of a card
	"documentphoto/back":     "document_back",
	"/front":                 "document_front",
	"/datapage":              "document_front",
	"/back":                  "document_back",
	"selfie/":                "selfie",
	"selfiewithdoc/":         "selfie",
	"proofofaddress/":        "proof_of_address",
}

// media lists the files by their id at the provider, which serves no file without credentials. It is nil if r
// contains no list of files, and empty if r contains only empty lists.
func media(r document.Object) []event.Media {
	var out []event.Media
	for _, list := range [][]string{{"document", "files"}, {"face", "files"}, {"additionalFiles"}} {
		files, sent := r.Value(list...).([]any)
		if sent && out == nil {
			out = make([]event.Media, 0, min(len(files), values.Most))
		}
		for i, item := range values.AtMost(files) {
			file, _ := item.(map[string]any)
			if m, ok := mediaOf(file, place(list, i)); ok {
				out = append(out, m)
			}
		}
	}
	return out
}

func place(list []string, i int) string {
	path := list[0]
	for _, member := range list[1:] {
		path += "." + member
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

// mediaOf returns one file; ok is false if it has no id.
func mediaOf(f document.Object, field string) (m event.Media, ok bool) {
	kind, part := values.Fold(word(f, "fileType")), values.Fold(word(f, "part"))
	m = event.Media{
		Kind: "other", MediaType: values.MediaType(word(f, "fileExtension")),
		ProviderRef: boundedID(f, "fileId"), Field: field,
	}
	for _, known := range []string{kind + "/" + part, kind + "/"} {
		if name, isKnown := kinds[known]; isKnown {
			m.Kind = name
			break
		}
	}
	return m, m.ProviderRef != ""
}

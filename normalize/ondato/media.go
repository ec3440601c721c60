package ondato

import (
	"strconv"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// kinds name a file by its type, or by its part where the type says only that it is a document.
// Source: file types and parts of the vendor's KYC examples; the lists are open.
var kinds = map[string]string{
	"documentphoto/front":    "document_front",
	"documentphoto/datapage": "document_front", // the page of a passport that a card has as its front
	"documentphoto/back":     "document_back",
	"/front":                 "document_front",
	"/datapage":              "document_front",
	"/back":                  "document_back",
	"selfie/":                "selfie",
	"selfiewithdoc/":         "selfie",
	"proofofaddress/":        "proof_of_address",
}

// media lists the files by their id at the provider, which opens nothing without credentials. It is nil
// where r says nothing of files, and empty where it lists none.
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

// mediaOf is one file, if it has an id.
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

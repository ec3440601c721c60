package signzy

import (
	"path"
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// media lists the images of a journey: the captured ones, and the parts cut out of them. Anyone who has the
// URL of an image can open it, so each entry also has the image's path in the body, which can replace the URL.
// For an image that is embedded in the body, the event contains only that path.
// Source: https://docs.signzy.com/contract360/persist-file-system
func media(j document.Object, reports []report) []event.Media {
	images := j.Object("capturedData", "images")
	var found []event.Media
	said := images != nil
	for _, member := range imageMembers(images) {
		if picture(images[member]) {
			found = append(found, medium(imageKind(member), images.Text(member), "capturedData.images."+member))
		}
	}
	for _, r := range reports {
		said = said || r.body.Has("graphicFields")
		found = append(found, r.graphics()...)
	}
	if said && found == nil {
		return []event.Media{}
	}
	return values.AtMost(found)
}

// imageMembers lists the members of images, in the order in which a journey captures them.
func imageMembers(images document.Object) []string {
	members := []string{"frontDoc", "backDoc", "selfie"}
	for _, member := range values.Sorted(images) {
		if stem, n := numbered(member); n > 0 && (stem == "frontDoc" || stem == "backDoc") {
			members = append(members, member)
		}
	}
	return members
}

func imageKind(member string) string {
	switch stem, _ := numbered(member); stem {
	case "frontDoc":
		return "document_front"
	case "backDoc":
		return "document_back"
	}
	return "selfie"
}

// graphics lists the parts cut out of a document's images, by what they show.
func (r report) graphics() []event.Media {
	var found []event.Media
	for i, group := range r.body.List("graphicFields", "fieldList") {
		items, _ := group.([]any)
		for k, item := range items {
			field, _ := item.(map[string]any)
			if kind := graphicKind(field); kind != "" && picture(field["value"]) {
				place := r.member + ".graphicFields.fieldList." + strconv.Itoa(i) + "." + strconv.Itoa(k) + ".value"
				found = append(found, medium(kind, document.Object(field).Text("value"), place))
			}
		}
	}
	return found
}

// graphicKind returns the kind of a part: portrait, ghost_portrait, signature, or the document itself by its
// side.
func graphicKind(field document.Object) string {
	kind := values.Snake(field.Text("fieldType"))
	if kind != "cropped_document" {
		return kind
	}
	if values.Fold(field.Text("docSide")) == "back" {
		return "document_back"
	}
	return "document_front"
}

func medium(kind, ref, place string) event.Media {
	if !webAddress(ref) {
		return event.Media{Kind: kind, ProviderRef: place, Field: place}
	}
	name, _, _ := strings.Cut(ref, "?")
	return event.Media{Kind: kind, MediaType: values.MediaType(path.Ext(name)), ProviderRef: ref, Field: place}
}

// picture reports whether v is the URL of an image or the image itself, in any encoding.
func picture(v any) bool {
	const longestWord = 256
	s, _ := v.(string)
	return webAddress(s) || len(s) > longestWord || len(s) >= 5 && strings.EqualFold(s[:5], "data:")
}

// webAddress reports whether s is a URL of plausible length and not image data.
func webAddress(s string) bool {
	const longest = 2048
	return len(s) <= longest && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://"))
}

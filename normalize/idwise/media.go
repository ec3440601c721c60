package idwise

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// images are the members of a document's images, in both of the vendor's spellings.
var images = []struct{ member, kind string }{
	{"input_image_path", "document_front"},
	{"front_image_path", "document_front"},
	{"back_side_image_path", "document_back"},
	{"back_image_path", "document_back"},
	{"front_side_cropped_image_path", "document_front_cropped"},
	{"front_cropped_image_path", "document_front_cropped"},
	{"back_side_cropped_image_path", "document_back_cropped"},
	{"back_cropped_image_path", "document_back_cropped"},
}

// sources maps the origins of a compared image, folded, to kinds of media.
var sources = map[string]string{
	"selfie":          "selfie",
	"document":        "document_portrait",
	"additionalface":  "additional_face",
	"additionalfaces": "additional_face",
}

// media lists each image once, under the first path in the body that refers to it.
func (r result) media(cards []card) []event.Media {
	media := make(gallery, 0, 8)
	media.add("selfie", r.Value("selfie", "image_path"), "selfie.image_path")
	for _, c := range cards {
		for _, image := range images {
			media.add(image.kind, c.Value("images", image.member), c.place()+".images."+image.member)
		}
		media.compared(c.Value("face_match_result"), c.place()+".face_match_result")
	}
	screenings := r.Object.Object("screening_checks")
	for _, id := range values.AtMost(values.Sorted(screenings)) {
		at := "screening_checks." + values.Clip(id, values.MaxCode)
		media.add("additional_face", screenings.Value(id, "image_path"), at+".image_path")
		for i, match := range values.AtMost(screenings.List(id, "face_match_results")) {
			media.compared(match, at+".face_match_results."+strconv.Itoa(i))
		}
	}
	media.add("portrait", r.Value("applicant", "profile_image_path"), "applicant.profile_image_path")
	return media
}

// gallery collects media and contains each reference once.
type gallery []event.Media

// add sets Field, the path in the body, only for a URL: an opaque image path grants no access.
func (g *gallery) add(kind string, path any, field string) {
	ref := values.MediaRef(values.ScalarText(path), field)
	known := func(m event.Media) bool { return m.ProviderRef == ref }
	if ref == "" || len(*g) >= values.Most || slices.ContainsFunc(*g, known) {
		return
	}
	m := event.Media{Kind: kind, ProviderRef: ref}
	if strings.Contains(ref, "://") {
		m.Field = field
	}
	*g = append(*g, m)
}

// compared adds the images of a face comparison.
func (g *gallery) compared(match any, at string) {
	object, _ := match.(map[string]any)
	for i, item := range values.AtMost(document.Object(object).List("images")) {
		image, _ := item.(map[string]any)
		kind := cmp.Or(sources[values.Fold(document.Object(image).Text("image_source"))], "face")
		g.add(kind, image["image_path"], at+".images."+strconv.Itoa(i))
	}
}

package event

import (
	"regexp"
	"strings"
)

// mrzLine matches a line of the machine-readable zone of a document (ICAO 9303), which has 30, 36 or 44 characters.
var mrzLine = regexp.MustCompile(`[0-9A-Z<]{30,}`)

// mrzFiller is the filler in such a line. It distinguishes one from a long id.
const mrzFiller = "<<"

// hideMRZ replaces each line of a machine-readable zone in text by mask: a provider's recogniser may have put one where
// a name or a number belongs, and no event contains one.
func hideMRZ(text, mask string) string {
	if !strings.Contains(text, mrzFiller) {
		return text
	}
	return mrzLine.ReplaceAllStringFunc(text, func(line string) string {
		if !strings.Contains(line, mrzFiller) {
			return line
		}
		return mask
	})
}

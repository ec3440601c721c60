package event

import (
	"regexp"
	"strings"
)

// mrzShortest is the number of characters in the shortest line of a machine-readable zone (ICAO 9303). The others have
// 36 or 44.
const mrzShortest = 30

var (
	mrzLine = regexp.MustCompile(`[0-9A-Z<]{30,}`)
	// mrzDates matches the part of a line that no long id has by chance: date of birth, sex and date of expiry, each date
	// with its check digit.
	mrzDates = regexp.MustCompile(mrzDay + `[0-9<][FMX<]` + mrzDay + `[0-9<]`)
)

const (
	mrzDay    = `[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])`
	mrzFiller = "<<" // in all lines but those that are full
)

// hideMRZ replaces each line of a machine-readable zone in text by mask: a provider's recogniser may have put one where
// a name or a number belongs, and no event contains one.
func hideMRZ(text, mask string) string {
	if !mayHoldMRZ(text) {
		return text
	}
	return mrzLine.ReplaceAllStringFunc(text, func(line string) string {
		if strings.Contains(line, mrzFiller) || mrzDates.MatchString(line) {
			return mask
		}
		return line
	})
}

// mayHoldMRZ reports whether text has as many characters of such a line after one another as the shortest. It is called
// for every string of every event.
func mayHoldMRZ(text string) bool {
	if len(text) < mrzShortest {
		return false
	}
	n := 0
	for i := range len(text) {
		if c := text[i]; c-'0' > 9 && c-'A' > 'Z'-'A' && c != '<' {
			n = 0
			continue
		}
		if n++; n == mrzShortest {
			return true
		}
	}
	return false
}

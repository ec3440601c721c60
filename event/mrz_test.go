package event

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNoMRZ: a line of a machine-readable zone that a recogniser has read as a name, a number or anything else is in no
// event, in no profile. Long ids and fillers of forms remain.
func TestNoMRZ(t *testing.T) {
	for _, line := range []string{
		"P<UTOSAMPLE<<TESTA<<<<<<<<<<<<<<<<<<<<<<<<<<",
		"X0000002<3UTO8807306F3201101<<<<<<<<<<<<<<08",
		"I<UTOX000000020<<<<<<<<<<<<<<<",
		"X0000002<3UTO8807306F3201101ZE184226B1234510", // full: it has no filler
		"read: I<UTOX000000020<<<<<<<<<<<<<<<\n8807306F3201101UTO<<<<<<<<<<<8",
	} {
		for _, profile := range []Profile{ProfileFull, ProfileMasked, ProfileNone, ProfileEncrypted} {
			eachString("", published(t, line, profile), func(pointer, s string) {
				if strings.Contains(s, "UTO") && !ownIDs[pointer] {
					t.Errorf("%s: %s holds %q", profile, pointer, s)
				}
			})
		}
	}
	for _, other := range []string{"Testa <<Example>> Sample", "NAME<<<<<<", strings.Repeat("A1", 30),
		"4F5B20D1C3A947E08B6D2F91ACE05738F1"} {
		if hidden := hideMRZ(other, aadhaarMask); hidden != other {
			t.Errorf("%q is hidden: %q", other, hidden)
		}
	}
}

// zone makes lines of machine-readable zones with correct check digits, of synthetic persons.
func zone(rnd *rand.Rand) [][]string {
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('A' + rnd.IntN(26))
		}
		return string(b)
	}
	number := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rnd.IntN(36)]
		}
		return string(b)
	}
	digit := func() string { return string(rune('0' + rnd.IntN(10))) }
	day := func() string {
		d := fmt.Sprintf("%02d%02d%02d", rnd.IntN(100), 1+rnd.IntN(12), 1+rnd.IntN(28))
		return d + mrzCheckDigit(d)
	}
	sex := func() string { return string("MFX<"[rnd.IntN(4)]) }
	country, card := letters(3), []string{"I<", "ID", "C<", "AC"}[rnd.IntN(4)]
	numbered := func() string { n := number(9); return n + mrzCheckDigit(n) }
	filled := func(line string, n int) string { return (line + strings.Repeat("<", n))[:n] }
	name := letters(3+rnd.IntN(18)) + "<<" + letters(3+rnd.IntN(10)) + "<" + letters(3+rnd.IntN(8))
	optional := []string{"", number(14)}[rnd.IntN(2)]
	return [][]string{
		{filled(card+country+numbered()+optional, 30), day() + sex() + day() + country + filled(optional, 11) + digit(),
			filled(name, 30)},
		{filled("I<"+country+name, 36), numbered() + country + day() + sex() + day() + filled(optional, 7) + digit()},
		{filled("P<"+country+name, 44),
			numbered() + country + day() + sex() + day() + filled(optional, 14) + digit() + digit()},
	}
}

// TestNoMRZInAnyForm: lines of machine-readable zones are hidden as they are printed, in lower case, escaped, and with
// a blank inside, alone and within a text.
func TestNoMRZInAnyForm(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	forms := map[string]func(string) string{
		"printed":    func(s string) string { return s },
		"lower case": strings.ToLower,
		"&lt;":       func(s string) string { return strings.ReplaceAll(s, "<", "&lt;") },
		"%3C":        func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "<", "%3C") },
		`\u003c`:     func(s string) string { return strings.ReplaceAll(s, "<", `\u003c`) },
		"guillemets": func(s string) string { return strings.ReplaceAll(s, "<<", "«") },
		"a blank":    func(s string) string { n := 1 + rnd.IntN(len(s)-1); return s[:n] + " " + s[n:] },
		"two blanks": func(s string) string {
			n := 3 + rnd.IntN(len(s)-9)
			return s[:n] + " " + s[n:n+4] + "\u00a0" + s[n+4:]
		},
		"lower blank": func(s string) string { n := 1 + rnd.IntN(len(s)-1); return strings.ToLower(s[:n] + " " + s[n:]) },
	}
	around := [][2]string{{"", ""}, {"read: ", "."}, {"the zone says ", " and no more"}, {"\"", "\"\n"}}
	for range 3000 {
		for _, lines := range zone(rnd) {
			for i, line := range lines {
				for name, form := range forms {
					text, formed := around[rnd.IntN(len(around))], form(line)
					shown := hideMRZ(text[0]+formed+text[1], "[mask]")
					if name == "printed" && shown != text[0]+"[mask]"+text[1] {
						t.Fatalf("more than the line is hidden in %q: %q", text[0]+formed+text[1], shown)
					}
					left := len(shown) - len(text[0]+"[mask]"+text[1])
					if !strings.Contains(shown, "[mask]") || strings.Contains(shown, "<") || mrzDates.MatchString(shown) ||
						name != "two blanks" && left > 1 || left > len(line)/2 {
						t.Fatalf("line %d of %d, %s: %q is shown as %q", i, len(lines), name, formed, shown)
					}
				}
			}
		}
	}
}

// TestIDsAreNoMRZ: ids, hashes, addresses and sentences remain as they are.
func TestIDsAreNoMRZ(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	alphabets := []string{"0123456789abcdef", "0123456789ABCDEF", "0123456789", "0123456789abcdefghijklmnopqrstuvwxyz",
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/-_ %"}
	for range 400_000 {
		alphabet := alphabets[rnd.IntN(len(alphabets))]
		id := make([]byte, 24+rnd.IntN(64))
		for i := range id {
			id[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		if hidden := hideMRZ(string(id), aadhaarMask); hidden != string(id) {
			t.Errorf("%q is hidden: %q", id, hidden)
		}
	}
	for _, text := range []string{
		"Dear customer, your name is <<NAME>>, please send the document again",
		"shift the value left: a << b and compare it with the next one",
		"&lt;p&gt;The document could not be read, send it again.&lt;/p&gt;",
		"2026-03-02T09:00:12Z 2026-03-02T09:00:13Z 20260302090012 20260302090013",
		"https://example.test/a/0190f5fe-1111-7222-8333-444455556666?from=20260302&to=20260402",
		"ref 880730 6 and 320110 1 of document 0000002 were compared",
		"<document><type>passport</type><number>hidden</number></document>",
	} {
		if hidden := hideMRZ(text, aadhaarMask); hidden != text {
			t.Errorf("%q is hidden: %q", text, hidden)
		}
	}
}

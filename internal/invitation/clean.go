package invitation

import (
	"strings"
	"unicode"
)

// maxMarks is how many marks may follow one letter. Four are more than any
// language stacks; a hundred cover the lines above and below.
const maxMarks = 4

// clean returns a name as one line of at most limit characters without anything
// that cannot be seen: controls, zero-width characters, and those that turn the
// reading direction (https://unicode.org/reports/tr36, 2.5). Joiners go too, so
// that some emoji fall apart into two. Whatever is space becomes one blank.
func clean(name string, limit int) string {
	var b strings.Builder
	blank, marks := false, 0
	for _, r := range strings.ToValidUTF8(name, "") {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Z):
			blank = b.Len() > 0
			continue
		case invisible(r):
			continue
		case !unicode.Is(unicode.M, r):
			marks = 0
		case marks == maxMarks || blank || b.Len() == 0: // nothing to stand on
			continue
		default:
			marks++
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return cut(b.String(), limit)
}

// invisible tells whether a character has no form of its own.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == brailleBlank || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs,
		unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point)
}

// cut shortens s to limit characters, the last of them an ellipsis, and leaves no
// letter without its marks.
func cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	end := limit - 1
	for end > 0 && unicode.Is(unicode.M, runes[end]) {
		end--
	}
	return strings.TrimRight(string(runes[:end]), " ") + "…"
}

// unlink takes apart what mail programs make a link of. A customer's name comes
// from whoever booked, and goes to the address that they gave: without this,
// "Win at evil.example" would be a link in a mail that the business signs. What is
// left of a usual name is the name: "J.R. Smith" reads "J. R. Smith".
func unlink(name string) string {
	// First, because what is invisible could hide a dot's neighbour.
	name = clean(name, len(name))
	name = strings.NewReplacer("/", " ", "@", " ", "\\", " ").Replace(name)
	var b strings.Builder
	dot := false
	for _, r := range name {
		if dot && !unicode.IsSpace(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		// The other three are dots to an internationalised domain name (RFC 3490, 3.1).
		dot = strings.ContainsRune(".。．｡", r)
	}
	return b.String()
}

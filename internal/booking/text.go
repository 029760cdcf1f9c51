package booking

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"millrace/internal/fault"
)

// line cleans a text of one line that mails will show, also in their headers: it
// is trimmed, composed (NFC) and rid of invisible characters. ok is false for
// control characters and line breaks, which could end a header.
func line(text string) (clean string, ok bool) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isBreak) {
		return text, false
	}
	return strings.TrimSpace(norm.NFC.String(stripInvisible(text))), true
}

// lines cleans a text that may have line breaks and tabs.
func lines(text string) (clean string, ok bool) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(strings.TrimSpace(text))
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && isBreak(r) }) {
		return text, false
	}
	return strings.TrimSpace(norm.NFC.String(stripInvisible(text))), true
}

// isBreak reports control characters, line separators and paragraph separators.
func isBreak(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) }

// stripInvisible takes out what has no shape of its own and can make a text look
// like another one: bidirectional overrides, zero-width spaces, tags, fillers.
// It leaves what scripts need to be read: joiners where RFC 5892 (A.1, A.2) allows
// them, and one variation selector after a character.
func stripInvisible(text string) string {
	runes := []rune(text)
	kept := make([]rune, 0, len(runes))
	var before rune // what was kept last
	for i, r := range runes {
		switch {
		case !invisible(r):
		case unicode.Is(unicode.Variation_Selector, r):
			if before == 0 || invisible(before) || unicode.In(before, unicode.M, unicode.Z) {
				continue
			}
		case r == '\u200c' || r == '\u200d':
			var after rune
			if i+1 < len(runes) {
				after = runes[i+1]
			}
			if !joins(r, before, after) {
				continue
			}
		default:
			continue
		}
		kept, before = append(kept, r), r
	}
	return string(kept)
}

// invisible reports whether a character has no shape (Default_Ignorable_Code_Point
// of the Unicode standard, and format characters).
func invisible(r rune) bool {
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false // Arabic number signs and the like, which are seen
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// joins reports whether a joiner between two characters changes how they are
// written: after a virama, and the non-joiner between Arabic letters.
func joins(joiner, before, after rune) bool {
	const virama = 9 // canonical combining class
	if norm.NFC.PropertiesString(string(before)).CCC() == virama {
		return true
	}
	return joiner == '\u200c' && unicode.Is(unicode.Arabic, before) && unicode.Is(unicode.Arabic, after)
}

// visible reports whether there is something to read.
func visible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
}

const (
	maxEmail = 254 // octets, RFC 5321
	maxLocal = 64  // octets, RFC 5321
)

// domainName is a host name with a dot, in ASCII.
var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// checkEmail returns a bare address with its domain in lower case. It must be
// ASCII: letters that look alike could lead a mail elsewhere, and not every mail
// server takes others.
func checkEmail(fields *fault.Fields, field, email string) string {
	email = strings.TrimSpace(email)
	address, err := mail.ParseAddress(email)
	at := strings.LastIndexByte(email, '@')
	if err != nil || address.Address != email || len(email) > maxEmail || at > maxLocal || strings.ContainsFunc(email, notPrintable) {
		fields.Add(field, "must be an e-mail address such as customer@example.com")
		return email
	}
	email = email[:at+1] + strings.ToLower(email[at+1:])
	fields.Check(domainName.MatchString(email[at+1:]), field, "must be an e-mail address whose domain is a host name; an international one in its xn-- form")
	return email
}

// notPrintable reports what is no visible ASCII.
func notPrintable(r rune) bool { return r <= ' ' || r > '~' }

package phi

import (
	"strings"
	"unicode/utf8"
)

// dots stand for what is not shown, however long it is.
const dots = "•••"

// MaskEmail returns an address as somebody recognises it who knows it, and nobody
// else: c•••@example.com. A text that is no address becomes dots, and an empty one
// stays empty.
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return MaskText(email)
	}
	return MaskName(email[:at]) + email[at:]
}

// MaskName returns the first letter of a name, unless it has no other: J•••. An empty
// name stays empty.
func MaskName(name string) string {
	if utf8.RuneCountInString(name) < 2 {
		return MaskText(name)
	}
	_, size := utf8.DecodeRuneInString(name)
	return name[:size] + dots
}

// MaskText returns dots for a text, and an empty one as it is.
func MaskText(text string) string {
	if text == "" {
		return ""
	}
	return dots
}

package money

import "strings"

// Codes lists every currency, for tests that walk all of them.
func Codes() []string { return strings.Fields(codes) }

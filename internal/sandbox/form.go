package sandbox

import (
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Metadata's limits. Source: https://docs.stripe.com/api/metadata.
const (
	maxMetadataKeys  = 50
	maxMetadataKey   = 40  // characters
	maxMetadataValue = 500 // characters
)

// form is a request's parameters in Stripe's bracketed form encoding: amount, metadata[k], expand[0] or expand[],
// payment_method_options[card][request_three_d_secure]. A name that is sent twice counts once, with its last value.
type form struct {
	values url.Values
}

func (f form) has(name string) bool {
	_, ok := f.values[name]
	return ok
}

func (f form) text(name string) string {
	if v := f.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// list returns the values of name[0], name[1], … and name[], in the order of their indexes.
func (f form) list(name string) []string {
	type item struct {
		index int
		value string
	}
	var items []item
	for full, values := range f.values {
		inner, ok := subscript(full, name)
		if !ok {
			continue
		}
		index, err := strconv.Atoi(inner)
		if err != nil {
			index = 0
		}
		for i, v := range values {
			items = append(items, item{index: index + i, value: v})
		}
	}
	slices.SortStableFunc(items, func(a, b item) int { return a.index - b.index })
	out := make([]string, 0, len(items))
	for _, it := range items {
		out = append(out, it.value)
	}
	return out
}

// sub returns name[key] = value as a map, and whether name was sent in any form.
func (f form) sub(name string) (map[string]string, bool) {
	out := map[string]string{}
	sent := f.has(name)
	for full := range f.values {
		if key, ok := subscript(full, name); ok {
			out[key] = f.text(full)
			sent = true
		}
	}
	return out, sent
}

// subscript takes key out of name[key].
func subscript(full, name string) (string, bool) {
	rest, ok := strings.CutPrefix(full, name+"[")
	if !ok || !strings.HasSuffix(rest, "]") {
		return "", false
	}
	return rest[:len(rest)-1], true
}

// only refuses every parameter whose first name is not allowed. Those of unsupported exist in Stripe's API, but taking
// them without doing what they say would be a lie.
func (f form) only(allowed, unsupported []string) *apiError {
	var unknown []string
	for full := range f.values {
		name, _, _ := strings.Cut(full, "[")
		switch {
		case slices.Contains(allowed, name):
		case slices.Contains(unsupported, name):
			return invalidRequest("", name, "The sandbox does not support this parameter: %s", name)
		default:
			unknown = append(unknown, full)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	plural := ""
	if len(unknown) > 1 {
		plural = "s"
	}
	return invalidRequest(codeParameterUnknown, unknown[0],
		"Received unknown parameter%s: %s", plural, strings.Join(unknown, ", "))
}

// boolean is false when name was not sent.
func (f form) boolean(name string) (bool, *apiError) {
	if !f.has(name) {
		return false, nil
	}
	switch v := f.text(name); v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, invalidRequest("", name, "Invalid boolean: %s", v)
	}
}

// integer refuses floats, signs of scientific notation, blanks, and everything below 1.
func (f form) integer(name string) (int64, *apiError) {
	v := f.text(name)
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, invalidRequest(codeInvalidInteger, name, "Invalid integer: %s", v)
	}
	if n < 1 {
		return 0, invalidRequest(codeInvalidInteger, name, "This value must be greater than or equal to 1.")
	}
	return n, nil
}

// enum returns fallback when name was not sent.
func (f form) enum(name, fallback string, allowed ...string) (string, *apiError) {
	if !f.has(name) {
		return fallback, nil
	}
	v := f.text(name)
	if !slices.Contains(allowed, v) {
		return "", invalidRequest("", name, "Invalid %s: must be one of %s", name, strings.Join(allowed, ", "))
	}
	return v, nil
}

func (f form) email(name string) (string, *apiError) {
	v := f.text(name)
	if v == "" {
		return "", nil
	}
	if addr, err := mail.ParseAddress(v); err != nil || addr.Address != v {
		return "", invalidRequest("email_invalid", name, "Invalid email address: %s", v)
	}
	return v, nil
}

// metadata returns the pairs that were sent; an empty value means that the key is to be unset.
func (f form) metadata() (pairs map[string]string, sent bool, apiErr *apiError) {
	pairs, sent = f.sub("metadata")
	if f.text("metadata") != "" {
		return nil, sent, invalidRequest("", "metadata", "Invalid object")
	}
	for k, v := range pairs {
		param := "metadata[" + k + "]"
		if k == "" || utf8.RuneCountInString(k) > maxMetadataKey || strings.ContainsAny(k, "[]") {
			return nil, sent, invalidRequest("", param, "Metadata keys have 1 to %d characters and no brackets.", maxMetadataKey)
		}
		if utf8.RuneCountInString(v) > maxMetadataValue {
			return nil, sent, invalidRequest("", param, "Metadata values can have up to %d characters.", maxMetadataValue)
		}
	}
	if len(pairs) > maxMetadataKeys {
		return nil, sent, invalidRequest("", "metadata", "You can specify up to %d metadata keys.", maxMetadataKeys)
	}
	return pairs, sent, nil
}

// expand returns the properties to expand, of which each must be expandable here.
// Source: https://docs.stripe.com/api/expanding_objects.
func (f form) expand(expandable ...string) ([]string, *apiError) {
	wanted := f.list("expand")
	for _, name := range wanted {
		if !slices.Contains(expandable, name) {
			return nil, invalidRequest("", "expand", "This property cannot be expanded (%s).", name)
		}
	}
	return wanted, nil
}

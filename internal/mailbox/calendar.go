package mailbox

import (
	"strings"
	"time"
)

// calendar is what a calendar entry says, readable.
type calendar struct {
	Method, Summary, Start, End, Status, Location, Organizer, Attendee, Description, UID, Sequence string

	Source string
}

// parseCalendar reads the first event of an iCalendar object (RFC 5545), as far as
// it can. It is for a person's eyes: nothing depends on it.
func parseCalendar(source []byte) calendar {
	c := calendar{Source: string(source)}
	text := strings.ReplaceAll(strings.ReplaceAll(c.Source, "\r\n", "\n"), "\n ", "") // section 3.1, folding
	text = strings.ReplaceAll(text, "\n\t", "")
	component := ""
	for line := range strings.SplitSeq(text, "\n") {
		head, value := cutProperty(line)
		name, params, _ := strings.Cut(head, ";")
		switch name = strings.ToUpper(name); {
		case name == "BEGIN":
			component = value
		case name == "END" && value == "VEVENT":
			return c
		case name == "END":
			component = ""
		case name == "METHOD" && component != "VEVENT":
			c.Method = value
		case component == "VEVENT":
			c.set(name, params, value)
		}
	}
	return c
}

// cutProperty splits a line at the first colon that is not in quotes.
func cutProperty(line string) (head, value string) {
	quoted := false
	for i, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ':' && !quoted:
			return line[:i], line[i+1:]
		}
	}
	return line, ""
}

func (c *calendar) set(name, params, value string) {
	switch name {
	case "SUMMARY":
		c.Summary = unescape(value)
	case "DTSTART":
		c.Start = readable(params, value)
	case "DTEND":
		c.End = readable(params, value)
	case "STATUS":
		c.Status = value
	case "LOCATION":
		c.Location = unescape(value)
	case "ORGANIZER":
		c.Organizer = person(params, value)
	case "ATTENDEE":
		c.Attendee = person(params, value)
	case "DESCRIPTION":
		c.Description = unescape(value)
	case "UID":
		c.UID = value
	case "SEQUENCE":
		c.Sequence = value
	}
}

func unescape(value string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";").Replace(value)
}

// param returns a parameter of a property.
func param(params, name string) string {
	for pair := range strings.SplitSeq(params, ";") {
		if key, value, ok := strings.Cut(pair, "="); ok && strings.EqualFold(key, name) {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

func person(params, value string) string {
	address := value
	if len(address) >= len("mailto:") && strings.EqualFold(address[:len("mailto:")], "mailto:") {
		address = address[len("mailto:"):]
	}
	if name := param(params, "CN"); name != "" {
		return name + " <" + address + ">"
	}
	return address
}

// readable writes a time as a person does, with the zone that it is in; or as it is
// when it is none.
func readable(params, value string) string {
	const day = "Mon 2 January 2006"
	if at, err := time.Parse("20060102T150405Z", value); err == nil {
		return at.Format(day + ", 15:04 UTC")
	}
	if at, err := time.Parse("20060102T150405", value); err == nil {
		zone := param(params, "TZID")
		if zone == "" {
			zone = "no zone"
		}
		return at.Format(day+", 15:04") + " (" + zone + ")"
	}
	if at, err := time.Parse("20060102", value); err == nil {
		return at.Format(day)
	}
	return value
}

package booking

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"millrace/internal/fault"
)

// What a calendar has when nothing else is said.
const (
	DefaultResource        = "default"
	DefaultColor           = "#1a6b54"
	DefaultReminderMinutes = 24 * 60
)

// Limits of a calendar, and of the people and texts in it and in bookings.
const (
	maxSlotMinutes     = 480
	maxBufferMinutes   = 240
	maxDaysAhead       = 366
	maxReminderMinutes = 7 * 24 * 60
	maxName            = 100 // characters
)

// Calendar says when a resource of a tenant can be booked.
type Calendar struct {
	Resource        string   `json:"resource,omitzero" doc:"What is booked, when a tenant has several things." default:"default" pattern:"^[a-z0-9_-]{1,64}$" example:"default"`
	Timezone        string   `json:"timezone" doc:"IANA time zone of the opening hours." maxLength:"64" example:"Europe/Berlin"`
	Hours           Hours    `json:"hours" doc:"Opening hours by day of the week, monday to sunday; a day that is not named is closed."`
	SlotMinutes     int      `json:"slot_minutes" doc:"Length of a slot; a multiple of 5." minimum:"5" maximum:"480" multipleOf:"5" example:"30"`
	BufferMinutes   int      `json:"buffer_minutes,omitempty" doc:"Time kept free after each slot; a multiple of 5." minimum:"0" maximum:"240" multipleOf:"5" example:"10"`
	DaysAhead       int      `json:"days_ahead" doc:"How many days after today can be booked." minimum:"1" maximum:"366" example:"60"`
	ReminderMinutes int      `json:"reminder_minutes" required:"false" doc:"How long before an appointment the customer is reminded; 0 for no reminder." default:"1440" minimum:"0" maximum:"10080" example:"1440"`
	Business        Business `json:"business" doc:"Who invites, as mails show it."`
}

// Hours are opening hours by day of the week: "monday" to "sunday".
type Hours map[string][]Opening

// Opening is a time of a day during which a calendar is open.
type Opening struct {
	From string `json:"from" doc:"Wall-clock time, in steps of 5 minutes." pattern:"^[0-2][0-9]:[0-5][05]$" example:"09:00"`
	To   string `json:"to" doc:"Wall-clock time, in steps of 5 minutes; 24:00 is the end of the day." pattern:"^[0-2][0-9]:[0-5][05]$" example:"17:00"`
}

// Business is who invites.
type Business struct {
	Name  string `json:"name" minLength:"1" maxLength:"100" example:"Mill Street Dental"`
	Email string `json:"email,omitzero" doc:"Organiser of the invitation, and where answers to mails go." format:"email" maxLength:"254" example:"desk@example.com"`
	Color string `json:"color,omitzero" doc:"Of buttons and borders in mails." default:"#1a6b54" pattern:"^#[0-9a-fA-F]{6}$" example:"#1a6b54"`
}

// LogValue implements slog.LogValuer.
func (c Calendar) LogValue() slog.Value {
	return slog.GroupValue(slog.String("resource", c.Resource), slog.String("timezone", c.Timezone))
}

// DefaultCalendar is the calendar of a tenant that has none.
func DefaultCalendar(tenant string) Calendar {
	hours := Hours{}
	for day := time.Monday; day <= time.Friday; day++ {
		hours[weekday(day)] = []Opening{{From: "09:00", To: "17:00"}}
	}
	return Calendar{
		Resource: DefaultResource, Timezone: "UTC", Hours: hours, SlotMinutes: 30, DaysAhead: 60,
		ReminderMinutes: DefaultReminderMinutes, Business: Business{Name: tenant, Color: DefaultColor},
	}
}

// buffer is the time kept free after each slot.
func (c Calendar) buffer() time.Duration { return time.Duration(c.BufferMinutes) * time.Minute }

// Validate checks a calendar and returns it normalised: defaults filled in, texts
// trimmed, the openings of a day in order. The error is an INVALID_INPUT fault
// that names every field.
func (c Calendar) Validate() (Calendar, error) {
	var fields fault.Fields
	if c.Resource == "" {
		c.Resource = DefaultResource
	}
	fields.Check(isResource(c.Resource), "resource", "must have 1 to 64 of the characters a-z, 0-9, _ and -")
	_, known := loadZone(c.Timezone)
	fields.Check(known, "timezone", problemZone)
	c.Hours = c.Hours.check(&fields)
	checkMinutes(&fields, "slot_minutes", c.SlotMinutes, tickMinutes, maxSlotMinutes)
	checkMinutes(&fields, "buffer_minutes", c.BufferMinutes, 0, maxBufferMinutes)
	fields.Check(c.DaysAhead >= 1 && c.DaysAhead <= maxDaysAhead, "days_ahead", fmt.Sprintf("must be from 1 to %d", maxDaysAhead))
	fields.Check(c.ReminderMinutes >= 0 && c.ReminderMinutes <= maxReminderMinutes, "reminder_minutes", fmt.Sprintf("must be from 0 (none) to %d", maxReminderMinutes))
	c.Business = c.Business.check(&fields)
	return c, fields.Err()
}

const tickMinutes = int(tick / time.Minute)

func checkMinutes(fields *fault.Fields, name string, n, least, most int) {
	fields.Check(n >= least && n <= most && n%tickMinutes == 0, name, fmt.Sprintf("must be a multiple of %d from %d to %d", tickMinutes, least, most))
}

func (h Hours) check(fields *fault.Fields) Hours {
	fields.Check(h != nil, "hours", "must be given; {} is a calendar that is closed")
	checked := make(Hours, len(h))
	for day, openings := range h {
		if !slices.ContainsFunc(weekdays(), func(w time.Weekday) bool { return weekday(w) == day }) {
			fields.Add("hours", "must name days of the week, monday to sunday")
			continue
		}
		for i, o := range openings {
			at := fmt.Sprintf("hours.%s[%d].", day, i)
			from, okFrom := minutes(o.From)
			to, okTo := minutes(o.To)
			fields.Check(okFrom, at+"from", "must be a time such as 09:00, in steps of 5 minutes")
			fields.Check(okTo, at+"to", "must be a time such as 17:00, in steps of 5 minutes")
			fields.Check(!okFrom || !okTo || from < to, at+"to", "must be later than from; a night is two openings, until 24:00 and from 00:00")
		}
		sorted := slices.Clone(openings)
		// The form is fixed, so that the order of texts is that of times.
		slices.SortFunc(sorted, func(a, b Opening) int { return strings.Compare(a.From, b.From) })
		for i := 1; i < len(sorted); i++ {
			if sorted[i].From < sorted[i-1].To {
				fields.Add("hours."+day, "must not have openings that overlap")
				break
			}
		}
		if len(sorted) > 0 {
			checked[day] = sorted
		}
	}
	return checked
}

func weekdays() []time.Weekday {
	return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}
}

func weekday(day time.Weekday) string { return strings.ToLower(day.String()) }

var clock = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][05]|24:00)$`)

// minutes reads a wall-clock time such as 09:05 as the time since midnight.
func minutes(text string) (time.Duration, bool) {
	if !clock.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text[:2] + "h" + text[3:] + "m")
	return d, err == nil
}

var (
	resourceName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
	color        = regexp.MustCompile(`^#[0-9a-f]{6}$`)
)

func isResource(name string) bool { return resourceName.MatchString(name) }

func (b Business) check(fields *fault.Fields) Business {
	b.Name = checkName(fields, "business.name", b.Name)
	if b.Email = strings.TrimSpace(b.Email); b.Email != "" {
		b.Email = checkEmail(fields, "business.email", b.Email)
	}
	if b.Color = strings.ToLower(b.Color); b.Color == "" {
		b.Color = DefaultColor
	}
	fields.Check(color.MatchString(b.Color), "business.color", "must be a colour such as #1a6b54")
	return b
}

// checkName returns a name of one line as it is shown.
func checkName(fields *fault.Fields, field, name string) string {
	name, ok := line(name)
	fields.Check(ok, field, "must be one line without control characters")
	n := utf8.RuneCountInString(name)
	fields.Check(!ok || (n >= 1 && n <= maxName && visible(name)), field, fmt.Sprintf("must have 1 to %d characters, one of them a letter or digit", maxName))
	return name
}

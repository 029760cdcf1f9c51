package invitation

import (
	"embed"
	"fmt"
	"html/template"
	"strings"
	"sync"
	text "text/template"
)

//go:embed templates
var files embed.FS

// set is the templates of one message; each is the layout with the message's own
// words in it.
type set struct {
	html *template.Template
	text *text.Template
}

var templates = sync.OnceValue(func() map[Message]set { //nolint:gochecknoglobals // parsed once, and never changed
	sets := make(map[Message]set, len(Messages()))
	for _, m := range Messages() {
		sets[m] = set{
			html: template.Must(template.ParseFS(files, "templates/layout.html", "templates/"+string(m)+".html")),
			text: text.Must(text.ParseFS(files, "templates/layout.txt", "templates/"+string(m)+".txt")),
		}
	}
	return sets
})

// Outlook for Windows knows no max-width, so it gets a table of a fixed one.
// html/template leaves out comments, unless they come as a value.
const (
	outlookOpens  template.HTML = `<!--[if mso]><table role="presentation" width="600" align="center" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
	outlookCloses template.HTML = `<!--[if mso]></td></tr></table><![endif]-->`
)

// page is what the templates show.
type page struct {
	message Message

	BookingID string
	// Name may be empty, and Email, which is the business's.
	Name, Business, Email string
	Color, TextColor      string
	When                  when
	// There is the time at the business, when its clock shows another.
	There *when

	OutlookOpens, OutlookCloses template.HTML
}

func newPage(m Message, i Invitation) page {
	p := page{
		message:       m,
		BookingID:     i.BookingID,
		Name:          i.Name,
		Business:      i.Business.Name,
		Email:         i.Business.Email,
		When:          newWhen(i.StartsAt, i.EndsAt, i.Zone),
		OutlookOpens:  outlookOpens,
		OutlookCloses: outlookCloses,
	}
	p.Color, p.TextColor = colors(i.Business.Color)
	if !sameClock(i.Zone, i.Business.Zone, i.StartsAt, i.EndsAt) {
		there := newWhen(i.StartsAt, i.EndsAt, i.Business.Zone)
		p.There = &there
	}
	return p
}

// subject has the time first, because a phone shows some forty characters.
func (p page) subject() string {
	var word string
	switch p.message {
	case Confirmation:
		word = "Confirmed"
	case Cancellation:
		word = "Cancelled"
	case Reminder:
		word = "Reminder"
	}
	at := p.When.short + ", " + p.When.start
	if p.There != nil {
		at += " " + p.When.Zone
	}
	return cut(word+": "+at+" with "+p.Business, 200)
}

func (p page) render() (html, plain string, err error) {
	s := templates()[p.message]
	var h, t strings.Builder
	if err := s.html.ExecuteTemplate(&h, "layout.html", p); err != nil {
		return "", "", fmt.Errorf("invitation: HTML of %s: %w", p.message, err)
	}
	if err := s.text.ExecuteTemplate(&t, "layout.txt", p); err != nil {
		return "", "", fmt.Errorf("invitation: text of %s: %w", p.message, err)
	}
	return h.String(), t.String(), nil
}

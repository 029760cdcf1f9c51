package mailbox

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed templates/*.html
var templates embed.FS

// pageCSP lets the mailbox's own pages show nothing but themselves and, in a
// frame, a mail.
const pageCSP = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mailCSP lets a mail have its styles and embedded pictures: no scripts, nothing
// from elsewhere, and nobody's frame but ours.
const mailCSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"

// pages are the templates.
type pages struct {
	list, mail *template.Template
}

func parsePages() *pages {
	one := func(name string) *template.Template {
		return template.Must(template.ParseFS(templates, "templates/layout.html", "templates/"+name))
	}
	return &pages{list: one("list.html"), mail: one("mail.html")}
}

// row is a mail as the pages show it.
type row struct {
	Mail

	To       string
	Time     string
	Tags     []tag
	Webhook  string
	Bad      bool   // it bounced, or somebody complained
	Method   string // of the calendar entry, or empty
	Calendar *calendar
	Entry    int // the calendar entry's number among the attachments
}

func (m *Mailbox) row(mail Mail, events []Event) row {
	out := row{
		Mail: mail, To: strings.Join(mail.To, ", "), Time: mail.AcceptedAt.Format("Mon 2 Jan 2006, 15:04:05 MST"),
		Webhook: webhookState(mail.ID, events), Bad: mail.Outcome != "delivered",
	}
	for _, name := range slices.Sorted(maps.Keys(mail.Tags)) {
		out.Tags = append(out.Tags, tag{name, mail.Tags[name]})
	}
	for i, file := range mail.Attachments {
		if isCalendar(file) {
			entry := parseCalendar(file.Content)
			out.Calendar, out.Entry, out.Method = &entry, i, entry.Method
			break
		}
	}
	return out
}

func isCalendar(file Attachment) bool {
	media, _, _ := strings.Cut(file.ContentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/calendar") || strings.HasSuffix(strings.ToLower(file.Filename), ".ics")
}

// webhookState says how far the webhook has been told of a mail.
func webhookState(id string, events []Event) string {
	total, delivered, failing := 0, 0, 0
	for _, e := range events {
		if e.MailID != id {
			continue
		}
		total++
		switch {
		case e.Delivered:
			delivered++
		case e.Attempts > 0:
			failing++
		}
	}
	switch {
	case total == 0:
		return "no webhook"
	case delivered == total:
		return "webhook told"
	case failing > 0:
		return "webhook fails (" + strconv.Itoa(delivered) + " of " + strconv.Itoa(total) + " told)"
	default:
		return "webhook on its way"
	}
}

// getList shows the mails, newest first.
func (m *Mailbox) getList(w http.ResponseWriter, _ *http.Request) {
	events := m.Events()
	mails := m.Mails()
	slices.Reverse(mails)
	rows := make([]row, 0, len(mails))
	for _, mail := range mails {
		rows = append(rows, m.row(mail, events))
	}
	m.show(w, m.pages.list, rows)
}

// getMail shows one mail in the view that the query names: html, text or calendar.
func (m *Mailbox) getMail(w http.ResponseWriter, r *http.Request) {
	mail, ok := m.Find(r.PathValue("id"))
	if !ok {
		http.Error(w, "There is no such mail, or it is forgotten: the newest 1,000 are kept.", http.StatusNotFound)
		return
	}
	page := struct {
		row

		View  string
		Views []string
		Since string
	}{row: m.row(mail, m.Events()), Since: mail.AcceptedAt.UTC().Format(time.RFC3339)}
	if mail.HTML != "" {
		page.Views = append(page.Views, "html")
	}
	if mail.Text != "" {
		page.Views = append(page.Views, "text")
	}
	if page.Calendar != nil {
		page.Views = append(page.Views, "calendar")
	}
	page.View = page.Views[0]
	if view := r.URL.Query().Get("view"); slices.Contains(page.Views, view) {
		page.View = view
	}
	m.show(w, m.pages.mail, page)
}

// getHTML serves a mail's HTML for the page's frame.
func (m *Mailbox) getHTML(w http.ResponseWriter, r *http.Request) {
	mail, ok := m.Find(r.PathValue("id"))
	if !ok {
		http.Error(w, "There is no such mail.", http.StatusNotFound)
		return
	}
	harden(w, mailCSP)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(mail.HTML))
}

// getAttachment serves a file for download.
func (m *Mailbox) getAttachment(w http.ResponseWriter, r *http.Request) {
	mail, ok := m.Find(r.PathValue("id"))
	n, err := strconv.Atoi(r.PathValue("n"))
	if !ok || err != nil || n < 0 || n >= len(mail.Attachments) {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	}
	file := mail.Attachments[n]
	harden(w, mailCSP)
	media, params, err := mime.ParseMediaType(file.ContentType)
	if err != nil {
		media, params = "application/octet-stream", nil
	}
	w.Header().Set("Content-Type", mime.FormatMediaType(media, params))
	w.Header().Set("Content-Disposition", cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": file.Filename}), "attachment"))
	_, _ = w.Write(file.Content)
}

// show renders a page. A template that fails midway leaves no half page.
func (m *Mailbox) show(w http.ResponseWriter, page *template.Template, data any) {
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "layout.html", data); err != nil {
		m.log.Error("mailbox: a page could not be shown", slog.Any("error", err))
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	harden(w, pageCSP)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

func harden(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

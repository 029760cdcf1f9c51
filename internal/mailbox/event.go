package mailbox

import (
	"crypto/rand"
	"slices"
	"time"
)

// Event is one that the webhook is told of.
type Event struct {
	ID         string    `json:"id"`   // the svix-id
	Type       string    `json:"type"` // email.sent, email.delivered, email.bounced or email.complained
	MailID     string    `json:"mail_id"`
	Created    time.Time `json:"created"`
	Delivered  bool      `json:"delivered"`
	Attempts   int       `json:"attempts"`
	LastStatus int       `json:"last_status"` // of the last attempt's answer; 0 when there was none
}

// event is an Event with what is sent: the same bytes at every attempt.
type event struct {
	row     Event
	payload []byte
}

// stamp is how Resend writes a time.
const stamp = "2006-01-02T15:04:05.000Z"

// eventsOf renders what becomes of a mail, in order
// (https://resend.com/docs/dashboard/webhooks/event-types).
func eventsOf(mail *Mail, kinds []string) []*event {
	type bounce struct {
		Message string `json:"message"`
		SubType string `json:"subType"`
		Type    string `json:"type"`
	}
	type data struct {
		CreatedAt string            `json:"created_at"`
		EmailID   string            `json:"email_id"`
		From      string            `json:"from"`
		To        []string          `json:"to"`
		Subject   string            `json:"subject"`
		Bounce    *bounce           `json:"bounce,omitempty"`
		Tags      map[string]string `json:"tags,omitempty"`
	}
	var out []*event
	for i, kind := range kinds {
		created := mail.AcceptedAt.Add(time.Duration(i) * time.Millisecond).UTC()
		about := data{
			CreatedAt: mail.AcceptedAt.UTC().Format(stamp), EmailID: mail.ID, From: mail.From, To: mail.To, Subject: mail.Subject, Tags: mail.Tags,
		}
		if kind == "bounced" {
			about.Bounce = &bounce{Message: "The recipient's mail server rejected the mail.", SubType: "General", Type: "Permanent"}
		}
		row := Event{ID: "msg_" + rand.Text(), Type: "email." + kind, MailID: mail.ID, Created: created}
		out = append(out, &event{row: row, payload: mustJSON(struct {
			Type      string `json:"type"`
			CreatedAt string `json:"created_at"`
			Data      data   `json:"data"`
		}{row.Type, created.Format(stamp), about})})
	}
	return out
}

// Events returns the newest 10,000 events since the first SetWebhook, oldest first.
func (m *Mailbox) Events() []Event {
	w := m.webhooks
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Event, 0, len(w.events))
	for _, e := range w.events {
		out = append(out, e.row)
	}
	return out
}

// Redeliver sends an event once more, with retries of its own, whether it was
// delivered or not: Svix, too, sends some events twice.
func (m *Mailbox) Redeliver(id string) error {
	w := m.webhooks
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.events, func(e *event) bool { return e.row.ID == id })
	switch {
	case i < 0:
		return ErrNoSuchEvent
	case w.to.url == "" || w.closed:
		return ErrNoWebhook
	}
	w.enqueue(delivery{event: w.events[i], round: w.round})
	return nil
}

package mailbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// keptMails bounds the mailbox; older mails are forgotten.
const keptMails = 1_000

// Mail is one that was accepted.
type Mail struct {
	ID          string            `json:"id"`
	From        string            `json:"from"`
	To          []string          `json:"to"`
	Cc          []string          `json:"cc,omitempty"`
	Bcc         []string          `json:"bcc,omitempty"`
	ReplyTo     []string          `json:"reply_to,omitempty"`
	Subject     string            `json:"subject"`
	HTML        string            `json:"html,omitempty"`
	Text        string            `json:"text,omitempty"`
	Attachments []Attachment      `json:"attachments,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	// Key is the idempotency key, or empty.
	Key        string    `json:"idempotency_key,omitempty"`
	AcceptedAt time.Time `json:"accepted_at"`
	// Outcome is the last event's type without "email.": delivered, bounced or complained.
	Outcome string `json:"outcome"`
}

// Attachment is a file of a mail, decoded.
type Attachment struct {
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	Content     []byte `json:"content"` // in base64 as JSON
	Path        string `json:"path,omitempty"`
}

// Mails returns the newest 1,000 mails, oldest first.
func (m *Mailbox) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Mail, 0, len(m.mails))
	for _, mail := range m.mails {
		out = append(out, mail.clone())
	}
	return out
}

// Find returns a mail by its id.
func (m *Mailbox) Find(id string) (Mail, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mail := range m.mails {
		if mail.ID == id {
			return mail.clone(), true
		}
	}
	return Mail{}, false
}

func (mail *Mail) clone() Mail {
	out := *mail
	out.To, out.Cc, out.Bcc, out.ReplyTo = slices.Clone(mail.To), slices.Clone(mail.Cc), slices.Clone(mail.Bcc), slices.Clone(mail.ReplyTo)
	out.Tags, out.Headers = maps.Clone(mail.Tags), maps.Clone(mail.Headers)
	out.Attachments = slices.Clone(mail.Attachments)
	for i := range out.Attachments {
		out.Attachments[i].Content = slices.Clone(out.Attachments[i].Content)
	}
	return out
}

// keep is called under mu.
func (m *Mailbox) keep(mail *Mail) {
	m.mails = append(m.mails, mail)
	if over := len(m.mails) - keptMails; over > 0 {
		m.mails = slices.Delete(m.mails, 0, over)
	}
}

// outcomes are what becomes of a mail after it was sent, by its first recipient
// (https://resend.com/docs/dashboard/emails/send-test-emails): the test addresses
// end as their names say, and everybody else gets the mail.
func outcomes(to string) []string {
	local, domain, _ := strings.Cut(strings.ToLower(bare(to)), "@")
	local, _, _ = strings.Cut(local, "+")
	switch {
	case domain == "resend.dev" && local == "bounced":
		return []string{"bounced"}
	case domain == "resend.dev" && local == "complained":
		return []string{"delivered", "complained"}
	default:
		return []string{"delivered"}
	}
}

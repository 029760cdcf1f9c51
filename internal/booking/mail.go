package booking

import "context"

// Mail is one message to a customer.
type Mail struct {
	// Key derives from the booking and the message, never from the attempt: a mail
	// that is sent twice with it is one mail.
	Key string
	// From and ReplyTo are addresses that may carry a name; ReplyTo may be empty.
	From, ReplyTo string
	// To is a bare address.
	To      string
	Subject string
	HTML    string
	Text    string
	// Calendar is an iCalendar object (RFC 5545), and Method what it asks of the
	// customer's calendar (RFC 5546): REQUEST or CANCEL.
	Calendar []byte
	Method   string
	// Tags are for the provider's statistics: ASCII letters, digits, _ and -.
	Tags map[string]string
}

// ReasonMailChanged is details.reason of a mail whose key the provider knows with
// other contents: it was sent, by a version with other templates.
const ReasonMailChanged = "MAIL_CHANGED"

// Mailer sends mails. Repeating a call with the same mail sends one. Faults are
// INVALID_INPUT (the provider refuses this mail for good) or UNAVAILABLE (try
// again; after RetryAfter when there is one).
type Mailer interface {
	// Send returns the provider's id of the mail.
	Send(ctx context.Context, mail Mail) (id string, err error)
}

package booking

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// EmailStatus is what became of a mail.
type EmailStatus string

// The states of a mail.
const (
	EmailPending    EmailStatus = "pending"    // not sent yet
	EmailSent       EmailStatus = "sent"       // the provider took it
	EmailDelivered  EmailStatus = "delivered"  // the customer's mail server took it
	EmailBounced    EmailStatus = "bounced"    // the customer's mail server refused it for good
	EmailComplained EmailStatus = "complained" // the customer called it spam
	EmailFailed     EmailStatus = "failed"     // the provider refused it for good
	EmailSuppressed EmailStatus = "suppressed" // not sent: the address bounced or complained before
)

// before lists the states from which the provider's news may bring a mail into this
// one: the one table of its way. None leads back, so whatever is told late, twice or
// out of order changes nothing. A server may bounce what it had taken.
func (s EmailStatus) before() []EmailStatus {
	switch s {
	case EmailDelivered, EmailFailed, EmailSuppressed:
		return []EmailStatus{EmailSent}
	case EmailBounced, EmailComplained:
		return []EmailStatus{EmailSent, EmailDelivered}
	case EmailPending, EmailSent:
		return nil
	default:
		return nil
	}
}

// SentMail records in the tenant's transaction tx that the provider took a message
// about a booking. To repeat it changes nothing, whatever has become of the mail
// since; another id of the provider is another mail, which begins anew. The id is
// empty when the provider did not tell it. moved is false when that was known.
func SentMail(ctx context.Context, tx pgx.Tx, tenant string, bookingID uuid.UUID, message, providerID string, now time.Time) (moved bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO booking_mails AS mail (tenant_id, booking_id, message, provider_id, status, updated_at)
		VALUES ($1, $2, $3, nullif($4, ''), 'sent', $5)
		ON CONFLICT (tenant_id, booking_id, message) DO UPDATE SET
			provider_id = excluded.provider_id, status = 'sent', failure = NULL, updated_at = excluded.updated_at
		WHERE mail.provider_id IS DISTINCT FROM excluded.provider_id`,
		tenant, bookingID, message, providerID, now)
	if err != nil {
		return false, fmt.Errorf("booking: record mail: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// FailedMail records in the tenant's transaction tx that a message about a booking
// will not be sent: EmailFailed or EmailSuppressed. One that the provider took stays
// as it is. moved is false then, and when it was known.
func FailedMail(
	ctx context.Context, tx pgx.Tx, tenant string, bookingID uuid.UUID, message string, status EmailStatus, failure *fault.Fault, now time.Time,
) (moved bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO booking_mails AS mail (tenant_id, booking_id, message, status, failure, updated_at)
		VALUES ($1, $2, $3, $4, $5::jsonb, $6)
		ON CONFLICT (tenant_id, booking_id, message) DO UPDATE SET
			status = excluded.status, failure = excluded.failure, updated_at = excluded.updated_at
		WHERE mail.provider_id IS NULL AND (mail.status, mail.failure) IS DISTINCT FROM (excluded.status, excluded.failure)`,
		tenant, bookingID, message, status, failure.Error(), now)
	if err != nil {
		return false, fmt.Errorf("booking: record mail: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// MailEvent is what the provider told by itself of a mail. Events come late, twice
// and in any order.
type MailEvent struct {
	// ID is the event's: the same whenever it is sent again.
	ID string
	// Type is the provider's name of what happened, such as email.delivered.
	Type string
	// MailID is the provider's id of the mail; empty when the event is about none.
	MailID string
	// Transient says of a bounce that it was for the moment: a full mailbox.
	Transient bool
	// CreatedAt is when it happened; zero when the event does not say.
	CreatedAt time.Time
}

// Status returns what the event makes of its mail, by the one table of them
// (https://resend.com/docs/dashboard/webhooks/event-types); empty for events that
// make nothing of it.
func (e MailEvent) Status() EmailStatus {
	if e.Transient {
		return ""
	}
	switch e.Type {
	case "email.delivered":
		return EmailDelivered
	case "email.bounced":
		return EmailBounced
	case "email.complained":
		return EmailComplained
	case "email.failed":
		return EmailFailed
	case "email.suppressed":
		return EmailSuppressed
	default:
		return ""
	}
}

// Outcomes lists what Status may return, for tables that must be complete.
func Outcomes() []EmailStatus {
	return []EmailStatus{EmailDelivered, EmailBounced, EmailComplained, EmailFailed, EmailSuppressed}
}

// SentMessage is a mail that the provider took.
type SentMessage struct {
	Tenant    string
	BookingID uuid.UUID
	Message   string
	// MailID is the provider's id.
	MailID string
}

// OfMail finds the mails of all tenants that the provider knows by an id. db acts
// as intake.
func OfMail(ctx context.Context, db *postgres.Tenancy, mailID string) ([]SentMessage, error) {
	var list []SentMessage
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SentMessage])
		return err
	}, "SELECT tenant_id, booking_id, message, $1::text FROM millrace_mail_of_provider($1)", mailID)
	return list, postgres.Fault(err)
}

// MarkMail notes in the transaction tx of the mail's tenant what the provider told
// of it, and of a bounce or a complaint that its address, if there is one, gets no
// more mails. moved is false when that was known, or came too late.
func MarkMail(ctx context.Context, tx pgx.Tx, mail SentMessage, address Address, status EmailStatus, now time.Time) (moved bool, err error) {
	tag, err := tx.Exec(ctx, `
		UPDATE booking_mails SET status = $5, updated_at = $6
		WHERE tenant_id = $1 AND booking_id = $2 AND message = $3 AND provider_id = $4 AND status = ANY($7)`,
		mail.Tenant, mail.BookingID, mail.Message, mail.MailID, status, now, status.before())
	if err != nil {
		return false, fmt.Errorf("booking: mark mail: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	if !status.suppresses() || len(address) == 0 {
		return true, nil
	}
	return true, Suppress(ctx, tx, mail.Tenant, address, status, now)
}

// suppresses reports whether the address of a mail in this state gets no more mails.
func (s EmailStatus) suppresses() bool { return s == EmailBounced || s == EmailComplained }

// Address stands for an e-mail address of a tenant, so that the list of those that
// bounced is no list of people: digests, of which the first is stored and all are
// looked for.
type Address [][]byte

// AddressOf returns what stands for an e-mail address: a digest under the tenant's
// keyset if it has one, which is no guess away. One by SHA-256 comes behind it, which
// was stored before there was a keyset. Case is left out: addresses that differ in
// nothing else are one mailbox nearly everywhere. The faults are those of
// Tenancy.Digest.
func AddressOf(ctx context.Context, db *postgres.Tenancy, tenant, email string) (Address, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	keyed, err := db.Digest(ctx, tenant, email)
	if err != nil {
		return nil, err
	}
	plain := sha256.Sum256([]byte(email))
	if keyed == nil {
		return Address{plain[:]}, nil
	}
	return Address{keyed, plain[:]}, nil
}

// AddressOfMail returns what stands for the address of a mail that has come into a
// state, as far as MarkMail needs it. It is nil when the tenant was shredded.
func AddressOfMail(ctx context.Context, db *postgres.Tenancy, mail SentMessage, status EmailStatus) (Address, error) {
	if !status.suppresses() {
		return nil, nil
	}
	b, err := Find(ctx, db, mail.Tenant, mail.BookingID)
	if f := fault.From(err); f != nil && f.Code == fault.TenantAccessDenied {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return AddressOf(ctx, db, mail.Tenant, b.Email)
}

// Suppress notes in the tenant's transaction tx that an address gets no more mails
// of the tenant, and why: EmailBounced or EmailComplained. The first reason stays.
func Suppress(ctx context.Context, tx pgx.Tx, tenant string, address Address, reason EmailStatus, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO suppressed_addresses (tenant_id, address_hash, reason, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant_id, address_hash) DO NOTHING`,
		tenant, address[0], reason, now)
	if err != nil {
		return fmt.Errorf("booking: suppress: %w", err)
	}
	return nil
}

// Suppressed reports whether an address gets no more mails of the tenant.
func Suppressed(ctx context.Context, db *postgres.Tenancy, tenant, email string) (bool, error) {
	address, err := AddressOf(ctx, db, tenant, email)
	if err != nil {
		return false, err
	}
	var found bool
	err = db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		found, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
		return err
	}, "SELECT EXISTS (SELECT FROM suppressed_addresses WHERE tenant_id = $1 AND address_hash = ANY($2))", tenant, [][]byte(address))
	return found, postgres.Fault(err)
}

// Package audit reads and proves the audit log: who changed what, from where, with
// what outcome. The database itself writes the entries, by triggers in the
// transaction of each change, and links those of a tenant into a chain of hashes
// (migrations/0012_audit.sql); here a program adds what changes no row, has the
// entries sealed, and checks the chain, from the database or from an export of it.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// Platform is the chain of what belongs to no tenant.
const Platform = "-"

// The outcomes of what programs record.
const (
	Done    = "done"
	Refused = "refused"
)

// Entry says what was done. Ids, kinds, states and names of fields may be in it, and
// no personal data.
type Entry struct {
	// Action is a verb in the past tense: submitted, changed, revealed. Up to 200
	// characters, as each of the next three.
	Action string `json:"action"`
	// ResourceType is on what: payment, api_key.
	ResourceType string `json:"resource_type"`
	ResourceID   string `json:"resource_id"`
	// Outcome is the resource's new state if it has one, else Done or Refused.
	Outcome string `json:"outcome"`
	// Details are up to 4,000 characters of JSON.
	Details Details `json:"details"`
}

// Details are particulars by name. Changes have before.FIELD and after.FIELD, and in
// changed the names of fields whose values are not told.
type Details map[string]string

// UnmarshalJSON implements json.Unmarshaler. It takes texts only: what is hashed of
// null or a number would be the same as of a text.
func (d *Details) UnmarshalJSON(data []byte) error {
	var values map[string]*string
	if err := json.Unmarshal(data, &values); err != nil {
		return errNoText
	}
	if values == nil {
		return errNoText
	}
	*d = make(Details, len(values))
	for name, value := range values {
		if value == nil {
			return errNoText
		}
		(*d)[name] = *value
	}
	return nil
}

var errNoText = errors.New("audit: details are an object of texts")

// Sealed is an entry in its place in the chain of its tenant.
type Sealed struct {
	Tenant string `json:"tenant"`
	// Seq counts from 1, without gaps.
	Seq int64 `json:"seq"`
	// At is when the change was made, to the microsecond; its transaction may have
	// ended a while later.
	At time.Time `json:"at"`
	// SealedAt is when the entry got its place. It never goes back within a chain.
	SealedAt time.Time `json:"sealed_at"`
	// Actor is key:ID, job:KIND, webhook:PROVIDER or operator:LOGIN, as the program
	// said; role:ROLE when none did.
	Actor string `json:"actor"`
	// Source is where the request came from: an address, a host name.
	Source    string `json:"source"`
	RequestID string `json:"request_id"`
	// Role is the database role, as the database knows it.
	Role string `json:"role"`
	// Origin is the table whose trigger wrote the entry; program when a program did.
	Origin string `json:"origin"`
	Entry
	PrevHash Hash `json:"prev_hash"`
	Hash     Hash `json:"hash"`
}

// Hash is a SHA-256, in lower-case hexadecimal digits as text.
type Hash [sha256.Size]byte

// String implements fmt.Stringer.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) || bytes.ContainsAny(text, "ABCDEF") {
		return errors.New("audit: a hash has 64 digits of 0-9 and a-f")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return errors.New("audit: a hash has 64 digits of 0-9 and a-f")
	}
	return nil
}

// Compute returns the hash that the entry should have: SHA-256 over PrevHash and
// these fields, each as a netstring (https://cr.yp.to/proto/netstrings.txt) in
// UTF-8: tenant, seq, at and sealed_at in microseconds since 1970, actor, source,
// request_id, role, origin, action, resource_type, resource_id, outcome, then name
// and value of each detail, by name in the order of bytes.
func (s *Sealed) Compute() Hash {
	text := append(make([]byte, 0, 512), s.PrevHash[:]...)
	for _, field := range []string{
		s.Tenant, strconv.FormatInt(s.Seq, 10), strconv.FormatInt(s.At.UnixMicro(), 10), strconv.FormatInt(s.SealedAt.UnixMicro(), 10),
		s.Actor, s.Source, s.RequestID, s.Role, s.Origin, s.Action, s.ResourceType, s.ResourceID, s.Outcome,
	} {
		text = netstring(text, field)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Details)) {
		text = netstring(netstring(text, name), s.Details[name])
	}
	return sha256.Sum256(text)
}

func netstring(to []byte, field string) []byte {
	to = append(strconv.AppendInt(to, int64(len(field)), 10), ':')
	return append(append(to, field...), ',')
}

// Record notes what changes no row, for the tenant, which is Platform when it is
// empty. Who acts is the context's actor (postgres.WithActor). The intake and the
// worker role may.
func Record(ctx context.Context, db *postgres.Tenancy, tenant string, e Entry) error {
	return postgres.Fault(db.Tx(ctx, tenant, func(tx pgx.Tx) error { return RecordTx(ctx, tx, e) }))
}

// RecordTx is Record in a transaction that has entered the tenant.
func RecordTx(ctx context.Context, tx pgx.Tx, e Entry) error {
	if e.Details == nil {
		e.Details = Details{}
	}
	_, err := tx.Exec(ctx, `SELECT millrace_audit($1, $2, $3, $4, $5)`, e.Action, e.ResourceType, e.ResourceID, e.Outcome, e.Details)
	if err != nil {
		return fmt.Errorf("audit: record: %w", err)
	}
	return nil
}

// Seal moves up to atMost entries that wait into their chains and returns how many
// these were; none while another program does it. The worker role may.
func Seal(ctx context.Context, db *postgres.Tenancy, atMost int) (int64, error) {
	var sealed int64
	err := db.Query(ctx, "", func(rows pgx.Rows) (err error) {
		sealed, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
		return err
	}, `SELECT millrace_seal_audit($1)`, atMost)
	return sealed, postgres.Fault(err)
}

// Keep makes the partitions of this month and the next, and drops those that are
// older than what is kept. It returns their names. The worker role may.
func Keep(ctx context.Context, db *postgres.Tenancy) ([]string, error) {
	dropped := []string{}
	for {
		var name *string
		err := db.Query(ctx, "", func(rows pgx.Rows) (err error) {
			name, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[*string])
			return err
		}, `SELECT millrace_audit_keep()`)
		if err != nil || name == nil {
			return dropped, postgres.Fault(err)
		}
		dropped = append(dropped, *name)
	}
}

// Retention returns for how many years entries are kept, and with a number of years
// sets that first. db must act as the owner.
func Retention(ctx context.Context, db *postgres.Tenancy, set int) (years int, err error) {
	err = db.Tx(ctx, "", func(tx pgx.Tx) error {
		if set > 0 {
			if _, err := tx.Exec(ctx, `UPDATE audit_settings SET keep_years = $1`, set); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT keep_years FROM audit_settings`).Scan(&years)
	})
	return years, postgres.Fault(err)
}

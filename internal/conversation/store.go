package conversation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// maxStatement is how many bytes of texts share one INSERT, about: PostgreSQL takes
// 1 GiB, and memory is dear.
const maxStatement = 8 << 20

// InsertMany writes new conversations of one tenant, which tx must have entered,
// each with the job that scores it. What Seal sealed is stored so.
func InsertMany(ctx context.Context, tx pgx.Tx, conversations []Conversation, jobIDs []int64) error {
	for len(conversations) > 0 {
		var rows insertion
		n := 0
		for n < len(conversations) && (n == 0 || rows.bytes < maxStatement) {
			if err := rows.add(conversations[n], jobIDs[n]); err != nil {
				return err
			}
			n++
		}
		if err := rows.write(ctx, tx); err != nil {
			return err
		}
		conversations, jobIDs = conversations[n:], jobIDs[n:]
	}
	return nil
}

// insertion is the columns of one INSERT.
type insertion struct {
	tenants, sessions                   []string
	ids                                 []uuid.UUID
	counts, skippedCounts               []int32
	messages, skipped, masked, feedback []*string
	hasFeedback                         []bool
	sealed                              [][]byte
	created                             []time.Time
	jobIDs                              []int64
	bytes                               int
}

func (in *insertion) add(c Conversation, jobID int64) error {
	messages, err := jsonText(c.turns, c.sealed != nil)
	if err != nil {
		return err
	}
	skipped, err := jsonText(c.Skipped, c.Skipped == nil)
	if err != nil {
		return err
	}
	masked, err := jsonText(c.Masked, c.Masked == nil)
	if err != nil {
		return err
	}
	feedback, err := jsonText(c.feedback, c.feedback == nil || c.sealed != nil)
	if err != nil {
		return err
	}
	in.tenants, in.ids, in.sessions = append(in.tenants, c.Tenant), append(in.ids, c.ID), append(in.sessions, c.SessionID)
	in.messages, in.sealed, in.hasFeedback = append(in.messages, messages), append(in.sealed, c.sealed), append(in.hasFeedback, c.HasFeedback)
	in.counts = append(in.counts, int32(c.MessageCount))               //nolint:gosec // at most MaxMessages
	in.skippedCounts = append(in.skippedCounts, int32(c.SkippedCount)) //nolint:gosec // at most MaxMessages
	in.skipped, in.masked, in.feedback = append(in.skipped, skipped), append(in.masked, masked), append(in.feedback, feedback)
	in.created, in.jobIDs = append(in.created, c.CreatedAt), append(in.jobIDs, jobID)
	in.bytes += len(c.sealed)
	if messages != nil {
		in.bytes += len(*messages)
	}
	return nil
}

func (in *insertion) write(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO conversations (tenant_id, id, session_id, messages, message_count, skipped_count, skipped, masked,
			has_feedback, feedback, sealed, created_at, job_id)
		SELECT tenant_id, id, session_id, messages::json, message_count, skipped_count, skipped::jsonb, masked::jsonb,
			has_feedback, feedback::json, sealed, created_at, nullif(job_id, 0)
		FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::text[], $8::text[],
				$9::boolean[], $10::text[], $11::bytea[], $12::timestamptz[], $13::bigint[])
			AS row (tenant_id, id, session_id, messages, message_count, skipped_count, skipped, masked, has_feedback, feedback, sealed, created_at, job_id)`,
		in.tenants, in.ids, in.sessions, in.messages, in.counts, in.skippedCounts, in.skipped, in.masked,
		in.hasFeedback, in.feedback, in.sealed, in.created, in.jobIDs)
	if err != nil {
		return fmt.Errorf("conversation: insert: %w", err)
	}
	return nil
}

func jsonText(v any, null bool) (*string, error) {
	if null {
		return nil, nil //nolint:nilnil // nil is SQL's NULL
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("conversation: encode: %w", err)
	}
	s := string(text)
	return &s, nil
}

// columns of one conversation, in the order of fields.
const columns = `c.id, c.tenant_id, c.session_id, c.status, c.message_count, c.skipped_count, c.skipped, c.masked, c.has_feedback,
	coalesce(c.job_id, 0), c.created_at, coalesce(s.model, ''), s.scored_at`

const (
	fromConversations = ` FROM conversations AS c LEFT JOIN scores AS s ON s.tenant_id = c.tenant_id AND s.id = c.id`
	byID              = ` WHERE c.tenant_id = $1 AND c.id = $2`
)

func (c *Conversation) fields() []any {
	return []any{
		&c.ID, &c.Tenant, &c.SessionID, &c.Status, &c.MessageCount, &c.SkippedCount, &c.Skipped, &c.Masked, &c.HasFeedback,
		&c.JobID, &c.CreatedAt, &c.Model, &c.ScoredAt,
	}
}

// Find reads a conversation of the tenant, without its texts. The fault is NOT_FOUND
// when the tenant has none of that id.
func Find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Conversation, error) {
	return find(ctx, db, tenant, id, "SELECT "+columns+fromConversations+byID, (*Conversation).fields)
}

// Load reads a conversation with its texts. The faults are those of Find, and of
// Tenancy.Unseal when it cannot be decrypted.
func Load(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Conversation, error) {
	// A function is intake's only way to the texts.
	c, err := find(ctx, db, tenant, id, "SELECT "+columns+", text.messages, text.feedback, text.sealed"+fromConversations+
		" CROSS JOIN LATERAL millrace_conversation_texts(c.id) AS text"+byID, func(c *Conversation) []any {
		return append(c.fields(), &c.turns, &c.feedback, &c.sealed)
	})
	if err != nil {
		return Conversation{}, err
	}
	return c.unseal(ctx, db)
}

func find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID, sql string, fields func(*Conversation) []any) (Conversation, error) {
	var c Conversation
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		c, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (c Conversation, err error) {
			err = row.Scan(fields(&c)...)
			return c, err
		})
		return err
	}, sql, tenant, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Conversation{}, fault.New(fault.NotFound, "There is no such conversation.")
	}
	c.CreatedAt = c.CreatedAt.UTC()
	if c.ScoredAt != nil {
		*c.ScoredAt = c.ScoredAt.UTC()
	}
	return c, postgres.Fault(err)
}

// Cancel ends in the tenant's transaction tx a conversation whose job is cancelled
// before it ran. The fault is CONFLICT for one that has its score.
func Cancel(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, _ time.Time) error {
	tag, err := tx.Exec(ctx, "UPDATE conversations SET status = 'cancelled' WHERE tenant_id = $1 AND id = $2 AND status = 'queued'", tenant, id)
	if err != nil {
		return fmt.Errorf("conversation: cancel: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The conversation is scored already.")
	}
	return nil
}

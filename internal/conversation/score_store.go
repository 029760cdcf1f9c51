package conversation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/satisfaction"
)

// Record writes scores of one tenant, whose transaction tx is, in place of those
// that their conversations have, and moves the counts of their days along with them.
// To repeat it changes nothing: a score of the same model stays. It returns the
// conversations that had no score before.
func Record(ctx context.Context, tx pgx.Tx, tenant string, scores []Score) (first []uuid.UUID, err error) {
	n := len(scores)
	var (
		ids                                = make([]uuid.UUID, n)
		numbers, verdicts, models, details = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		ratings, confidences               = make([]float64, n), make([]float64, n)
		scored                             = make([]time.Time, n)
	)
	for i, s := range scores {
		detail, err := json.Marshal(s.Score)
		if err != nil {
			return nil, fmt.Errorf("conversation: encode: %w", err)
		}
		ids[i], numbers[i], ratings[i], confidences[i] = s.ID, decimal(s.Satisfaction), s.Rating, s.Confidence
		verdicts[i], models[i], details[i], scored[i] = string(s.Verdict), s.Model, string(detail), s.ScoredAt
	}
	// Whoever scores a conversation waits here for whoever else does, and the next
	// statement sees what that one wrote. In one order, so that none deadlock.
	if _, err := tx.Exec(ctx, "SELECT FROM conversations WHERE tenant_id = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE", tenant, ids); err != nil {
		return nil, fmt.Errorf("conversation: lock: %w", err)
	}
	rows, err := tx.Query(ctx, `
		WITH asked AS (
			SELECT * FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::float8[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
				AS row (id, satisfaction, rating, confidence, verdict, model, detail, scored_at)
		), old AS (
			SELECT id, created_at, satisfaction FROM scores WHERE tenant_id = $1 AND id = ANY ($2)
		), written AS (
			INSERT INTO scores AS score (tenant_id, id, session_id, created_at, satisfaction, rating, confidence, verdict, model, detail, scored_at)
			SELECT $1, asked.id, c.session_id, c.created_at, asked.satisfaction::numeric, asked.rating, asked.confidence, asked.verdict, asked.model,
				asked.detail::json, asked.scored_at
			FROM asked JOIN conversations AS c ON c.tenant_id = $1 AND c.id = asked.id
			ORDER BY asked.id
			ON CONFLICT (tenant_id, id) DO UPDATE SET
				satisfaction = excluded.satisfaction, rating = excluded.rating, confidence = excluded.confidence, verdict = excluded.verdict,
				model = excluded.model, detail = excluded.detail, scored_at = excluded.scored_at
			WHERE score.model <> excluded.model
			RETURNING id, created_at, satisfaction
		), moved AS (
			SELECT created_at, satisfaction, 1 AS sign FROM written
			UNION ALL
			SELECT created_at, satisfaction, -1 FROM old WHERE id IN (SELECT id FROM written)
		), days AS (
			INSERT INTO score_days AS day (tenant_id, day, bucket, count, total)
			SELECT $1, day, bucket, sum(sign), sum(sign * satisfaction)
			FROM (SELECT (created_at AT TIME ZONE 'UTC')::date AS day, least(floor(satisfaction / 10), 9)::smallint AS bucket, sign, satisfaction
				FROM moved) AS change
			GROUP BY day, bucket
			ORDER BY day, bucket
			ON CONFLICT (tenant_id, day, bucket) DO UPDATE SET count = day.count + excluded.count, total = day.total + excluded.total
		), done AS (
			UPDATE conversations SET status = 'scored' WHERE tenant_id = $1 AND id IN (SELECT id FROM written) AND status <> 'scored'
		)
		SELECT id FROM written WHERE id NOT IN (SELECT id FROM old) ORDER BY id`,
		tenant, ids, numbers, ratings, confidences, verdicts, models, details, scored)
	if err != nil {
		return nil, fmt.Errorf("conversation: record: %w", err)
	}
	if first, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return nil, fmt.Errorf("conversation: record: %w", err)
	}
	return first, nil
}

// FindScore reads the score of a conversation of the tenant. The fault is NOT_FOUND
// when the tenant has no such conversation, or it has no score yet.
func FindScore(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Score, error) {
	var s Score
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		s, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (s Score, err error) {
			err = row.Scan(&s.ID, &s.Tenant, &s.SessionID, &s.CreatedAt, &s.ScoredAt, &s.Score)
			return s, err
		})
		return err
	}, "SELECT id, tenant_id, session_id, created_at, scored_at, detail FROM scores WHERE tenant_id = $1 AND id = $2", tenant, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Score{}, fault.New(fault.NotFound, "There is no such score; that of a conversation comes with its job.")
	}
	s.CreatedAt, s.ScoredAt = s.CreatedAt.UTC(), s.ScoredAt.UTC()
	return s, postgres.Fault(err)
}

// Filter chooses scores of a list. Zero values do not filter.
type Filter struct {
	// Sort is what the list is ordered by; default ByTime.
	Sort Sort
	// Ascending begins with the oldest, or the lowest.
	Ascending bool
	// After is where the page before ended; nil starts at the beginning.
	After *Position
	// From and To bound when the conversation was submitted; To is not included.
	From, To time.Time
	// Min and Max bound the satisfaction, both included.
	Min, Max  *float64
	SessionID string
	Verdict   satisfaction.Verdict
	// Limit is how many to return.
	Limit int
}

// Position returns the place of a score in the list.
func (f Filter) Position(s Summary) Position {
	return Position{Sort: f.Sort, Ascending: f.Ascending, CreatedAt: s.CreatedAt, Satisfaction: s.Satisfaction, ID: s.ID}
}

// List reads the tenant's scores.
func List(ctx context.Context, db *postgres.Tenancy, tenant string, filter Filter) ([]Summary, error) {
	statement, args := filter.statement(tenant)
	var list []Summary
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Summary, err error) {
			err = row.Scan(&s.ID, &s.SessionID, &s.CreatedAt, &s.ScoredAt, &s.Model, &s.Satisfaction, &s.Rating, &s.Confidence, &s.Verdict)
			s.CreatedAt, s.ScoredAt = s.CreatedAt.UTC(), s.ScoredAt.UTC()
			return s, err
		})
		return err
	}, statement, args...)
	return list, postgres.Fault(err)
}

// statement writes the query of a list with the conditions that it has and no
// others, so that the database finds the index that fits. Nothing in it is input.
func (f Filter) statement(tenant string) (statement string, args []any) {
	var sql strings.Builder
	sql.WriteString(`SELECT id, session_id, created_at, scored_at, model, satisfaction::float8, rating, confidence, verdict
		FROM scores WHERE tenant_id = $1`)
	args = []any{tenant}
	where := func(condition string, arg any) {
		args = append(args, arg)
		sql.WriteString(" AND " + condition + " $" + strconv.Itoa(len(args)))
	}
	if !f.From.IsZero() {
		where("created_at >=", f.From)
	}
	if !f.To.IsZero() {
		where("created_at <", f.To)
	}
	if f.Min != nil {
		where("satisfaction >=", decimal(*f.Min))
	}
	if f.Max != nil {
		where("satisfaction <=", decimal(*f.Max))
	}
	if f.SessionID != "" {
		where("session_id =", f.SessionID)
	}
	if f.Verdict != "" {
		where("verdict =", string(f.Verdict))
	}
	// Qualified: what is selected under the name of satisfaction is not the column.
	column, comparison, direction := "scores.created_at", " < ", " DESC"
	if f.Sort == BySatisfaction {
		column = "scores.satisfaction"
	}
	if f.Ascending {
		comparison, direction = " > ", " ASC"
	}
	if f.After != nil {
		var key any = f.After.CreatedAt
		if f.Sort == BySatisfaction {
			key = decimal(f.After.Satisfaction)
		}
		args = append(args, key, f.After.ID)
		sql.WriteString(" AND (" + column + ", id)" + comparison + "($" + strconv.Itoa(len(args)-1) + ", $" + strconv.Itoa(len(args)) + ")")
	}
	args = append(args, f.Limit)
	sql.WriteString(" ORDER BY " + column + direction + ", id" + direction + " LIMIT $" + strconv.Itoa(len(args)))
	return sql.String(), args
}

// Distribution reads how the scores of each day from first to last are distributed,
// days without any included.
func Distribution(ctx context.Context, db *postgres.Tenancy, tenant string, first, last time.Time) ([]Day, error) {
	var days []Day
	for at := first; !at.After(last); at = at.AddDate(0, 0, 1) {
		days = append(days, Day{Date: at.Format(time.DateOnly), Buckets: make([]int64, Buckets)})
	}
	totals := make([]float64, len(days))
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var (
			day           time.Time
			bucket, count int64
			total         float64
		)
		_, err := pgx.ForEachRow(rows, []any{&day, &bucket, &count, &total}, func() error {
			i := int(day.Sub(first).Hours() / 24)
			days[i].Buckets[bucket] = count
			days[i].Count += count
			totals[i] += total
			return nil
		})
		return err
	}, `SELECT day, bucket::bigint, count, total::float8 FROM score_days
		WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND count > 0 ORDER BY day, bucket`, tenant, first, last)
	for i, total := range totals {
		if days[i].Count > 0 {
			mean := math.Round(100*total/float64(days[i].Count)) / 100
			days[i].Mean = &mean
		}
	}
	return days, postgres.Fault(err)
}

// Range is conversations by when they were submitted; To is not included.
type Range struct {
	From time.Time `json:"from" doc:"Conversations submitted at this time or later." example:"2026-01-01T00:00:00Z"`
	To   time.Time `json:"to" doc:"Conversations submitted before this time; at most 366 days after from." example:"2026-02-01T00:00:00Z"`
}

// Validate returns the range normalised. The error is an INVALID_INPUT fault.
func (r Range) Validate() (Range, error) {
	var fields fault.Fields
	fields.CheckRange(r.From, r.To, MaxDays)
	return Range{From: r.From.UTC().Truncate(time.Microsecond), To: r.To.UTC().Truncate(time.Microsecond)}, fields.Err()
}

// CountScores returns how many scores a range of conversations has.
func CountScores(ctx context.Context, db *postgres.Tenancy, tenant string, r Range) (n int, err error) {
	err = db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		return err
	}, "SELECT count(*)::int FROM scores WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3", tenant, r.From, r.To)
	return n, postgres.Fault(err)
}

// Versioned is a conversation, and the model that its score is of.
type Versioned struct {
	ID        uuid.UUID
	CreatedAt time.Time
	Model     string
}

// Cursor is a conversation as a place in the order of time.
type Cursor struct {
	CreatedAt time.Time `json:"created_at"`
	ID        uuid.UUID `json:"id"`
}

// Versions lists the scores of a range behind a place in it, oldest conversations
// first; the zero Cursor is its beginning.
func Versions(ctx context.Context, db *postgres.Tenancy, tenant string, r Range, after Cursor, limit int) ([]Versioned, error) {
	var list []Versioned
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Versioned])
		return err
	}, `SELECT id, created_at, model FROM scores
		WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3 AND (created_at, id) > ($4, $5)
		ORDER BY created_at, id LIMIT $6`, tenant, r.From, r.To, after.CreatedAt, after.ID, limit)
	return slices.Clip(list), postgres.Fault(err)
}

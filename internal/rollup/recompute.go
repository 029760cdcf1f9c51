package rollup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// Recomputed says what Recompute did.
type Recomputed struct {
	// Checked is how many buckets were made anew from their points, Written how many of
	// these differed from what was stored, and Kept how many were left as they are
	// since some of their points are not kept any more.
	Checked int `json:"checked" doc:"Buckets that were made anew from their points."`
	Written int `json:"written" doc:"Of these, those that differed and were replaced."`
	Kept    int `json:"kept" doc:"Buckets that were left alone, because some of their points are not kept any more."`
}

// MaxRangeDays is how long a Range is at most.
const MaxRangeDays = 366

// Range is what Recompute works on.
type Range struct {
	From time.Time `json:"from" doc:"The buckets of the days, in UTC, that touch the range are made anew: from this one on." example:"2026-01-01T00:00:00Z"`
	To   time.Time `json:"to" doc:"The range ends before this time; at most 366 days after from." example:"2026-01-02T00:00:00Z"`
}

// Validate returns the range normalised. The error is an INVALID_INPUT fault.
func (r Range) Validate() (Range, error) {
	var fields fault.Fields
	if fields.CheckRange(r.From, r.To, MaxRangeDays) {
		fields.Check(r.From.Year() >= 1970, "from", "must not be before 1970")
		fields.Check(r.To.Year() < 10000, "to", "must be before the year 10000")
	}
	return Range{From: r.From.UTC().Truncate(time.Microsecond), To: r.To.UTC().Truncate(time.Microsecond)}, fields.Err()
}

// Days lists when the days begin that touch the range.
func (r Range) Days() []time.Time {
	var days []time.Time
	step := Step{Width: day}
	for at := step.Start(r.From); at.Before(r.To); at = step.Next(at) {
		days = append(days, at)
	}
	return days
}

// Recompute makes the buckets of the days that touch a span of time anew from the
// points as they came in. It is for repair: what Fold wrote needs none. A bucket
// that holds more points than are kept stays as it is. Days are worked on one by
// one, each in a transaction of its own; while one lasts, nothing of the tenant is
// folded. The fault is UNAVAILABLE while another Recompute of the tenant runs.
func Recompute(ctx context.Context, db *postgres.Tenancy, tenant string, from, to time.Time, progress func(done, total int)) (Recomputed, error) {
	var all Recomputed
	days := Range{From: from, To: to}.Days()
	f := newFolder()
	for n, first := range days {
		var one Recomputed
		err := db.Tx(ctx, tenant, func(tx pgx.Tx) error {
			var err error
			one, err = f.recompute(ctx, tx, tenant, first, first.Add(day))
			return err
		})
		if err != nil {
			return all, postgres.Fault(err)
		}
		all.Add(one)
		progress(n+1, len(days))
	}
	return all, nil
}

// Add adds what another Recompute did.
func (r *Recomputed) Add(other Recomputed) {
	r.Checked += other.Checked
	r.Written += other.Written
	r.Kept += other.Kept
}

// recomputeSpan is how much of a day is in memory at once, as points. What lasts for
// the day is one summary a series.
const recomputeSpan = time.Hour

func (f *folder) recompute(ctx context.Context, tx pgx.Tx, tenant string, from, to time.Time) (Recomputed, error) {
	var alone bool
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtextextended('millrace_metric_recompute ' || $1, 0))", tenant).Scan(&alone); err != nil {
		return Recomputed{}, fmt.Errorf("rollup: lock: %w", err)
	}
	if !alone {
		return Recomputed{}, fault.New(fault.Unavailable, "Another range is being computed anew; this one goes on when it is its turn.").After(time.Second)
	}
	// While this lasts, nothing is folded: pending points stay out of both sides.
	if _, err := tx.Exec(ctx, "SELECT FROM metric_tenants WHERE tenant_id = $1 FOR NO KEY UPDATE", tenant); err != nil {
		return Recomputed{}, fmt.Errorf("rollup: tenant: %w", err)
	}
	var done Recomputed
	days := map[int64]*Summary{}
	for at := from; at.Before(to); at = at.Add(recomputeSpan) {
		if err := f.readSpan(ctx, tx, tenant, at, at.Add(recomputeSpan)); err != nil {
			return Recomputed{}, err
		}
		f.group()
		for _, rows := range f.rows[:2] {
			one, err := rows.replace(ctx, tx, tenant, at, at.Add(recomputeSpan))
			if err != nil {
				return Recomputed{}, err
			}
			done.Add(one)
		}
		part := f.rows[2]
		for i, series := range part.series {
			if days[series] == nil {
				days[series] = NewSummary()
			}
			if err := days[series].MergeStored(part.summary(i), part.states[i]); err != nil {
				return Recomputed{}, err
			}
		}
	}
	whole := f.rows[2]
	whole.reset()
	for _, series := range slices.Sorted(maps.Keys(days)) {
		whole.add(series, from.UnixMicro(), days[series])
	}
	one, err := whole.replace(ctx, tx, tenant, from, to)
	if err != nil {
		return Recomputed{}, err
	}
	done.Add(one)
	return done, nil
}

// readSpan reads the folded points between two moments.
func (f *folder) readSpan(ctx context.Context, tx pgx.Tx, tenant string, from, to time.Time) error {
	rows, err := tx.Query(ctx, `
		SELECT samples FROM metric_chunks
		WHERE tenant_id = $1 AND NOT pending AND last_at >= $2 AND last_at < $3::timestamptz + interval '24 hours' AND first_at < $3 AND last_at - first_at <= interval '24 hours'
		UNION ALL
		SELECT samples FROM metric_chunks
		WHERE tenant_id = $1 AND NOT pending AND last_at >= $2 AND first_at < $3 AND last_at - first_at > interval '24 hours'`, tenant, from, to)
	if err != nil {
		return fmt.Errorf("rollup: chunks: %w", err)
	}
	defer rows.Close()
	f.samples = f.samples[:0]
	first, last := from.UnixMicro(), to.UnixMicro()
	for rows.Next() {
		var chunk pgtype.DriverBytes // valid until the next row
		if err := rows.Scan(&chunk); err != nil {
			return fmt.Errorf("rollup: chunk: %w", err)
		}
		before := len(f.samples)
		if f.samples, err = ReadChunk(f.samples, chunk); err != nil {
			return err
		}
		kept := f.samples[:before]
		for _, s := range f.samples[before:] {
			if s.At >= first && s.At < last {
				kept = append(kept, s)
			}
		}
		f.samples = kept
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("rollup: chunks: %w", err)
	}
	return nil
}

// replace writes the rows that differ from what is stored between two moments,
// and counts stored buckets of more points.
func (b *bucketRows) replace(ctx context.Context, tx pgx.Tx, tenant string, from, to time.Time) (Recomputed, error) {
	done := Recomputed{Checked: len(b.series)}
	type key struct {
		series int64
		at     int64
	}
	index := make(map[key]int, len(b.series))
	for i := range b.series {
		index[key{b.series[i], b.at[i].UnixMicro()}] = i
	}
	rows, err := tx.Query(ctx, `
		SELECT series_id, at, count, sum, min, max, first, last, first_at, last_at FROM `+bucketsTable(b.resolution)+`
		WHERE tenant_id = $1 AND at >= $2 AND at < $3`, tenant, from, to)
	if err != nil {
		return done, fmt.Errorf("rollup: buckets: %w", err)
	}
	defer rows.Close()
	same := map[int]bool{}
	var (
		series              int64
		at, firstAt, lastAt time.Time
		stored              Summary
		sum                 float64
	)
	_, err = pgx.ForEachRow(rows, []any{&series, &at, &stored.Count, &sum, &stored.Min, &stored.Max, &stored.First, &stored.Last, &firstAt, &lastAt}, func() error {
		stored.FirstAt, stored.LastAt = firstAt.UnixMicro(), lastAt.UnixMicro()
		i, ok := index[key{series, at.UnixMicro()}]
		switch {
		case !ok || stored.Count > b.counts[i]:
			done.Kept++
			if ok {
				done.Checked--
				same[i] = true
			}
		case b.equal(i, stored, sum):
			same[i] = true
		default:
			b.stored[i] = true
		}
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("rollup: buckets: %w", err)
	}
	changed := &bucketRows{resolution: b.resolution}
	for i := range b.series {
		if !same[i] {
			changed.copy(b, i)
		}
	}
	done.Written = len(changed.series)
	if done.Written == 0 {
		return done, nil
	}
	if err := changed.ensurePartitions(ctx, tx); err != nil {
		return done, err
	}
	return done, changed.write(ctx, tx, tenant)
}

func (b *bucketRows) equal(i int, stored Summary, sum float64) bool {
	own := b.summary(i)
	return own.Count == stored.Count && b.sums[i] == sum && own.Min == stored.Min && own.Max == stored.Max &&
		own.First == stored.First && own.Last == stored.Last && own.FirstAt == stored.FirstAt && own.LastAt == stored.LastAt
}

package rollup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// bucketRows are buckets of one resolution, column by column, in order of series
// and time.
type bucketRows struct {
	resolution        Resolution
	series            []int64
	at                []time.Time
	counts            []int64
	sums, least, most []float64
	first, last       []float64
	firstAt, lastAt   []time.Time
	states            [][]byte
	stored            []bool // whether there is such a row already
	memory            []byte
}

func (b *bucketRows) reset() {
	b.series, b.at, b.counts = b.series[:0], b.at[:0], b.counts[:0]
	b.sums, b.least, b.most, b.first, b.last = b.sums[:0], b.least[:0], b.most[:0], b.first[:0], b.last[:0]
	b.firstAt, b.lastAt, b.states, b.memory = b.firstAt[:0], b.lastAt[:0], b.states[:0], b.memory[:0]
	b.stored = b.stored[:0]
}

func (b *bucketRows) add(series, at int64, s *Summary) {
	b.series = append(b.series, series)
	b.at = append(b.at, time.UnixMicro(at))
	b.counts = append(b.counts, 0)
	b.sums, b.least, b.most = append(b.sums, 0), append(b.least, 0), append(b.most, 0)
	b.first, b.last = append(b.first, 0), append(b.last, 0)
	b.firstAt, b.lastAt = append(b.firstAt, time.Time{}), append(b.lastAt, time.Time{})
	b.states, b.stored = append(b.states, nil), append(b.stored, false)
	b.set(len(b.series)-1, s)
}

func (b *bucketRows) set(i int, s *Summary) {
	b.counts[i], b.sums[i], b.least[i], b.most[i] = s.Count, s.Sum(), s.Min, s.Max
	b.first[i], b.last[i] = s.First, s.Last
	b.firstAt[i], b.lastAt[i] = time.UnixMicro(s.FirstAt), time.UnixMicro(s.LastAt)
	from := len(b.memory)
	b.memory = s.AppendState(b.memory)
	b.states[i] = b.memory[from:len(b.memory):len(b.memory)]
}

// summary returns the public fields of a row.
func (b *bucketRows) summary(i int) Summary {
	return Summary{
		Count: b.counts[i], Min: b.least[i], Max: b.most[i], First: b.first[i], Last: b.last[i],
		FirstAt: b.firstAt[i].UnixMicro(), LastAt: b.lastAt[i].UnixMicro(),
	}
}

// ensurePartitions makes the partitions that the rows go into, and notes that
// they are written into.
func (b *bucketRows) ensurePartitions(ctx context.Context, tx pgx.Tx) error {
	days := map[int64]struct{}{}
	var one []time.Time // of each day
	for _, at := range b.at {
		start := Day.Start(at.UnixMicro())
		if _, ok := days[start]; !ok {
			days[start] = struct{}{}
			one = append(one, at)
		}
	}
	_, err := tx.Exec(ctx, `
		SELECT millrace_metric_partition($1, min(at)) FROM unnest($2::timestamptz[]) AS row (at)
		GROUP BY date_trunc($3, at AT TIME ZONE 'UTC')`, bucketsTable(b.resolution), one, partitionUnit(b.resolution))
	if err != nil {
		return fmt.Errorf("rollup: partitions: %w", err)
	}
	return nil
}

// partitionUnit is the span of a partition, as millrace_metric_partition has it.
func partitionUnit(r Resolution) string {
	switch r {
	case Minute:
		return "week"
	case Hour:
		return "month"
	default:
		return "year"
	}
}

// mergeExisting adds what the buckets hold already. Those that begin after newest are
// not looked up: no point so new is in any.
func (b *bucketRows) mergeExisting(ctx context.Context, tx pgx.Tx, tenant string, newest time.Time, into *Summary) error {
	var (
		which  []int32
		series []int64
		at     []time.Time
	)
	for i := range b.series {
		if !b.at[i].After(newest) {
			which, series, at = append(which, int32(i)), append(series, b.series[i]), append(at, b.at[i])
		}
	}
	if len(which) == 0 {
		return nil
	}
	// One look into the index for each: LIMIT keeps the planner, which may know nothing
	// of a young table, from turning the join round.
	rows, err := tx.Query(ctx, `
		SELECT row.n, bucket.* FROM unnest($2::bigint[], $3::timestamptz[], $4::integer[]) AS row (series_id, at, n), LATERAL (
			SELECT count, min, max, first, last, first_at, last_at, state FROM `+bucketsTable(b.resolution)+`
			WHERE tenant_id = $1 AND series_id = row.series_id AND at = row.at LIMIT 1
		) AS bucket`, tenant, series, at, which)
	if err != nil {
		return fmt.Errorf("rollup: buckets: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			n               int
			stored          Summary
			firstAt, lastAt time.Time
			state           pgtype.DriverBytes // valid until the next row
		)
		if err := rows.Scan(&n, &stored.Count, &stored.Min, &stored.Max, &stored.First, &stored.Last, &firstAt, &lastAt, &state); err != nil {
			return fmt.Errorf("rollup: bucket: %w", err)
		}
		stored.FirstAt, stored.LastAt = firstAt.UnixMicro(), lastAt.UnixMicro()
		into.Reset()
		if err := into.MergeStored(stored, state); err != nil {
			return err
		}
		if err := into.MergeStored(b.summary(n), b.states[n]); err != nil {
			return err
		}
		b.set(n, into)
		b.stored[n] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("rollup: buckets: %w", err)
	}
	return nil
}

// write writes the rows, in the place of what the buckets held.
func (b *bucketRows) write(ctx context.Context, tx pgx.Tx, tenant string) error {
	fresh, stored := b, &bucketRows{}
	if slices.Contains(b.stored, true) {
		fresh = &bucketRows{}
		for i := range b.series {
			if b.stored[i] {
				stored.copy(b, i)
			} else {
				fresh.copy(b, i)
			}
		}
	}
	if len(fresh.series) > 0 {
		if _, err := tx.Exec(ctx, `
			INSERT INTO `+bucketsTable(b.resolution)+`
				(tenant_id, series_id, at, count, sum, min, max, first, last, first_at, last_at, state)
			SELECT $1, series_id, at, count, sum, min, max, first, last, first_at, last_at, state `+rowsGiven, fresh.arguments(tenant)...); err != nil {
			return fmt.Errorf("rollup: add buckets: %w", err)
		}
	}
	if len(stored.series) > 0 {
		if _, err := tx.Exec(ctx, `
			INSERT INTO `+bucketsTable(b.resolution)+`
				(tenant_id, series_id, at, count, sum, min, max, first, last, first_at, last_at, state)
			SELECT $1, series_id, at, count, sum, min, max, first, last, first_at, last_at, state `+rowsGiven+`
			ON CONFLICT (tenant_id, series_id, at) DO UPDATE SET
				count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max, first = excluded.first, last = excluded.last,
				first_at = excluded.first_at, last_at = excluded.last_at, state = excluded.state`, stored.arguments(tenant)...); err != nil {
			return fmt.Errorf("rollup: change buckets: %w", err)
		}
	}
	return nil
}

// rowsGiven reads what arguments returns.
const rowsGiven = `
	FROM unnest($2::bigint[], $3::timestamptz[], $4::bigint[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::float8[],
		$10::timestamptz[], $11::timestamptz[], $12::bytea[])
		AS row (series_id, at, count, sum, min, max, first, last, first_at, last_at, state)`

func (b *bucketRows) arguments(tenant string) []any {
	return []any{tenant, b.series, b.at, b.counts, b.sums, b.least, b.most, b.first, b.last, b.firstAt, b.lastAt, b.states}
}

// copy appends row i of another.
func (b *bucketRows) copy(from *bucketRows, i int) {
	b.series, b.at, b.counts = append(b.series, from.series[i]), append(b.at, from.at[i]), append(b.counts, from.counts[i])
	b.sums, b.least, b.most = append(b.sums, from.sums[i]), append(b.least, from.least[i]), append(b.most, from.most[i])
	b.first, b.last = append(b.first, from.first[i]), append(b.last, from.last[i])
	b.firstAt, b.lastAt = append(b.firstAt, from.firstAt[i]), append(b.lastAt, from.lastAt[i])
	b.states, b.stored = append(b.states, from.states[i]), append(b.stored, from.stored[i])
}

// append appends all rows of another.
func (b *bucketRows) append(from *bucketRows) {
	b.series, b.at, b.counts = append(b.series, from.series...), append(b.at, from.at...), append(b.counts, from.counts...)
	b.sums, b.least, b.most = append(b.sums, from.sums...), append(b.least, from.least...), append(b.most, from.most...)
	b.first, b.last = append(b.first, from.first...), append(b.last, from.last...)
	b.firstAt, b.lastAt = append(b.firstAt, from.firstAt...), append(b.lastAt, from.lastAt...)
	b.states, b.stored = append(b.states, from.states...), append(b.stored, from.stored...)
}

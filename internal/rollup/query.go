package rollup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// Aggregate is what of a bucket is asked for.
type Aggregate string

// Count is the one aggregate that an empty bucket has.
const Count Aggregate = "count"

// Aggregates lists all of them.
func Aggregates() []Aggregate {
	return []Aggregate{Count, "sum", "min", "max", "avg", "first", "last", "p50", "p95", "p99"}
}

// Of returns the aggregate of a summary that has points.
func (a Aggregate) Of(s *Summary) float64 {
	switch a {
	case Count:
		return float64(s.Count)
	case "sum":
		return s.Sum()
	case "min":
		return s.Min
	case "max":
		return s.Max
	case "avg":
		return s.Avg()
	case "first":
		return s.First
	case "last":
		return s.Last
	case "p50":
		return s.Quantile(0.50)
	case "p95":
		return s.Quantile(0.95)
	case "p99":
		return s.Quantile(0.99)
	default:
		return math.NaN()
	}
}

// Bounds of a query.
const (
	// MaxBuckets is how many buckets one answer has at most.
	MaxBuckets = 5000
	// maxSeries is how many series one query takes together at most.
	maxSeries = 10_000
	// maxRows is how many stored buckets, and maxChunks how many requests' points, one
	// query reads at most.
	maxRows   = 500_000
	maxChunks = 20_000
)

// Selector selects series: those of the name that have all the tags.
type Selector struct {
	Name string
	Tags map[string]string
}

// Window is a span of time, from included and to not, in buckets.
type Window struct {
	From, To time.Time
	Step     Step
}

// Bucket is one bucket of an answer; Summary is nil when it is empty.
type Bucket struct {
	At      time.Time
	Summary *Summary
}

// Series reads the buckets of the selected series, taken together, oldest first:
// up to limit of them, and with gaps also those without points. next is where the
// buckets after them begin; zero when there are none. What was accepted and is not
// folded yet is in them.
func (q *Querier) Series(ctx context.Context, tenant string, of Selector, w Window, gaps bool, limit int) (buckets []Bucket, next time.Time, err error) {
	ids, err := q.ids(ctx, tenant, of)
	if err != nil {
		return nil, time.Time{}, err
	}
	from := w.Step.Start(w.From)
	for span := limit; from.Before(w.To) && len(buckets) < limit; {
		to := w.Step.add(from, span)
		if end := w.Step.ceil(w.To); to.After(end) {
			to = end
		}
		found := map[int64]*Summary{}
		if len(ids) > 0 {
			crowded, spare := false, NewSummary()
			err := q.read(ctx, tenant, ids, from, to, w.Step.source(from, to), func(_, at int64) *Summary {
				start := w.Step.Start(time.UnixMicro(at)).UnixMicro()
				if found[start] == nil {
					if len(found) > 2*limit { // it is not that sparse here
						crowded = true
						return spare
					}
					found[start] = NewSummary()
				}
				return found[start]
			})
			if (crowded || errors.Is(err, errTooMuch)) && span > 1 {
				span = max(span/4, 1)
				continue
			}
			if err != nil {
				return nil, time.Time{}, err
			}
		}
		starts := slices.Sorted(maps.Keys(found))
		if gaps {
			starts = starts[:0]
			for at := from; at.Before(to) && len(starts) <= limit; at = w.Step.Next(at) {
				starts = append(starts, at.UnixMicro())
			}
		}
		for _, start := range starts {
			at := time.UnixMicro(start).UTC()
			if len(buckets) == limit {
				return buckets, at, nil
			}
			buckets = append(buckets, Bucket{At: at, Summary: found[start]})
		}
		from = to
		span = min(span*4, maxSteps) // it is sparse here
	}
	if !from.Before(w.To) {
		return buckets, time.Time{}, nil
	}
	return buckets, from, nil
}

// maxSteps bounds the buckets that one read spans.
const maxSteps = 10_000_000

// SeriesValue is one series with a value.
type SeriesValue struct {
	Series Series
	Value  float64
	At     time.Time // of the newest point
}

// Top reads the series with the greatest aggregate over a span of time, greatest
// first. The span is widened to whole minutes.
func (q *Querier) Top(ctx context.Context, tenant string, of Selector, from, to time.Time, by Aggregate, limit int) ([]SeriesValue, error) {
	ids, err := q.ids(ctx, tenant, of)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	minute := Step{Width: time.Minute}
	from, to = minute.Start(from), minute.ceil(to)
	source := &Minute
	for _, r := range Resolutions() {
		if r.Start(from.UnixMicro()) == from.UnixMicro() && r.Start(to.UnixMicro()) == to.UnixMicro() {
			source = &r
		}
	}
	found := map[int64]*Summary{}
	err = q.read(ctx, tenant, ids, from, to, source, func(series, _ int64) *Summary {
		if found[series] == nil {
			found[series] = NewSummary()
		}
		return found[series]
	})
	if err != nil {
		return nil, err
	}
	return q.rank(ctx, tenant, found, by, limit)
}

// Latest reads the newest value of each selected series, up to limit of them, the
// newest first.
func (q *Querier) Latest(ctx context.Context, tenant string, of Selector, limit int) ([]SeriesValue, error) {
	ids, err := q.ids(ctx, tenant, of)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found := map[int64]*Summary{}
	into := func(series int64) *Summary {
		if found[series] == nil {
			found[series] = NewSummary()
		}
		return found[series]
	}
	wanted := idSet(ids)
	chunks := 0
	err = q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		return scanStored(rows, func(series, _ int64, stored Summary, state []byte) error {
			return into(series).MergeStored(stored, state)
		}, func(samples []Sample) {
			chunks++
			for _, s := range samples {
				if _, ok := wanted[s.Series]; ok {
					into(s.Series).Add(s.At, s.Value)
				}
			}
		})
	}, `
		SELECT series_id, at, count, min, max, first, last, first_at, last_at, state, NULL::bytea
		FROM unnest($2::bigint[]) AS wanted (id), LATERAL (
			SELECT * FROM metric_buckets_1d AS bucket
			WHERE bucket.tenant_id = $1 AND bucket.series_id = wanted.id ORDER BY at DESC LIMIT 1
		) AS newest
		UNION ALL
		(SELECT 0, received_at, 0, 0, 0, 0, 0, first_at, last_at, NULL, samples
		FROM metric_chunks WHERE tenant_id = $1 AND pending LIMIT $3)`, tenant, ids, maxChunks+1)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	if chunks > maxChunks {
		return nil, behind()
	}
	values, err := q.rank(ctx, tenant, found, "last", math.MaxInt)
	slices.SortStableFunc(values, func(a, b SeriesValue) int { return b.At.Compare(a.At) })
	return values[:min(len(values), limit)], err
}

// rank names series and sorts them.
func (q *Querier) rank(ctx context.Context, tenant string, found map[int64]*Summary, by Aggregate, limit int) ([]SeriesValue, error) {
	type ranked struct {
		id    int64
		value float64
	}
	var order []ranked
	for id, s := range found {
		order = append(order, ranked{id, by.Of(s)})
	}
	slices.SortFunc(order, func(a, b ranked) int {
		switch {
		case a.value != b.value:
			return -compare(a.value, b.value)
		default:
			return int(min(max(a.id-b.id, -1), 1))
		}
	})
	order = order[:min(len(order), limit)]
	ids := make([]int64, len(order))
	for i, r := range order {
		ids[i] = r.id
	}
	names := map[int64]Series{}
	err := q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var id int64
		var s Series
		_, err := pgx.ForEachRow(rows, []any{&id, &s.Name, &s.Tags}, func() error {
			names[id] = s
			s = Series{}
			return nil
		})
		return err
	}, "SELECT id, name, tags FROM metric_series WHERE tenant_id = $1 AND id = ANY($2)", tenant, ids)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	values := make([]SeriesValue, len(order))
	for i, r := range order {
		values[i] = SeriesValue{Series: names[r.id], Value: r.value, At: time.UnixMicro(found[r.id].LastAt).UTC()}
	}
	return values, nil
}

func compare(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

// Querier reads metrics. It is safe for concurrent use.
type Querier struct{ db *postgres.Tenancy }

// NewQuerier returns a querier over the database of db.
func NewQuerier(db *postgres.Tenancy) *Querier { return &Querier{db: db} }

func (q *Querier) ids(ctx context.Context, tenant string, of Selector) ([]int64, error) {
	tags := of.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	var ids []int64
	err := q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, "SELECT id FROM metric_series WHERE tenant_id = $1 AND name = $2 AND tags @> $3 ORDER BY id LIMIT $4", tenant, of.Name, tags, maxSeries+1)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	if len(ids) > maxSeries {
		return nil, tooMuch("tags", fmt.Sprintf("must select at most %d series", maxSeries))
	}
	return ids, nil
}

// errTooMuch is the error of a read beyond the bounds.
var errTooMuch = tooMuch("from", "must be closer to to, or the step longer: the answer would take too many points together")

func behind() error {
	return fault.New(fault.Unavailable, "Points come in faster than they are folded; try again in a while.").After(10 * time.Second)
}

func tooMuch(field, problem string) error {
	var fields fault.Fields
	fields.Add(field, problem)
	return fields.Err()
}

// read hands what there is of the series between from and to to the summary that
// into returns for a series and a time: stored buckets, and points that are not
// folded yet, in one statement and so as of one moment. With source nil all points
// are read as they came in.
func (q *Querier) read(ctx context.Context, tenant string, ids []int64, from, to time.Time, source *Resolution, into func(series, at int64) *Summary) error {
	stored := `SELECT 0::bigint, $3::timestamptz, 0::bigint, 0::float8, 0::float8, 0::float8, 0::float8, $3::timestamptz, $4::timestamptz, NULL::bytea, NULL::bytea
		WHERE false AND $2::bigint[] IS NOT NULL AND $6::integer > 0`
	// The points themselves: see the indexes of metric_chunks.
	const points = "SELECT 0, received_at, 0, 0, 0, 0, 0, first_at, last_at, NULL, samples FROM metric_chunks WHERE tenant_id = $1 AND last_at >= $3 AND first_at < $4 AND "
	chunks := "(" + points + "last_at < $4 + interval '24 hours' AND last_at - first_at <= interval '24 hours' LIMIT $5) UNION ALL (" +
		points + "last_at - first_at > interval '24 hours' LIMIT $5)"
	if source != nil {
		stored = `(SELECT series_id, at, count, min, max, first, last, first_at, last_at, state, NULL::bytea
			FROM ` + bucketsTable(*source) + ` WHERE tenant_id = $1 AND series_id = ANY($2) AND at >= $3 AND at < $4 LIMIT $6)`
		chunks = "(" + points + "pending LIMIT $5)"
	}
	wanted := idSet(ids)
	first, last := from.UnixMicro(), to.UnixMicro()
	rowsRead, chunksRead := 0, 0
	err := q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		return scanStored(rows, func(series, at int64, stored Summary, state []byte) error {
			rowsRead++
			return into(series, at).MergeStored(stored, state)
		}, func(samples []Sample) {
			chunksRead++
			for _, s := range samples {
				if _, ok := wanted[s.Series]; ok && s.At >= first && s.At < last {
					into(s.Series, s.At).Add(s.At, s.Value)
				}
			}
		})
	}, stored+" UNION ALL "+chunks,
		tenant, ids, from, to, maxChunks+1, maxRows+1)
	if err != nil {
		return postgres.Fault(err)
	}
	if source != nil && chunksRead > maxChunks {
		return behind()
	}
	if rowsRead > maxRows || chunksRead > maxChunks {
		return errTooMuch
	}
	return nil
}

func idSet(ids []int64) map[int64]struct{} {
	set := make(map[int64]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

// scanStored reads rows that are a stored bucket or, with samples, a chunk.
func scanStored(rows pgx.Rows, bucket func(series, at int64, stored Summary, state []byte) error, chunk func([]Sample)) error {
	var samples []Sample
	for rows.Next() {
		var (
			series              int64
			at, firstAt, lastAt time.Time
			stored              Summary
			state, encoded      pgtype.DriverBytes // valid until the next row
		)
		err := rows.Scan(&series, &at, &stored.Count, &stored.Min, &stored.Max, &stored.First, &stored.Last, &firstAt, &lastAt, &state, &encoded)
		if err != nil {
			return fmt.Errorf("rollup: read: %w", err)
		}
		if encoded == nil {
			stored.FirstAt, stored.LastAt = firstAt.UnixMicro(), lastAt.UnixMicro()
			if err := bucket(series, at.UnixMicro(), stored, state); err != nil {
				return err
			}
			continue
		}
		if samples, err = ReadChunk(samples[:0], encoded); err != nil {
			return err
		}
		chunk(samples)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("rollup: read: %w", err)
	}
	return nil
}

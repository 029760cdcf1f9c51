package rollup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"millrace/internal/postgres"
)

// Folded says what Fold did.
type Folded struct {
	Chunks  int `json:"chunks" doc:"Requests whose points were folded."`
	Points  int `json:"points" doc:"Points that were folded."`
	Buckets int `json:"buckets" doc:"Buckets that were written."`
	// More says that points are still pending.
	More bool `json:"more" doc:"Whether points are still waiting."`
	// Watermark is when everything was received that is in its buckets.
	Watermark time.Time `json:"watermark,omitzero" doc:"Everything received before this is in its buckets."`
}

// How much one transaction of Fold takes.
const (
	foldPoints = 1_000_000
	foldChunks = 2_000
)

// Fold adds a tenant's pending points to their buckets, in transactions of a
// bounded number of points each, until none are left or until. Each transaction
// takes chunks, writes their buckets and marks them folded, or does nothing of
// that: a point counts once, whatever crashes or runs twice. While another Fold of
// the tenant runs it does nothing.
func Fold(ctx context.Context, db *postgres.Tenancy, tenant string, until time.Time, now func() time.Time) (Folded, error) {
	var all Folded
	f := newFolder()
	for {
		var one Folded
		err := db.Tx(ctx, tenant, func(tx pgx.Tx) error {
			var err error
			one, err = f.fold(ctx, tx, tenant, now())
			return err
		})
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "23505" && !f.careful {
			// A bucket is there that should not be: somebody mended tables by hand.
			f.careful = true
			continue
		}
		if err != nil {
			return all, postgres.Fault(err)
		}
		all.Chunks += one.Chunks
		all.Points += one.Points
		all.Buckets += one.Buckets
		all.More, all.Watermark = one.More, one.Watermark
		if !one.More || !now().Before(until) {
			return all, nil
		}
	}
}

// folder keeps the memory of folding from one transaction to the next.
type folder struct {
	samples  []Sample
	sorted   []Sample
	number   map[int64]int32 // of a series, in the order in which they come
	numbers  []int32         // of each sample's series
	series   []seriesSamples
	from     []int // where the next sample of a series goes, by its number
	parts    []*part
	existing *Summary
	rows     []*bucketRows // one a resolution: what group made
	// careful says that any bucket may be there, also one newer than all points.
	careful bool
}

// seriesSamples is how many samples a series has.
type seriesSamples struct {
	id      int64
	number  int32
	samples int
}

// maxParts is how many processors one Fold uses at most.
const maxParts = 4

func newFolder() *folder {
	f := &folder{existing: NewSummary(), number: map[int64]int32{}}
	for range min(runtime.GOMAXPROCS(0), maxParts) {
		f.parts = append(f.parts, newPart())
	}
	return f
}

func (f *folder) fold(ctx context.Context, tx pgx.Tx, tenant string, now time.Time) (Folded, error) {
	// Plans that were made while a table was young would read all of it later.
	if _, err := tx.Exec(ctx, "SELECT set_config('enable_seqscan', 'off', true)"); err != nil {
		return Folded{}, fmt.Errorf("rollup: settings: %w", err)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO metric_tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant); err != nil {
		return Folded{}, fmt.Errorf("rollup: tenant: %w", err)
	}
	var folded Folded
	// One at a time. The wait for a tenant whose first series are being made is short.
	var newest time.Time
	err := tx.QueryRow(ctx, "SELECT coalesce(folded_at, 'epoch'), newest_at FROM metric_tenants WHERE tenant_id = $1 FOR NO KEY UPDATE SKIP LOCKED", tenant).
		Scan(&folded.Watermark, &newest)
	if errors.Is(err, pgx.ErrNoRows) {
		return Folded{More: false}, nil
	}
	if err != nil {
		return Folded{}, fmt.Errorf("rollup: tenant: %w", err)
	}
	ids, received, err := f.read(ctx, tx, tenant, &folded)
	if err != nil {
		return Folded{}, err
	}
	if len(ids) > 0 {
		known := newest
		if f.careful {
			known = time.UnixMicro(math.MaxInt64)
		}
		if folded.Buckets, err = f.write(ctx, tx, tenant, known); err != nil {
			return Folded{}, err
		}
		_, err = tx.Exec(ctx, `
			UPDATE metric_chunks SET pending = false
			FROM unnest($2::timestamptz[], $3::uuid[]) AS done (received_at, id)
			WHERE metric_chunks.tenant_id = $1 AND metric_chunks.received_at = done.received_at AND metric_chunks.id = done.id`, tenant, received, ids)
		if err != nil {
			return Folded{}, fmt.Errorf("rollup: mark chunks: %w", err)
		}
	}
	// What commits later was received later than a request may take, or was before it
	// in the order of its partition: see watermarkLag.
	mark := now.Add(-watermarkLag)
	if folded.More && received[len(received)-1].Before(mark) {
		mark = received[len(received)-1]
	}
	if mark.After(folded.Watermark) { // else a clock is behind
		folded.Watermark = mark
	}
	folded.Watermark = folded.Watermark.UTC()
	for _, s := range f.samples {
		if at := time.UnixMicro(s.At); at.After(newest) {
			newest = at
		}
	}
	_, err = tx.Exec(ctx, "UPDATE metric_tenants SET folded_at = $2, newest_at = $3 WHERE tenant_id = $1", tenant, folded.Watermark, newest)
	if err != nil {
		return Folded{}, fmt.Errorf("rollup: watermark: %w", err)
	}
	return folded, nil
}

// Watermark is when everything was received that is in a tenant's buckets; zero when
// nothing was folded yet.
func Watermark(ctx context.Context, db *postgres.Tenancy, tenant string) (time.Time, error) {
	var at time.Time
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&at}, func() error { return nil })
		return err
	}, "SELECT folded_at FROM metric_tenants WHERE tenant_id = $1 AND folded_at IS NOT NULL", tenant)
	if !at.IsZero() {
		at = at.UTC()
	}
	return at, postgres.Fault(err)
}

// watermarkLag is how long a request may take from its receipt to its commit.
const watermarkLag = 10 * time.Second

// read takes the oldest pending chunks.
func (f *folder) read(ctx context.Context, tx pgx.Tx, tenant string, folded *Folded) (ids []uuid.UUID, received []time.Time, err error) {
	f.samples = f.samples[:0]
	rows, err := tx.Query(ctx, `
		SELECT id, received_at, samples FROM metric_chunks
		WHERE tenant_id = $1 AND pending ORDER BY received_at, id LIMIT $2`, tenant, foldChunks)
	if err != nil {
		return nil, nil, fmt.Errorf("rollup: chunks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if len(f.samples) >= foldPoints {
			folded.More = true
			break
		}
		var (
			id    uuid.UUID
			at    time.Time
			chunk pgtype.DriverBytes // valid until the next row
		)
		if err := rows.Scan(&id, &at, &chunk); err != nil {
			return nil, nil, fmt.Errorf("rollup: chunk: %w", err)
		}
		if cap(f.samples)-len(f.samples) < MaxPoints {
			f.samples = slices.Grow(f.samples, max(MaxPoints, min(len(f.samples), foldPoints+MaxPoints-len(f.samples))))
		}
		if f.samples, err = ReadChunk(f.samples, chunk); err != nil {
			return nil, nil, err
		}
		ids, received = append(ids, id), append(received, at)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("rollup: chunks: %w", err)
	}
	folded.More = folded.More || len(ids) == foldChunks
	folded.Chunks, folded.Points = len(ids), len(f.samples)
	return ids, received, nil
}

// write adds the samples to the buckets. newest is when the newest sample was that any
// bucket holds.
func (f *folder) write(ctx context.Context, tx pgx.Tx, tenant string, newest time.Time) (buckets int, err error) {
	f.group()
	for _, rows := range f.rows {
		if err := rows.ensurePartitions(ctx, tx); err != nil {
			return 0, err
		}
		if err := rows.mergeExisting(ctx, tx, tenant, newest, f.existing); err != nil {
			return 0, err
		}
		if err := rows.write(ctx, tx, tenant); err != nil {
			return 0, err
		}
		buckets += len(rows.series)
	}
	return buckets, nil
}

// group sorts the samples and sums them up, each resolution from the one before: on
// several processors when there are many.
func (f *folder) group() {
	f.sort()
	parts := f.parts[:1]
	if len(f.samples) >= len(f.parts)*samplesEach {
		parts = f.parts
	}
	var group sync.WaitGroup
	rest := f.samples
	for i, p := range parts {
		n := len(rest) / (len(parts) - i)
		for n > 0 && n < len(rest) && rest[n].Series == rest[n-1].Series {
			n++
		}
		samples := rest[:n]
		rest = rest[n:]
		group.Go(func() { p.group(samples) })
	}
	group.Wait()
	f.rows = parts[0].rows
	for _, p := range parts[1:] {
		for level, rows := range p.rows {
			f.rows[level].append(rows)
		}
	}
}

// samplesEach is how many samples are worth another processor.
const samplesEach = 20_000

// part sums samples up.
type part struct {
	summaries []*Summary // one a resolution
	rows      []*bucketRows
}

func newPart() *part {
	p := &part{}
	for _, r := range Resolutions() {
		p.summaries = append(p.summaries, NewSummary())
		p.rows = append(p.rows, &bucketRows{resolution: r})
	}
	return p
}

// group sums up samples that are in the order of series and time.
func (p *part) group(samples []Sample) {
	for i := range p.rows {
		p.rows[i].reset()
		p.summaries[i].Reset()
	}
	var ends [resolutions]int64 // of the buckets that the sample before was in
	for i, s := range samples {
		if i > 0 {
			// A bucket is complete when a sample is in another one; then it goes into the
			// wider one.
			before := samples[i-1]
			for level := range p.rows {
				if s.Series == before.Series && s.At < ends[level] {
					break
				}
				p.complete(level, before, ends[level])
			}
		}
		if p.summaries[0].Count == 0 {
			for level, rows := range p.rows {
				ends[level] = rows.resolution.Start(s.At) + rows.resolution.Width.Microseconds()
			}
		}
		p.summaries[0].Add(s.At, s.Value)
	}
	if len(samples) > 0 {
		for level := range p.rows {
			p.complete(level, samples[len(samples)-1], ends[level])
		}
	}
}

// complete ends the bucket that a sample was in.
func (p *part) complete(level int, last Sample, end int64) {
	rows := p.rows[level]
	rows.add(last.Series, end-rows.resolution.Width.Microseconds(), p.summaries[level])
	if level+1 < len(p.rows) {
		p.summaries[level+1].Merge(p.summaries[level])
	}
	p.summaries[level].Reset()
}

// sort sorts the samples by series and time. Most have come in the order of time, so
// that it is done by counting how many each series has.
func (f *folder) sort() {
	clear(f.number)
	f.series, f.numbers = f.series[:0], f.numbers[:0]
	for _, s := range f.samples {
		n, ok := f.number[s.Series]
		if !ok {
			n = int32(len(f.series)) //nolint:gosec // fewer than the samples of one transaction
			f.number[s.Series] = n
			f.series = append(f.series, seriesSamples{id: s.Series, number: n})
		}
		f.series[n].samples++
		f.numbers = append(f.numbers, n)
	}
	slices.SortFunc(f.series, func(a, b seriesSamples) int { return cmp.Compare(a.id, b.id) })
	f.from = append(f.from[:0], make([]int, len(f.series))...)
	from := 0
	for _, series := range f.series {
		f.from[series.number] = from
		from += series.samples
	}
	f.sorted = slices.Grow(f.sorted[:0], len(f.samples))[:len(f.samples)]
	for i, s := range f.samples {
		n := f.numbers[i]
		f.sorted[f.from[n]] = s
		f.from[n]++
	}
	f.samples, f.sorted = f.sorted, f.samples
	byTime := func(a, b Sample) int { return cmp.Compare(a.At, b.At) }
	for from := 0; from < len(f.samples); {
		to := from + 1
		inOrder := true
		for to < len(f.samples) && f.samples[to].Series == f.samples[from].Series {
			inOrder = inOrder && f.samples[to].At >= f.samples[to-1].At
			to++
		}
		if !inOrder {
			slices.SortFunc(f.samples[from:to], byTime)
		}
		from = to
	}
}

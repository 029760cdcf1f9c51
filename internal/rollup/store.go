package rollup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// DefaultMaxSeries is how many series a tenant may have, unless its settings say
// otherwise.
const DefaultMaxSeries = 10_000

// Receipt says what became of accepted points.
type Receipt struct {
	// Points is how many were accepted, now or by the request that is repeated.
	Points int
	// Replayed says that the key has been used before for the same request.
	Replayed bool
}

// Recorder writes points down. It is safe for concurrent use.
type Recorder struct {
	db *postgres.Tenancy
	// known leads from a tenant's series to its id, which never changes.
	known *lru.Cache[seriesKey, int64]
	// chunks recycles the memory of chunks.
	chunks sync.Pool
}

// seriesKey is a tenant's series, by the hash of its key.
type seriesKey struct {
	tenant string
	hash   [sha256.Size]byte
}

// knownSeries is how many ids of series a process remembers.
const knownSeries = 200_000

// NewRecorder returns a recorder over the database of db, whose role is intake's.
func NewRecorder(db *postgres.Tenancy) *Recorder {
	known, err := lru.New[seriesKey, int64](knownSeries)
	if err != nil {
		panic(err) // of a size that is not positive
	}
	return &Recorder{db: db, known: known, chunks: sync.Pool{New: func() any { return new([]byte) }}}
}

// Record makes points durable in one statement. A key that was used before adds
// nothing: the fault is IDEMPOTENCY_MISMATCH when hash is another than then. The
// fault is INVALID_INPUT when the tenant would have too many series.
func (r *Recorder) Record(ctx context.Context, tenant, key string, hash [sha256.Size]byte, points []Measured, now time.Time) (Receipt, error) {
	samples, err := r.samples(ctx, tenant, points, now)
	if err != nil {
		return Receipt{}, err
	}
	first, last := span(samples)
	id, err := uuid.NewV7()
	if err != nil {
		return Receipt{}, fmt.Errorf("rollup: new id: %w", err)
	}
	buffer, _ := r.chunks.Get().(*[]byte)
	defer r.chunks.Put(buffer)
	*buffer = AppendChunk((*buffer)[:0], samples)
	insert := func() (inserted int, err error) {
		err = r.db.Query(ctx, tenant, func(rows pgx.Rows) error {
			var err error
			inserted, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
			return err
		}, `
			WITH receipt AS (
				INSERT INTO metric_receipts (tenant_id, idempotency_key, request_hash, points, created_at)
				SELECT $1, $2, $3, $4, $5 WHERE $2 <> ''
				ON CONFLICT DO NOTHING RETURNING 1
			), chunk AS (
				INSERT INTO metric_chunks (tenant_id, id, received_at, first_at, last_at, points, samples)
				SELECT $1, $6, $5, $7, $8, $4, $9 WHERE $2 = '' OR EXISTS (SELECT FROM receipt)
				RETURNING 1
			)
			SELECT count(*) FROM chunk`,
			tenant, key, hash[:], len(points), now, id, first, last, *buffer)
		return inserted, err
	}
	inserted, err := insert()
	if missingPartition(err) {
		if err := ensurePartition(ctx, r.db, tenant, chunksTable, now); err != nil {
			return Receipt{}, err
		}
		inserted, err = insert()
	}
	if err != nil {
		return Receipt{}, postgres.Fault(err)
	}
	if inserted == 0 {
		return r.replay(ctx, tenant, key, hash)
	}
	return Receipt{Points: len(points)}, nil
}

func (r *Recorder) replay(ctx context.Context, tenant, key string, hash [sha256.Size]byte) (Receipt, error) {
	receipt := Receipt{Replayed: true}
	var before []byte
	err := r.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		_, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
			return struct{}{}, row.Scan(&before, &receipt.Points)
		})
		return err
	}, "SELECT request_hash, points FROM metric_receipts WHERE tenant_id = $1 AND idempotency_key = $2", tenant, key)
	if err != nil {
		return Receipt{}, postgres.Fault(err)
	}
	if !slices.Equal(before, hash[:]) {
		return Receipt{}, fault.New(fault.IdempotencyMismatch, "This Idempotency-Key was used for another request; use a new key for a new request.")
	}
	return receipt, nil
}

// samples finds the ids of the points' series, and makes those that are new.
func (r *Recorder) samples(ctx context.Context, tenant string, points []Measured, now time.Time) ([]Sample, error) {
	samples := make([]Sample, len(points))
	missing := map[[sha256.Size]byte]Series{}
	for i, p := range points {
		hash := p.Series.keyHash()
		id, ok := r.known.Get(seriesKey{tenant, hash})
		if !ok {
			missing[hash] = p.Series
		}
		samples[i] = Sample{Series: id, At: p.At, Value: p.Value}
	}
	if len(missing) == 0 {
		return samples, nil
	}
	ids, err := r.resolve(ctx, tenant, missing, now)
	if err != nil {
		return nil, err
	}
	for hash, id := range ids {
		r.known.Add(seriesKey{tenant, hash}, id)
	}
	for i := range samples {
		if samples[i].Series == 0 {
			samples[i].Series = ids[points[i].Series.keyHash()]
		}
	}
	return samples, nil
}

// resolve finds or makes series. They are made in a transaction of their own: a
// series without points does no harm.
func (r *Recorder) resolve(ctx context.Context, tenant string, wanted map[[sha256.Size]byte]Series, now time.Time) (ids map[[sha256.Size]byte]int64, err error) {
	err = r.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		ids, err = scanSeries(rows)
		return err
	}, findSeries, tenant, hashes(wanted))
	if err != nil || len(ids) == len(wanted) {
		return ids, postgres.Fault(err)
	}
	err = r.db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		ids, err = makeSeries(ctx, tx, tenant, wanted, now)
		return err
	})
	return ids, postgres.Fault(err)
}

func hashes(wanted map[[sha256.Size]byte]Series) [][]byte {
	list := make([][]byte, 0, len(wanted))
	for hash := range wanted {
		list = append(list, hash[:])
	}
	return list
}

const findSeries = "SELECT id, key_hash FROM metric_series WHERE tenant_id = $1 AND key_hash = ANY($2)"

func scanSeries(rows pgx.Rows) (map[[sha256.Size]byte]int64, error) {
	ids := map[[sha256.Size]byte]int64{}
	var id int64
	var hash []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &hash}, func() error {
		ids[[sha256.Size]byte(hash)] = id
		return nil
	})
	return ids, err
}

// makeSeries makes those of the series, by the hash of their key, that are not there,
// and returns the ids of all. The fault is INVALID_INPUT when they would be too many.
func makeSeries(ctx context.Context, tx pgx.Tx, tenant string, wanted map[[sha256.Size]byte]Series, now time.Time) (map[[sha256.Size]byte]int64, error) {
	// The tenant's row is locked: its series are counted one transaction at a time.
	if _, err := tx.Exec(ctx, "INSERT INTO metric_tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant); err != nil {
		return nil, fmt.Errorf("rollup: tenant: %w", err)
	}
	var have, most int
	if err := tx.QueryRow(ctx, "SELECT series, coalesce(max_series, $2) FROM metric_tenants WHERE tenant_id = $1 FOR UPDATE", tenant, DefaultMaxSeries).
		Scan(&have, &most); err != nil {
		return nil, fmt.Errorf("rollup: tenant: %w", err)
	}
	var (
		names []string
		tags  []map[string]string
		keys  [][]byte
	)
	for hash, s := range wanted {
		if s.Tags == nil {
			s.Tags = map[string]string{}
		}
		names, tags, keys = append(names, s.Name), append(tags, s.Tags), append(keys, hash[:])
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO metric_series (tenant_id, name, tags, key_hash, created_at)
		SELECT $1, row.name, row.tags, row.key_hash, $5
		FROM unnest($2::text[], $3::jsonb[], $4::bytea[]) AS row (name, tags, key_hash)
		ON CONFLICT (tenant_id, key_hash) DO NOTHING`, tenant, names, tags, keys, now)
	if err != nil {
		return nil, fmt.Errorf("rollup: series: %w", err)
	}
	made := int(tag.RowsAffected())
	if made > 0 && have+made > most {
		return nil, fault.New(fault.InvalidInput,
			"These points would make more series than you may have; a tag whose values never repeat makes a series each time, so leave it out, or ask the operator for more.").
			With("max_series", most).With("series", have).With("new_series", made)
	}
	if made > 0 {
		if _, err := tx.Exec(ctx, "UPDATE metric_tenants SET series = series + $2 WHERE tenant_id = $1", tenant, made); err != nil {
			return nil, fmt.Errorf("rollup: count series: %w", err)
		}
	}
	rows, err := tx.Query(ctx, findSeries, tenant, keys)
	if err != nil {
		return nil, fmt.Errorf("rollup: series: %w", err)
	}
	return scanSeries(rows)
}

// Write writes points down in the tenant's transaction tx, for those inside who have
// something to measure: it is durable when tx is. Points that would make more series
// than the tenant may have are left out, and written is false: they shall not undo
// what tx is for.
func Write(ctx context.Context, tx pgx.Tx, tenant string, points []Measured, now time.Time) (written bool, err error) {
	wanted := map[[sha256.Size]byte]Series{}
	for _, p := range points {
		wanted[p.Series.keyHash()] = p.Series
	}
	rows, err := tx.Query(ctx, findSeries, tenant, hashes(wanted))
	if err != nil {
		return false, fmt.Errorf("rollup: series: %w", err)
	}
	ids, err := scanSeries(rows)
	if err != nil {
		return false, fmt.Errorf("rollup: series: %w", err)
	}
	if len(ids) < len(wanted) {
		err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			ids, err = makeSeries(ctx, tx, tenant, wanted, now)
			return err
		})
		if f, ok := errors.AsType[*fault.Fault](err); ok && f.Code == fault.InvalidInput {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	samples := make([]Sample, len(points))
	for i, p := range points {
		samples[i] = Sample{Series: ids[p.Series.keyHash()], At: p.At, Value: p.Value}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("rollup: new id: %w", err)
	}
	// A missing partition would fail the whole transaction.
	if _, err := tx.Exec(ctx, "SELECT millrace_metric_partition($1, $2)", chunksTable, now); err != nil {
		return false, fmt.Errorf("rollup: partition: %w", err)
	}
	first, last := span(samples)
	_, err = tx.Exec(ctx, `
		INSERT INTO metric_chunks (tenant_id, id, received_at, first_at, last_at, points, samples) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		tenant, id, now, first, last, len(samples), AppendChunk(nil, samples))
	if err != nil {
		return false, fmt.Errorf("rollup: write points: %w", err)
	}
	return true, nil
}

// span is between which times samples are, both included.
func span(samples []Sample) (first, last time.Time) {
	least, most := samples[0].At, samples[0].At
	for _, s := range samples {
		least, most = min(least, s.At), max(most, s.At)
	}
	return time.UnixMicro(least), time.UnixMicro(most)
}

const chunksTable = "metric_chunks"

func bucketsTable(r Resolution) string { return "metric_buckets_" + r.Name }

// missingPartition reports whether a row fits no partition.
func missingPartition(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "23514" && pgErr.ConstraintName == ""
}

func ensurePartition(ctx context.Context, db *postgres.Tenancy, tenant, table string, at time.Time) error {
	return postgres.Fault(db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT millrace_metric_partition($1, $2)", table, at)
		return err
	}))
}

package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"millrace/internal/apikey"
	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
)

// MetricsOptions configures Metrics.
type MetricsOptions struct {
	// DatabaseURL is a migrated database that the benchmark may fill.
	DatabaseURL string
	// Connections is how many clients send points at once. Default 8.
	Connections int
	// Round is how long a round of intake takes. Default 5 s.
	Round time.Duration
	// Rounds is how many rounds each contestant gets. Default 3.
	Rounds int
	// Points is how many points are rolled up. Default 10 million.
	Points int
	// Series is how many series they are of. Default 1,000.
	Series int
	// Progress is told what is being done. Default nobody.
	Progress func(string)
}

// metricsBatch is how many points a request has.
const metricsBatch = 1000

// MetricsFigures are the rounds of Metrics.
type MetricsFigures struct {
	// Intake is points a second over HTTP in batches of 1,000.
	Intake []float64
	// Fold, SQL and AllSQL are what rolling up took: folding, one statement for the
	// minutes, and one for minutes, hours and days as folding makes them.
	Fold, SQL, AllSQL []time.Duration
	// Buckets is how many buckets folding makes, SQLBuckets how many the statement for
	// the minutes.
	Buckets, SQLBuckets int64
	// Heap is the most that the folding process had on its heap, in bytes, with all
	// that this benchmark holds besides.
	Heap []uint64
}

// Metrics measures how fast points are taken in over HTTP, and how fast they are
// rolled up against a GROUP BY with percentile_cont over a plain table of the same
// points in the same database. Client, server and database share the machine.
func Metrics(ctx context.Context, opts MetricsOptions) (figures *MetricsFigures, err error) {
	opts.Connections = cmp.Or(opts.Connections, 8)
	opts.Round = cmp.Or(opts.Round, 5*time.Second)
	opts.Rounds = cmp.Or(opts.Rounds, 3)
	opts.Points = cmp.Or(opts.Points, 10_000_000)
	opts.Series = cmp.Or(opts.Series, 1000)
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	figures = &MetricsFigures{}
	opts.Progress("sending points over HTTP")
	if err := measureIntake(ctx, opts, figures); err != nil {
		return nil, fmt.Errorf("bench: intake of points: %w", err)
	}
	if err := measureRollup(ctx, opts, figures); err != nil {
		return nil, fmt.Errorf("bench: roll-up: %w", err)
	}
	return figures, nil
}

func measureIntake(ctx context.Context, opts MetricsOptions, figures *MetricsFigures) (err error) {
	keys, err := tenants(ctx, IntakeOptions{DatabaseURL: opts.DatabaseURL, Tenants: 1}, apikey.MetricsWrite)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() {
		stop()
		err = cmp.Or(err, group.Wait())
	}()
	url, err := serveMillrace(ctx, group, IntakeOptions{DatabaseURL: opts.DatabaseURL}, func(*intake.Options) {})
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: opts.Connections, MaxConnsPerHost: opts.Connections}
	defer transport.CloseIdleConnections()
	bodies := pointBodies(opts, time.Now())
	for round := range opts.Rounds + 1 { // the first warms up
		var sent atomic.Int64
		started := time.Now()
		end := started.Add(opts.Round)
		clients, clientCtx := errgroup.WithContext(ctx)
		for range opts.Connections {
			clients.Go(func() error {
				for time.Now().Before(end) {
					n := sent.Add(1)
					if err := post(clientCtx, transport, url+"/v1/metrics", keys[0], fmt.Sprintf("%d-%d", round, n), bodies[int(n)%len(bodies)]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := clients.Wait(); err != nil {
			return err
		}
		if round > 0 {
			figures.Intake = append(figures.Intake, float64(sent.Load()*metricsBatch)/time.Since(started).Seconds())
		}
	}
	return nil
}

// pointBodies are requests as an app sends them, one after the other in time.
func pointBodies(opts MetricsOptions, now time.Time) [][]byte {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in every run
	bodies := make([][]byte, 64)
	for i := range bodies {
		body := bytes.NewBufferString(`{"points":[`)
		for n := range metricsBatch {
			if n > 0 {
				body.WriteByte(',')
			}
			at := now.Add(time.Duration(i*metricsBatch+n-64*metricsBatch) * time.Millisecond)
			_, _ = fmt.Fprintf(body, `{"name":"checkout.latency","value":%s,"tags":{"host":"web-%d","region":"eu-west-1"},"at":"%s"}`,
				strconv.FormatFloat(10+random.ExpFloat64()*40, 'f', 3, 64), (i*metricsBatch+n)%opts.Series, at.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		body.WriteString("]}")
		bodies[i] = body.Bytes()
	}
	return bodies
}

// rolled is the tenant whose points are rolled up.
const rolled = "rolled"

func measureRollup(ctx context.Context, opts MetricsOptions, figures *MetricsFigures) error {
	pool, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, MaxConns: 4})
	if err != nil {
		return err
	}
	defer pool.Close()
	opts.Progress(fmt.Sprintf("writing %d points down twice", opts.Points))
	if err := writePoints(ctx, pool, opts); err != nil {
		return err
	}
	if err := plainTables(ctx, pool); err != nil {
		return err
	}
	for round := range opts.Rounds {
		opts.Progress(fmt.Sprintf("round %d of %d: folding", round+1, opts.Rounds))
		took, err := fold(ctx, pool, opts, figures)
		if err != nil {
			return err
		}
		figures.Fold = append(figures.Fold, took)
		opts.Progress(fmt.Sprintf("round %d of %d: GROUP BY, minutes", round+1, opts.Rounds))
		if took, figures.SQLBuckets, err = plainRollup(ctx, pool, "date_bin('1 minute', at, 'epoch'), 60"); err != nil {
			return err
		}
		figures.SQL = append(figures.SQL, took)
		opts.Progress(fmt.Sprintf("round %d of %d: GROUP BY, minutes, hours and days", round+1, opts.Rounds))
		if took, _, err = plainRollup(ctx, pool,
			"date_bin('1 minute', at, 'epoch'), 60", "date_bin('1 hour', at, 'epoch'), 3600", "date_bin('1 day', at, 'epoch'), 86400"); err != nil {
			return err
		}
		figures.AllSQL = append(figures.AllSQL, took)
	}
	return nil
}

// writePoints writes the same points for folding and into a plain table: one of each
// series a second, in the order of time.
func writePoints(ctx context.Context, pool *pgxpool.Pool, opts MetricsOptions) error {
	if _, err := pool.Exec(ctx, "CREATE TABLE plain_points (series_id bigint NOT NULL, at timestamptz NOT NULL, value double precision NOT NULL)"); err != nil {
		return fmt.Errorf("plain table: %w", err)
	}
	recorder := rollup.NewRecorder(postgres.NewTenancy(pool, postgres.Intake))
	reader := rollup.NewReader()
	now := time.Now().Truncate(time.Second)
	hosts := make([]rollup.Series, opts.Series)
	for i := range hosts {
		measured, err := reader.Read(fmt.Appendf(nil, `{"points":[{"name":"checkout.latency","value":1,"tags":{"host":"web-%d"}}]}`, i), now)
		if err != nil {
			return err
		}
		hosts[i] = measured[0].Series
	}
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same in every run
	start := now.Add(-time.Duration(opts.Points/opts.Series+1) * time.Second).UnixMicro()
	batch := make([]rollup.Measured, 0, metricsBatch)
	source := func(n int) rollup.Measured {
		return rollup.Measured{
			Series: hosts[n%opts.Series], At: start + int64(n/opts.Series)*1_000_000 + random.Int64N(1_000_000), Value: 10 + random.ExpFloat64()*40,
		}
	}
	for n := 0; n < opts.Points; n += len(batch) {
		batch = batch[:0]
		for i := n; i < min(n+metricsBatch, opts.Points); i++ {
			batch = append(batch, source(i))
		}
		received := now.Add(time.Duration(n-opts.Points) * time.Microsecond) // in their order
		if _, err := recorder.Record(ctx, rolled, "", [sha256.Size]byte{}, batch, received); err != nil {
			return err
		}
		i := 0
		_, err := pool.CopyFrom(ctx, pgx.Identifier{"plain_points"}, []string{"series_id", "at", "value"}, pgx.CopyFromFunc(func() ([]any, error) {
			if i == len(batch) {
				return nil, nil
			}
			p := batch[i]
			i++
			return []any{int64((n + i - 1) % opts.Series), time.UnixMicro(p.At), p.Value}, nil
		}))
		if err != nil {
			return fmt.Errorf("plain points: %w", err)
		}
	}
	return nil
}

func plainTables(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `
		CREATE TABLE plain_buckets (
			series_id bigint NOT NULL, at timestamptz NOT NULL, width integer NOT NULL,
			count bigint NOT NULL, sum double precision NOT NULL, min double precision NOT NULL, max double precision NOT NULL,
			p50 double precision NOT NULL, p95 double precision NOT NULL, p99 double precision NOT NULL,
			PRIMARY KEY (series_id, at, width)
		)`)
	if err != nil {
		return fmt.Errorf("plain tables: %w", err)
	}
	_, err = pool.Exec(ctx, "VACUUM ANALYZE plain_points")
	if err != nil {
		return fmt.Errorf("plain tables: %w", err)
	}
	return nil
}

// plainRollup rolls the plain table up in one statement, by each of the groupings:
// when a bucket begins, and its width.
func plainRollup(ctx context.Context, pool *pgxpool.Pool, groupings ...string) (took time.Duration, buckets int64, err error) {
	if _, err := pool.Exec(ctx, "TRUNCATE plain_buckets"); err != nil {
		return 0, 0, fmt.Errorf("plain roll-up: %w", err)
	}
	if _, err := pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, 0, fmt.Errorf("plain roll-up: %w", err)
	}
	selects := make([]string, len(groupings))
	for i, grouping := range groupings {
		selects[i] = "SELECT series_id, " + grouping + `, count(*), sum(value), min(value), max(value),
			percentile_cont(0.5) WITHIN GROUP (ORDER BY value), percentile_cont(0.95) WITHIN GROUP (ORDER BY value),
			percentile_cont(0.99) WITHIN GROUP (ORDER BY value)
			FROM plain_points GROUP BY 1, 2`
	}
	sql := "INSERT INTO plain_buckets " + strings.Join(selects, " UNION ALL ")
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// The statement gets more memory than folding takes.
		if _, err := tx.Exec(ctx, "SET LOCAL work_mem = '256MB'"); err != nil {
			return err
		}
		started := time.Now()
		tag, err := tx.Exec(ctx, sql)
		if err != nil {
			return err
		}
		took, buckets = time.Since(started), tag.RowsAffected()
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("plain roll-up: %w", err)
	}
	return took, buckets, nil
}

// fold folds all points as if they had just come.
func fold(ctx context.Context, pool *pgxpool.Pool, opts MetricsOptions, figures *MetricsFigures) (time.Duration, error) {
	for _, sql := range []string{
		"DELETE FROM metric_chunks WHERE tenant_id <> '" + rolled + "'",
		"UPDATE metric_chunks SET pending = true WHERE NOT pending",
		"TRUNCATE metric_buckets_1m, metric_buckets_1h, metric_buckets_1d", "UPDATE metric_tenants SET newest_at = DEFAULT",
		"VACUUM ANALYZE metric_chunks", "CHECKPOINT",
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("make the points pending: %w", err)
		}
	}
	peak, stop := watchHeap()
	started := time.Now()
	folded, err := rollup.Fold(ctx, postgres.NewTenancy(pool, postgres.Worker), rolled, started.Add(time.Hour), time.Now)
	took := time.Since(started)
	stop()
	if err != nil {
		return 0, err
	}
	if folded.Points != opts.Points || folded.More {
		return 0, fmt.Errorf("folded %d points of %d", folded.Points, opts.Points)
	}
	figures.Heap = append(figures.Heap, peak())
	var count int64
	err = pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM metric_buckets_1m) + (SELECT count(*) FROM metric_buckets_1h) + (SELECT count(*) FROM metric_buckets_1d),
			(SELECT sum(count) FROM metric_buckets_1d)::bigint`).Scan(&figures.Buckets, &count)
	if err == nil && count != int64(opts.Points) {
		err = fmt.Errorf("the buckets count %d points of %d", count, opts.Points)
	}
	return took, err
}

// watchHeap looks every 5 ms at how much the heap holds.
func watchHeap() (peak func() uint64, stop func()) {
	runtime.GC()
	var most atomic.Uint64
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		sample := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			runtimemetrics.Read(sample)
			most.Store(max(most.Load(), sample[0].Value.Uint64()))
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	return most.Load, func() { close(done); group.Wait() }
}

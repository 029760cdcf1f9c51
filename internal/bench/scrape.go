package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/internal/postgres"
	"millrace/jobs"
	"millrace/workers"
)

// ScrapeOptions configures Scrape.
type ScrapeOptions struct {
	// DatabaseURL is a migrated database that the benchmark may fill, as a superuser.
	DatabaseURL string
	// Jobs is how many jobs wait, in rising order. Default 1,000, 1 million and 5 million.
	Jobs []int
	// Finished is how many of the last size are worked off in the end, without a
	// vacuum. Default 100,000.
	Finished int
	// Rounds is how often each is measured. Default 9.
	Rounds int
	// Progress is told what is being done. Default nobody.
	Progress func(string)
}

// ScrapeFigures is what the leader's look at the database and a plain count took, a
// figure a round.
type ScrapeFigures struct {
	Name        string
	Look, Plain []time.Duration
	// First is what the first look took, before the rounds.
	First time.Duration
}

// Scrape measures the leader's look, which is what all scrapes together cost the
// database, against a GROUP BY over all jobs: with more and more jobs waiting, and
// just after many of them were worked off. Times are the client's, on the same machine.
func Scrape(ctx context.Context, opts ScrapeOptions) ([]ScrapeFigures, error) {
	if len(opts.Jobs) == 0 {
		opts.Jobs = []int{1000, 1_000_000, 5_000_000}
	}
	opts.Finished = cmp.Or(opts.Finished, 100_000)
	opts.Rounds = cmp.Or(opts.Rounds, 9)
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	login, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer login.Close()
	worker, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, Role: postgres.Worker, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer worker.Close()

	// Vacuum comes when this benchmark says so.
	if _, err := login.Exec(ctx, "ALTER TABLE river_job SET (autovacuum_enabled = off)"); err != nil {
		return nil, fmt.Errorf("bench: scrape: %w", err)
	}
	var (
		figures []ScrapeFigures
		waiting int
	)
	for _, n := range opts.Jobs {
		opts.Progress(fmt.Sprintf("filling up to %d waiting jobs", n))
		if err := fillJobs(ctx, login, waiting, n); err != nil {
			return nil, fmt.Errorf("bench: scrape: fill: %w", err)
		}
		waiting = n
		figure, err := measureLooks(ctx, login, worker, fmt.Sprintf("%d waiting", n), opts)
		if err != nil {
			return nil, fmt.Errorf("bench: scrape: %w", err)
		}
		figures = append(figures, figure)
	}
	opts.Progress(fmt.Sprintf("working %d jobs off", opts.Finished))
	if err := finishJobs(ctx, login, opts.Finished); err != nil {
		return nil, fmt.Errorf("bench: scrape: work off: %w", err)
	}
	figure, err := measureLooks(ctx, login, worker, fmt.Sprintf("%d waiting, %d just worked off", waiting-opts.Finished, opts.Finished), opts)
	if err != nil {
		return nil, fmt.Errorf("bench: scrape: %w", err)
	}
	return append(figures, figure), nil
}

// fillJobs inserts the jobs from one number up to another, over all queues that
// clients submit to, and leaves the table as autovacuum would. All could run, and
// every other one is ordered by a deadline.
func fillJobs(ctx context.Context, login *pgxpool.Pool, from, to int) error {
	var queues, kinds []string
	for _, kind := range jobs.Catalog() {
		if kind.Public {
			queues, kinds = append(queues, kind.Queue), append(kinds, kind.Name)
		}
	}
	err := pgx.BeginFunc(ctx, login, func(tx pgx.Tx) error {
		// Nobody audits these, and nobody is to be told of them.
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO river_job (state, queue, kind, priority, args, max_attempts, metadata, created_at, scheduled_at)
			SELECT 'available', ($3::text[])[1 + i % cardinality($3::text[])], ($4::text[])[1 + i % cardinality($3::text[])], 1 + i / 7 % 4,
				'{"payment_id": "0196f5f0-0000-7000-8000-000000000000"}', 25, '{"tenant_id": "bench"}', now() - interval '1 hour' + i * interval '1 microsecond',
				now() - interval '1 hour' + i * interval '1 microsecond' + CASE WHEN i / 5 % 2 = 0 THEN interval '-60 days' ELSE interval '0' END
			FROM generate_series($1::bigint, $2::bigint - 1) AS i`, from, to, queues, kinds)
		return err
	})
	if err != nil {
		return err
	}
	return swept(ctx, login, "VACUUM (ANALYZE) river_job", "CHECKPOINT")
}

// finishJobs takes the jobs that are next in each queue up and ends them, as workers
// would, and leaves what they were behind.
func finishJobs(ctx context.Context, login *pgxpool.Pool, n int) error {
	return swept(ctx, login,
		"SET session_replication_role = replica",
		fmt.Sprintf(`CREATE TEMP TABLE worked AS SELECT id FROM river_job WHERE state = 'available' ORDER BY priority, scheduled_at, id LIMIT %d`, n),
		"UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() FROM worked WHERE river_job.id = worked.id",
		"UPDATE river_job SET state = 'completed', finalized_at = now() FROM worked WHERE river_job.id = worked.id",
		"RESET session_replication_role")
}

func swept(ctx context.Context, login *pgxpool.Pool, statements ...string) error {
	for _, sql := range statements {
		if _, err := login.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func measureLooks(ctx context.Context, login, worker *pgxpool.Pool, name string, opts ScrapeOptions) (ScrapeFigures, error) {
	figures := ScrapeFigures{Name: name}
	conn, err := worker.Acquire(ctx)
	if err != nil {
		return figures, err
	}
	defer conn.Release()
	opts.Progress("looking: " + name)
	if figures.First, err = workers.Look(ctx, conn.Conn()); err != nil {
		return figures, err
	}
	for range opts.Rounds {
		took, err := workers.Look(ctx, conn.Conn())
		if err != nil {
			return figures, err
		}
		figures.Look = append(figures.Look, took)
		started := time.Now()
		if _, err := login.Exec(ctx, "SELECT queue, state, count(*) FROM river_job GROUP BY queue, state"); err != nil {
			return figures, err
		}
		figures.Plain = append(figures.Plain, time.Since(started))
	}
	return figures, nil
}

package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// QueueState is a queue as an operator sees it.
type QueueState struct {
	Name string `json:"name"`
	// PausedAt is nil while the queue is worked.
	PausedAt *time.Time `json:"paused_at,omitempty"`
	// SeenAt is when a worker process last said that it works the queue, which it does
	// every ten minutes; nil when none has within a day.
	SeenAt *time.Time `json:"seen_at,omitempty"`
}

// ListQueues returns the catalogue's queues, in its order. db must act as the owner.
func ListQueues(ctx context.Context, db *postgres.Tenancy) ([]QueueState, error) {
	client, err := queueClient()
	if err != nil {
		return nil, err
	}
	var states []QueueState
	err = db.Tx(ctx, "", func(tx pgx.Tx) error {
		for _, queue := range jobs.Queues() {
			state := QueueState{Name: queue.Name}
			switch known, err := client.QueueGetTx(ctx, tx, queue.Name); {
			case err == nil:
				state.PausedAt, state.SeenAt = known.PausedAt, &known.UpdatedAt
			case !errors.Is(err, rivertype.ErrNotFound):
				return fmt.Errorf("workers: queue: %w", err)
			}
			states = append(states, state)
		}
		return nil
	})
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return states, nil
}

// PauseQueue stops all workers from taking jobs of a queue; those that run go on. A
// queue that is paused stays so. The fault is NOT_FOUND for a queue that there is not,
// or that no worker has worked within a day. db must act as the owner.
func PauseQueue(ctx context.Context, db *postgres.Tenancy, name string) error {
	return control(ctx, db, name, (*river.Client[pgx.Tx]).QueuePauseTx)
}

// ResumeQueue lets workers take jobs of a queue again; see PauseQueue.
func ResumeQueue(ctx context.Context, db *postgres.Tenancy, name string) error {
	return control(ctx, db, name, (*river.Client[pgx.Tx]).QueueResumeTx)
}

func control(ctx context.Context, db *postgres.Tenancy, name string,
	do func(*river.Client[pgx.Tx], context.Context, pgx.Tx, string, *river.QueuePauseOpts) error,
) error {
	// River takes * for all queues, and leaves those that nobody has worked yet as they are.
	known := false
	for _, queue := range jobs.Queues() {
		known = known || queue.Name == name
	}
	if !known {
		return fault.New(fault.NotFound, "There is no such queue; `millrace queues list` lists them.")
	}
	client, err := queueClient()
	if err != nil {
		return err
	}
	err = db.Tx(ctx, "", func(tx pgx.Tx) error { return do(client, ctx, tx, name, nil) })
	if errors.Is(err, rivertype.ErrNotFound) {
		return fault.New(fault.NotFound, "No worker has worked this queue within a day; start one first.")
	}
	if err != nil {
		return postgres.Fault(fmt.Errorf("workers: queue: %w", err))
	}
	return nil
}

// queueClient returns a client that only works on transactions that it is given.
func queueClient() (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{})
	if err != nil {
		return nil, fmt.Errorf("workers: river client: %w", err)
	}
	return client, nil
}

package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// rescoringBatch is how many scores are looked at, and written, together.
const rescoringBatch = 200

// rescored is what a conversation_rescoring job returns.
type rescored struct {
	Rescored int `json:"rescored"`
	// Unchanged were of the model already.
	Unchanged int    `json:"unchanged"`
	Model     string `json:"model"`
}

// rescoring is how far a conversation_rescoring job is: its checkpoint, written with
// each batch, where whoever goes on begins.
type rescoring struct {
	Progress jobs.Progress       `json:"progress"`
	Rescored int                 `json:"rescored"`
	Model    string              `json:"model"`
	After    conversation.Cursor `json:"after"`
}

// ConversationRescoring implements jobs.Handlers.
func (s *Set) ConversationRescoring(ctx context.Context, job *river.Job[jobs.ConversationRescoringArgs]) (any, error) {
	metadata, err := jobs.MetadataOf(job.JobRow)
	if err != nil {
		return nil, err
	}
	var at rescoring
	river.ResumableStepCursor(ctx, jobs.CheckpointStep, nil, func(ctx context.Context, checkpoint rescoring) error {
		at, err = s.rescoreRange(ctx, metadata.TenantID, job, checkpoint)
		return err
	})
	return rescored{Rescored: at.Rescored, Unchanged: at.Progress.Done - at.Rescored, Model: at.Model}, err
}

// rescoreRange works a range from a checkpoint on, the oldest conversations first.
// When half the attempt's time is over it leaves the rest to another attempt, so
// that its queue's other jobs get their turn.
func (s *Set) rescoreRange(ctx context.Context, tenant string, job *river.Job[jobs.ConversationRescoringArgs], at rescoring) (rescoring, error) {
	until := s.halfTime(ctx)
	if at.Model != s.model.Version() { // nobody was here, or somebody of another version
		total, err := conversation.CountScores(ctx, s.db, tenant, job.Args.Range)
		if err != nil {
			return at, err
		}
		at = rescoring{Progress: jobs.Progress{Total: total}, Model: s.model.Version()}
	}
	for {
		batch, err := conversation.Versions(ctx, s.db, tenant, job.Args.Range, at.After, rescoringBatch)
		if err != nil || len(batch) == 0 {
			return at, err
		}
		scores, looked, err := s.rescore(ctx, tenant, batch, until)
		if err != nil {
			return at, err
		}
		last := batch[looked-1]
		at.After = conversation.Cursor{CreatedAt: last.CreatedAt, ID: last.ID}
		at.Progress.Done += looked
		at.Progress.Total = max(at.Progress.Total, at.Progress.Done) // more were scored meanwhile
		at.Rescored += len(scores)
		if err := s.db.Tx(ctx, tenant, func(tx pgx.Tx) error {
			if _, err := conversation.Record(ctx, tx, tenant, scores); err != nil {
				return err
			}
			if _, err := river.ResumableSetStepCursorTx[*riverpgxv5.Driver](ctx, tx, job, at); err != nil {
				return fmt.Errorf("workers: write checkpoint: %w", err)
			}
			return nil
		}); err != nil {
			return at, postgres.Fault(err)
		}
		if (looked < len(batch) || len(batch) == rescoringBatch) && !s.now().Before(until) {
			return at, errUnfinished
		}
	}
}

// halfTime is when half the time of an attempt is over.
func (s *Set) halfTime(ctx context.Context) time.Time {
	left := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	return s.now().Add(left / 2)
}

// rescore scores those of a batch anew whose scores are of another model, and returns
// how many of the batch it looked at until the time: at least one. One conversation
// is read at a time: they may be large.
func (s *Set) rescore(ctx context.Context, tenant string, batch []conversation.Versioned, until time.Time) (scores []conversation.Score, looked int, err error) {
	for i, one := range batch {
		if one.Model == s.model.Version() {
			continue
		}
		if i > 0 && !s.now().Before(until) {
			return scores, i, nil
		}
		c, err := conversation.Load(ctx, s.db, tenant, one.ID)
		if err != nil {
			if fault.From(err).Code == fault.NotFound {
				continue // deleted meanwhile
			}
			return nil, 0, err
		}
		scores = append(scores, c.Score(s.model, s.now()))
	}
	return scores, len(batch), nil
}

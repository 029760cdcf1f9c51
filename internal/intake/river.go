package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

type jobIDsKey struct{}

func withJobIDs(ctx context.Context, ids []int64) context.Context {
	return context.WithValue(ctx, jobIDsKey{}, ids)
}

// assignIDs gives jobs the ids that their ledger rows already have. River takes
// an id from its parameters and draws one from its sequence only without it.
type assignIDs struct {
	river.MiddlewareDefaults

	now func() time.Time
}

// InsertMany implements rivertype.JobInsertMiddleware.
func (a *assignIDs) InsertMany(
	ctx context.Context, params []*rivertype.JobInsertParams, insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	ids, ok := ctx.Value(jobIDsKey{}).([]int64)
	if !ok {
		return insert(ctx) // the platform's own jobs have no ledger rows
	}
	if len(ids) != len(params) {
		return nil, fmt.Errorf("intake: %d ids for %d jobs", len(ids), len(params))
	}
	for i, param := range params {
		param.ID = &ids[i]
		// River takes any time for one to wait for; see request.runAt.
		if param.ScheduledAt != nil && param.ScheduledAt.Before(a.now()) {
			param.State = rivertype.JobStateAvailable
		}
	}
	return insert(ctx)
}

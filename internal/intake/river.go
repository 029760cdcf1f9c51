package intake

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
)

// jobMetadata names the job's tenant, which row-level security on River's table
// goes by, and the request that made it.
func jobMetadata(r *request) ([]byte, error) {
	metadata, err := json.Marshal(jobs.Metadata{TenantID: r.Tenant, RequestID: r.RequestID})
	if err != nil {
		return nil, fmt.Errorf("intake: job metadata: %w", err)
	}
	return metadata, nil
}

type jobIDsKey struct{}

func withJobIDs(ctx context.Context, ids []int64) context.Context {
	return context.WithValue(ctx, jobIDsKey{}, ids)
}

// assignIDs gives jobs the ids that their ledger rows already have. River takes
// an id from its parameters and draws one from its sequence only without it.
type assignIDs struct{ river.MiddlewareDefaults }

func riverMiddleware() []rivertype.Middleware { return []rivertype.Middleware{&assignIDs{}} }

// InsertMany implements rivertype.JobInsertMiddleware.
func (*assignIDs) InsertMany(
	ctx context.Context, params []*rivertype.JobInsertParams, insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	ids, _ := ctx.Value(jobIDsKey{}).([]int64)
	if len(ids) != len(params) {
		return nil, fmt.Errorf("intake: %d ids for %d jobs", len(ids), len(params))
	}
	for i, param := range params {
		param.ID = &ids[i]
	}
	return insert(ctx)
}

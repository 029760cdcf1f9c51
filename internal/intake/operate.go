package intake

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// Operator cancels and retries jobs for an operator, whosever they are and the
// platform's own too, by the rules that hold for tenants. A tenant's job is changed
// in a transaction of that tenant, so that its domain row goes with it.
type Operator struct {
	writer   *Writer
	everyone *postgres.Tenancy
}

// NewOperator returns an Operator; everyone must act as the operator role.
func NewOperator(writer *Writer, everyone *postgres.Tenancy) *Operator {
	return &Operator{writer: writer, everyone: everyone}
}

// Cancel is Writer.Cancel for any job.
func (o *Operator) Cancel(ctx context.Context, id int64) error {
	return o.control(ctx, id, o.writer.cancel)
}

// Retry is Writer.Retry for any job. The fault is CONFLICT too when another job of a
// kind of which only one may wait does so.
func (o *Operator) Retry(ctx context.Context, id int64) error {
	return o.control(ctx, id, o.writer.retry)
}

const (
	// lockTenants finds a job of a tenant, whether it was submitted or the platform
	// made it for the tenant (a reminder of a booking).
	lockTenants = `
		SELECT j.state::text, j.attempt, j.kind, s.resource_id
		FROM river_job AS j LEFT JOIN submissions AS s ON s.tenant_id = $1 AND s.job_id = j.id
		WHERE j.id = $2 AND j.metadata ->> 'tenant_id' = $1
		FOR UPDATE OF j`
	// lockPlatforms finds a job of no tenant.
	lockPlatforms = `
		SELECT j.state::text, j.attempt, j.kind, NULL::uuid
		FROM river_job AS j
		WHERE j.id = $2 AND coalesce(j.metadata ->> 'tenant_id', '') = $1
		FOR UPDATE OF j`
)

func (o *Operator) control(ctx context.Context, id int64, do func(context.Context, pgx.Tx, controlled) error) error {
	var tenant string
	err := o.everyone.Query(ctx, "", func(rows pgx.Rows) (err error) {
		tenant, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		return err
	}, `SELECT coalesce(metadata ->> 'tenant_id', '') FROM river_job WHERE id = $1`, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.New(fault.NotFound, "There is no such job, or it ended too long ago.")
	case err != nil:
		return postgres.Fault(err)
	case tenant == "":
		return control(ctx, o.everyone, lockPlatforms, tenant, id, do)
	default:
		return control(ctx, o.writer.tenancy, lockTenants, tenant, id, do)
	}
}

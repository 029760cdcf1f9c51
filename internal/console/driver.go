package console

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// driver makes each of River UI's transactions act as the operator role, read only
// and for a limited time, whatever the connection is. A setting of the session would
// not survive PgBouncer.
type driver struct {
	*riverpgxv5.Driver

	everyone *postgres.Tenancy
}

// GetExecutor implements riverdriver.Driver. River UI reads in transactions that it
// begins here.
func (d driver) GetExecutor() riverdriver.Executor { return executor{d.Driver.GetExecutor(), d} }

type executor struct {
	riverdriver.Executor

	driver driver
}

// Begin implements riverdriver.Executor.
func (e executor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		readingOf(ctx).failed = err
		return nil, err
	}
	err = e.driver.everyone.Enter(ctx, e.driver.UnwrapTx(tx), "", func(rows pgx.Rows) error {
		rows.Close()
		return rows.Err()
	}, settings, abandonAfter)
	if err != nil {
		readingOf(ctx).failed = err
		return nil, errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
	}
	return tx, nil
}

// patience is how long a question may take. The request gives up first, and
// tells so; the database does by itself when it was not told.
const patience = 5 * time.Second

var abandonAfter = strconv.FormatInt((patience + time.Second).Milliseconds(), 10) //nolint:gochecknoglobals // a constant

// explain says what to do when the role is not there or not the login's to take;
// any other error of the database is what postgres.Fault makes of it.
func explain(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "22023", "42501": // invalid_parameter_value: no such role; insufficient_privilege: not a member
			return fault.New(fault.Unavailable, "The server's database login may not act as millrace_operator. Run `millrace migrate up`, and make the login a member of that role.").Because(err)
		}
	}
	return postgres.Fault(err)
}

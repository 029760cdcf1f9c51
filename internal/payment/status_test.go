package payment_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
)

// ways is the state machine: where each state may lead, itself included where it
// may be said again.
func ways() map[payment.Status]string {
	return map[payment.Status]string{
		payment.Pending:        "pending processing requires_action captured failed refunded disputed",
		payment.Processing:     "processing requires_action captured failed refunded disputed",
		payment.RequiresAction: "processing requires_action captured failed refunded disputed",
		payment.Captured:       "captured disputed refunded",
		payment.Disputed:       "disputed refunded",
		payment.Refunded:       "refunded",
		payment.Failed:         "",
	}
}

func TestStatesLeadOnlyOnwards(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login, intake, worker := db.Pool(t, postgres.Login), db.Tenancy(t, postgres.Intake), db.Tenancy(t, postgres.Worker)
	all := ways()
	for from, to := range all {
		open := from == payment.Pending || from == payment.Processing || from == payment.RequiresAction
		require.Equal(t, !open, from.Final())
		for next := range all {
			leads := slices.Contains(strings.Fields(to), string(next))
			if from.Final() {
				require.False(t, leads && !next.Final(), "the table itself leads back")
			}
			p := payment.New("alice", uuid.New(), charge(nil), time.Now())
			insert(t, intake, p)
			_, err := login.Exec(t.Context(), "UPDATE payments SET status = $2, intent_id = 'pi_' || id, amount_captured = 1 WHERE id = $1", p.ID, from)
			require.NoError(t, err)
			before := find(t, worker, p)
			require.Equal(t, from, before.Status)

			o := payment.Outcome{Status: next, AmountCaptured: 1999, AmountRefunded: 7, Asked: 3, Log: payment.Log{{Operation: payment.OpRead}}}
			if next == payment.Failed {
				o.Failure = fault.New(fault.PaymentFailed, "No.")
			}
			require.Equal(t, leads || !next.Final(), settle(t, worker, p, o), "%s to %s", from, next)
			got := find(t, worker, p)
			if !leads {
				require.Equal(t, before, got, "%s to %s", from, next)
				continue
			}
			require.Equal(t, next, got.Status, "%s to %s", from, next)
			require.EqualValues(t, 1999, got.AmountCaptured)
			require.EqualValues(t, 7, got.AmountRefunded)
			require.Equal(t, 3, got.GatewayRequests)
			require.Len(t, got.GatewayLog, 1)
			require.Equal(t, next == payment.Failed, len(got.Failure) > 0)
		}
	}
}

func TestWhatIsNoStateIsNotFinalAndLeadsNowhere(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	p := payment.New("alice", uuid.New(), charge(nil), time.Now())
	insert(t, db.Tenancy(t, postgres.Intake), p)
	worker := db.Tenancy(t, postgres.Worker)
	for _, status := range []payment.Status{"", "nonsense", "Captured"} {
		require.False(t, status.Final())
		settle(t, worker, p, payment.Outcome{Status: status})
		require.Equal(t, p, find(t, worker, p))
	}
}

// find reads a payment that must be there.
func find(t *testing.T, db *postgres.Tenancy, p payment.Payment) payment.Payment {
	t.Helper()
	got, err := payment.Find(t.Context(), db, p.Tenant, p.ID)
	require.NoError(t, err)
	return got
}

// settle writes an outcome an hour after the payment was made, and reports
// whether it was in time. Only a final one is refused when it is too late. A payment
// ends by an outcome that is final when it was not before, and only then.
func settle(t *testing.T, db *postgres.Tenancy, p payment.Payment, o payment.Outcome) (inTime bool) {
	t.Helper()
	var ended bool
	var before payment.Status
	err := db.Tx(t.Context(), p.Tenant, func(tx pgx.Tx) (err error) {
		if err := tx.QueryRow(t.Context(), "SELECT status FROM payments WHERE id = $1", p.ID).Scan(&before); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		ended, err = payment.Settle(t.Context(), tx, p.Tenant, p.ID, o, p.CreatedAt.Add(time.Hour))
		return err
	})
	require.Equal(t, err == nil && o.Status.Final() && !before.Final(), ended, "%s to %s", before, o.Status)
	if err != nil {
		require.Equal(t, fault.Unavailable, fault.From(err).Code, err)
		require.True(t, o.Status.Final())
	}
	return err == nil
}

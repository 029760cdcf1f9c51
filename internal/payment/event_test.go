package payment_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
)

func TestEventsAreNewsOnlyWhereTheyCanChangeSomething(t *testing.T) {
	t.Parallel()
	statuses := []payment.Status{
		payment.Pending, payment.Processing, payment.RequiresAction, payment.Captured, payment.Failed, payment.Refunded, payment.Disputed,
	}
	require.Len(t, ways(), len(statuses))
	for name, news := range map[string]string{
		"payment_intent.succeeded":       "pending processing requires_action failed",
		"payment_intent.payment_failed":  "pending processing requires_action",
		"payment_intent.canceled":        "pending processing requires_action",
		"payment_intent.requires_action": "pending processing requires_action",
		"charge.refunded":                "pending processing requires_action captured disputed",
		"charge.dispute.created":         "pending processing requires_action captured",
		// Of these nothing follows.
		"": "", "payment_intent.created": "", "payment_intent.amount_capturable_updated": "", "charge.succeeded": "", "charge.failed": "",
		"charge.dispute.closed": "", "customer.created": "", "PAYMENT_INTENT.SUCCEEDED": "", "payment_intent.succeeded ": "",
	} {
		event := payment.Event{Type: name}
		require.Equal(t, news != "", event.Known(), name)
		for _, status := range statuses {
			require.Equal(t, slices.Contains(strings.Fields(news), string(status)), event.IsNewsFor(status), "%s for %s", name, status)
		}
		require.False(t, event.IsNewsFor(""))
	}
}

func TestAnIntentIsFoundAcrossTenants(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alices := l.accept("alice", capture(nil), func(p *payment.Payment) { p.JobID = 4711 })
	bobs := l.accept("bob", capture(nil))
	other := l.accept("alice", capture(nil))
	for p, intent := range map[*payment.Payment]string{&alices: "pi_1", &bobs: "pi_1", &other: "pi_2"} {
		require.NoError(t, l.begin(*p, intent))
	}
	l.settle(bobs, payment.Outcome{Status: payment.Captured})

	got, err := payment.OfIntent(t.Context(), l.intake, "pi_1")
	require.NoError(t, err)
	require.ElementsMatch(t, []payment.Carried{
		{Reference: payment.Reference{Tenant: "alice", ID: alices.ID}, JobID: 4711, Status: payment.Processing},
		{Reference: payment.Reference{Tenant: "bob", ID: bobs.ID}, Status: payment.Captured},
	}, got)
	for _, nobodys := range []string{"", "pi_", "pi_3", "PI_1"} {
		got, err = payment.OfIntent(t.Context(), l.intake, nobodys)
		require.NoError(t, err)
		require.Empty(t, got)
	}
	_, err = payment.OfIntent(t.Context(), l.worker, "pi_1")
	require.Equal(t, fault.DBError, fault.From(err).Code, "it sees all tenants, so only who needs it may")
}

func TestAnEventIsFreshOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p, q := uuid.New(), uuid.New()
	record := func(tenant string, id uuid.UUID, event string) bool {
		t.Helper()
		var fresh bool
		require.NoError(t, l.intake.Tx(t.Context(), tenant, func(tx pgx.Tx) (err error) {
			fresh, err = payment.RecordEvent(t.Context(), tx, tenant, id,
				payment.Event{ID: event, Type: "payment_intent.succeeded", IntentID: "pi_1", CreatedAt: time.Now()}, time.Now())
			return err
		}))
		return fresh
	}
	require.True(t, record("alice", p, "evt_1"))
	require.False(t, record("alice", p, "evt_1"))
	require.False(t, record("alice", p, "evt_1"))
	require.True(t, record("alice", p, "evt_2"))
	require.True(t, record("alice", q, "evt_1"), "of another payment")
	require.True(t, record("bob", p, "evt_1"), "of another tenant")

	require.Error(t, l.intake.Tx(t.Context(), "mallory", func(tx pgx.Tx) error {
		fresh, err := payment.RecordEvent(t.Context(), tx, "alice", p, payment.Event{ID: "evt_3", Type: "x", CreatedAt: time.Now()}, time.Now())
		require.False(t, fresh)
		return err
	}), "one tenant writes none of another's")
	require.True(t, record("alice", p, "evt_3"))

	for tenant, want := range map[string]int{"alice": 4, "bob": 1, "mallory": 0, "": 0} {
		var n int
		require.NoError(t, l.intake.Tx(t.Context(), tenant, func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), "SELECT count(*) FROM payment_events").Scan(&n)
		}))
		require.Equal(t, want, n, tenant)
	}
}

// What is taken back is not recorded: the delivery will be repeated.
func TestAnEventIsRecordedWithWhatItLedTo(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p := uuid.New()
	event := payment.Event{ID: "evt_1", Type: "charge.refunded", CreatedAt: time.Now().Add(-time.Hour)}
	received := time.Now().UTC().Truncate(time.Microsecond)
	for _, cause := range []error{pgx.ErrTxClosed, nil} {
		require.ErrorIs(t, l.intake.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
			fresh, err := payment.RecordEvent(t.Context(), tx, "alice", p, event, received)
			require.NoError(t, err)
			require.True(t, fresh)
			return cause
		}), cause)
	}
	var kind string
	var at, created time.Time
	require.NoError(t, l.db.Pool(t, postgres.Login).QueryRow(t.Context(),
		"SELECT type, received_at, created_at FROM payment_events WHERE event_id = 'evt_1'").Scan(&kind, &at, &created))
	require.Equal(t, "charge.refunded", kind)
	require.True(t, received.Equal(at))
	require.True(t, created.Before(at))
}

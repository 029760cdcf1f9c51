package workers_test

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/booking"
	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/seal"
	"millrace/internal/vault"
	"millrace/workers"
)

// encrypt has intake encrypt from now on, and returns what gives workers the key.
func (p *plant) encrypt() func(*workers.Options) {
	p.t.Helper()
	keys, err := seal.ParseKeys("test:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	require.NoError(p.t, err)
	p.tenancy = p.tenancy.WithKeys(keys, time.Now)
	return func(o *workers.Options) { o.Keys = keys }
}

// submitAll submits one of each kind that knows people.
func (p *plant) submitAll() (charge, mail, score intake.Job) {
	p.t.Helper()
	charge = p.request(payment.Request{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", CustomerEmail: "hush@example.com", Description: "hush", Metadata: map[string]string{"order": "hush"},
	})
	return charge, p.book(0, "hush@example.com"), p.accept("conversation_scoring", chat)
}

func TestWorkersWorkOnEncryptedRows(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	key := p.encrypt()
	charge, mail, score := p.submitAll()
	var readable int
	require.NoError(t, p.login.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM payments AS row WHERE row::text ILIKE '%hush%')
		+ (SELECT count(*) FROM bookings AS row WHERE row::text ILIKE '%hush%') + (SELECT count(*) FROM conversations AS row WHERE row::text ILIKE '%hush%')`).Scan(&readable))
	require.Zero(t, readable)
	p.work(key)
	_, paid := p.finish(charge.ID)
	require.Equal(t, payment.Captured, paid.Status)
	charges := p.stripe.Charges()
	require.Len(t, charges, 1)
	require.Equal(t, "hush", charges[0].Metadata["order"], "the gateway is told what was asked")
	_, booked := p.booked(mail.ID)
	require.Equal(t, booking.EmailSent, booked.EmailStatus)
	require.Equal(t, []string{"hush@example.com"}, p.mails.Mails()[0].To)
	require.Equal(t, intake.StateCompleted, p.done(score.ID).State)
}

// Workers that lack the key wait for the operator, and spend no attempt on it.
func TestWorkersWithoutTheKeyWait(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	key := p.encrypt()
	charge, mail, score := p.submitAll()
	stop := p.work()
	for _, job := range []intake.Job{charge, mail, score} {
		p.until(job.ID, func(job intake.Job) bool { return job.Waiting != nil })
		found, err := intake.Find(t.Context(), p.tenancy, "alice", job.ID)
		require.NoError(t, err)
		require.Equal(t, fault.Unavailable, found.Waiting.Code)
		require.Equal(t, seal.ReasonNoKey, found.Waiting.Details["reason"])
	}
	stop()
	p.work(key)
	for _, job := range []intake.Job{charge, mail, score} {
		p.wake(job.ID)
		require.Equal(t, intake.StateCompleted, p.done(job.ID).State)
	}
	require.Len(t, p.stripe.Charges(), 1)
	require.Len(t, p.mails.Mails(), 1)
}

// Jobs of a shredded tenant end at once and for good, and so does its money.
func TestJobsOfAShreddedTenantFailOnce(t *testing.T) {
	t.Parallel()
	for name, encrypted := range map[string]bool{"encrypted": true, "plain": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			key := func(*workers.Options) {}
			if encrypted {
				key = p.encrypt()
			}
			owner := p.db.Tenancy(t, postgres.Owner)
			_, _, err := apikey.Create(t.Context(), owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()}, time.Now())
			require.NoError(t, err)
			charge, mail, score := p.submitAll()
			bare := p.submit("pm_card_visa") // which says nothing about people
			v, err := vault.New(vault.Options{DB: owner, Tables: []seal.Table{payment.Sealed(), booking.Sealed(), conversation.Sealed()}})
			require.NoError(t, err)
			_, err = v.Shred(t.Context(), "alice")
			require.NoError(t, err)

			p.work(key, soon)
			for _, submitted := range []intake.Job{charge, mail, score, bare} {
				job := p.done(submitted.ID)
				require.Equal(t, intake.StateCancelled, job.State)
				require.Equal(t, 1, job.Attempt)
				require.Equal(t, "TENANT_SHREDDED", job.Outcome().Details["reason"])
			}
			p.sweep()
			require.Eventually(t, func() bool {
				var open int
				require.NoError(t, p.login.QueryRow(t.Context(), "SELECT count(*) FROM payments WHERE status <> 'failed'").Scan(&open))
				return open == 0
			}, 30*time.Second, 20*time.Millisecond, "payments have an end, too")
			require.Empty(t, p.stripe.Charges())
			require.Empty(t, p.mails.Mails())
		})
	}
}

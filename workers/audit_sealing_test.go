package workers_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/jobs"
	"millrace/workers"
)

// sealedOf returns the sealed entries of a tenant.
func (p *plant) sealedOf(owner *postgres.Tenancy, tenant string) (entries []audit.Sealed) {
	p.t.Helper()
	err := audit.Export(p.t.Context(), owner, audit.Range{Tenant: tenant}, func(e *audit.Sealed) error {
		entries = append(entries, *e)
		return nil
	})
	require.NoError(p.t, err)
	return entries
}

// The whole life of a payment is in the log, one entry a transition, by the job that
// made it, and the workers seal it.
func TestAPaymentsTransitionsAreSealed(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	kind := jobs.Find("payment_capture")
	accepted, err := kind.Accept([]byte(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`), jobs.Acceptance{Tenant: "alice", ID: uuid.New(), Now: time.Now()})
	require.NoError(t, err)
	ctx := postgres.WithActor(t.Context(), postgres.Actor{Name: "key:k", Source: "192.0.2.7", RequestID: "req-1"})
	receipt, err := p.writer.Submit(ctx, intake.Submission{
		Tenant: "alice", Route: "POST /v1/payments", Kind: kind, Accepted: accepted, Priority: 1, RequestID: "req-1",
	})
	require.NoError(t, err)
	// Whatever QUEUES names, the log is sealed.
	p.work(func(o *workers.Options) { o.Slots, o.Metrics = map[string]int{"payments": 5}, registry })
	_, got := p.finish(receipt.Job.ID)
	owner := p.db.Tenancy(t, postgres.Owner)
	var entries []audit.Sealed
	require.Eventually(t, func() bool {
		entries = p.sealedOf(owner, "alice")
		return len(entries) == 3
	}, 30*time.Second, 20*time.Millisecond)
	host, err := os.Hostname()
	require.NoError(t, err)
	var lines []string
	for _, e := range entries {
		lines = append(lines, strings.Join([]string{e.Actor, e.Source, e.RequestID, e.Role, e.Action, e.ResourceType, e.ResourceID, e.Outcome}, " "))
	}
	byJob := "job:payment_capture " + host + " req-1 millrace_worker changed payment " + got.ID.String() + " "
	require.Equal(t, []string{
		fmt.Sprintf("key:k 192.0.2.7 req-1 millrace_intake submitted job %d accepted", receipt.Job.ID), byJob + "processing", byJob + "captured",
	}, lines)
	report, err := audit.Verify(t.Context(), owner, audit.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.Holds())
	require.GreaterOrEqual(t, counter(t, registry, "millrace_audit_sealed_total", nil), 3.0)
}

// What is more than one transaction takes is sealed by one job all the same.
func TestABacklogIsSealedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	_, err := p.login.Exec(t.Context(), `
		INSERT INTO audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome)
		SELECT 'alice', '', '', '', '', 'program', 'read', '', '', 'done' FROM generate_series(1, 12000)`)
	require.NoError(t, err)
	p.work(func(o *workers.Options) { o.Slots = map[string]int{"audit": 1} })
	var most int64
	require.Eventually(t, func() bool {
		require.NoError(t, p.login.QueryRow(t.Context(), `
			SELECT coalesce(max((metadata->'output'->>'entries')::bigint), 0) FROM river_job WHERE kind = 'audit_sealing' AND state = 'completed'`).Scan(&most))
		return most > 0
	}, 60*time.Second, 20*time.Millisecond)
	require.EqualValues(t, 12000, most)
}

func TestAuditRetentionDropsOldMonths(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	old := time.Now().AddDate(-7, 0, 0)
	_, err := p.login.Exec(t.Context(), "SELECT millrace_audit_partition($1)", old)
	require.NoError(t, err)
	p.work(func(o *workers.Options) { o.Slots = map[string]int{"audit": 1} })
	var output string
	require.Eventually(t, func() bool {
		return p.login.QueryRow(t.Context(), "SELECT metadata->>'output' FROM river_job WHERE kind = 'audit_retention' AND state = 'completed'").Scan(&output) == nil
	}, 30*time.Second, 20*time.Millisecond)
	want, err := json.Marshal(map[string][]string{"dropped": {"audit_log_" + old.UTC().Format("200601")}})
	require.NoError(t, err)
	require.JSONEq(t, string(want), output)
}

// How long entries wait to be sealed is told though nobody seals.
func TestTheAgeOfUnsealedEntriesIsExported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	_, err := p.login.Exec(t.Context(), "INSERT INTO river_queue (name, metadata, paused_at, created_at, updated_at) VALUES ('audit', '{}', now(), now(), now())")
	require.NoError(t, err)
	p.submit("pm_card_visa")
	p.work(func(o *workers.Options) { o.Slots, o.Metrics = map[string]int{"emails": 1}, registry })
	require.Eventually(t, func() bool {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "millrace_audit_pending_age_seconds" {
				return family.GetMetric()[0].GetGauge().GetValue() > 0
			}
		}
		return false
	}, 30*time.Second, 20*time.Millisecond)
}

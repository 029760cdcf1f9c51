package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/audit"
)

// noted returns what the audit log has got of alice since it was asked last.
func (s *site) noted() (entries []audit.Sealed) {
	s.t.Helper()
	rows, err := s.login.Query(s.t.Context(), `
		WITH gone AS (DELETE FROM audit_pending WHERE tenant_id = 'alice'
			RETURNING id, actor, source, request_id, origin, action, resource_type, resource_id, outcome, details)
		SELECT actor, source, request_id, origin, action, resource_type, resource_id, outcome, details FROM gone ORDER BY id`)
	require.NoError(s.t, err)
	entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Sealed, err error) {
		err = row.Scan(&e.Actor, &e.Source, &e.RequestID, &e.Origin, &e.Action, &e.ResourceType, &e.ResourceID, &e.Outcome, &e.Details)
		return e, err
	})
	require.NoError(s.t, err)
	return entries
}

func actorOf(key string) string {
	id, _, _ := apikey.Split(key)
	return "key:" + id
}

// done is what an entry says, on one line.
func done(e audit.Sealed) string {
	return strings.Join([]string{e.Actor, e.Source, e.RequestID, e.Action, e.ResourceType, e.Outcome}, " ")
}

func TestEachChangeSaysWhoMadeIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, takesEvents)
	second := s.key("alice", apikey.JobsRead, apikey.JobsWrite)
	s.noted()
	named := func(id string) map[string]string { return map[string]string{"X-Request-Id": id, "Idempotency-Key": id} }

	// Submissions that share a commit keep their own senders.
	const each = 10
	var group sync.WaitGroup
	for i := range each {
		for name, key := range map[string]string{"one": s.alice, "two": second} {
			group.Go(func() {
				s.do(request{method: "POST", path: "/v1/payments", key: key, body: charge, header: named(fmt.Sprint(name, i))})
			})
		}
	}
	group.Wait()
	entries := s.noted()
	require.Len(t, entries, 2*each)
	for _, e := range entries {
		actor := actorOf(s.alice)
		if strings.HasPrefix(e.RequestID, "two") {
			actor = actorOf(second)
		}
		require.Equal(t, actor+" 127.0.0.1 "+e.RequestID+" submitted job accepted", done(e))
		require.Equal(t, "payment_capture", e.Details["kind"])
		require.Equal(t, "POST /v1/payments", e.Details["route"])
		require.NoError(t, uuid.Validate(e.Details["resource"]))
	}
	replayed := s.do(request{method: "POST", path: "/v1/payments", key: s.alice, body: charge, header: named("one0")})
	require.Equal(t, 202, replayed.status)
	require.Empty(t, s.noted(), "a replay changes nothing")

	// A cancelled job and its payment.
	id, _ := replayed.at("job", "id").(string)
	require.Equal(t, 200, s.do(request{method: "POST", path: "/v1/jobs/" + id + "/cancel", key: second, header: map[string]string{"X-Request-Id": "c"}}).status)
	entries = s.noted()
	require.Len(t, entries, 2)
	require.Equal(t, actorOf(second)+" 127.0.0.1 c changed payment failed", done(entries[0]))
	require.Equal(t, actorOf(second)+" 127.0.0.1 c cancelled job cancelled", done(entries[1]))
	require.Equal(t, 200, s.do(request{method: "POST", path: "/v1/jobs/" + id + "/cancel", key: second}).status)
	require.Empty(t, s.noted(), "it was cancelled before")

	// A provider's event, and its repetition.
	s.begun(s.alice, "captured", "completed")
	s.noted()
	for range 2 {
		require.Equal(t, 200, s.deliver(event("evt_1", "charge.refunded", "pi_1"), webhookSecret, time.Now()).status)
	}
	entries = s.noted()
	require.Len(t, entries, 1)
	require.True(t, strings.HasPrefix(done(entries[0]), "webhook:stripe 127.0.0.1 "), done(entries[0]))
	require.Equal(t, "payment_event", entries[0].ResourceType)

	require.Equal(t, 200, s.do(request{
		method: "PUT", path: "/v1/calendar", key: s.alice, header: map[string]string{"X-Request-Id": "p"},
		body: open,
	}).status)
	entries = s.noted()
	require.Len(t, entries, 1)
	require.Equal(t, actorOf(s.alice)+" 127.0.0.1 p created calendar done", done(entries[0]))
}

func TestARefusedAccessIsNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := s.key("alice", apikey.MetricsWrite)
	s.noted()
	a := s.do(request{method: "POST", path: "/v1/jobs/4711/cancel", key: key, header: map[string]string{"X-Request-Id": "r"}})
	require.Equal(t, 403, a.status)
	entries := s.noted()
	require.Len(t, entries, 1)
	require.Equal(t, actorOf(key)+" 127.0.0.1 r requested route refused", done(entries[0]))
	require.Equal(t, "program", entries[0].Origin)
	require.Equal(t, "POST /v1/jobs/{id}/cancel", entries[0].ResourceID)
	require.Equal(t, audit.Details{"required_scope": "jobs:write"}, entries[0].Details)

	require.Equal(t, 401, s.do(request{method: "GET", path: "/v1/jobs", key: "nonsense"}).status)
	require.Equal(t, 404, s.do(request{method: "GET", path: "/v1/jobs/4711", key: s.alice}).status)
	require.Empty(t, s.noted())
}

// That the log cannot take it changes nothing about the answer.
func TestARefusalThatCannotBeNotedIsARefusal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := s.login.Exec(t.Context(), "REVOKE EXECUTE ON FUNCTION millrace_audit(text, text, text, text, jsonb) FROM millrace_intake")
	require.NoError(t, err)
	require.Equal(t, 403, s.do(request{method: "GET", path: "/v1/jobs", key: s.key("alice", apikey.MetricsWrite)}).status)
	require.Contains(t, s.logs.String(), "a refused access was not recorded")
}

package apikey_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/postgres"
)

func (r *ring) lastUsed(t *testing.T, id string) *time.Time {
	t.Helper()
	list, err := apikey.List(t.Context(), r.owner, "")
	require.NoError(t, err)
	for _, key := range list {
		if key.ID == id {
			return key.LastUsedAt
		}
	}
	t.Fatal("no such key")
	return nil
}

func TestTheUseOfKeysIsWrittenDownLater(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	used, secret := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	idle, idleSecret := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	verifier := apikey.NewVerifier(r.db.Tenancy(t, postgres.Intake), func() time.Time { return r.now })
	_, err := verifier.Verify(t.Context(), secret.Reveal())
	require.NoError(t, err)
	last := idleSecret.Reveal()
	_, err = verifier.Verify(t.Context(), last[:len(last)-1]+map[bool]string{true: "a", false: "b"}[last[len(last)-1] != 'a'])
	require.Error(t, err)
	require.Nil(t, r.lastUsed(t, used.ID), "not in the request")

	require.NoError(t, verifier.WriteUsed(t.Context()))
	require.Equal(t, r.now, r.lastUsed(t, used.ID).UTC())
	require.Nil(t, r.lastUsed(t, idle.ID), "a wrong secret is no use of the key")

	at := r.now
	r.now = r.now.Add(time.Hour)
	require.NoError(t, verifier.WriteUsed(t.Context()))
	require.Equal(t, at, r.lastUsed(t, used.ID).UTC(), "not used since")
	_, err = verifier.Verify(t.Context(), secret.Reveal())
	require.NoError(t, err)
	r.now = at.Add(-time.Hour)
	require.NoError(t, verifier.WriteUsed(t.Context()))
	require.Equal(t, at, r.lastUsed(t, used.ID).UTC(), "time does not go back")
}

func TestTheUseOfKeysIsWrittenDownAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	key, secret := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	verifier := apikey.NewVerifier(r.db.Tenancy(t, postgres.Intake), func() time.Time { return r.now })
	_, err := verifier.Verify(t.Context(), secret.Reveal())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	verifier.Run(ctx, slog.New(slog.DiscardHandler))
	require.NotNil(t, r.lastUsed(t, key.ID))
}

func TestAUseThatCannotBeWrittenIsKept(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	key, secret := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	verifier := apikey.NewVerifier(r.db.Tenancy(t, postgres.Intake), func() time.Time { return r.now })
	_, err := verifier.Verify(t.Context(), secret.Reveal())
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	require.Error(t, verifier.WriteUsed(ended))
	require.NoError(t, verifier.WriteUsed(t.Context()))
	require.NotNil(t, r.lastUsed(t, key.ID))
}

func TestTenantsAreListedAndSet(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	_, secret := r.create(t, apikey.Request{Tenant: "bob", Scopes: apikey.Scopes()})
	r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	strict, few, negative, nonsense := apikey.PHIStrict, 7, -1, apikey.PHIMode("none")
	list, err := apikey.ListTenants(t.Context(), r.owner)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, apikey.Tenant{ID: "alice", PHI: apikey.PHIMask, MaxWaitingJobs: 100_000, CreatedAt: list[0].CreatedAt}, list[0])

	tenant, err := apikey.SetTenant(t.Context(), r.owner, "bob", apikey.TenantChange{PHI: &strict})
	require.NoError(t, err)
	require.Equal(t, apikey.PHIStrict, tenant.PHI)
	require.Equal(t, 100_000, tenant.MaxWaitingJobs)
	tenant, err = apikey.SetTenant(t.Context(), r.owner, "bob", apikey.TenantChange{MaxWaitingJobs: &few})
	require.NoError(t, err)
	require.Equal(t, apikey.PHIStrict, tenant.PHI, "what is not named stays")
	require.Equal(t, 7, tenant.MaxWaitingJobs)
	key, ok := r.works(t, secret)
	require.True(t, ok)
	require.Equal(t, apikey.Rules{PHI: apikey.PHIStrict, MaxWaitingJobs: 7}, key.Rules)

	for _, change := range []apikey.TenantChange{{PHI: &nonsense}, {MaxWaitingJobs: &negative}} {
		_, err = apikey.SetTenant(t.Context(), r.owner, "bob", change)
		require.ErrorContains(t, err, "INVALID_INPUT")
	}
	_, err = apikey.SetTenant(t.Context(), r.owner, "carol", apikey.TenantChange{MaxWaitingJobs: &few})
	require.ErrorContains(t, err, "NOT_FOUND")
}

func TestRulesOfATenant(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	tenants := apikey.NewTenants(r.db.Tenancy(t, postgres.Intake))
	rules, found, err := tenants.Rules(t.Context(), "alice")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, apikey.Rules{PHI: apikey.PHIMask, MaxWaitingJobs: 100_000}, rules)
	for _, id := range []string{"bob", "Alice", "ALICE", "", " alice"} {
		_, found, err = tenants.Rules(t.Context(), id)
		require.NoError(t, err)
		require.False(t, found, id)
	}
	strict := apikey.PHIStrict
	_, err = apikey.SetTenant(t.Context(), r.owner, "alice", apikey.TenantChange{PHI: &strict})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		rules, _, err = tenants.Rules(t.Context(), "alice")
		return err == nil && rules.PHI == apikey.PHIStrict
	}, 4*apikey.CacheTTL, 20*time.Millisecond, "a change is followed within the memory's time")

	lost, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://127.0.0.1:1/x", Role: postgres.Intake})
	require.NoError(t, err)
	t.Cleanup(lost.Close)
	_, _, err = apikey.NewTenants(postgres.NewTenancy(lost, postgres.Intake)).Rules(t.Context(), "alice")
	require.ErrorContains(t, err, "UNAVAILABLE")
}

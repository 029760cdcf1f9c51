package apikey_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func TestOnlyTheHashIsStored(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "alice", Name: "app", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	_, secret, ok := apikey.Split(key.Reveal())
	require.True(t, ok)
	var row string
	require.NoError(t, db.Pool(t, postgres.Login).QueryRow(t.Context(), "SELECT row_to_json(k)::text || encode(secret_hash, 'escape') FROM api_keys k").Scan(&row))
	require.NotContains(t, row, secret)
	require.NotContains(t, key.String(), secret)
}

func TestVerifyRefusesAllAlike(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	owner := db.Tenancy(t, postgres.Owner)
	now := time.Now()
	clock := func() time.Time { return now }
	verifier := apikey.NewVerifier(db.Tenancy(t, postgres.Intake), clock)

	soon := now.Add(time.Minute)
	stored, key, err := apikey.Create(t.Context(), owner, apikey.Request{Tenant: "alice", Scopes: []apikey.Scope{apikey.JobsRead}, ExpiresAt: &soon}, now)
	require.NoError(t, err)
	got, err := verifier.Verify(t.Context(), key.Reveal())
	require.NoError(t, err)
	require.Equal(t, "alice", got.Tenant)
	require.True(t, got.Has(apikey.JobsRead))
	require.False(t, got.Has(apikey.JobsWrite))

	full := key.Reveal()
	for name, presented := range map[string]string{
		"empty": "", "no prefix": "abc", "short": "mrk_a_b",
		"unknown id":   strings.Replace(full, stored.ID, strings.Repeat("z", 16), 1),
		"wrong secret": full[:len(full)-1] + map[bool]string{true: "a", false: "b"}[full[len(full)-1] != 'a'],
		"upper case":   strings.ToUpper(full),
	} {
		_, err := verifier.Verify(t.Context(), presented)
		require.Equal(t, fault.AuthRequired, fault.From(err).Code, name)
	}
	now = soon
	_, err = verifier.Verify(t.Context(), full)
	require.Equal(t, fault.AuthRequired, fault.From(err).Code, "expiry holds in the cache too")
}

func TestRevokeWorksOnceAndListShowsIt(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	owner := db.Tenancy(t, postgres.Owner)
	stored, key, err := apikey.Create(t.Context(), owner, apikey.Request{Tenant: "alice", Name: "app", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	_, _, err = apikey.Create(t.Context(), owner, apikey.Request{Tenant: "bob", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)

	require.NoError(t, apikey.Revoke(t.Context(), owner, stored.ID, time.Now()))
	require.Equal(t, fault.NotFound, fault.From(apikey.Revoke(t.Context(), owner, stored.ID, time.Now())).Code)
	_, err = apikey.NewVerifier(db.Tenancy(t, postgres.Intake), time.Now).Verify(t.Context(), key.Reveal())
	require.Equal(t, fault.AuthRequired, fault.From(err).Code)

	list, err := apikey.List(t.Context(), owner, "alice")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "app", list[0].Name)
	require.NotNil(t, list[0].RevokedAt)
	all, err := apikey.List(t.Context(), owner, "")
	require.NoError(t, err)
	require.Len(t, all, 2)
}

func TestCreateRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	owner := dbtest.New(t).Tenancy(t, postgres.Owner)
	past := time.Now().Add(-time.Second)
	for name, r := range map[string]apikey.Request{
		"tenant":  {Tenant: "Alice!", Scopes: apikey.Scopes()},
		"scopes":  {Tenant: "alice"},
		"scope":   {Tenant: "alice", Scopes: []apikey.Scope{"root"}},
		"expired": {Tenant: "alice", Scopes: apikey.Scopes(), ExpiresAt: &past},
		"name":    {Tenant: "alice", Scopes: apikey.Scopes(), Name: strings.Repeat("x", 101)},
	} {
		_, _, err := apikey.Create(t.Context(), owner, r, time.Now())
		require.Equal(t, fault.InvalidInput, fault.From(err).Code, name)
	}
	list, err := apikey.List(t.Context(), owner, "")
	require.NoError(t, err)
	require.Empty(t, list)
}

package apikey_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
)

// ring is a database with a clock.
type ring struct {
	db    *dbtest.DB
	owner *postgres.Tenancy
	now   time.Time
}

func newRing(t *testing.T) *ring {
	t.Helper()
	db := dbtest.New(t)
	return &ring{db: db, owner: db.Tenancy(t, postgres.Owner), now: time.Now().UTC().Truncate(time.Microsecond)}
}

func (r *ring) create(t *testing.T, request apikey.Request) (apikey.Key, telemetry.Secret) {
	t.Helper()
	key, secret, err := apikey.Create(t.Context(), r.owner, request, r.now)
	require.NoError(t, err)
	return key, secret
}

// works asks a verifier without a memory of its own.
func (r *ring) works(t *testing.T, secret telemetry.Secret) (apikey.Key, bool) {
	t.Helper()
	key, err := apikey.NewVerifier(r.db.Tenancy(t, postgres.Intake), func() time.Time { return r.now }).Verify(t.Context(), secret.Reveal())
	return key, err == nil
}

func TestRotateLetsBothKeysWorkForTheOverlap(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	expires := r.now.Add(90 * 24 * time.Hour)
	limits := map[string]string{"payments": "100/m"}
	old, oldSecret := r.create(t, apikey.Request{Tenant: "alice", Name: "app", Scopes: []apikey.Scope{apikey.JobsRead, apikey.OpsAdmin}, Limits: limits, ExpiresAt: &expires})
	r.now = r.now.Add(time.Hour)
	keys, newSecret, err := apikey.Rotate(t.Context(), r.owner, apikey.Rotation{ID: old.ID, Overlap: 24 * time.Hour}, r.now)
	require.NoError(t, err)
	require.NotEqual(t, old.ID, keys.New.ID)
	require.Equal(t, r.now.Add(24*time.Hour), *keys.Old.ExpiresAt)
	require.Equal(t, r.now.Add(90*24*time.Hour), *keys.New.ExpiresAt, "it lives as long as the old one was to")

	_, ok := r.works(t, oldSecret)
	require.True(t, ok)
	got, ok := r.works(t, newSecret)
	require.True(t, ok)
	require.Equal(t, "alice", got.Tenant)
	require.Equal(t, old.Scopes, got.Scopes)
	require.Equal(t, limits, got.Limits)
	list, err := apikey.List(t.Context(), r.owner, "alice")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "app", list[0].Name)

	r.now = r.now.Add(24 * time.Hour)
	_, ok = r.works(t, oldSecret)
	require.False(t, ok, "the overlap is over")
	_, ok = r.works(t, newSecret)
	require.True(t, ok)
}

func TestRotateWithoutOverlapRevokesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	old, oldSecret := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	keys, newSecret, err := apikey.Rotate(t.Context(), r.owner, apikey.Rotation{ID: old.ID}, r.now)
	require.NoError(t, err)
	require.NotNil(t, keys.Old.RevokedAt)
	require.Nil(t, keys.New.ExpiresAt)
	_, ok := r.works(t, oldSecret)
	require.False(t, ok)
	_, ok = r.works(t, newSecret)
	require.True(t, ok)
}

func TestRotateNeverLengthensAKeysLife(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	soon := r.now.Add(time.Hour)
	old, _ := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), ExpiresAt: &soon})
	keys, _, err := apikey.Rotate(t.Context(), r.owner, apikey.Rotation{ID: old.ID, Overlap: 24 * time.Hour}, r.now)
	require.NoError(t, err)
	require.Equal(t, soon, keys.Old.ExpiresAt.UTC())
}

func TestRotateRefusesWhatWorksNoMore(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	soon := r.now.Add(time.Minute)
	expired, _ := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), ExpiresAt: &soon})
	revoked, _ := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	active, _ := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()})
	shredded, _ := r.create(t, apikey.Request{Tenant: "bob", Scopes: apikey.Scopes()})
	require.NoError(t, apikey.Revoke(t.Context(), r.owner, revoked.ID, r.now))
	_, err := r.db.Pool(t, postgres.Login).Exec(t.Context(), "UPDATE tenants SET shredded_at = now() WHERE id = 'bob'")
	require.NoError(t, err)
	r.now = soon
	for name, c := range map[string]struct {
		rotation apikey.Rotation
		code     fault.Code
	}{
		"expired":  {apikey.Rotation{ID: expired.ID, Overlap: time.Hour}, fault.Conflict},
		"revoked":  {apikey.Rotation{ID: revoked.ID}, fault.Conflict},
		"shredded": {apikey.Rotation{ID: shredded.ID}, fault.Conflict},
		"unknown":  {apikey.Rotation{ID: "nobody"}, fault.NotFound},
		"negative": {apikey.Rotation{ID: active.ID, Overlap: -1}, fault.InvalidInput},
		"too long": {apikey.Rotation{ID: active.ID, Overlap: apikey.MaxOverlap + 1}, fault.InvalidInput},
	} {
		_, secret, err := apikey.Rotate(t.Context(), r.owner, c.rotation, r.now)
		require.Equal(t, c.code, fault.From(err).Code, name)
		require.Empty(t, secret, name)
	}
	list, err := apikey.List(t.Context(), r.owner, "")
	require.NoError(t, err)
	require.Len(t, list, 4, "nothing new")
	_, _, err = apikey.Create(t.Context(), r.owner, apikey.Request{Tenant: "bob", Scopes: apikey.Scopes()}, r.now)
	require.Equal(t, fault.Conflict, fault.From(err).Code, "a shredded tenant gets no keys")
}

func TestLimitsHaveAForm(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	key, _ := r.create(t, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), Limits: map[string]string{"payments": "100/m", "reads": "1000/h"}})
	list, err := apikey.List(t.Context(), r.owner, "alice")
	require.NoError(t, err)
	require.Equal(t, key.Limits, list[0].Limits)
	for _, limits := range []map[string]string{
		{"payments": "0/m"}, {"payments": "100"}, {"payments": "100/w"}, {"payments": "-1/m"}, {"": "1/m"}, {"Pay Ments": "1/m"},
	} {
		_, _, err := apikey.Create(t.Context(), r.owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), Limits: limits}, r.now)
		require.Equal(t, fault.InvalidInput, fault.From(err).Code, limits)
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

func (k *keyring) tenants(t *testing.T, args ...string) outcome {
	t.Helper()
	return run(t, newTenantsCommand([]string{"DATABASE_URL=" + k.db.URL, "MILLRACE_HOME=" + t.TempDir()}, time.Now), "", args...)
}

func TestTenantsListAndSet(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	for _, tenant := range []string{"zeta", "acme"} {
		require.Equal(t, 0, k.keys(t, "create", "--tenant", tenant).code)
	}
	rows := lines(k.tenants(t, "list").stdout)
	require.Len(t, rows, 3)
	require.Regexp(t, `^TENANT +PHI +MAX WAITING JOBS +CREATED +SHREDDED$`, rows[0])
	require.Regexp(t, `^acme +mask +100000 +2030-01-31T12:00:00Z +never$`, rows[1])

	got := k.tenants(t, "set", "acme", "--phi", "strict", "--max-waiting-jobs", "5", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	tenant := decode[apikey.Tenant](t, got.stdout)
	require.Equal(t, apikey.PHIStrict, tenant.PHI)
	require.Equal(t, 5, tenant.MaxWaitingJobs)
	require.Regexp(t, `zeta +mask +100000`, k.tenants(t, "list").stdout)

	unknown := k.tenants(t, "set", "nobody", "--phi", "strict")
	require.Equal(t, exitNotFound, unknown.code, unknown.stderr)
}

func TestTenantsWrongUsage(t *testing.T) {
	t.Parallel()
	for _, try := range []struct {
		args []string
		says string
	}{
		{[]string{"set"}, "TENANT is missing"},
		{[]string{"set", "acme"}, "name at least one setting"},
		{[]string{"set", "acme", "--phi", "loose"}, "--phi must be mask or strict"},
		{[]string{"set", "acme", "--max-waiting-jobs", "-1"}, "--max-waiting-jobs must be from 0"},
		{[]string{"list", "acme"}, "no arguments"},
	} {
		t.Run(strings.Join(try.args, " "), func(t *testing.T) {
			t.Parallel()
			got := run(t, newTenantsCommand([]string{"DATABASE_URL=postgres://127.0.0.1:1/x"}, time.Now), "", try.args...)
			require.Equal(t, exitUsage, got.code, got.stderr)
			require.Contains(t, got.stderr, try.says)
		})
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	old := decode[newKey](t, k.keys(t, "create", "--json", "--tenant", "acme", "--limits", "payments=100/m,reads=5/s").stdout)
	got := k.keys(t, "rotate", old.Key, "--overlap", "7d")
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stderr, "Key "+old.ID+" works until 2030-02-07T12:00:00Z.")
	require.NotContains(t, got.stdout+got.stderr, old.Key)
	key, err := apikey.NewVerifier(k.db.Tenancy(t, postgres.Intake), noon).Verify(t.Context(), strings.TrimSuffix(got.stdout, "\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"payments": "100/m", "reads": "5/s"}, key.Limits)

	got = k.keys(t, "rotate", key.ID, "--overlap", "0")
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stderr, "Key "+key.ID+" is revoked.")
	require.Equal(t, 1, k.keys(t, "rotate", key.ID).code)
	require.Equal(t, exitNotFound, k.keys(t, "rotate", "nobody").code)
	k.now = k.now.Add(8 * 24 * time.Hour)
	require.Contains(t, k.keys(t, "rotate", old.ID).stderr, "revoked or expired")
}

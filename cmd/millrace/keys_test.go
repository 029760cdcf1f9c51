package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/program/intakeserver"
	"millrace/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// keyring runs `millrace keys` on a database of its own.
type keyring struct {
	db  *dbtest.DB
	now time.Time
}

func (k *keyring) keys(t *testing.T, args ...string) outcome {
	t.Helper()
	environ := []string{"DATABASE_URL=" + k.db.URL, "MILLRACE_HOME=" + t.TempDir()}
	return run(t, newKeysCommand(environ, func() time.Time { return k.now }), "", args...)
}

// newKey is what `keys create --json` prints.
type newKey struct {
	ID, Tenant, Name, Key string
	Scopes                []apikey.Scope
	ExpiresAt             *time.Time `json:"expires_at"`
}

func TestKeysCreatePrintsTheKeyOnce(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	got := k.keys(t, "create", "--tenant", "acme", "--name", "billing")
	require.Equal(t, 0, got.code, got.stderr)
	presented := strings.TrimSuffix(got.stdout, "\n")
	id, _, ok := apikey.Split(presented)
	require.True(t, ok, "the standard output is the key and nothing else")
	require.Contains(t, got.stderr, id)
	require.Contains(t, got.stderr, "jobs:read,jobs:write,metrics:write")
	require.Contains(t, got.stderr, "not stored")
	require.NotContains(t, got.stderr, presented)

	key, err := apikey.NewVerifier(k.db.Tenancy(t, postgres.Intake), noon).Verify(t.Context(), presented)
	require.NoError(t, err)
	require.Equal(t, "acme", key.Tenant)
	require.Equal(t, []apikey.Scope{apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite}, key.Scopes)
	require.Nil(t, key.ExpiresAt)

	require.NotContains(t, k.keys(t, "list").stdout, presented)
}

func TestKeysCreateWithScopesAndExpiry(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	for expires, want := range map[string]time.Time{
		"90d": noon().Add(90 * 24 * time.Hour).Truncate(time.Second), "12h": noon().Add(12 * time.Hour).Truncate(time.Second),
		"2031-01-31T10:00:00+01:00": time.Date(2031, 1, 31, 9, 0, 0, 0, time.UTC),
	} {
		got := k.keys(t, "create", "--tenant", "acme", "--scopes", "jobs:read, ops:admin", "--expires", expires, "--json")
		require.Equal(t, 0, got.code, got.stderr)
		key := decode[newKey](t, got.stdout)
		require.Equal(t, []apikey.Scope{apikey.JobsRead, apikey.OpsAdmin}, key.Scopes)
		require.Equal(t, want, key.ExpiresAt.UTC())
		require.True(t, strings.HasPrefix(key.Key, "mrk_"+key.ID+"_"))
	}
}

// Nobody makes an operator's key without asking for it, nor without hearing what it is.
func TestKeysCreateForAnOperator(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	got := k.keys(t, "create", "--tenant", "acme")
	require.Equal(t, 0, got.code, got.stderr)
	require.NotContains(t, got.stderr, "ops:console")
	require.NotContains(t, got.stderr, "all tenants")
	got = k.keys(t, "create", "--tenant", "operations", "--scopes", "ops:console")
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stderr, "all tenants")
}

func TestKeysListAndRevoke(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: noon()}
	create := func(args ...string) newKey {
		got := k.keys(t, append([]string{"create", "--json"}, args...)...)
		require.Equal(t, 0, got.code, got.stderr)
		k.now = k.now.Add(time.Minute)
		return decode[newKey](t, got.stdout)
	}
	old := create("--tenant", "acme", "--expires", "1h", "--name", "old one")
	gone := create("--tenant", "acme")
	other := create("--tenant", "zeta")
	k.now = k.now.Add(time.Hour)

	got := k.keys(t, "revoke", gone.Key)
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stdout, gone.ID)
	require.NotContains(t, got.stdout, gone.Key)
	again := k.keys(t, "revoke", gone.ID)
	require.Equal(t, exitNotFound, again.code)
	require.Equal(t, 1, strings.Count(again.stderr, "\n"))

	rows := lines(k.keys(t, "list").stdout)
	require.Len(t, rows, 4)
	require.Regexp(t, `^ID +TENANT +STATUS +SCOPES +CREATED +EXPIRES +LAST USED +NAME$`, rows[0])
	require.Regexp(t, `^`+other.ID+` +zeta +active +jobs:read,jobs:write,metrics:write +2030-01-31T12:02:00Z +never +never$`, rows[1])
	require.Regexp(t, `^`+gone.ID+` +acme +revoked +jobs:read,jobs:write,metrics:write +2030-01-31T12:01:00Z +never +never$`, rows[2])
	require.Regexp(t, `^`+old.ID+` +acme +expired +jobs:read,jobs:write,metrics:write +2030-01-31T12:00:00Z +2030-01-31T13:00:00Z +never +old one$`, rows[3])

	ofTenant := lines(k.keys(t, "list", "--tenant", "zeta", "--json").stdout)
	require.Len(t, ofTenant, 1)
	require.Equal(t, other.ID, decode[newKey](t, ofTenant[0]).ID)

	revoked := decode[map[string]any](t, k.keys(t, "revoke", other.ID, "--json").stdout)
	require.Equal(t, other.ID, revoked["id"])
	require.NotEmpty(t, revoked["revoked_at"])
}

func TestKeysWrongUsage(t *testing.T) {
	t.Parallel()
	for _, try := range []struct {
		args []string
		says string
	}{
		{[]string{"make"}, "there are create, list, rotate, revoke"},
		{[]string{"create"}, "--tenant is missing"},
		{[]string{"create", "acme", "--tenant", "acme"}, "no arguments"},
		{[]string{"create", "--tenant", "acme", "--expires", "never"}, "--expires must look like"},
		{[]string{"create", "--tenant", "acme", "--expires", "2020-01-01T00:00:00Z"}, "--expires must be in the future"},
		{[]string{"create", "--tenant", "Acme Inc."}, "--tenant must have"},
		{[]string{"create", "--tenant", "acme", "--scopes", "everything,all"}, "--scopes must be of [jobs:read"},
		{[]string{"create", "--tenant", "acme", "--limits", "payments=fast"}, "--limits payments must look like"},
		{[]string{"list", "acme"}, "no arguments"},
		{[]string{"rotate"}, "the ID of a key is missing"},
		{[]string{"rotate", "k7q2m5x4w3v6z2y5", "--overlap", "soon"}, "--overlap must look like"},
		{[]string{"rotate", "k7q2m5x4w3v6z2y5", "--overlap", "91d"}, "--overlap must be from 0 to 90d"},
		{[]string{"revoke"}, "the ID of a key is missing"},
	} {
		t.Run(strings.Join(try.args, " "), func(t *testing.T) {
			t.Parallel()
			// Nothing listens there: usage is wrong before the database is asked.
			environ := []string{"DATABASE_URL=postgres://127.0.0.1:1/millrace", "MILLRACE_HOME=" + t.TempDir()}
			got := run(t, newKeysCommand(environ, noon), "", try.args...)
			assert.Equal(t, exitUsage, got.code, got.stderr)
			assert.Contains(t, got.stderr, try.says)
			assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line")
		})
	}
}

func TestKeysSayWhatIsWrongWithTheDatabase(t *testing.T) {
	t.Parallel()
	empty := dbtest.NewEmpty(t)
	nowhere := strings.Replace(empty.URL, "/millrace_test_", "/nowhere_", 1)
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "dev.env"), []byte("DATABASE_URL=postgres://dev:hunter2@127.0.0.1:1/millrace\n"), 0o600))
	for name, try := range map[string]struct {
		environ []string
		says    []string
	}{
		"not set":       {[]string{"MILLRACE_HOME=" + t.TempDir()}, []string{"DATABASE_URL is not set", "millrace dev"}},
		"not a URL":     {[]string{"DATABASE_URL=postgres://a:hunter2@b:c/d"}, []string{"DATABASE_URL is not a valid", "from the environment"}},
		"unreachable":   {[]string{"MILLRACE_HOME=" + home}, []string{"cannot be reached", "dev.env"}},
		"not migrated":  {[]string{"DATABASE_URL=" + empty.URL}, []string{"`millrace migrate up`"}},
		"no such thing": {[]string{"DATABASE_URL=" + nowhere}, []string{"does not exist", "`millrace migrate up`"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, newKeysCommand(try.environ, noon), "", "list")
			assert.Equal(t, 1, got.code)
			for _, text := range try.says {
				assert.Contains(t, got.stderr, text)
			}
			assert.NotContains(t, got.stderr, "hunter2")
			assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line: %s", got.stderr)
		})
	}
}

func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	for state, says := range map[string]string{
		"28P01": "password", "28000": "password", "3D000": "create it", "22023": "migrate up", "42P01": "migrate up",
		"42501": "millrace_owner", "XX000": "SQLSTATE XX000",
	} {
		require.Contains(t, refusal(state), says)
	}
}

// TestKeysAndJobsWorkTogether runs the commands against the real API, without
// workers.
func TestKeysAndJobsWorkTogether(t *testing.T) {
	t.Parallel()
	k := &keyring{db: dbtest.New(t), now: time.Now()}
	url := serveAPI(t, k.db)
	key := func(tenant, scopes string) string {
		got := k.keys(t, "create", "--tenant", tenant, "--scopes", scopes)
		require.Equal(t, 0, got.code, got.stderr)
		return strings.TrimSpace(got.stdout)
	}
	jobs := func(key string, args ...string) outcome {
		environ := []string{"MILLRACE_URL=" + url, "MILLRACE_API_KEY=" + key, "MILLRACE_HOME=" + t.TempDir()}
		return run(t, newJobsCommand(environ, time.Now), "", args...)
	}
	acme, other, reader := key("acme", "jobs:read,jobs:write"), key("zeta", "jobs:read,jobs:write"), key("acme", "jobs:read")

	submit := []string{
		"submit", "payment_capture", "--args", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`,
		"--key", "order-17", "--at", time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339),
	}
	got := jobs(acme, append(submit, "--json")...)
	require.Equal(t, 0, got.code, got.stderr)
	id := decode[struct{ Job struct{ ID string } }](t, got.stdout).Job.ID
	require.Contains(t, jobs(acme, submit...).stdout, "job "+id+" was submitted before")

	require.Contains(t, jobs(acme, "get", id).stdout, "scheduled")
	require.Len(t, lines(jobs(acme, "list", "--state", "scheduled").stdout), 2)
	require.Len(t, lines(jobs(other, "list").stdout), 1, "another tenant's list is empty")
	require.Equal(t, exitNotFound, jobs(other, "get", id).code)
	require.Equal(t, exitNotFound, jobs(other, "cancel", id).code)
	require.Equal(t, 1, jobs(acme, "retry", id).code, "it is not discarded")
	denied := jobs(reader, "cancel", id)
	require.Equal(t, 1, denied.code)
	require.Contains(t, denied.stderr, "jobs:write")

	require.Equal(t, 0, jobs(acme, "cancel", id).code)
	watched := jobs(acme, "watch", id)
	require.Equal(t, exitJobFailed, watched.code)
	require.Contains(t, watched.stderr, "JOB_CANCELLED")

	invalid := jobs(acme, "submit", "payment_capture", "--args", `{"amount":-1,"currency":"xxx!"}`)
	require.Equal(t, 1, invalid.code)
	require.Contains(t, invalid.stderr, "payment_method")
	unknown := jobs(acme, "submit", "make_coffee")
	require.Equal(t, 1, unknown.code)
	require.Contains(t, unknown.stderr, "payment_capture")
	require.Contains(t, jobs("mrk_nobodys", "list").stderr, "refuses the key")
}

// serveAPI runs the intake program until the test ends.
func serveAPI(t *testing.T, db *dbtest.DB) (url string) {
	t.Helper()
	listener, err := program.Listen(t.Context(), "", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- intakeserver.Run(ctx, intakeserver.Options{
			DatabaseURL: telemetry.Secret(db.URL), Listener: listener, Logger: dbtest.Logger(t), Registry: telemetry.NewRegistry("test"),
		})
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	return "http://" + listener.Addr().String()
}

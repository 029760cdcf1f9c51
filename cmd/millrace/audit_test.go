package main

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// auditor runs `millrace audit` on a database of its own, with a log of four entries
// of alice's and one of bob's.
type auditor struct {
	*keyring

	t       *testing.T
	environ []string
}

func newAuditor(t *testing.T) *auditor {
	t.Helper()
	a := &auditor{keyring: &keyring{db: dbtest.New(t), now: noon()}, t: t}
	a.environ = []string{"DATABASE_URL=" + a.db.URL, "MILLRACE_HOME=" + t.TempDir()}
	for _, args := range [][]string{{"alice", "one"}, {"alice", "two"}, {"alice", "three"}, {"bob", "one"}} {
		got := a.keys(t, "create", "--tenant", args[0], "--name", args[1])
		require.Equal(t, 0, got.code, got.stderr)
	}
	a.seal()
	return a
}

func (a *auditor) seal() {
	a.t.Helper()
	_, err := audit.Seal(a.t.Context(), a.db.Tenancy(a.t, postgres.Worker), 100)
	require.NoError(a.t, err)
}

func (a *auditor) audit(stdin string, args ...string) outcome {
	a.t.Helper()
	return run(a.t, newAuditCommand(a.environ, time.Now), stdin, args...)
}

func (a *auditor) tamper(sql string) {
	a.t.Helper()
	_, err := a.db.Pool(a.t, postgres.Login).Exec(a.t.Context(), "SET session_replication_role = replica; "+sql)
	require.NoError(a.t, err)
}

func TestAuditExportIsVerifiedOffline(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	exported := a.audit("", "export", "--tenant", "alice")
	require.Equal(t, 0, exported.code, exported.stderr)
	rows := lines(exported.stdout)
	require.Len(t, rows, 4)
	require.Len(t, lines(a.audit("", "export").stdout), 6)
	require.Empty(t, a.audit("", "export", "--to", "2020-01-31").stdout)
	require.Len(t, lines(a.audit("", "export", "--from", "2020-01-31T09:30:00Z").stdout), 6)

	// The operator is in it, with the machine.
	login, err := user.Current()
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	entry := decode[audit.Sealed](t, rows[1])
	require.Equal(t, "operator:"+login.Username, entry.Actor)
	require.Equal(t, host, entry.Source)
	require.Equal(t, "api_key", entry.ResourceType)
	require.NotContains(t, exported.stdout, `"one"`, "a key's name may be a person's")

	path := filepath.Join(t.TempDir(), "alice.ndjson")
	require.NoError(t, os.WriteFile(path, []byte(exported.stdout), 0o600))
	offline := &auditor{t: t, environ: []string{"MILLRACE_HOME=" + t.TempDir()}} // no database anywhere
	got := offline.audit("", "verify", path)
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, []string{
		"alice: 4 entries read, 1 to 4; head alice:4:" + decode[audit.Sealed](t, rows[3]).Hash.String(), "The audit log holds.",
	}, lines(got.stdout))
	require.Empty(t, got.stderr)
	require.Equal(t, 0, offline.audit(exported.stdout, "verify", "-").code)

	got = offline.audit(rows[0]+"\n"+rows[2]+"\n"+rows[3]+"\n", "verify", "-")
	require.Equal(t, 1, got.code)
	require.Equal(t, "alice: entry 2 is missing, and later ones are there", lines(got.stdout)[0])
	require.Equal(t, "millrace: the audit log does not hold: 1 problems\n", got.stderr)
	got = offline.audit(rows[0]+"\n"+strings.Replace(rows[1], "operator:", "operator:x", 1), "verify", "-", "--json")
	require.Equal(t, 1, got.code)
	report := decode[struct {
		Holds bool `json:"holds"`
		audit.Report
	}](t, got.stdout)
	require.False(t, report.Holds)
	require.Equal(t, audit.Changed, report.Problems[0].Finding)
	require.EqualValues(t, 2, report.Problems[0].First)

	got = offline.audit("", "verify", filepath.Join(t.TempDir(), "nothing"))
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "the file cannot be used")
	require.Equal(t, exitNotFound, offline.audit(exported.stdout, "verify", "-", "--tenant", "carol").code)
}

func TestAuditVerifiesTheDatabase(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	got := a.audit("", "verify")
	require.Equal(t, 0, got.code, got.stderr)
	require.Len(t, lines(got.stdout), 3)
	heads := lines(a.audit("", "head").stdout)
	require.Len(t, heads, 2)
	require.Regexp(t, `^alice:4:[0-9a-f]{64}$`, heads[0])
	require.Equal(t, decode[audit.Head](t, a.audit("", "head", "--tenant", "alice", "--json").stdout).String(), heads[0])
	_, short, _ := strings.Cut(heads[0], ":")
	for _, args := range [][]string{{"--head", heads[0], "--head", heads[1]}, {"--tenant", "alice", "--head", short}, {"--tenant", "alice", "--head", heads[0]}} {
		require.Equal(t, 0, a.audit("", append([]string{"verify"}, args...)...).code, args)
	}
	for _, args := range [][]string{
		{"--head", short},
		{"--head", "alice:x:" + strings.Repeat("0", 64)},
		{"--head", "alice:0:" + strings.Repeat("0", 64)},
		{"--head", "alice:1:ff"},
		{"--tenant", "bob", "--head", heads[0]},
		{"a", "b"},
		{"--nonsense"},
	} {
		require.Equal(t, exitUsage, a.audit("", append([]string{"verify"}, args...)...).code, args)
	}
	require.Equal(t, exitNotFound, a.audit("", "verify", "--tenant", "carol").code)
	require.Equal(t, exitNotFound, a.audit("", "head", "--tenant", "carol").code)

	// Cut, with the head moved back: the log holds by itself, and not with what was noted.
	a.tamper(`DELETE FROM audit_log WHERE tenant_id = 'alice' AND seq = 4;
		UPDATE audit_heads AS h SET seq = 3, hash = l.hash FROM audit_log AS l WHERE h.tenant_id = 'alice' AND l.tenant_id = 'alice' AND l.seq = 3`)
	require.Equal(t, 0, a.audit("", "verify").code)
	got = a.audit("", "verify", "--head", heads[0])
	require.Equal(t, 1, got.code)
	require.Equal(t, "alice: the tail is cut: by the head that was noted, entry 4 is missing", lines(got.stdout)[0])
}

func TestAuditListShowsTheNewestFirst(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	rows := lines(a.audit("", "list", "--tenant", "alice").stdout)
	require.Len(t, rows, 5)
	require.Regexp(t, `^AT +TENANT +SEQ +ACTOR +FROM +ACTION +ON +OUTCOME +DETAILS$`, rows[0])
	require.Regexp(t, `^\S+Z +alice +4 +operator:\S+ +\S+ +created +api_key \S{16} +done +after\.scopes=\{jobs:read,jobs:write,metrics:write\}$`, rows[1])
	require.Regexp(t, `^\S+Z +alice +1 .* created +tenant alice +done +after\.max_waiting_jobs=100000,after\.phi=mask$`, rows[4])
	require.Len(t, lines(a.audit("", "list", "--limit", "2").stdout), 3)
	newest := decode[audit.Sealed](t, lines(a.audit("", "list", "--tenant", "alice", "--json").stdout)[0])
	require.EqualValues(t, 4, newest.Seq)
	require.Equal(t, exitUsage, a.audit("", "list", "--limit", "0").code)
	require.Equal(t, exitUsage, a.audit("", "export", "--from", "yesterday").code)
}

func TestAuditRetentionIsSetInYears(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	require.Equal(t, "entries are kept for 6 years\n", a.audit("", "retention").stdout)
	require.Equal(t, "entries are kept for 10 years\n", a.audit("", "retention", "--years", "10").stdout)
	require.Equal(t, 10, decode[map[string]int](t, a.audit("", "retention", "--json").stdout)["years"])
	for _, wrong := range []string{"0", "-1", "101"} {
		require.Equal(t, exitUsage, a.audit("", "retention", "--years", wrong).code, wrong)
	}
	a.seal()
	require.Contains(t, a.audit("", "list", "--tenant", audit.Platform).stdout, "after.keep_years=10,before.keep_years=6")
}

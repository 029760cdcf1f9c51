package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// book is an audit log on a database of its own.
type book struct {
	t      *testing.T
	login  *pgxpool.Pool
	intake *postgres.Tenancy
	worker *postgres.Tenancy
	owner  *postgres.Tenancy
}

func newBook(t *testing.T) *book {
	t.Helper()
	db := dbtest.New(t)
	return &book{
		t: t, login: db.Pool(t, postgres.Login),
		intake: db.Tenancy(t, postgres.Intake), worker: db.Tenancy(t, postgres.Worker), owner: db.Tenancy(t, postgres.Owner),
	}
}

// as returns a context in which somebody acts.
func (b *book) as(name string) context.Context {
	return postgres.WithActor(b.t.Context(), postgres.Actor{Name: name, Source: "192.0.2.7", RequestID: "req-1"})
}

// write records n entries of a tenant.
func (b *book) write(tenant string, n int) {
	b.t.Helper()
	for i := range n {
		require.NoError(b.t, audit.Record(b.as("key:k"), b.intake, tenant, audit.Entry{
			Action: "read", ResourceType: "score", ResourceID: fmt.Sprint(i), Outcome: audit.Done, Details: audit.Details{"reason": "support"},
		}))
	}
}

// seal seals all that waits.
func (b *book) seal() (total int64) {
	b.t.Helper()
	for {
		n, err := audit.Seal(b.t.Context(), b.worker, 3)
		require.NoError(b.t, err)
		if n == 0 {
			return total
		}
		total += n
	}
}

func (b *book) exec(sql string) {
	b.t.Helper()
	_, err := b.login.Exec(b.t.Context(), sql)
	require.NoError(b.t, err, sql)
}

// sealed returns the entries of a tenant, all sealed.
func (b *book) sealed(tenant string) (entries []audit.Sealed) {
	b.t.Helper()
	b.seal()
	require.NoError(b.t, audit.Export(b.t.Context(), b.owner, audit.Range{Tenant: tenant}, func(e *audit.Sealed) error {
		entries = append(entries, *e)
		return nil
	}))
	return entries
}

func (b *book) verify(opts audit.VerifyOptions) audit.Report {
	b.t.Helper()
	report, err := audit.Verify(b.t.Context(), b.owner, opts)
	require.NoError(b.t, err)
	return report
}

func TestRecordSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	ctx := postgres.WithActor(t.Context(), postgres.Actor{Name: "key:abc", Source: "192.0.2.7", RequestID: "req-9"})
	require.NoError(t, audit.Record(ctx, b.intake, "alice", audit.Entry{
		Action: "revealed", ResourceType: "conversation", ResourceID: "c1", Outcome: audit.Done, Details: audit.Details{"reason": "dispute"},
	}))
	require.NoError(t, audit.Record(t.Context(), b.worker, "", audit.Entry{Action: "started", ResourceType: "worker", Outcome: audit.Done}))
	got := b.sealed("alice")
	require.Len(t, got, 1)
	require.Equal(t, audit.Entry{
		Action: "revealed", ResourceType: "conversation", ResourceID: "c1", Outcome: "done", Details: audit.Details{"reason": "dispute"},
	}, got[0].Entry)
	require.Equal(t, []string{"key:abc", "192.0.2.7", "req-9", "millrace_intake", "program"},
		[]string{got[0].Actor, got[0].Source, got[0].RequestID, got[0].Role, got[0].Origin})
	require.False(t, got[0].SealedAt.Before(got[0].At))

	of := b.sealed(audit.Platform)
	require.Len(t, of, 1, "what belongs to no tenant")
	require.Equal(t, "role:millrace_worker", of[0].Actor, "nobody said who it was")
	require.EqualValues(t, 1, of[0].Seq)
}

func TestRecordRefusesWhatIsNoEntry(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	long := strings.Repeat("x", 201)
	for _, e := range []audit.Entry{
		{Action: long}, {ResourceType: long}, {ResourceID: long}, {Outcome: long}, {Details: audit.Details{"x": strings.Repeat("x", 4000)}},
	} {
		require.Error(t, audit.Record(t.Context(), b.intake, "alice", e))
	}
	b.exec("SELECT set_config('millrace.tenant', 'alice', false)")
	for _, details := range []string{`{"a":1}`, `{"a":null}`, `{"a":{"b":"c"}}`, `[]`} {
		_, err := b.login.Exec(t.Context(), `SELECT millrace_audit('a', 'b', 'c', 'd', $1)`, details)
		require.Error(t, err, details)
	}
	require.Zero(t, b.seal())
}

// What Postgres hashed, Go hashes, whatever is in the fields.
func TestGoAndSQLHashAlike(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	odd := []string{
		"", " ", "\n", "a\r\nb\tc", "naïve", "日本語", "😀👩‍👩‍👧", "e\u0301", "\u2028", "1:x,2:", `"\'`, "\u007f\u0001", strings.Repeat("ß", 100), "\ufeff", "<script>&",
	}
	for i, text := range odd {
		ctx := postgres.WithActor(t.Context(), postgres.Actor{Name: text, Source: text, RequestID: text})
		details := audit.Details{text: text, "b": odd[(i+1)%len(odd)], "a": "", "Z": "z", "é": "é", "": "empty"}
		require.NoError(t, audit.Record(ctx, b.intake, "alice", audit.Entry{Action: text, ResourceType: text, ResourceID: text, Outcome: text, Details: details}))
	}
	require.NoError(t, audit.Record(t.Context(), b.intake, "alice", audit.Entry{}))
	got := b.sealed("alice")
	require.Len(t, got, len(odd)+1)
	prev := audit.Hash{}
	for i, e := range got {
		require.Equal(t, e.Hash, e.Compute(), "%q", e.Action)
		require.Equal(t, prev, e.PrevHash)
		require.EqualValues(t, i+1, e.Seq)
		if i < len(odd) {
			require.Equal(t, odd[i], e.Action)
			require.Equal(t, odd[i], e.Source)
			require.Equal(t, "é", e.Details["é"])
		}
		prev = e.Hash
	}
	require.True(t, b.verify(audit.VerifyOptions{}).Holds())
	heads, err := audit.Heads(t.Context(), b.owner, "alice")
	require.NoError(t, err)
	require.Equal(t, []audit.Head{{Tenant: "alice", Seq: int64(len(got)), Hash: prev}}, heads)
}

// Two entries that differ in where one field ends and the next begins differ in their hash.
func TestFieldsDoNotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	one := audit.Sealed{Tenant: "ab", Actor: "c"}
	two := audit.Sealed{Tenant: "a", Actor: "bc"}
	require.NotEqual(t, one.Compute(), two.Compute())
	one = audit.Sealed{Entry: audit.Entry{Details: audit.Details{"a": "1:b,"}}}
	two = audit.Sealed{Entry: audit.Entry{Details: audit.Details{"a1:": "b"}}}
	require.NotEqual(t, one.Compute(), two.Compute())
}

func TestRetentionIsSetByTheOwnerAndAudited(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	years, err := audit.Retention(t.Context(), b.owner, 0)
	require.NoError(t, err)
	require.Equal(t, 6, years)
	years, err = audit.Retention(b.as("operator:ada"), b.owner, 7)
	require.NoError(t, err)
	require.Equal(t, 7, years)
	for _, wrong := range []int{101} {
		_, err = audit.Retention(t.Context(), b.owner, wrong)
		require.Error(t, err)
	}
	got := b.sealed(audit.Platform)
	require.Len(t, got, 1)
	require.Equal(t, "operator:ada", got[0].Actor)
	require.Equal(t, audit.Details{"before.keep_years": "6", "after.keep_years": "7"}, got[0].Details)
}

// A null would be hashed as the empty text is, so that one could stand for the other.
func TestDetailsAreTextsAlone(t *testing.T) {
	t.Parallel()
	var details audit.Details
	require.NoError(t, json.Unmarshal([]byte(`{"a":"","b":"x"}`), &details))
	require.Equal(t, audit.Details{"a": "", "b": "x"}, details)
	for _, wrong := range []string{`{"a":null}`, `{"a":1}`, `{"a":{}}`, `[]`, `null`, `"a"`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &details), wrong)
	}
}

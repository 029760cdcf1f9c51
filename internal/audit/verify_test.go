package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
)

// tamper changes the log as a superuser who knows how.
func (b *book) tamper(sql string, args ...any) {
	b.t.Helper()
	tx, err := b.login.Begin(b.t.Context())
	require.NoError(b.t, err)
	defer func() { _ = tx.Rollback(b.t.Context()) }()
	_, err = tx.Exec(b.t.Context(), "SET LOCAL session_replication_role = replica")
	require.NoError(b.t, err)
	tag, err := tx.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err, sql)
	require.Positive(b.t, tag.RowsAffected(), sql)
	require.NoError(b.t, tx.Commit(b.t.Context()))
}

func findings(report audit.Report) (list []string) {
	for _, p := range report.Problems {
		list = append(list, fmt.Sprintf("%s %s %d-%d", p.Tenant, p.Finding, p.First, p.Last))
	}
	return list
}

func TestAnUntouchedLogHolds(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	require.True(t, b.verify(audit.VerifyOptions{}).Holds(), "nothing is right, too")
	b.write("alice", 5)
	b.write("bob", 2)
	b.write("", 1)
	require.EqualValues(t, 8, b.seal())
	b.write("alice", 1) // and one that waits
	report := b.verify(audit.VerifyOptions{})
	require.Empty(t, report.Problems)
	require.Len(t, report.Chains, 3)
	require.Equal(t, []string{"-", "alice", "bob"}, []string{report.Chains[0].Tenant, report.Chains[1].Tenant, report.Chains[2].Tenant})
	require.EqualValues(t, 5, report.Chains[1].Entries)
	require.Len(t, b.verify(audit.VerifyOptions{Tenant: "bob"}).Chains, 1)
}

// Every column is under the hash.
func TestAChangeOfAnyColumnIsFound(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 6)
	b.seal()
	rows, err := b.login.Query(t.Context(), `SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = 'audit_log'`)
	require.NoError(t, err)
	columns := map[string]string{}
	for rows.Next() {
		var name, kind string
		require.NoError(t, rows.Scan(&name, &kind))
		columns[name] = kind
	}
	require.NoError(t, rows.Err())
	require.Len(t, columns, 16)
	for name, kind := range columns {
		var value string
		switch {
		case name == "tenant_id" || name == "seq":
			continue // tested as dropped and reordered rows
		case kind == "text":
			value = name + " || ' '"
		case kind == "bytea":
			value = "set_byte(" + name + ", 31, get_byte(" + name + ", 31) # 1)"
		case kind == "jsonb":
			value = `details || '{"reason":"another"}'`
		default:
			value = name + " + interval '1 microsecond'"
		}
		b.exec("CREATE TABLE before AS SELECT * FROM audit_log WHERE seq = 3")
		b.tamper("UPDATE audit_log SET " + name + " = " + value + " WHERE tenant_id = 'alice' AND seq = 3")
		report := b.verify(audit.VerifyOptions{})
		require.Equal(t, []string{"alice changed 3-3"}, findings(report), name)
		require.Equal(t, "entry 3 was changed: its contents do not have its hash", report.Problems[0].Message)
		b.tamper("UPDATE audit_log AS l SET " + name + " = b." + name + " FROM before AS b WHERE l.tenant_id = 'alice' AND l.seq = 3")
		b.exec("DROP TABLE before")
		require.True(t, b.verify(audit.VerifyOptions{}).Holds(), name)
	}
	for _, details := range []string{`{"reason":null}`, `{"reason":1}`, `[]`, `null`, `{}`, `{"reason":"support","more":""}`} {
		b.tamper("UPDATE audit_log SET details = $1 WHERE tenant_id = 'alice' AND seq = 3", details)
		require.Equal(t, []string{"alice changed 3-3"}, findings(b.verify(audit.VerifyOptions{})), details)
	}
}

func TestTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql     string
		want    []string
		message string
	}{
		"a row dropped":  {"DELETE FROM audit_log WHERE tenant_id = 'alice' AND seq = 3", []string{"alice missing 3-3"}, "entry 3 is missing, and later ones are there"},
		"rows dropped":   {"DELETE FROM audit_log WHERE tenant_id = 'alice' AND seq IN (3, 4, 6)", []string{"alice missing 3-4", "alice missing 6-6"}, "entries 3 to 4 are missing, and later ones are there"},
		"the first gone": {"DELETE FROM audit_log WHERE tenant_id = 'alice' AND seq < 3", []string{"alice missing 1-2"}, "entries 1 to 2 are missing, and later ones are there"},
		"two swapped": {
			"UPDATE audit_log SET seq = 7 - seq WHERE tenant_id = 'alice' AND seq IN (3, 4)",
			[]string{"alice reordered 3-3", "alice reordered 4-4"},
			"entry 3 was reordered: what stands in its place was entry 4",
		},
		"contents swapped": {
			`UPDATE audit_log AS l SET resource_id = o.resource_id FROM audit_log AS o
				WHERE l.tenant_id = 'alice' AND o.tenant_id = 'alice' AND l.seq IN (3, 4) AND o.seq = 7 - l.seq`,
			[]string{"alice changed 3-3", "alice changed 4-4"},
			"entry 3 was changed: its contents do not have its hash",
		},
		"put at the end": {
			"UPDATE audit_log SET seq = 9 WHERE tenant_id = 'alice' AND seq = 3",
			[]string{"alice reordered 9-9", "alice wrong_head 9-9", "alice missing 3-3"},
			"entry 9 was reordered: what stands in its place was entry 3",
		},
		"the tail cut": {
			"DELETE FROM audit_log WHERE tenant_id = 'alice' AND seq > 5",
			[]string{"alice cut_tail 6-8"},
			"the tail is cut: by the chain's head, entries 6 to 8 are missing",
		},
		"all gone": {
			"DELETE FROM audit_log WHERE tenant_id = 'alice'",
			[]string{"alice cut_tail 1-8"},
			"the tail is cut: by the chain's head, entries 1 to 8 are missing",
		},
		"the head set back": {
			`UPDATE audit_heads AS h SET seq = 5, hash = l.hash FROM audit_log AS l WHERE h.tenant_id = 'alice' AND l.tenant_id = 'alice' AND l.seq = 5`,
			[]string{"alice wrong_head 6-8"},
			"the chain's head was changed: it says entry 5, and the last is entry 8",
		},
		"the head's hash": {
			`UPDATE audit_heads SET hash = sha256('') WHERE tenant_id = 'alice'`,
			[]string{"alice wrong_head 8-8"},
			"the chain's head was changed, or entry 8 was: their hashes differ",
		},
		"the head gone": {
			"DELETE FROM audit_heads WHERE tenant_id = 'alice'",
			[]string{"alice wrong_head 0-0"},
			"the chain's head is missing, so that a cut tail would not be seen",
		},
		"an anchor made up": {
			`INSERT INTO audit_anchors SELECT tenant_id, 2, sha256(''), now() FROM audit_heads WHERE tenant_id = 'alice'`,
			[]string{"alice reordered 1-1", "alice reordered 2-2", "alice wrong_anchor 3-3"},
			"",
		},
		"a row doubled": {
			`INSERT INTO audit_log SELECT tenant_id, seq, at, sealed_at + interval '1 microsecond', actor, source, request_id, role, origin, action,
				resource_type, resource_id, outcome, details, prev_hash, hash FROM audit_log WHERE tenant_id = 'alice' AND seq = 3`,
			[]string{"alice reordered 3-3"},
			"entry 3 is there twice, or before the chain's begin: it comes after entry 3",
		},
		"moved to another tenant": {
			"UPDATE audit_log SET tenant_id = 'bob' WHERE tenant_id = 'alice' AND seq = 8",
			[]string{"bob wrong_head 0-0", "bob changed 8-8", "alice cut_tail 8-8"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.write("alice", 8)
			b.write("carol", 3)
			b.seal()
			b.tamper(c.sql)
			report := b.verify(audit.VerifyOptions{})
			require.ElementsMatch(t, c.want, findings(report))
			if c.message != "" {
				require.Equal(t, c.message, report.Problems[0].Message)
			}
			require.False(t, report.Holds())
		})
	}
}

// Who can change everything can write a whole chain anew, so that it holds in itself:
// what was noted elsewhere tells.
func TestANotedHeadFindsWhatTheChainCannot(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 6)
	entries := b.sealed("alice")
	noted := audit.Head{Tenant: "alice", Seq: 4, Hash: entries[3].Hash}
	require.True(t, b.verify(audit.VerifyOptions{Noted: []audit.Head{noted}}).Holds())

	// One row replaced by one that is whole in itself.
	forged := entries[3]
	forged.ResourceID = "forged"
	forged.Hash = forged.Compute()
	b.tamper("UPDATE audit_log SET resource_id = 'forged', hash = $1 WHERE seq = 4", forged.Hash[:])
	require.Equal(t, []string{"alice replaced 4-5"}, findings(b.verify(audit.VerifyOptions{})))

	// And all that follow.
	for i := 4; i < len(entries); i++ {
		next := entries[i]
		next.PrevHash = forged.Hash
		next.Hash = next.Compute()
		b.tamper("UPDATE audit_log SET prev_hash = $1, hash = $2 WHERE seq = $3", next.PrevHash[:], next.Hash[:], next.Seq)
		forged = next
	}
	b.tamper("UPDATE audit_heads SET hash = $1 WHERE tenant_id = 'alice'", forged.Hash[:])
	require.True(t, b.verify(audit.VerifyOptions{}).Holds(), "the chain itself cannot tell")
	report := b.verify(audit.VerifyOptions{Noted: []audit.Head{noted}})
	require.Equal(t, []string{"alice wrong_head 4-4"}, findings(report))
	require.Contains(t, report.Problems[0].Message, "written anew")

	// A tail that is cut together with the head.
	b.tamper("DELETE FROM audit_log WHERE seq > 2")
	b.tamper("UPDATE audit_heads SET seq = 2, hash = $1 WHERE tenant_id = 'alice'", entries[1].Hash[:])
	require.True(t, b.verify(audit.VerifyOptions{}).Holds())
	report = b.verify(audit.VerifyOptions{Noted: []audit.Head{noted, {Tenant: "nobody", Seq: 1}}})
	require.Equal(t, []string{"alice cut_tail 3-4", "nobody cut_tail 1-1"}, findings(report))
	require.Equal(t, "the tail is cut: by the head that was noted, entries 3 to 4 are missing", report.Problems[0].Message)
}

// export returns the log as NDJSON lines.
func (b *book) export(of audit.Range) []string {
	b.t.Helper()
	b.seal()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	require.NoError(b.t, audit.Export(b.t.Context(), b.owner, of, func(e *audit.Sealed) error { return encoder.Encode(e) }))
	return slices.Collect(strings.Lines(text.String()))
}

func TestAnExportIsVerifiedWithoutADatabase(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 6)
	b.write("bob", 2)
	lines := b.export(audit.Range{})
	require.Len(t, lines, 8)
	check := func(lines []string, opts audit.VerifyOptions) audit.Report {
		report, err := audit.VerifyExport(strings.NewReader(strings.Join(lines, "")), opts)
		require.NoError(t, err)
		return report
	}
	report := check(lines, audit.VerifyOptions{})
	require.Empty(t, report.Problems)
	require.Len(t, report.Chains, 2)
	require.EqualValues(t, 6, report.Chains[0].Entries)
	require.Len(t, check(lines, audit.VerifyOptions{Tenant: "bob"}).Chains, 1)

	// Other white space and another order of members are no change.
	var loose map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[2]), &loose))
	pretty, err := json.Marshal(loose)
	require.NoError(t, err)
	again := slices.Clone(lines)
	again[2] = "  " + strings.ReplaceAll(string(pretty), `":`, `" : `) + "\n\n"
	require.Empty(t, check(again, audit.VerifyOptions{}).Problems)

	// A later part is taken from where it begins.
	part := check(lines[3:6], audit.VerifyOptions{})
	require.Empty(t, part.Problems)
	require.EqualValues(t, 4, part.Chains[0].First)

	for name, c := range map[string]struct {
		lines []string
		noted []audit.Head
		want  []string
	}{
		"changed":       {append([]string{strings.Replace(lines[0], `"support"`, `"another"`, 1)}, lines[1:]...), nil, []string{"alice changed 1-1"}},
		"dropped":       {slices.Delete(slices.Clone(lines), 2, 3), nil, []string{"alice missing 3-3"}},
		"swapped":       {[]string{lines[0], lines[2], lines[1], lines[3]}, nil, []string{"alice reordered 2-2"}},
		"turned around": {[]string{lines[2], lines[1], lines[0]}, nil, []string{"alice reordered 2-2", "alice reordered 1-1"}},
		"doubled":       {[]string{lines[0], lines[0]}, nil, []string{"alice reordered 1-1"}},
		"cut":           {lines[:4], []audit.Head{{Tenant: "alice", Seq: 6}}, []string{"alice cut_tail 5-6"}},
		"not in it":     {lines[3:6], []audit.Head{{Tenant: "alice", Seq: 2}}, []string{"alice wrong_head 2-2"}},
		"garbage":       {[]string{lines[0], "{}\n", lines[1]}, nil, []string{" unreadable 0-0"}},
		"a second name": {[]string{strings.Replace(lines[0], `"actor":`, `"Actor":"key:other","actor":`, 1)}, nil, []string{" unreadable 0-0"}},
		"a name twice":  {[]string{strings.Replace(lines[0], `"actor":`, `"actor":"key:other","actor":`, 1)}, nil, []string{" unreadable 0-0"}},
		"finer time":    {[]string{strings.Replace(lines[0], `Z","sealed_at"`, `001Z","sealed_at"`, 1)}, nil, []string{" unreadable 0-0"}},
	} {
		require.Equal(t, c.want, findings(check(c.lines, audit.VerifyOptions{Noted: c.noted})), name)
	}
	_, err = audit.VerifyExport(strings.NewReader(strings.Repeat("x", 2<<20)), audit.VerifyOptions{})
	require.ErrorContains(t, err, "line 1 is longer")
}

// However much is wrong, what is told is bounded, and so is memory.
func TestProblemsAreCountedBeyondTheFirst(t *testing.T) {
	t.Parallel()
	report, err := audit.VerifyExport(strings.NewReader(strings.Repeat("nonsense\n", 1000)), audit.VerifyOptions{})
	require.NoError(t, err)
	require.Len(t, report.Problems, 100)
	require.Equal(t, 900, report.Further)
}

func TestARangeIsExported(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 2)
	first := b.sealed("alice")
	b.write("alice", 3)
	b.write("bob", 1)
	all := b.sealed("alice")
	require.Len(t, all, 5)
	require.Len(t, b.export(audit.Range{Tenant: "alice", From: all[2].SealedAt}), 3)
	require.Len(t, b.export(audit.Range{Tenant: "alice", To: all[2].SealedAt}), 2)
	require.Len(t, b.export(audit.Range{From: first[0].SealedAt.Add(-time.Hour)}), 6)
	require.Empty(t, b.export(audit.Range{Tenant: "nobody"}))
	failed := fmt.Errorf("a full disk")
	require.ErrorIs(t, audit.Export(t.Context(), b.owner, audit.Range{}, func(*audit.Sealed) error { return failed }), failed)

	latest, err := audit.Latest(t.Context(), b.owner, "", 4)
	require.NoError(t, err)
	require.Len(t, latest, 4)
	require.True(t, slices.IsSortedFunc(latest, func(a, b audit.Sealed) int { return b.SealedAt.Compare(a.SealedAt) }))
	latest, err = audit.Latest(t.Context(), b.owner, "alice", 2)
	require.NoError(t, err)
	require.Equal(t, []int64{5, 4}, []int64{latest[0].Seq, latest[1].Seq})
}

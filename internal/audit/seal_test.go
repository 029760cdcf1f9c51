package audit_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/internal/audit"
)

// However many seal at once, while others write, no chain forks and nothing is lost.
func TestConcurrentSealersNeverForkAChain(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	const writers, each = 4, 40
	tenants := []string{"alice", "bob", ""}
	var (
		group   errgroup.Group
		writing atomic.Int64
		sealed  atomic.Int64
	)
	writing.Store(writers)
	for range writers {
		group.Go(func() error {
			defer writing.Add(-1)
			for i := range each {
				if err := audit.Record(t.Context(), b.intake, tenants[i%len(tenants)], audit.Entry{Action: "read"}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 4 {
		group.Go(func() error {
			for writing.Load() > 0 {
				n, err := audit.Seal(t.Context(), b.worker, 7)
				if err != nil {
					return err
				}
				sealed.Add(n)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, writers*each, sealed.Load()+b.seal())
	report := b.verify(audit.VerifyOptions{})
	require.Empty(t, report.Problems)
	var entries int64
	for _, c := range report.Chains {
		require.Equal(t, c.Entries, c.Last)
		entries += c.Entries
	}
	require.EqualValues(t, writers*each, entries)
}

// While one seals, another does not wait, and does nothing.
func TestASecondSealerGivesWay(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 2)
	tx, err := b.login.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var first int64
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT millrace_seal_audit(1)").Scan(&first))
	require.EqualValues(t, 1, first)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	second, err := audit.Seal(ctx, b.worker, 1)
	require.NoError(t, err, "it does not wait")
	require.Zero(t, second)
	require.NoError(t, tx.Commit(t.Context()))
	require.EqualValues(t, 1, b.seal())
	require.True(t, b.verify(audit.VerifyOptions{}).Holds())
}

// A sealer that dies in the middle has done nothing; the next one does it, once.
func TestACrashWhileSealingLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 5)
	n, err := audit.Seal(t.Context(), b.worker, 2)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	conn, err := b.login.Acquire(t.Context())
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	var pid int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT pg_backend_pid() FROM millrace_seal_audit(100)").Scan(&pid))
	_, err = b.login.Exec(t.Context(), "SELECT pg_terminate_backend($1)", pid)
	require.NoError(t, err)
	require.Error(t, tx.Commit(t.Context()))
	conn.Release()
	require.Eventually(t, func() bool { return b.seal() == 3 }, 10*time.Second, 10*time.Millisecond, "once the dead one's lock is gone")
	require.Zero(t, b.seal())
	report := b.verify(audit.VerifyOptions{})
	require.True(t, report.Holds())
	require.EqualValues(t, 5, report.Chains[0].Entries)
}

// A clock that was set back makes no disorder.
func TestSealedTimesNeverGoBack(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 1)
	b.seal()
	ahead := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	_, err := b.login.Exec(t.Context(), "SELECT millrace_audit_partition($1)", ahead)
	require.NoError(t, err)
	_, err = b.login.Exec(t.Context(), "UPDATE audit_heads SET sealed_at = $1", ahead)
	require.NoError(t, err)
	b.write("alice", 1)
	entries := b.sealed("alice")
	require.Equal(t, ahead, entries[1].SealedAt)
	require.True(t, b.verify(audit.VerifyOptions{}).Holds())
}

// backdate makes the first entries of a chain those of another time, hashes and all.
func (b *book) backdate(tenant string, sealedAt ...time.Time) {
	b.t.Helper()
	var prev audit.Hash
	for i, e := range b.sealed(tenant) {
		if i < len(sealedAt) {
			_, err := b.login.Exec(b.t.Context(), "SELECT millrace_audit_partition($1)", sealedAt[i])
			require.NoError(b.t, err)
			e.SealedAt = sealedAt[i].UTC().Truncate(time.Microsecond)
		}
		e.PrevHash = prev
		e.Hash = e.Compute()
		prev = e.Hash
		b.tamper("UPDATE audit_log SET sealed_at = $1, prev_hash = $2, hash = $3 WHERE tenant_id = $4 AND seq = $5", e.SealedAt, e.PrevHash[:], e.Hash[:], tenant, e.Seq)
		b.tamper("UPDATE audit_heads SET hash = $1 WHERE tenant_id = $2", e.Hash[:], tenant)
	}
	require.True(b.t, b.verify(audit.VerifyOptions{}).Holds())
}

func TestRetentionDropsOldMonthsAndKeepsTheChain(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 6)
	b.write("bob", 1)
	ancient, old, young := time.Now().AddDate(-8, 0, 0), time.Now().AddDate(-6, -2, 0), time.Now().AddDate(-6, 1, 0)
	b.backdate("alice", ancient, ancient, old, young)
	b.backdate("bob", ancient)
	dropped := func(at time.Time) string { return "audit_log_" + at.UTC().Format("200601") }

	_, err := audit.Retention(t.Context(), b.owner, 9)
	require.NoError(t, err)
	got, err := audit.Keep(t.Context(), b.worker)
	require.NoError(t, err)
	require.Empty(t, got, "all is younger than nine years")

	_, err = audit.Retention(t.Context(), b.owner, 6)
	require.NoError(t, err)
	got, err = audit.Keep(t.Context(), b.worker)
	require.NoError(t, err)
	require.Equal(t, []string{dropped(ancient), dropped(old)}, got)
	got, err = audit.Keep(t.Context(), b.worker)
	require.NoError(t, err)
	require.Empty(t, got)
	var ahead bool
	require.NoError(t, b.login.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM audit_partitions WHERE from_at > now())").Scan(&ahead))
	require.True(t, ahead, "the next month is made")

	report := b.verify(audit.VerifyOptions{})
	require.Empty(t, report.Problems)
	require.Equal(t, []int64{4, 6, 3}, []int64{report.Chains[0].First, report.Chains[0].Last, report.Chains[0].Entries})
	b.write("alice", 1)
	b.write("bob", 1)
	b.seal()
	report = b.verify(audit.VerifyOptions{})
	require.Empty(t, report.Problems)
	require.EqualValues(t, 2, report.Chains[2].First, "bob's chain goes on where all before was dropped")

	// An export begins there too, and holds by itself.
	require.Len(t, b.export(audit.Range{Tenant: "alice"}), 4)

	for name, c := range map[string]struct{ sql, want string }{
		"another hash":   {"UPDATE audit_anchors SET hash = sha256('') WHERE tenant_id = 'alice'", "alice wrong_anchor 4-4"},
		"another number": {"UPDATE audit_anchors SET seq = 2 WHERE tenant_id = 'alice'", "alice wrong_anchor 3-3"},
		"none":           {"DELETE FROM audit_anchors WHERE tenant_id = 'alice'", "alice missing 1-3"},
	} {
		b.exec("CREATE TABLE kept AS SELECT tenant_id, seq, hash, sealed_until FROM audit_anchors")
		b.tamper(c.sql)
		require.Equal(t, []string{c.want}, findings(b.verify(audit.VerifyOptions{})), name)
		b.exec("DELETE FROM audit_anchors; INSERT INTO audit_anchors SELECT tenant_id, seq, hash, sealed_until FROM kept; DROP TABLE kept")
	}
	// A partition that somebody else dropped is missed.
	b.exec("DROP TABLE " + dropped(young))
	require.Equal(t, []string{"alice wrong_anchor 4-4"}, findings(b.verify(audit.VerifyOptions{})))
}

// A head that was noted for an entry that retention has dropped since still counts if it was the last.
func TestANotedHeadOfDroppedEntries(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 4)
	ancient := time.Now().AddDate(-8, 0, 0)
	b.backdate("alice", ancient, ancient)
	entries := b.sealed("alice")
	_, err := audit.Keep(t.Context(), b.worker)
	require.NoError(t, err)
	noted := func(i int) audit.Head { return audit.Head{Tenant: "alice", Seq: entries[i].Seq, Hash: entries[i].Hash} }
	require.True(t, b.verify(audit.VerifyOptions{Noted: []audit.Head{noted(1), noted(2)}}).Holds())
	require.Equal(t, []string{"alice wrong_head 1-1"}, findings(b.verify(audit.VerifyOptions{Noted: []audit.Head{noted(0)}})))
	wrong := noted(1)
	wrong.Hash[0]++
	require.Equal(t, []string{"alice wrong_head 2-2"}, findings(b.verify(audit.VerifyOptions{Noted: []audit.Head{wrong}})))
}

package postgres_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// keyed returns keys of one byte repeated, by id: "a1" is the key a of ones.
func keyed(t *testing.T, names ...string) *seal.Keys {
	t.Helper()
	entries := make([]string, len(names))
	for i, name := range names {
		entries[i] = name[:1] + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(name[1:]), seal.KeySize))
	}
	keys, err := seal.ParseKeys(strings.Join(entries, ","))
	require.NoError(t, err)
	return keys
}

// clock is a time that tests move.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1_900_000_000, c.nanos.Load()) }
func (c *clock) pass(d time.Duration) { c.nanos.Add(int64(d)) }

// sealer is a program's tenancy on a database that others share.
func sealer(t *testing.T, db *dbtest.DB, role postgres.Role, keys *seal.Keys) (*postgres.Tenancy, *clock) {
	t.Helper()
	c := &clock{}
	return db.Tenancy(t, role).WithKeys(keys, c.now), c
}

type secret struct {
	Text string `json:"text"`
}

func rowOf(tenant string) seal.Row {
	return seal.Row{Tenant: tenant, Table: "payments", ID: uuid.UUID{15: 1}}
}

func requireSealed(t *testing.T, db *postgres.Tenancy, row seal.Row) []byte {
	t.Helper()
	sealed, err := db.Seal(t.Context(), row, secret{"hush"})
	require.NoError(t, err)
	require.NotEmpty(t, sealed)
	return sealed
}

func requireOpens(t *testing.T, db *postgres.Tenancy, row seal.Row, sealed []byte) {
	t.Helper()
	var got secret
	require.NoError(t, db.Unseal(t.Context(), row, sealed, &got))
	require.Equal(t, "hush", got.Text)
}

func requireRefused(t *testing.T, db *postgres.Tenancy, row seal.Row, sealed []byte, want fault.Code) {
	t.Helper()
	var got secret
	err := db.Unseal(t.Context(), row, sealed, &got)
	require.Error(t, err)
	require.Equal(t, want, fault.From(err).Code)
	require.Empty(t, got.Text)
}

func TestRowsAreSealedWithTheirTenantsKeyset(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	intake, _ := sealer(t, db, postgres.Intake, keyed(t, "a1"))
	worker, _ := sealer(t, db, postgres.Worker, keyed(t, "a1"))
	alice, bob := requireSealed(t, intake, rowOf("alice")), requireSealed(t, intake, rowOf("bob"))
	requireOpens(t, worker, rowOf("alice"), alice)
	requireOpens(t, worker, rowOf("bob"), bob)
	requireRefused(t, worker, rowOf("alice"), bob, fault.MaskingFailed)
	requireRefused(t, worker, seal.Row{Tenant: "alice", Table: "payments"}, alice, fault.MaskingFailed)
	requireRefused(t, worker, rowOf("carol"), alice, fault.MaskingFailed) // who has no keyset

	untouched := secret{"plain"}
	require.NoError(t, worker.Unseal(t.Context(), rowOf("alice"), nil, &untouched))
	require.Equal(t, "plain", untouched.Text, "a plain row")

	// Keysets of others are not to be had: row-level security holds for them too.
	require.NoError(t, intake.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
		_, _, err := postgres.SelectKeyset(t.Context(), tx, "bob")
		require.ErrorIs(t, err, pgx.ErrNoRows)
		return nil
	}))
}

func TestWithoutKeysRowsArePlainUntilATenantHasAKeyset(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	bare, clock := sealer(t, db, postgres.Intake, nil)
	sealed, err := bare.Seal(t.Context(), rowOf("alice"), secret{"hush"})
	require.NoError(t, err)
	require.Nil(t, sealed)
	digest, err := bare.Digest(t.Context(), "alice", "x")
	require.NoError(t, err)
	require.Nil(t, digest)

	keyedIntake, _ := sealer(t, db, postgres.Intake, keyed(t, "a1"))
	sealed = requireSealed(t, keyedIntake, rowOf("alice"))
	requireRefused(t, bare, rowOf("alice"), sealed, fault.Unavailable)
	clock.pass(postgres.KeysetTTL)
	for name, keys := range map[string]*seal.Keys{"none": nil, "another of the same id": keyed(t, "a2"), "another": keyed(t, "b1")} {
		for _, role := range []postgres.Role{postgres.Intake, postgres.Worker} {
			program, _ := sealer(t, db, role, keys)
			requireRefused(t, program, rowOf("alice"), sealed, fault.Unavailable)
			_, err := program.Seal(t.Context(), rowOf("alice"), secret{"hush"})
			f := fault.From(err)
			require.Equal(t, fault.Unavailable, f.Code, "%s: nothing is written in the clear", name)
			require.Equal(t, seal.ReasonNoKey, f.Details["reason"])
			require.Positive(t, f.RetryAfter, "a worker waits for the operator")
			_, err = program.Digest(t.Context(), "alice", "x")
			require.Equal(t, fault.Unavailable, fault.From(err).Code)
		}
	}
	_, err = bare.Seal(t.Context(), rowOf("alice"), secret{"hush"})
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
	two, _ := sealer(t, db, postgres.Worker, keyed(t, "b1", "a1"))
	requireOpens(t, two, rowOf("alice"), sealed)
}

func TestProcessesAgreeOnTheFirstKeyset(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	programs := make([]*postgres.Tenancy, 8)
	sealed := make([][]byte, len(programs))
	for i := range programs {
		programs[i], _ = sealer(t, db, postgres.Intake, keyed(t, "a1"))
	}
	group, ctx := errgroup.WithContext(t.Context())
	for i, program := range programs {
		group.Go(func() (err error) {
			sealed[i], err = program.Seal(ctx, rowOf("alice"), secret{"hush"})
			return err
		})
	}
	require.NoError(t, group.Wait())
	for _, program := range programs {
		for _, text := range sealed {
			requireOpens(t, program, rowOf("alice"), text)
		}
	}
	var n int
	require.NoError(t, db.Pool(t, postgres.Login).QueryRow(t.Context(), "SELECT count(*) FROM tenant_keysets").Scan(&n))
	require.Equal(t, 1, n)
}

// A keyset is read once for as long as it is remembered, whatever is asked of it.
func TestKeysetsAreRemembered(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	intake, clock := sealer(t, db, postgres.Intake, keyed(t, "a1"))
	sealed := requireSealed(t, intake, rowOf("alice"))
	login := db.Pool(t, postgres.Login)
	_, err := login.Exec(t.Context(), "ALTER TABLE tenant_keysets RENAME TO elsewhere")
	require.NoError(t, err)
	clock.pass(postgres.KeysetTTL - 1)
	requireOpens(t, intake, rowOf("alice"), sealed)
	requireSealed(t, intake, rowOf("alice"))
	clock.pass(1)
	requireRefused(t, intake, rowOf("alice"), sealed, fault.DBError)
	_, err = login.Exec(t.Context(), "ALTER TABLE elsewhere RENAME TO tenant_keysets")
	require.NoError(t, err)
	requireOpens(t, intake, rowOf("alice"), sealed)
}

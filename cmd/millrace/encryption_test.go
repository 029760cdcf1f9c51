package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/seal"
	"millrace/internal/vault"
)

// kek writes a key of one byte repeated.
func kek(id string, b byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, seal.KeySize))
}

// safe is a database with the tenant acme and a payment in the clear.
type safe struct {
	t     *testing.T
	db    *dbtest.DB
	login *pgxpool.Pool
	paid  payment.Payment
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	s := &safe{t: t, db: dbtest.New(t)}
	s.login = s.db.Pool(t, postgres.Login)
	_, _, err := apikey.Create(t.Context(), s.db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "acme", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	s.paid = payment.New("acme", uuid.New(), payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", Description: "canary"}, time.Now())
	require.NoError(t, s.db.Tenancy(t, postgres.Intake).Tx(t.Context(), "acme", func(tx pgx.Tx) error {
		return payment.InsertMany(t.Context(), tx, []payment.Payment{s.paid}, []int64{1})
	}))
	return s
}

func (s *safe) encryption(keys string, args ...string) outcome {
	s.t.Helper()
	environ := []string{"DATABASE_URL=" + s.db.URL, "MILLRACE_HOME=" + s.t.TempDir(), "ENCRYPTION_KEYS=" + keys}
	return run(s.t, newEncryptionCommand(environ, noon), "", args...)
}

func (s *safe) shred(args ...string) outcome {
	s.t.Helper()
	environ := []string{"DATABASE_URL=" + s.db.URL, "MILLRACE_HOME=" + s.t.TempDir()}
	return run(s.t, tenantsShred(environ, noon), "", args...)
}

func (s *safe) find(keys string) (payment.Payment, error) {
	s.t.Helper()
	parsed, err := seal.ParseKeys(keys)
	require.NoError(s.t, err)
	return payment.Find(s.t.Context(), s.db.Tenancy(s.t, postgres.Worker).WithKeys(parsed, time.Now), "acme", s.paid.ID)
}

func TestEncryptionFromPlainToShredded(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	first, both, second := kek("old", 1), kek("new", 2)+","+kek("old", 1), kek("new", 2)

	got := s.encryption(first, "status", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, vault.Status{First: "old", Keys: []vault.KeyUse{}, Without: 1}, decode[vault.Status](t, got.stdout))
	got = s.encryption(first, "reseal", "--all", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, vault.Resealed{Rows: 1}, decode[vault.Resealed](t, got.stdout))
	var text string
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT payments::text FROM payments").Scan(&text))
	require.NotContains(t, text, "canary")

	got = s.encryption(second, "status")
	require.Equal(t, 0, got.code, got.stderr)
	require.Regexp(t, `old\s+1\s+no`, got.stdout)
	got = s.encryption(second, "rewrap")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "ENCRYPTION_KEYS")
	require.Contains(t, got.stderr, "old is needed")
	require.Equal(t, "1 keysets are wrapped anew; `millrace encryption status` shows which keys are still needed\n", s.encryption(both, "rewrap").stdout)
	found, err := s.find(second)
	require.NoError(t, err)
	require.Equal(t, "canary", found.Description)

	for _, args := range [][]string{{"rotate", "--tenant", "acme"}, {"rotate", "--all"}} {
		got = s.encryption(second, args...)
		require.Equal(t, 0, got.code, got.stderr)
		require.Contains(t, got.stdout, "1 tenants have a new key")
	}
	require.Equal(t, "1 rows are encrypted with the newest key of their tenant\n", s.encryption(second, "reseal", "--tenant", "acme").stdout)
	require.Equal(t, "0 rows are encrypted with the newest key of their tenant\n", s.encryption(second, "reseal", "--tenant", "acme").stdout)
	_, err = s.find(second)
	require.NoError(t, err)

	got = s.shred("acme")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "--yes")
	_, err = s.find(second)
	require.NoError(t, err, "nothing was done")
	got = s.shred("acme", "--yes")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, "acme is shredded: 1 API keys are revoked, its keyset is destroyed\n", got.stdout)
	_, err = s.find(second)
	require.Equal(t, fault.TenantAccessDenied, fault.From(err).Code)
	require.Contains(t, s.encryption(second, "status").stdout, "1 tenants are shredded")
	require.Equal(t, exitNotFound, s.encryption(second, "rotate", "--tenant", "acme").code)
	require.Equal(t, exitNotFound, s.shred("nobody", "--yes").code)
}

func TestADamagedRowIsTold(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	require.Equal(t, 0, s.encryption(kek("a", 1), "reseal", "--all").code)
	_, err := s.login.Exec(t.Context(), `UPDATE payments SET sealed = sealed || '\x00'`)
	require.NoError(t, err)
	require.Equal(t, 0, s.encryption(kek("a", 1), "rotate", "--all").code)
	got := s.encryption(kek("a", 1), "reseal", "--all")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "1 rows cannot be decrypted")
}

func TestEncryptionIsUsedRight(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for name, args := range map[string][]string{
		"no tenant": {"rotate"}, "both": {"reseal", "--all", "--tenant", "acme"}, "too much": {"status", "x"},
	} {
		require.Equal(t, exitUsage, s.encryption(kek("a", 1), args...).code, name)
	}
	for _, command := range [][]string{{"rewrap"}, {"rotate", "--all"}, {"reseal", "--all"}} {
		got := s.encryption("", command...)
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, "ENCRYPTION_KEYS")
	}
	got := s.encryption("hunter2", "status")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "ENCRYPTION_KEYS is wrong")
	require.NotContains(t, got.stderr, "hunter2")
}

// The commands find the keys where `millrace dev` wrote them, unless the environment
// has some.
func TestKeysAreFoundInDevEnv(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	file := filepath.Join(home, "encryption.key")
	require.NoError(t, os.WriteFile(file, []byte(kek("dev", 3)+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, "dev.env"), []byte("ENCRYPTION_KEYS=\nENCRYPTION_KEYS_FILE="+file+"\n"), 0o600))
	for want, environ := range map[string][]string{
		"dev": {"MILLRACE_HOME=" + home}, "mine": {"MILLRACE_HOME=" + home, "ENCRYPTION_KEYS=" + kek("mine", 4)},
	} {
		keys, err := findKeys(environ)
		require.NoError(t, err)
		require.Equal(t, want, keys.First())
	}
}

package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/booking"
	"millrace/internal/conversation"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/seal"
	"millrace/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func tables() []seal.Table {
	return []seal.Table{payment.Sealed(), booking.Sealed(), conversation.Sealed()}
}

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

func (c *clock) now() time.Time       { return time.Unix(1_900_000_000, c.nanos.Load()).UTC() }
func (c *clock) pass(d time.Duration) { c.nanos.Add(int64(d)) }

// site is a database with the tenants alice and bob.
type site struct {
	t     *testing.T
	db    *dbtest.DB
	login *pgxpool.Pool
	clock *clock
	made  int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, db: dbtest.New(t), clock: &clock{}}
	s.login = s.db.Pool(t, postgres.Login)
	owner := s.db.Tenancy(t, postgres.Owner)
	for _, tenant := range []string{"alice", "bob"} {
		_, _, err := apikey.Create(t.Context(), owner, apikey.Request{Tenant: tenant, Scopes: apikey.Scopes()}, time.Now())
		require.NoError(t, err)
	}
	return s
}

// program is a process with keys, or nil.
func (s *site) program(role postgres.Role, keys *seal.Keys) *postgres.Tenancy {
	s.t.Helper()
	return s.db.Tenancy(s.t, role).WithKeys(keys, s.clock.now)
}

func (s *site) vault(keys *seal.Keys) *vault.Vault {
	s.t.Helper()
	v, err := vault.New(vault.Options{DB: s.db.Tenancy(s.t, postgres.Owner), Keys: keys, Tables: tables(), Now: s.clock.now})
	require.NoError(s.t, err)
	return v
}

// rows is one of each kind.
type rows struct {
	payment      payment.Payment
	booking      booking.Booking
	conversation conversation.Conversation
}

// keep stores one row of each kind, as a program does.
func (s *site) keep(db *postgres.Tenancy, tenant string) rows {
	s.t.Helper()
	s.made++
	ctx := s.t.Context()
	price := int64(1999)
	var r rows
	r.payment = payment.New(tenant, uuid.New(), payment.Request{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", CustomerEmail: "canary@example.com", Description: `canary "<&>`,
		Items: []payment.Item{{Name: "canary", Quantity: 1, Price: &price}}, Metadata: map[string]string{"canary": "17"},
	}, s.clock.now())
	calendar, err := booking.Calendar{
		Resource: "default", Timezone: "UTC", SlotMinutes: 30, DaysAhead: 60,
		Hours:    booking.Hours{"monday": {{From: "00:00", To: "23:30"}}, "tuesday": {{From: "00:00", To: "23:30"}}},
		Business: booking.Business{Name: "Acme"},
	}.Validate()
	require.NoError(s.t, err)
	slots := calendar.Slots(s.clock.now(), s.clock.now().Add(14*24*time.Hour), s.clock.now())
	slot := slots[s.made]
	r.booking = booking.New(tenant, uuid.New(), booking.Request{SlotID: slot.ID, Name: "Canary Bird", Email: "canary@example.com", Notes: "canary\nnotes"}, s.clock.now()).At(slot, calendar)
	var talk conversation.Request
	require.NoError(s.t, json.Unmarshal([]byte(`{"session_id":"s","messages":[{"role":"user","content":"the canary \"sings\" <&> \\\n"}],"feedback":{"text":"canary"}}`), &talk))
	talk, err = talk.Validate()
	require.NoError(s.t, err)
	r.conversation = conversation.New(tenant, uuid.New(), talk, s.clock.now())

	p, err := payment.Seal(ctx, db, r.payment)
	require.NoError(s.t, err)
	b, err := booking.Seal(ctx, db, r.booking)
	require.NoError(s.t, err)
	c, err := conversation.Seal(ctx, db, r.conversation)
	require.NoError(s.t, err)
	require.NoError(s.t, db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		if err := payment.InsertMany(ctx, tx, []payment.Payment{p}, []int64{0}); err != nil {
			return err
		}
		if err := booking.InsertMany(ctx, tx, []booking.Booking{b}, []int64{0}); err != nil {
			return err
		}
		return conversation.InsertMany(ctx, tx, []conversation.Conversation{c}, []int64{0})
	}))
	return r
}

// errs reads the rows, which must be as they were kept where there is no error.
func (s *site) errs(db *postgres.Tenancy, want rows) []error {
	s.t.Helper()
	ctx := s.t.Context()
	p, perr := payment.Find(ctx, db, want.payment.Tenant, want.payment.ID)
	b, berr := booking.Find(ctx, db, want.booking.Tenant, want.booking.ID)
	c, cerr := conversation.Load(ctx, db, want.conversation.Tenant, want.conversation.ID)
	for i, err := range []error{perr, berr, cerr} {
		if err == nil {
			require.Equal(s.t, []any{want.payment, want.booking, want.conversation}[i], []any{p, b, c}[i])
		}
	}
	return []error{perr, berr, cerr}
}

func (s *site) requireReads(db *postgres.Tenancy, want ...rows) {
	s.t.Helper()
	for _, r := range want {
		for _, err := range s.errs(db, r) {
			require.NoError(s.t, err)
		}
	}
}

func (s *site) requireRefuses(db *postgres.Tenancy, want fault.Code, of rows) {
	s.t.Helper()
	for _, err := range s.errs(db, of) {
		require.Error(s.t, err)
		require.Equal(s.t, want, fault.From(err).Code)
	}
}

// plain counts the rows that are not encrypted.
func (s *site) plain() (n int) {
	s.t.Helper()
	for _, table := range tables() {
		var count int
		require.NoError(s.t, s.login.QueryRow(s.t.Context(), "SELECT count(*) FROM "+table.Name+" WHERE sealed IS NULL").Scan(&count))
		n += count
	}
	return n
}

// text is everything in the tables.
func (s *site) text() string {
	s.t.Helper()
	var all strings.Builder
	for _, table := range tables() {
		var text string
		require.NoError(s.t, s.login.QueryRow(s.t.Context(), fmt.Sprintf("SELECT coalesce(string_agg(row::text, ''), '') FROM %s AS row", table.Name)).Scan(&text))
		all.WriteString(text)
	}
	return strings.ToLower(all.String())
}

func TestEveryTableWithSealedRowsIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	found, err := s.login.Query(t.Context(), "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'sealed'")
	require.NoError(t, err)
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	var known []string
	for _, table := range tables() {
		known = append(known, table.Name)
	}
	require.ElementsMatch(t, names, known)
}

func TestRowsComeBackAsTheyWereWithAndWithoutKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bare, keyed := s.program(postgres.Intake, nil), s.program(postgres.Intake, keyed(t, "a1"))
	old := s.keep(bare, "alice")
	s.requireReads(bare, old)
	require.Contains(t, s.text(), "canary", "it is looked for where it would be")
	s.requireReads(keyed, old, s.keep(keyed, "alice"))
	s.requireReads(bare, s.keep(bare, "bob"))
	require.Equal(t, 6, s.plain())
	list, err := payment.List(t.Context(), keyed, "alice", payment.Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, p := range list {
		require.Equal(t, "canary@example.com", p.CustomerEmail)
	}
	bookings, err := booking.List(t.Context(), keyed, "alice", booking.Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, bookings, 2)
	for _, b := range bookings {
		require.Equal(t, "Canary Bird", b.Name)
	}
	_, err = payment.List(t.Context(), s.program(postgres.Intake, nil), "alice", payment.Filter{Limit: 10})
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
}

func TestSwappedRowsAreNotRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	intake := s.program(postgres.Intake, keyed(t, "a1"))
	first, second, foreign := s.keep(intake, "alice"), s.keep(intake, "alice"), s.keep(intake, "bob")
	swap := func(table string, a, b uuid.UUID) {
		_, err := s.login.Exec(t.Context(), `UPDATE `+table+` AS x SET sealed = y.sealed FROM `+table+` AS y WHERE x.id IN ($1, $2) AND y.id IN ($1, $2) AND x.id <> y.id`, a, b)
		require.NoError(t, err)
	}
	for _, other := range []rows{second, foreign} {
		for range 2 {
			swap("payments", first.payment.ID, other.payment.ID)
			swap("bookings", first.booking.ID, other.booking.ID)
			swap("conversations", first.conversation.ID, other.conversation.ID)
			if s.errs(intake, first)[0] == nil { // swapped back
				s.requireReads(intake, first, other)
				continue
			}
			s.requireRefuses(intake, fault.MaskingFailed, first)
			s.requireRefuses(intake, fault.MaskingFailed, other)
		}
	}
	_, err := s.login.Exec(t.Context(), "UPDATE tenant_keysets AS x SET sealing = y.sealing, digesting = y.digesting FROM tenant_keysets AS y WHERE x.tenant_id <> y.tenant_id")
	require.NoError(t, err)
	s.requireRefuses(s.program(postgres.Worker, keyed(t, "a1")), fault.Unavailable, first)
}

func TestTheOperatorsKeyIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.program(postgres.Intake, keyed(t, "a1"))
	alice, bob := s.keep(a, "alice"), s.keep(a, "bob")
	v := s.vault(keyed(t, "b2", "a1"))
	status, err := v.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []vault.KeyUse{{Key: "a", Tenants: 2, Present: true}}, status.Keys)
	require.Equal(t, "b", status.First)

	_, err = s.vault(keyed(t, "b2")).Rewrap(t.Context())
	require.Equal(t, fault.Unavailable, fault.From(err).Code, "the old key is needed for it")
	n, err := v.Rewrap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = v.Rewrap(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	s.requireReads(s.program(postgres.Worker, keyed(t, "b2")), alice, bob)
	s.requireRefuses(s.program(postgres.Worker, keyed(t, "a1")), fault.Unavailable, alice)
	status, err = s.vault(nil).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []vault.KeyUse{{Key: "b", Tenants: 2}}, status.Keys)
	_, err = s.vault(nil).Rewrap(t.Context())
	require.ErrorContains(t, err, "ENCRYPTION_KEYS")
}

func TestRotationIsSeenAtOnceByWhoeverReads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	keys := keyed(t, "a1")
	stale, worker := s.program(postgres.Intake, keys), s.program(postgres.Worker, keys)
	before := s.keep(stale, "alice")
	s.requireReads(worker, before)
	v := s.vault(keys)
	require.NoError(t, v.Rotate(t.Context(), "alice"))
	fresh := s.program(postgres.Intake, keys)
	after := s.keep(fresh, "alice")
	s.requireReads(worker, before, after) // whose memory is of before the rotation
	s.requireReads(stale, before, after)
	s.requireReads(fresh, before, after, s.keep(stale, "alice"))
	require.Equal(t, fault.NotFound, fault.From(v.Rotate(t.Context(), "bob")).Code, "who has none yet")
	status, err := v.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, status.Without)
	require.Equal(t, s.clock.now(), *status.OldestKey)
}

func TestResealingGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	keys := keyed(t, "a1")
	bare := s.program(postgres.Intake, nil)
	var all []rows
	for range 60 { // more than a batch of each table
		all = append(all, s.keep(bare, "alice"))
	}
	foreign := s.keep(bare, "bob")
	v := s.vault(keys)
	pending, err := v.Pending(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, 180, pending)

	ctx, interrupt := context.WithCancel(t.Context())
	done, err := v.Reseal(ctx, "alice", func(int) { interrupt() })
	require.Error(t, err)
	require.Equal(t, 50, done.Rows, "what was done stays done")
	s.requireReads(s.program(postgres.Worker, keys), all...)
	told := 0
	done, err = v.Reseal(t.Context(), "alice", func(rows int) { told += rows })
	require.NoError(t, err)
	require.Equal(t, vault.Resealed{Rows: 130}, done)
	require.Equal(t, 130, told)
	require.Equal(t, 3, s.plain(), "bob's")
	s.requireReads(s.program(postgres.Worker, keys), append(all, foreign)...)

	prefixes := func() (n int) {
		require.NoError(t, s.login.QueryRow(t.Context(), `SELECT count(DISTINCT substring(sealed FROM 1 FOR 5)) FROM payments WHERE tenant_id = 'alice'`).Scan(&n))
		return n
	}
	require.NoError(t, v.Rotate(t.Context(), "alice"))
	all = append(all, s.keep(s.program(postgres.Intake, keys), "alice"))
	require.Equal(t, 2, prefixes())
	v = s.vault(keys)
	_, err = s.login.Exec(t.Context(), "UPDATE payments SET sealed = sealed || '\\x00' WHERE id = $1", all[0].payment.ID)
	require.NoError(t, err)
	done, err = v.Reseal(t.Context(), "alice", func(int) {})
	require.NoError(t, err)
	require.Equal(t, vault.Resealed{Rows: 179, Damaged: 1}, done)
	s.requireReads(s.program(postgres.Worker, keys), all[1:]...)
	_, err = s.login.Exec(t.Context(), "DELETE FROM payments WHERE id = $1", all[0].payment.ID)
	require.NoError(t, err)
	require.Equal(t, 1, prefixes())
	done, err = v.Reseal(t.Context(), "alice", func(int) {})
	require.NoError(t, err)
	require.Zero(t, done)
}

// A shredding that comes between the reading and the writing of a reseal is not undone.
func TestResealingUndoesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.keep(s.program(postgres.Intake, nil), "alice")
	tx, err := s.login.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE payments SET sealed = '', customer_email = NULL, description = NULL, items = NULL, metadata = NULL")
	require.NoError(t, err)
	v := s.vault(keyed(t, "a1"))
	done := make(chan vault.Resealed, 1)
	go func() {
		resealed, err := v.Reseal(t.Context(), "alice", func(int) {})
		assert.NoError(t, err)
		done <- resealed
	}()
	require.Eventually(t, func() bool {
		var waits bool
		assert.NoError(t, s.login.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits))
		return waits
	}, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, vault.Resealed{Rows: 2}, <-done)
	var sealed []byte
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT sealed FROM payments WHERE id = $1", old.payment.ID).Scan(&sealed))
	require.Empty(t, sealed)
}

func TestAShreddedTenantIsReadByNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	keys := keyed(t, "a1")
	bare, old := s.program(postgres.Intake, nil), s.program(postgres.Intake, keys)
	plain, sealed, other := s.keep(bare, "alice"), s.keep(old, "alice"), s.keep(old, "bob")
	address, err := booking.AddressOf(t.Context(), bare, "bob", "x@example.com")
	require.Error(t, err, "bob has a keyset, and this program no key")
	require.Nil(t, address)
	address, err = booking.AddressOf(t.Context(), old, "alice", "canary@example.com")
	require.NoError(t, err)
	require.NoError(t, old.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
		return booking.Suppress(t.Context(), tx, "alice", address, booking.EmailBounced, s.clock.now())
	}))

	v := s.vault(nil) // it needs no key
	_, err = v.Shred(t.Context(), "nobody")
	require.Equal(t, fault.NotFound, fault.From(err).Code)
	done, err := v.Shred(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, vault.Shredded{Tenant: "alice", ShreddedAt: s.clock.now(), Keyset: true, KeysRevoked: 1, PlainErased: 3}, done)

	s.requireRefuses(s.program(postgres.Intake, keys), fault.TenantAccessDenied, sealed)
	s.requireRefuses(s.program(postgres.Worker, keys), fault.TenantAccessDenied, sealed)
	s.requireRefuses(s.program(postgres.Worker, nil), fault.TenantAccessDenied, plain)
	s.requireReads(old, sealed, other) // from memory
	s.clock.pass(postgres.KeysetTTL)
	s.requireRefuses(old, fault.TenantAccessDenied, sealed)
	s.requireReads(old, other)
	for _, program := range []*postgres.Tenancy{old, s.program(postgres.Intake, keys), s.program(postgres.Intake, nil)} {
		_, err := program.Seal(t.Context(), seal.Row{Tenant: "alice", Table: "payments"}, "x")
		require.Equal(t, fault.TenantAccessDenied, fault.From(err).Code, "nobody makes another keyset")
	}
	_, err = s.login.Exec(t.Context(), "DELETE FROM payments WHERE tenant_id = 'bob'; DELETE FROM bookings WHERE tenant_id = 'bob'; DELETE FROM conversations WHERE tenant_id = 'bob'")
	require.NoError(t, err)
	require.NotContains(t, s.text(), "canary")
	var keysets, addresses, amounts int
	require.NoError(t, s.login.QueryRow(t.Context(), `SELECT (SELECT count(sealing) + count(digesting) FROM tenant_keysets WHERE tenant_id = 'alice'),
		(SELECT count(*) FROM suppressed_addresses WHERE tenant_id = 'alice'), (SELECT sum(amount) FROM payments WHERE tenant_id = 'alice')`).Scan(&keysets, &addresses, &amounts))
	require.Zero(t, keysets)
	require.Zero(t, addresses)
	require.Equal(t, 2*1999, amounts, "what was paid stays")

	s.clock.pass(time.Hour)
	again, err := v.Shred(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, vault.Shredded{Tenant: "alice", ShreddedAt: done.ShreddedAt}, again)
	tenants, err := v.Tenants(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"bob"}, tenants)
	status, err := v.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, status.Shredded)
	require.Equal(t, fault.NotFound, fault.From(s.vault(keys).Rotate(t.Context(), "alice")).Code)
}

// A tenant that never had a keyset gets none after it was shredded.
func TestATenantWithoutAKeysetIsShredded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	plain := s.keep(s.program(postgres.Intake, nil), "alice")
	done, err := s.vault(nil).Shred(t.Context(), "alice")
	require.NoError(t, err)
	require.False(t, done.Keyset)
	require.NotContains(t, s.text(), "canary")
	s.requireRefuses(s.program(postgres.Intake, keyed(t, "a1")), fault.TenantAccessDenied, plain)
	found, err := conversation.Find(t.Context(), s.program(postgres.Intake, nil), "alice", plain.conversation.ID)
	require.NoError(t, err)
	require.Equal(t, 1, found.MessageCount, "what is known of it without texts stays")
}

// What bounced before there was a keyset is still known, and what bounces now is no
// guess away.
func TestSuppressedAddressesAreNoGuessAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bare, program := s.program(postgres.Intake, nil), s.program(postgres.Intake, keyed(t, "a1"))
	suppress := func(db *postgres.Tenancy, email string) {
		address, err := booking.AddressOf(t.Context(), db, "alice", email)
		require.NoError(t, err)
		require.NoError(t, db.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
			return booking.Suppress(t.Context(), tx, "alice", address, booking.EmailBounced, s.clock.now())
		}))
	}
	suppress(bare, "old@example.com")
	s.keep(program, "alice")
	suppress(program, "New@example.com")
	require.NoError(t, s.vault(keyed(t, "a1")).Rotate(t.Context(), "alice"))
	worker := s.program(postgres.Worker, keyed(t, "a1"))
	for email, want := range map[string]bool{"old@example.com": true, "new@EXAMPLE.com": true, "other@example.com": false} {
		got, err := booking.Suppressed(t.Context(), worker, "alice", email)
		require.NoError(t, err)
		require.Equal(t, want, got, email)
	}
	var guessed int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM suppressed_addresses WHERE address_hash = sha256('new@example.com')").Scan(&guessed))
	require.Zero(t, guessed)
	_, err := booking.Suppressed(t.Context(), s.program(postgres.Worker, nil), "alice", "old@example.com")
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
}

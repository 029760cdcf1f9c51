package seal_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/seal"
)

// key writes a key whose bytes are all alike.
func key(id string, b byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, seal.KeySize))
}

func parse(t testing.TB, text string) *seal.Keys {
	t.Helper()
	keys, err := seal.ParseKeys(text)
	require.NoError(t, err)
	return keys
}

func fresh(t testing.TB) *seal.Keyset {
	t.Helper()
	s, err := seal.New()
	require.NoError(t, err)
	return s
}

func requireCode(t *testing.T, want fault.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.From(err).Code)
}

func row(tenant, table string, id byte) seal.Row {
	return seal.Row{Tenant: tenant, Table: table, ID: uuid.UUID{15: id}}
}

func TestTheFirstKeyWrapsAndAllUnwrap(t *testing.T) {
	t.Parallel()
	old, s := parse(t, key("2025", 1)), fresh(t)
	sealed, err := s.Seal(row("alice", "payments", 1), []byte("hush"))
	require.NoError(t, err)
	wrapped, err := old.Wrap("alice", s)
	require.NoError(t, err)
	require.Equal(t, "2025", wrapped.Key)

	both := parse(t, key("2026", 2)+",\n "+key("2025", 1)+"\n")
	require.Equal(t, "2026", both.First())
	got, err := both.Unwrap("alice", wrapped)
	require.NoError(t, err)
	text, err := got.Open(row("alice", "payments", 1), sealed)
	require.NoError(t, err)
	require.Equal(t, "hush", string(text))
	wrapped, err = both.Wrap("alice", got)
	require.NoError(t, err)
	require.Equal(t, "2026", wrapped.Key)
	_, err = parse(t, key("2026", 2)).Unwrap("alice", wrapped)
	require.NoError(t, err, "the old key can go")
}

func TestAKeysetOpensWithItsKeyAndForItsTenantOnly(t *testing.T) {
	t.Parallel()
	keys, s := parse(t, key("a", 1)), fresh(t)
	wrapped, err := keys.Wrap("alice", s)
	require.NoError(t, err)
	swapped := seal.Wrapped{Sealing: wrapped.Digesting, Digesting: wrapped.Sealing, Key: "a"}
	for name, try := range map[string]func() (*seal.Keyset, error){
		"no keys":              func() (*seal.Keyset, error) { return (*seal.Keys)(nil).Unwrap("alice", wrapped) },
		"another id":           func() (*seal.Keyset, error) { return parse(t, key("b", 1)).Unwrap("alice", wrapped) },
		"another key":          func() (*seal.Keyset, error) { return parse(t, key("a", 2)).Unwrap("alice", wrapped) },
		"another tenant":       func() (*seal.Keyset, error) { return keys.Unwrap("bob", wrapped) },
		"the halves exchanged": func() (*seal.Keyset, error) { return keys.Unwrap("alice", swapped) },
		"nothing":              func() (*seal.Keyset, error) { return keys.Unwrap("alice", seal.Wrapped{Key: "a"}) },
	} {
		_, err := try()
		requireCode(t, fault.Unavailable, err)
		require.Equal(t, seal.ReasonNoKey, fault.From(err).Details["reason"], name)
		require.ErrorContains(t, err, "ENCRYPTION_KEYS", "it says what to set")
	}
}

func TestWrongKeysAreNotRepeated(t *testing.T) {
	t.Parallel()
	short := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 31))
	for _, text := range []string{
		"", "\n", ",", "hunter2", "hunter2:", ":" + short, "hunter2:" + short, "hunter2:%%%", key("hun ter2", 1), key(strings.Repeat("h", 64), 1),
		key("hunter2", 1) + "," + key("hunter2", 2), key("hunter2", 1) + ",nonsense",
	} {
		_, err := seal.ParseKeys(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), short)
	}
}

func TestASealedTextIsItsRowsAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	sealed, err := s.Seal(row("alice", "payments", 1), []byte("hush"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "hush")
	again, err := s.Seal(row("alice", "payments", 1), []byte("hush"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "equal texts do not look alike")
	for _, other := range []seal.Row{row("alice", "payments", 2), row("alice", "bookings", 1), row("bob", "payments", 1)} {
		_, err := s.Open(other, sealed)
		requireCode(t, fault.MaskingFailed, err)
	}
	_, err = fresh(t).Open(row("alice", "payments", 1), sealed)
	requireCode(t, fault.MaskingFailed, err)
	sealed[len(sealed)-1]++
	_, err = s.Open(row("alice", "payments", 1), sealed)
	requireCode(t, fault.MaskingFailed, err)
}

func TestRotationKeepsWhatWasSealedReadable(t *testing.T) {
	t.Parallel()
	old := fresh(t)
	at := row("alice", "payments", 1)
	before, err := old.Seal(at, []byte("hush"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(before, old.Prefix()))
	rotated, err := old.Rotate()
	require.NoError(t, err)
	require.NotEqual(t, old.Prefix(), rotated.Prefix())
	after, err := rotated.Seal(at, []byte("hush"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(after, rotated.Prefix()))
	for _, sealed := range [][]byte{before, after} {
		text, err := rotated.Open(at, sealed)
		require.NoError(t, err)
		require.Equal(t, "hush", string(text))
		require.True(t, rotated.Knows(sealed))
	}
	require.True(t, old.Knows(before))
	require.False(t, old.Knows(after), "whoever has the old keyset sees that it is old")
	require.False(t, old.Knows(nil))
	require.False(t, old.Knows([]byte{}))
	require.False(t, old.Knows([]byte("millrace")))

	first, err := old.Digest("jo@example.com")
	require.NoError(t, err)
	second, err := rotated.Digest("jo@example.com")
	require.NoError(t, err)
	require.Equal(t, first, second, "what is looked up stays where it is")
	require.Len(t, first, 32)
	other, err := fresh(t).Digest("jo@example.com")
	require.NoError(t, err)
	require.NotEqual(t, first, other, "a guess is not confirmed without the keyset")
}

// Whatever is stored, opening it neither panics nor succeeds.
func FuzzOpen(f *testing.F) {
	s := fresh(f)
	at := row("alice", "payments", 1)
	sealed, err := s.Seal(at, []byte(`{"description":"hush"}`))
	require.NoError(f, err)
	keys := parse(f, key("a", 1))
	wrapped, err := keys.Wrap("alice", s)
	require.NoError(f, err)
	f.Add([]byte{})
	f.Add(s.Prefix())
	f.Add(sealed[:len(sealed)-1])
	f.Add(append(bytes.Clone(sealed), 0))
	f.Add(wrapped.Sealing[:len(wrapped.Sealing)-1])
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Equal(text, sealed) || bytes.Equal(text, wrapped.Sealing) {
			return
		}
		s.Knows(text)
		_, err := s.Open(at, text)
		require.Error(t, err)
		if _, err = keys.Unwrap("alice", seal.Wrapped{Sealing: text, Digesting: text, Key: "a"}); err == nil {
			t.Fatal("made up")
		}
	})
}

func BenchmarkSealPayment(b *testing.B) {
	s, at := fresh(b), row("alice", "payments", 1)
	text := []byte(`{"customer_email":"customer@example.com","description":"Two tickets","items":[{"name":"Ticket","quantity":2,"price":999}],"metadata":{"order":"4711"}}`)
	sealed, err := s.Seal(at, text)
	require.NoError(b, err)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Seal(at, text)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Open(at, sealed)
		}
	})
}

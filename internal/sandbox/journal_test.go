package sandbox_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

// restart is a new sandbox on the same journal, as after a kill: the old one is not closed.
func restart(t *testing.T, path string, c *clock) *rig {
	t.Helper()
	return newRigWith(t, sandbox.Options{Journal: path}, c)
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path) //nolint:gosec // a temporary file
	require.NoError(t, err)
	return b
}

func TestJournalOutlivesRestarts(t *testing.T) {
	t.Parallel()
	path, c := filepath.Join(t.TempDir(), "home", "stripe.jsonl"), newClock()
	r := restart(t, path, c)
	unconfirmed, held := r.created("pm_card_visa"), r.authorized()
	challenged := r.inState(stripe.PaymentIntentStatusRequiresAction)
	processing := r.inState(stripe.PaymentIntentStatusProcessing)
	declined := r.created("pm_card_chargeDeclined")
	_, err := r.confirm(declined.ID, "declined")
	require.Error(t, err)
	first := r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), "Idempotency-Key", "paid")
	require.Equal(t, 200, first.status)
	intents := r.raw("GET", "/v1/payment_intents", nil).body
	charges := r.Charges()

	for range 2 {
		r = restart(t, path, c)
		assert.Equal(t, intents, r.raw("GET", "/v1/payment_intents", nil).body)
		assert.Empty(t, cmp.Diff(charges, r.Charges()))
		again := r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), "Idempotency-Key", "paid")
		assert.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		assert.Equal(t, first.body, again.body)
	}

	_, err = r.confirm(unconfirmed.ID, "")
	require.NoError(t, err)
	_, err = r.capture(held.ID, 500)
	require.NoError(t, err)
	_, err = r.Authenticate(challenged.ID, true)
	require.NoError(t, err)
	c.advance(time.Minute)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, r.get(processing.ID).Status)
	_, err = r.confirm(declined.ID, "declined")
	assert.Equal(t, 402, stripeError(t, err).HTTPStatusCode, "a decline is replayed, too")

	want := r.Charges()
	assert.Empty(t, cmp.Diff(want, restart(t, path, c).Charges()))
}

func TestACutLastLineIsDropped(t *testing.T) {
	t.Parallel()
	path, c := filepath.Join(t.TempDir(), "stripe.jsonl"), newClock()
	r := restart(t, path, c)
	pi := r.created("pm_card_visa")
	_, err := r.confirm(pi.ID, "k")
	require.NoError(t, err)
	whole := contentOf(t, path)
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	require.Len(t, lines, 2)

	for cutAt := 0; cutAt < len(lines[1]); cutAt += 1 + len(lines[1])/64 {
		overwrite(t, path, append(bytes.Clone(lines[0]), lines[1][:cutAt]...))
		var log strings.Builder
		s, err := sandbox.NewStripe(sandbox.Options{
			Journal: path, Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err, "cut after %d bytes", cutAt)
		require.Empty(t, s.Charges(), "cut after %d bytes", cutAt)
		require.Equal(t, cutAt > 0, strings.Contains(log.String(), "cut"))
		require.NoError(t, s.Close())
		left := contentOf(t, path)
		for line := range bytes.Lines(left) {
			require.True(t, json.Valid(line), "compaction takes the cut line out")
		}
	}

	r = restart(t, path, c)
	_, err = r.confirm(pi.ID, "k")
	require.NoError(t, err)
	assert.Equal(t, 1, restart(t, path, c).paid(), "charge and stored answer are lost or kept together")

	// A whole line that lacks only its end was written whole.
	overwrite(t, path, bytes.TrimSuffix(whole, []byte("\n")))
	assert.Equal(t, 1, restart(t, path, c).paid())
}

func TestADamagedLineInTheMiddleStopsTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stripe.jsonl")
	overwrite(t, path, []byte("{}\n{\"intents\":[\n{}\n"))
	_, err := sandbox.NewStripe(sandbox.Options{Journal: path})
	require.ErrorContains(t, err, "line 2")
	left := contentOf(t, path)
	assert.Contains(t, string(left), "{\"intents\":[\n", "nothing was thrown away")
}

func TestCompactionForgetsHistoryAndOldKeys(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	path := filepath.Join(dir, "stripe.jsonl")
	r := restart(t, path, c)
	pi := r.created("pm_card_visa")
	for range 20 {
		_, err := r.api.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Description: new("again")})
		require.NoError(t, err)
	}
	c.advance(25 * time.Hour)
	restart(t, path, c)
	after := contentOf(t, path)
	assert.Equal(t, 1, bytes.Count(after, []byte("\n")), "one intent, no key: stripe-go sends a key with every POST")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 1, "no temporary file is left")
}

func TestTheJournalHoldsNoAPIKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stripe.jsonl")
	r := restart(t, path, newClock())
	r.authorized()
	b := contentOf(t, path)
	assert.NotContains(t, string(b), testKey)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestNothingIsDoneThatTheJournalDoesNotHold(t *testing.T) {
	t.Parallel()
	path, c := filepath.Join(t.TempDir(), "stripe.jsonl"), newClock()
	r := restart(t, path, c)
	pi := r.created("pm_card_visa")
	require.NoError(t, r.Close())
	_, err := r.confirm(pi.ID, "k")
	assert.Equal(t, 500, stripeError(t, err).HTTPStatusCode)
	assert.Empty(t, r.Charges())
	got, err := restart(t, path, c).confirm(pi.ID, "k")
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, got.Status)
}

func TestNothingIsNoticedThatTheJournalDoesNotHold(t *testing.T) {
	t.Parallel()
	path, c := filepath.Join(t.TempDir(), "stripe.jsonl"), newClock()
	r := restart(t, path, c)
	pi := r.inState(stripe.PaymentIntentStatusProcessing)
	require.NoError(t, r.Close())
	c.advance(time.Minute)
	assert.Equal(t, 500, r.raw("GET", "/v1/payment_intents/"+pi.ID, nil).status)
	assert.Zero(t, r.paid())
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, restart(t, path, c).get(pi.ID).Status)
}

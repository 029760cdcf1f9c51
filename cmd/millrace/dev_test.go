package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/config"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
	"millrace/internal/vault"
)

// screen is what a person would see.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func devConfig(t *testing.T, home string, extra ...string) config.Dev {
	t.Helper()
	cfg, err := config.Load[config.Dev](append([]string{
		"MILLRACE_HOME=" + home, "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0", "LOG_LEVEL=warn",
	}, extra...))
	require.NoError(t, err)
	return cfg
}

// runDev runs `millrace dev` until it says that it runs, and returns how to stop it.
func runDev(t *testing.T, cfg config.Dev) (shown *screen, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &screen{}
	done := make(chan error, 1)
	go func() { done <- dev(ctx, cfg, out, t.Output()) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		select {
		case err := <-done:
			done <- err
			require.NoError(t, err)
			return true
		default:
			return strings.Contains(out.String(), "curl")
		}
	}, time.Minute, 10*time.Millisecond)
	return out, stop
}

func variables(t *testing.T, home string) map[string]string {
	t.Helper()
	path := filepath.Join(home, "dev.env")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds keys")
	found, err := readVariables(path)
	require.NoError(t, err)
	return found
}

func TestDevShowsAPaymentCapturedAndKeepsItsData(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	out, stop := runDev(t, devConfig(t, home))
	require.Contains(t, out.String(), "The payment is captured: 1999 cents, pi_")
	first := variables(t, home)
	for _, name := range []string{"MILLRACE_URL", "MILLRACE_API_KEY", "MILLRACE_API_KEY_2", "MILLRACE_ADMIN_KEY", "METRICS_URL", "DATABASE_URL"} {
		require.NotEmpty(t, first[name], name)
	}
	app, err := client.New(first["MILLRACE_URL"], first["MILLRACE_API_KEY"], client.Options{})
	require.NoError(t, err)
	submission, err := app.SubmitPayment(t.Context(), client.PaymentRequest{Amount: 500, Currency: "eur", PaymentMethod: "pm_card_visa", Description: "Two tickets"},
		client.SubmitOptions{Wait: 10 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.PaymentCaptured, submission.Payment.Status)
	other, err := client.New(first["MILLRACE_URL"], first["MILLRACE_API_KEY_2"], client.Options{})
	require.NoError(t, err)
	_, err = other.Payment(t.Context(), submission.Payment.ID)
	require.Error(t, err, "tenant demo2 does not see what tenant demo did")
	require.Contains(t, out.String(), first["MILLRACE_URL"]+"/ops/")
	console, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first["MILLRACE_URL"]+"/ops/api/states", http.NoBody)
	require.NoError(t, err)
	console.SetBasicAuth("ann", first["MILLRACE_ADMIN_KEY"])
	answer, err := http.DefaultTransport.RoundTrip(console)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode, "the admin's key opens the console")
	stop()

	key, err := os.Stat(first["ENCRYPTION_KEYS_FILE"])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), key.Mode().Perm())
	require.True(t, filepath.IsAbs(first["ENCRYPTION_KEYS_FILE"]), "scripts run elsewhere")

	_, stop = runDev(t, devConfig(t, home))
	second := variables(t, home)
	require.Equal(t, first["MILLRACE_API_KEY"], second["MILLRACE_API_KEY"], "the keys stay")
	app, err = client.New(second["MILLRACE_URL"], second["MILLRACE_API_KEY"], client.Options{})
	require.NoError(t, err)
	again, err := app.Payment(t.Context(), submission.Payment.ID)
	require.NoError(t, err)
	require.Equal(t, client.PaymentCaptured, again.Status)
	require.Equal(t, "Two tickets", again.Description, "and are read with the same key")
	keys, err := findKeys([]string{"MILLRACE_HOME=" + home})
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), postgres.Options{URL: second["DATABASE_URL"], Role: postgres.Owner})
	require.NoError(t, err)
	defer db.Close()
	v, err := vault.New(vault.Options{DB: postgres.NewTenancy(db, postgres.Owner), Keys: keys, Tables: sealedTables()})
	require.NoError(t, err)
	pending, err := v.Pending(t.Context(), "demo")
	require.NoError(t, err)
	require.Zero(t, pending, "nothing is in the clear")
	stop()
}

// The home of an older version has an admin's key that lacks the scopes of since then.
func TestDevReplacesAKeyThatLacksAScope(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	pool := db.Pool(t, postgres.Login)
	_, old, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: []apikey.Scope{apikey.OpsAdmin}}, time.Now())
	require.NoError(t, err)
	env := devEnv{AdminKey: old}
	require.NoError(t, env.ensureKeys(t.Context(), pool))
	require.NotEqual(t, old, env.AdminKey)
	made := env
	require.NoError(t, env.ensureKeys(t.Context(), pool))
	require.Equal(t, made, env)
}

func TestDevNamesThePortThatIsInUse(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	home := filepath.Join(t.TempDir(), "home")
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	for _, variable := range []string{"LISTEN_ADDR", "METRICS_ADDR"} {
		err := dev(t.Context(), devConfig(t, home, variable+"="+taken.Addr().String()), &screen{}, &screen{})
		require.ErrorContains(t, err, variable)
		require.ErrorContains(t, err, port)
		require.NotContains(t, err.Error(), "\n")
		require.NoDirExists(t, home, "nothing was started")
	}
}

func TestDevRefusesToDemonstrateWithALiveKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"sk_live_x", "rk_live_x"} {
		var said []string
		say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		// There is no server: a submission would be an error.
		require.NoError(t, demonstrate(t.Context(), devEnv{URL: "http://127.0.0.1:1", APIKey: "x", StripeKey: telemetry.Secret(key)}, say))
		require.Contains(t, strings.Join(said, ""), "live key")
	}
}

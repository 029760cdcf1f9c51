package client_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestWaitJobWaitsUntilDone(t *testing.T) {
	t.Parallel()
	discarded := strings.Replace(job("1", "discarded"), `"links"`, `"error":{"code":"PAYMENT_FAILED","error":"Declined."},"links"`, 1)
	s := newServer(t, answer(http.StatusOK, job("1", "available"), "Retry-After", "1"), failure(503, "UNAVAILABLE"), answer(http.StatusOK, discarded))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.WaitJob(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, client.Discarded, got.State)
	for _, r := range s.received() {
		require.Equal(t, "wait=30", r.header.Get("Prefer"))
	}

	var e *client.Error
	require.ErrorAs(t, got.Err(), &e)
	require.Equal(t, &client.Error{Code: client.CodePaymentFailed, Message: "Declined.", JobID: "1"}, e)
}

func TestWaitJobLeavesADrainingServerAlone(t *testing.T) {
	t.Parallel()
	// It answers at once, though it was asked to wait.
	s := newServer(t, answer(http.StatusOK, job("1", "running"), "Retry-After", "2"), answer(http.StatusOK, job("1", "completed")))
	c, paused := newClient(t, s.URL, client.Options{})
	got, err := c.WaitJob(t.Context(), "1")
	require.NoError(t, err)
	require.NoError(t, got.Err())
	require.Len(t, paused.list, 1)
	require.Greater(t, paused.list[0], time.Second)
	require.LessOrEqual(t, paused.list[0], 2*time.Second)
}

// While a payment waits for its customer every wait is answered at once, and
// that may go on for a day.
func TestWaitJobPausesWhileACustomerIsAsked(t *testing.T) {
	t.Parallel()
	waits := answer(http.StatusOK, job("1", "scheduled"), "Retry-After", "1", "Preference-Applied", "wait=30")
	silent := answer(http.StatusOK, job("1", "scheduled")) // about the time, too
	s := newServer(t, waits, waits, silent, silent, answer(http.StatusOK, job("1", "completed")))
	c, paused := newClient(t, s.URL, client.Options{})
	got, err := c.WaitJob(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, client.Completed, got.State)
	require.Len(t, paused.list, 4, "one between any two requests")
	for _, d := range paused.list {
		require.Greater(t, d, time.Second/2)
		require.LessOrEqual(t, d, time.Second)
	}
}

func TestWaitJobEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusOK, job("1", "running"))(w, r)
		cancel()
	})
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.WaitJob(ctx, "1")
	require.ErrorIs(t, err, context.Canceled)
}

func TestWatchJobYieldsUntilDone(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, job("1", "available")), answer(http.StatusOK, job("1", "running")),
		answer(http.StatusOK, job("1", "running")), answer(http.StatusOK, job("1", "completed")))
	c, _ := newClient(t, s.URL, client.Options{})
	var states []client.State
	for job, err := range c.WatchJob(t.Context(), "1") {
		require.NoError(t, err)
		states = append(states, job.State)
	}
	require.Equal(t, []client.State{client.Available, client.Running, client.Running, client.Completed}, states)
	require.Empty(t, s.received()[0].header.Get("Prefer"), "the first answer comes at once")
	require.Equal(t, "wait=1", s.received()[1].header.Get("Prefer"))
}

func TestWatchJobEndsWithAnErrorAndWithItsReader(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, job("1", "available")), failure(404, "NOT_FOUND"))
	c, _ := newClient(t, s.URL, client.Options{})
	for _, err := range c.WatchJob(t.Context(), "1") {
		require.NoError(t, err)
		break
	}
	require.Len(t, s.received(), 1)
	var errs []error
	for _, err := range c.WatchJob(t.Context(), "1") {
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "NOT_FOUND")
}

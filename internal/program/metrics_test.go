package program_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// metrics has points folded by the real programs: they read the same before and
// after, and after all is computed anew.
func metrics(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	address := freePort(t)
	intake := launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0")
	require.Eventually(t, func() bool { return get(t, "http://"+address+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	app, err := client.New("http://"+address, key.Reveal(), client.Options{})
	require.NoError(t, err)

	now := time.Now().UTC().Truncate(time.Minute).Add(-time.Minute)
	var points []client.MetricPoint
	for i := range 900 {
		points = append(points, client.MetricPoint{
			Name: "checkout.latency", Value: float64(i%97) / 8, At: now.Add(-time.Duration(i) * 10 * time.Second), Tags: map[string]string{"host": strconv.Itoa(i % 3)},
		})
	}
	for range 2 {
		receipt, err := app.SendMetrics(t.Context(), points, client.MetricsOptions{IdempotencyKey: "batch-1"})
		require.NoError(t, err)
		require.Equal(t, 900, receipt.Accepted)
	}
	// An import of past years.
	_, err = app.SendMetrics(t.Context(), []client.MetricPoint{{Name: "checkout.latency", Value: 1e20, At: now.AddDate(-9, 0, 0)}}, client.MetricsOptions{})
	require.NoError(t, err)
	read := func() string {
		var all []*client.MetricBucket
		for _, query := range []client.MetricQuery{
			{Step: "1m", From: now.Add(-3 * time.Hour)},
			{Step: "1h", From: now.Add(-3 * time.Hour), Tags: map[string]string{"host": "1"}, Limit: 2},
			{Step: "1d", From: now.AddDate(-10, 0, 0), To: now.AddDate(0, 0, 1), Timezone: "Europe/Berlin", Aggregates: []string{"count", "sum", "first", "last"}},
		} {
			query.Name = "checkout.latency"
			count := int64(0)
			for bucket, err := range app.AllMetricPoints(t.Context(), query) {
				require.NoError(t, err)
				all = append(all, bucket)
				count += *bucket.Count
			}
			require.Contains(t, []int64{300, 900, 901}, count)
		}
		text, err := json.Marshal(all)
		require.NoError(t, err)
		return string(text)
	}
	before := read()

	worker := launch(t, dir, "worker", append(mailSettings(""), "DATABASE_URL="+db.URL, "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x", "QUEUES=rollups=2")...)
	login := db.Pool(t, postgres.Login)
	require.Eventually(t, func() bool {
		var pending int
		require.NoError(t, login.QueryRow(t.Context(), "SELECT count(*) FROM metric_chunks WHERE pending").Scan(&pending))
		return pending == 0
	}, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, before, read(), "folding changes nothing")
	submission, err := app.RecomputeMetrics(t.Context(), now.Add(-24*time.Hour), now, client.SubmitOptions{Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Completed, submission.Job.State)
	var result struct {
		Checked, Written, Kept int
		Watermark              time.Time
	}
	require.NoError(t, json.Unmarshal(submission.Job.Result, &result))
	require.Positive(t, result.Checked)
	require.Zero(t, result.Written)
	require.Zero(t, result.Kept)
	require.WithinDuration(t, time.Now(), result.Watermark, time.Minute)
	require.Equal(t, before, read())
	require.Equal(t, 0, worker.terminate())
	require.Equal(t, 0, intake.terminate())
}

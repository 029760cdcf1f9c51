package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

// BenchmarkRecord sends 1,000 points a request over HTTP to a server with a Postgres of
// the tests, which does not wait for the disk; `millrace bench metrics` has one that does.
func BenchmarkRecord(b *testing.B) {
	db := dbtest.New(b)
	pool := db.Pool(b, postgres.Intake)
	logger, registry := testLogger(io.Discard), prometheus.NewRegistry()
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: logger, Metrics: registry})
	require.NoError(b, err)
	server, err := api.New(api.Options{DB: postgres.NewTenancy(pool, postgres.Intake), Writer: writer, Logger: logger, Metrics: registry})
	require.NoError(b, err)
	listening := httptest.NewServer(server)
	b.Cleanup(listening.Close)
	_, key, err := apikey.Create(b.Context(), db.Tenancy(b, postgres.Owner), apikey.Request{Tenant: "alice", Scopes: []apikey.Scope{apikey.MetricsWrite}}, time.Now())
	require.NoError(b, err)
	const points = 1000
	list := make([]string, points)
	now := time.Now().UTC()
	for i := range list {
		list[i] = fmt.Sprintf(`{"name":"checkout.latency","value":%d.%03d,"tags":{"host":"web-%d","region":"eu"},"at":"%s"}`,
			i%90, i, i%100, now.Add(-time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano))
	}
	body := []byte(`{"points":[` + strings.Join(list, ",") + `]}`)
	var keys atomic.Int64
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, listening.URL+"/v1/metrics", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+key.Reveal())
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", fmt.Sprint(keys.Add(1)))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				b.Errorf("answered %d", resp.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)*points/b.Elapsed().Seconds(), "points/s")
}

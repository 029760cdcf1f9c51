//go:build prometheus

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/program"
	"millrace/internal/telemetry"
)

// A new version is marked once, where it begins to run; a restart of what ran is
// no deploy.
func TestDeploysAreMarked(t *testing.T) {
	t.Parallel()
	old, newer := listen(t), listen(t)
	// Prometheus is told of the address before somebody answers there.
	address := newer.Addr().String()
	require.NoError(t, newer.Close())
	server := startPrometheus(t, map[string][]string{"worker": {old.Addr().String(), address}})
	run := func(version string, listener net.Listener) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		metrics := telemetry.MetricsServer(telemetry.NewRegistry(version), dbtest.Logger(t))
		go func() { done <- program.Serve(ctx, metrics, listener, func() {}) }()
		return func() {
			cancel()
			require.NoError(t, <-done)
		}
	}
	scraped := func(version string, times int) {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			answer, err := server.query(t.Context(), fmt.Sprintf(`count(millrace_build_info{version=%q})`, version))
			require.NoError(c, err)
			require.Len(c, answer, times)
		}, patience, often)
	}
	again := func() net.Listener {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		require.NoError(t, err)
		return listener
	}

	began := time.Now()
	t.Cleanup(run("v1", old))
	scraped("v1", 1)
	switched := time.Now()
	stop := run("v2", again())
	scraped("v2", 1)
	stop()
	scraped("v2", 0)
	t.Cleanup(run("v2", again()))
	scraped("v2", 1)

	const step = time.Second // no shorter than Prometheus scrapes
	expr := strings.ReplaceAll(deployed, "$__interval", step.String())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		// Until after the restart, so that it would be seen.
		marks, err := server.marks(t.Context(), expr, began, time.Now(), step)
		require.NoError(c, err)
		require.Len(c, marks["v1"], 1)
		require.Len(c, marks["v2"], 1)
		require.False(c, marks["v1"][0].After(switched.Add(step)))
		require.True(c, marks["v2"][0].After(switched))
		restarted, err := server.query(t.Context(), `millrace_build_info{version="v2"} offset 3s`)
		require.NoError(c, err)
		require.NotEmpty(c, restarted, "the restart is longer ago than a step")
	}, patience, often)
}

// marks are the annotations that Grafana makes of a query, by version: points no
// more than a step apart are one.
func (s *server) marks(ctx context.Context, expr string, from, to time.Time, step time.Duration) (map[string][]time.Time, error) {
	var matrix struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	parameters := url.Values{"query": {expr}, "start": {from.Format(time.RFC3339)}, "end": {to.Format(time.RFC3339)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}}
	if err := s.get(ctx, "query_range", parameters, &matrix); err != nil {
		return nil, err
	}
	marks := map[string][]time.Time{}
	for _, r := range matrix.Result {
		version, last := r.Metric["version"], time.Time{}
		for _, value := range r.Values {
			seconds, ok := value[0].(float64)
			if !ok {
				return nil, fmt.Errorf("a time of %v", value[0])
			}
			at := time.UnixMilli(int64(1000 * seconds))
			if at.Sub(last) > step {
				marks[version] = append(marks[version], at)
			}
			last = at
		}
	}
	return marks, nil
}

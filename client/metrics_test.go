package client_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestSendMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusServiceUnavailable, `{}`), answer(http.StatusAccepted, `{"accepted":4}`, "Idempotent-Replayed", "true"))
	c, _ := newClient(t, s.URL, client.Options{})
	at := time.Date(2030, 1, 31, 9, 30, 0, 250_000_000, time.UTC)
	receipt, err := c.SendMetrics(t.Context(), []client.MetricPoint{
		{Name: "a", Value: 12.5, Tags: map[string]string{"b": "c"}, At: at}, {Name: "a", Value: 1 << 53}, {Name: "a", Value: 1<<53 + 2}, {Name: "a", Value: 1e-9},
	}, client.MetricsOptions{})
	require.NoError(t, err)
	require.Equal(t, &client.MetricsReceipt{Accepted: 4, Replayed: true}, receipt)
	sent := s.received()
	require.Len(t, sent, 2, "it is safe to repeat")
	require.Equal(t, "POST /v1/metrics", sent[1].method+" "+sent[1].uri)
	require.Equal(t, sent[0].header.Get("Idempotency-Key"), sent[1].header.Get("Idempotency-Key"))
	require.Len(t, sent[1].header.Get("Idempotency-Key"), 36)
	require.JSONEq(t, `{"points":[{"name":"a","value":12.5,"tags":{"b":"c"},"at":"2030-01-31T09:30:00.25Z"},{"name":"a","value":9007199254740992},{"name":"a","value":9.007199254740994e15},{"name":"a","value":1e-9}]}`, sent[1].body)
	require.Contains(t, sent[1].body, "9.007199254740994e+15", "as a number that is not an integer")

	for _, value := range []float64{math.NaN(), math.Inf(1)} {
		_, err = c.SendMetrics(t.Context(), []client.MetricPoint{{Name: "a", Value: value}}, client.MetricsOptions{})
		require.ErrorContains(t, err, "point 0 is not finite")
	}
	require.Len(t, s.received(), 2)
}

func TestMetricPages(t *testing.T) {
	t.Parallel()
	s := newServer(t,
		answer(http.StatusOK, `{"points":[{"at":"2030-01-31T09:30:00Z","count":2,"avg":1.5}],"next":"2030-01-31T09:31:00Z","step":"1m"}`),
		answer(http.StatusOK, `{"points":[{"at":"2030-01-31T09:31:00Z","count":0,"avg":null}],"step":"1m"}`))
	c, _ := newClient(t, s.URL, client.Options{})
	var counts []int64
	for bucket, err := range c.AllMetricPoints(t.Context(), client.MetricQuery{
		Name: "a", Tags: map[string]string{"region": "e u"}, From: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC), Aggregates: []string{"count", "avg"}, Gaps: true, Timezone: "UTC", Limit: 1,
	}) {
		require.NoError(t, err)
		counts = append(counts, *bucket.Count)
		require.Equal(t, *bucket.Count == 0, bucket.Aggregate("avg") == nil)
		require.Nil(t, bucket.Aggregate("sum"))
	}
	require.Equal(t, []int64{2, 0}, counts)
	first, second := s.received()[0].uri, s.received()[1].uri
	require.Equal(t, "/v1/metrics?agg=count%2Cavg&from=2030-01-31T09%3A30%3A00Z&gaps=null&limit=1&name=a&tag.region=e+u&timezone=UTC", first)
	require.Contains(t, second, "&page_token=2030-01-31T09%3A31%3A00Z&")
	require.Contains(t, second, "&step=1m&", "the step of the first page, whatever the time")
}

func TestMetricLists(t *testing.T) {
	t.Parallel()
	const series = `{"series":[{"name":"a","tags":{"b":"c"},"value":7,"at":"2030-01-31T09:30:00Z"}]}`
	s := newServer(t, answer(http.StatusOK, series), answer(http.StatusOK, series),
		answer(http.StatusOK, `{"names":[{"name":"a","series":3}],"next_page_token":"t"}`), answer(http.StatusOK, `{"names":[{"name":"b","series":1}]}`),
		answer(http.StatusOK, `{"tags":[{"name":"b","values":["c"],"more":true}]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	latest, err := c.LatestMetrics(t.Context(), "a", 7)
	require.NoError(t, err)
	require.Equal(t, []client.SeriesValue{{Name: "a", Tags: map[string]string{"b": "c"}, Value: 7, At: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC)}}, latest)
	top, err := c.TopMetrics(t.Context(), client.TopMetricsQuery{Name: "a", Tags: map[string]string{"x": "y"}, Aggregate: "p99", Limit: 2})
	require.NoError(t, err)
	require.Equal(t, latest, top)
	var names []string
	for name, err := range c.AllMetricNames(t.Context(), client.MetricNamesFilter{Prefix: "p"}) {
		require.NoError(t, err)
		names = append(names, name.Name)
	}
	require.Equal(t, []string{"a", "b"}, names)
	tags, err := c.MetricTags(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []client.MetricTag{{Name: "b", Values: []string{"c"}, More: true}}, tags)
	var uris []string
	for _, r := range s.received() {
		uris = append(uris, r.uri)
	}
	require.Equal(t, []string{
		"/v1/metrics/latest?limit=7&name=a", "/v1/metrics/top?agg=p99&limit=2&name=a&tag.x=y", "/v1/metrics/names?prefix=p", "/v1/metrics/names?page_token=t&prefix=p", "/v1/metrics/tags?name=a",
	}, uris)
	for _, err := range []error{
		second(c.Metric(t.Context(), client.MetricQuery{})), second(c.LatestMetrics(t.Context(), "", 0)),
		second(c.TopMetrics(t.Context(), client.TopMetricsQuery{})), second(c.MetricTags(t.Context(), "")),
	} {
		require.ErrorContains(t, err, "empty")
	}
}

func second[T any](_ T, err error) error { return err }

func TestRecomputeMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+job("4711", "available")+`}`))
	c, _ := newClient(t, s.URL, client.Options{})
	from := time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC)
	got, err := c.RecomputeMetrics(t.Context(), from, from.AddDate(0, 0, 1), client.SubmitOptions{Priority: 3})
	require.NoError(t, err)
	require.Equal(t, "4711", got.Job.ID)
	sent := s.one(t)
	require.Equal(t, "POST /v1/metrics/rollups", sent.method+" "+sent.uri)
	require.JSONEq(t, `{"from":"2030-01-31T00:00:00Z","to":"2030-02-01T00:00:00Z","priority":3}`, strings.TrimSpace(sent.body))
}

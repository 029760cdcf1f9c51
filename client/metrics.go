package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const metricsPath = "/v1/metrics"

// MetricPoint is one measurement.
type MetricPoint struct {
	// Name is what is measured: 1 to 128 of a-z, 0-9, _ . : / and -, beginning with a
	// letter or _. Case does not matter.
	Name string `json:"name"`
	// Value is a finite number of at most 1e300.
	Value float64 `json:"value"`
	// Tags tell series of one name apart: up to 16. A tag whose values never repeat
	// makes a series each time, of which a tenant may have 10,000.
	Tags map[string]string `json:"tags,omitzero"`
	// At is when it was measured, up to ten minutes ahead. Zero is when it comes in.
	At time.Time `json:"at,omitzero"`
}

// MetricsOptions tunes SendMetrics.
type MetricsOptions struct {
	// IdempotencyKey is the app's own id of the request: 1 to 255 visible ASCII
	// characters, remembered for 7 days. Sending points with their key once more adds
	// nothing; other points with the key are an error with the code
	// IDEMPOTENCY_MISMATCH. Points without a time count as the same whenever they come.
	// Default: a new one for this call, which covers the client's own repetitions only.
	IdempotencyKey string
}

// MetricsReceipt says that points are durable.
type MetricsReceipt struct {
	// Accepted is how many they are: all.
	Accepted int `json:"accepted"`
	// Replayed says that they were sent with this key before; they count once.
	Replayed bool `json:"-"`
}

// exactInteger is up to where numbers without a fraction are integers to the server.
const exactInteger = 1 << 53

// SendMetrics sends 1 to 10,000 points. All are accepted, or none: the code is
// INVALID_INPUT, with Error.Fields such as points[17].value, when one breaks a rule
// or when they would make more series than the tenant may have.
func (c *Client) SendMetrics(ctx context.Context, points []MetricPoint, opts MetricsOptions) (*MetricsReceipt, error) {
	type wirePoint struct {
		Name  string            `json:"name"`
		Value json.Number       `json:"value"`
		Tags  map[string]string `json:"tags,omitempty"`
		At    time.Time         `json:"at,omitzero"`
	}
	wire := make([]wirePoint, len(points))
	for i, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			return nil, fmt.Errorf("client: the value of point %d is not finite", i)
		}
		format := byte('g')
		if math.Abs(p.Value) > exactInteger {
			format = 'e' // as it is, and not an integer that was rounded
		}
		wire[i] = wirePoint{Name: p.Name, Value: json.Number(strconv.FormatFloat(p.Value, format, -1, 64)), Tags: p.Tags, At: p.At}
	}
	body, err := encode(map[string]any{"points": wire})
	if err != nil {
		return nil, err
	}
	if opts.IdempotencyKey == "" {
		opts.IdempotencyKey = NewIdempotencyKey()
	}
	a, err := c.do(ctx, request{method: http.MethodPost, path: metricsPath, body: body, key: opts.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	receipt := &MetricsReceipt{Replayed: a.header.Get("Idempotent-Replayed") == "true"}
	if err := a.decode(receipt); err != nil {
		return nil, err
	}
	return receipt, nil
}

// MetricQuery asks for a metric over time. Only Name is required.
type MetricQuery struct {
	Name string
	// Tags select series that have all of them.
	Tags map[string]string
	// From is a day before To by default, To the server's time.
	From, To time.Time
	// Step is how wide buckets are, such as 30s, 5m, 1h, 1d or 1w. Default: one with
	// which there are about 300 buckets at most.
	Step string
	// Aggregates are which to answer with, of count, sum, min, max, avg, first, last,
	// p50, p95 and p99. Default all.
	Aggregates []string
	// Gaps asks for the buckets without points too.
	Gaps bool
	// Timezone is whose days and weeks are meant (IANA), with a step of 1d or 1w.
	// Default UTC.
	Timezone string
	// Limit is how many buckets a page has, up to 5,000. Default: the server's, 1,000.
	Limit int
	// PageToken is the Next of the page before, which was asked for with the same
	// query otherwise.
	PageToken string
}

// MetricBucket is one bucket: its aggregates, or those that were asked for. The
// others are nil, and all but Count are nil when it has no points.
type MetricBucket struct {
	// At is when it begins.
	At    time.Time `json:"at"`
	Count *int64    `json:"count,omitzero"`
	Sum   *float64  `json:"sum,omitzero"`
	Min   *float64  `json:"min,omitzero"`
	Max   *float64  `json:"max,omitzero"`
	Avg   *float64  `json:"avg,omitzero"`
	First *float64  `json:"first,omitzero"`
	Last  *float64  `json:"last,omitzero"`
	P50   *float64  `json:"p50,omitzero"`
	P95   *float64  `json:"p95,omitzero"`
	P99   *float64  `json:"p99,omitzero"`
}

// Aggregate returns the aggregate of that name; nil when there is none.
func (b *MetricBucket) Aggregate(name string) *float64 {
	switch name {
	case "count":
		if b.Count == nil {
			return nil
		}
		count := float64(*b.Count)
		return &count
	case "sum":
		return b.Sum
	case "min":
		return b.Min
	case "max":
		return b.Max
	case "avg":
		return b.Avg
	case "first":
		return b.First
	case "last":
		return b.Last
	case "p50":
		return b.P50
	case "p95":
		return b.P95
	case "p99":
		return b.P99
	default:
		return nil
	}
}

// MetricSeries is one page of a metric over time.
type MetricSeries struct {
	// Points are the buckets, the oldest first.
	Points []*MetricBucket `json:"points"`
	// Next is the PageToken of the next page; empty on the last.
	Next string `json:"next"`
	// Step is how wide the buckets are.
	Step string `json:"step"`
}

// Metric reads a page of a metric over time. What was sent is in it at once.
func (c *Client) Metric(ctx context.Context, query MetricQuery) (*MetricSeries, error) {
	parameters := tagParameters(query.Tags)
	parameters["name"], parameters["step"], parameters["timezone"] = query.Name, query.Step, query.Timezone
	parameters["from"], parameters["to"] = parameterTime(query.From), parameterTime(query.To)
	parameters["agg"] = strings.Join(query.Aggregates, ",")
	if query.Gaps {
		parameters["gaps"] = "null"
	}
	var series MetricSeries
	if err := c.readMetric(ctx, query.Name, pagePath(metricsPath, query.Limit, query.PageToken, parameters), &series); err != nil {
		return nil, err
	}
	return &series, nil
}

// AllMetricPoints yields the buckets of all pages from the query's on, reading a page
// when it is needed. An error ends it.
func (c *Client) AllMetricPoints(ctx context.Context, query MetricQuery) iter.Seq2[*MetricBucket, error] {
	return pages(query.PageToken, func(token string) ([]*MetricBucket, string, error) {
		at := query
		at.PageToken = token
		page, err := c.Metric(ctx, at)
		if err != nil {
			return nil, "", err
		}
		query.Step = page.Step // the server's choice may change with its time
		return page.Points, page.Next, nil
	})
}

// SeriesValue is one series of a metric with a value.
type SeriesValue struct {
	Name  string            `json:"name"`
	Tags  map[string]string `json:"tags"`
	Value float64           `json:"value"`
	// At is when the newest point was measured that is in the value.
	At time.Time `json:"at"`
}

// LatestMetrics reads the newest value of each series of a metric, those with the
// newest points first. A limit of 0 is the server's, 100; it is at most 1,000.
func (c *Client) LatestMetrics(ctx context.Context, name string, limit int) ([]SeriesValue, error) {
	return c.seriesValues(ctx, name, pagePath(metricsPath+"/latest", limit, "", map[string]string{"name": name}))
}

// TopMetricsQuery asks for the series with the greatest values. Only Name is required.
type TopMetricsQuery struct {
	Name string
	// Tags select series that have all of them.
	Tags map[string]string
	// From is a day before To by default, To the server's time.
	From, To time.Time
	// Aggregate is what is compared. Default sum.
	Aggregate string
	// Limit is how many series to read, at most 1,000. Default: the server's, 10.
	Limit int
}

// TopMetrics reads the series of a metric with the greatest values, greatest first.
func (c *Client) TopMetrics(ctx context.Context, query TopMetricsQuery) ([]SeriesValue, error) {
	parameters := tagParameters(query.Tags)
	parameters["name"], parameters["agg"] = query.Name, query.Aggregate
	parameters["from"], parameters["to"] = parameterTime(query.From), parameterTime(query.To)
	return c.seriesValues(ctx, query.Name, pagePath(metricsPath+"/top", query.Limit, "", parameters))
}

func (c *Client) seriesValues(ctx context.Context, name, path string) ([]SeriesValue, error) {
	var list struct {
		Series []SeriesValue `json:"series"`
	}
	if err := c.readMetric(ctx, name, path, &list); err != nil {
		return nil, err
	}
	return list.Series, nil
}

// MetricNamesFilter chooses names of metrics. Zero values do not filter.
type MetricNamesFilter struct {
	Prefix string
	// Limit is how many a page has, at most 1,000. Default: the server's, 100.
	Limit int
	// PageToken is the NextPageToken of the page before.
	PageToken string
}

// MetricName is a name that there are series of.
type MetricName struct {
	Name   string `json:"name"`
	Series int    `json:"series"`
}

// MetricNamesPage is one page of names, in their order.
type MetricNamesPage struct {
	Names []*MetricName `json:"names"`
	// NextPageToken asks for the next page; empty on the last.
	NextPageToken string `json:"next_page_token"`
}

// MetricNames reads a page of the names of metrics.
func (c *Client) MetricNames(ctx context.Context, filter MetricNamesFilter) (*MetricNamesPage, error) {
	var page MetricNamesPage
	path := pagePath(metricsPath+"/names", filter.Limit, filter.PageToken, map[string]string{"prefix": filter.Prefix})
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// AllMetricNames yields the names of all pages from the filter's on, reading a page
// when it is needed. An error ends it.
func (c *Client) AllMetricNames(ctx context.Context, filter MetricNamesFilter) iter.Seq2[*MetricName, error] {
	return pages(filter.PageToken, func(token string) ([]*MetricName, string, error) {
		at := filter
		at.PageToken = token
		page, err := c.MetricNames(ctx, at)
		if err != nil {
			return nil, "", err
		}
		return page.Names, page.NextPageToken, nil
	})
}

// MetricTag is a tag of a metric's series.
type MetricTag struct {
	Name string `json:"name"`
	// Values are those that series have, up to 100.
	Values []string `json:"values"`
	// More says that there are more values.
	More bool `json:"more"`
}

// MetricTags reads the tags of a metric, with their values.
func (c *Client) MetricTags(ctx context.Context, name string) ([]MetricTag, error) {
	var list struct {
		Tags []MetricTag `json:"tags"`
	}
	if err := c.readMetric(ctx, name, withQuery(metricsPath+"/tags", map[string]string{"name": name}), &list); err != nil {
		return nil, err
	}
	return list.Tags, nil
}

// RecomputeMetrics submits a job that makes the buckets of the days that touch
// [from, to) anew from the points as they came in, as far as these are kept. The
// range is at most 366 days. Job.Progress tells how far it is, and its result how
// many buckets were "checked", "written" and "kept".
func (c *Client) RecomputeMetrics(ctx context.Context, from, to time.Time, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, metricsPath+"/rollups", struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
		submitFields
	}{from, to, opts.fields()}, opts)
}

func (c *Client) readMetric(ctx context.Context, name, path string, into any) error {
	if name == "" {
		return errors.New("client: the metric's name is empty")
	}
	return c.call(ctx, request{method: http.MethodGet, path: path}, into)
}

// tagParameters are the parameters that select by tags.
func tagParameters(tags map[string]string) map[string]string {
	parameters := map[string]string{}
	for name, value := range tags {
		parameters["tag."+name] = value
	}
	return parameters
}

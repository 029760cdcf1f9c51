package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"millrace/internal/fault"
	"millrace/internal/rollup"
)

// tagPrefix begins the query parameters that select series by their tags.
const tagPrefix = "tag."

// tagged describes the parameters that a tagFilter reads, and leaves refusing the
// unknown ones to it.
func tagged(op huma.Operation) huma.Operation {
	op.RejectUnknownQueryParameters = false
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: tagPrefix + "{name}", In: "query",
		Description: "Only series that have this value of the tag: tag.region=eu selects by the tag region. Any number of these, of which all must hold.",
		Schema:      &huma.Schema{Type: huma.TypeString, Examples: []any{"eu"}},
	})
	return op
}

// tagFilter reads the parameters tag.<name>=<value>.
type tagFilter struct {
	tags map[string]string
}

// Resolve implements huma.Resolver.
func (f *tagFilter) Resolve(ctx huma.Context) []error {
	known := map[string]bool{}
	for _, p := range ctx.Operation().Parameters {
		known[p.Name] = p.In == "query"
	}
	u := ctx.URL()
	tags := map[string]string{}
	for key, values := range u.Query() {
		name, isTag := strings.CutPrefix(key, tagPrefix)
		switch {
		case isTag && len(values) == 1:
			tags[name] = values[0]
		case isTag:
			return []error{&huma.ErrorDetail{Location: "query.tag", Message: "a tag may be given once"}}
		case !known[key]:
			return []error{&huma.ErrorDetail{Location: "query", Message: "unknown query parameter"}}
		}
	}
	normal, problem := rollup.ParseTags(tags)
	if problem != "" {
		return []error{&huma.ErrorDetail{Location: "query.tag", Message: "tags " + problem}}
	}
	f.tags = normal
	return nil
}

// selector selects the series of a metric.
func (f *tagFilter) selector(fields *fault.Fields, name string) rollup.Selector {
	normal, ok := rollup.ParseName(name)
	fields.Check(ok, "name", "must be the name of a metric")
	return rollup.Selector{Name: normal, Tags: f.tags}
}

type seriesInput struct {
	tagFilter

	Name      string    `query:"name" required:"true" doc:"The metric." maxLength:"128" example:"checkout.latency"`
	From      time.Time `query:"from" doc:"The first bucket is the one that holds this time. Default: a day before to." example:"2026-01-31T00:00:00Z"`
	To        time.Time `query:"to" doc:"The last bucket is the one before this time, or that holds it. Default: now." example:"2026-02-01T00:00:00Z"`
	Step      string    `query:"step" doc:"How wide buckets are: a whole number and one of s, m, h, d, w, or of seconds alone. Default: one of 1m, 5m, 15m, 1h, 6h, 1d, 1w, so that there are about 300 buckets at most. Steps below 1m, and those that are no multiple of it, are made from the points themselves, as long as these are kept." maxLength:"8" example:"5m"`
	Agg       string    `query:"agg" doc:"Which aggregates to answer with, separated by commas: count, sum, min, max, avg, first, last, p50, p95, p99. Default: all." maxLength:"128" example:"avg,p95"`
	Gaps      string    `query:"gaps" doc:"null answers with the buckets without points too: their count is 0, and all else null." enum:"null"`
	Timezone  string    `query:"timezone" doc:"Whose days and weeks (IANA), for a step of 1d or 1w. Default: UTC." maxLength:"64" example:"Europe/Berlin"`
	Limit     int       `query:"limit" doc:"How many buckets to answer with." minimum:"1" maximum:"5000" default:"1000"`
	PageToken string    `query:"page_token" doc:"next of the page before, asked for with the same parameters otherwise." maxLength:"64"`
}

// MetricBucket is one bucket of a series: its aggregates, or those that were asked
// for.
type MetricBucket struct {
	At    time.Time `json:"at" doc:"When the bucket begins." example:"2026-01-31T09:30:00Z"`
	Count *int64    `json:"count,omitzero" doc:"How many points there are." nullable:"false" example:"60"`
	Sum   *float64  `json:"sum,omitzero" doc:"Their exact sum, rounded once." nullable:"true" example:"750.5"`
	Min   *float64  `json:"min,omitzero" nullable:"true" example:"3.25"`
	Max   *float64  `json:"max,omitzero" nullable:"true" example:"98"`
	Avg   *float64  `json:"avg,omitzero" nullable:"true" example:"12.508"`
	First *float64  `json:"first,omitzero" doc:"The value of the earliest point." nullable:"true" example:"7"`
	Last  *float64  `json:"last,omitzero" doc:"The value of the latest point." nullable:"true" example:"11"`
	P50   *float64  `json:"p50,omitzero" doc:"The median, within 1 % of it, like the other percentiles." nullable:"true" example:"9.9"`
	P95   *float64  `json:"p95,omitzero" nullable:"true" example:"44.1"`
	P99   *float64  `json:"p99,omitzero" nullable:"true" example:"81.7"`

	summary *rollup.Summary
	wanted  []rollup.Aggregate
}

// MarshalJSON implements json.Marshaler: a member that is asked for and that a bucket
// without points does not have is null.
func (b MetricBucket) MarshalJSON() ([]byte, error) {
	text := b.At.AppendFormat([]byte(`{"at":"`), time.RFC3339Nano)
	text = append(text, '"')
	for _, aggregate := range b.wanted {
		text = append(append(append(text, `,"`...), aggregate...), `":`...)
		value := math.NaN()
		switch {
		case b.summary != nil:
			value = aggregate.Of(b.summary)
		case aggregate == rollup.Count:
			value = 0
		}
		var err error
		if text, err = appendNumber(text, value); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

// appendNumber writes a number as encoding/json does, and what is none as null.
func appendNumber(text []byte, value float64) ([]byte, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) { // a sum may be beyond what a float64 holds
		return append(text, "null"...), nil
	}
	if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
		return strconv.AppendInt(text, int64(value), 10), nil
	}
	number, err := json.Marshal(value)
	return append(text, bytes.TrimSpace(number)...), err
}

type seriesOutput struct {
	Body struct {
		Points []MetricBucket `json:"points"`
		Next   string         `json:"next,omitzero" doc:"When the first bucket of the next page begins, to be asked for as page_token or, with the step, as from; absent on the last page." example:"2026-01-31T14:30:00Z"`
		Step   string         `json:"step" doc:"How wide the buckets are." example:"5m"`
	}
}

func (s *Server) metricSeries(ctx context.Context, in *seriesInput) (*seriesOutput, error) {
	q, err := in.query(s.opts.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	buckets, next, err := s.points.querier.Series(ctx, principal(ctx).Tenant, q.of, q.window, in.Gaps == "null", in.Limit)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	out := &seriesOutput{}
	out.Body.Points = make([]MetricBucket, len(buckets))
	for i, b := range buckets {
		out.Body.Points[i] = MetricBucket{At: b.At, summary: b.Summary, wanted: q.aggregates}
	}
	if !next.IsZero() {
		out.Body.Next = next.UTC().Format(time.RFC3339)
	}
	out.Body.Step = q.step
	return out, nil
}

// seriesQuery is what a seriesInput asks for.
type seriesQuery struct {
	of         rollup.Selector
	window     rollup.Window
	step       string
	aggregates []rollup.Aggregate
}

func (in *seriesInput) query(now time.Time) (q seriesQuery, err error) {
	var fields fault.Fields
	q.of = in.selector(&fields, in.Name)
	from, to := metricRange(&fields, in.From, in.To, now)
	if q.step = in.Step; q.step == "" {
		q.step = defaultStep(to.Sub(from))
	}
	step, err := rollup.ParseStep(q.step)
	fields.Check(err == nil, "step", "must be a whole number and one of s, m, h, d, w, such as 5m, from 1s to 366d")
	fields.Check(err != nil || to.Sub(from)/step.Width <= maxSteps, "step", fmt.Sprintf("must be longer, or from closer to to: they are more than %d steps apart", maxSteps))
	if in.Timezone != "" {
		fields.Check(err != nil || step.Zoned(), "timezone", "goes with a step of 1d or 1w only")
		zone, zoneErr := time.LoadLocation(in.Timezone)
		fields.Check(zoneErr == nil && in.Timezone != "Local", "timezone", "must be an IANA time zone such as Europe/Berlin")
		step.Zone = zone
	}
	q.aggregates = rollup.Aggregates()
	if in.Agg != "" {
		q.aggregates = aggregates(&fields, in.Agg)
	}
	if in.PageToken != "" {
		at, tokenErr := time.Parse(time.RFC3339, in.PageToken)
		fields.Check(tokenErr == nil && !at.Before(from.Add(-rollup.MaxStep)) && !at.After(to), "page_token", "must be the next of a page with the same parameters")
		from = at
	}
	q.window = rollup.Window{From: from, To: to, Step: step}
	return q, fields.Err()
}

// maxSteps is how many buckets a range may have.
const maxSteps = 10_000_000

// metricRange completes a range and checks it.
func metricRange(fields *fault.Fields, from, to, now time.Time) (time.Time, time.Time) {
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	fields.Check(from.Before(to), "from", "must be before to")
	fields.Check(from.Year() >= 1970, "from", "must not be before 1970")
	fields.Check(to.Year() < 10000, "to", "must be before the year 10000")
	return from, to
}

// defaultStep is one with which a range has about 300 buckets at most, if any has.
func defaultStep(length time.Duration) string {
	for _, step := range []struct {
		text  string
		width time.Duration
	}{
		{"1m", time.Minute},
		{"5m", 5 * time.Minute},
		{"15m", 15 * time.Minute},
		{"1h", time.Hour},
		{"6h", 6 * time.Hour},
		{"1d", 24 * time.Hour},
	} {
		if length <= 300*step.width {
			return step.text
		}
	}
	return "1w"
}

// aggregates reads a list of them; the answer has them in the order of the list.
func aggregates(fields *fault.Fields, text string) []rollup.Aggregate {
	var wanted []rollup.Aggregate
	for name := range strings.SplitSeq(text, ",") {
		aggregate := rollup.Aggregate(strings.TrimSpace(name))
		if !slices.Contains(rollup.Aggregates(), aggregate) {
			fields.Add("agg", "must be some of "+aggregateNames()+", separated by commas")
			return nil
		}
		if !slices.Contains(wanted, aggregate) {
			wanted = append(wanted, aggregate)
		}
	}
	return wanted
}

func aggregateNames() string {
	var names []string
	for _, aggregate := range rollup.Aggregates() {
		names = append(names, string(aggregate))
	}
	return strings.Join(names, ", ")
}

// queryTimeout bounds a read of metrics.
const queryTimeout = 20 * time.Second

// tooSlow tells what to do about a read that took too long.
func tooSlow(ctx context.Context, err error) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	var fields fault.Fields
	fields.Add("from", "must be closer to to, or the step longer: the answer took too long to make")
	return fields.Err()
}

// MetricValue is one series with a value.
type MetricValue struct {
	Name  string            `json:"name" example:"checkout.latency"`
	Tags  map[string]string `json:"tags" example:"{\"region\":\"eu\"}"`
	Value float64           `json:"value" example:"12.5"`
	At    time.Time         `json:"at" doc:"When the newest point was measured that is in it."`
}

type valuesOutput struct {
	Body struct {
		Series []MetricValue `json:"series"`
	}
}

func valuesOf(list []rollup.SeriesValue) *valuesOutput {
	out := &valuesOutput{}
	out.Body.Series = []MetricValue{}
	for _, one := range list {
		value := one.Value
		if math.IsInf(value, 0) { // see appendNumber; here it orders
			value = math.Copysign(math.MaxFloat64, value)
		}
		out.Body.Series = append(out.Body.Series, MetricValue{Name: one.Series.Name, Tags: one.Series.Tags, Value: value, At: one.At})
	}
	return out
}

type latestInput struct {
	tagFilter

	Name  string `query:"name" required:"true" doc:"The metric." maxLength:"128" example:"checkout.latency"`
	Limit int    `query:"limit" doc:"How many series to return, those with the newest points." minimum:"1" maximum:"1000" default:"100"`
}

func (s *Server) latestMetrics(ctx context.Context, in *latestInput) (*valuesOutput, error) {
	var fields fault.Fields
	of := in.selector(&fields, in.Name)
	if err := fields.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	list, err := s.points.querier.Latest(ctx, principal(ctx).Tenant, of, in.Limit)
	if err != nil {
		return nil, err
	}
	return valuesOf(list), nil
}

type topInput struct {
	tagFilter

	Name  string    `query:"name" required:"true" doc:"The metric." maxLength:"128" example:"checkout.latency"`
	From  time.Time `query:"from" doc:"Points measured at this time or later. Default: a day before to." example:"2026-01-31T00:00:00Z"`
	To    time.Time `query:"to" doc:"Points measured before this time. The range is widened to whole minutes. Default: now." example:"2026-02-01T00:00:00Z"`
	Agg   string    `query:"agg" doc:"What is compared." enum:"count,sum,min,max,avg,first,last,p50,p95,p99" default:"sum"`
	Limit int       `query:"limit" doc:"How many series to return, the greatest first." minimum:"1" maximum:"1000" default:"10"`
}

func (s *Server) topMetrics(ctx context.Context, in *topInput) (*valuesOutput, error) {
	var fields fault.Fields
	of := in.selector(&fields, in.Name)
	from, to := metricRange(&fields, in.From, in.To, s.opts.Now())
	if err := fields.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	list, err := s.points.querier.Top(ctx, principal(ctx).Tenant, of, from, to, rollup.Aggregate(in.Agg), in.Limit)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	return valuesOf(list), nil
}

type namesInput struct {
	Prefix    string `query:"prefix" doc:"Only names that begin with it." maxLength:"128" example:"checkout."`
	Limit     int    `query:"limit" doc:"How many to return." minimum:"1" maximum:"1000" default:"100"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before." maxLength:"256"`
}

type namesOutput struct {
	Body struct {
		Names         []rollup.Metric `json:"names"`
		NextPageToken string          `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) metricNames(ctx context.Context, in *namesInput) (*namesOutput, error) {
	const list = "metric"
	after := ""
	if in.PageToken != "" {
		var ours bool
		if after, ours = pagePosition(in.PageToken, list); !ours || !isText(after) {
			return nil, badPageToken()
		}
	}
	var fields fault.Fields
	fields.Check(isText(in.Prefix), "prefix", "must be text")
	if err := fields.Err(); err != nil {
		return nil, err
	}
	names, err := s.points.querier.Names(ctx, principal(ctx).Tenant, strings.ToLower(in.Prefix), after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &namesOutput{}
	out.Body.Names, out.Body.NextPageToken = page(names, in.Limit, list, func(last rollup.Metric) string { return last.Name })
	return out, nil
}

type tagsInput struct {
	Name string `query:"name" required:"true" doc:"The metric." maxLength:"128" example:"checkout.latency"`
}

type tagsOutput struct {
	Body struct {
		Tags []rollup.Tag `json:"tags"`
	}
}

func (s *Server) metricTags(ctx context.Context, in *tagsInput) (*tagsOutput, error) {
	name, ok := rollup.ParseName(in.Name)
	var fields fault.Fields
	fields.Check(ok, "name", "must be the name of a metric")
	if err := fields.Err(); err != nil {
		return nil, err
	}
	tags, err := s.points.querier.Tags(ctx, principal(ctx).Tenant, name)
	if err != nil {
		return nil, err
	}
	out := &tagsOutput{}
	out.Body.Tags = append([]rollup.Tag{}, tags...)
	return out, nil
}

// isText reports whether Postgres takes it for text.
func isText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

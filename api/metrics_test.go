package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
)

// gauges is a site with keys for metrics, at noon of a day.
type gauges struct {
	*site

	alice, mallory string
}

func metricsNoon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func newGauges(t *testing.T) *gauges {
	t.Helper()
	s := newSite(t, func(o *api.Options) { o.Now = metricsNoon })
	return &gauges{
		site: s, alice: s.key("alice", apikey.MetricsWrite, apikey.JobsRead, apikey.JobsWrite),
		mallory: s.key("mallory", apikey.MetricsWrite, apikey.JobsRead),
	}
}

func (g *gauges) send(key, idempotencyKey, body string) answer {
	g.t.Helper()
	r := request{method: "POST", path: "/v1/metrics", key: key, body: body}
	if idempotencyKey != "" {
		r.header = map[string]string{"Idempotency-Key": idempotencyKey}
	}
	return g.do(r)
}

// gauge sends values of a metric, one each minute up to noon.
func (g *gauges) gauge(name string, tags map[string]string, values ...float64) {
	g.t.Helper()
	var points []map[string]any
	for i, value := range values {
		at := metricsNoon().Add(time.Duration(i-len(values)) * time.Minute)
		points = append(points, map[string]any{"name": name, "tags": tags, "value": value, "at": at})
	}
	body, err := json.Marshal(map[string]any{"points": points})
	require.NoError(g.t, err)
	a := g.send(g.alice, "", string(body))
	require.Equal(g.t, 202, a.status, a.text)
}

func (g *gauges) get(path string, query ...string) answer {
	g.t.Helper()
	return g.getAs(g.alice, path, query...)
}

func (g *gauges) getAs(key, path string, query ...string) answer {
	g.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	return g.do(request{method: "GET", path: path + "?" + values.Encode(), key: key})
}

// fold does what the workers do.
func (g *gauges) fold() {
	g.t.Helper()
	db := postgres.NewTenancy(g.login, postgres.Worker)
	for _, tenant := range []string{"alice", "mallory"} {
		_, err := rollup.Fold(g.t.Context(), db, tenant, metricsNoon().Add(time.Hour), metricsNoon)
		require.NoError(g.t, err)
	}
}

// problems lists what is wrong, by field.
func (a answer) problems() map[string]string {
	all := map[string]string{}
	fields, _ := a.at("details", "fields").([]any)
	for _, f := range fields {
		field, _ := f.(map[string]any)
		all[fmt.Sprint(field["field"])] += fmt.Sprint(field["problem"])
	}
	return all
}

func TestPointsAreAcceptedAndReadBeforeAndAfterFolding(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	a := g.send(g.alice, "", `{"points":[
		{"name":"Checkout.Latency","value":12.5,"tags":{"Region":" eu "},"at":"2026-03-04T11:58:30+00:00"},
		{"name":"checkout.latency","value":-3e0,"tags":{"region":"eu"},"at":"2026-03-04T12:58:59.999999+01:00"},
		{"value":7,"name":"checkout.latency"}]}`)
	require.Equal(t, 202, a.status, a.text)
	require.JSONEq(t, `{"accepted":3}`, a.text)
	require.Empty(t, a.header.Get("Idempotent-Replayed"))
	require.InDelta(t, 3, g.accepted(), 0)
	want := `{"points":[
		{"at":"2026-03-04T11:58:00Z","count":2,"sum":9.5,"min":-3,"max":12.5,"avg":4.75,"first":12.5,"last":-3,"p50":-3,"p95":-3,"p99":-3},
		{"at":"2026-03-04T12:00:00Z","count":1,"sum":7,"min":7,"max":7,"avg":7,"first":7,"last":7,"p50":7,"p95":7,"p99":7}],"step":"1m"}`
	read := func() string {
		b := g.get("/v1/metrics", "name", "checkout.latency", "from", "2026-03-04T11:55:00Z", "to", "2026-03-04T12:01:00Z")
		require.Equal(t, 200, b.status, b.text)
		// Quantiles are checked where they are computed.
		points, _ := b.at("points").([]any)
		for _, p := range points {
			point, _ := p.(map[string]any)
			require.Len(t, point, 11)
		}
		return b.text
	}
	before := read()
	requireSameButQuantiles(t, want, before)
	g.fold()
	require.Equal(t, before, read(), "folding changes nothing")
	require.Equal(t, 0, g.count("metric_chunks WHERE pending"))
}

// accepted is what the metric of accepted points says.
func (g *gauges) accepted() float64 {
	g.t.Helper()
	families, err := g.registry.Gather()
	require.NoError(g.t, err)
	for _, family := range families {
		if family.GetName() == "millrace_metric_points_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// requireSameButQuantiles compares two answers, the quantiles within their error.
func requireSameButQuantiles(t *testing.T, want, got string) {
	t.Helper()
	var w, g struct {
		Points []map[string]any `json:"points"`
		Step   string           `json:"step"`
		Next   string           `json:"next"`
	}
	require.NoError(t, json.Unmarshal([]byte(want), &w))
	require.NoError(t, json.Unmarshal([]byte(got), &g))
	require.Len(t, g.Points, len(w.Points), got)
	for i := range w.Points {
		require.ElementsMatch(t, slices.Collect(maps.Keys(w.Points[i])), slices.Collect(maps.Keys(g.Points[i])))
		for name, value := range w.Points[i] {
			if strings.HasPrefix(name, "p") {
				require.InEpsilon(t, value, g.Points[i][name], rollup.RelativeError, name)
				continue
			}
			require.Equal(t, value, g.Points[i][name], name)
		}
	}
	require.Equal(t, w.Step, g.Step)
	require.Equal(t, w.Next, g.Next)
}

func TestPointsThatBreakARuleAreRefusedWithTheirIndex(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	good := `{"name":"a","value":1}`
	long := strings.Repeat("a", 129)
	for body, field := range map[string]string{
		`{"name":"","value":1}`:                                  "name",
		`{"value":1}`:                                            "name",
		`{"name":"1a","value":1}`:                                "name",
		`{"name":"` + long + `","value":1}`:                      "name",
		`{"name":"a b","value":1}`:                               "name",
		`{"name":"ä","value":1}`:                                 "name",
		`{"name":7,"value":1}`:                                   "name",
		`{"name":"a"}`:                                           "value",
		`{"name":"a","value":null}`:                              "value",
		`{"name":"a","value":"1"}`:                               "value",
		`{"name":"a","value":"NaN"}`:                             "value",
		`{"name":"a","value":NaN}`:                               "value",
		`{"name":"a","value":true}`:                              "value",
		`{"name":"a","value":1e999}`:                             "value",
		`{"name":"a","value":1.1e300}`:                           "value",
		`{"name":"a","value":9007199254740993}`:                  "value",
		`{"name":"a","value":-9007199254740994}`:                 "value",
		`{"name":"a","value":1,"tags":{"":"x"}}`:                 "tags",
		`{"name":"a","value":1,"tags":{"a":""}}`:                 "tags",
		`{"name":"a","value":1,"tags":{"A":"x","a":"y"}}`:        "tags",
		`{"name":"a","value":1,"tags":{"a":"x\n"}}`:              "",
		`{"name":"a","value":1,"tags":{"a":"x\u0007y"}}`:         "tags",
		`{"name":"a","value":1,"tags":{"a":1}}`:                  "tags.*",
		`{"name":"a","value":1,"tags":[]}`:                       "tags",
		`{"name":"a","value":1,"tags":` + manyTags(17) + `}`:     "tags",
		`{"name":"a","value":1,"at":"yesterday"}`:                "at",
		`{"name":"a","value":1,"at":1772625600}`:                 "at",
		`{"name":"a","value":1,"at":"2026-03-04T12:10:01Z"}`:     "at",
		`{"name":"a","value":1,"at":"1969-12-31T23:59:59Z"}`:     "at",
		`{"name":"a","value":1,"at":"2026-02-29T00:00:00Z"}`:     "at",
		`{"name":"a","value":1,"nonsense":1}`:                    ".",
		`{"Name":"a","value":1}`:                                 ".",
		`{"name":"a","value":1,"tags":{"a":"x","a":"y"}}`:        "body",
		`{"name":"a","name":"b","value":1}`:                      "body",
		`{"name":"a\u0000","value":1}`:                           "body",
		`{"name":"a","value":01}`:                                "body",
		`{"name":"a","value":1.}`:                                "body",
		`{"name":"a","value":1`:                                  "body",
		"{\"name\":\"a\",\"value\":1,\"tags\":{\"a\":\"\xff\"}}": "body",
	} {
		a := g.send(g.alice, "", `{"points":[`+good+`,`+body+`,`+good+`]}`)
		if field == "" { // white space around a value is taken off
			require.Equal(t, 202, a.status, a.text)
			continue
		}
		require.Equal(t, 400, a.status, "%s: %s", body, a.text)
		require.Equal(t, "INVALID_INPUT", a.code())
		want := "points[1]." + field
		switch field {
		case "body":
			want = field
		case ".":
			want = "points[1]"
		}
		require.Contains(t, a.problems(), want, "%s: %s", body, a.text)
	}
	require.Equal(t, 1, g.count("metric_chunks"), "all of a request or nothing")
	for body, field := range map[string]string{
		`{"points":[]}`: "points", `{}`: "points", `{"points":null}`: "points", `{"points":{}}`: "points", `[]`: "body", `{"points":[],"more":1}`: "body",
		`{"points":[` + strings.Repeat(good+",", 10_000) + good + `]}`: "points",
		`{"points":[` + good + `]} {}`:                                 "body",
		`{"points":[` + good + `]}` + "\x00":                           "body",
	} {
		a := g.send(g.alice, "", body)
		require.Equal(t, 400, a.status, a.text)
		require.Contains(t, a.problems(), field, a.text)
	}
	many := g.send(g.alice, "", `{"points":[`+strings.Repeat(`{"name":"a","value":""},`, 999)+good+`]}`)
	require.Contains(t, many.problems(), "points[0].value", many.text)
	require.Less(t, len(many.text), 10_000)
}

func manyTags(n int) string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprintf("t%d", i)] = "v"
	}
	text, _ := json.Marshal(tags)
	return string(text)
}

func TestThePointsDoorHasItsOwnLimitAndScope(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	point := `{"name":"` + strings.Repeat("a", 128) + `","value":1,"tags":{"b":"` + strings.Repeat("b", 200) + `"}}`
	whole := g.send(g.alice, "", `{"points":[`+strings.Repeat(point+",", 9_999)+point+`]}`)
	require.Equal(t, 202, whole.status, whole.text)
	require.JSONEq(t, `{"accepted":10000}`, whole.text)
	tooLarge := g.send(g.alice, "", `{"points":[`+strings.Repeat(" ", 4<<20)+`]}`)
	require.Equal(t, "PAYLOAD_TOO_LARGE", tooLarge.code(), tooLarge.text)
	require.EqualValues(t, 4<<20, tooLarge.at("details", "max_bytes"))
	reader := g.key("alice", apikey.JobsRead, apikey.JobsWrite)
	refused := g.send(reader, "", `{"points":[{"name":"a","value":1}]}`)
	require.Equal(t, "TENANT_ACCESS_DENIED", refused.code())
	require.Equal(t, "metrics:write", refused.at("details", "required_scope"))
	require.Equal(t, 401, g.send("", "", `{}`).status)
	require.Equal(t, "TENANT_ACCESS_DENIED", g.getAs(g.key("alice", apikey.MetricsWrite), "/v1/metrics", "name", "a").code())
	text := g.do(request{method: "POST", path: "/v1/metrics", key: g.alice, body: "{}", header: map[string]string{"Content-Type": "text/plain"}})
	require.Equal(t, "UNSUPPORTED_MEDIA_TYPE", text.code())
	packed := g.do(request{method: "POST", path: "/v1/metrics", key: g.alice, body: "{}", header: map[string]string{"Content-Encoding": "gzip"}})
	require.Equal(t, "UNSUPPORTED_MEDIA_TYPE", packed.code())
	badKey := g.send(g.alice, "a b", `{"points":[{"name":"a","value":1}]}`)
	require.Contains(t, badKey.problems(), "Idempotency-Key")
}

func TestAKeyOfPointsIsAnsweredForOnce(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	const body = `{"points":[{"name":"a","value":1.0,"tags":{"x":"1","y":"2"}},{"name":"b","value":2,"at":"2026-03-04T11:00:00Z"}]}`
	answers := make([]answer, 20)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = g.send(g.alice, "k", body) })
	}
	group.Wait()
	fresh := 0
	for _, a := range answers {
		require.Equal(t, 202, a.status, a.text)
		require.Equal(t, answers[0].text, a.text)
		if a.header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	require.Equal(t, 1, g.count("metric_chunks"))
	require.InDelta(t, 2, g.accepted(), 0)
	spelled := g.send(g.alice, "k", ` {"points":[{"tags":{"Y":"2","x":" 1"},"value":1,"name":"\u0041"},{"at":"2026-03-04T12:00:00.000+01:00","value":0.2e1,"name":"b","tags":{}}]} `)
	require.Equal(t, 202, spelled.status, spelled.text)
	require.Equal(t, "true", spelled.header.Get("Idempotent-Replayed"), "the same points, spelled otherwise")
	for _, other := range []string{
		strings.Replace(body, "1.0", "1.5", 1),
		strings.Replace(body, `"y":"2"`, `"y":"3"`, 1),
		strings.Replace(body, `"b"`, `"c"`, 1),
		strings.Replace(body, `,"at":"2026-03-04T11:00:00Z"`, ``, 1),
		strings.Replace(body, "11:00:00", "11:00:01", 1),
		`{"points":[{"name":"a","value":1,"tags":{"x":"1","y":"2"}}]}`,
	} {
		a := g.send(g.alice, "k", other)
		require.Equal(t, 422, a.status, a.text)
		require.Equal(t, "IDEMPOTENCY_MISMATCH", a.code())
	}
	require.Equal(t, 1, g.count("metric_chunks"))
	require.Equal(t, 202, g.send(g.mallory, "k", `{"points":[{"name":"a","value":1}]}`).status, "keys are a tenant's own")
	for range 2 {
		require.Empty(t, g.send(g.alice, "", body).header.Get("Idempotent-Replayed"), "without a key nothing is a repetition")
	}
	require.Equal(t, 4, g.count("metric_chunks"))
}

func TestTooManySeriesAreRefusedAndNothingOfTheRequestStays(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	require.NoError(t, rollup.Set(t.Context(), g.owner, "alice", rollup.Settings{MaxSeries: 2}))
	g.gauge("a", map[string]string{"user": "1"}, 1)
	g.gauge("a", map[string]string{"user": "2"}, 1)
	a := g.send(g.alice, "", `{"points":[{"name":"a","value":1,"tags":{"user":"1"}},{"name":"a","value":1,"tags":{"user":"3"}}]}`)
	require.Equal(t, 400, a.status, a.text)
	require.EqualValues(t, 2, a.at("details", "max_series"))
	require.EqualValues(t, 1, a.at("details", "new_series"))
	require.Equal(t, 2, g.count("metric_series"))
	require.Equal(t, 2, g.count("metric_chunks"))
	g.gauge("a", map[string]string{"user": "2"}, 1)
}

func TestSeriesAreReadByPageBothWays(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	g.gauge("load", nil, 1, 2, 3, 4, 5, 6, 7)
	whole := g.get("/v1/metrics", "name", "load", "agg", "sum")
	require.Nil(t, whole.at("next"))
	require.Equal(t, "5m", whole.at("step"))
	for _, gaps := range []string{"", "null"} {
		for _, folded := range []bool{false, true} {
			if folded {
				g.fold()
			}
			for _, parameter := range []string{"page_token", "from"} {
				query := map[string]string{
					"name": "load", "agg": "sum,count", "step": "1m", "limit": "3", "from": "2026-03-04T11:50:10Z", "to": "2026-03-04T12:00:00Z",
				}
				if gaps != "" {
					query["gaps"] = gaps
				}
				var ats, values []string
				for {
					var list []string
					for name, value := range query {
						list = append(list, name, value)
					}
					a := g.get("/v1/metrics", list...)
					require.Equal(t, 200, a.status, a.text)
					points, _ := a.at("points").([]any)
					require.LessOrEqual(t, len(points), 3)
					for _, p := range points {
						point, _ := p.(map[string]any)
						ats = append(ats, fmt.Sprint(point["at"])[14:16])
						values = append(values, fmt.Sprint(point["sum"], "/", point["count"]))
					}
					next, more := a.at("next").(string)
					if !more {
						break
					}
					query[parameter] = next
				}
				if gaps == "" {
					require.Equal(t, []string{"53", "54", "55", "56", "57", "58", "59"}, ats, parameter)
					require.Equal(t, []string{"1/1", "2/1", "3/1", "4/1", "5/1", "6/1", "7/1"}, values)
				} else {
					require.Equal(t, []string{"50", "51", "52", "53", "54", "55", "56", "57", "58", "59"}, ats, parameter)
					require.Equal(t, []string{"<nil>/0", "<nil>/0", "<nil>/0", "1/1", "2/1", "3/1", "4/1", "5/1", "6/1", "7/1"}, values)
				}
			}
		}
	}
	empty := g.get("/v1/metrics", "name", "load", "gaps", "null", "from", "2026-03-04T10:00:00Z", "to", "2026-03-04T10:01:00Z")
	require.JSONEq(t, `{"points":[{"at":"2026-03-04T10:00:00Z","count":0,"sum":null,"min":null,"max":null,"avg":null,"first":null,"last":null,"p50":null,"p95":null,"p99":null}],"step":"1m"}`, empty.text)
	none := g.get("/v1/metrics", "name", "nothing")
	require.JSONEq(t, `{"points":[],"step":"5m"}`, none.text)
}

func TestDaysAreThoseOfAZone(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	a := g.send(g.alice, "", `{"points":[{"name":"a","value":1,"at":"2025-10-25T21:59:59Z"},{"name":"a","value":2,"at":"2025-10-25T22:00:00Z"},
		{"name":"a","value":4,"at":"2025-10-26T22:59:59Z"},{"name":"a","value":8,"at":"2025-10-26T23:00:00Z"}]}`)
	require.Equal(t, 202, a.status, a.text)
	days := g.get("/v1/metrics", "name", "a", "agg", "sum", "step", "1d", "timezone", "Europe/Berlin", "from", "2025-10-25T12:00:00+02:00", "to", "2025-10-28T00:00:00+01:00")
	require.JSONEq(t, `{"points":[{"at":"2025-10-24T22:00:00Z","sum":1},{"at":"2025-10-25T22:00:00Z","sum":6},{"at":"2025-10-26T23:00:00Z","sum":8}],"step":"1d"}`, days.text)
}

func TestQueriesOfMetricsAreChecked(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	for query, field := range map[string]string{
		"":                                         "name",
		"name=a&agg=median":                        "agg",
		"name=a&agg=":                              "",
		"name=a&agg=avg,,p50":                      "agg",
		"name=a&step=0m":                           "step",
		"name=a&step=5y":                           "step",
		"name=a&step=1h&timezone=UTC":              "timezone",
		"name=a&timezone=Nowhere&step=1d":          "timezone",
		"name=a&timezone=Local&step=1d":            "timezone",
		"name=a&from=yesterday":                    "from",
		"name=a&from=2026-03-05T00:00:00Z":         "from",
		"name=a&from=1969-01-01T00:00:00Z":         "from",
		"name=a&to=2026-03-04":                     "to",
		"name=a&limit=0":                           "limit",
		"name=a&limit=5001":                        "limit",
		"name=a&page_token=x":                      "page_token",
		"name=a&gaps=zero":                         "gaps",
		"name=a&tag.x=1&tag.x=2":                   "tag",
		"name=a&tag.=1":                            "tag",
		"name=a&tag.x=":                            "tag",
		"name=a&tagx=1":                            "query",
		"name=a&nonsense=1":                        "query",
		"name=a&tag.{name}=1":                      "tag",
		"name=a b":                                 "name",
		"name=a&step=1s&from=2000-01-01T00:00:00Z": "step",
	} {
		a := g.do(request{method: "GET", path: "/v1/metrics?" + strings.ReplaceAll(query, " ", "%20"), key: g.alice})
		if field == "" {
			require.Equal(t, 200, a.status, a.text)
			continue
		}
		require.Equal(t, 400, a.status, "%s: %s", query, a.text)
		require.Contains(t, a.problems(), field, "%s: %s", query, a.text)
		require.Len(t, a.problems(), 1, a.text)
	}
	for _, path := range []string{"/v1/metrics/latest?name=a&tag.x=1&y=1", "/v1/metrics/top?name=a&agg=nothing", "/v1/metrics/names?name=a", "/v1/metrics/tags?name=a&tag.x=1", "/v1/metrics/names?page_token=x", "/v1/metrics/names?prefix=%00", "/v1/metrics/tags?name=%20"} {
		require.Equal(t, 400, g.do(request{method: "GET", path: path, key: g.alice}).status, path)
	}
}

func TestTheStepFitsTheRange(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	for length, step := range map[time.Duration]string{
		time.Hour: "1m", 5 * time.Hour: "1m", 24 * time.Hour: "5m", 3 * 24 * time.Hour: "15m", 12 * 24 * time.Hour: "1h", 75 * 24 * time.Hour: "6h",
		300 * 24 * time.Hour: "1d", 3000 * 24 * time.Hour: "1w",
	} {
		a := g.get("/v1/metrics", "name", "a", "from", metricsNoon().Add(-length).Format(time.RFC3339))
		require.Equal(t, step, a.at("step"), length)
	}
}

func TestMetricsAreComparedAndListed(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	g.gauge("latency", map[string]string{"region": "eu", "host": "a"}, 1, 2, 3)
	g.gauge("latency", map[string]string{"region": "eu", "host": "b"}, 9, 1)
	g.gauge("latency", map[string]string{"region": "us"}, 4)
	g.gauge("errors", nil, 1)
	for _, folded := range []bool{false, true} {
		if folded {
			g.fold()
		}
		latest := g.get("/v1/metrics/latest", "name", "latency", "tag.region", "eu")
		require.JSONEq(t, `{"series":[
			{"name":"latency","tags":{"region":"eu","host":"a"},"value":3,"at":"2026-03-04T11:59:00Z"},
			{"name":"latency","tags":{"region":"eu","host":"b"},"value":1,"at":"2026-03-04T11:59:00Z"}]}`, latest.text)
		top := g.get("/v1/metrics/top", "name", "latency", "limit", "2")
		require.JSONEq(t, `{"series":[
			{"name":"latency","tags":{"region":"eu","host":"b"},"value":10,"at":"2026-03-04T11:59:00Z"},
			{"name":"latency","tags":{"region":"eu","host":"a"},"value":6,"at":"2026-03-04T11:59:00Z"}]}`, top.text)
		top = g.get("/v1/metrics/top", "name", "latency", "limit", "1", "agg", "count", "tag.host", "a")
		require.EqualValues(t, 3, firstOf(top, "series")["value"])
		require.JSONEq(t, `{"series":[]}`, g.get("/v1/metrics/top", "name", "latency", "to", "2026-03-04T10:00:00Z").text)
		sum := g.get("/v1/metrics", "name", "latency", "tag.region", "eu", "step", "1h", "agg", "sum,max", "from", "2026-03-04T11:00:00Z")
		require.JSONEq(t, `{"points":[{"at":"2026-03-04T11:00:00Z","sum":16,"max":9}],"step":"1h"}`, sum.text)
	}
	require.JSONEq(t, `{"names":[{"name":"errors","series":1},{"name":"latency","series":3}]}`, g.get("/v1/metrics/names").text)
	require.JSONEq(t, `{"names":[{"name":"latency","series":3}]}`, g.get("/v1/metrics/names", "prefix", "La").text)
	require.JSONEq(t, `{"names":[]}`, g.get("/v1/metrics/names", "prefix", "l%").text)
	first := g.get("/v1/metrics/names", "limit", "1")
	token, _ := first.at("next_page_token").(string)
	require.JSONEq(t, `{"names":[{"name":"latency","series":3}]}`, g.get("/v1/metrics/names", "limit", "1", "page_token", token).text)
	require.JSONEq(t, `{"tags":[{"name":"host","values":["a","b"],"more":false},{"name":"region","values":["eu","us"],"more":false}]}`, g.get("/v1/metrics/tags", "name", "Latency").text)
	require.JSONEq(t, `{"tags":[]}`, g.get("/v1/metrics/tags", "name", "errors").text)
	var points []string
	for i := range 101 {
		points = append(points, fmt.Sprintf(`{"name":"wide","value":1,"tags":{"n":"%03d"}}`, i))
	}
	require.Equal(t, 202, g.send(g.alice, "", `{"points":[`+strings.Join(points, ",")+`]}`).status)
	wide := firstOf(g.get("/v1/metrics/tags", "name", "wide"), "tags")
	require.Equal(t, true, wide["more"])
	require.Len(t, wide["values"], 100)
}

func firstOf(a answer, name string) map[string]any {
	list, _ := a.at(name).([]any)
	if len(list) == 0 {
		return nil
	}
	first, _ := list[0].(map[string]any)
	return first
}

func TestAnotherTenantSeesNoMetric(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	g.gauge("secret.latency", map[string]string{"region": "eu"}, 1, 2, 3)
	for _, folded := range []bool{false, true} {
		if folded {
			g.fold()
		}
		for path, want := range map[string]string{
			"/v1/metrics":        `{"points":[],"step":"5m"}`,
			"/v1/metrics/latest": `{"series":[]}`,
			"/v1/metrics/top":    `{"series":[]}`,
			"/v1/metrics/tags":   `{"tags":[]}`,
		} {
			require.JSONEq(t, want, g.getAs(g.mallory, path, "name", "secret.latency").text)
			require.NotEqual(t, want, strings.TrimSpace(g.getAs(g.alice, path, "name", "secret.latency").text))
		}
		require.JSONEq(t, `{"names":[]}`, g.getAs(g.mallory, "/v1/metrics/names").text)
	}
	// The same spelling is a series of its own.
	require.Equal(t, 202, g.send(g.mallory, "", `{"points":[{"name":"secret.latency","tags":{"region":"eu"},"value":40,"at":"2026-03-04T11:59:00Z"}]}`).status)
	require.JSONEq(t, `{"points":[{"at":"2026-03-04T11:55:00Z","sum":40}],"step":"5m"}`, g.getAs(g.mallory, "/v1/metrics", "name", "secret.latency", "agg", "sum").text)
	require.JSONEq(t, `{"points":[{"at":"2026-03-04T11:55:00Z","sum":6}],"step":"5m"}`, g.get("/v1/metrics", "name", "secret.latency", "agg", "sum").text)
}

func TestARangeToComputeAnewIsASubmission(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	a := g.do(request{method: "POST", path: "/v1/metrics/rollups", key: g.alice, body: `{"from":"2026-03-01T00:00:00Z","to":"2026-03-04T00:00:00Z"}`})
	require.Equal(t, 202, a.status, a.text)
	require.Equal(t, "metric_rollup rollups", fmt.Sprint(a.at("job", "kind"), " ", a.at("job", "queue")))
	var args, metadata string
	require.NoError(t, g.login.QueryRow(t.Context(), "SELECT args::text, metadata->>'tenant_id' FROM river_job").Scan(&args, &metadata))
	require.JSONEq(t, `{"range":{"from":"2026-03-01T00:00:00Z","to":"2026-03-04T00:00:00Z"}}`, args)
	require.Equal(t, "alice", metadata)
	for body, field := range map[string]string{
		`{}`: "from", `{"from":"2026-03-01T00:00:00Z"}`: "to",
		`{"from":"2026-03-01T00:00:00Z","to":"2026-03-01T00:00:00Z"}`:                     "to",
		`{"from":"2025-03-01T00:00:00Z","to":"2026-03-03T00:00:00Z"}`:                     "to",
		`{"from":"2026-03-01T00:00:00Z","to":"2026-03-04T00:00:00Z","tenant_id":"alice"}`: "body",
	} {
		b := g.do(request{method: "POST", path: "/v1/metrics/rollups", key: g.alice, body: body})
		require.Equal(t, 400, b.status, b.text)
		require.Contains(t, b.problems(), field, b.text)
	}
	require.Equal(t, "TENANT_ACCESS_DENIED", g.do(request{method: "POST", path: "/v1/metrics/rollups", key: g.mallory, body: "{}"}).code())
}

// A partition that is not there is made, and the request waits for it.
func TestNoPartitionLosesNoPoint(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	require.Equal(t, 0, g.count("metric_partitions"))
	answers := make([]answer, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = g.send(g.alice, fmt.Sprint("k", i), `{"points":[{"name":"a","value":1}]}`) })
	}
	group.Wait()
	for _, a := range answers {
		require.Equal(t, 202, a.status, a.text)
	}
	require.Equal(t, 1, g.count("metric_partitions"))
	require.Equal(t, 8, g.count("metric_chunks"))
	require.Equal(t, 8, g.count("metric_receipts"))
}

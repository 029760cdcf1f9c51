package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
)

// metricsSite is a server of its own with a key, and a clock in 2030 for commands.
type metricsSite struct {
	ring *keyring
	url  string
	key  string
}

func newMetricsSite(t *testing.T) *metricsSite {
	t.Helper()
	s := &metricsSite{ring: &keyring{db: dbtest.New(t), now: time.Now()}}
	s.url = serveAPI(t, s.ring.db)
	got := s.ring.keys(t, "create", "--tenant", "acme", "--scopes", "jobs:read,metrics:write")
	require.Equal(t, 0, got.code, got.stderr)
	s.key = strings.TrimSpace(got.stdout)
	return s
}

func (s *metricsSite) metrics(t *testing.T, args ...string) outcome {
	t.Helper()
	return s.metricsAt(t, s.url, "", args...)
}

func (s *metricsSite) metricsAt(t *testing.T, url, stdin string, args ...string) outcome {
	t.Helper()
	environ := []string{"MILLRACE_URL=" + url, "MILLRACE_API_KEY=" + s.key, "DATABASE_URL=" + s.ring.db.URL, "MILLRACE_HOME=" + t.TempDir()}
	return run(t, newMetricsCommand(environ, time.Now), stdin, args...)
}

// count is how many points the server has of a metric of metricsFile.
func (s *metricsSite) count(t *testing.T, name string, tags ...string) int {
	t.Helper()
	args := []string{"plot", name, "--from", "2014-01-01T00:00:00Z", "--to", "2015-01-01T00:00:00Z", "--step", "1w", "--json"}
	for _, tag := range tags {
		args = append(args, "--tag", tag)
	}
	got := s.metrics(t, args...)
	require.Equal(t, 0, got.code, got.stderr)
	count := 0
	for _, line := range lines(got.stdout) {
		count += decode[struct{ Count int }](t, line).Count
	}
	return count
}

// metricsFile writes a file of points five minutes apart, whose values are 0, 1, 2…
func metricsFile(t *testing.T, name string, points int) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("timestamp,value\n")
	at := time.Date(2014, 4, 10, 0, 4, 0, 0, time.UTC)
	for i := range points {
		_, _ = fmt.Fprintf(&text, "%s,%d\n", at.Add(time.Duration(i)*5*time.Minute).Format(time.DateTime), i)
	}
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func TestImportingAgainAddsNothing(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	file := metricsFile(t, "CPU load.csv", 2500)
	for _, replayed := range []int{0, 3} {
		got := s.metrics(t, "import", file, "--json")
		require.Equal(t, 0, got.code, got.stderr)
		require.Empty(t, got.stderr, "no progress without a terminal")
		result := decode[imported](t, got.stdout)
		assert.Equal(t, "cpu_load", result.Name)
		assert.Equal(t, []int{2500, 3, replayed, 0}, []int{result.Points, result.Batches, result.Replayed, result.Skipped})
		assert.Equal(t, 2500, s.count(t, "cpu_load"))
	}
	got := s.metrics(t, "import", file)
	assert.Regexp(t, `CPU load.csv: 2500 points of cpu_load in \d+\.\d s; all had been imported before\n$`, got.stdout)

	// Other batches would not be known again.
	for _, batch := range []string{"999", "2501"} {
		got = s.metrics(t, "import", file, "--batch", batch)
		assert.Equal(t, 1, got.code)
		assert.Contains(t, got.stderr, "was imported before with another --batch")
		assert.Equal(t, 2500, s.count(t, "cpu_load"))
	}

	// Another series is another import.
	got = s.metrics(t, "import", file, "--tag", "host=a", "--tag", "Region = eu")
	require.Equal(t, 0, got.code, got.stderr)
	assert.Contains(t, got.stdout, "2500 points of cpu_load{host=a,region=eu}")
	assert.Equal(t, 2500, s.count(t, "cpu_load", "region=eu"))
	assert.Equal(t, 5000, s.count(t, "cpu_load"))
}

// The server takes a batch and its answer is lost, then it fails for good; what is
// there after another import is the file.
func TestAnImportThatBrokeGoesOn(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	target, err := url.Parse(s.url)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var requests atomic.Int32
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case n == 3:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case n > 8:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"error":"The database refused the operation.","code":"DB_ERROR"}`))
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer broken.Close()
	file := metricsFile(t, "cpu.csv", 2450)
	got := s.metricsAt(t, broken.URL, "", "import", file, "--batch", "100")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "run it again to go on")
	there := s.count(t, "cpu")
	require.Positive(t, there)
	require.Less(t, there, 2450)

	got = s.metrics(t, "import", file, "--batch", "100", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	result := decode[imported](t, got.stdout)
	assert.Equal(t, []int{2450, 25}, []int{result.Points, result.Batches})
	// A request of the first import may have been written after the count.
	assert.GreaterOrEqual(t, result.Replayed, there/100)
	assert.Equal(t, 2450, s.count(t, "cpu"))
}

func TestImportStopsAtABadRow(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	good := metricsFile(t, "good.csv", 3)
	bad := filepath.Join(t.TempDir(), "bad.csv")
	text := "timestamp,value\n2014-04-10 00:04:00,1\n2014-04-10 00:09:00,two\n2014-04-10 00:14:00,3\n"
	require.NoError(t, os.WriteFile(bad, []byte(text), 0o600))
	got := s.metrics(t, "import", good, bad)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.stderr, "bad.csv: line 3: value must be a finite number")
	assert.Empty(t, got.stdout)
	assert.Zero(t, s.count(t, "good"), "nothing is sent")

	got = s.metrics(t, "import", good, bad, "--skip-bad", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	results := lines(got.stdout)
	require.Len(t, results, 2)
	result := decode[imported](t, results[1])
	assert.Equal(t, []int{2, 1, 1}, []int{result.Points, result.Batches, result.Skipped})
	assert.Equal(t, 2, s.count(t, "bad"))

	// The same points from the standard input, of another zone, are other points.
	got = s.metricsAt(t, s.url, text, "import", "-", "--name", "BAD", "--skip-bad", "--timezone", "America/New_York")
	require.Equal(t, 0, got.code, got.stderr)
	assert.Contains(t, got.stdout, "-: 2 points of bad in ")
	assert.Contains(t, got.stdout, "; 1 rows skipped")
	assert.Equal(t, 4, s.count(t, "bad"))
}

func TestMetricsAreListed(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	for i, host := range []string{"a", "b"} {
		require.Equal(t, 0, s.metrics(t, "import", metricsFile(t, "cpu.csv", 10+i), "--tag", "host="+host).code)
	}
	require.Equal(t, 0, s.metrics(t, "import", metricsFile(t, "checkout.latency.csv", 2)).code)

	assert.Equal(t, []string{"NAME              SERIES", "checkout.latency  1", "cpu               2"}, lines(s.metrics(t, "names").stdout))
	assert.Equal(t, []string{"NAME  SERIES", "cpu   2"}, lines(s.metrics(t, "names", "--prefix", "cp").stdout))
	assert.Equal(t, []string{`{"name":"checkout.latency","series":1}`}, lines(s.metrics(t, "names", "--limit", "1", "--json").stdout))

	got := s.metrics(t, "latest", "cpu")
	assert.Equal(t, []string{
		"VALUE  NEWEST POINT          SERIES", "10     2014-04-10T00:54:00Z  cpu{host=b}", "9      2014-04-10T00:49:00Z  cpu{host=a}",
	}, lines(got.stdout), got.stderr)
	newest := decode[struct {
		Name  string
		Tags  map[string]string
		Value float64
		At    time.Time
	}](t, s.metrics(t, "latest", "cpu", "--limit", "1", "--json").stdout)
	assert.Equal(t, map[string]string{"host": "b"}, newest.Tags)

	got = s.metrics(t, "top", "cpu", "--from", "2014-04-10T00:00:00Z", "--to", "2014-04-10T00:52:00Z", "--agg", "sum")
	assert.Equal(t, []string{
		"SUM  NEWEST POINT          SERIES", "45   2014-04-10T00:49:00Z  cpu{host=a}", "45   2014-04-10T00:49:00Z  cpu{host=b}",
	}, lines(got.stdout), got.stderr)
	assert.Len(t, lines(s.metrics(t, "top", "cpu").stdout), 1, "no points in the last day")
	assert.Equal(t, []string{"NAME  SERIES"}, lines(s.metrics(t, "names", "--prefix", "zz").stdout))
}

func TestAMetricIsDrawn(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	require.Equal(t, 0, s.metrics(t, "import", metricsFile(t, "cpu.csv", 288)).code)
	day := []string{"--from", "2014-04-10T00:00:00Z", "--to", "2014-04-11T00:00:00Z"}
	got := s.metrics(t, append([]string{"plot", "CPU", "--agg", "max", "--height", "6", "--width", "86"}, day...)...)
	require.Equal(t, 0, got.code, got.stderr)
	assert.Contains(t, got.stdout, "max of CPU every 30m, 2014-04-10T00:00:00Z to 2014-04-11T00:00:00Z")
	assert.Contains(t, got.stdout, "min 5  max 287  last 287")
	rows := lines(got.stdout)
	assert.Len(t, rows, 7+2+1+2, "the drawing, the time axis, and what it is")
	assert.Regexp(t, `^ *287 ┤ +`, rows[0])
	assert.Contains(t, rows[0], "╭")
	assert.Contains(t, rows[6], "┼")

	// Of an hour, minutes would stand alone: there is a point every five.
	hour := []string{"plot", "cpu", "--to", "2014-04-10T12:00:00Z", "--last", "1h"}
	assert.Contains(t, s.metrics(t, hour...).stdout, "avg of cpu every 5m, 2014-04-10T11:00:00Z to 2014-04-10T12:00:00Z")
	assert.Contains(t, s.metrics(t, append(hour, "--step", "1m")...).stdout, "every 1m")

	points := lines(s.metrics(t, append([]string{"plot", "cpu", "--step", "1h", "--json"}, day...)...).stdout)
	require.Len(t, points, 24)
	point := decode[map[string]any](t, points[1])
	assert.Equal(t, "2014-04-10T01:00:00Z", point["at"])
	assert.InDelta(t, 12, point["count"], 0)
	assert.InDelta(t, 17.5, point["avg"], 0)
	assert.Contains(t, point, "p99")

	nothing := s.metrics(t, "plot", "cpu")
	assert.Equal(t, exitNotFound, nothing.code)
	assert.Contains(t, nothing.stderr, "cpu has no points from ")
	assert.Contains(t, nothing.stderr, "--to 2014-04-10T23:59:01Z")
	nothing = s.metrics(t, "plot", "cpu", "--tag", "host=z")
	assert.Contains(t, nothing.stderr, "cpu{host=z} has no points")
	assert.Contains(t, s.metrics(t, "plot", "disk").stderr, "`millrace metrics names` lists what there is")
}

func TestMetricsSettings(t *testing.T) {
	t.Parallel()
	s := newMetricsSite(t)
	got := s.metrics(t, "settings", "--tenant", "acme")
	require.Equal(t, 0, got.code, got.stderr)
	assert.Equal(t, []string{
		"tenant       acme", "max_series   10000 series (default)", "raw_days     7 days (default)", "minute_days  30 days (default)", "hour_days    400 days (default)",
	}, lines(got.stdout))
	require.Equal(t, 0, s.metrics(t, "settings", "--tenant", "acme", "--max-series", "2", "--raw-days", "14").code)
	// What is not given stays.
	got = s.metrics(t, "settings", "--tenant", "acme", "--hour-days", "1000", "--raw-days", "0", "--json")
	require.Equal(t, 0, got.code, got.stderr)
	assert.JSONEq(t, `{"tenant":"acme","max_series":2,"raw_days":7,"minute_days":30,"hour_days":1000,"default":["raw_days","minute_days"]}`, got.stdout)
	assert.JSONEq(t, got.stdout, s.metrics(t, "settings", "--tenant", "acme", "--json").stdout)

	file := metricsFile(t, "cpu.csv", 1)
	for i, code := range []int{0, 0, 1} {
		got = s.metrics(t, "import", file, "--tag", fmt.Sprintf("host=%d", i))
		assert.Equal(t, code, got.code, got.stderr)
	}
	assert.Contains(t, got.stderr, "more series than you may have")
	got = s.metrics(t, "settings", "--tenant", "acne")
	assert.Equal(t, exitNotFound, got.code)
	assert.Contains(t, got.stderr, "there is no tenant acne")
}

func TestProgressIsALineThatChanges(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	clock := noon()
	line := &progressLine{w: &screen, now: func() time.Time { return clock }}
	line.show("importing cpu.csv", 0, 1000)
	line.show("importing cpu.csv", 1, 1000) // too soon
	clock = clock.Add(refresh)
	line.show("importing cpu.csv", 500, 1000)
	line.show("importing\ncpu.csv", 1000, 1000) // the end is always shown
	line.clear()
	bar := func(full int) string { return clearLine + strings.Repeat("█", full) + strings.Repeat("░", 24-full) }
	assert.Equal(t, bar(0)+"   0 %  importing cpu.csv"+bar(12)+"  50 %  importing cpu.csv"+bar(24)+" 100 %  importing cpu.csv"+clearLine, screen.String())
	newProgress(&screen, noon).show("no terminal", 1, 1)
	assert.NotContains(t, screen.String(), "no terminal")
}

func TestMetricsWrongUsage(t *testing.T) {
	t.Parallel()
	file := metricsFile(t, "cpu.csv", 1)
	for _, try := range []struct {
		args []string
		says string
	}{
		{[]string{"export"}, "there are import, plot, names, latest, top, settings"},
		{[]string{"import"}, "FILE is missing"},
		{[]string{"import", "-"}, "--name is missing"},
		{[]string{"import", file, "--name", "größe"}, "--name must be 1 to 128"},
		{[]string{"import", file, "--tag", "host"}, "--tag must look like"},
		{[]string{"import", file, "--tag", "host=a", "--tag", "host=b"}, "once for each"},
		{[]string{"import", file, "--tag", "host="}, "tags must have values"},
		{[]string{"import", file, "--timezone", "Mars/Olympus"}, "--timezone must be"},
		{[]string{"import", file, "--batch", "10001"}, "--batch is from 1 to 10000"},
		{[]string{"plot"}, "the NAME of a metric is missing"},
		{[]string{"plot", "cpu", "--step", "3x"}, "--step must look like"},
		{[]string{"plot", "cpu", "--agg", "mean"}, "--agg is one of count, sum"},
		{[]string{"plot", "cpu", "--last", "soon"}, "--last must look like"},
		{[]string{"plot", "cpu", "--from", "2014"}, "--from must look like"},
		{[]string{"plot", "cpu", "--to", "2014"}, "--to must look like"},
		{[]string{"plot", "cpu", "--from", "2014-01-01T00:00:00Z", "--last", "1h"}, "exclude each other"},
		{[]string{"plot", "cpu", "--from", "2014-01-01T00:00:00Z", "--to", "2013-01-01T00:00:00Z"}, "--from must be before --to"},
		{[]string{"plot", "cpu", "--width", "5"}, "--width is from"},
		{[]string{"plot", "cpu", "--height", "1"}, "--height is from"},
		{[]string{"latest"}, "the NAME of a metric is missing"},
		{[]string{"latest", "cpu", "--limit", "0"}, "--limit"},
		{[]string{"top", "cpu", "--agg", "best"}, "--agg is one of"},
		{[]string{"names", "cpu"}, "no arguments"},
		{[]string{"settings"}, "--tenant is missing"},
		{[]string{"settings", "--tenant", "acme", "--raw-days", "-1"}, "days must be from 0"},
		{[]string{"settings", "--tenant", "acme", "--max-series", "-1"}, "--max-series must be"},
	} {
		t.Run(strings.Join(try.args, " "), func(t *testing.T) {
			t.Parallel()
			// Nothing listens there.
			environ := []string{"MILLRACE_URL=http://127.0.0.1:1", "MILLRACE_API_KEY=" + testKey, "DATABASE_URL=postgres://127.0.0.1:1/millrace", "MILLRACE_HOME=" + t.TempDir()}
			got := run(t, newMetricsCommand(environ, noon), "", try.args...)
			assert.Equal(t, exitUsage, got.code, got.stderr)
			assert.Contains(t, got.stderr, try.says)
			assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line: %s", got.stderr)
			assert.Empty(t, got.stdout)
		})
	}
}

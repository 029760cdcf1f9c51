package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"millrace/jobs"
)

// everyAlert lists the rows of the table.
func everyAlert(p pace, kinds []*jobs.Kind) []alert {
	var all []alert
	for _, of := range topics(p, kinds) {
		all = append(all, of.alerts...)
	}
	return all
}

// alertNames lists the alerts, each once.
func alertNames() []string {
	var names []string
	for _, rows := range byName(everyAlert(realTime(), jobs.Catalog())) {
		names = append(names, rows[0].name)
	}
	return names
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, rows := range byName(everyAlert(realTime(), jobs.Catalog())) {
		for _, a := range rows {
			require.Regexp(t, `^Millrace[A-Z][A-Za-z]+$`, a.name)
			require.Contains(t, []severity{page, ticket}, a.severity, a.name)
			require.Regexp(t, `[.]$`, a.summary, a.name)
			require.GreaterOrEqual(t, len(a.first), 60, "%s: what to do first", a.name)
			require.Regexp(t, `^/d/millrace-[a-z-]+(\?var-[a-z]+=\S.*)?$`, a.board, a.name)
			require.NotEmpty(t, a.when, a.name)
			require.NotRegexp(t, `\bjob\s*(=|\)|,)`, a.expr, "%s: the label job is each site's own", a.name)
			if a.severity == page {
				require.GreaterOrEqual(t, a.hold, 2*time.Minute, "%s: a deploy wakes nobody", a.name)
			}
			require.NotEmpty(t, a.fires, a.name)
			require.NotEmpty(t, a.rests, a.name)
			require.Equal(t, len(rows[0].fires), len(a.fires), "rows of an alert have the same scenarios")
			require.Equal(t, len(rows[0].rests), len(a.rests), "rows of an alert have the same scenarios")
		}
	}
}

// What promtool is given has each alert fire and rest, and each row of the files is in the table.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	t.Parallel()
	fires, rests := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("rules/tests/*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		require.NoError(t, err)
		var tests testFile
		require.NoError(t, yaml.Unmarshal(text, &tests), file)
		for _, group := range tests.Tests {
			for _, a := range group.Alerts {
				if len(a.Firing) == 0 {
					rests[a.Name] = true
				}
				for _, fired := range a.Firing {
					fires[a.Name+" "+fired.Labels["kind"]] = true
					require.NotContains(t, fired.Annotations["summary"]+fired.Annotations["description"]+fired.Annotations["dashboard"], "{{", "%s: the scenario says what stands there", a.Name)
				}
			}
		}
	}
	rows := 0
	form := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		require.NoError(t, err)
		rows += len(form.FindAllString(string(text), -1))
	}
	all := everyAlert(realTime(), jobs.Catalog())
	require.Len(t, all, rows)
	for _, a := range all {
		require.True(t, fires[a.name+" "+a.labels["kind"]] || fires[a.name+" "+a.fires[0].labels["kind"]], "%s %s has no test in which it fires", a.name, a.labels)
		require.True(t, rests[a.name], "%s has no test in which it rests", a.name)
	}
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("rules/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// A kind that is only in the catalogue gets its rows, their tests and its entry in the runbooks.
func TestAKindOfTheCatalogueGetsItsAlerts(t *testing.T) {
	t.Parallel()
	echo := &jobs.Kind{
		Name: "echo", Queue: "echoes", Slots: 4, Summary: "Answers with the number it is given.", Public: true,
		Policy: jobs.Policy{MaxAttempts: 5, Timeout: 10 * time.Second, FirstRetry: time.Second, MaxRetry: time.Minute, Target: 7 * time.Second},
	}
	all, err := rulesOf(realTime(), append(jobs.Catalog(), echo))
	require.NoError(t, err)
	texts := map[string]string{}
	for _, f := range all {
		texts[f.path] = string(f.text)
	}
	for path, wants := range map[string][]string{
		"rules/kinds.yaml": {
			// The pairs of windows and what they allow, as the Site Reliability Workbook has them.
			`(kind:millrace_jobs_late:ratio_rate1h{kind="echo"} > 0.144 and kind:millrace_jobs_late:ratio_rate5m{kind="echo"} > 0.144 and `,
			`(kind:millrace_jobs_late:ratio_rate6h{kind="echo"} > 0.06 and kind:millrace_jobs_late:ratio_rate30m{kind="echo"} > 0.06 and `,
			`(kind:millrace_jobs_late:ratio_rate1d{kind="echo"} > 0.03 and kind:millrace_jobs_late:ratio_rate2h{kind="echo"} > 0.03 and `,
			`(kind:millrace_jobs_late:ratio_rate3d{kind="echo"} > 0.01 and kind:millrace_jobs_late:ratio_rate6h{kind="echo"} > 0.01 and `,
		},
		"rules/queues.yaml":       {`max by (queue) (millrace_queue_oldest_available_age_seconds{queue="echoes"}) > 7 unless`},
		"rules/tests/kinds.yaml":  {`millrace_jobs_on_time_total{instance="a", kind="echo", queue="echoes"}`, "summary: 15% of echo take longer than their 7s."},
		"rules/tests/queues.yaml": {"summary: Jobs of echoes wait for 8s; echo should be done after 7s."},
		"runbooks/kinds.md":       {"\n## echo\n", "| [echo](#echo) | echoes | 7 s | 5 | 10 s |"},
	} {
		for _, want := range wants {
			require.Contains(t, texts[path], want, path)
		}
	}
	for _, kind := range jobs.Catalog() {
		require.Contains(t, texts["runbooks/kinds.md"], "\n## "+kind.Name+"\n")
		require.Equal(t, 6, strings.Count(texts["rules/kinds.yaml"], `ratio_rate1h{kind="`+kind.Name+`"}`)+strings.Count(texts["rules/kinds.yaml"], `ratio_rate5m{kind="`+kind.Name+`"}`)+
			strings.Count(texts["rules/kinds.yaml"], `increase1h{kind="`+kind.Name+`"}`)+strings.Count(texts["rules/kinds.yaml"], `ratio_rate6h{kind="`+kind.Name+`"}`)+
			strings.Count(texts["rules/kinds.yaml"], `increase3d{kind="`+kind.Name+`"}`))
	}
}

// Tests that provoke alerts run the same expressions: only times differ.
func TestAFasterPaceChangesNothingButTimes(t *testing.T) {
	t.Parallel()
	times := regexp.MustCompile(`\b(\d+(ms|[smhd]))+\b|> (5|60|600|1800)\b`)
	slow, fast := everyAlert(realTime(), jobs.Catalog()), everyAlert(fastTime(), jobs.Catalog())
	require.Equal(t, len(slow), len(fast))
	for i, a := range slow {
		require.Equal(t, a.name, fast[i].name)
		require.Equal(t, times.ReplaceAllString(a.expr, "T"), strings.ReplaceAll(times.ReplaceAllString(fast[i].expr, "T"), "> 12", "T"), a.name)
	}
	require.Equal(t, "5m", realTime().window(5*time.Minute))
	require.Equal(t, "10s", fastTime().window(time.Minute))
	require.Equal(t, "1m", fastTime().window(time.Hour))
	require.Equal(t, "2s", fastTime().hold(2*time.Minute))
	require.Equal(t, "12", fastTime().limit(time.Hour))
}

// fastTime lets an hour pass in a minute, with a scrape a second.
func fastTime() pace {
	return pace{faster: 60, shortest: 10 * time.Second, patience: 12 * time.Second}
}

// What a rule asks for is registered by a program, or recorded by another rule.
func TestEveryRuleAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	known := known(t)
	for _, r := range recordings(realTime()) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			requireAsks(t, known, r.expr)
		})
	}
	for _, a := range everyAlert(realTime(), jobs.Catalog()) {
		t.Run(a.name+" "+a.labels["kind"], func(t *testing.T) {
			t.Parallel()
			requireAsks(t, known, a.expr)
			for _, s := range slices.Concat(a.fires, a.rests) {
				for _, c := range s.load {
					requireAsks(t, known, c.series)
				}
			}
		})
	}
}

// known returns everything that a rule may ask for, with its labels: what programs
// register, what rules record, and what Prometheus and the client library give.
func known(t *testing.T) map[string][]string {
	t.Helper()
	all := metrics(t)
	all["up"] = nil
	all["process_start_time_seconds"] = nil
	all["process_resident_memory_bytes"] = nil
	for _, r := range recordings(realTime()) {
		require.Regexp(t, `^[a-z]+:millrace_[a-z0-9_]+:[a-z0-9_]+$`, r.name, "level:metric:operations")
		all[r.name] = nil
		if by, ok := strings.CutPrefix(r.expr[strings.Index(r.expr, "by (")+1:], "y ("); ok && !strings.HasPrefix(by, "le)") {
			all[r.name] = []string{by[:strings.Index(by, ")")]}
		}
	}
	return all
}

// requireAsks takes PromQL apart: every name that looks like a metric is one, and every
// label that it is selected by, or that is grouped or matched by, is one of its own.
func requireAsks(t *testing.T, known map[string][]string, expr string) {
	t.Helper()
	labels := []string{"instance", "le"}
	found := 0
	rest := regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(expr, "")
	rest = regexp.MustCompile(`\b(?:by|on|group_left) \([^)]*\)`).ReplaceAllStringFunc(rest, func(string) string { return "" })
	for _, name := range regexp.MustCompile(`\b(?:[a-z]+:)?(?:millrace|process)_[\w:]+|\bup\b`).FindAllString(rest, -1) {
		found++
		of, ok := known[base(known, name)]
		require.True(t, ok, "nothing exports or records %s: %s", name, expr)
		labels = append(labels, of...)
		for _, selector := range regexp.MustCompile(regexp.QuoteMeta(name)+`\{([^}]*)\}`).FindAllStringSubmatch(rest, -1) {
			for _, match := range regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`).FindAllStringSubmatch(selector[1], -1) {
				require.Contains(t, append([]string{"instance", "le"}, of...), match[1], "%s has no such label: %s", name, expr)
			}
		}
	}
	require.Positive(t, found, expr)
	for _, group := range regexp.MustCompile(`\b(?:by|on) \(([^)]+)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(group[1], ", ") {
			require.Contains(t, labels, label, expr)
		}
	}
}

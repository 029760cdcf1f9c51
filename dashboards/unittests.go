package main

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	prom "github.com/prometheus/common/model"
)

// scrapeStep is how far samples and evaluations of unit tests are apart, as in the example
// configuration of Prometheus.
const scrapeStep = 15 * time.Second

// The form of promtool's unit tests.
type (
	testFile struct {
		RuleFiles          []string    `yaml:"rule_files"`
		EvaluationInterval string      `yaml:"evaluation_interval"`
		Order              []string    `yaml:"group_eval_order"`
		Tests              []testGroup `yaml:"tests"`
	}
	testGroup struct {
		Name     string       `yaml:"name"`
		Interval string       `yaml:"interval"`
		Series   []testSeries `yaml:"input_series"`
		Alerts   []testAlert  `yaml:"alert_rule_test"`
	}
	testSeries struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	testAlert struct {
		At     string      `yaml:"eval_time"`
		Name   string      `yaml:"alertname"`
		Firing []testFired `yaml:"exp_alerts"`
	}
	testFired struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
)

// unitTests returns promtool's tests of a topic: that each alert fires in its
// scenarios from their moment on and not a step earlier, and that it rests in the others.
func unitTests(of topic) ([]byte, error) {
	tests := testFile{
		RuleFiles: []string{"../recording.yaml", "../" + of.name + ".yaml"}, EvaluationInterval: prom.Duration(scrapeStep).String(),
		Order: []string{"millrace", "millrace_" + of.name}, // promtool's own is random
	}
	for _, rows := range byName(of.alerts) {
		first := rows[0]
		for i, s := range first.fires {
			// Of an alert with a row a kind or queue, every other row fires, so that a row
			// that looks at another's series is found.
			for turn := range min(2, len(rows)) {
				group := newGroup(first.name + " fires: " + s.says)
				var fired []testFired
				for n, row := range rows {
					if len(rows) > 1 && n%2 != turn {
						group.add(row.rests[0])
						continue
					}
					group.add(row.fires[i])
					fired = append(fired, row.fired(row.fires[i]))
				}
				if s.at > 0 {
					group.expect(first.name, s.at-scrapeStep, nil)
				}
				group.expect(first.name, s.at, fired)
				tests.Tests = append(tests.Tests, *group)
			}
		}
		for i, s := range first.rests {
			group := newGroup(first.name + " rests: " + s.says)
			for _, row := range rows {
				group.add(row.rests[i])
			}
			// While it goes on and not only at its end, as what is pending forgets.
			for at := max(s.since, first.hold, time.Minute); at < s.at; at += max(first.hold, 5*time.Minute) {
				group.expect(first.name, at, nil)
			}
			group.expect(first.name, s.at, nil)
			tests.Tests = append(tests.Tests, *group)
		}
	}
	return encode(tests)
}

// byName puts the rows of an alert together, in their order.
func byName(alerts []alert) [][]alert {
	var list [][]alert
	for _, a := range alerts {
		at := slices.IndexFunc(list, func(rows []alert) bool { return rows[0].name == a.name })
		if at < 0 {
			at = len(list)
			list = append(list, nil)
		}
		list[at] = append(list[at], a)
	}
	return list
}

func newGroup(name string) *testGroup {
	return &testGroup{Name: name, Interval: prom.Duration(scrapeStep).String()}
}

func (g *testGroup) add(s scenario) {
	for _, c := range s.load {
		g.Series = append(g.Series, testSeries{c.series, c.values})
	}
}

func (g *testGroup) expect(name string, at time.Duration, fired []testFired) {
	if fired == nil {
		fired = []testFired{}
	}
	g.Alerts = append(g.Alerts, testAlert{At: prom.Duration(at).String(), Name: name, Firing: fired})
}

// fired is the alert with its texts as people see them.
func (a alert) fired(s scenario) testFired {
	form := a.form(realTime())
	labels := maps.Clone(form.Labels)
	maps.Copy(labels, s.labels)
	replace := []string{}
	for _, how := range []string{"", " | humanize", " | humanizePercentage", " | humanizeDuration", ` | printf "%.0f"`} {
		replace = append(replace, "{{ $value"+how+" }}", s.value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		replace = append(replace, "{{ $labels."+name+" }}", s.labels[name])
	}
	fill := strings.NewReplacer(replace...)
	annotations := map[string]string{}
	for name, text := range form.Annotations {
		annotations[name] = fill.Replace(text)
	}
	return testFired{Labels: labels, Annotations: annotations}
}

// humanDuration writes whole seconds as Prometheus's humanizeDuration does.
func humanDuration(seconds float64) string {
	whole := int(math.Round(seconds))
	var parts []string
	for _, unit := range []struct {
		name string
		long int
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := whole / unit.long; n > 0 || len(parts) > 0 || unit.name == "s" {
			parts = append(parts, decimal(float64(n))+unit.name)
			whole -= n * unit.long
		}
	}
	return strings.Join(parts, " ")
}

package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	prom "github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"millrace/jobs"
)

// apiRoutes selects what clients call: no probes, no callbacks of providers,
// whose failures have alerts of their own, and no operators' console.
const apiRoutes = `route!~"/healthz|/readyz|/webhooks/.+|/ops.*"`

// burnWindows are those over which the late part of each kind's jobs is recorded.
func burnWindows() []time.Duration {
	return []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}
}

// lateWindows are the longer ones of each pair, in which late jobs are also counted:
// one late job of a kind that runs four times a day is no incident.
func lateWindows() []time.Duration {
	return []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}
}

// pace is how fast time goes for the rules. Tests that provoke alerts let it go
// faster, through the same expressions.
type pace struct {
	// faster divides windows and holds.
	faster int64
	// shortest bounds windows from below, as a rate needs several scrapes.
	shortest time.Duration
	// patience bounds thresholds that are times; zero bounds none.
	patience time.Duration
}

// realTime is the pace of the files.
func realTime() pace { return pace{faster: 1} }

// window is a range of PromQL, such as 5m.
func (p pace) window(d time.Duration) string {
	return prom.Duration(max(d/time.Duration(p.faster), p.shortest)).String()
}

// hold is how long a condition must last.
func (p pace) hold(d time.Duration) string {
	return prom.Duration((d / time.Duration(p.faster)).Truncate(time.Millisecond)).String()
}

// limit is a threshold that is a time, in seconds.
func (p pace) limit(d time.Duration) string {
	if p.patience > 0 {
		d = min(d, p.patience)
	}
	return decimal(d.Seconds())
}

func decimal(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// backlog is what the rules know of a queue.
type backlog struct {
	name string
	// target is the tightest of its kinds.
	target time.Duration
	// of is the kind that has that target.
	of string
	// public says that clients submit to it.
	public bool
}

// backlogs lists the queues of the kinds, in their order.
func backlogs(kinds []*jobs.Kind) []backlog {
	var list []backlog
	for _, kind := range kinds {
		at := slices.IndexFunc(list, func(b backlog) bool { return b.name == kind.Queue })
		if at < 0 {
			at = len(list)
			list = append(list, backlog{name: kind.Queue, target: kind.Policy.Target, of: kind.Name})
		}
		b := &list[at]
		if kind.Policy.Target < b.target {
			b.target, b.of = kind.Policy.Target, kind.Name
		}
		b.public = b.public || kind.Public
	}
	return list
}

// The form of Prometheus's rule files.
type (
	ruleFile struct {
		Groups []ruleGroup `yaml:"groups"`
	}
	ruleGroup struct {
		Name  string     `yaml:"name"`
		Rules []ruleForm `yaml:"rules"`
	}
	ruleForm struct {
		Record      string            `yaml:"record,omitempty"`
		Alert       string            `yaml:"alert,omitempty"`
		Expr        string            `yaml:"expr"`
		For         string            `yaml:"for,omitempty"`
		Labels      map[string]string `yaml:"labels,omitempty"`
		Annotations map[string]string `yaml:"annotations,omitempty"`
	}
)

// recording is what a rule stores under a name of the form level:metric:operations.
type recording struct{ name, expr string }

// recordings lists what is computed once for alerts, dashboards and people. It does
// not depend on the kinds: it is grouped by them.
func recordings(p pace) []recording {
	list := []recording{
		{"api:millrace_http_requests:rate5m", fmt.Sprintf(`sum(rate(millrace_http_requests_total{%s}[%s]))`, apiRoutes, p.window(5*time.Minute))},
		{
			"api:millrace_http_requests_failed:ratio_rate5m",
			fmt.Sprintf(`(sum(rate(millrace_http_requests_total{%s, status=~"5.."}[%[2]s])) or vector(0)) / (sum(rate(millrace_http_requests_total{%[1]s}[%[2]s])) > 0)`,
				apiRoutes, p.window(5*time.Minute)),
		},
		{
			"api:millrace_http_request_seconds:p99_rate5m",
			fmt.Sprintf(`histogram_quantile(0.99, sum by (le) (rate(millrace_http_request_seconds_bucket{%s}[%s])))`, apiRoutes, p.window(5*time.Minute)),
		},
		{
			"class:millrace_rate_limited:ratio_rate10m",
			fmt.Sprintf(`sum by (class) (rate(millrace_rate_limited_total[%[1]s])) / (sum by (class) (rate(millrace_rate_limit_checks_total[%[1]s])) > 0)`,
				p.window(10*time.Minute)),
		},
		{
			"pool:millrace_pool_connections_in_use:ratio_avg5m",
			fmt.Sprintf(`max by (pool) (avg_over_time(millrace_pool_connections_in_use[%[1]s]) / avg_over_time(millrace_pool_connections_limit[%[1]s]))`,
				p.window(5*time.Minute)),
		},
		{"queue:millrace_jobs_enqueued:rate5m", fmt.Sprintf(`sum by (queue) (rate(millrace_jobs_enqueued_total[%s]))`, p.window(5*time.Minute))},
		{"queue:millrace_jobs_finished:rate5m", fmt.Sprintf(`sum by (queue) (rate(millrace_jobs_finished_total[%s]))`, p.window(5*time.Minute))},
		{
			"kind:millrace_job_attempts_retried:ratio_rate10m",
			fmt.Sprintf(`sum by (kind) (rate(millrace_job_attempts_total{outcome="retried"}[%[1]s])) / `+
				`(sum by (kind) (rate(millrace_job_attempts_total{outcome=~"completed|cancelled|discarded|retried"}[%[1]s])) > 0)`, p.window(10*time.Minute)),
		},
		{
			"payments:millrace_payments_captured:ratio_rate15m",
			fmt.Sprintf(`sum(rate(millrace_payments_captured_total[%[1]s])) / (sum(rate(millrace_payments_captured_total[%[1]s])) + sum(rate(millrace_payments_failed_total[%[1]s])) > 0)`,
				p.window(15*time.Minute)),
		},
		{
			"mails:millrace_mails_failed:ratio_rate1h",
			fmt.Sprintf(`sum(rate(millrace_mails_failed_total[%[1]s])) / (sum(rate(millrace_mails_sent_total[%[1]s])) + sum(rate(millrace_mails_failed_total[%[1]s])) > 0)`,
				p.window(time.Hour)),
		},
	}
	for _, window := range burnWindows() {
		list = append(list, recording{
			"kind:millrace_jobs_late:ratio_rate" + prom.Duration(window).String(),
			fmt.Sprintf(`1 - sum by (kind) (rate(millrace_jobs_on_time_total[%[1]s])) / (sum by (kind) (rate(millrace_jobs_finished_total[%[1]s])) > 0)`, p.window(window)),
		})
	}
	for _, window := range lateWindows() {
		list = append(list, recording{
			"kind:millrace_jobs_late:increase" + prom.Duration(window).String(),
			fmt.Sprintf(`sum by (kind) (increase(millrace_jobs_finished_total[%[1]s])) - sum by (kind) (increase(millrace_jobs_on_time_total[%[1]s]))`, p.window(window)),
		})
	}
	return list
}

// recordingRules returns the file of recording rules.
func recordingRules(p pace) ([]byte, error) {
	group := ruleGroup{Name: "millrace"}
	for _, r := range recordings(p) {
		group.Rules = append(group.Rules, ruleForm{Record: r.name, Expr: r.expr})
	}
	return encode(ruleFile{Groups: []ruleGroup{group}})
}

// alertRules returns the file of a topic's alerting rules.
func alertRules(p pace, of topic) ([]byte, error) {
	group := ruleGroup{Name: "millrace_" + of.name}
	for _, a := range of.alerts {
		group.Rules = append(group.Rules, a.form(p))
	}
	return encode(ruleFile{Groups: []ruleGroup{group}})
}

// rules returns what Prometheus reads, the unit tests that promtool runs on it, and
// what runbooks say that follows from the catalogue.
func rules() ([]file, error) { return rulesOf(realTime(), jobs.Catalog()) }

func rulesOf(p pace, kinds []*jobs.Kind) ([]file, error) {
	recorded, err := recordingRules(p)
	if err != nil {
		return nil, err
	}
	all := []file{{filepath.Join("rules", "recording.yaml"), recorded}}
	for _, of := range topics(p, kinds) {
		alerting, err := alertRules(p, of)
		if err != nil {
			return nil, err
		}
		tests, err := unitTests(of)
		if err != nil {
			return nil, err
		}
		all = append(all, file{filepath.Join("rules", of.name+".yaml"), alerting}, file{filepath.Join("rules", "tests", of.name+".yaml"), tests})
	}
	return append(all, file{filepath.Join("runbooks", "README.md"), runbookIndex(kinds)}, file{filepath.Join("runbooks", "kinds.md"), runbookKinds(kinds)}), nil
}

// encode writes a generated YAML file.
func encode(value any) ([]byte, error) {
	text := bytes.NewBufferString("# Generated by `go generate ./dashboards`: edit dashboards/rules.go and dashboards/alerts*.go instead.\n")
	encoder := yaml.NewEncoder(text)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode the rules: %w", err)
	}
	return text.Bytes(), nil
}

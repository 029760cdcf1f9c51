package main

import (
	"fmt"
	"maps"
	"time"

	"millrace/jobs"
)

// runbooks is where people read the runbooks. The README says how to change it for
// a site's own copy.
const runbooks = "https://millrace.example/dashboards/runbooks/"

// severity says when somebody must act.
type severity string

const (
	// page wakes somebody: clients feel it, or nobody would see it if they did.
	page severity = "page"
	// ticket wants somebody in working hours.
	ticket severity = "ticket"
)

// alert is a row of the table of alerts.
type alert struct {
	name     string
	severity severity
	// when is the condition in words, for the index of runbooks.
	when string
	// summary says what is wrong and may have Prometheus's templates.
	summary string
	// first is what to do first.
	first string
	// board is the dashboard that shows it, as Grafana's path, with its variables.
	board string
	expr  string
	// hold is how long the condition must last: longer than a deploy, in which for
	// some 30 s nobody works or leads, if it pages.
	hold time.Duration
	// labels are added to those of expr.
	labels map[string]string
	// fires and rests are what its unit tests feed it.
	fires, rests []scenario
}

// topic is a group of alerts.
type topic struct {
	name   string
	alerts []alert
}

// scenario is a course of events as Prometheus sees it, a sample each 15 s.
type scenario struct {
	says string
	// load is the series with their values, in promtool's notation.
	load []course
	// at is the first moment at which the alert fires, or the last at which it rests.
	at time.Duration
	// since is when it begins to rest; zero is at once.
	since time.Duration
	// labels are those of the alert that fires, besides the rule's own.
	labels map[string]string
	// value is what stands in its summary for the value.
	value string
}

// course is a series and its values.
type course struct{ series, values string }

// topics is the table of alerts.
func topics(p pace, kinds []*jobs.Kind) []topic {
	return []topic{
		{"intake", intakeAlerts(p)},
		{"queues", queueAlerts(p, backlogs(kinds))},
		{"kinds", kindAlerts(p, kinds)},
		{"providers", providerAlerts(p)},
		{"platform", platformAlerts(p)},
		{"database", databaseAlerts(p)},
		{"processes", processAlerts(p)},
	}
}

// form is the alert as Prometheus's rule files have it.
func (a alert) form(p pace) ruleForm {
	labels := map[string]string{"severity": string(a.severity)}
	maps.Copy(labels, a.labels)
	form := ruleForm{Alert: a.name, Expr: a.expr, Labels: labels, Annotations: map[string]string{
		"summary": a.summary, "description": a.first, "dashboard": a.board, "runbook_url": runbooks + a.name + ".md",
	}}
	if a.hold > 0 {
		form.For = p.hold(a.hold)
	}
	return form
}

func intakeAlerts(p pace) []alert {
	return []alert{
		{
			name: "MillraceNoIntake", severity: page, when: "no intake process is scraped for 2 min", hold: 2 * time.Minute,
			summary: "No intake process is up: nothing is accepted.",
			first:   "Look whether intake runs and answers /healthz. If it does, Prometheus does not reach its METRICS_ADDR.",
			board:   "/d/millrace-intake",
			expr:    `absent(millrace_http_requests_in_flight)`,
			fires: []scenario{{
				says: "the last process goes", at: 12*time.Minute + 15*time.Second,
				load: []course{{`millrace_http_requests_in_flight{instance="a"}`, "0x20 _x40"}},
			}},
			rests: []scenario{
				{says: "a deploy", at: 6*time.Minute + 45*time.Second, load: []course{{`millrace_http_requests_in_flight{instance="a"}`, "0x20 stale _x4 0x20"}}},
				{says: "one of two goes", at: 10 * time.Minute, load: []course{
					{`millrace_http_requests_in_flight{instance="a"}`, "0x8 stale"}, {`millrace_http_requests_in_flight{instance="b"}`, "0x60"},
				}},
			},
		},
		{
			name: "MillraceAPISlow", severity: page, when: "p99 of the API's answers over 1 s for 5 min, with more than one request in 10 s", hold: 5 * time.Minute,
			summary: "The API answers slowly: p99 is {{ $value | humanizeDuration }}.",
			first:   "Compare request time with commit time. If both are high it is the database: see MillracePoolFull and MillraceOldTransaction.",
			board:   "/d/millrace-intake",
			expr:    `api:millrace_http_request_seconds:p99_rate5m > 1 and api:millrace_http_requests:rate5m > 0.1`,
			fires: []scenario{{
				says: "2 % take longer than 1 s", at: 5*time.Minute + 15*time.Second, value: "1.536s", load: answers("98", "100", "60"),
			}},
			rests: []scenario{
				{says: "1 % take longer than 1 s", at: 20 * time.Minute, load: answers("99", "100", "60")},
				{says: "one request a minute", at: 20 * time.Minute, load: answers("0", "0.25", "0.25")},
				{says: "a probe and a callback hang", at: 20 * time.Minute, load: append(answers("100", "100", "60"),
					course{`millrace_http_request_seconds_bucket{route="/readyz", le="+Inf"}`, "0+100x80"},
					course{`millrace_http_request_seconds_bucket{route="/readyz", le="1.024"}`, "0x80"},
					course{`millrace_http_request_seconds_bucket{route="/webhooks/stripe", le="+Inf"}`, "0+100x80"},
					course{`millrace_http_request_seconds_bucket{route="/webhooks/stripe", le="1.024"}`, "0x80"},
				)},
			},
		},
		{
			name: "MillraceAPIErrors", severity: page, when: "over 5 % of the API's answers are 5xx for 5 min, with more than one request in 10 s", hold: 5 * time.Minute,
			summary: "{{ $value | humanizePercentage }} of the API's answers are errors of ours.",
			first:   "See which codes: sum by (code) (rate(millrace_http_errors_total[5m])). UNAVAILABLE and DB_ERROR are the database, UNKNOWN is our code: find its request ids in intake's log.",
			board:   "/d/millrace-intake",
			expr:    `api:millrace_http_requests_failed:ratio_rate5m > 0.05 and api:millrace_http_requests:rate5m > 0.1`,
			fires: []scenario{{
				says: "6 % of two processes together", at: 5*time.Minute + 15*time.Second, value: "6%", load: []course{
					{`millrace_http_requests_total{instance="a", route="/v1/jobs", status="202"}`, "0+94x80"},
					{`millrace_http_requests_total{instance="b", route="/v1/jobs", status="503"}`, "0+6x80"},
				},
			}},
			rests: []scenario{
				{says: "5 %, and what is the client's fault", at: 20 * time.Minute, load: []course{
					{`millrace_http_requests_total{route="/v1/jobs", status="202"}`, "0+45x80"},
					{`millrace_http_requests_total{route="/v1/jobs", status="422"}`, "0+50x80"},
					{`millrace_http_requests_total{route="/v1/jobs", status="500"}`, "0+5x80"},
				}},
				{says: "probes and callbacks of a provider whose secret is not set", at: 20 * time.Minute, load: []course{
					{`millrace_http_requests_total{route="/v1/jobs", status="202"}`, "0+10x80"},
					{`millrace_http_requests_total{route="/readyz", status="503"}`, "0+50x80"},
					{`millrace_http_requests_total{route="/webhooks/stripe", status="503"}`, "0+50x80"},
				}},
				{says: "one error in a quiet night", at: 20 * time.Minute, load: []course{
					{`millrace_http_requests_total{route="/v1/jobs", status="500"}`, "0x10 1x70"},
					{`millrace_http_requests_total{route="/v1/jobs", status="202"}`, "0x10 1x70"},
				}},
			},
		},
		{
			name: "MillraceIntakeRefuses", severity: ticket, when: "submissions are refused for 5 min because too many wait for the writer", hold: 5 * time.Minute,
			summary: "Intake refuses {{ $value | humanize }} submissions a second: too many wait for its writer.",
			first:   "Look at commit time. If it is normal, start another intake process; if not, look at the database.",
			board:   "/d/millrace-intake",
			expr:    fmt.Sprintf(`sum(rate(millrace_intake_refused_total[%s])) > 0`, p.window(5*time.Minute)),
			fires: []scenario{{
				says: "some each minute", at: 5*time.Minute + 15*time.Second, value: "2", load: []course{{`millrace_intake_refused_total{instance="a"}`, "0+30x80"}, {`millrace_intake_refused_total{instance="b"}`, "0x80"}},
			}},
			rests: []scenario{
				{says: "a burst", at: 9 * time.Minute, load: []course{{`millrace_intake_refused_total`, "0x10 500x70"}}},
				{says: "none", at: 20 * time.Minute, load: []course{{`millrace_intake_refused_total`, "7x80"}}},
			},
		},
		{
			name: "MillraceWaitingJobsRefused", severity: ticket, when: "a tenant has as many waiting jobs as it may for 5 min", hold: 5 * time.Minute,
			summary: "Submissions of a tenant are refused, because as many of its jobs wait as may.",
			first:   "See whether its queue is worked: if jobs wait because workers are too few, add some. Intake's log names the tenant.",
			board:   "/d/millrace-overview",
			expr:    fmt.Sprintf(`sum(rate(millrace_waiting_jobs_refused_total[%s])) > 0`, p.window(5*time.Minute)),
			fires: []scenario{{
				says: "each minute", at: 5*time.Minute + 15*time.Second, load: []course{{`millrace_waiting_jobs_refused_total`, "0+1x80"}},
			}},
			rests: []scenario{{says: "a burst", at: 9 * time.Minute, load: []course{{`millrace_waiting_jobs_refused_total`, "0x10 500x70"}}}},
		},
		{
			name: "MillraceRateLimited", severity: ticket, when: "over 10 % of a class's events are refused for 10 min, more than 6 a minute", hold: 10 * time.Minute,
			summary: "{{ $value | humanizePercentage }} of {{ $labels.class }} are refused by the rate limit.",
			first:   "Find the tenant in intake's log (status 429). Is it a client that does not back off, an attack, or a tenant that has grown out of its limit?",
			board:   "/d/millrace-intake",
			expr: fmt.Sprintf(`class:millrace_rate_limited:ratio_rate10m > 0.1 and on (class) sum by (class) (rate(millrace_rate_limited_total[%s])) > 0.1`,
				p.window(10*time.Minute)),
			fires: []scenario{{
				says: "11 % of one class", at: 11*time.Minute + 30*time.Second, labels: map[string]string{"class": "payments"}, value: "11%", load: []course{
					{`millrace_rate_limit_checks_total{class="payments"}`, "0+100x80"},
					{`millrace_rate_limited_total{class="payments"}`, "0+11x80"},
					{`millrace_rate_limit_checks_total{class="reads"}`, "0+1000x80"},
					{`millrace_rate_limited_total{class="reads"}`, "0x80"},
				},
			}},
			rests: []scenario{
				{says: "10 %", at: 20 * time.Minute, load: []course{
					{`millrace_rate_limit_checks_total{class="payments"}`, "0+100x80"}, {`millrace_rate_limited_total{class="payments"}`, "0+10x80"},
				}},
				{says: "a customer that tries twice a minute too often", at: 20 * time.Minute, load: []course{
					{`millrace_rate_limit_checks_total{class="customers"}`, "0+0.5x80"}, {`millrace_rate_limited_total{class="customers"}`, "0+0.5x80"},
				}},
			},
		},
		{
			name: "MillraceRateLimiterDegraded", severity: page, when: "intake does not reach Redis for 5 min", hold: 5 * time.Minute,
			summary: "Intake does not reach Redis: payments that name a customer are refused, and each process counts limits by itself.",
			first:   "Look whether Redis runs and is reachable from intake. To go on without it, start intake without REDIS_URL: one process is then as strict as before, several are laxer.",
			board:   "/d/millrace-intake",
			expr:    `max(millrace_rate_limit_degraded) == 1`,
			fires: []scenario{{
				says: "one of two processes", at: 5 * time.Minute, load: []course{{`millrace_rate_limit_degraded{instance="a"}`, "1x80"}, {`millrace_rate_limit_degraded{instance="b"}`, "0x80"}},
			}},
			rests: []scenario{{says: "Redis is restarted", at: 20 * time.Minute, load: []course{{`millrace_rate_limit_degraded`, "1x15 0x3 1x15 0x50"}}}},
		},
	}
}

// answers are requests with their times: so many of all in 15 s within half a second, the
// others within two.
func answers(within, all, requests string) []course {
	return []course{
		{`millrace_http_request_seconds_bucket{route="/v1/jobs", le="0.512"}`, "0+" + within + "x80"},
		{`millrace_http_request_seconds_bucket{route="/v1/jobs", le="1.024"}`, "0+" + within + "x80"},
		{`millrace_http_request_seconds_bucket{route="/v1/jobs", le="2.048"}`, "0+" + all + "x80"},
		{`millrace_http_request_seconds_bucket{route="/v1/jobs", le="+Inf"}`, "0+" + all + "x80"},
		{`millrace_http_requests_total{route="/v1/jobs", status="202"}`, "0+" + requests + "x80"},
	}
}

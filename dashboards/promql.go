package main

import (
	"fmt"
	"strconv"
	"strings"

	"millrace/jobs"
)

// Two rules for queries. What starts with millrace_queue_, and the other figures
// of the database, come from River's leader only, and for some seconds from two
// processes when that changes: max by (queue) takes one of them, where a sum
// would count twice. And counters are summed over processes after rate, so that a
// restart is no negative rate. Nothing depends on what Prometheus's configuration
// calls a job; instance is the one label of its own that is used.

// The colours of what is right, what wants a look, and what wants somebody now.
const (
	green  = "green"
	yellow = "yellow"
	orange = "orange"
	red    = "red"
	blue   = "blue"
	purple = "purple"
)

// Units, by Grafana's names. What stands behind "suffix:" follows the number.
const (
	count     = "short"
	ratio     = "percentunit"
	seconds   = "s"
	bytesUnit = "bytes"
	yesNo     = "bool_yes_no"
	times     = "suffix: ×"
	perSecond = "suffix: /s"
	perMinute = "suffix: /min"
)

// window is the shortest that a graph can take a rate over.
const window = "$__rate_interval"

// objective is the part of a kind's jobs that must be done within its target,
// which the catalogue gives for the 99th percentile.
const objective = 0.99

const (
	// lateAllowed is the budget: the part of a kind's jobs that may be late.
	lateAllowed = 1 - objective
	// budgetDays is how long it has to last.
	budgetDays = "30d"
	// Rates at which it burns, in budgets for the days that one has to last. The Site
	// Reliability Workbook (chapter 5, table 5-8) calls somebody at once at 14.4, as
	// that burns 2 % of a 30-day budget in an hour, and by the day's end at 6.
	fastBurn = 14.4
	slowBurn = 6
)

func burnSteps() []step { return []step{{1, yellow}, {slowBurn, orange}, {fastBurn, red}} }

// rate is the sum of counters' rates a second, by labels ("" for none).
func rate(by, selector, over string) string {
	if by != "" {
		by = " by (" + by + ")"
	}
	return "sum" + by + " (rate(" + selector + "[" + over + "]))"
}

// minutely is the same a minute.
func minutely(by, selector, over string) string { return "60 * " + rate(by, selector, over) }

// grown is how much counters grew, rounded as increase() guesses between scrapes;
// 0 where they did not.
func grown(by, selector, over string) string {
	if by != "" {
		by = " by (" + by + ")"
	}
	return "round(sum" + by + " (increase(" + selector + "[" + over + "])))"
}

// latest is a gauge of the leader's, by labels.
func latest(by, selector string) string {
	if by == "" {
		return "max(" + selector + ")"
	}
	return "max by (" + by + ") (" + selector + ")"
}

// selecting puts matchers ("" for none) behind a metric's name.
func selecting(metric string, matchers ...string) string {
	var some []string
	for _, matcher := range matchers {
		if matcher != "" {
			some = append(some, matcher)
		}
	}
	if len(some) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(some, ", ") + "}"
}

// failed is the part of the jobs that ended, of those that match, that was
// cancelled or discarded. It is 0, not absent, when none failed, and absent when
// none ended.
func failed(by, matcher, over string) string {
	bad := rate(by, selecting("millrace_jobs_finished_total", matcher, `outcome=~"cancelled|discarded"`), over)
	all := rate(by, selecting("millrace_jobs_finished_total", matcher), over)
	return "(" + bad + " or 0 * " + all + ") / (" + all + " > 0)"
}

// onTime is the part of the jobs that ended which were done within their target;
// absent when none ended.
func onTime(by, matcher, over string) string {
	return rate(by, selecting("millrace_jobs_on_time_total", matcher), over) +
		" / (" + rate(by, selecting("millrace_jobs_finished_total", matcher), over) + " > 0)"
}

// burn is how many times faster the budget of late jobs is used up than it may:
// at 1 it lasts exactly. It is 0 when no job ended.
func burn(by, matcher, over string) string {
	// Two sums of the same rates may differ in their last digit, and nothing burns below 0.
	return "clamp_min(1 - " + onTime(by, matcher, over) + ", 0) / " + strconv.FormatFloat(lateAllowed, 'g', -1, 64) +
		" or 0 * " + rate(by, selecting("millrace_jobs_finished_total", matcher), over)
}

// lateness is the age of a queue's oldest waiting job as a part of the tightest
// target of the queue's kinds.
func lateness(matcher string) string {
	return latest("queue", selecting("millrace_queue_oldest_available_age_seconds", matcher)) +
		" / on (queue) min by (queue) (" + selecting("millrace_job_target_seconds", matcher) + ")"
}

// latenessSteps are the same for every queue, as the targets differ.
func latenessSteps() []step { return []step{{1, yellow}, {5, red}} }

// worst is the one series of which the value is greatest.
func worst(expr string) string { return "topk(1, " + expr + ")" }

// quantiles asks for the median and the 99th percentile of a classic histogram.
func quantiles(by, legend, buckets string) []query {
	if legend != "" {
		legend += " "
	}
	return []query{{legend + "p50", quantile(0.5, by, buckets, window)}, {legend + "p99", quantile(0.99, by, buckets, window)}}
}

func quantile(q float64, by, buckets, over string) string {
	if by != "" {
		by = ", " + by
	}
	return fmt.Sprintf("histogram_quantile(%s, sum by (le%s) (rate(%s[%s])))", strconv.FormatFloat(q, 'g', -1, 64), by, buckets, over)
}

// ofWorkers keeps the series of worker processes.
func ofWorkers(expr string) string {
	return expr + " and on (instance) max by (instance) (millrace_worker_slots)"
}

// medianDashed draws p50 as the lesser line.
func medianDashed() []look { return []look{{series: "/p50$/", dashed: true}} }

// dashedRed draws what must not be passed.
func dashedRed(series string) look { return look{series: series, color: red, dashed: true} }

func targets() string {
	return ofKinds(func(kind *jobs.Kind) string { return fmt.Sprintf("%s %s", kind.Name, kind.Policy.Target) })
}

func timeouts() string {
	return ofKinds(func(kind *jobs.Kind) string { return fmt.Sprintf("%s %s", kind.Name, kind.Policy.Timeout) })
}

func ofKinds(say func(*jobs.Kind) string) string {
	var list []string
	for _, kind := range jobs.Catalog() {
		list = append(list, say(kind))
	}
	return strings.Join(list, ", ")
}

func slots() string {
	var list []string
	for _, queue := range jobs.Queues() {
		list = append(list, fmt.Sprintf("%s %d", queue.Name, queue.Slots))
	}
	return strings.Join(list, ", ")
}

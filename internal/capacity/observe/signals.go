// Package observe reads what an installation's metrics say about its load, from
// Prometheus or from the processes themselves, for package capacity.
package observe

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// fold is how the series of several processes become one.
type fold string

const (
	sum   fold = "sum"
	most  fold = "max"
	least fold = "min"
	many  fold = "count"
)

// change is what is looked at of a series.
type change int

const (
	// now is its value.
	now change = iota
	// perSecond is how fast a counter grows.
	perSecond
	// growth is how fast a gauge grows, after the series were folded.
	growth
	// lowest is the least that a gauge was, after the series were folded.
	lowest
)

// signal is one thing that is read: a metric, its series folded by some labels.
type signal struct {
	metric string
	fold   fold
	by     []string
	of     change
	// where is the values of a label that count; empty for all.
	where  string
	values []string
}

// value is what was read of a signal for one set of labels.
type value struct {
	labels map[string]string
	value  float64
}

// source answers for signals. What nobody exports has no values.
type source interface {
	read(ctx context.Context, s signal) ([]value, error)
}

// signals lists what Load reads, by the names that it uses.
func signals() map[string]signal {
	queue, kind := []string{"queue"}, []string{"kind", "queue"}
	return map[string]signal{
		"enqueued": {metric: "millrace_jobs_enqueued_total", fold: sum, by: queue, of: perSecond},
		"finished": {metric: "millrace_jobs_finished_total", fold: sum, by: queue, of: perSecond},
		"snoozed":  {metric: "millrace_job_attempts_total", fold: sum, by: queue, of: perSecond, where: "outcome", values: []string{"snoozed"}},

		"attempts":     {metric: "millrace_job_run_seconds_count", fold: sum, by: kind, of: perSecond},
		"run":          {metric: "millrace_job_run_seconds_sum", fold: sum, by: kind, of: perSecond},
		"run_buckets":  {metric: "millrace_job_run_seconds_bucket", fold: sum, by: append([]string{"le"}, kind...), of: perSecond},
		"attempts_all": {metric: "millrace_job_run_seconds_count", fold: sum, by: queue},
		"run_all":      {metric: "millrace_job_run_seconds_sum", fold: sum, by: queue},

		"workers":          {metric: "millrace_worker_slots", fold: many, by: queue},
		"slots":            {metric: "millrace_worker_slots", fold: sum, by: queue},
		"slots_per_worker": {metric: "millrace_worker_slots", fold: most, by: queue},
		"processes":        {metric: "millrace_worker_slots", fold: many, by: []string{"instance"}},
		"running":          {metric: "millrace_worker_slots_busy", fold: sum, by: queue},

		"depth":  {metric: "millrace_queue_jobs", fold: most, by: []string{"queue", "state"}, where: "state", values: []string{"available"}},
		"growth": {metric: "millrace_queue_jobs", fold: most, by: []string{"queue", "state"}, of: growth, where: "state", values: []string{"available", "running"}},
		"least":  {metric: "millrace_queue_jobs", fold: most, by: []string{"queue", "state"}, of: lowest, where: "state", values: []string{"available"}},
		"oldest": {metric: "millrace_queue_oldest_available_age_seconds", fold: most, by: queue},
		"paused": {metric: "millrace_queue_paused", fold: most, by: queue},
		"look":   {metric: "millrace_queue_observation_timestamp_seconds", fold: most},

		"open":       {metric: "millrace_provider_open", fold: most, by: []string{"provider"}},
		"calls":      {metric: "millrace_provider_calls_total", fold: sum, by: []string{"provider"}, of: perSecond, where: "outcome", values: []string{"ok", "refused", "down"}},
		"in_use":     {metric: "millrace_pool_connections_in_use", fold: sum, by: []string{"pool"}},
		"limit":      {metric: "millrace_pool_connections_limit", fold: sum, by: []string{"pool"}},
		"waits":      {metric: "millrace_pool_waits_total", fold: sum, by: []string{"pool"}, of: perSecond},
		"commits":    {metric: "millrace_intake_commit_seconds_count", fold: sum, of: perSecond},
		"commit":     {metric: "millrace_intake_commit_seconds_sum", fold: sum, of: perSecond},
		"fetches":    {metric: "millrace_worker_fetch_seconds_count", fold: sum, of: perSecond},
		"fetch":      {metric: "millrace_worker_fetch_seconds_sum", fold: sum, of: perSecond},
		"skew_ahead": {metric: "millrace_database_clock_skew_seconds", fold: most},
		"skew_back":  {metric: "millrace_database_clock_skew_seconds", fold: least},
	}
}

// Metrics names the series that Load and Processes read, with the label by which
// they leave some out, if any.
func Metrics() map[string]string {
	found := map[string]string{}
	for _, all := range []map[string]signal{signals(), processSignals()} {
		for _, s := range all {
			found[s.metric] = cmp.Or(s.where, found[s.metric])
		}
	}
	return found
}

// promQL writes the signal as a query over a window of so many seconds.
func (s signal) promQL(window int) string {
	selector := s.metric
	if s.where != "" {
		selector += fmt.Sprintf(`{%s=~"%s"}`, s.where, strings.Join(s.values, "|"))
	}
	by := ""
	if len(s.by) > 0 {
		by = " by (" + strings.Join(s.by, ", ") + ")"
	}
	switch s.of {
	case perSecond:
		selector = fmt.Sprintf("rate(%s[%ds])", selector, window)
	case growth:
		return fmt.Sprintf("deriv(%s%s (%s)[%ds:%ds])", s.fold, by, selector, window, max(1, window/20))
	case lowest:
		return fmt.Sprintf("min_over_time(%s%s (%s)[%ds:%ds])", s.fold, by, selector, window, max(1, window/20))
	case now:
	}
	return fmt.Sprintf("%s%s (%s)", s.fold, by, selector)
}

// table is what was read of one signal, by the values of its labels.
type table map[string]float64

// by returns the table of what was read, keyed by a label's values, summed over
// the others.
func by(values []value, label string) table {
	found := table{}
	for _, v := range values {
		found[v.labels[label]] += v.value
	}
	return found
}

// one returns the only value there is; ok is false without one.
func one(values []value) (v float64, ok bool) {
	if len(values) == 0 {
		return 0, false
	}
	return values[0].value, true
}

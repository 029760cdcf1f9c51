package main

import (
	"fmt"
	"strings"
	"time"

	"millrace/jobs"
)

// The colours of what is right, what wants a look, and what wants somebody now.
const (
	green  = "green"
	yellow = "yellow"
	orange = "orange"
	red    = "red"
	blue   = "blue"
)

// Units, by Grafana's names. What stands behind "suffix:" follows the number.
const (
	count     = "short"
	ratio     = "percentunit"
	seconds   = "s"
	perSecond = "suffix: /s"
	perMinute = "suffix: /min"
)

// queues is the dashboard of queue depth and failures.
//
// Two rules for its queries. What starts with millrace_queue_ comes from River's
// leader only, and for some seconds from two processes when that changes: max by
// (queue) takes one of them, where a sum would count twice. And counters are
// summed over processes after rate, so that a restart is no negative rate.
func queues() dashboard {
	return dashboard{
		file:  "queues.json",
		uid:   "millrace-queues",
		title: "Millrace: queues",
		description: "Is work flowing, how much waits, and what fails? Read it from the top: the numbers say whether something is wrong, " +
			"the rows below say where. Every panel's description says what to do.",
		rows: []row{
			{"Now", nowPanels()},
			{"Is work flowing?", flowPanels()},
			{"What fails?", failurePanels()},
			{"How long does it take?", timePanels()},
			{"Providers (all queues)", providerPanels()},
			{"Conversations (all queues)", conversationPanels()},
			{"Metrics (all queues)", metricPanels()},
			{"Audit log (all queues)", auditPanels()},
			{"Intake (all queues)", intakePanels()},
			{"Database connections (all queues)", poolPanels()},
		},
	}
}

func nowPanels() []panel {
	return []panel{
		{
			title: "Waiting",
			description: "Jobs that could run now and wait for a free slot. At most 10,000 of each queue are counted, so that number means \"or more\". " +
				"If it grows while busy slots are at their limit, start more workers; if slots are free, look for a paused queue or dead workers.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"waiting", `sum(max by (queue) (millrace_queue_jobs{queue=~"$queue", state="available"}))`}},
			steps:   []step{{1000, yellow}, {10_000, red}},
		},
		{
			title: "Oldest waiting",
			description: "How long the job at the head of the longest line has waited; 0 when none waits. It is the surest sign of trouble: depth may be a burst, age is not. " +
				"If it climbs by a second a second, nothing takes that queue's jobs: see whether it is paused, and whether workers run.",
			view: number, unit: seconds, width: 4, height: 4,
			queries: []query{{"oldest", `max(millrace_queue_oldest_available_age_seconds{queue=~"$queue"})`}},
			steps:   []step{{tightestTarget().Seconds(), yellow}, {60, red}},
		},
		{
			title: "Failed",
			description: "Of the jobs that ended in the time shown, the part that was cancelled (a repeat cannot help, as after a declined card) or discarded (out of attempts). " +
				"Some declines are normal; a jump is not. The row \"What fails?\" says which kind, the workers' log says why.",
			view: number, unit: ratio, width: 4, height: 4,
			queries: []query{{"failed", failed("", "$__range")}},
			steps:   []step{{0.1, yellow}, {0.3, red}},
		},
		{
			title: "Discarded",
			description: "Jobs given up in the time shown because every attempt failed: work that was promised and not done. It should be 0. " +
				"Find them with GET /v1/jobs?state=discarded and the tenant's key, mend the cause, then POST /v1/jobs/{id}/retry.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"discarded", `round(sum(increase(millrace_jobs_finished_total{queue=~"$queue", outcome="discarded"}[$__range]))` +
				` or 0 * sum(millrace_jobs_finished_total{queue=~"$queue"}))`}},
			steps: []step{{1, red}},
		},
		{
			title: "Paused queues",
			description: "Queues that an operator has paused: their jobs are accepted and wait. " +
				"If nobody is working on it, resume them; the row below shows which and since when.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"paused", `sum(max by (queue) (millrace_queue_paused{queue=~"$queue"}))`}},
			steps:   []step{{1, orange}},
		},
		{
			title: "Depth reported by",
			description: "Processes that report the queues' depth: one, the leader among the workers; two for a moment when the leader changes. " +
				"With none, depth, age and pauses are unknown rather than fine, and scheduled jobs and retries do not start: see that workers run and reach the database.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"processes", `count(count by (instance) (millrace_queue_paused)) or vector(0)`}},
			words:   []word{{"nobody", red}},
		},
	}
}

func flowPanels() []panel {
	return []panel{
		{
			title: "Arriving and ended",
			description: "Jobs that intake accepted, and jobs that ended for good (completed, cancelled or discarded), a second. The dashed line should follow the solid one. " +
				"If it stays below, work piles up: add workers or find what slows them. Not in it: jobs cancelled before they started, and what was accepted for later.",
			view: lines, unit: perSecond, width: 12, height: 8,
			queries: []query{
				{"{{queue}} arriving", `sum by (queue) (rate(millrace_jobs_enqueued_total{queue=~"$queue"}[$__rate_interval]))`},
				{"{{queue}} ended", `sum by (queue) (rate(millrace_jobs_finished_total{queue=~"$queue", outcome=~"completed|cancelled|discarded"}[$__rate_interval]))`},
			},
			looks: []look{{series: "/ ended$/", dashed: true}},
		},
		{
			title: "Jobs by state",
			description: "Live jobs: available ones wait for a slot, running ones run, retryable ones failed and will be tried again, scheduled ones are for later. At most 10,000 of each are counted. " +
				"Available that grows means too few workers; retryable that grows means that a provider or our code fails: see \"What fails?\".",
			view: areas, unit: count, width: 12, height: 8,
			queries: []query{{"{{queue}} {{state}}", `max by (queue, state) (millrace_queue_jobs{queue=~"$queue"})`}},
		},
		{
			title: "Age of the oldest waiting job",
			description: "How long the longest-waiting job that could run has waited, by queue. A saw with low teeth is health. " +
				"A straight climb means that nothing takes jobs of that queue: paused, no workers for it, or all slots held by slow jobs.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{"{{queue}}", `max by (queue) (millrace_queue_oldest_available_age_seconds{queue=~"$queue"})`}},
			steps:   []step{{tightestTarget().Seconds(), yellow}, {60, red}},
		},
		{
			title: "Busy slots",
			description: "Jobs that run at this moment, over all workers. Slots of one worker process unless QUEUES says otherwise: " + slots() + ". " +
				"Flat at the limit while jobs wait: start more workers. Low while jobs wait: see pauses and the database row.",
			view: lines, unit: count, width: 6, height: 8,
			queries: []query{
				{"{{queue}}", `sum by (queue) (millrace_worker_slots_busy{queue=~"$queue"})`},
				{"{{queue}} limit", `sum by (queue) (millrace_worker_slots{queue=~"$queue"})`},
			},
		},
		{
			title:       "Paused",
			description: "When each queue was paused. A pause that nobody remembers is the commonest reason for work that does not flow: resume the queue. A gap means that no process reported.",
			view:        states, unit: "bool_yes_no", width: 6, height: 8,
			queries: []query{{"{{queue}}", `max by (queue) (millrace_queue_paused{queue=~"$queue"})`}},
			steps:   []step{{1, orange}},
			words:   []word{{"working", green}, {"paused", orange}},
		},
	}
}

func failurePanels() []panel {
	return []panel{
		{
			title: "Failures by kind and outcome",
			description: "Attempts a minute that failed: cancelled (final: a repeat cannot help), discarded (final: out of attempts), retried (will be tried again). " +
				"Many retried at once means that a provider or the database is down: wait for it, nothing is lost. Any discarded wants a person. " +
				"The workers' log has each with its errorCode.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{
				"{{kind}} {{outcome}}",
				`60 * sum by (kind, outcome) (rate(millrace_job_attempts_total{queue=~"$queue", outcome=~"cancelled|discarded|retried"}[$__rate_interval]))`,
			}},
			looks: []look{{series: "/ discarded$/", color: red}, {series: "/ cancelled$/", color: orange}, {series: "/ retried$/", color: yellow}},
		},
		{
			title: "Failure ratio",
			description: "Of the jobs that ended, the part that was cancelled or discarded, by kind; a gap where none ended. " +
				"Compare with the same hour of other days. If it jumps with a deploy, roll back; if not, ask the provider.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"{{kind}}", failed("by (kind) ", "$__rate_interval")}},
			steps:   []step{{0.1, yellow}, {0.3, red}},
		},
		{
			title: "Put off",
			description: "Attempts a minute that ended without a verdict and cost the job nothing: snoozed (the provider asked us to wait: rate limit, maintenance, or it refuses our key), " +
				"interrupted (the worker was stopping). Long work that goes on in another attempt is not in it. Snoozed for long: ask the provider for a higher limit, or check the key. Interrupted belongs to deploys only.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{
				"{{kind}} {{outcome}}",
				`60 * sum by (kind, outcome) (rate(millrace_job_attempts_total{queue=~"$queue", outcome=~"snoozed|interrupted"}[$__rate_interval]))`,
			}},
			looks: []look{{series: "/ snoozed$/", color: blue}, {series: "/ interrupted$/", color: "purple"}},
		},
	}
}

func timePanels() []panel {
	return []panel{
		{
			title: "Waiting time",
			description: "From when a job could run to when an attempt started, by kind. Targets from accepted to done (p99): " + targets() + ". " +
				"Retries and scheduled jobs are in it, and start up to 5 s late. Above the target with busy slots at their limit: more workers. " +
				"Buckets end at 131 s: that value means \"or longer\".",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: quantiles("kind", "{{kind}}", `millrace_job_wait_seconds_bucket{queue=~"$queue"}`),
			steps:   []step{{tightestTarget().Seconds(), red}},
			looks:   []look{{series: "/ p50$/", dashed: true}},
		},
		{
			title: "Running time",
			description: "How long attempts ran, failed ones included, by kind. An attempt is stopped after: " + timeouts() + ". " +
				"p99 near that means that a provider hangs; p50 that rises with it, that everything is slow: look at the provider's status page and at the database row.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: quantiles("kind", "{{kind}}", `millrace_job_run_seconds_bucket{queue=~"$queue"}`),
			looks:   []look{{series: "/ p50$/", dashed: true}},
		},
	}
}

func intakePanels() []panel {
	return []panel{
		{
			title: "Requests by status",
			description: "Answered requests a second, health checks left out. 5xx are ours: see intake's log for the request id. " +
				"503 means that the database cannot be reached or the writer's backlog is full. Many 401 or 403: somebody has a wrong key. Many 422: a client repeats keys.",
			view: areas, unit: perSecond, width: 12, height: 8,
			queries: []query{{"{{status}}", `sum by (status) (rate(millrace_http_requests_total{route!~"/healthz|/readyz"}[$__rate_interval]))`}},
			looks:   []look{{series: "/^2/", color: green}, {series: "/^3/", color: blue}, {series: "/^4/", color: orange}, {series: "/^5/", color: red}},
		},
		{
			title: "Request time, p99",
			description: "Time to answer, by route, health checks left out, and without the waits that clients ask for (Prefer: wait). " +
				"High on every submission: see commit time.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{
				"{{method}} {{route}}",
				`histogram_quantile(0.99, sum by (le, method, route) (rate(millrace_http_request_seconds_bucket{route!~"/healthz|/readyz"}[$__rate_interval])))`,
			}},
		},
		{
			title: "Submissions a commit",
			description: "How many submissions shared one commit. 1 is an idle server; it grows with load, and that is how intake keeps up. " +
				"p99 at 512, the most there is, means that intake is at its limit: start another intake process, or look at commit time.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{
				{"mean", `sum(rate(millrace_intake_batch_submissions_sum[$__rate_interval])) / sum(rate(millrace_intake_batch_submissions_count[$__rate_interval]))`},
				{"p99", `histogram_quantile(0.99, sum by (le) (rate(millrace_intake_batch_submissions_bucket[$__rate_interval])))`},
			},
			steps: []step{{512, red}},
		},
		{
			title: "Commit time",
			description: "From the start of a batch's transaction to the end of its commit; batches that failed are not in it. It is mostly the database's disk. " +
				"Above 0.1 s: look at the database's load, locks and disk. At 5 s a batch is given up and its clients get 503.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: quantiles("", "", `millrace_intake_commit_seconds_bucket`),
			steps:   []step{{0.1, yellow}, {1, red}},
			looks:   []look{{series: "/p50$/", dashed: true}},
		},
		{
			title: "Refused submissions",
			description: "Submissions a minute refused with 503 because too many were waiting for the writer. Clients with a retry lose nothing. It should be 0. " +
				"If it is not: see commit time first, then start another intake process.",
			view: lines, unit: perMinute, width: 8, height: 8,
			queries: []query{{"refused", `60 * sum(rate(millrace_intake_refused_total[$__rate_interval]))`}},
			steps:   []step{{1, red}},
		},
	}
}

func providerPanels() []panel {
	return []panel{
		{
			title: "Provider calls",
			description: "Calls a second by provider and outcome: ok, refused (it said no: a decline is normal), down (no answer, or an error of its own), " +
				"open (not called, because it is down). If down grows, look at the provider's status page; nothing is lost, and work goes on by itself.",
			view: lines, unit: perSecond, width: 6, height: 8,
			queries: []query{{"{{provider}} {{outcome}}", `sum by (provider, outcome) (rate(millrace_provider_calls_total[$__rate_interval]))`}},
			looks:   []look{{series: "/ down$/", color: red}, {series: "/ open$/", color: orange}, {series: "/ ok$/", color: green}},
		},
		{
			title: "Time a provider takes",
			description: "From a call to its answer, retries of the provider's SDK included. It is most of a job's run time. " +
				"Near the job's timeout, attempts are cut off: see the provider's status page.",
			view: lines, unit: seconds, width: 6, height: 8,
			queries: quantiles("provider", "{{provider}}", "millrace_provider_call_seconds_bucket"),
		},
		{
			title: "Providers left alone",
			description: "How many worker processes leave a provider alone because it does not answer. Their jobs wait without spending attempts, say so in their why, " +
				"and go on by themselves. Above 0 for long: the provider is down, or the worker cannot reach it.",
			view: lines, unit: count, width: 6, height: 8,
			queries: []query{{"{{provider}}", `sum by (provider) (millrace_provider_open)`}},
			steps:   []step{{1, red}},
		},
		{
			title: "Provider events",
			description: "Events a minute that providers sent, by outcome: taken, repeated, ignored (about nothing of ours), refused (not signed as they should be). " +
				"Many refused ones: the signing secret is wrong, a clock is off, or somebody tries. None at all while payments flow: the provider does not know our address.",
			view: lines, unit: perMinute, width: 6, height: 8,
			queries: []query{{"{{provider}} {{outcome}}", `60 * sum by (provider, outcome) (rate(millrace_provider_events_total[$__rate_interval]))`}},
			looks:   []look{{series: "/ refused$/", color: red}},
		},
	}
}

func conversationPanels() []panel {
	return []panel{
		{
			title: "Scores by verdict",
			description: "Conversations a minute that got their first score, by verdict; what is scored again is not in it. " +
				"If dissatisfied grows, read the reasons of the lowest scores: GET /v1/scores?sort=satisfaction&order=asc. " +
				"Mostly too_little_to_say: an app submits conversations before they have begun.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{verdict}}", `60 * sum by (verdict) (rate(millrace_conversations_scored_total[$__rate_interval]))`}},
			looks: []look{
				{series: "/^satisfied$/", color: green},
				{series: "/^neutral$/", color: yellow},
				{series: "/^dissatisfied$/", color: red},
				{series: "/^too_little_to_say$/", color: blue},
			},
		},
		{
			title: "Messages",
			description: "Messages a minute in conversations that were scored: kept, or skipped because of a problem. Skipped should be next to none. " +
				"If it grows, an app has changed its format: the answer to its submission, and GET /v1/conversations/{id}, name each message and its problem.",
			view: lines, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{outcome}}", `60 * sum by (outcome) (rate(millrace_conversation_messages_total[$__rate_interval]))`}},
			looks:   []look{{series: "/^skipped$/", color: orange}},
		},
		{
			title: "Masked",
			description: "Personal data a minute that was masked in conversations before they were stored, by type. It follows the number of messages. " +
				"If a type falls to nothing while conversations flow, the form of what people write has changed, or the masking: look into it at once. A new type that jumps is probably found where there is none.",
			view: lines, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{type}}", `60 * sum by (type) (rate(millrace_phi_masked_total[$__rate_interval]))`}},
		},
	}
}

func metricPanels() []panel {
	return []panel{
		{
			title: "Points",
			description: "Metric points a second that were accepted, and that were folded into buckets. Over minutes they are the same. " +
				"If folded stays below accepted, workers cannot keep up: give the queue rollups more slots, or start more workers.",
			view: lines, unit: perSecond, width: 8, height: 8,
			queries: []query{
				{"accepted", `sum(rate(millrace_metric_points_total[$__rate_interval]))`},
				{"folded", `sum(rate(millrace_rollup_points_total[$__rate_interval]))`},
			},
		},
		{
			title: "Oldest unfolded points",
			description: "How long the points that have waited longest have been waiting to be folded; 0 when none wait. Some ten seconds are normal. Queries are right all the same, and slower the longer it gets. " +
				"If it climbs by a second a second, nothing is folded: see whether the queue rollups is paused, and what its jobs fail with.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: []query{{"oldest", `max(millrace_rollup_watermark_age_seconds)`}},
		},
		{
			title: "Buckets",
			description: "Buckets a second that folding wrote or changed. Far fewer than points is what rolling up is for. " +
				"If there are nearly as many as points, somebody sends points far apart in time, or a series for each: see GET /v1/metrics/names.",
			view: lines, unit: perSecond, width: 8, height: 8,
			queries: []query{{"written", `sum(rate(millrace_rollup_buckets_total[$__rate_interval]))`}},
		},
	}
}

func auditPanels() []panel {
	return []panel{
		{
			title: "Entries",
			description: "Entries of the audit log a second that were sealed into the chains of their tenants: about one a submission, and one a change of state after it. " +
				"If it falls to nothing while jobs flow, look at the age beside.",
			view: lines, unit: perSecond, width: 12, height: 8,
			queries: []query{{"sealed", `sum(rate(millrace_audit_sealed_total[$__rate_interval]))`}},
		},
		{
			title: "Oldest unsealed entry",
			description: "How long the entry that has waited longest has been waiting to be sealed; 0 when none waits. Up to some five seconds are normal. Until it is sealed, who owns the database could change it unseen. " +
				"If it climbs by a second a second, nothing is sealed: see whether the queue audit is worked and not paused, and what its jobs fail with.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{"oldest", `max(millrace_audit_pending_age_seconds)`}},
		},
	}
}

func poolPanels() []panel {
	return []panel{
		{
			title: "Connections in use",
			description: "Connections that work for somebody, in the process that uses most, and how many a process may open. " +
				"At the limit, jobs or requests wait for a connection: look for slow statements before raising the limit, since Postgres has one too.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{
				{"{{pool}}", `max by (pool) (millrace_pool_connections_in_use)`},
				{"{{pool}} limit", `max by (pool) (millrace_pool_connections_limit)`},
			},
			looks: []look{{series: "/ limit$/", color: red, dashed: true}},
		},
		{
			title: "Waits for a connection",
			description: "Times a second that somebody found no free connection and waited, over all processes. Some at a start or a burst are normal, as pools open connections when asked. " +
				"Steady waits with connections at their limit: the pool is too small for the slots, or statements are slow.",
			view: lines, unit: perSecond, width: 12, height: 8,
			queries: []query{{"{{pool}}", `sum by (pool) (rate(millrace_pool_waits_total[$__rate_interval]))`}},
		},
	}
}

// failed is the part of the ended jobs that failed, grouped by a PromQL clause.
// It is 0, not absent, when none failed, and absent when none ended.
func failed(by, window string) string {
	ended := func(outcomes string) string {
		return `sum ` + by + `(rate(millrace_jobs_finished_total{queue=~"$queue", outcome=~"` + outcomes + `"}[` + window + `]))`
	}
	const final = "completed|cancelled|discarded"
	return "(" + ended("cancelled|discarded") + " or 0 * " + ended(final) + ") / (" + ended(final) + " > 0)"
}

// quantiles asks for the median and the 99th percentile of a classic histogram.
func quantiles(by, legend, buckets string) []query {
	if by != "" {
		by, legend = ", "+by, legend+" "
	}
	of := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le` + by + `) (rate(` + buckets + `[$__rate_interval])))`
	}
	return []query{{legend + "p50", of("0.5")}, {legend + "p99", of("0.99")}}
}

// tightestTarget is the smallest target of any kind.
func tightestTarget() time.Duration {
	tightest := time.Hour
	for _, kind := range jobs.Catalog() {
		tightest = min(tightest, kind.Policy.Target)
	}
	return tightest
}

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

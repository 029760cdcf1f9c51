package main

import "millrace/jobs"

// The uids of the dashboards.
const (
	overviewUID = "millrace-overview"
	queueUID    = "millrace-queue"
	kindUID     = "millrace-kind"
	intakeUID   = "millrace-intake"
	workersUID  = "millrace-workers"
	paymentsUID = "millrace-payments-mails"
	databaseUID = "millrace-database"
	platformUID = "millrace-platform"
)

// overviewBoard says whether work flows: where one starts at three in the morning.
func overviewBoard() board {
	return board{
		uid:   overviewUID,
		title: "Millrace: overview",
		description: "Is work flowing, how much waits, and what fails? Coloured tiles say whether something is wrong, the rows below say where; " +
			"a click on a tile, a queue or a kind leads to its own dashboard. Every panel's description says what to do.",
		rows: []row{
			{"Now", append(healthTiles(), conditionTiles()...)},
			{"Is work flowing?", overviewGraphs()},
			{"Which queue? (click on it)", []panel{queueList()}},
			{"Which kind? (click on it)", []panel{kindList()}},
		},
	}
}

// healthTiles say whether somebody who waits for us has reason to complain.
func healthTiles() []panel {
	return []panel{
		{
			title: "Oldest, of its target",
			description: "How long the job at the head of the worst queue has waited, as a part of that queue's tightest target; 100 % is late. It is the surest sign of trouble: depth may be a burst, age is not. " +
				"Above 100 % and climbing: see whether that queue is paused, and whether workers run. \"Nobody reports\": no worker leads, and depth is unknown.",
			view: number, unit: ratio, width: 4, height: 3, none: "nobody reports",
			queries: []query{{"{{queue}}", worst(lateness(""))}},
			steps:   latenessSteps(), leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Waiting",
			description: "Jobs that could run now and wait for a free slot. At most 10,000 of each queue are counted, so that number means \"or more\". " +
				"If it grows while busy slots are at their limit, start more workers; if slots are free, look for a paused queue or dead workers.",
			view: number, unit: count, width: 4, height: 3, none: "nobody reports",
			queries: []query{{"waiting", "sum(" + latest("queue", `millrace_queue_jobs{state="available"}`) + ")"}},
			steps:   []step{{1000, yellow}, {10_000, red}}, leads: []link{{to: workersUID}},
		},
		{
			title: "Budget burns",
			description: "How many times too fast the worst kind uses up its budget of late jobs, over the last hour: 1 % of its jobs may miss their target, and at 1× that lasts. " +
				"At 6× look today, at 14× now.",
			view: number, unit: times, width: 4, height: 3,
			queries: []query{{"{{kind}}", worst(burn("kind", "", "1h"))}},
			steps:   burnSteps(), leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "Failed",
			description: "Of the jobs that ended in the time shown, the part that was cancelled (a repeat cannot help, as after a declined card) or discarded (out of attempts). " +
				"Some declines are normal; a jump is not. The list of kinds below says which, the workers' log says why.",
			view: number, unit: ratio, width: 4, height: 3, none: "none ended",
			queries: []query{{"failed", failed("", "", "$__range")}},
			steps:   []step{{0.1, yellow}, {0.3, red}},
		},
		{
			title: "Given up",
			description: "Jobs discarded in the time shown, because every attempt failed or their worker died in the last: work that was promised and not done. It should be 0. " +
				"Find them with GET /v1/jobs?state=discarded and the tenant's key, mend the cause, then POST /v1/jobs/{id}/retry.",
			view: number, unit: count, width: 4, height: 3,
			queries: []query{{"discarded", grown("", `millrace_jobs_finished_total{outcome="discarded"}`, "$__range") + " + " + grown("", `millrace_jobs_rescued_total{outcome="discarded"}`, "$__range")}},
			steps:   []step{{1, red}}, leads: []link{{to: queueUID}},
		},
		{
			title: "Server errors",
			description: "Of the requests answered in the time shown, the part that we could not serve (5xx). It should be 0; above 5 % clients notice. " +
				"503 means that the database cannot be reached or the writer's backlog is full: see the dashboards Intake and Database.",
			view: number, unit: ratio, width: 4, height: 3, none: "no requests",
			queries: []query{{"5xx", serverErrors("$__range")}},
			steps:   []step{{0.01, yellow}, {0.05, red}}, leads: []link{{to: intakeUID}},
		},
	}
}

// serverErrors is the part of the answers that are 5xx, 0 without one.
func serverErrors(over string) string {
	all := rate("", selecting("millrace_http_requests_total", asked), over)
	return "(" + rate("", selecting("millrace_http_requests_total", asked, `status=~"5.."`), over) + " or 0 * " + all + ") / (" + all + " > 0)"
}

// conditionTiles say whether the parts are in order.
func conditionTiles() []panel {
	return []panel{
		{
			title: "Workers",
			description: "Worker processes that Prometheus reaches. With none, nothing runs: accepted work is safe and waits. " +
				"Start them, and if they stop again read their log: a missing setting is named in one line.",
			view: number, unit: count, width: 4, height: 3,
			queries: []query{{"processes", "count(count by (instance) (millrace_worker_slots)) or vector(0)"}},
			words:   []word{{"none", red}}, leads: []link{{to: workersUID}},
		},
		{
			title: "Leaders",
			description: "Worker processes that lead: one; two for a moment when that changes. The leader starts scheduled jobs and retries, rescues jobs of dead workers, and reports depth and age. " +
				"With none those wait, and depth is unknown rather than fine: see that workers run and reach the database.",
			view: number, unit: count, width: 4, height: 3,
			queries: []query{{"leading", "sum(millrace_leader) or vector(0)"}},
			steps:   []step{{2, yellow}}, words: []word{{"none", red}}, leads: []link{{to: workersUID}},
		},
		{
			title: "Last look at the queues",
			description: "How long ago the leader last read depth and age from the database; it looks every 5 s. What this dashboard says of queues is as old as that. " +
				"If it grows, the database does not answer the leader: see the dashboard Database.",
			view: number, unit: seconds, width: 4, height: 3, none: "nobody looks",
			queries: []query{{"ago", "time() - max(millrace_queue_observation_timestamp_seconds)"}},
			steps:   []step{{30, yellow}, {60, red}}, leads: []link{{to: databaseUID}},
		},
		{
			title: "Paused queues",
			description: "Queues that an operator has paused: their jobs are accepted and wait. " +
				"If nobody is working on it, resume them; the list of queues below shows which.",
			view: number, unit: count, width: 4, height: 3, none: "nobody reports",
			queries: []query{{"paused", "sum(" + latest("queue", "millrace_queue_paused") + ")"}},
			steps:   []step{{1, orange}}, leads: []link{{to: queueUID}},
		},
		{
			title: "Providers left alone",
			description: "Providers, such as Stripe, that a worker leaves alone because they do not answer. Their jobs wait without spending attempts, and go on by themselves. " +
				"Above 0 for long: see the provider's status page, and whether the workers can reach it.",
			view: number, unit: count, width: 4, height: 3,
			queries: []query{{"left alone", "sum(" + latest("provider", "millrace_provider_open") + ") or vector(0)"}},
			steps:   []step{{1, red}}, leads: []link{{to: paymentsUID}},
		},
		{
			title: "Versions",
			description: "How many versions run at this moment: one, or two while a deploy goes on (the blue marks in the graphs). " +
				"Two for long: the deploy is stuck half way; finish it or roll it back. Every commit runs beside its neighbours, so nothing is lost meanwhile.",
			view: number, unit: count, width: 4, height: 3,
			queries: []query{{"versions", "count(count by (version) (millrace_build_info)) or vector(0)"}},
			steps:   []step{{2, yellow}}, words: []word{{"none", red}}, leads: []link{{to: workersUID}},
		},
	}
}

func queueList() panel {
	return panel{
		title: "Queues",
		description: "Each queue as it is now: what waits and how late it is (100 % of target is late), what came and ended a minute in the last five, the part of its worker slots that is busy, " +
			"discarded jobs that are still kept, and whether it is paused. Jobs that workers start by themselves end without arriving. Read a line from the left: late and slots full means more workers, late and slots free means a pause or no worker for it. Click on a queue for its own dashboard.",
		view: list, unit: count, width: 24, height: listHeight(len(jobs.Queues())), by: "queue", leads: []link{{to: queueUID, variable: "queue"}},
		columns: []column{
			{title: "Waiting", expr: latest("queue", `millrace_queue_jobs{state="available"}`), unit: count, steps: []step{{1000, yellow}, {10_000, red}}},
			{title: "Oldest", expr: latest("queue", "millrace_queue_oldest_available_age_seconds"), unit: seconds},
			{title: "Oldest, of target", expr: lateness(""), unit: ratio, steps: latenessSteps()},
			{title: "Arriving", expr: minutely("queue", "millrace_jobs_enqueued_total", "5m"), unit: perMinute},
			{title: "Ended", expr: minutely("queue", "millrace_jobs_finished_total", "5m"), unit: perMinute},
			{title: "Failed", expr: failed("queue", "", "5m"), unit: ratio, steps: []step{{0.1, yellow}, {0.3, red}}},
			{title: "Slots busy", expr: "sum by (queue) (millrace_worker_slots_busy) / sum by (queue) (millrace_worker_slots)", unit: ratio, steps: []step{{0.8, yellow}, {1, red}}},
			{title: "Will be retried", expr: latest("queue", `millrace_queue_jobs{state="retryable"}`), unit: count},
			{title: "Dead letters", expr: latest("queue", "millrace_queue_discarded_jobs"), unit: count, steps: []step{{1, orange}}},
			{title: "State", expr: latest("queue", "millrace_queue_paused"), unit: count, words: []word{{"working", green}, {"paused", orange}}},
		},
	}
}

func overviewGraphs() []panel {
	return []panel{
		{
			title: "Arriving and ended",
			description: "Jobs that intake accepted, and jobs of the same kinds that ended for good (completed, cancelled or discarded), a second. The dashed line should follow the solid one. " +
				"If it stays below, work piles up: add workers or find what slows them. Not in it: jobs cancelled before they started; what was accepted for later ends later.",
			view: lines, unit: perSecond, width: 6, height: 8,
			queries: []query{
				{"arriving", rate("", "millrace_jobs_enqueued_total", window)},
				{"ended", "sum(" + rate("kind", "millrace_jobs_finished_total", window) + " and on (kind) sum by (kind) (millrace_jobs_enqueued_total) > 0) or vector(0)"},
			},
			looks: []look{{series: "/^arriving$/", color: blue}, {series: "/^ended$/", color: green, dashed: true}}, leads: []link{{to: workersUID}},
		},
		{
			title: "Oldest waiting job, of its target",
			description: "How long each queue's longest-waiting job has waited, as a part of the queue's tightest target. A saw with low teeth is health. " +
				"A straight climb means that nothing takes jobs of that queue: paused, no workers for it, or all slots held by slow jobs. Click on a line for its queue.",
			view: lines, unit: ratio, width: 6, height: 8,
			queries: []query{{"{{queue}}", lateness("")}},
			steps:   latenessSteps(), leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Backlog",
			description: "Jobs that could run and wait for a slot, by queue. At most 10,000 of each are counted. " +
				"A hill that falls again is a burst. A slope that does not: more arrives than ends; start more workers, or see what slows them. Click on an area for its queue.",
			view: areas, unit: count, width: 6, height: 8,
			queries: []query{{"{{queue}}", latest("queue", `millrace_queue_jobs{state="available"}`)}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Failures by outcome",
			description: "Attempts a minute that failed: cancelled (final: a repeat cannot help), discarded (final: out of attempts), retried (will be tried again). " +
				"Many retried at once means that a provider or the database is down: wait for it, nothing is lost. Any discarded wants a person. " +
				"The list of kinds below says which; the workers' log has each with its errorCode.",
			view: bars, unit: perMinute, width: 6, height: 8,
			queries: []query{{"{{outcome}}", minutely("outcome", `millrace_job_attempts_total{outcome=~"cancelled|discarded|retried"}`, window)}},
			looks:   outcomeLooks(),
		},
	}
}

func outcomeLooks() []look {
	return []look{{series: "/discarded$/", color: red}, {series: "/cancelled$/", color: orange}, {series: "/retried$/", color: yellow}}
}

func kindList() panel {
	return panel{
		title: "Kinds",
		description: "Each kind of job in the last hour: the part done within its target, how fast its budget of late jobs burns (at 1× it lasts, at 14× somebody looks now), its 99th percentile from accepted to done beside the target, and the part that failed. " +
			"A kind without a job in that hour has blanks. Click on a kind for its own dashboard.",
		view: list, unit: count, width: 24, height: listHeight(len(jobs.Catalog())), by: "kind", leads: []link{{to: kindUID, variable: "kind"}},
		columns: kindColumns(""),
	}
}

// listHeight is the height at which a list shows so many lines without scrolling.
func listHeight(lines int) uint32 { return uint32(lines) + 3 } //nolint:gosec // a few

// kindColumns are a list's columns of kinds over the last hour.
func kindColumns(matcher string) []column {
	return []column{
		{title: "Ended", expr: grown("kind", selecting("millrace_jobs_finished_total", matcher), "1h"), unit: count},
		{title: "On time", expr: onTime("kind", matcher, "1h"), unit: ratio},
		{title: "Budget burns", expr: burn("kind", matcher, "1h"), unit: times, steps: burnSteps()},
		{title: "p99 from accepted to done", expr: quantile(0.99, "kind", selecting("millrace_job_end_to_end_seconds_bucket", matcher), "1h"), unit: seconds},
		{title: "Target", expr: "max by (kind) (" + selecting("millrace_job_target_seconds", matcher) + ")", unit: seconds},
		{title: "Failed", expr: failed("kind", matcher, "1h"), unit: ratio, steps: []step{{0.1, yellow}, {0.3, red}}},
		{title: "Retries", expr: grown("kind", selecting("millrace_job_attempts_total", matcher, `outcome="retried"`), "1h"), unit: count},
	}
}

package main

import "millrace/jobs"

// ofQueue matches the queue that is chosen.
const ofQueue = `queue="$queue"`

// queueBoard is one queue in depth.
func queueBoard() board {
	return board{
		uid:   queueUID,
		title: "Millrace: queue",
		description: "One queue in depth: what waits, how fast it empties, what fails and how long it takes. " +
			"Choose the queue at the top. Every panel's description says what to do.",
		variables: []variable{{label: "queue", title: "Queue", first: jobs.Queues()[0].Name}},
		rows: []row{
			{"Now", queueTiles()},
			{"Is work flowing?", queueFlow()},
			{"What fails?", queueFailures()},
			{"How long does it take?", queueTimes()},
			{"Kinds of this queue (click on one)", []panel{queueKinds()}},
		},
	}
}

func queueTiles() []panel {
	return []panel{
		{
			title: "Oldest, of its target",
			description: "How long the job at the head of the line has waited, as a part of the tightest target of the queue's kinds; 100 % is late. " +
				"If it climbs steadily, nothing takes this queue's jobs: see whether it is paused, and whether workers have slots for it.",
			view: number, unit: ratio, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"oldest", lateness(ofQueue)}}, steps: latenessSteps(),
		},
		{
			title: "Waiting",
			description: "Jobs that could run now and wait for a free slot, counted up to 10,000; beyond 1,000 the number may be half a minute old. " +
				"If it grows while slots are full, start more workers; if slots are free, the queue is paused or its workers are dead.",
			view: number, unit: count, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"waiting", latest("", selecting("millrace_queue_jobs", ofQueue, `state="available"`))}},
			steps:   []step{{1000, yellow}, {10_000, red}},
		},
		{
			title: "Time to empty",
			description: "How long the backlog would take at the pace of the last five minutes, if nothing more arrived; 0 when nothing waits. " +
				"Longer than the target: start more workers. \"Never, or unknown\": jobs wait and none has ended in five minutes, or no process reports.",
			view: number, unit: seconds, width: 4, height: 4, none: "never, or unknown",
			queries: []query{{"at this pace", timeToEmpty()}},
		},
		{
			title: "Slots busy",
			description: "The part of the slots for this queue, over all workers, that run a job at this moment. At 100 % while jobs wait: start more workers. " +
				"Low while jobs wait: the queue is paused, or workers cannot fetch; see the dashboard Workers and scaling.",
			view: number, unit: ratio, width: 4, height: 4, none: "no slots",
			queries: []query{{"busy", "sum(" + selecting("millrace_worker_slots_busy", ofQueue) + ") / sum(" + selecting("millrace_worker_slots", ofQueue) + ")"}},
			steps:   []step{{0.8, yellow}, {1, red}}, leads: []link{{to: workersUID}},
		},
		{
			title: "Dead letters",
			description: "Discarded jobs that are still kept, for seven days: work that was promised and not done. " +
				"Find them with GET /v1/jobs?state=discarded and the tenant's key, mend the cause, then POST /v1/jobs/{id}/retry.",
			view: number, unit: count, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"kept", latest("", selecting("millrace_queue_discarded_jobs", ofQueue))}}, steps: []step{{1, orange}},
		},
		{
			title: "State",
			description: "Whether an operator has paused the queue: its jobs are accepted and wait. " +
				"If nobody is working on it, resume it.",
			view: number, unit: count, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"paused", latest("", selecting("millrace_queue_paused", ofQueue))}},
			words:   []word{{"working", green}, {"paused", orange}},
		},
	}
}

// timeToEmpty is 0 when nothing waits, and absent when nothing moves.
func timeToEmpty() string {
	waiting := latest("", selecting("millrace_queue_jobs", ofQueue, `state="available"`))
	return waiting + " == 0 or " + waiting + " / (" + rate("", selecting("millrace_jobs_finished_total", ofQueue), "5m") + " > 0)"
}

func queueFlow() []panel {
	return []panel{
		{
			title: "Arriving and ended",
			description: "Jobs that intake accepted for this queue, and jobs that ended for good, a second. The dashed line should follow the solid one. " +
				"If it stays below, work piles up: add workers or find what slows them. Jobs that workers start by themselves end without arriving here.",
			view: lines, unit: perSecond, width: 12, height: 8,
			queries: []query{
				{"arriving", rate("", selecting("millrace_jobs_enqueued_total", ofQueue), window)},
				{"ended", rate("", selecting("millrace_jobs_finished_total", ofQueue), window)},
			},
			looks: []look{{series: "/^arriving$/", color: blue}, {series: "/^ended$/", color: green, dashed: true}},
		},
		{
			title: "Jobs by state",
			description: "Live jobs: available ones wait for a slot, running ones run, retryable ones failed and will be tried again, scheduled ones are for later. At most 10,000 of each are counted. " +
				"Available that grows means too few workers; retryable that grows means that a provider or our code fails: see \"What fails?\".",
			view: areas, unit: count, width: 12, height: 8,
			queries: []query{{"{{state}}", latest("state", selecting("millrace_queue_jobs", ofQueue))}},
		},
		{
			title: "Age of the oldest waiting job",
			description: "How long the longest-waiting job that could run has waited. A saw with low teeth is health. " +
				"A straight climb means that nothing takes jobs: paused, no workers for the queue, or all slots held by slow jobs. The red line is the tightest target of its kinds.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: []query{
				{"oldest", latest("", selecting("millrace_queue_oldest_available_age_seconds", ofQueue))},
				{"target", "min(" + selecting("millrace_job_target_seconds", ofQueue) + ")"},
			},
			looks: []look{dashedRed("/^target$/")},
		},
		{
			title: "Slots",
			description: "Jobs that run at this moment, over all workers, and how many could. Slots of one worker process unless QUEUES says otherwise: " + slots() + ". " +
				"Flat at the limit while jobs wait: start more workers. Low while jobs wait: see pauses and the dashboard Database.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{
				{"busy", "sum(" + selecting("millrace_worker_slots_busy", ofQueue) + ")"},
				{"limit", "sum(" + selecting("millrace_worker_slots", ofQueue) + ")"},
			},
			looks: []look{dashedRed("/^limit$/")},
		},
		{
			title:       "Paused",
			description: "When the queue was paused. A pause that nobody remembers is the commonest reason for work that does not flow: resume the queue. A gap means that no process reported.",
			view:        states, unit: yesNo, width: 8, height: 8,
			queries: []query{{"{{queue}}", latest("queue", selecting("millrace_queue_paused", ofQueue))}},
			steps:   []step{{1, orange}},
			words:   []word{{"working", green}, {"paused", orange}},
		},
	}
}

func queueFailures() []panel {
	return []panel{
		{
			title: "Failures by kind and outcome",
			description: "Attempts a minute that failed: cancelled (final: a repeat cannot help), discarded (final: out of attempts), retried (will be tried again). " +
				"Many retried at once means that a provider or the database is down: wait for it, nothing is lost. Any discarded wants a person.",
			view: bars, unit: perMinute, width: 6, height: 8,
			queries: []query{{
				"{{kind}} {{outcome}}",
				minutely("kind, outcome", selecting("millrace_job_attempts_total", ofQueue, `outcome=~"cancelled|discarded|retried"`), window),
			}},
			looks: outcomeLooks(), leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "Failure ratio",
			description: "Of the jobs that ended, the part that was cancelled or discarded, by kind; a gap where none ended. " +
				"Compare with the same hour of other days. If it jumps with a deploy, roll back; if not, ask the provider.",
			view: lines, unit: ratio, width: 6, height: 8, most: 1,
			queries: []query{{"{{kind}}", failed("kind", ofQueue, window)}},
			steps:   []step{{0.1, yellow}, {0.3, red}}, leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "Put off",
			description: "Attempts a minute that ended without a verdict and cost the job nothing: snoozed (the provider asked us to wait: rate limit, maintenance, or it refuses our key), " +
				"interrupted (the worker was stopping). Long work that goes on in another attempt is not in it. Snoozed for long: ask the provider for a higher limit, or check the key. Interrupted belongs to deploys only.",
			view: bars, unit: perMinute, width: 6, height: 8,
			queries: []query{{
				"{{kind}} {{outcome}}",
				minutely("kind, outcome", selecting("millrace_job_attempts_total", ofQueue, `outcome=~"snoozed|interrupted"`), window),
			}},
			looks: []look{{series: "/snoozed$/", color: blue}, {series: "/interrupted$/", color: purple}},
		},
		{
			title: "Dead letters",
			description: "Discarded jobs that are still kept, over time. It falls when they are retried, and after seven days by itself. " +
				"A step up is work that was promised and not done: retry them when the cause is mended, before they are gone.",
			view: lines, unit: count, width: 6, height: 8,
			queries: []query{{"kept", latest("", selecting("millrace_queue_discarded_jobs", ofQueue))}}, steps: []step{{1, orange}},
		},
	}
}

func queueTimes() []panel {
	return []panel{
		{
			title: "Waiting time",
			description: "From when a job could run to when an attempt started, by kind. Retries and scheduled jobs are in it, and start up to 5 s late. " +
				"Near the target (" + targets() + ") with slots at their limit: more workers. Buckets end at 70 min: that value means \"or longer\".",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: quantiles("kind", "{{kind}}", selecting("millrace_job_wait_seconds_bucket", ofQueue)), looks: medianDashed(),
		},
		{
			title: "Running time",
			description: "How long attempts ran, failed ones included, by kind. An attempt is stopped after: " + timeouts() + ". " +
				"p99 near that means that a provider hangs; p50 that rises with it, that everything is slow: see the provider's status page and the dashboard Database.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: quantiles("kind", "{{kind}}", selecting("millrace_job_run_seconds_bucket", ofQueue)), looks: medianDashed(),
		},
		{
			title: "Fetching",
			description: "Time that one fetch of jobs from the database takes. Some milliseconds are normal, whatever the backlog. " +
				"If it grows with the backlog or over hours, the job table needs vacuuming or a long transaction holds it: see the dashboard Database.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: quantiles("", "", selecting("millrace_worker_fetch_seconds_bucket", ofQueue)), looks: medianDashed(), leads: []link{{to: databaseUID}},
		},
	}
}

// mostKinds is how many kinds the queue has that has most.
func mostKinds() int {
	most, of := 0, map[string]int{}
	for _, kind := range jobs.Catalog() {
		of[kind.Queue]++
		most = max(most, of[kind.Queue])
	}
	return most
}

func queueKinds() panel {
	return panel{
		title: "Kinds",
		description: "The queue's kinds in the last hour: the part done within the target, how fast the budget of late jobs burns (at 1× it lasts, at 14× somebody looks now), the 99th percentile from accepted to done beside the target, and the part that failed. " +
			"A kind without a job in that hour has blanks. Click on a kind for its own dashboard.",
		view: list, unit: count, width: 24, height: listHeight(mostKinds()), by: "kind", leads: []link{{to: kindUID, variable: "kind"}},
		columns: kindColumns(ofQueue),
	}
}

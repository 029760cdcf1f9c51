package main

// asked leaves out the requests that only ask whether intake lives.
const asked = `route!~"/healthz|/readyz"`

// intakeBoard is the HTTP side: what clients see.
func intakeBoard() board {
	return board{
		uid:   intakeUID,
		title: "Millrace: intake",
		description: "What clients see: are their requests answered, how fast, and what is refused? " +
			"Every panel's description says what to do.",
		rows: []row{
			{"Now", intakeTiles()},
			{"Requests", requestPanels()},
			{"Submissions", submissionPanels()},
			{"Limits", limitPanels()},
		},
	}
}

func intakeTiles() []panel {
	limited := rate("", "millrace_rate_limited_total", "$__range")
	return []panel{
		{
			title: "Intake processes",
			description: "Intake processes that Prometheus reaches. With none, clients get no answer; what was accepted goes on. " +
				"Start them, and if they stop again read their log: a missing setting is named in one line.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"processes", "count(count by (instance) (millrace_http_requests_in_flight)) or vector(0)"}},
			words:   []word{{"none", red}},
		},
		{
			title: "Requests",
			description: "Requests answered a second over the time shown, health checks left out. Compare with the same hour of other days. " +
				"Next to none while there should be: clients do not reach us; look at the load balancer and at DNS.",
			view: number, unit: perSecond, width: 4, height: 4,
			queries: []query{{"answered", rate("", selecting("millrace_http_requests_total", asked), "$__range")}},
		},
		{
			title: "Server errors",
			description: "Of the requests answered in the time shown, the part that we could not serve (5xx). It should be 0; above 5 % clients notice. " +
				"503 means that the database cannot be reached or the writer's backlog is full; 500 is a fault of ours: intake's log has the request id.",
			view: number, unit: ratio, width: 4, height: 4, none: "no requests",
			queries: []query{{"5xx", serverErrors("$__range")}}, steps: []step{{0.01, yellow}, {0.05, red}},
		},
		{
			title: "Time to answer, p99",
			description: "The 99th percentile over the time shown, health checks left out, and without the waits that clients ask for (Prefer: wait). " +
				"Above 1 s: see \"Time to answer by route\"; if it is every submission, see commit time.",
			view: number, unit: seconds, width: 4, height: 4, none: "no requests",
			queries: []query{{"p99", quantile(0.99, "", selecting("millrace_http_request_seconds_bucket", asked), "$__range")}},
			steps:   []step{{0.5, yellow}, {1, red}},
		},
		{
			title: "Rate-limited",
			description: "Of what was counted against a rate limit in the time shown, the part that was refused with 429. A client that goes too fast is told so and loses nothing. " +
				"Above 10 %: a client runs wild, or a limit is too low for an honest one; \"Limits\" below says which.",
			view: number, unit: ratio, width: 4, height: 4, none: "none counted",
			queries: []query{{"429", limited + " / (" + rate("", "millrace_rate_limit_checks_total", "$__range") + " > 0)"}},
			steps:   []step{{0.02, yellow}, {0.1, red}},
		},
		{
			title: "Being answered",
			description: "Requests in flight at this moment, over all intake processes. " +
				"If it climbs while requests a second do not, answers have become slow: see commit time and the dashboard Database.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"in flight", "sum(millrace_http_requests_in_flight)"}}, leads: []link{{to: databaseUID}},
		},
	}
}

func requestPanels() []panel {
	return []panel{
		{
			title: "Requests by status",
			description: "Answered requests a second, health checks left out. 5xx are ours: see intake's log for the request id. " +
				"503 means that the database cannot be reached or the writer's backlog is full. Many 401 or 403: somebody has a wrong key. Many 422: a client repeats keys.",
			view: areas, unit: perSecond, width: 12, height: 8,
			queries: []query{{"{{status}}", rate("status", selecting("millrace_http_requests_total", asked), window)}},
			looks:   []look{{series: "/^2/", color: green}, {series: "/^3/", color: blue}, {series: "/^4/", color: orange}, {series: "/^5/", color: red}},
		},
		{
			title: "Errors by code",
			description: "Answers a minute that were errors, by the code that the client got. UNAVAILABLE, DB_ERROR and UNKNOWN are ours; the others say what a client did. " +
				"A code that jumps with a client's release: tell them. UNKNOWN at all: a fault of ours, in intake's log with its request id.",
			view: bars, unit: perMinute, width: 12, height: 8,
			queries: []query{{"{{code}}", minutely("code", "millrace_http_errors_total", window)}},
			looks:   []look{{series: "/^(UNAVAILABLE|DB_ERROR|UNKNOWN|MASKING_FAILED)$/", color: red}},
		},
		{
			title: "Time to answer by route, p99",
			description: "Time to answer, by route, health checks left out, and without the waits that clients ask for (Prefer: wait). " +
				"High on every submission: see commit time. High on one that reads: see the dashboard Database for slow statements.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{
				"{{method}} {{route}}", quantile(0.99, "method, route", selecting("millrace_http_request_seconds_bucket", asked), window),
			}},
			steps: []step{{1, red}},
		},
		{
			title: "Being answered",
			description: "Requests in flight, by intake process. They should be alike. " +
				"One that stands out: the load balancer is uneven, or that process is stuck; take it out and look at its log.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{{"{{instance}}", "sum by (instance) (millrace_http_requests_in_flight)"}},
		},
	}
}

func submissionPanels() []panel {
	return []panel{
		{
			title: "Accepted by kind",
			description: "Jobs a second that were committed, by kind; replays of a request are not counted. This is the work that is coming. " +
				"A kind that falls to nothing: its app has stopped sending, or is refused; see errors by code. Click on a line for the kind.",
			view: areas, unit: perSecond, width: 12, height: 8,
			queries: []query{{"{{kind}}", rate("kind", "millrace_jobs_enqueued_total", window)}}, leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "Submissions a commit",
			description: "How many submissions shared one commit. 1 is an idle server; it grows with load, and that is how intake keeps up. " +
				"p99 at 512, the most there is, means that intake is at its limit: start another intake process, or look at commit time.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{
				{"mean", rate("", "millrace_intake_batch_submissions_sum", window) + " / (" + rate("", "millrace_intake_batch_submissions_count", window) + " > 0)"},
				{"p99", quantile(0.99, "", "millrace_intake_batch_submissions_bucket", window)},
			},
			steps: []step{{512, red}},
		},
		commitTime(12),
		{
			title: "Refused submissions",
			description: "Submissions a minute refused because too many waited for the writer (503), or as many jobs of the tenant waited as may (429). Clients with a retry lose nothing. The first should be 0. " +
				"If it is not: see commit time, then start another intake process. If the second grows, a tenant sends more than its workers do: start more workers, or raise its limit.",
			view: lines, unit: perMinute, width: 12, height: 8,
			queries: []query{
				{"writer's backlog full", minutely("", "millrace_intake_refused_total", window)},
				{"tenant's jobs waiting", minutely("", "millrace_waiting_jobs_refused_total", window)},
			},
			looks: []look{{series: "/^writer/", color: red}, {series: "/^tenant/", color: orange}},
		},
	}
}

// commitTime is on two dashboards: it is intake's, and says how the database does.
func commitTime(width uint32) panel {
	return panel{
		title: "Commit time",
		description: "From the start of a batch's transaction to the end of its commit; batches that failed are not in it. It is mostly the database's disk. " +
			"Above 0.1 s: look at the database's load, locks and disk. At 5 s a batch is given up and its clients get 503.",
		view: lines, unit: seconds, width: width, height: 8,
		queries: quantiles("", "", "millrace_intake_commit_seconds_bucket"),
		steps:   []step{{0.1, yellow}, {1, red}}, looks: medianDashed(),
	}
}

func limitPanels() []panel {
	return []panel{
		{
			title: "Refused by a rate limit",
			description: "Events a minute that a rate limit refused with 429, by class. A client that goes too fast is told when to come again. " +
				"If an honest client is refused, raise its limit with RATE_LIMITS or on its key; if not, it is doing its work.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{class}}", minutely("class", "millrace_rate_limited_total", window)}},
		},
		{
			title: "Part refused by a rate limit",
			description: "Of what was counted against a limit, the part that was refused, by class; a gap where nothing was counted. " +
				"Above 10 % for long: a client does not heed Retry-After, or the limit does not fit its work.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"{{class}}", rate("class", "millrace_rate_limited_total", window) + " / (" + rate("class", "millrace_rate_limit_checks_total", window) + " > 0)"}},
			steps:   []step{{0.1, red}},
		},
		{
			title: "Counting together",
			description: "Whether intake processes count rate limits together in Redis. Alone: Redis does not answer, each process counts for itself, and limits are as many times higher as there are processes; classes that guard people are refused. " +
				"See that Redis runs and can be reached. Without REDIS_URL it says together, as one process needs nobody.",
			view: states, unit: yesNo, width: 8, height: 8,
			queries: []query{{"{{instance}}", "max by (instance) (millrace_rate_limit_degraded)"}},
			steps:   []step{{1, orange}}, words: []word{{"together", green}, {"alone", orange}},
		},
	}
}

package main

import (
	"fmt"

	"millrace/jobs"
)

// ofKind matches the kind that is chosen.
const ofKind = `kind="$kind"`

// kindBoard is one kind of job against its target.
func kindBoard() board {
	return board{
		uid:   kindUID,
		title: "Millrace: kind",
		description: fmt.Sprintf("One kind of job against its objective: %g %% of its jobs done within its target, over %s. ", 100*objective, budgetDays) +
			"Choose the kind at the top. Every panel's description says what to do.",
		variables: []variable{{label: "kind", title: "Kind", first: jobs.Catalog()[0].Name}},
		rows: []row{
			{"Is it as fast as promised?", kindObjective()},
			{"Burn and time", kindTimes()},
			{"Flow and failures", kindFlow()},
		},
	}
}

func kindObjective() []panel {
	burning := func(over, says string) panel {
		return panel{
			title: "Budget burns, " + over,
			description: "How many times too fast the budget of late jobs is used up, over " + over + ": at 1× it lasts its days. " + says +
				" Above 1× look at \"From accepted to done\" below: waiting means more workers, running means a slow provider or database.",
			view: number, unit: times, width: 4, height: 4,
			queries: []query{{over, burn("", ofKind, over)}}, steps: burnSteps(),
		}
	}
	return []panel{
		{
			title: "Target",
			description: "How long a job of this kind may take from accepted to done at the 99th percentile when nothing is wrong. It stands in the kind's policy in the catalogue of jobs. " +
				"A target that is missed every day is wrong or unpaid for: change it, or what it costs.",
			view: number, unit: seconds, width: 4, height: 4, none: "no worker says",
			queries: []query{{"target", "max(" + selecting("millrace_job_target_seconds", ofKind) + ")"}},
		},
		{
			title: "On time",
			description: "Of the jobs that ended in the time shown, the part that was done within the target, retries included; discarded ones never count. " +
				"Below the objective the budget is being used up faster than it lasts: the burn rates beside say how much faster.",
			view: number, unit: ratio, width: 4, height: 4, none: "none ended",
			queries: []query{{"on time", onTime("", ofKind, "$__range")}}, below: red, steps: []step{{objective, green}},
		},
		{
			title: "Budget left, " + budgetDays,
			description: fmt.Sprintf("What is left of the jobs that may be late over %s (%g %% of all); below 0 the objective is missed, and 100 %% when none ended. ", budgetDays, 100*lateAllowed) +
				"With little left, let risky changes wait. Prometheus has to keep that many days, or it is the budget of what it has.",
			view: number, unit: ratio, width: 4, height: 4, signed: true,
			queries: []query{{"left", "1 - (" + burn("", ofKind, budgetDays) + ")"}}, below: red, steps: []step{{0, yellow}, {0.25, green}},
		},
		burning("5m", "Alone it may be a moment's burst; with the hour's it is going on now."),
		burning("1h", "At 14× a fiftieth of the budget is gone in the hour: somebody looks now."),
		burning("6h", "At 6× a twentieth of the budget is gone in these hours: somebody looks today."),
	}
}

func kindTimes() []panel {
	return []panel{
		{
			title: "Budget burns",
			description: "How many times too fast the budget of late jobs is used up, over three windows: at 1× it lasts. The short window says whether it goes on, the long ones whether it matters. " +
				"Two above a threshold together: act. Only the short one: watch. Only the long one: it is over.",
			view: lines, unit: times, width: 12, height: 8,
			queries: []query{{"5m", burn("", ofKind, "5m")}, {"1h", burn("", ofKind, "1h")}, {"6h", burn("", ofKind, "6h")}},
			steps:   burnSteps(),
		},
		{
			title: "From accepted to done",
			description: "From when a job could first run to its end, retries included: what a client sees. The red line is the target; p99 is meant to stay below it. " +
				"Above it: compare waiting and running below. p50 far below p99: few jobs are late, mostly those that were retried.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: append(quantiles("", "", selecting("millrace_job_end_to_end_seconds_bucket", ofKind)),
				query{"target", "max(" + selecting("millrace_job_target_seconds", ofKind) + ")"}),
			looks: append(medianDashed(), dashedRed("/^target$/")),
		},
		{
			title: "Waiting time",
			description: "From when a job could run to when an attempt started; retries and scheduled jobs are in it, and start up to 5 s late. " +
				"If it takes up the target, the queue has too few slots: start more workers, or give the queue more in QUEUES.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: append(quantiles("", "", selecting("millrace_job_wait_seconds_bucket", ofKind)),
				query{"target", "max(" + selecting("millrace_job_target_seconds", ofKind) + ")"}),
			looks: append(medianDashed(), dashedRed("/^target$/")),
		},
		{
			title: "Running time",
			description: "How long attempts ran, failed ones included. An attempt is stopped after: " + timeouts() + ". " +
				"p99 near that means that a provider hangs; p50 that rises with it, that everything is slow: see the dashboards Payments and mails, and Database.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: quantiles("", "", selecting("millrace_job_run_seconds_bucket", ofKind)), looks: medianDashed(), leads: []link{{to: databaseUID}},
		},
	}
}

func kindFlow() []panel {
	return []panel{
		{
			title: "Arriving and ended",
			description: "Jobs that intake accepted, and jobs that ended for good by outcome, a second. Completed should follow arriving. " +
				"A gap that stays is a backlog: see the queue's dashboard. Kinds that workers start by themselves end without arriving.",
			view: lines, unit: perSecond, width: 12, height: 8,
			queries: []query{
				{"arriving", rate("", selecting("millrace_jobs_enqueued_total", ofKind), window)},
				{"{{outcome}}", rate("outcome", selecting("millrace_jobs_finished_total", ofKind), window)},
			},
			looks: append(outcomeLooks(), look{series: "/^completed$/", color: green}, look{series: "/^arriving$/", color: blue, dashed: true}),
		},
		{
			title: "Attempts by outcome",
			description: "Attempts a minute by how they ended: completed, cancelled (final: a repeat cannot help), discarded (final: out of attempts), retried, snoozed (the provider asked us to wait), " +
				"continued (long work that goes on in another attempt), interrupted (the worker was stopping). Retried or snoozed that swells: a provider is in trouble; nothing is lost. The workers' log has each with its errorCode.",
			view: bars, unit: perMinute, width: 12, height: 8,
			queries: []query{{"{{outcome}}", minutely("outcome", selecting("millrace_job_attempts_total", ofKind), window)}},
			looks:   append(outcomeLooks(), look{series: "/^completed$/", color: green}, look{series: "/^snoozed$/", color: blue}, look{series: "/^interrupted$/", color: purple}),
		},
		{
			title: "Failure ratio",
			description: "Of the jobs that ended, the part that was cancelled or discarded; a gap where none ended. " +
				"Compare with the same hour of other days. If it jumps with a deploy (the blue marks), roll back; if not, ask the provider.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"failed", failed("", ofKind, window)}}, steps: []step{{0.1, yellow}, {0.3, red}},
		},
		{
			title: "Retries a job",
			description: "Attempts that had to be repeated for each job that ended; 0 when none ended. A few in a hundred are weather. " +
				"Near 1 means that every job fails once: see what the log's errorCode says, and the provider's status page.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{{"retries", retriesAJob()}}, steps: []step{{0.2, yellow}, {1, red}},
		},
		{
			title: "Given up",
			description: "Jobs a minute that were discarded because every attempt failed: work that was promised and not done. It should be 0. " +
				"Find them with GET /v1/jobs?state=discarded and the tenant's key, mend the cause, then POST /v1/jobs/{id}/retry.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{"discarded", minutely("", selecting("millrace_jobs_finished_total", ofKind, `outcome="discarded"`), window)}},
			looks:   []look{{series: "/^discarded$/", color: red}},
		},
	}
}

func retriesAJob() string {
	retried := rate("", selecting("millrace_job_attempts_total", ofKind, `outcome="retried"`), window)
	return retried + " / (" + rate("", selecting("millrace_jobs_finished_total", ofKind), window) + " > 0) or 0 * " + retried
}

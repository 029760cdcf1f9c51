package main

import (
	"fmt"
	"time"

	"millrace/jobs"
)

// unpaused takes out queues that somebody has paused on purpose: MillraceQueuePaused
// reminds of those.
const unpaused = ` unless on (queue) max by (queue) (millrace_queue_paused) == 1`

func queueAlerts(p pace, queues []backlog) []alert {
	alerts := []alert{
		{
			name: "MillraceNoLeader", severity: page, when: "no worker process leads for 2 min", hold: 2 * time.Minute,
			summary: "No worker process leads: scheduled jobs and retries do not start, dead workers' jobs are not taken back, and depth is unknown.",
			first:   "Look whether any worker runs and reaches the database. If some do, read their log for leader election.",
			board:   "/d/millrace-workers",
			expr:    `absent(millrace_leader == 1)`,
			fires: []scenario{
				{says: "workers run, and none leads", at: 7*time.Minute + 15*time.Second, load: []course{
					{`millrace_leader{instance="a"}`, "1x20 0x60"}, {`millrace_leader{instance="b"}`, "0x80"},
				}},
				{says: "no worker at all", at: 2 * time.Minute, load: []course{{`millrace_http_requests_in_flight{instance="c"}`, "0x80"}}},
			},
			rests: []scenario{{says: "a deploy: a minute without a leader", at: 20 * time.Minute, load: []course{
				{`millrace_leader{instance="a"}`, "1x20 stale"}, {`millrace_leader{instance="b"}`, "0x24 1x60"},
			}}},
		},
		{
			name: "MillraceNoWorker", severity: page, when: "a queue has work and no worker process works it for 3 min", hold: 3 * time.Minute,
			summary: "Nobody works the queue {{ $labels.queue }}, and it has work.",
			first:   "Start workers; if they run, their QUEUES leaves this queue out.",
			board:   "/d/millrace-queue?var-queue={{ $labels.queue }}",
			// What arrives is seen by intake, so that it also fires when no worker, and so no leader, is left to count.
			expr: fmt.Sprintf(`(max by (queue) (last_over_time(millrace_queue_jobs{state="available"}[%[1]s])) > 0 or sum by (queue) (increase(millrace_jobs_enqueued_total[%[1]s])) > 0)`+
				` unless on (queue) sum by (queue) (millrace_worker_slots) > 0`, p.window(15*time.Minute)),
			fires: []scenario{
				{says: "all workers go while work arrives", at: 8*time.Minute + 15*time.Second, labels: map[string]string{"queue": "payments"}, load: []course{
					{`millrace_worker_slots{queue="payments"}`, "50x20 stale"}, {`millrace_jobs_enqueued_total{queue="payments"}`, "0+1x80"},
				}},
				{says: "QUEUES leaves one out that has work", at: 3 * time.Minute, labels: map[string]string{"queue": "emails"}, load: []course{
					{`millrace_worker_slots{queue="payments"}`, "50x80"},
					{`millrace_queue_jobs{queue="emails", state="available"}`, "1x80"},
					{`millrace_queue_jobs{queue="payments", state="available"}`, "9x80"},
				}},
			},
			rests: []scenario{
				{says: "a deploy: a minute without workers", at: 20 * time.Minute, load: []course{
					{`millrace_worker_slots{instance="a", queue="payments"}`, "50x20 stale"},
					{`millrace_worker_slots{instance="b", queue="payments"}`, "_x24 50x60"},
					{`millrace_jobs_enqueued_total{queue="payments"}`, "0+1x80"},
				}},
				{says: "a queue that nobody uses", at: 20 * time.Minute, load: []course{
					{`millrace_worker_slots{queue="payments"}`, "50x80"},
					{`millrace_jobs_enqueued_total{queue="scoring"}`, "7x80"},
					{`millrace_queue_jobs{queue="scoring", state="available"}`, "0x80"},
					{`millrace_queue_jobs{queue="scoring", state="scheduled"}`, "5x80"},
				}},
			},
		},
		{
			name: "MillraceBacklogGrows", severity: ticket, when: "more jobs of a queue arrive than end for 15 min, and over 100 wait", hold: 15 * time.Minute,
			summary: "More arrives in {{ $labels.queue }} than ends: {{ $value | humanize }} jobs a second arrive.",
			first:   "Are all slots busy? Then add workers. If slots are free, look for what slows the jobs: the database, or a provider.",
			board:   "/d/millrace-queue?var-queue={{ $labels.queue }}",
			expr: `queue:millrace_jobs_enqueued:rate5m > on (queue) queue:millrace_jobs_finished:rate5m` +
				` and on (queue) max by (queue) (millrace_queue_jobs{state="available"}) > 100` + unpaused,
			fires: []scenario{{
				says: "over two processes, with 101 waiting", at: 15*time.Minute + 15*time.Second, labels: map[string]string{"queue": "scoring"}, value: "2", load: []course{
					{`millrace_jobs_enqueued_total{instance="a", queue="scoring"}`, "0+15x120"},
					{`millrace_jobs_enqueued_total{instance="b", queue="scoring"}`, "0+15x120"},
					{`millrace_jobs_finished_total{queue="scoring"}`, "0+29x120"},
					{`millrace_queue_jobs{queue="scoring", state="available"}`, "101x120"},
				},
			}},
			rests: []scenario{
				{says: "100 wait: many are scheduled for later", at: 29 * time.Minute, load: []course{
					{`millrace_jobs_enqueued_total{queue="scoring"}`, "0+30x120"},
					{`millrace_jobs_finished_total{queue="scoring"}`, "0+1x120"},
					{`millrace_queue_jobs{queue="scoring", state="available"}`, "100x120"},
					{`millrace_queue_jobs{queue="scoring", state="scheduled"}`, "100+29x120"},
				}},
				{says: "as much ends as arrives", at: 29 * time.Minute, load: []course{
					{`millrace_jobs_enqueued_total{queue="scoring"}`, "0+30x120"},
					{`millrace_jobs_finished_total{queue="scoring"}`, "0+30x120"},
					{`millrace_queue_jobs{queue="scoring", state="available"}`, "5000x120"},
				}},
				{says: "it is paused", at: 29 * time.Minute, load: []course{
					{`millrace_jobs_enqueued_total{queue="scoring"}`, "0+30x120"},
					{`millrace_jobs_finished_total{queue="scoring"}`, "0x120"},
					{`millrace_queue_jobs{queue="scoring", state="available"}`, "0+30x120"},
					{`millrace_queue_paused{queue="scoring"}`, "1x120"},
				}},
			},
		},
		{
			name: "MillraceQueuePaused", severity: ticket, when: "a queue is paused for 1 h",
			summary: "The queue {{ $labels.queue }} has been paused for an hour.",
			first:   "Ask who paused it (millrace audit list). If nobody works on it: millrace queues resume {{ $labels.queue }}",
			board:   "/d/millrace-queue?var-queue={{ $labels.queue }}",
			// Not by `for`, which begins anew whenever another worker begins to lead.
			expr: fmt.Sprintf(`min by (queue) (min_over_time(millrace_queue_paused[%s])) == 1 and on (queue) max by (queue) (max_over_time(millrace_queue_paused[%s] offset %s)) == 1`,
				p.window(time.Hour), p.window(10*time.Minute), p.window(time.Hour)),
			fires: []scenario{
				{says: "all the time, though leaders change", at: 70*time.Minute + 15*time.Second, labels: map[string]string{"queue": "emails"}, load: []course{
					{`millrace_queue_paused{instance="a", queue="emails"}`, "0x40 1x60 stale"},
					{`millrace_queue_paused{instance="b", queue="emails"}`, "_x104 1x200"},
					{`millrace_queue_paused{instance="a", queue="payments"}`, "0x100 stale"},
					{`millrace_queue_paused{instance="b", queue="payments"}`, "_x104 0x200"},
				}},
			},
			rests: []scenario{
				{says: "resumed for a moment meanwhile", at: 75 * time.Minute, load: []course{{`millrace_queue_paused{queue="emails"}`, "0x40 1x100 0x1 1x200"}}},
				{says: "paused for half an hour", at: 40 * time.Minute, load: []course{{`millrace_queue_paused{queue="emails"}`, "0x40 1x200"}}},
			},
		},
		{
			name: "MillraceMetricsStale", severity: page, when: "the leader has not seen the queues for over 60 s, for 5 min", hold: 5 * time.Minute,
			summary: "Nobody reports the queues' depth and age: alerts on them are blind.",
			first:   "Read the leader's log for \"queue depth could not be read\". Mostly the database is too slow to answer within 5 s.",
			board:   "/d/millrace-overview",
			expr: fmt.Sprintf(`time() - max(millrace_queue_observation_timestamp_seconds) > %s or absent(millrace_queue_observation_timestamp_seconds)`,
				p.limit(time.Minute)),
			fires: []scenario{
				{says: "the last look gets old", at: 7*time.Minute + 15*time.Second, load: []course{{`millrace_queue_observation_timestamp_seconds{instance="a"}`, "0+15x4 60x80"}}},
				{says: "nobody reports", at: 10*time.Minute + 15*time.Second, load: []course{{`millrace_queue_observation_timestamp_seconds{instance="a"}`, "0+15x20 stale"}}},
			},
			rests: []scenario{
				{says: "a leader that goes keeps its last look, and another looks", at: 20 * time.Minute, load: []course{
					{`millrace_queue_observation_timestamp_seconds{instance="a"}`, "0+15x20 300x60"}, {`millrace_queue_observation_timestamp_seconds{instance="b"}`, "_x25 375+15x60"},
				}},
				{says: "each look is 60 s old", at: 20 * time.Minute, load: []course{{`millrace_queue_observation_timestamp_seconds{instance="a"}`, "-60+15x80"}}},
			},
		},
		{
			name: "MillraceDeadLettersGrow", severity: ticket, when: "a queue has more discarded jobs than it had within the last hour",
			summary: "{{ $value }} more jobs of {{ $labels.queue }} were given up within an hour.",
			first:   "See which: millrace jobs list --state discarded. Mend the cause, then give them another attempt with millrace jobs retry.",
			board:   "/d/millrace-queue?var-queue={{ $labels.queue }}",
			expr: fmt.Sprintf(`max by (queue) (millrace_queue_discarded_jobs) - on (queue) min by (queue) (min_over_time(millrace_queue_discarded_jobs[%s])) > 0`,
				p.window(time.Hour)),
			fires: []scenario{{
				says: "one more, seen by the next leader", at: 6*time.Minute + 15*time.Second, labels: map[string]string{"queue": "emails"}, value: "1", load: []course{
					{`millrace_queue_discarded_jobs{instance="a", queue="emails"}`, "7x20 stale"}, {`millrace_queue_discarded_jobs{instance="b", queue="emails"}`, "_x25 8x60"},
				},
			}},
			rests: []scenario{{says: "retention deletes old ones, and the leader changes", at: 20 * time.Minute, load: []course{
				{`millrace_queue_discarded_jobs{instance="a", queue="emails"}`, "7x10 5x10 stale"}, {`millrace_queue_discarded_jobs{instance="b", queue="emails"}`, "_x25 5x60"},
			}}},
		},
		{
			name: "MillraceJobsRescued", severity: ticket, when: "the leader took back jobs whose worker had died, within the last 15 min",
			summary: `A worker died at work: {{ $value | printf "%.0f" }} of its jobs were {{ $labels.outcome }}.`,
			first:   "See why the process ended: out of memory, a kill, a lost machine. Nothing is lost unless jobs were discarded.",
			board:   "/d/millrace-workers",
			expr:    fmt.Sprintf(`sum by (outcome) (increase(millrace_jobs_rescued_total[%s])) > 0`, p.window(15*time.Minute)),
			fires: []scenario{{
				says: "three in two processes", at: 5*time.Minute + 15*time.Second, labels: map[string]string{"outcome": "retried"}, value: "3", load: []course{
					{`millrace_jobs_rescued_total{instance="a", outcome="retried"}`, "0x20 2x60"},
					{`millrace_jobs_rescued_total{instance="b", outcome="retried"}`, "4x20 5x60"},
					{`millrace_jobs_rescued_total{instance="a", outcome="discarded"}`, "0x80"},
				},
			}},
			rests: []scenario{{says: "a while ago, and the process restarted", since: 16 * time.Minute, at: 40 * time.Minute, load: []course{
				{`millrace_jobs_rescued_total{outcome="retried"}`, "0x2 3x80 0x100"},
			}}},
		},
	}
	for _, queue := range queues {
		alerts = append(alerts, tooOld(queue))
	}
	return alerts
}

// tooOld is the row of a queue whose head waits longer than its tightest kind may take.
func tooOld(queue backlog) alert {
	target := queue.target.Seconds()
	age := func(instance string) string {
		return fmt.Sprintf(`millrace_queue_oldest_available_age_seconds{instance="%s", queue="%s"}`, instance, queue.name)
	}
	return alert{
		name: "MillraceJobsTooOld", severity: severityOf(queue.public), labels: map[string]string{"kind": queue.of}, hold: 5 * time.Minute,
		when:    "the oldest waiting job of a queue waits longer than the tightest target of its kinds for 5 min, and the queue is not paused",
		summary: fmt.Sprintf("Jobs of %s wait for {{ $value | humanizeDuration }}; %s should be done after %s.", queue.name, queue.of, queue.target),
		first:   "Are all slots busy? Then add workers. If slots are free, nothing takes the jobs: see MillraceNoWorker, and the workers' log.",
		board:   "/d/millrace-queue?var-queue=" + queue.name,
		expr:    fmt.Sprintf(`max by (queue) (millrace_queue_oldest_available_age_seconds{queue="%s"}) > %s`, queue.name, decimal(target)) + unpaused,
		fires: []scenario{{
			says: "longer than the target, though the leader changes", at: 5 * time.Minute,
			labels: map[string]string{"queue": queue.name}, value: humanDuration(target + 1),
			load: []course{{age("a"), decimal(target+1) + "x10 stale"}, {age("b"), "_x8 " + decimal(target+1) + "x60"}},
		}},
		rests: []scenario{
			{says: "as long as the target", at: 20 * time.Minute, load: []course{{age("a"), decimal(target) + "x80"}}},
			{says: "a deploy, a minute without workers", at: 20 * time.Minute, load: []course{{age("a"), "0x20 15+15x4 0x60"}}},
			{says: "paused", at: 20 * time.Minute, load: []course{
				{age("a"), decimal(target+1) + "x80"}, {fmt.Sprintf(`millrace_queue_paused{instance="a", queue="%s"}`, queue.name), "1x80"},
			}},
		},
	}
}

// severityOf wakes people for what clients submit and wait for.
func severityOf(public bool) severity {
	if public {
		return page
	}
	return ticket
}

func kindAlerts(p pace, kinds []*jobs.Kind) []alert {
	alerts := []alert{{
		name: "MillraceAttemptsFail", severity: page, when: "over half of a kind's attempts fail and will be tried again for 10 min, over 10 of them", hold: 10 * time.Minute,
		summary: "{{ $value | humanizePercentage }} of the attempts of {{ $labels.kind }} fail.",
		first:   "Read the workers' log by kind: errorCode says whether it is the database (DB_ERROR), a provider, or our code (UNKNOWN). If it began with a deploy, roll back. Nothing is lost before the last attempt.",
		board:   "/d/millrace-kind?var-kind={{ $labels.kind }}",
		expr: fmt.Sprintf(`kind:millrace_job_attempts_retried:ratio_rate10m > 0.5 and on (kind) sum by (kind) (increase(millrace_job_attempts_total{outcome="retried"}[%s])) > 10`,
			p.window(10*time.Minute)),
		fires: []scenario{{
			says: "51 %", at: 10*time.Minute + 15*time.Second, labels: map[string]string{"kind": "conversation_scoring"}, value: "51%", load: []course{
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="retried"}`, "0+51x80"},
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="completed"}`, "0+40x80"},
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="discarded"}`, "0+9x80"},
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="snoozed"}`, "0+900x80"},
			},
		}},
		rests: []scenario{
			{says: "50 %", at: 20 * time.Minute, load: []course{
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="retried"}`, "0+50x80"},
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="cancelled"}`, "0+50x80"},
			}},
			{says: "one job that fails each minute", at: 20 * time.Minute, load: []course{
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="retried"}`, "0+0.25x80"},
				{`millrace_job_attempts_total{kind="conversation_scoring", outcome="completed"}`, "0x80"},
			}},
		},
	}}
	for _, kind := range kinds {
		alerts = append(alerts, burnsFast(kind))
	}
	for _, kind := range kinds {
		alerts = append(alerts, burnsSlowly(kind))
	}
	return alerts
}

// burns compares the late part of a kind's jobs in two windows with so many budgets:
// the long window says that it matters, the short one that it still goes on.
func burns(kind *jobs.Kind, long, short string, rate float64) string {
	ratio := func(window string) string {
		return fmt.Sprintf(`kind:millrace_jobs_late:ratio_rate%s{kind="%s"} > %s`, window, kind.Name, decimal(float64(int(rate*lateAllowed*1e6+0.5))/1e6))
	}
	return ratio(long) + " and " + ratio(short) + fmt.Sprintf(` and kind:millrace_jobs_late:increase%s{kind="%s"} > 5`, long, kind.Name)
}

// The pairs of windows and rates are those of Google's Site Reliability Workbook,
// chapter 5, for a budget of 30 days: 14.4 burns 2 % of it in an hour, 6 burns 5 % in
// six hours, 3 and 1 burn 10 % in one day and in three.
func burnsFast(kind *jobs.Kind) alert {
	return alert{
		name: "MillraceBudgetBurnsFast", severity: severityOf(kind.Public), labels: map[string]string{"kind": kind.Name, "queue": kind.Queue}, hold: 2 * time.Minute,
		when:    "a kind misses its target so often that it burns 2 % of its budget of 30 days in an hour, or 5 % in six hours: over 14.4 % late over 1 h and 5 min, or 6 % over 6 h and 30 min; over 5 jobs",
		summary: fmt.Sprintf("{{ $value | humanizePercentage }} of %s take longer than their %s.", kind.Name, kind.Policy.Target),
		first:   "See whether they wait or run for long. Waiting: add workers. Running: look at the provider and the database. The runbook says what each kind does.",
		board:   "/d/millrace-kind?var-kind=" + kind.Name,
		expr:    "(" + burns(kind, "1h", "5m", fastBurn) + ") or (" + burns(kind, "6h", "30m", slowBurn) + ")",
		fires: []scenario{
			{
				says: "15 % are late", at: 2*time.Minute + 15*time.Second, labels: map[string]string{"kind": kind.Name}, value: "15%",
				load: endings(kind, "85"),
			},
			{
				says: "7 % are late, and nothing happened before", at: 2*time.Minute + 15*time.Second, labels: map[string]string{"kind": kind.Name}, value: "7%",
				load: endings(kind, "93"),
			},
			{
				says: "15 % are late for an hour, which are few of six hours'", at: 77 * time.Minute, labels: map[string]string{"kind": kind.Name}, value: "15%",
				load: []course{{finishedSeries(kind), "0+10000x60 600100+100x300"}, {onTimeSeries(kind), "0+10000x60 600085+85x300"}},
			},
		},
		rests: []scenario{
			{says: "6 % are late", at: 25 * time.Minute, load: endings(kind, "94")},
			{says: "it was bad, and is over", since: 41 * time.Minute, at: 45 * time.Minute, load: []course{
				{finishedSeries(kind), "0+100x20 2000+100x200"}, {onTimeSeries(kind), "0x20 0+100x200"},
			}},
			{says: "14 % are late for an hour, which are few of six hours'", at: 85 * time.Minute, load: []course{
				{finishedSeries(kind), "0+10000x60 600100+100x300"}, {onTimeSeries(kind), "0+10000x60 600086+86x300"},
			}},
			{says: "five of five are late", at: 25 * time.Minute, load: []course{
				{finishedSeries(kind), "0x20 1x5 2x5 3x5 4x5 5x200"}, {onTimeSeries(kind), "0x400"},
			}},
		},
	}
}

func burnsSlowly(kind *jobs.Kind) alert {
	return alert{
		name: "MillraceBudgetBurnsSlowly", severity: ticket, labels: map[string]string{"kind": kind.Name, "queue": kind.Queue}, hold: 15 * time.Minute,
		when:    "a kind misses its target so often that it burns 10 % of its budget of 30 days in three days: over 3 % late over 1 d and 2 h, or 1 % over 3 d and 6 h; over 5 jobs",
		summary: fmt.Sprintf("{{ $value | humanizePercentage }} of %s take longer than their %s, for hours or days.", kind.Name, kind.Policy.Target),
		first:   "Compare with the days before: did load grow, or did a deploy make it slower? More workers, or a faster provider, or another target.",
		board:   "/d/millrace-kind?var-kind=" + kind.Name,
		expr:    "(" + burns(kind, "1d", "2h", 3) + ") or (" + burns(kind, "3d", "6h", 1) + ")",
		fires: []scenario{{
			says: "2 % are late", at: 15*time.Minute + 45*time.Second, labels: map[string]string{"kind": kind.Name}, value: "2%",
			load: endings(kind, "98"),
		}},
		rests: []scenario{
			{says: "1 % are late", at: 25 * time.Minute, load: endings(kind, "99")},
			{says: "two of 150 are late", at: 25 * time.Minute, load: []course{
				{finishedSeries(kind), "0+1x150 150x90"}, {onTimeSeries(kind), "0+1x148 148x92"},
			}},
		},
	}
}

func finishedSeries(kind *jobs.Kind) string {
	return fmt.Sprintf(`millrace_jobs_finished_total{instance="a", kind="%s", queue="%s", outcome="completed"}`, kind.Name, kind.Queue)
}

func onTimeSeries(kind *jobs.Kind) string {
	return fmt.Sprintf(`millrace_jobs_on_time_total{instance="a", kind="%s", queue="%s"}`, kind.Name, kind.Queue)
}

// endings are 100 jobs that end in 15 s for an hour, so many of them on time.
func endings(kind *jobs.Kind, onTime string) []course {
	return []course{{finishedSeries(kind), "0+100x240"}, {onTimeSeries(kind), "0+" + onTime + "x240"}}
}

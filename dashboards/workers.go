package main

// workersBoard is the processes that run jobs, and how many there should be.
func workersBoard() board {
	return board{
		uid:   workersUID,
		title: "Millrace: workers and scaling",
		description: "Are there enough workers, and are they well? The first row says how many slots the present load needs, the others how the processes do. " +
			"Every panel's description says what to do.",
		rows: []row{
			{"Now", workerTiles()},
			{"Are there enough?", scalingPanels()},
			{"Who runs?", leaderPanels()},
			{"How are the processes?", processPanels()},
		},
	}
}

// slotsNeeded is how many slots would be busy at the present arrivals, by queue:
// Little's law, arrivals a second times the seconds that a job runs.
func slotsNeeded() string {
	const over = "5m"
	meanRun := rate("kind, queue", "millrace_job_run_seconds_sum", over) + " / (" + rate("kind, queue", "millrace_job_run_seconds_count", over) + " > 0)"
	return "sum by (queue) (" + rate("kind, queue", "millrace_jobs_enqueued_total", over) + " * (" + meanRun + "))" +
		" or 0 * sum by (queue) (millrace_worker_slots)"
}

// utilisation is the part of the time that slots were busy, by queue.
func utilisation(over string) string {
	return rate("queue", "millrace_worker_busy_seconds_total", over) + " / sum by (queue) (millrace_worker_slots)"
}

// backlogASlot is how many jobs wait for each slot, by queue.
func backlogASlot() string {
	return latest("queue", `millrace_queue_jobs{state="available"}`) + " / on (queue) sum by (queue) (millrace_worker_slots)"
}

func workerTiles() []panel {
	return []panel{
		{
			title: "Workers",
			description: "Worker processes that Prometheus reaches. With none, nothing runs: accepted work is safe and waits. " +
				"Start them, and if they stop again read their log: a missing setting is named in one line.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"processes", "count(count by (instance) (millrace_worker_slots)) or vector(0)"}},
			words:   []word{{"none", red}},
		},
		{
			title: "Busiest queue",
			description: "The part of the last five minutes that the slots of the busiest queue were busy. Above 80 % there is no room for a burst: start another worker. " +
				"Near 0 for all queues at the busiest hour: there are more workers than needed.",
			view: number, unit: ratio, width: 4, height: 4, none: "no slots",
			queries: []query{{"{{queue}}", worst(utilisation("5m"))}}, steps: []step{{0.8, yellow}, {0.95, red}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Most waiting for a slot",
			description: "Jobs that wait for each slot, in the queue where most do. Below 1 the next free slot takes them all. " +
				"Above 10 and not falling: start more workers; this is a figure to scale by, as it follows arrivals within seconds.",
			view: number, unit: count, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"{{queue}}", worst(backlogASlot())}}, steps: []step{{1, yellow}, {10, red}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Leaders",
			description: "Worker processes that lead: one; two for a moment when that changes. With none, scheduled jobs and retries do not start, and jobs of dead workers are not rescued. " +
				"See that workers run and reach the database; a new leader is elected within seconds.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"leading", "sum(millrace_leader) or vector(0)"}}, steps: []step{{2, yellow}}, words: []word{{"none", red}},
		},
		{
			title: "Rescued",
			description: "Jobs whose worker died, taken back by the leader in the time shown. It should be 0 but for machines that fail. " +
				"If it grows: see whether workers are killed for lack of memory, or before they have drained at a deploy.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"rescued", grown("", "millrace_jobs_rescued_total", "$__range")}}, steps: []step{{1, orange}},
		},
		{
			title: "Clock skew",
			description: "The most that a worker's clock differs from the database's. River schedules by the one and rescues by the other: skew delays jobs, and much of it rescues jobs that are well. " +
				"Above a second: see that time synchronisation runs on the machine of that worker and on the database's.",
			view: number, unit: seconds, width: 4, height: 4, none: "no worker says",
			queries: []query{{"most", "max(abs(millrace_database_clock_skew_seconds))"}}, steps: []step{{1, yellow}, {10, red}},
		},
	}
}

func scalingPanels() []panel {
	return []panel{
		{
			title: "Slots needed and there",
			description: "How many slots the arrivals of the last five minutes keep busy (arrivals a second times the mean running time: Little's law), and how many there are (dashed), by queue. " +
				"Needed above what is there: the backlog grows without end; start workers until there is a third more than needed. Far below: fewer would do.",
			view: lines, unit: count, width: 12, height: 9,
			queries: []query{{"{{queue}} needed", slotsNeeded()}, {"{{queue}} there", "sum by (queue) (millrace_worker_slots)"}},
			looks:   []look{{series: "/there$/", dashed: true}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Utilisation",
			description: "The part of the time that slots were busy, by queue. Below 80 % bursts find a free slot; near 100 % jobs wait even when arrivals are steady. " +
				"High: start another worker. High for one queue only: give that queue more slots in QUEUES.",
			view: lines, unit: ratio, width: 12, height: 9, most: 1,
			queries: []query{{"{{queue}}", utilisation(window)}}, steps: []step{{0.8, yellow}, {0.95, red}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Backlog a slot",
			description: "Jobs that wait for each slot, by queue. It is the figure to scale by: it follows arrivals within seconds, and does not care how many workers there are. " +
				"Above 1 for minutes: more workers. If more workers do not lower it, the database or a provider is what limits.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{{"{{queue}}", backlogASlot()}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Slots busy and there",
			description: "Jobs that run at this moment over all workers, and slots (dashed), by queue. Slots of one worker process unless QUEUES says otherwise: " + slots() + ". " +
				"A step down of the dashed line is a worker that stopped; if nobody stopped it, read its log.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{{"{{queue}} busy", "sum by (queue) (millrace_worker_slots_busy)"}, {"{{queue}} there", "sum by (queue) (millrace_worker_slots)"}},
			looks:   []look{{series: "/there$/", dashed: true}}, leads: []link{{to: queueUID, variable: "queue"}},
		},
		{
			title: "Time of a fetch, p99",
			description: "Time that one fetch of jobs from the database takes, by queue. Some milliseconds are normal, whatever the backlog; a queue fetches at most every 100 ms. " +
				"If it grows: the job table needs vacuuming, or a long transaction holds it; see the dashboard Database.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{"{{queue}}", quantile(0.99, "queue", "millrace_worker_fetch_seconds_bucket", window)}}, leads: []link{{to: databaseUID}},
		},
		{
			title: "Jobs a fetch",
			description: "How many jobs one fetch brings, by queue. Near 0 is an idle queue; with a backlog it is the slots that have become free. " +
				"If it stays low with a backlog, fetching is what limits: give the queue more slots a process, as each process fetches by itself.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{{"{{queue}}", rate("queue", "millrace_worker_fetched_jobs_total", window) + " / (" + rate("queue", "millrace_worker_fetch_seconds_count", window) + " > 0)"}},
		},
	}
}

func leaderPanels() []panel {
	return []panel{
		{
			title: "Leader",
			description: "Which worker process led when. A change at a deploy is normal and takes seconds. " +
				"Changes by the minute: the leader does not reach the database in time; see the dashboard Database and the workers' logs.",
			view: states, unit: yesNo, width: 8, height: 8,
			queries: []query{{"{{instance}}", "max by (instance) (millrace_leader)"}},
			steps:   []step{{1, blue}}, words: []word{{"follows", green}, {"leads", blue}},
		},
		{
			title: "Processes by version",
			description: "Worker processes, by the version that they run. At a deploy one area takes the other's place. " +
				"If both stay, the deploy is stuck half way: finish it, or roll it back.",
			view: areas, unit: count, width: 8, height: 8,
			queries: []query{{"{{version}}", "count by (version) (" + ofWorkers("millrace_build_info") + ")"}},
		},
		{
			title: "Rescued",
			description: "Jobs a minute whose worker died, taken back by the leader: to be tried again, or discarded because it was the last attempt. It should be 0. " +
				"If not: see whether workers are killed for lack of memory (below), or before they have drained at a deploy. One job that kills its workers is discarded after three times.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{outcome}}", minutely("outcome", "millrace_jobs_rescued_total", window)}},
			looks:   []look{{series: "/^retried$/", color: orange}, {series: "/^discarded$/", color: red}},
		},
	}
}

func processPanels() []panel {
	return []panel{
		{
			title: "Clock skew",
			description: "A worker's clock minus the database's, by process. Within a tenth of a second is good. " +
				"Above a second either way: see that time synchronisation runs, on that machine and on the database's, before jobs are delayed or rescued while they run.",
			view: lines, unit: seconds, width: 8, height: 8, signed: true,
			queries: []query{{"{{instance}}", "max by (instance) (millrace_database_clock_skew_seconds)"}},
		},
		{
			title: "CPU",
			description: "Processor cores that each worker process uses. Scoring and rolling up use them; payments and mails wait for others. " +
				"At the cores that the machine gives while jobs wait: start workers on other machines; more slots do not help.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{{"{{instance}}", ofWorkers("sum by (instance) (rate(process_cpu_seconds_total[" + window + "]))")}},
		},
		{
			title: "Memory",
			description: "Memory of each worker process: all that it holds, and the part that Go's heap uses (dashed). It goes up and down with load. " +
				"If it only goes up over days it leaks: note the version, restart it, and report it. Near the machine's limit the process is killed, and its jobs are rescued.",
			view: lines, unit: bytesUnit, width: 8, height: 8,
			queries: []query{
				{"{{instance}}", ofWorkers("max by (instance) (process_resident_memory_bytes)")},
				{"{{instance}} heap", ofWorkers("max by (instance) (go_memstats_heap_inuse_bytes)")},
			},
			looks: []look{{series: "/heap$/", dashed: true}},
		},
		{
			title: "Goroutines",
			description: "Goroutines of each worker process. Some dozens and a few for each busy slot. " +
				"A climb that does not end is a leak: note the version, restart it, and report it.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{{"{{instance}}", ofWorkers("max by (instance) (go_goroutines)")}},
		},
		{
			title: "Garbage collection",
			description: "The part of the time that each worker process stood still for Go's garbage collector. Far below 1 % is normal. " +
				"More: the process is short of memory; give it more, or fewer slots.",
			view: lines, unit: ratio, width: 8, height: 8,
			queries: []query{{"{{instance}}", ofWorkers("sum by (instance) (rate(go_gc_duration_seconds_sum[" + window + "]))")}},
		},
		{
			title: "Open files",
			description: "The part of the files and connections that a worker process may have open which it has. " +
				"Near 100 % calls fail: raise the limit (ulimit -n), and see what is left open if it only climbs.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"{{instance}}", ofWorkers("max by (instance) (process_open_fds) / max by (instance) (process_max_fds)")}},
			steps:   []step{{0.8, red}},
		},
	}
}

package main

// databaseBoard is what Millrace sees of Postgres.
func databaseBoard() board {
	return board{
		uid:   databaseUID,
		title: "Millrace: database",
		description: "Does Postgres keep up? Connections, commits, and the vacuuming that a table of jobs lives by. " +
			"Every panel's description says what to do.",
		rows: []row{
			{"Now", databaseTiles()},
			{"Connections and time", connectionPanels()},
			{"Vacuuming", vacuumPanels()},
		},
	}
}

// inUse is the part of a pool that works for somebody, in the process that uses most.
const inUse = "max by (pool) (millrace_pool_connections_in_use / millrace_pool_connections_limit)"

// dead is the part of a table that is dead rows; 0 while fewer than 100,000 are,
// as of a table that is emptied all the time it says nothing.
const dead = "max by (table) (millrace_postgres_dead_tuples > 100000) / (max by (table) (millrace_postgres_dead_tuples) + max by (table) (millrace_postgres_live_tuples))" +
	" or 0 * max by (table) (millrace_postgres_dead_tuples)"

func databaseTiles() []panel {
	return []panel{
		{
			title: "Fullest pool",
			description: "The part of its connections that the busiest process uses. Above 80 % jobs or requests soon wait for a connection. " +
				"Look for slow statements before raising the limit, since Postgres has one too.",
			view: number, unit: ratio, width: 4, height: 4,
			queries: []query{{"{{pool}}", worst(inUse)}}, steps: []step{{0.8, yellow}, {1, red}},
		},
		{
			title: "Commit time, p99",
			description: "The 99th percentile of a batch's transaction over the time shown: mostly the database's disk. " +
				"Above 0.1 s: look at the database's load, locks and disk. At 5 s a batch is given up and its clients get 503.",
			view: number, unit: seconds, width: 4, height: 4, none: "no commits",
			queries: []query{{"p99", quantile(0.99, "", "millrace_intake_commit_seconds_bucket", "$__range")}}, steps: []step{{0.1, yellow}, {1, red}}, leads: []link{{to: intakeUID}},
		},
		{
			title: "Oldest transaction",
			description: "How long the oldest open transaction has been open. Millrace's own last milliseconds. " +
				"Minutes: somebody's session or a dump holds back vacuuming, and the job table grows: find it in pg_stat_activity by xact_start, and end it with pg_terminate_backend. \"Cannot be seen\": nobody leads, or the owner of the tables may not see other sessions; GRANT pg_read_all_stats TO millrace_owner.",
			view: number, unit: seconds, width: 4, height: 4, none: "cannot be seen",
			queries: []query{{"open", latest("", "millrace_postgres_oldest_transaction_age_seconds")}}, steps: []step{{300, yellow}, {1800, red}},
		},
		{
			title: "Oldest snapshot",
			description: "How many transactions back the oldest snapshot reaches that vacuum must respect: what has died since cannot be cleared away. " +
				"Above a million: an open transaction, a replication slot or a prepared transaction holds it; look at pg_stat_activity, pg_replication_slots and pg_prepared_xacts. \"Cannot be seen\": as at the oldest transaction.",
			view: number, unit: count, width: 4, height: 4, none: "cannot be seen",
			queries: []query{{"transactions", latest("", "millrace_postgres_oldest_xmin_age_transactions")}}, steps: []step{{1_000_000, yellow}, {10_000_000, red}},
		},
		{
			title: "Most dead rows",
			description: "The part of a table that is dead rows, in the table where it is most; 0 of tables with fewer than 100,000. Autovacuum keeps busy tables around 20 %. " +
				"Above half: fetching jobs becomes slow; see the oldest transaction and snapshot, then run VACUUM on that table.",
			view: number, unit: ratio, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"{{table}}", worst(dead)}}, steps: []step{{0.5, yellow}, {0.8, red}},
		},
		{
			title: "Look at the queues",
			description: "Database time of the leader's last look at the queues, every 5 s. It is bounded, so it stays within some ten milliseconds with any backlog. " +
				"If it grows, so does everything: see commit time and dead rows.",
			view: number, unit: seconds, width: 4, height: 4, none: "nobody reports",
			queries: []query{{"took", latest("", "millrace_queue_observation_seconds")}}, steps: []step{{0.25, yellow}, {1, red}},
		},
	}
}

func connectionPanels() []panel {
	return []panel{
		{
			title: "Connections in use",
			description: "Connections that work for somebody, in the process that uses most, and how many a process may open. " +
				"At the limit, jobs or requests wait for a connection: look for slow statements before raising the limit, since Postgres has one too.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{
				{"{{pool}}", `max by (pool) (millrace_pool_connections_in_use)`},
				{"{{pool}} limit", `max by (pool) (millrace_pool_connections_limit)`},
			},
			looks: []look{dashedRed("/ limit$/")},
		},
		{
			title: "Part of the connections in use",
			description: "The part of its connections that the busiest process uses, by pool. Above 80 % there is little left for a burst. " +
				"Steady: more processes share the load better than a larger pool does. A jump: see commit time and the oldest transaction.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"{{pool}}", inUse}}, steps: []step{{0.8, red}},
		},
		{
			title: "Waits for a connection",
			description: "Times a second that somebody found no free connection and waited, over all processes. Some at a start or a burst are normal, as pools open connections when asked. " +
				"Steady waits with connections at their limit: the pool is too small for the slots, or statements are slow.",
			view: lines, unit: perSecond, width: 8, height: 8,
			queries: []query{{"{{pool}}", rate("pool", "millrace_pool_waits_total", window)}},
		},
		commitTime(8),
		{
			title: "Time of a fetch",
			description: "Time that one fetch of jobs takes, over all queues. Some milliseconds are normal, whatever the backlog. " +
				"If it grows over hours: dead rows of the job table; see the row below.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: quantiles("", "", "millrace_worker_fetch_seconds_bucket"), looks: medianDashed(),
		},
		{
			title: "Look at the queues",
			description: "Database time of the leader's look at the queues, every 5 s. It is bounded: the same with ten jobs or ten million. " +
				"If it grows, the database is slow for all: see commit time and dead rows.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: []query{{"took", latest("", "millrace_queue_observation_seconds")}},
		},
	}
}

func vacuumPanels() []panel {
	return []panel{
		{
			title: "Dead rows",
			description: "Rows of each table that are dead and not yet cleared away, as Postgres estimates. A saw is health: autovacuum comes and goes. " +
				"A climb that does not end: something holds back vacuuming (beside), or autovacuum is too slow for this load: lower autovacuum_vacuum_cost_delay.",
			view: lines, unit: count, width: 12, height: 8,
			queries: []query{{"{{table}}", latest("table", "millrace_postgres_dead_tuples")}},
		},
		{
			title: "Part of the rows that is dead",
			description: "Dead rows as a part of all, by table; 0 of tables with fewer than 100,000. Around 20 % is what autovacuum leaves. " +
				"Above half for long: run VACUUM on that table once nothing holds it back.",
			view: lines, unit: ratio, width: 12, height: 8, most: 1,
			queries: []query{{"{{table}}", dead}}, steps: []step{{0.5, yellow}, {0.8, red}},
		},
		{
			title: "Live rows",
			description: "Rows of each table, as Postgres estimates. The job table stays level: ended jobs are deleted after a day, discarded ones after seven. " +
				"If it climbs with arrivals level: a backlog (see the overview), or deleting does not keep up.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{{"{{table}}", latest("table", "millrace_postgres_live_tuples")}},
		},
		{
			title: "Oldest transaction",
			description: "How long the oldest open transaction has been open. Short teeth are health. " +
				"A straight climb is a session that somebody left open, or a dump: find it in pg_stat_activity by xact_start, and end it with pg_terminate_backend.",
			view: lines, unit: seconds, width: 8, height: 8,
			queries: []query{{"oldest", latest("", "millrace_postgres_oldest_transaction_age_seconds")}}, steps: []step{{300, yellow}, {1800, red}},
		},
		{
			title: "Oldest snapshot",
			description: "How many transactions back the oldest snapshot reaches that vacuum must respect. It falls to nearly 0 between long statements. " +
				"A climb without an old transaction beside: a replication slot or a prepared transaction; see pg_replication_slots and pg_prepared_xacts.",
			view: lines, unit: count, width: 8, height: 8,
			queries: []query{{"oldest", latest("", "millrace_postgres_oldest_xmin_age_transactions")}}, steps: []step{{1_000_000, yellow}, {10_000_000, red}},
		},
	}
}

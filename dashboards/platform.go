package main

// platformBoard is what the other work of Millrace makes: scores, rollups and the audit log.
func platformBoard() board {
	return board{
		uid:   platformUID,
		title: "Millrace: platform",
		description: "What becomes of conversations, of metric points and of the audit log, and what runs. " +
			"Every panel's description says what to do.",
		rows: []row{
			{"Conversations", conversationPanels()},
			{"Metrics", metricPanels()},
			{"Audit log", auditPanels()},
			{"What runs", buildPanels()},
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
			queries: []query{{"{{verdict}}", minutely("verdict", "millrace_conversations_scored_total", window)}},
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
			queries: []query{{"{{outcome}}", minutely("outcome", "millrace_conversation_messages_total", window)}},
			looks:   []look{{series: "/^skipped$/", color: orange}},
		},
		{
			title: "Masked",
			description: "Personal data a minute that was masked in conversations before they were stored, by type. It follows the number of messages. " +
				"If a type falls to nothing while conversations flow, the form of what people write has changed, or the masking: look into it at once. A new type that jumps is probably found where there is none.",
			view: lines, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{type}}", minutely("type", "millrace_phi_masked_total", window)}},
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
				{"accepted", rate("", "millrace_metric_points_total", window)},
				{"folded", rate("", "millrace_rollup_points_total", window)},
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
			queries: []query{{"written", rate("", "millrace_rollup_buckets_total", window)}},
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
			queries: []query{{"sealed", rate("", "millrace_audit_sealed_total", window)}},
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

func buildPanels() []panel {
	return []panel{
		{
			title: "Processes by version",
			description: "Millrace's processes, intake and workers, by the version that they run. At a deploy one area takes the other's place. " +
				"A version that nobody deployed: somebody runs a program of their own against this database; find it by its address below.",
			view: areas, unit: count, width: 12, height: 8,
			queries: []query{{"{{version}}", "count by (version) (millrace_build_info)"}},
		},
		{
			title: "Since when each process runs",
			description: "How long each process has run. All fall to 0 at a deploy, one after the other. " +
				"One that keeps falling to 0 crashes: read its log, and see the memory of workers.",
			view: lines, unit: seconds, width: 12, height: 8,
			queries: []query{{"{{instance}}", "time() - (max by (instance) (process_start_time_seconds) and on (instance) max by (instance) (millrace_build_info))"}},
		},
	}
}

package main

import (
	"fmt"
	"time"
)

func providerAlerts(p pace) []alert {
	return []alert{
		{
			name: "MillraceProviderOpen", severity: page, when: "a worker process leaves a provider alone for 5 min because it does not answer", hold: 5 * time.Minute,
			summary: "{{ $labels.provider }} does not answer: its jobs wait.",
			first:   "See the provider's status page. Nothing is lost and no attempt is spent; work goes on by itself. If only one process cannot reach it, replace that.",
			board:   "/d/millrace-payments-mails",
			expr:    `max by (provider) (millrace_provider_open) == 1`,
			fires: []scenario{{
				says: "one process of two", at: 5 * time.Minute, labels: map[string]string{"provider": "stripe"}, load: []course{
					{`millrace_provider_open{instance="a", provider="stripe"}`, "1x80"},
					{`millrace_provider_open{instance="b", provider="stripe"}`, "0x80"},
					{`millrace_provider_open{instance="a", provider="resend"}`, "0x80"},
				},
			}},
			rests: []scenario{{says: "it fails for four minutes, twice", at: 20 * time.Minute, load: []course{
				{`millrace_provider_open{instance="a", provider="stripe"}`, "1x16 0x2 1x16 0x60"},
			}}},
		},
		{
			name: "MillraceProviderRefusesAll", severity: page, when: "a provider refuses more than 10 calls in 10 min and takes none, for 5 min", hold: 5 * time.Minute,
			summary: "{{ $labels.provider }} refuses every call: our key is probably revoked or wrong.",
			first:   "Look at one refusal in the workers' log. For 401 or 403 put a valid key into STRIPE_SECRET_KEY or RESEND_API_KEY and restart the workers: their jobs wait for that.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`sum by (provider) (increase(millrace_provider_calls_total{outcome="refused"}[%[1]s])) > 10`+
				` unless on (provider) sum by (provider) (increase(millrace_provider_calls_total{outcome="ok"}[%[1]s])) > 0`, p.window(10*time.Minute)),
			fires: []scenario{{
				says: "each call", at: 7*time.Minute + 45*time.Second, labels: map[string]string{"provider": "resend"}, load: []course{
					{`millrace_provider_calls_total{instance="a", provider="resend", operation="send", outcome="refused"}`, "0+1x80"},
					{`millrace_provider_calls_total{instance="a", provider="resend", operation="send", outcome="ok"}`, "900x80"},
					{`millrace_provider_calls_total{instance="a", provider="stripe", operation="confirm", outcome="ok"}`, "0+1x80"},
				},
			}},
			rests: []scenario{
				{says: "all cards are declined, but intents are made", at: 20 * time.Minute, load: []course{
					{`millrace_provider_calls_total{provider="stripe", operation="confirm", outcome="refused"}`, "0+5x80"},
					{`millrace_provider_calls_total{provider="stripe", operation="create", outcome="ok"}`, "0+5x80"},
				}},
				{says: "few calls", at: 20 * time.Minute, load: []course{
					{`millrace_provider_calls_total{provider="stripe", operation="confirm", outcome="refused"}`, "0+0.2x80"},
					{`millrace_provider_calls_total{provider="stripe", operation="confirm", outcome="ok"}`, "0x80"},
				}},
			},
		},
		{
			name: "MillraceWebhooksRefused", severity: ticket, when: "a provider's events are refused more often than taken, over 5 in 15 min, for 5 min", hold: 5 * time.Minute,
			summary: "Events that claim to be from {{ $labels.provider }} are refused: their signature is wrong.",
			first:   "Compare the signing secret at the provider with STRIPE_WEBHOOK_SECRET or RESEND_WEBHOOK_SECRET. If it is right, somebody forges events: intake's log has the addresses.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`sum by (provider) (increase(millrace_provider_events_total{outcome="refused"}[%[1]s])) > 5`+
				` and on (provider) sum by (provider) (increase(millrace_provider_events_total{outcome="refused"}[%[1]s]))`+
				` > on (provider) sum by (provider) (increase(millrace_provider_events_total{outcome=~"taken|repeated|ignored"}[%[1]s]))`, p.window(15*time.Minute)),
			fires: []scenario{{
				says: "two of three", at: 6*time.Minute + 30*time.Second, labels: map[string]string{"provider": "stripe"}, load: []course{
					{`millrace_provider_events_total{provider="stripe", outcome="refused"}`, "0+1x80"},
					{`millrace_provider_events_total{provider="stripe", outcome="taken"}`, "0+0.5x80"},
					{`millrace_provider_events_total{provider="resend", outcome="refused"}`, "0x80"},
					{`millrace_provider_events_total{provider="resend", outcome="taken"}`, "0+1x80"},
				},
			}},
			rests: []scenario{
				{says: "half of them", at: 25 * time.Minute, load: []course{
					{`millrace_provider_events_total{provider="stripe", outcome="refused"}`, "0+10x120"}, {`millrace_provider_events_total{provider="stripe", outcome="taken"}`, "0+10x120"},
				}},
				{says: "five", at: 9 * time.Minute, load: []course{
					{`millrace_provider_events_total{provider="stripe", outcome="refused"}`, "0x5 5x120"}, {`millrace_provider_events_total{provider="stripe", outcome="taken"}`, "0x120"},
				}},
			},
		},
		{
			name: "MillraceWebhooksFail", severity: ticket, when: "over 5 % of a provider's events are answered with an error of ours for 10 min", hold: 10 * time.Minute,
			summary: "{{ $value | humanizePercentage }} of the events at {{ $labels.route }} fail.",
			first:   "Answered 503 and never taken: the provider's signing secret is not set for intake. Else see intake's log; the provider sends them again for days.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`sum by (route) (rate(millrace_http_requests_total{route=~"/webhooks/.+", status=~"5.."}[%[1]s]))`+
				` / (sum by (route) (rate(millrace_http_requests_total{route=~"/webhooks/.+"}[%[1]s])) > 0) > 0.05`, p.window(15*time.Minute)),
			fires: []scenario{{
				says: "6 %", at: 10*time.Minute + 15*time.Second, labels: map[string]string{"route": "/webhooks/stripe"}, value: "6%", load: []course{
					{`millrace_http_requests_total{route="/webhooks/stripe", status="200"}`, "0+94x80"},
					{`millrace_http_requests_total{route="/webhooks/stripe", status="503"}`, "0+6x80"},
					{`millrace_http_requests_total{route="/webhooks/resend", status="200"}`, "0+9x80"},
				},
			}},
			rests: []scenario{{says: "5 %, and forged ones", at: 20 * time.Minute, load: []course{
				{`millrace_http_requests_total{route="/webhooks/stripe", status="200"}`, "0+45x80"},
				{`millrace_http_requests_total{route="/webhooks/stripe", status="401"}`, "0+50x80"},
				{`millrace_http_requests_total{route="/webhooks/stripe", status="500"}`, "0+5x80"},
				{`millrace_http_requests_total{route="/v1/jobs", status="500"}`, "0+5x80"},
			}}},
		},
		{
			name: "MillracePaymentsFail", severity: page, when: "under 95 % of the payments that ended in 15 min were captured, of at least 20, for 5 min", hold: 5 * time.Minute,
			summary: "Only {{ $value | humanizePercentage }} of payments are captured.",
			first:   "See the reasons: sum by (reason) (increase(millrace_payments_failed_total[15m])). DECLINED that jumps is fraud or a bank; GATEWAY_ERROR is the way we ask: roll back if a deploy did it.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`payments:millrace_payments_captured:ratio_rate15m < 0.95`+
				` and sum(increase(millrace_payments_captured_total[%[1]s])) + sum(increase(millrace_payments_failed_total[%[1]s])) >= 20`, p.window(15*time.Minute)),
			fires: []scenario{{
				says: "94 %", at: 5*time.Minute + 15*time.Second, value: "94%", load: []course{
					{`millrace_payments_captured_total{instance="a"}`, "0+94x80"},
					{`millrace_payments_failed_total{instance="a", reason="DECLINED"}`, "0+4x80"},
					{`millrace_payments_failed_total{instance="b", reason="GATEWAY_ERROR"}`, "0+2x80"},
				},
			}},
			rests: []scenario{
				{says: "95 %", at: 20 * time.Minute, load: []course{
					{`millrace_payments_captured_total`, "0+95x80"}, {`millrace_payments_failed_total{reason="DECLINED"}`, "0+5x80"},
				}},
				{says: "19 in a quiet night, all declined", at: 14 * time.Minute, load: []course{
					{`millrace_payments_captured_total`, "0x80"}, {`millrace_payments_failed_total{reason="DECLINED"}`, "0x5 19x80"},
				}},
			},
		},
		{
			name: "MillraceMailsFail", severity: ticket, when: "over 5 % of mails were given up within 1 h, more than 5, for 5 min", hold: 5 * time.Minute,
			summary: "{{ $value | humanizePercentage }} of mails are given up.",
			first:   "See the jobs: millrace jobs list --state discarded --kind booking_confirmation_email, and what the provider said in the workers' log.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`mails:millrace_mails_failed:ratio_rate1h > 0.05 and sum(increase(millrace_mails_failed_total[%s])) > 5`,
				p.window(time.Hour)),
			fires: []scenario{{
				says: "6 %", at: 5*time.Minute + 15*time.Second, value: "6%", load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0+94x80"}, {`millrace_mails_failed_total{kind="booking_reminder_email"}`, "0+6x80"},
				},
			}},
			rests: []scenario{
				{says: "5 %", at: 20 * time.Minute, load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0+95x80"}, {`millrace_mails_failed_total{kind="booking_confirmation_email"}`, "0+5x80"},
				}},
				{says: "five, and none sent", at: 18 * time.Minute, load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0x300"}, {`millrace_mails_failed_total{kind="booking_confirmation_email"}`, "0x60 5x300"},
				}},
			},
		},
		{
			name: "MillraceMailsBounce", severity: ticket, when: "over 4 % of the mails of a day bounced, more than 5, or over 0.08 % were called spam, more than 2",
			summary: "{{ $value | humanizePercentage }} of a day's mails {{ $labels.event }}.",
			first:   "Resend stops accounts above 4 % bounced or 0.08 % complained. Find the tenant or form that takes wrong addresses; bounced addresses are suppressed already.",
			board:   "/d/millrace-payments-mails",
			expr: fmt.Sprintf(`(sum by (event) (increase(millrace_mail_events_total{event="bounced"}[%[1]s])) / on () group_left () sum(increase(millrace_mails_sent_total[%[1]s])) > 0.04`+
				` and on (event) sum by (event) (increase(millrace_mail_events_total{event="bounced"}[%[1]s])) > 5)`+
				` or (sum by (event) (increase(millrace_mail_events_total{event="complained"}[%[1]s])) / on () group_left () sum(increase(millrace_mails_sent_total[%[1]s])) > 0.0008`+
				` and on (event) sum by (event) (increase(millrace_mail_events_total{event="complained"}[%[1]s])) > 2)`, p.window(24*time.Hour)),
			fires: []scenario{
				{says: "5 % bounce", at: 30 * time.Second, labels: map[string]string{"event": "bounced"}, value: "5%", load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0+100x80"},
					{`millrace_mail_events_total{event="bounced"}`, "0+5x80"},
					{`millrace_mail_events_total{event="complained"}`, "0x80"},
					{`millrace_mail_events_total{event="delivered"}`, "0+95x80"},
				}},
				{says: "0.1 % complain", at: 45 * time.Second, labels: map[string]string{"event": "complained"}, value: "0.1%", load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0+1000x80"}, {`millrace_mail_events_total{event="complained"}`, "0+1x80"},
				}},
			},
			rests: []scenario{
				{says: "4 % bounce, 0.08 % complain", at: 20 * time.Minute, load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0+5000x80"},
					{`millrace_mail_events_total{event="bounced"}`, "0+200x80"},
					{`millrace_mail_events_total{event="complained"}`, "0+4x80"},
				}},
				{says: "a few of few", at: 20 * time.Minute, load: []course{
					{`millrace_mails_sent_total{kind="booking_confirmation_email"}`, "0x10 8x300"},
					{`millrace_mail_events_total{event="bounced"}`, "0x10 4x300"},
					{`millrace_mail_events_total{event="complained"}`, "0x10 2x300"},
				}},
			},
		},
	}
}

func platformAlerts(p pace) []alert {
	return []alert{
		{
			name: "MillraceRollupBehind", severity: ticket, when: "metric points wait over 10 min to be folded, for 5 min", hold: 5 * time.Minute,
			summary: "Metric points have been waiting for {{ $value | humanizeDuration }} to be folded.",
			first:   "Is the queue rollups worked and not paused (millrace queues list)? Queries are right all the same, and slower.",
			board:   "/d/millrace-queue?var-queue=rollups",
			expr:    fmt.Sprintf(`max(millrace_rollup_watermark_age_seconds) > %s`, p.limit(10*time.Minute)),
			fires: []scenario{{
				says: "601 s, over a change of leader", at: 5 * time.Minute, value: "10m 1s", load: []course{
					{`millrace_rollup_watermark_age_seconds{instance="a"}`, "601x10 stale"}, {`millrace_rollup_watermark_age_seconds{instance="b"}`, "_x8 601x60"},
				},
			}},
			rests: []scenario{{says: "600 s", at: 20 * time.Minute, load: []course{{`millrace_rollup_watermark_age_seconds`, "600x80"}}}},
		},
		{
			name: "MillraceAuditSealingBehind", severity: ticket, when: "an entry of the audit log waits over 60 s to be sealed, for 5 min", hold: 5 * time.Minute,
			summary: "Entries of the audit log have been waiting for {{ $value | humanizeDuration }} to be sealed.",
			first:   "Is the queue audit worked and not paused (millrace queues list)? Until they are sealed, who owns the database could change entries unseen.",
			board:   "/d/millrace-queue?var-queue=audit",
			expr:    fmt.Sprintf(`max(millrace_audit_pending_age_seconds) > %s`, p.limit(time.Minute)),
			fires: []scenario{{
				says: "61 s", at: 5 * time.Minute, value: "1m 1s", load: []course{{`millrace_audit_pending_age_seconds{instance="a"}`, "61x80"}},
			}},
			rests: []scenario{{says: "60 s", at: 20 * time.Minute, load: []course{{`millrace_audit_pending_age_seconds`, "60x80"}}}},
		},
	}
}

func databaseAlerts(p pace) []alert {
	return []alert{
		{
			name: "MillracePoolFull", severity: ticket, when: "over 80 % of a process's database connections are in use on average over 5 min, for 5 min", hold: 5 * time.Minute,
			summary: "{{ $value | humanizePercentage }} of the database connections of a process ({{ $labels.pool }}) are in use.",
			first:   "Look for slow statements and locks before anything else: select pid, state, wait_event, query from pg_stat_activity. Then start another process.",
			board:   "/d/millrace-database",
			expr:    `pool:millrace_pool_connections_in_use:ratio_avg5m > 0.8`,
			fires: []scenario{{
				says: "17 of 20, in one of two processes", at: 5 * time.Minute, labels: map[string]string{"pool": "worker"}, value: "85%", load: []course{
					{`millrace_pool_connections_in_use{instance="a", pool="worker"}`, "17x80"},
					{`millrace_pool_connections_limit{instance="a", pool="worker"}`, "20x80"},
					{`millrace_pool_connections_in_use{instance="b", pool="worker"}`, "1x80"},
					{`millrace_pool_connections_limit{instance="b", pool="worker"}`, "20x80"},
					{`millrace_pool_connections_in_use{instance="c", pool="intake"}`, "9x80"},
					{`millrace_pool_connections_limit{instance="c", pool="intake"}`, "20x80"},
				},
			}},
			rests: []scenario{
				{says: "16 of 20", at: 20 * time.Minute, load: []course{
					{`millrace_pool_connections_in_use{instance="a", pool="worker"}`, "16x80"}, {`millrace_pool_connections_limit{instance="a", pool="worker"}`, "20x80"},
				}},
				{says: "a burst", at: 20 * time.Minute, load: []course{
					{`millrace_pool_connections_in_use{instance="a", pool="intake"}`, "0x20 20x16 0x44"}, {`millrace_pool_connections_limit{instance="a", pool="intake"}`, "20x80"},
				}},
			},
		},
		{
			name: "MillraceOldTransaction", severity: ticket, when: "a transaction is open for over 30 min, for 5 min", hold: 5 * time.Minute,
			summary: "A transaction has been open for {{ $value | humanizeDuration }}: nothing that was deleted since can be cleaned up.",
			first:   "Find it: select pid, usename, application_name, state, xact_start, query from pg_stat_activity order by xact_start limit 5. If nobody needs it: select pg_terminate_backend(pid).",
			board:   "/d/millrace-database",
			expr:    fmt.Sprintf(`max(millrace_postgres_oldest_transaction_age_seconds) > %s`, p.limit(30*time.Minute)),
			fires: []scenario{{
				says: "1,801 s", at: 5 * time.Minute, value: "30m 1s", load: []course{{`millrace_postgres_oldest_transaction_age_seconds{instance="a"}`, "1801x80"}},
			}},
			rests: []scenario{{says: "1,800 s", at: 20 * time.Minute, load: []course{{`millrace_postgres_oldest_transaction_age_seconds`, "1800x80"}}}},
		},
		{
			name: "MillraceVacuumHeldBack", severity: ticket, when: "a snapshot that vacuum must respect is over 10 million transactions old for 15 min", hold: 15 * time.Minute,
			summary: "Vacuum is held back by {{ $value | humanize }} transactions.",
			first:   "See who: old transactions (pg_stat_activity.backend_xmin), replication slots (pg_replication_slots.xmin, catalog_xmin), prepared transactions (pg_prepared_xacts).",
			board:   "/d/millrace-database",
			expr:    `max(millrace_postgres_oldest_xmin_age_transactions) > 10e6`,
			fires: []scenario{{
				says: "11 million", at: 15 * time.Minute, value: "11M", load: []course{{`millrace_postgres_oldest_xmin_age_transactions{instance="a"}`, "11000000x80"}},
			}},
			rests: []scenario{{says: "10 million", at: 20 * time.Minute, load: []course{{`millrace_postgres_oldest_xmin_age_transactions`, "10000000x80"}}}},
		},
		{
			name: "MillraceDeadTuples", severity: ticket, when: "a hot table has over 100,000 dead rows and more dead than live ones for 1 h", hold: time.Hour,
			summary: "{{ $labels.table }} has {{ $value | humanize }} dead rows, more than live ones: taking jobs gets slower.",
			first:   "Is vacuum held back (MillraceVacuumHeldBack, MillraceOldTransaction)? If not, run: vacuum (verbose, analyze) {{ $labels.table }}",
			board:   "/d/millrace-database",
			expr:    `max by (table) (millrace_postgres_dead_tuples) > 100000 and on (table) max by (table) (millrace_postgres_dead_tuples) > on (table) max by (table) (millrace_postgres_live_tuples)`,
			fires: []scenario{{
				says: "200,000 dead, 199,999 live", at: time.Hour, labels: map[string]string{"table": "river_job"}, value: "200k", load: []course{
					{`millrace_postgres_dead_tuples{instance="a", table="river_job"}`, "200000x300"},
					{`millrace_postgres_live_tuples{instance="a", table="river_job"}`, "199999x300"},
					{`millrace_postgres_dead_tuples{instance="a", table="submissions"}`, "200000x300"},
					{`millrace_postgres_live_tuples{instance="a", table="submissions"}`, "200000x300"},
				},
			}},
			rests: []scenario{{says: "100,000 dead, few live", at: 74 * time.Minute, load: []course{
				{`millrace_postgres_dead_tuples{instance="a", table="river_job"}`, "100000x300"}, {`millrace_postgres_live_tuples{instance="a", table="river_job"}`, "10x300"},
			}}},
		},
		{
			name: "MillraceClockSkew", severity: ticket, when: "a worker process's clock differs from the database's by over 5 s for 2 min", hold: 2 * time.Minute,
			summary: "The clock of {{ $labels.instance }} differs from the database's by {{ $value | humanizeDuration }}.",
			first:   "Mend the time service (chrony, NTP) of the machine that is wrong. Above 15 s healthy jobs are taken from their workers: stop that process first.",
			board:   "/d/millrace-workers",
			expr:    fmt.Sprintf(`max by (instance) (abs(millrace_database_clock_skew_seconds)) > %s`, p.limit(5*time.Second)),
			fires: []scenario{{
				says: "6 s slow", at: 2 * time.Minute, labels: map[string]string{"instance": "a"}, value: "6s", load: []course{
					{`millrace_database_clock_skew_seconds{instance="a"}`, "-6x80"}, {`millrace_database_clock_skew_seconds{instance="b"}`, "0.01x80"},
				},
			}},
			rests: []scenario{{says: "5 s fast", at: 20 * time.Minute, load: []course{{`millrace_database_clock_skew_seconds{instance="a"}`, "5x80"}}}},
		},
	}
}

func processAlerts(p pace) []alert {
	return []alert{
		{
			name: "MillraceTargetDown", severity: ticket, when: "a process that was scraped within the last day is not for 5 min, and is still to be", hold: 5 * time.Minute,
			summary: "{{ $labels.instance }} does not answer Prometheus.",
			first:   "See whether the process runs and why it ended. If it is gone on purpose, take it out of Prometheus's targets.",
			board:   "/d/millrace-workers",
			expr:    fmt.Sprintf(`up == 0 and on (instance) last_over_time(millrace_build_info[%s])`, p.window(24*time.Hour)),
			fires: []scenario{{
				says: "it goes, and other programs' targets are down too", at: 10*time.Minute + 15*time.Second, labels: map[string]string{"instance": "a"}, load: []course{
					{`up{instance="a"}`, "1x20 0x80"}, {`millrace_build_info{instance="a", version="1"}`, "1x20 stale"}, {`up{instance="other"}`, "0x80"},
				},
			}},
			rests: []scenario{{says: "a restart", at: 20 * time.Minute, load: []course{
				{`up{instance="a"}`, "1x20 0x17 1x80"}, {`millrace_build_info{instance="a", version="1"}`, "1x20 stale _x16 1x80"},
			}}},
		},
		{
			name: "MillraceCrashLoop", severity: ticket, when: "a process started anew more than 3 times within 30 min",
			summary: "{{ $labels.instance }} was started anew {{ $value }} times within half an hour.",
			first:   "Read the last lines of its log before each start. Out of memory leaves none: see the machine's.",
			board:   "/d/millrace-workers",
			expr: fmt.Sprintf(`max by (instance) (changes(process_start_time_seconds[%[1]s])) > 3 and on (instance) last_over_time(millrace_build_info[%[1]s])`,
				p.window(30*time.Minute)),
			fires: []scenario{{
				says: "four times", at: 4*time.Minute + 45*time.Second, labels: map[string]string{"instance": "a"}, value: "4", load: []course{
					{`process_start_time_seconds{instance="a"}`, "0x4 60x4 120x4 180x3 240x80"},
					{`millrace_build_info{instance="a", version="1"}`, "1x100"},
					{`process_start_time_seconds{instance="other"}`, "0+15x80"},
				},
			}},
			rests: []scenario{{says: "three times", at: 20 * time.Minute, load: []course{
				{`process_start_time_seconds{instance="a"}`, "0x4 60x4 120x4 180x80"}, {`millrace_build_info{instance="a", version="1"}`, "1x100"},
			}}},
		},
	}
}

package main

// paymentsBoard is what Millrace does with other companies: money and mail.
func paymentsBoard() board {
	return board{
		uid:   paymentsUID,
		title: "Millrace: payments and mails",
		description: "Does money move, do mails arrive, and do the providers answer? " +
			"Every panel's description says what to do.",
		rows: []row{
			{"Now", moneyTiles()},
			{"Payments", paymentPanels()},
			{"Mails", mailPanels()},
			{"Providers", providerPanels()},
		},
	}
}

// paid is the part of the payments that ended which were captured; absent when none ended.
func paid(over string) string {
	captured := rate("", "millrace_payments_captured_total", over)
	return captured + " / (" + captured + " + " + rate("", "millrace_payments_failed_total", over) + " > 0)"
}

// ofMailsSent is how many events of a kind came for each mail that was sent;
// absent when none was.
func ofMailsSent(event, over string) string {
	return rate("", `millrace_mail_events_total{event="`+event+`"}`, over) + " / (" + rate("", "millrace_mails_sent_total", over) + " > 0)"
}

// What Resend asks of its accounts (its "account quotas and limits"): bounces
// below 4 % and complaints below 0.08 %, or it stops sending.
const (
	mostBounces    = 0.04
	mostComplaints = 0.0008
)

func moneyTiles() []panel {
	return []panel{
		{
			title: "Payments that succeed",
			description: "Of the payments that ended in the time shown, the part that was captured. Declines of cards are in it, so it is never 100 % for long. " +
				"Below 95 %: \"Failed by reason\" says whether customers are declined (an attack with stolen cards, perhaps) or the gateway fails.",
			view: number, unit: ratio, width: 4, height: 4, none: "none ended",
			queries: []query{{"captured", paid("$__range")}},
			below:   red, steps: []step{{0.95, green}},
		},
		{
			title: "Captured",
			description: "Payments captured or charged in the time shown. Compare with the same hour of other days. " +
				"None while payments arrive: see the failures, and whether the queue is paused.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"captured", grown("", "millrace_payments_captured_total", "$__range")}}, leads: []link{{to: kindUID}},
		},
		{
			title: "Mails sent",
			description: "Mails that the provider accepted in the time shown. Compare with the same hour of other days. " +
				"None while bookings arrive: see \"Provider calls\" and whether the queue is paused.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"sent", grown("", "millrace_mails_sent_total", "$__range")}},
		},
		{
			title: "Mails given up",
			description: "Mails that will not be sent, in the time shown: the provider refused them for good, or every attempt failed. It should be 0. " +
				"The workers' log says why: an address that does not exist is the client's, a sender that is not verified is ours.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"given up", grown("", "millrace_mails_failed_total", "$__range")}}, steps: []step{{1, orange}},
		},
		{
			title: "Mails that bounce",
			description: "Of the mails sent in the time shown, the part that bounced, as the provider's events say. Resend stops accounts that stay above 4 %. " +
				"If it grows: an app sends addresses that nobody checked; ask it to.",
			view: number, unit: ratio, width: 4, height: 4, none: "none sent",
			queries: []query{{"bounced", ofMailsSent("bounced", "$__range")}}, steps: []step{{mostBounces / 2, yellow}, {mostBounces, red}},
		},
		{
			title: "Providers left alone",
			description: "Providers that a worker leaves alone because they do not answer. Their jobs wait without spending attempts, say so in their why, and go on by themselves. " +
				"Above 0 for long: see the provider's status page, and whether the workers can reach it.",
			view: number, unit: count, width: 4, height: 4,
			queries: []query{{"left alone", "sum(" + latest("provider", "millrace_provider_open") + ") or vector(0)"}}, steps: []step{{1, red}},
		},
	}
}

func paymentPanels() []panel {
	return []panel{
		{
			title: "Captured and failed",
			description: "Payments a minute that were captured, and that failed for good. " +
				"Captured that falls while failed rises: see the reasons beside. Both that fall: fewer arrive, or the queue does not flow; see the overview.",
			view: lines, unit: perMinute, width: 8, height: 8,
			queries: []query{
				{"captured", minutely("", "millrace_payments_captured_total", window)},
				{"failed", minutely("", "millrace_payments_failed_total", window)},
			},
			looks: []look{{series: "/^captured$/", color: green}, {series: "/^failed$/", color: red}},
		},
		{
			title: "Failed by reason",
			description: "Payments a minute that failed for good. DECLINED and INSUFFICIENT_FUNDS are between the customer and the bank; ACTION_REQUIRED wants the customer at the screen; INVALID_AMOUNT is an app's mistake. " +
				"GATEWAY_ERROR is the gateway's or ours: see the provider's status page and the workers' log. DECLINED that jumps: somebody tries stolen cards; lower the rate limit.",
			view: bars, unit: perMinute, width: 8, height: 8,
			queries: []query{{"{{reason}}", minutely("reason", "millrace_payments_failed_total", window)}},
			looks:   []look{{series: "/^GATEWAY_ERROR$/", color: red}, {series: "/^INVALID_AMOUNT$/", color: purple}},
		},
		{
			title: "Payments that succeed",
			description: "Of the payments that ended, the part that was captured; a gap where none ended. " +
				"A step down with a deploy (the blue marks): roll back. One that comes slowly: compare the reasons with those of other days.",
			view: lines, unit: ratio, width: 8, height: 8, most: 1,
			queries: []query{{"captured", paid(window)}}, below: red, steps: []step{{0.95, green}}, looks: []look{{series: "/^captured$/", color: green}},
		},
	}
}

func mailPanels() []panel {
	return []panel{
		{
			title: "Sent by kind",
			description: "Mails a minute that the provider accepted, by kind. They follow bookings. " +
				"A kind that falls to nothing while its jobs arrive: see \"Provider calls\". Click on a line for the kind.",
			view: lines, unit: perMinute, width: 6, height: 8,
			queries: []query{{"{{kind}}", minutely("kind", "millrace_mails_sent_total", window)}}, leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "Given up by kind",
			description: "Mails a minute that will not be sent. It should be 0. " +
				"The workers' log says why: an address that does not exist is the client's, a sender that is not verified is ours.",
			view: bars, unit: perMinute, width: 6, height: 8,
			queries: []query{{"{{kind}}", minutely("kind", "millrace_mails_failed_total", window)}}, leads: []link{{to: kindUID, variable: "kind"}},
		},
		{
			title: "What became of them",
			description: "What the provider's events say of mails, a minute: delivered, bounced, complained and so on. Delivered follows sent within a minute. " +
				"Sent without delivered: the provider does not know our address for events, or holds mails back; see its dashboard.",
			view: lines, unit: perMinute, width: 6, height: 8,
			queries: []query{{"{{event}}", minutely("event", "millrace_mail_events_total", window)}},
			looks:   []look{{series: "/^delivered$/", color: green}, {series: "/^bounced$/", color: orange}, {series: "/^complained$/", color: red}},
		},
		{
			title: "Bounces and complaints",
			description: "Of the mails sent in the last hour, the part that bounced, and that somebody called spam. Resend stops accounts that stay above 4 % and 0.08 %. " +
				"Bounces: an app sends addresses that nobody checked. Complaints: people get mails that they did not ask for.",
			view: lines, unit: ratio, width: 6, height: 8,
			queries: []query{{"bounced", ofMailsSent("bounced", "1h")}, {"complained", ofMailsSent("complained", "1h")}},
			steps:   []step{{mostComplaints, yellow}, {mostBounces, red}}, looks: []look{{series: "/^bounced$/", color: orange}, {series: "/^complained$/", color: red}},
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
			queries: []query{{"{{provider}} {{outcome}}", rate("provider, outcome", "millrace_provider_calls_total", window)}},
			looks:   []look{{series: "/ down$/", color: red}, {series: "/ open$/", color: orange}, {series: "/ ok$/", color: green}},
		},
		{
			title: "Time a provider takes",
			description: "From a call to its answer, retries of the provider's SDK included. It is most of a job's run time. " +
				"Near the job's timeout, attempts are cut off: see the provider's status page.",
			view: lines, unit: seconds, width: 6, height: 8,
			queries: quantiles("provider", "{{provider}}", "millrace_provider_call_seconds_bucket"), looks: medianDashed(),
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
			queries: []query{{"{{provider}} {{outcome}}", minutely("provider, outcome", "millrace_provider_events_total", window)}},
			looks:   []look{{series: "/ refused$/", color: red}},
		},
	}
}

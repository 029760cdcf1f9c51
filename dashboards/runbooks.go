package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"millrace/jobs"
)

// runbookIndex returns the list of alerts with their runbooks.
func runbookIndex(kinds []*jobs.Kind) []byte {
	var text bytes.Buffer
	fmt.Fprint(&text, `# Runbooks

One for each alert of [rules/](../rules): what it means, how to look, how to mend, how to know that it is mended, and what makes it come back.
What each kind of job does, and whom it calls, is in [kinds.md](kinds.md). This list is generated; the runbooks are written by hand.

`+"`page`"+` wakes somebody: clients feel it, or nobody would see it if they did. `+"`ticket`"+` is for working hours.

| alert | severity | fires when |
|---|---|---|
`)
	listed := map[string]bool{}
	for _, topic := range topics(realTime(), kinds) {
		for _, a := range topic.alerts {
			if listed[a.name] {
				continue
			}
			listed[a.name] = true
			fmt.Fprintf(&text, "| [%s](%[1]s.md) | %s | %s |\n", a.name, severities(kinds, a.name), a.when)
		}
	}
	return text.Bytes()
}

// severities says which severities the rows of an alert have.
func severities(kinds []*jobs.Kind, name string) string {
	var found []string
	for _, one := range []severity{page, ticket} {
		for _, topic := range topics(realTime(), kinds) {
			for _, a := range topic.alerts {
				if a.name == name && a.severity == one {
					found = append(found, string(one))
					break
				}
			}
		}
	}
	switch len(found) {
	case 2:
		return "page for kinds that clients submit, ticket for the others"
	default:
		return strings.Join(found, "")
	}
}

// runbookKinds returns what runbooks need to know of each kind.
func runbookKinds(kinds []*jobs.Kind) []byte {
	var text bytes.Buffer
	fmt.Fprint(&text, `# The kinds of jobs

What each kind does and how it is run, for whoever has an alert that names it. Generated from the catalogue (jobs/catalog.go).

| kind | queue | done within | attempts | an attempt at most | given up after |
|---|---|---|---|---|---|
`)
	for _, kind := range kinds {
		policy := kind.Policy
		fmt.Fprintf(&text, "| [%s](#%[1]s) | %s | %s | %d | %s | %s |\n",
			kind.Name, kind.Queue, spoken(policy.Target), policy.MaxAttempts, spoken(policy.Timeout), spoken(policy.Horizon()))
	}
	for _, kind := range kinds {
		fmt.Fprintf(&text, "\n## %s\n\n%s\n\n", kind.Name, kind.Summary)
		who := "The platform enqueues it"
		switch {
		case kind.Public && kind.Resource != "":
			who = "Clients submit it, and a " + kind.Resource + " is stored with it"
		case kind.Public:
			who = "Clients submit it"
		}
		if kind.Every > 0 {
			who += "; the leader enqueues one every " + spoken(kind.Every)
		}
		fmt.Fprintf(&text, `%s. It shares the queue `+"`%s`"+` with %s: a worker process runs %d jobs of that queue at once unless QUEUES says otherwise.
99 of 100 should be done within %s of being accepted, or of the time that they are scheduled for. A failed attempt is followed by the next after %s, then twice as long each time up to %s;
an attempt is stopped after %s, and after %d attempts (about %s) the job is discarded.

`, who, kind.Queue, neighbours(kinds, kind), kind.Slots, spoken(kind.Policy.Target), spoken(kind.Policy.FirstRetry), spoken(kind.Policy.MaxRetry),
			spoken(kind.Policy.Timeout), kind.Policy.MaxAttempts, spoken(kind.Policy.Horizon()))
		fmt.Fprintf(&text, "Dashboard: `/d/millrace-kind?var-kind=%s`. Its jobs: `millrace jobs list --kind %[1]s`, those given up: `millrace jobs list --kind %[1]s --state discarded`. The part that is late:\n\n"+
			"```promql\nkind:millrace_jobs_late:ratio_rate1h{kind=\"%[1]s\"}\n```\n\n"+
			"Does it wait, or does it run for long?\n\n"+
			"```promql\nhistogram_quantile(0.99, sum by (le) (rate(millrace_job_wait_seconds_bucket{kind=\"%[1]s\"}[5m])))\n"+
			"histogram_quantile(0.99, sum by (le) (rate(millrace_job_run_seconds_bucket{kind=\"%[1]s\"}[5m])))\n```\n", kind.Name)
	}
	return text.Bytes()
}

// neighbours names the other kinds of a kind's queue.
func neighbours(kinds []*jobs.Kind, kind *jobs.Kind) string {
	var names []string
	for _, other := range kinds {
		if other.Queue == kind.Queue && other.Name != kind.Name {
			names = append(names, other.Name)
		}
	}
	if names == nil {
		return "no other kind"
	}
	return strings.Join(names, ", ")
}

// spoken writes a time for people, in whole units of its size.
func spoken(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}} {
		if d >= 2*unit.long || d == unit.long {
			return fmt.Sprintf("%d %s", (d+unit.long/2)/unit.long, unit.name)
		}
	}
	return decimal(d.Seconds()) + " s"
}

package jobs

import (
	"time"

	"millrace/internal/rollup"
)

// MetricRollupArgs is what a metric_rollup job carries: the range that a client
// wants computed anew, or nothing, to fold what is pending.
type MetricRollupArgs struct {
	// Tenant is whose points a job of the platform's own folds. It is here since
	// River's unique keys are of the arguments; what a job may touch follows from its
	// metadata. Empty in a client's job.
	Tenant string        `json:"tenant_id,omitzero"`
	Range  *rollup.Range `json:"range,omitzero"`
}

// Kind implements river.JobArgs.
func (MetricRollupArgs) Kind() string { return "metric_rollup" }

func metricRollup(do work[MetricRollupArgs]) *Kind {
	return converted(Kind{
		Name:    MetricRollupArgs{}.Kind(),
		Queue:   rollups,
		Slots:   rollupSlots,
		Summary: "Folds metric points into buckets of minutes, hours and days; for clients, computes those of a range of time anew from the points.",
		Public:  true,
		Policy:  rollupPolicy(),
		Sample: rollup.Range{
			From: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, time.January, 2, 0, 0, 0, 0, time.UTC),
		},
	}, func(in rollup.Range) MetricRollupArgs { return MetricRollupArgs{Range: &in} }, do)
}

// What the kinds that fold metrics share.
const (
	rollups     = "rollups"
	rollupSlots = 4
)

func rollupPolicy() Policy {
	return Policy{
		MaxAttempts: 25, // what fails is our database or our code
		Timeout:     30 * time.Second,
		FirstRetry:  2 * time.Second,
		MaxRetry:    10 * time.Minute,
		Target:      time.Minute,
	}
}

package jobs

import "time"

// MetricRollupSchedulingArgs is what a metric_rollup_scheduling job carries:
// nothing.
type MetricRollupSchedulingArgs struct{}

// Kind implements river.JobArgs.
func (MetricRollupSchedulingArgs) Kind() string { return "metric_rollup_scheduling" }

// Validate returns the arguments: none are wrong.
func (a MetricRollupSchedulingArgs) Validate() (MetricRollupSchedulingArgs, error) { return a, nil }

func metricRollupScheduling(do work[MetricRollupSchedulingArgs]) *Kind {
	return standalone(Kind{
		Name:    MetricRollupSchedulingArgs{}.Kind(),
		Queue:   rollups,
		Slots:   rollupSlots,
		Summary: "Has the points of each tenant that has pending ones folded, by a job of its own.",
		Every:   5 * time.Second,
		Policy:  rollupPolicy(),
		Sample:  MetricRollupSchedulingArgs{},
	}, do)
}

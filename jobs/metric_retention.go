package jobs

import "time"

// MetricRetentionArgs is what a metric_retention job carries: nothing.
type MetricRetentionArgs struct{}

// Kind implements river.JobArgs.
func (MetricRetentionArgs) Kind() string { return "metric_retention" }

// Validate returns the arguments: none are wrong.
func (a MetricRetentionArgs) Validate() (MetricRetentionArgs, error) { return a, nil }

func metricRetention(do work[MetricRetentionArgs]) *Kind {
	return standalone(Kind{
		Name:    MetricRetentionArgs{}.Kind(),
		Queue:   rollups,
		Slots:   rollupSlots,
		Summary: "Makes the partitions of metrics to come, and drops those that are older than anybody keeps them.",
		Every:   time.Hour,
		Policy:  rollupPolicy(),
		Sample:  MetricRetentionArgs{},
	}, do)
}

package intake

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/jobs"
)

type metrics struct {
	batchSize     prometheus.Histogram
	commitSeconds prometheus.Histogram
	enqueuedTotal *prometheus.CounterVec
	refused       prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_intake_batch_submissions", Help: "Submissions that shared one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_intake_commit_seconds", Help: "Time from the start of a batch's transaction to the end of its commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}),
		enqueuedTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_jobs_enqueued_total", Help: "Jobs that intake wrote, by kind and queue.",
		}, []string{"kind", "queue"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_intake_refused_total", Help: "Submissions refused because too many were waiting for the writer.",
		}),
	}
	for _, collector := range []prometheus.Collector{m.batchSize, m.commitSeconds, m.enqueuedTotal, m.refused} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("intake: metrics: %w", err)
		}
	}
	for _, kind := range jobs.Catalog() {
		m.enqueuedTotal.WithLabelValues(kind.Name, kind.Queue) // a rate does not see a first sample
	}
	return m, nil
}

func (m *metrics) committed(submissions int, took time.Duration) {
	m.batchSize.Observe(float64(submissions))
	m.commitSeconds.Observe(took.Seconds())
}

func (m *metrics) enqueued(kind, queue string) { m.enqueuedTotal.WithLabelValues(kind, queue).Inc() }

package workers

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/jobs"
)

// busySeconds exports how long slots were busy. A job that runs counts while it
// does, so that long ones do not come as a leap at their end.
type busySeconds struct {
	desc    *prometheus.Desc
	started time.Time
	kinds   map[string]*busyKind
}

// busyKind is the busy time of one kind's jobs.
type busyKind struct {
	kind, queue string

	mu      sync.Mutex
	running int64
	// sum is the ends of the jobs that ended less the starts of all, in nanoseconds
	// since busySeconds began: with now for each job that runs it is the busy time. It
	// may overflow in between, which cancels out.
	sum int64
}

func newBusySeconds() *busySeconds {
	b := &busySeconds{
		desc: prometheus.NewDesc("millrace_worker_busy_seconds_total",
			"Seconds that slots of this process were busy, those of jobs that still run included.", []string{"kind", "queue"}, nil),
		started: time.Now(),
		kinds:   map[string]*busyKind{},
	}
	for _, kind := range jobs.Catalog() {
		b.kinds[kind.Name] = &busyKind{kind: kind.Name, queue: kind.Queue}
	}
	return b
}

// begin says that a job of the kind runs until end is called.
func (b *busySeconds) begin(kind string) { b.kinds[kind].change(1, b) }

func (b *busySeconds) end(kind string) { b.kinds[kind].change(-1, b) }

func (k *busyKind) change(running int64, b *busySeconds) {
	if k == nil {
		return // a kind that this program does not know
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running += running
	k.sum -= running * b.now()
}

func (b *busySeconds) now() int64 { return int64(time.Since(b.started)) }

// Describe implements prometheus.Collector.
func (b *busySeconds) Describe(descs chan<- *prometheus.Desc) { descs <- b.desc }

// Collect implements prometheus.Collector.
func (b *busySeconds) Collect(metrics chan<- prometheus.Metric) {
	for _, k := range b.kinds {
		k.mu.Lock()
		busy := time.Duration(k.sum + k.running*b.now())
		k.mu.Unlock()
		metrics <- prometheus.MustNewConstMetric(b.desc, prometheus.CounterValue, busy.Seconds(), k.kind, k.queue)
	}
}

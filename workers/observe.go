package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

// observer stands around every attempt: it turns panics and errors into public
// faults before River stores them, applies the retry table, logs and measures.
type observer struct {
	river.MiddlewareDefaults

	logger *slog.Logger
	// host is where the attempts run, for the audit log.
	host     string
	attempts *prometheus.CounterVec
	finished *prometheus.CounterVec
	run      *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
	busy     *prometheus.GaugeVec
	total    *prometheus.HistogramVec
	onTime   *prometheus.CounterVec
	targets  map[string]time.Duration
	slots    *busySeconds
	fetch    *prometheus.HistogramVec
	fetched  *prometheus.CounterVec
}

func newObserver(logger *slog.Logger, registry prometheus.Registerer) (*observer, error) {
	labels := []string{"kind", "queue"}
	host, _ := os.Hostname() // without it, the kind and the request say enough
	o := &observer{
		logger: logger,
		host:   host,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_job_attempts_total",
			Help: "Attempts that ended, by outcome: completed, cancelled, discarded, retried, snoozed, continued, interrupted.",
		}, []string{"kind", "queue", "outcome"}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_jobs_finished_total",
			Help: "Jobs that an attempt ended for good, by outcome: completed, cancelled, discarded.",
		}, []string{"kind", "queue", "outcome"}),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_job_run_seconds", Help: "Time an attempt ran.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 18), // 1 ms to 2 min
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, labels),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_job_wait_seconds", Help: "Time from when a job could run to when an attempt started.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 23), // 1 ms to 70 min
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, labels),
		busy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_worker_slots_busy", Help: "Slots of this process that run a job, by queue.",
		}, []string{"queue"}),
		total: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_job_end_to_end_seconds", Help: "Time from when a job could first run to its end, retries included.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 26), // 1 ms to 9 h
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, labels),
		onTime: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_jobs_on_time_total", Help: "Jobs that ended, completed or cancelled, within their kind's target.",
		}, labels),
		targets: map[string]time.Duration{},
		slots:   newBusySeconds(),
		fetch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_worker_fetch_seconds", Help: "Time of one fetch of jobs from the database.",
			Buckets:                     prometheus.ExponentialBuckets(0.0005, 2, 14), // 0.5 ms to 4 s
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, []string{"queue"}),
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_worker_fetched_jobs_total", Help: "Jobs that were fetched from the database.",
		}, []string{"queue"}),
	}
	target := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "millrace_job_target_seconds", Help: "How long a job of the kind should take from accepted to done, at the 99th percentile.",
	}, labels)
	for _, collector := range []prometheus.Collector{
		o.attempts, o.finished, o.run, o.wait, o.busy, o.total, o.onTime, o.slots, o.fetch, o.fetched, target,
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("workers: metrics: %w", err)
		}
	}
	// Every series is there from the start: a rate does not see a first sample,
	// and the first failure is the one that counts.
	for _, kind := range jobs.Catalog() {
		for _, outcome := range []string{completed, cancelled, discarded, retried, snoozed, continued, interrupted} {
			o.attempts.WithLabelValues(kind.Name, kind.Queue, outcome)
			if final(outcome) {
				o.finished.WithLabelValues(kind.Name, kind.Queue, outcome)
			}
		}
		o.run.WithLabelValues(kind.Name, kind.Queue)
		o.wait.WithLabelValues(kind.Name, kind.Queue)
		o.busy.WithLabelValues(kind.Queue)
		o.total.WithLabelValues(kind.Name, kind.Queue)
		o.onTime.WithLabelValues(kind.Name, kind.Queue)
		o.targets[kind.Name] = kind.Policy.Target
		target.WithLabelValues(kind.Name, kind.Queue).Set(kind.Policy.Target.Seconds())
		o.fetch.WithLabelValues(kind.Queue)
		o.fetched.WithLabelValues(kind.Queue)
	}
	return o, nil
}

// The outcomes of an attempt, as metrics and logs name them.
const (
	completed   = "completed"
	cancelled   = "cancelled"
	discarded   = "discarded"
	retried     = "retried"
	snoozed     = "snoozed"
	continued   = "continued"
	interrupted = "interrupted"
)

// final reports whether the outcome ends the job.
func final(outcome string) bool {
	return outcome == completed || outcome == cancelled || outcome == discarded
}

// Work implements rivertype.WorkerMiddleware.
func (o *observer) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	started := time.Now()
	if job.AttemptedAt != nil {
		o.wait.WithLabelValues(job.Kind, job.Queue).Observe(max(0, started.Sub(runnable(job))).Seconds())
	}
	busy := o.busy.WithLabelValues(job.Queue)
	busy.Inc()
	defer busy.Dec()
	o.slots.begin(job.Kind)
	defer o.slots.end(job.Kind)

	ctx = telemetry.About(ctx, attempt{job})
	err := recovered(o.act(ctx, job), work)

	took := time.Since(started)
	o.run.WithLabelValues(job.Kind, job.Queue).Observe(took.Seconds())
	outcome, err := end(job, err)
	if outcome == snoozed {
		// Nothing else of a snoozed attempt is kept, and the client asks why.
		if recordErr := river.RecordOutput(ctx, json.RawMessage(fault.From(err).Error())); recordErr != nil {
			o.logger.ErrorContext(ctx, "workers: the reason for a wait could not be recorded", slog.Any("error", recordErr))
		}
	}
	o.attempts.WithLabelValues(job.Kind, job.Queue, outcome).Inc()
	if final(outcome) {
		o.finish(job, outcome)
	}
	traceOutcome(ctx, outcome, err)
	o.log(ctx, job, outcome, took, err)
	return err
}

// finish measures the whole of a job that an attempt has ended.
func (o *observer) finish(job *rivertype.JobRow, outcome string) {
	o.finished.WithLabelValues(job.Kind, job.Queue, outcome).Inc()
	took := max(0, time.Since(firstRunnable(job)))
	o.total.WithLabelValues(job.Kind, job.Queue).Observe(took.Seconds())
	if target, ok := o.targets[job.Kind]; ok && took <= target && outcome != discarded {
		o.onTime.WithLabelValues(job.Kind, job.Queue).Inc()
	}
}

// IsHook implements rivertype.Hook.
func (*observer) IsHook() bool { return true }

// MetricEmit implements rivertype.HookMetricEmit.
func (o *observer) MetricEmit(_ context.Context, params *rivertype.HookMetricEmitParams) {
	switch m := params.Metric.(type) {
	case *rivertype.JobGetAvailableDurationMetric:
		o.fetch.WithLabelValues(m.Queue).Observe(m.Duration.Seconds())
	case *rivertype.JobGetAvailableCountMetric:
		o.fetched.WithLabelValues(m.Queue).Add(float64(m.Count))
	}
}

// act makes the job the actor of what its attempt changes.
func (o *observer) act(ctx context.Context, job *rivertype.JobRow) context.Context {
	actor := postgres.Actor{Name: "job:" + job.Kind, Source: o.host}
	if metadata, err := jobs.MetadataOf(job); err == nil {
		actor.RequestID = metadata.RequestID
	}
	return postgres.WithActor(ctx, actor)
}

// runnable is since when the job could run. One that a deadline orders has an
// older time in River than its own.
func runnable(job *rivertype.JobRow) time.Time {
	if job.CreatedAt.After(job.ScheduledAt) {
		return job.CreatedAt
	}
	return job.ScheduledAt
}

// firstRunnable is since when the job could run for the first time. What it waited
// for its customer is not ours: when the attempt before was put off for that, the
// time begins anew.
func firstRunnable(job *rivertype.JobRow) time.Time {
	if len(job.AttemptedBy) <= 1 || waitedForCustomer(job) {
		return runnable(job)
	}
	first := job.CreatedAt
	if metadata, err := jobs.MetadataOf(job); err == nil && metadata.ScheduledAt.After(first) {
		first = metadata.ScheduledAt
	}
	if at := runnable(job); at.Before(first) {
		return at // it was called up early
	}
	return first
}

// waitedForCustomer reports whether the job was last put off because its payment had
// to be authenticated; see Work.
func waitedForCustomer(job *rivertype.JobRow) bool {
	f, ok := fault.Parse(string(job.Output()))
	return ok && f.Code == fault.PaymentFailed
}

// end turns an attempt's error into what River is told, and names the outcome.
func end(job *rivertype.JobRow, err error) (outcome string, told error) {
	if err == nil {
		return completed, nil
	}
	if errors.Is(err, errUnfinished) {
		return continued, river.JobSnooze(0)
	}
	if errors.Is(err, context.Canceled) {
		// Stopping, or cancelled from outside: River knows which, from the context's cause.
		return interrupted, fault.From(err)
	}
	f := fault.From(err)
	switch decide(f) {
	case cancel:
		return cancelled, f
	case snooze:
		return snoozed, errors.Join(river.JobSnooze(f.RetryAfter), f)
	case retry:
		if job.Attempt >= job.MaxAttempts {
			return discarded, f
		}
		return retried, f
	default:
		return retried, f
	}
}

func recovered(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fault.New(fault.Unknown, "The worker failed unexpectedly; the job will be tried again.").
				Because(telemetry.Recovered(value))
		}
	}()
	return work(ctx)
}

// attempt is what the log lines of a job's attempt are about.
type attempt struct{ *rivertype.JobRow }

// LogAttrs implements telemetry.Subject.
func (a attempt) LogAttrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.Int64("jobId", a.ID), slog.String("kind", a.Kind), slog.String("queue", a.Queue), slog.Int("attempt", a.Attempt),
	}
	if metadata, err := jobs.MetadataOf(a.JobRow); err == nil && metadata.TenantID != "" {
		attrs = append(attrs, slog.String("tenantId", metadata.TenantID), slog.String("requestId", metadata.RequestID))
	}
	return attrs
}

// log says how an attempt ended. Errors are what a person should look at.
func (o *observer) log(ctx context.Context, job *rivertype.JobRow, outcome string, took time.Duration, err error) {
	level := slog.LevelInfo
	if metadata, metadataErr := jobs.MetadataOf(job); outcome == completed && (metadataErr != nil || metadata.TenantID == "") {
		level = slog.LevelDebug // the platform's own, by the minute
	}
	attrs := []slog.Attr{slog.String("outcome", outcome), slog.Float64("seconds", took.Seconds())}
	if err != nil && outcome != continued {
		f := fault.From(err)
		attrs = append(attrs, slog.Any("error", f))
		switch {
		case outcome == interrupted:
		case f.Code.Unexpected(), outcome == discarded:
			level = slog.LevelError
		case outcome != snoozed || f.Code != fault.PaymentFailed:
			level = slog.LevelWarn
		}
	}
	o.logger.LogAttrs(ctx, level, "job attempt ended", attrs...)
}

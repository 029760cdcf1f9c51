package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"millrace/internal/capacity"
	"millrace/internal/capacity/observe"
	"millrace/internal/program/workerpool"
	"millrace/jobs"
	"millrace/workers"
)

const (
	// minWorkers leaves one to lead and to work while another starts or dies.
	minWorkers = 2
	// maxWorkers is where to stop and think: see what it means in connections.
	maxWorkers = 10
	// killMargin is how much longer than the stop timeout a worker may take: 5 s to
	// record what a provider did, the completions that are still held, and the pool.
	// One that is killed costs each of its jobs the time until it is rescued.
	killMargin = 25 * time.Second
)

// autoscaling returns Kubernetes manifests: the workers, and two ways to scale them.
func autoscaling() ([]file, error) {
	values := newScaling()
	var all []file
	for _, manifest := range []struct{ name, text string }{
		{"deployment.yaml", deploymentManifest},
		{"keda-scaledobject.yaml", kedaManifest},
		{"hpa.yaml", hpaManifest},
		{"prometheus-adapter-values.yaml", adapterManifest},
	} {
		parsed, err := template.New(manifest.name).Funcs(template.FuncMap{"behavior": behavior}).Parse(manifest.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", manifest.name, err)
		}
		var text bytes.Buffer
		if err := parsed.Execute(&text, values); err != nil {
			return nil, fmt.Errorf("%s: %w", manifest.name, err)
		}
		all = append(all, file{filepath.Join("autoscaling", manifest.name), text.Bytes()})
	}
	return all, nil
}

// behavior is how fast an HPA, or KEDA's, follows, so many spaces further in.
func behavior(indent int) string {
	margin := strings.Repeat(" ", indent)
	return margin + strings.ReplaceAll(scalingBehavior, "\n", "\n"+margin)
}

// scaling is what the manifests are made of.
type scaling struct {
	Queues      []scaledQueue
	Min, Max    int
	Connections int
	// Grace is terminationGracePeriodSeconds.
	Grace int
	// Utilisation is how busy the slots may be, and Percent the same for people.
	Utilisation float64
	Percent     int
	Stop        time.Duration
}

// scaledQueue is what one queue scales by.
type scaledQueue struct {
	Name string
	// Load is the query of what the queue needs, in workers.
	Load string
	// Age is the query of the oldest job's wait, and Target how long it may be.
	Age    string
	Target string
}

func newScaling() scaling {
	goal := capacity.DefaultGoal()
	s := scaling{
		Min: minWorkers, Max: maxWorkers, Connections: maxWorkers * workerpool.MaxConns,
		Grace:       int((workers.DefaultStopTimeout + killMargin).Seconds()),
		Utilisation: goal.Utilisation, Percent: int(goal.Utilisation * 100),
		Stop: workers.DefaultStopTimeout,
	}
	for _, queue := range backlogs(jobs.Catalog()) {
		s.Queues = append(s.Queues, scaledQueue{
			Name: queue.name,
			Load: loadQuery(queue.name),
			Age:  ageQuery(queue.name), Target: decimal(queue.target.Seconds()),
		})
	}
	return s
}

// loadQuery is the slots that a queue needs, those that were busy and those that
// work off what waits within capacity.Goal's time, over those of one worker. Without
// a worker or without a leader it has no value rather than 0: nobody knows, so
// nothing may be taken away.
func loadQuery(queue string) string {
	return fmt.Sprintf(`(sum(rate(millrace_worker_busy_seconds_total{queue=%[1]q}[2m]))`+
		` + max(millrace_queue_jobs{queue=%[1]q, state="available"})`+
		` * sum(rate(millrace_job_run_seconds_sum{queue=%[1]q}[5m]))`+
		` / clamp_min(sum(rate(millrace_job_run_seconds_count{queue=%[1]q}[5m])), 0.001)`+
		` / %[2]g) / max(millrace_worker_slots{queue=%[1]q})`, queue, capacity.DefaultGoal().Drain.Seconds()) + belowLimit(queue)
}

// ageQuery is how long the oldest job of a queue has waited, and 0 while no attempt
// ends: then it is not for want of workers that it waits. That slots are busy is not
// asked for: those of jobs that are shorter than fetching one are not. It has no value
// without a worker or without a leader either.
func ageQuery(queue string) string {
	return fmt.Sprintf(`max(millrace_queue_oldest_available_age_seconds{queue=%[1]q})`+
		` * (sum(rate(millrace_job_run_seconds_count{queue=%[1]q}[2m])) > bool 0)`, queue) + belowLimit(queue)
}

// belowLimit makes a query 0 while a vendor's limit holds the queue up: more
// workers would wait for it too.
func belowLimit(queue string) string {
	for _, vendor := range observe.Vendors() {
		if vendor.Queue == queue {
			return fmt.Sprintf(` * (sum(rate(millrace_provider_calls_total{provider=%q, outcome!="open"}[2m])) < bool %g)`,
				vendor.Provider, capacity.LimitNear*vendor.PerSecond)
		}
	}
	return ""
}

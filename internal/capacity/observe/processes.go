package observe

import (
	"cmp"
	"context"
	"slices"
)

// Process is one worker process.
type Process struct {
	// Instance is its metrics address.
	Instance string
	// Version is what it runs; empty when unknown.
	Version string
	// Slots is how many jobs it runs at once at most, and Busy how many it runs now.
	Slots, Busy int
	// Leads says that it starts scheduled jobs and retries, and reports the queues' depth.
	Leads bool
	// InUse and Connections are those of its pool.
	InUse, Connections int
}

// processSignals lists what Processes reads.
func processSignals() map[string]signal {
	instance := []string{"instance"}
	worker := func(metric string) signal {
		return signal{metric: metric, fold: sum, by: instance, where: "pool", values: []string{"worker"}}
	}
	return map[string]signal{
		"slots":       {metric: "millrace_worker_slots", fold: sum, by: instance},
		"busy":        {metric: "millrace_worker_slots_busy", fold: sum, by: instance},
		"leader":      {metric: "millrace_leader", fold: most, by: instance},
		"version":     {metric: "millrace_build_info", fold: most, by: []string{"instance", "version"}},
		"in_use":      worker("millrace_pool_connections_in_use"),
		"connections": worker("millrace_pool_connections_limit"),
	}
}

// Processes lists the worker processes by instance. The error is ErrNothing when
// there are none.
func Processes(ctx context.Context, from source) ([]Process, error) {
	all := read{}
	for name, s := range processSignals() {
		values, err := from.read(ctx, s)
		if err != nil {
			return nil, err
		}
		all[name] = values
	}
	versions := map[string]string{}
	for _, v := range all["version"] {
		versions[v.labels["instance"]] = v.labels["version"]
	}
	of := func(name, instance string) float64 { return by(all[name], "instance")[instance] }
	var found []Process
	for _, v := range all["slots"] {
		instance := v.labels["instance"]
		found = append(found, Process{
			Instance: instance, Version: versions[instance], Slots: int(v.value), Busy: int(of("busy", instance)), Leads: of("leader", instance) > 0,
			InUse: int(of("in_use", instance)), Connections: int(of("connections", instance)),
		})
	}
	if len(found) == 0 {
		return nil, ErrNothing
	}
	slices.SortFunc(found, func(a, b Process) int { return cmp.Compare(a.Instance, b.Instance) })
	return found, nil
}

package jobs

import "github.com/riverqueue/river"

// Periodic lists the jobs that the workers enqueue by themselves. Only River's
// leader does so, and no second one of a kind while the first is not done.
func Periodic() []*river.PeriodicJob {
	var periodic []*river.PeriodicJob
	for _, kind := range Catalog() {
		if kind.Every == 0 {
			continue
		}
		periodic = append(periodic, river.NewPeriodicJob(river.PeriodicInterval(kind.Every), func() (river.JobArgs, *river.InsertOpts) {
			return kind.periodic, kind.InsertOnceOpts(Metadata{})
		}, &river.PeriodicJobOpts{ID: kind.Name, RunOnStart: true}))
	}
	return periodic
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"millrace/client"
)

// follower shows a job while it goes on.
type follower struct {
	out *printer
	now func() time.Time
	// json prints the job at each change, and nothing for people.
	json bool
	// quiet prints nothing.
	quiet bool
	// live keeps a line at the bottom that shows that time goes by. For terminals.
	live bool
}

func (f *jobsFlags) follower(w io.Writer, out *printer) *follower {
	return &follower{out: out, now: f.now, json: f.asJSON, live: !f.asJSON && terminal(w)}
}

// run follows a job until it is done.
func (f *follower) run(ctx context.Context, api *jobsServer, id string) (*client.Job, error) {
	started := f.now()
	// The first answer comes from the client that gives up soon.
	last, err := api.Job(ctx, id)
	if err != nil {
		return nil, f.explain(ctx, api, id, err)
	}
	f.change(last)
	if last.Done {
		return last, f.out.err
	}
	for job, err := range api.patient.WatchJob(ctx, id) {
		f.clear()
		if err != nil {
			return nil, f.explain(ctx, api, id, err)
		}
		if f.changed(last, job) {
			f.change(job)
		}
		last = job
		if f.out.err != nil {
			break
		}
		f.wait(job, f.now().Sub(started))
	}
	return last, f.out.err
}

// explain tells an interrupted command apart: the job goes on without it.
func (f *follower) explain(ctx context.Context, api *jobsServer, id string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; the job goes on: `millrace jobs watch %s`", id)
	}
	return api.explain("job "+id, err)
}

func (f *follower) changed(last, job *client.Job) bool {
	if f.json {
		return string(last.Raw) != string(job.Raw)
	}
	return progress(last) != progress(job)
}

func (f *follower) change(job *client.Job) {
	switch {
	case f.quiet:
	case f.json:
		f.out.json(job.Raw)
	default:
		f.out.printf("%s  %s\n", f.now().Format(time.TimeOnly), progress(job))
	}
}

// clearLine goes to the line's begin and erases it (ECMA-48: CR, EL).
const clearLine = "\r\x1b[K"

func (f *follower) clear() {
	if f.live && !f.quiet {
		f.out.printf(clearLine)
	}
}

func (f *follower) wait(job *client.Job, elapsed time.Duration) {
	if f.live && !f.quiet && !job.Done {
		f.out.printf("… %s", elapsed.Round(time.Second))
	}
}

// progress is a job's state in one line.
func progress(job *client.Job) string {
	text := note(job)
	if job.State == client.Running {
		text = "attempt " + attempts(job)
	}
	return oneLine(strings.TrimSpace(fmt.Sprintf("%-9s  %s", job.State, text)))
}

// failedJob is the error of a command that followed a job which failed.
func failedJob(job *client.Job) error {
	e, failed := errors.AsType[*client.Error](job.Err())
	if !failed {
		return nil
	}
	return &exitError{exitJobFailed, fmt.Errorf("job %s was %s: %s", oneLine(job.ID), oneLine(string(job.State)), oneLine(failure(e.Code, e.Message)))}
}

// describe is a job as a table of two columns.
func describe(job *client.Job) [][]string {
	rows := [][]string{
		{"id", job.ID},
		{"kind", job.Kind},
		{"queue", job.Queue},
		{"state", string(job.State)},
		{"note", note(job)},
		{"priority", fmt.Sprint(job.Priority)},
		{"attempt", attempts(job)},
		{"created", stamp(job.CreatedAt)},
		{"scheduled", stamp(job.ScheduledAt)},
	}
	if job.AttemptedAt != nil {
		rows = append(rows, []string{"attempted", stamp(*job.AttemptedAt)})
	}
	if job.FinalizedAt != nil {
		rows = append(rows, []string{"finalized", stamp(*job.FinalizedAt)})
	}
	if job.Failure != nil {
		for _, name := range slices.Sorted(maps.Keys(job.Failure.Details)) {
			rows = append(rows, []string{name, fmt.Sprint(job.Failure.Details[name])})
		}
	}
	if len(job.Result) > 0 {
		rows = append(rows, []string{"result", string(job.Result)})
	}
	for _, name := range slices.Sorted(maps.Keys(job.Links)) {
		if name != "self" {
			rows = append(rows, []string{name, job.Links[name]})
		}
	}
	return slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
}

// note is what there is to say about a job beside its state.
func note(job *client.Job) string {
	if job.Failure != nil {
		return failure(job.Failure.Code, job.Failure.Message)
	}
	return job.Why
}

func failure(code client.Code, message string) string { return string(code) + ": " + message }

func attempts(job *client.Job) string { return fmt.Sprintf("%d of %d", job.Attempt, job.MaxAttempts) }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/jobs"
)

// maxWait caps Prefer: wait.
const maxWait = 30 * time.Second

// Job is a job as clients see it.
type Job struct {
	ID          string            `json:"id" example:"4711"`
	Kind        string            `json:"kind" example:"payment_capture"`
	Queue       string            `json:"queue" example:"payments"`
	State       intake.State      `json:"state" enum:"available,cancelled,completed,discarded,pending,retryable,running,scheduled"`
	Done        bool              `json:"done" doc:"true when the state is final: completed, cancelled or discarded."`
	Priority    int               `json:"priority"`
	Attempt     int               `json:"attempt" doc:"How many attempts have started."`
	MaxAttempts int               `json:"max_attempts"`
	CreatedAt   time.Time         `json:"created_at"`
	ScheduledAt time.Time         `json:"scheduled_at" doc:"When it may run (again) at the earliest."`
	AttemptedAt *time.Time        `json:"attempted_at" doc:"When the newest attempt started."`
	FinalizedAt *time.Time        `json:"finalized_at"`
	Progress    *jobs.Progress    `json:"progress,omitzero" doc:"How far it is; absent when the kind does not count its work, and when it is completed."`
	Result      json.RawMessage   `json:"result,omitzero" doc:"What the kind returns, when completed."`
	Failure     *JobError         `json:"error,omitzero" doc:"Why it ended, when cancelled or discarded."`
	Waiting     *JobError         `json:"waiting,omitzero" doc:"What it waits for, when it was put off: a provider that is down or asks for patience, or, with PAYMENT_FAILED and the reason ACTION_REQUIRED, the customer."`
	Why         string            `json:"why,omitzero" doc:"Why it is not done yet."`
	Links       map[string]string `json:"links" doc:"Where to go from here: self, and the domain row and what comes of it under their names."`
}

// JobError is why a job failed.
type JobError struct {
	Code    fault.Code    `json:"code"`
	Message string        `json:"error"`
	Details fault.Details `json:"details,omitzero"`
}

func (s *Server) render(job intake.Job) Job {
	view := Job{
		ID: strconv.FormatInt(job.ID, 10), Kind: job.Kind, Queue: job.Queue, State: job.State, Done: job.State.Done(),
		Priority: job.Priority, Attempt: job.Attempt, MaxAttempts: job.MaxAttempts, CreatedAt: job.CreatedAt,
		ScheduledAt: job.ScheduledAt, AttemptedAt: job.AttemptedAt, FinalizedAt: job.FinalizedAt,
		Why: why(job, s.opts.Now()), Links: map[string]string{"self": jobPath(job.ID)},
	}
	if job.State == intake.StateCompleted {
		view.Result = job.Output
	}
	view.Failure, view.Waiting, view.Progress = jobError(job.Outcome()), jobError(job.Waiting), job.Progress
	if kind := s.kinds[job.Kind]; kind != nil && kind.Resource != "" && job.ResourceID != nil {
		for _, name := range []string{kind.Resource, kind.Yields} {
			if name != "" {
				view.Links[name] = "/v1/" + name + "s/" + job.ResourceID.String()
			}
		}
	}
	return view
}

func jobError(f *fault.Fault) *JobError {
	if f == nil {
		return nil
	}
	return &JobError{Code: f.Code, Message: f.Message, Details: f.Details}
}

// why says in words what a job is waiting for.
func why(job intake.Job, now time.Time) string {
	switch job.State {
	case intake.StateAvailable:
		if job.ScheduledAt.After(now) {
			if job.Waiting != nil {
				return putOff(job)
			}
			// River hands a scheduled job to its queue a few seconds early.
			return "Scheduled for " + job.ScheduledAt.Format(time.RFC3339) + "."
		}
		if job.QueuePaused {
			return "The queue " + job.Queue + " is paused by an operator."
		}
		return "Waiting for a free worker slot in the queue " + job.Queue + "."
	case intake.StateScheduled, intake.StatePending:
		if job.Waiting != nil {
			return putOff(job)
		}
		return "Scheduled for " + job.ScheduledAt.Format(time.RFC3339) + "."
	case intake.StateRetryable:
		text := fmt.Sprintf("Attempt %d of %d failed; trying again at %s.", job.Attempt, job.MaxAttempts, job.ScheduledAt.Format(time.RFC3339))
		if job.LastError != nil {
			text += " " + job.LastError.Message
		}
		return text
	case intake.StateRunning:
		return "Running."
	case intake.StateCancelled, intake.StateCompleted, intake.StateDiscarded:
		return ""
	default:
		return ""
	}
}

func putOff(job intake.Job) string {
	return job.Waiting.Message + " Looking again at " + job.ScheduledAt.Format(time.RFC3339) + "."
}

type jobInput struct {
	ID          string `path:"id" doc:"The job's id." example:"4711"`
	Prefer      string `header:"Prefer" doc:"wait=N waits up to N seconds (at most 30) until the job is done (RFC 7240)." example:"wait=10"`
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag; 304 when the job has not changed since."`
}

type jobOutput struct {
	Status            int
	ETag              string `header:"ETag"`
	RetryAfter        string `header:"Retry-After" doc:"Seconds until it is worth asking again, while the job is not done."`
	PreferenceApplied string `header:"Preference-Applied"`
	Body              Job
}

func noSuchJob() *fault.Fault { return fault.New(fault.NotFound, "There is no such job.") }

func jobID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != text {
		return 0, noSuchJob()
	}
	return id, nil
}

func (s *Server) getJob(ctx context.Context, in *jobInput) (*jobOutput, error) {
	id, err := jobID(in.ID)
	if err != nil {
		return nil, err
	}
	wait, err := preferredWait(in.Prefer)
	if err != nil {
		return nil, err
	}
	tenant := principal(ctx).Tenant
	job, err := intake.Find(ctx, s.opts.DB, tenant, id)
	if err != nil {
		return nil, err
	}
	out := &jobOutput{Status: http.StatusOK}
	if wait > 0 {
		out.PreferenceApplied = "wait=" + strconv.Itoa(int(wait.Seconds()))
		if !job.State.Done() {
			// A client that knows that it is waited for wants to know the end.
			s.await(ctx, id, wait, job.WaitsForClient() != nil)
			if job, err = intake.Find(ctx, s.opts.DB, tenant, id); err != nil {
				return nil, err
			}
		}
	}
	out.Body = s.render(job)
	if !job.State.Done() {
		out.RetryAfter = "1"
	}
	text, err := json.Marshal(out.Body)
	if err != nil {
		return nil, fmt.Errorf("api: encode: %w", err)
	}
	sum := sha256.Sum256(text)
	out.ETag = `"` + hex.EncodeToString(sum[:12]) + `"`
	if etagMatches(in.IfNoneMatch, out.ETag) {
		e := &Error{status: http.StatusNotModified, headers: http.Header{}}
		e.headers.Set("ETag", out.ETag)
		return nil, e
	}
	return out, nil
}

func etagMatches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == etag || candidate == "*" {
			return true
		}
	}
	return false
}

// await returns when the job is final or (unless finalOnly) waits for the client,
// the wait is over, or the server drains.
func (s *Server) await(ctx context.Context, id int64, wait time.Duration, finalOnly bool) {
	started := time.Now()
	defer func() { requestOf(ctx).waited += time.Since(started) }()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() {
		select {
		case <-s.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	s.waiter.Wait(ctx, id, finalOnly)
}

// preferredWait reads wait=N of a Prefer header (RFC 7240, section 4.3).
// Preferences that are not known are ignored, as the RFC wants it.
func preferredWait(header string) (time.Duration, error) {
	for preference := range strings.FieldsFuncSeq(header, func(c rune) bool { return c == ',' || c == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			var fields fault.Fields
			fields.Add("Prefer", "must be wait=N with N in seconds")
			return 0, fields.Err()
		}
		return min(time.Duration(seconds)*time.Second, maxWait), nil
	}
	return 0, nil
}

type jobsInput struct {
	Kind      string `query:"kind" doc:"Only jobs of this kind." maxLength:"127"`
	State     string `query:"state" doc:"Only jobs in this state." enum:"available,cancelled,completed,discarded,pending,retryable,running,scheduled"`
	Limit     int    `query:"limit" doc:"How many to return." minimum:"1" maximum:"100" default:"20"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before." maxLength:"64"`
}

type jobsOutput struct {
	Body struct {
		Jobs          []Job  `json:"jobs"`
		NextPageToken string `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) listJobs(ctx context.Context, in *jobsInput) (*jobsOutput, error) {
	before, err := pageStart(in.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := intake.List(ctx, s.opts.DB, principal(ctx).Tenant, intake.Filter{
		Kind: in.Kind, State: intake.State(in.State), Before: before, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	out := &jobsOutput{}
	list, out.Body.NextPageToken = page(list, in.Limit, "job", func(job intake.Job) string { return strconv.FormatInt(job.ID, 10) })
	out.Body.Jobs = make([]Job, len(list))
	for i, job := range list {
		out.Body.Jobs[i] = s.render(job)
	}
	return out, nil
}

func pageStart(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	number, ok := pagePosition(token, "job")
	if id, err := strconv.ParseInt(number, 10, 64); ok && err == nil && id > 0 {
		return id, nil
	}
	return 0, badPageToken()
}

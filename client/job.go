package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// jobsPath is the collection of jobs.
const jobsPath = "/v1/jobs"

// State is where a job stands.
type State string

// The states of a job. Completed, Cancelled and Discarded are final.
const (
	Available State = "available" // waits for a free worker
	Scheduled State = "scheduled" // waits for its time
	Pending   State = "pending"
	Running   State = "running"
	Retryable State = "retryable" // an attempt failed; it is tried again
	Completed State = "completed"
	Cancelled State = "cancelled" // failed for good, or was cancelled before it ran
	Discarded State = "discarded" // given up after its last attempt
)

// States lists the states that this client knows.
func States() []State {
	return []State{Available, Scheduled, Pending, Running, Retryable, Completed, Cancelled, Discarded}
}

// Job is a job as it was when it was read. Times are UTC.
type Job struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Queue string `json:"queue"`
	State State  `json:"state"`
	// Done says that the state is final.
	Done bool `json:"done"`
	// Priority is from 1 (first) to 4 within the queue.
	Priority int `json:"priority"`
	// Attempt is how many attempts have started.
	Attempt     int       `json:"attempt"`
	MaxAttempts int       `json:"max_attempts"`
	CreatedAt   time.Time `json:"created_at"`
	// ScheduledAt is when it may run, or run again, at the earliest.
	ScheduledAt time.Time  `json:"scheduled_at"`
	AttemptedAt *time.Time `json:"attempted_at"`
	FinalizedAt *time.Time `json:"finalized_at"`
	// Progress is how far the job is; nil when its kind does not count its work, and
	// when it is completed.
	Progress *Progress `json:"progress,omitempty"`
	// Result is what the kind returns; nil unless the job is completed.
	Result json.RawMessage `json:"result,omitempty"`
	// Failure is why the job ended without success; nil otherwise.
	Failure *Failure `json:"error,omitempty"`
	// Waiting is what a job that was put off waits for: a provider, or, with the
	// code PAYMENT_FAILED and the reason ACTION_REQUIRED, the customer; else nil.
	Waiting *Failure `json:"waiting,omitempty"`
	// Why says in words what the job is waiting for.
	Why string `json:"why,omitempty"`
	// Links are paths on the server: self, and the domain row and what comes of it
	// under their names.
	Links map[string]string `json:"links"`

	// Raw is the job as the server wrote it, with members that this version of
	// the client does not know.
	Raw json.RawMessage `json:"-"`
}

// Progress is how far a job is with work that it counts.
type Progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// Failure is why a job or a payment failed.
type Failure struct {
	Code    Code           `json:"code"`
	Message string         `json:"error"`
	Details map[string]any `json:"details,omitempty"`
}

// Err returns nil for a job that completed or is not done, else its failure as
// an *Error with JobID set.
func (j *Job) Err() error {
	if !j.Done || j.State == Completed {
		return nil
	}
	e := &Error{Code: CodeUnknown, Message: "The job ended without success and without a reason.", JobID: j.ID}
	if j.Failure != nil {
		e.Code, e.Message, e.Details = j.Failure.Code, j.Failure.Message, j.Failure.Details
	}
	return e
}

// UnmarshalJSON implements json.Unmarshaler; it keeps Raw.
func (j *Job) UnmarshalJSON(text []byte) error {
	type plain Job
	if err := json.Unmarshal(text, (*plain)(j)); err != nil {
		return err
	}
	j.Raw = bytes.Clone(text)
	return nil
}

// Job reads a job. The error has the code NOT_FOUND when the key's tenant has
// none of that id.
func (c *Client) Job(ctx context.Context, id string) (*Job, error) {
	return c.jobRequest(ctx, request{method: http.MethodGet}, id, "")
}

// Cancel ends a job that has not started, and returns it. The code is CONFLICT
// for one that has started and for one that confirms a booking (see
// CancelBooking), NOT_FOUND for no such job. Cancelling twice is no error.
func (c *Client) Cancel(ctx context.Context, id string) (*Job, error) {
	return c.jobRequest(ctx, request{method: http.MethodPost}, id, "/cancel")
}

// Retry gives a discarded job one more attempt, and returns it. The code is
// CONFLICT for a job in any other state, NOT_FOUND for no such job. It is not
// repeated when it gets no answer: look at the job first.
func (c *Client) Retry(ctx context.Context, id string) (*Job, error) {
	return c.jobRequest(ctx, request{method: http.MethodPost, unrepeatable: true}, id, "/retry")
}

func (c *Client) jobRequest(ctx context.Context, r request, id, action string) (*Job, error) {
	path, err := jobPath(id)
	if err != nil {
		return nil, err
	}
	r.path = path + action
	var job Job
	if err := c.call(ctx, r, &job); err != nil {
		return nil, err
	}
	return &job, nil
}

func jobPath(id string) (string, error) {
	if id == "" {
		return "", errors.New("client: the job's id is empty")
	}
	return jobsPath + "/" + url.PathEscape(id), nil
}

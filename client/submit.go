package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// SubmitOptions is what every submission takes beside its input. The zero value
// submits at once, and does not wait.
type SubmitOptions struct {
	// IdempotencyKey is the app's own id of the submission: 1 to 255 visible ASCII
	// characters. Repeating a submission with its key changes nothing and answers
	// the same; with another input it is an error with the code
	// IDEMPOTENCY_MISMATCH. A key belongs to the method that it was used with:
	// SubmitPayment, SubmitBooking, SubmitConversation, Rescore and Submit do not know
	// each other's. Default: a new one for this call, which covers the client's own
	// repetitions only.
	IdempotencyKey string
	// ScheduledAt is when the job may run at the earliest, within ten years
	// from now. Zero is at once.
	ScheduledAt time.Time
	// Priority is from 1 (first) to 4 within the queue. 0 means 1.
	Priority int
	// Wait is how long to wait for the outcome, in whole seconds rounded up, at
	// most 30 s. A job that failed meanwhile is then an *Error with JobID set, and
	// so is a payment that its customer must authenticate (see SubmitPayment); any
	// other that is not done is a Submission whose Job.Done is false, for which
	// WaitJob goes on waiting. Zero does not wait.
	Wait time.Duration
}

// Submission is an accepted submission.
type Submission struct {
	Job *Job `json:"job"`
	// Payment is what the job works on; nil unless its kind is payment_capture.
	Payment *Payment `json:"payment"`
	// Booking is what the job confirms; nil unless its kind is
	// booking_confirmation_email.
	Booking *Booking `json:"booking"`
	// Conversation is what the job scores; nil unless its kind is
	// conversation_scoring.
	Conversation *Conversation `json:"conversation"`
	// Replayed says that an earlier submission with the same key was answered
	// for: nothing new was started.
	Replayed bool `json:"-"`

	// Raw is the answer as the server wrote it, with members that this version of
	// the client does not know.
	Raw json.RawMessage `json:"-"`
}

// Submit submits a job of any public kind. args is the kind's input: anything
// that encodes to a JSON object, json.RawMessage included. The code is
// INVALID_INPUT, with Error.Fields, for an input or a kind that the server
// does not accept.
func (c *Client) Submit(ctx context.Context, kind string, args any, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, jobsPath, struct {
		Kind string `json:"kind"`
		Args any    `json:"args"`
		submitFields
	}{kind, args, opts.fields()}, opts)
}

// submitFields are the options that travel in the body.
type submitFields struct {
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	Priority    int       `json:"priority,omitzero"`
}

func (o SubmitOptions) fields() submitFields {
	return submitFields{ScheduledAt: o.ScheduledAt, Priority: o.Priority}
}

func (c *Client) submit(ctx context.Context, path string, body any, opts SubmitOptions) (*Submission, error) {
	if opts.Wait < 0 || opts.Wait > maxWait {
		return nil, fmt.Errorf("client: Wait must be from 0 to %s", maxWait)
	}
	text, err := encode(body)
	if err != nil {
		return nil, err
	}
	if opts.IdempotencyKey == "" {
		opts.IdempotencyKey = NewIdempotencyKey()
	}
	a, err := c.do(ctx, request{method: http.MethodPost, path: path, body: text, key: opts.IdempotencyKey, wait: opts.Wait})
	if err != nil {
		return nil, err
	}
	submission := &Submission{Replayed: a.header.Get("Idempotent-Replayed") == "true", Raw: bytes.TrimSpace(a.body)}
	if err := a.decode(submission); err != nil {
		return nil, err
	}
	if submission.Job == nil {
		return nil, errors.New("client: the answer to the submission names no job")
	}
	return submission, nil
}

// NewIdempotencyKey returns a random key (a version 4 UUID). Keep it with the
// record that the work belongs to before submitting, and use it again after a
// crash.
func NewIdempotencyKey() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

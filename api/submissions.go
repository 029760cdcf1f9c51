package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/ratelimit"
	"millrace/internal/strictjson"
	"millrace/jobs"
)

// submissionOptions are the fields that every submission takes beside its input.
type submissionOptions struct {
	ScheduledAt *time.Time `json:"scheduled_at,omitzero" doc:"Run at this time at the earliest; at once when absent." example:"2030-01-31T09:30:00Z"`
	Priority    *int       `json:"priority,omitzero" doc:"From 1 (first) to 4 within the queue." minimum:"1" maximum:"4" default:"1"`
}

// maxAhead is how far in the future a submission may be scheduled.
const maxAhead = 10 * 366 * 24 * time.Hour

func (o submissionOptions) validate(now time.Time) error {
	var fields fault.Fields
	fields.Check(o.Priority == nil || (*o.Priority >= 1 && *o.Priority <= 4), "priority", "must be an integer from 1 to 4")
	fields.Check(o.ScheduledAt == nil || o.ScheduledAt.Before(now.Add(maxAhead)), "scheduled_at", "must be within ten years from now")
	return fields.Err()
}

// apply puts the options into a submission and into its hash, so that a
// repeated key with other options is another request.
func (o submissionOptions) apply(submission *intake.Submission, now time.Time) {
	submission.Priority = 1
	if o.Priority != nil {
		submission.Priority = *o.Priority
	}
	hash := sha256.New()
	hash.Write(submission.Accepted.Hash[:])
	hash.Write([]byte(submission.Kind.Name))
	_ = binary.Write(hash, binary.BigEndian, int64(submission.Priority))
	if o.ScheduledAt != nil {
		_ = binary.Write(hash, binary.BigEndian, o.ScheduledAt.UnixMicro())
		if at := o.ScheduledAt.UTC().Truncate(time.Microsecond); at.After(now) {
			submission.ScheduledAt = at
		}
	}
	submission.Hash = [sha256.Size]byte(hash.Sum(nil))
}

type submissionInput struct {
	IdempotencyKey  string `header:"Idempotency-Key" doc:"Your own id of this submission. Repeating a request with the same key changes nothing and answers the same; with another body it is a 422." maxLength:"255"`
	Prefer          string `header:"Prefer" doc:"wait=N waits up to N seconds (at most 30) for the outcome (RFC 7240)." example:"wait=10"`
	ContentType     string `header:"Content-Type" hidden:"true"`
	ContentEncoding string `header:"Content-Encoding" hidden:"true"`
	RawBody         []byte `contentType:"application/json"`
}

type submissionOutput struct {
	Status            int
	ContentType       string `header:"Content-Type"`
	Location          string `header:"Location" doc:"Where the job's state is."`
	RetryAfter        string `header:"Retry-After" doc:"Seconds until it is worth asking for the state."`
	PreferenceApplied string `header:"Preference-Applied" doc:"The wait that was granted."`
	Replayed          string `header:"Idempotent-Replayed" doc:"true when an earlier submission with this key is answered for."`
	Body              []byte
}

// submission adds the named door of a kind, whose body is the kind's input with
// the submission's options beside it.
func (s *Server) submission(api huma.API, path string, kind *jobs.Kind) {
	op := post(path, kind.Summary)
	limit := max(maxBody, kind.MaxBody)
	countedAs(&op, submissionClass(kind))
	op.MaxBodyBytes = bodyLimit(limit)
	registry := api.OpenAPI().Components.Schemas
	answerSchema(&op, acceptedSchema(registry, kind))
	register(s, api, op, apikey.JobsWrite, func(ctx context.Context, in *submissionInput) (*submissionOutput, error) {
		if err := jsonBody(in.ContentType, in.ContentEncoding, in.RawBody, limit); err != nil {
			return nil, err
		}
		input, options, err := splitOptions(in.RawBody)
		if err != nil {
			return nil, err
		}
		return s.submit(ctx, "POST "+path, kind, input, options, in)
	})
	requestSchema(api, path, withOptions(registry, kind))
}

// submissionOfAnyKind adds the generic door.
func (s *Server) submissionOfAnyKind(api huma.API) {
	const path = "/v1/jobs"
	op := post(path, "Submit a job of any public kind")
	limit := maxBody
	for _, kind := range s.kinds {
		limit = max(limit, kind.MaxBody)
	}
	countedAs(&op, "") // the body says as what
	op.MaxBodyBytes = bodyLimit(limit)
	registry := api.OpenAPI().Components.Schemas
	answerSchema(&op, acceptedSchema(registry, nil))
	register(s, api, op, apikey.JobsWrite, func(ctx context.Context, in *submissionInput) (*submissionOutput, error) {
		kind, body, err := s.anyKind(in, limit)
		if err := s.count(ctx, ratelimit.Take{Class: submissionClass(kind)}); err != nil {
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		return s.submit(ctx, "POST "+path, kind, body.Args, body.submissionOptions, in)
	})
	requestSchema(api, path, anyKindSchema(registry))
}

// anyKindBody is the body of the generic door.
type anyKindBody struct {
	submissionOptions

	Kind string         `json:"kind"`
	Args jsontext.Value `json:"args"`
}

// anyKind reads the body of the generic door, of at most so many bytes.
func (s *Server) anyKind(in *submissionInput, limit int) (kind *jobs.Kind, body anyKindBody, err error) {
	if err := jsonBody(in.ContentType, in.ContentEncoding, in.RawBody, limit); err != nil {
		return nil, body, err
	}
	if err := strictjson.Decode(in.RawBody, &body); err != nil {
		return nil, body, err
	}
	if kind = s.kinds[body.Kind]; kind == nil || !kind.Public {
		var fields fault.Fields
		fields.Add("kind", "must be one of "+publicKinds())
		return nil, body, fields.Err()
	}
	return kind, body, nil
}

func (s *Server) submit(
	ctx context.Context, route string, kind *jobs.Kind, input []byte, options submissionOptions, in *submissionInput,
) (*submissionOutput, error) {
	if err := checkKey(in.IdempotencyKey, kind.KeyRequired); err != nil {
		return nil, err
	}
	now := s.opts.Now()
	if err := options.validate(now); err != nil {
		return nil, err
	}
	wait, err := preferredWait(in.Prefer)
	if err != nil {
		return nil, err
	}
	id, err := s.opts.NewID()
	if err != nil {
		return nil, fmt.Errorf("api: new id: %w", err)
	}
	tenant := principal(ctx).Tenant
	accepted, err := kind.Accept(input, jobs.Acceptance{Tenant: tenant, ID: id, Now: now, RefusePHI: refusesPHI(ctx)})
	if err != nil {
		return nil, err
	}
	submission := intake.Submission{
		Tenant: tenant, Route: route, Key: in.IdempotencyKey, Kind: kind, Accepted: accepted, RequestID: requestID(ctx),
	}
	options.apply(&submission, now)
	receipt, err := s.commit(ctx, &submission)
	if err != nil {
		return nil, err
	}
	requestOf(ctx).jobID = receipt.Job.ID
	if wait > 0 {
		return s.answerOutcome(ctx, kind, receipt, wait)
	}
	resource := submission.Accepted.Resource
	if receipt.Replayed && receipt.Job.ResourceID != nil {
		now, err := kind.Find(ctx, s.opts.DB, tenant, *receipt.Job.ResourceID)
		if err != nil {
			return nil, err
		}
		resource = kind.Original(now)
	}
	return s.answer(http.StatusAccepted, kind, receipt, resource)
}

// commit completes a submission by what the database knows, and commits it. One
// that was committed before is answered for, even where it would be refused now:
// its slot is taken, by itself; or too many came after it.
func (s *Server) commit(ctx context.Context, submission *intake.Submission) (intake.Receipt, error) {
	accepted, err := submission.Kind.Complete(ctx, s.opts.DB, submission.Tenant, submission.Accepted)
	var settle func(intake.Receipt, error)
	if err == nil {
		submission.Accepted = accepted
		settle, err = s.admit(ctx, submission)
	}
	if err == nil {
		receipt, err := s.opts.Writer.Submit(ctx, *submission)
		settle(receipt, err)
		return receipt, err
	}
	if submission.Key != "" {
		if receipt, found, replayErr := s.opts.Writer.Replay(ctx, *submission); found || replayErr != nil {
			return receipt, replayErr
		}
	}
	return intake.Receipt{}, err
}

// answer renders a submission with its job and domain row.
func (s *Server) answer(status int, kind *jobs.Kind, receipt intake.Receipt, resource any) (*submissionOutput, error) {
	text, err := object("job", s.render(receipt.Job), kind.Resource, kind.Masked(resource))
	if err != nil {
		return nil, err
	}
	out := &submissionOutput{
		Status: status, ContentType: "application/json", Location: jobPath(receipt.Job.ID), Body: text,
	}
	if status == http.StatusAccepted {
		out.RetryAfter = "1"
	}
	if receipt.Replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// answerOutcome waits for the job and answers with the outcome: 200, or the
// failure's own status; 202 when it is not done in time. A payment that the
// customer must authenticate is told at once like a failure: 402.
func (s *Server) answerOutcome(ctx context.Context, kind *jobs.Kind, receipt intake.Receipt, wait time.Duration) (*submissionOutput, error) {
	s.await(ctx, receipt.Job.ID, wait, false)
	tenant := principal(ctx).Tenant
	job, err := intake.Find(ctx, s.opts.DB, tenant, receipt.Job.ID)
	if err != nil {
		return nil, err
	}
	applied := "wait=" + strconv.Itoa(int(wait.Seconds()))
	f := job.Outcome()
	if !job.State.Done() {
		f = job.WaitsForClient()
	}
	if f != nil {
		e := s.answerTo(ctx, f) // the worker has logged it
		if job.ResourceID != nil {
			e.Details = maps.Clone(e.Details)
			if e.Details == nil {
				e.Details = fault.Details{}
			}
			e.Details[kind.Resource+"_id"] = *job.ResourceID
		}
		e.headers.Set("Location", jobPath(job.ID))
		e.headers.Set("Preference-Applied", applied)
		return nil, e
	}
	var resource any
	if job.ResourceID != nil {
		if resource, err = kind.Find(ctx, s.opts.DB, tenant, *job.ResourceID); err != nil {
			return nil, err
		}
	}
	status := http.StatusAccepted
	if job.State.Done() {
		status = http.StatusOK
	}
	out, err := s.answer(status, kind, intake.Receipt{Job: job, Replayed: receipt.Replayed}, resource)
	if err != nil {
		return nil, err
	}
	out.PreferenceApplied = applied
	return out, nil
}

// object encodes {"name": value, "other": value}, the second only when there is one.
func object(name string, value any, other string, second any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("api: encode: %w", err)
	}
	body := append([]byte(`{"`+name+`":`), text...)
	if second != nil {
		if text, err = json.Marshal(second); err != nil {
			return nil, fmt.Errorf("api: encode: %w", err)
		}
		body = append(append(body, `,"`+other+`":`...), text...)
	}
	return append(body, '}'), nil
}

func jobPath(id int64) string { return "/v1/jobs/" + strconv.FormatInt(id, 10) }

func checkKey(key string, required bool) error {
	var fields fault.Fields
	fields.Check(key != "" || !required, "Idempotency-Key", "must be given in a header: your own id of this submission, so that a repeat charges nobody twice")
	for _, c := range []byte(key) {
		if c < 0x21 || c > 0x7e {
			fields.Add("Idempotency-Key", "must have visible ASCII characters only")
			break
		}
	}
	fields.Check(len(key) <= 255, "Idempotency-Key", "must have at most 255 characters")
	return fields.Err()
}

// splitOptions takes the submission's options out of a body of which the rest
// is the kind's input.
func splitOptions(body []byte) (input []byte, options submissionOptions, err error) {
	input, picked, err := strictjson.Split(body, "scheduled_at", "priority")
	if err == nil && picked != nil {
		err = strictjson.Decode(picked, &options)
	}
	return input, options, err
}

func newUUID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == 36
}

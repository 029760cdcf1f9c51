package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/ratelimit"
	"millrace/jobs"
)

// classKey is where an operation's metadata carry the class of rate limit that its
// requests count in; an empty class says that the endpoint counts them itself.
const classKey = "limit"

// countedAs sets the class that an operation's requests count in, in place of reads or
// writes.
func countedAs(op *huma.Operation, class ratelimit.Class) {
	op.Metadata = map[string]any{classKey: class}
}

// limit counts each request of an operation, once its key is known; also those that
// the scope refuses, of which no endpoint counts its own.
func (s *Server) limit(op huma.Operation, scope apikey.Scope) func(huma.Context, func(huma.Context)) {
	class := ratelimit.Writes
	if op.Method == http.MethodGet {
		class = ratelimit.Reads
	}
	refused := class
	if own, ok := op.Metadata[classKey].(ratelimit.Class); ok {
		class = own
	}
	return func(ctx huma.Context, next func(huma.Context)) {
		class := class
		if class == "" && !principal(ctx.Context()).Has(scope) {
			class = refused
		}
		if class != "" {
			if err := s.count(ctx.Context(), ratelimit.Take{Class: class}); err != nil {
				s.abort(humagin.Unwrap(ctx), fault.From(err))
				return
			}
		}
		next(ctx)
	}
}

// count counts an event for the key of the request, and tells the client in headers how
// much is left.
func (s *Server) count(ctx context.Context, take ratelimit.Take) error {
	if s.opts.Limiter == nil {
		return nil
	}
	result, err := s.opts.Limiter.Allow(ctx, ofKey(ctx, take))
	requestOf(ctx).tell(result)
	return err
}

// ofKey completes an event by whose key the request was made with.
func ofKey(ctx context.Context, take ratelimit.Take) ratelimit.Take {
	key := principal(ctx)
	take.Tenant, take.Key, take.Limits = key.Tenant, key.ID, key.Limits
	return take
}

// submissionClass returns the class that submissions of a kind count in; kind is nil for
// what names none that there is.
func submissionClass(kind *jobs.Kind) ratelimit.Class {
	if kind == nil || kind.Limit == "" {
		return ratelimit.Writes
	}
	return kind.Limit
}

// admit checks what a submission counts against beside its class: the person that it is
// for, and how many jobs of the tenant wait. settle says what came of it, and gives back
// what was counted for nothing.
func (s *Server) admit(ctx context.Context, submission *intake.Submission) (settle func(intake.Receipt, error), err error) {
	if s.opts.Limiter == nil {
		return func(intake.Receipt, error) {}, nil
	}
	counted, err := s.reserve(ctx, submission)
	if err != nil {
		return nil, err
	}
	placed, err := s.quota.Reserve(ctx, submission.Tenant, principal(ctx).Rules.MaxWaitingJobs)
	if err != nil {
		counted(false)
		return nil, err
	}
	return func(receipt intake.Receipt, err error) {
		added := err == nil && !receipt.Replayed
		placed(added)
		// After an error of ours it may have been committed all the same.
		counted(added || (err != nil && status(fault.From(err).Code) >= http.StatusInternalServerError))
	}, nil
}

// reserve counts a submission for the person that it is for, if it names one.
func (s *Server) reserve(ctx context.Context, submission *intake.Submission) (settle func(happened bool), err error) {
	class, person := submission.Kind.PersonLimit, submission.Accepted.Person
	if class == "" || person == "" {
		return func(bool) {}, nil
	}
	take := ratelimit.Take{Class: class, Subject: person}
	if submission.Key != "" {
		// Repeats of a submission are one; keys are unique within a route.
		take.Once = submission.Route + " " + submission.Key
	}
	result, settle, err := s.opts.Limiter.Reserve(ctx, ofKey(ctx, take))
	requestOf(ctx).tell(result)
	return settle, err
}

// refusal counts a credential that was refused. Whoever presents too many from one
// address is told to wait; a credential that is right is never refused for that, as
// behind a proxy many share an address.
func (s *Server) refusal(ctx context.Context, address string, f *fault.Fault) *fault.Fault {
	if s.opts.Limiter == nil || f.Code != fault.AuthRequired {
		return f
	}
	// How much is left is not told: it says what others do at the same address.
	if _, err := s.opts.Limiter.Allow(ctx, ratelimit.Take{Class: ratelimit.Failures, Subject: address}); err != nil {
		return fault.From(err)
	}
	return f
}

// tell sets the headers of draft-ietf-httpapi-ratelimit-headers, and the ones before it
// that clients know. Of several limits it tells the tightest.
func (r *requestState) tell(limit ratelimit.Result) {
	if r.header == nil || limit.Rate.Unlimited() || (r.limit != nil && r.limit.Remaining <= limit.Remaining) {
		return
	}
	r.limit = &limit
	class := `"` + string(limit.Class) + `"`
	quota, left, reset := strconv.Itoa(limit.Rate.Quota), strconv.Itoa(limit.Remaining), strconv.Itoa(limit.ResetSeconds())
	r.header.Set("RateLimit-Policy", class+";q="+quota+";w="+strconv.Itoa(limit.Rate.Seconds()))
	r.header.Set("RateLimit", class+";r="+left+";t="+reset)
	r.header.Set("RateLimit-Limit", quota)
	r.header.Set("RateLimit-Remaining", left)
	r.header.Set("RateLimit-Reset", reset)
}

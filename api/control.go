package api

import (
	"context"

	"millrace/internal/intake"
)

type controlInput struct {
	ID string `path:"id" doc:"The job's id." example:"4711"`
}

type controlOutput struct {
	Body Job
}

func (s *Server) cancelJob(ctx context.Context, in *controlInput) (*controlOutput, error) {
	return s.control(ctx, in, s.opts.Writer.Cancel)
}

func (s *Server) retryJob(ctx context.Context, in *controlInput) (*controlOutput, error) {
	return s.control(ctx, in, s.opts.Writer.Retry)
}

func (s *Server) control(ctx context.Context, in *controlInput, do func(ctx context.Context, tenant string, id int64) error) (*controlOutput, error) {
	id, err := jobID(in.ID)
	if err != nil {
		return nil, err
	}
	tenant := principal(ctx).Tenant
	if err := do(ctx, tenant, id); err != nil {
		return nil, err
	}
	job, err := intake.Find(ctx, s.opts.DB, tenant, id)
	if err != nil {
		return nil, err
	}
	return &controlOutput{Body: s.render(job)}, nil
}

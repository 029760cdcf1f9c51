package api

import (
	"context"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

type paymentInput struct {
	ID string `path:"id" doc:"The payment's id." example:"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"`
}

type paymentOutput struct {
	Body payment.Payment
}

func (s *Server) getPayment(ctx context.Context, in *paymentInput) (*paymentOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, fault.New(fault.NotFound, "There is no such payment.")
	}
	p, err := payment.Find(ctx, s.opts.DB, principal(ctx).Tenant, id)
	if err != nil {
		return nil, err
	}
	return &paymentOutput{Body: p}, nil
}

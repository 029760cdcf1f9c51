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

type paymentsOutput struct {
	Body struct {
		Payments      []payment.Payment `json:"payments"`
		NextPageToken string            `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) listPayments(ctx context.Context, in *pageInput) (*paymentsOutput, error) {
	before, err := in.before("payment")
	if err != nil {
		return nil, err
	}
	list, err := payment.List(ctx, s.opts.DB, principal(ctx).Tenant, payment.Filter{Before: before, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	out := &paymentsOutput{}
	out.Body.Payments, out.Body.NextPageToken = page(list, in.Limit, "payment", func(p payment.Payment) string { return p.ID.String() })
	return out, nil
}

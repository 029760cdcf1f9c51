package api

import (
	"context"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

type paymentOutput struct {
	Body payment.Payment
}

func (s *Server) getPayment(ctx context.Context, in *readInput) (*paymentOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, fault.New(fault.NotFound, "There is no such payment.")
	}
	revealed, err := s.reveal(ctx, in, "payment", id)
	if err != nil {
		return nil, err
	}
	p, err := payment.Find(ctx, s.opts.DB, principal(ctx).Tenant, id)
	if err != nil {
		return nil, err
	}
	if !revealed {
		p = p.Masked()
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
	for i := range list {
		list[i] = list[i].Masked()
	}
	out := &paymentsOutput{}
	out.Body.Payments, out.Body.NextPageToken = page(list, in.Limit, "payment", func(p payment.Payment) string { return p.ID.String() })
	return out, nil
}

package api

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

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

type paymentsInput struct {
	Limit     int    `query:"limit" doc:"How many to return." minimum:"1" maximum:"100" default:"20"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before." maxLength:"64"`
}

type paymentsOutput struct {
	Body struct {
		Payments      []payment.Payment `json:"payments"`
		NextPageToken string            `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) listPayments(ctx context.Context, in *paymentsInput) (*paymentsOutput, error) {
	const prefix = "payment:"
	filter := payment.Filter{Limit: in.Limit + 1}
	if in.PageToken != "" {
		text, err := base64.RawURLEncoding.DecodeString(in.PageToken)
		id, ours := strings.CutPrefix(string(text), prefix)
		before, ok := newUUID(id)
		if err != nil || !ours || !ok || before == uuid.Nil {
			return nil, badPageToken()
		}
		filter.Before = before
	}
	list, err := payment.List(ctx, s.opts.DB, principal(ctx).Tenant, filter)
	if err != nil {
		return nil, err
	}
	out := &paymentsOutput{}
	if len(list) > in.Limit {
		list = list[:in.Limit]
		out.Body.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(prefix + list[in.Limit-1].ID.String()))
	}
	out.Body.Payments = append([]payment.Payment{}, list...)
	return out, nil
}

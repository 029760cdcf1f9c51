package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/satisfaction"
)

type conversationInput struct {
	ID string `path:"id" doc:"The conversation's id." example:"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"`
}

type conversationOutput struct {
	Body conversation.Conversation
}

func (s *Server) getConversation(ctx context.Context, in *readInput) (*conversationOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, fault.New(fault.NotFound, "There is no such conversation.")
	}
	revealed, err := s.reveal(ctx, in, "conversation", id)
	if err != nil {
		return nil, err
	}
	tenant := principal(ctx).Tenant
	c, err := s.findConversation(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if revealed {
		texts, err := conversation.Load(ctx, s.opts.DB, tenant, id)
		if err != nil {
			return nil, err
		}
		texts = texts.Revealed()
		c.Messages, c.Feedback = texts.Messages, texts.Feedback
	}
	return &conversationOutput{Body: c}, nil
}

// findConversation reads a conversation, and whether its job was given up.
func (s *Server) findConversation(ctx context.Context, tenant string, id uuid.UUID) (conversation.Conversation, error) {
	c, err := conversation.Find(ctx, s.opts.DB, tenant, id)
	if err != nil || c.Status != conversation.Queued {
		return c, err
	}
	job, err := intake.Find(ctx, s.opts.DB, tenant, c.JobID)
	if err != nil || !job.State.Done() {
		return c, err
	}
	// Done between the two, or given up.
	if c, err = conversation.Find(ctx, s.opts.DB, tenant, id); c.Status == conversation.Queued && job.State != intake.StateCompleted {
		c.Status = conversation.Failed
	}
	return c, err
}

type scoreOutput struct {
	Body conversation.Score
}

func (s *Server) getScore(ctx context.Context, in *conversationInput) (*scoreOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, fault.New(fault.NotFound, "There is no such score.")
	}
	score, err := conversation.FindScore(ctx, s.opts.DB, principal(ctx).Tenant, id)
	if err != nil {
		return nil, err
	}
	return &scoreOutput{Body: score}, nil
}

type scoresInput struct {
	Sort      string    `query:"sort" doc:"What the list is ordered by: when conversations were submitted, or satisfaction." enum:"time,satisfaction" default:"time"`
	Order     string    `query:"order" doc:"asc begins with the oldest or the lowest, desc with the newest or the highest." enum:"asc,desc" default:"desc"`
	Limit     int       `query:"limit" doc:"How many to return." minimum:"1" maximum:"100" default:"20"`
	PageToken string    `query:"page_token" doc:"next_page_token of the page before, asked for with the same sort and order." maxLength:"128"`
	From      time.Time `query:"from" doc:"Only of conversations submitted at this time or later." example:"2026-01-01T00:00:00Z"`
	To        time.Time `query:"to" doc:"Only of conversations submitted before this time." example:"2026-02-01T00:00:00Z"`
	Min       float64   `query:"min" doc:"Only scores with this satisfaction or more." minimum:"0" maximum:"100" default:"0"`
	Max       float64   `query:"max" doc:"Only scores with this satisfaction or less." minimum:"0" maximum:"100" default:"100"`
	SessionID string    `query:"session_id" doc:"Only of this session." maxLength:"128" example:"chat-4711"`
	Verdict   string    `query:"verdict" doc:"Only scores with this verdict." enum:"satisfied,neutral,dissatisfied,too_little_to_say"`
}

// filter reads what is asked for. Conditions that hold for every score are left out.
func (in *scoresInput) filter() (conversation.Filter, error) {
	filter := conversation.Filter{
		Sort: conversation.Sort(in.Sort), Ascending: in.Order == "asc", From: in.From, To: in.To,
		SessionID: in.SessionID, Verdict: satisfaction.Verdict(in.Verdict), Limit: in.Limit + 1,
	}
	var fields fault.Fields
	// Written so that what is not a number fails.
	fields.Check(in.Min >= 0 && in.Min <= 100, "min", "must be a number from 0 to 100")
	fields.Check(in.Max >= 0 && in.Max <= 100, "max", "must be a number from 0 to 100")
	if in.Min > 0 {
		filter.Min = &in.Min
	}
	if in.Max < 100 {
		filter.Max = &in.Max
	}
	if in.PageToken != "" {
		text, ours := pagePosition(in.PageToken, "score")
		after, ok := conversation.ParsePosition(text)
		fields.Check(ours && ok && after.Sort == filter.Sort && after.Ascending == filter.Ascending,
			"page_token", "must be the next_page_token of a page with the same sort and order")
		filter.After = &after
	}
	return filter, fields.Err()
}

type scoresOutput struct {
	Body struct {
		Scores        []conversation.Summary `json:"scores"`
		NextPageToken string                 `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) listScores(ctx context.Context, in *scoresInput) (*scoresOutput, error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	list, err := conversation.List(ctx, s.opts.DB, principal(ctx).Tenant, filter)
	if err != nil {
		return nil, err
	}
	out := &scoresOutput{}
	out.Body.Scores, out.Body.NextPageToken = page(list, in.Limit, "score", func(last conversation.Summary) string {
		return filter.Position(last).String()
	})
	return out, nil
}

type distributionInput struct {
	From string `query:"from" required:"true" doc:"The first day, in UTC." example:"2026-01-01" maxLength:"10"`
	To   string `query:"to" required:"true" doc:"The last day, at most 366 days in all." example:"2026-01-31" maxLength:"10"`
}

type distributionOutput struct {
	Body struct {
		Days []conversation.Day `json:"days" doc:"Every day of the range, days without scores too."`
	}
}

func (s *Server) scoreDistribution(ctx context.Context, in *distributionInput) (*distributionOutput, error) {
	first, last, err := conversation.ParseDays(in.From, in.To)
	if err != nil {
		return nil, err
	}
	out := &distributionOutput{}
	if out.Body.Days, err = conversation.Distribution(ctx, s.opts.DB, principal(ctx).Tenant, first, last); err != nil {
		return nil, err
	}
	return out, nil
}

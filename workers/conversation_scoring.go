package workers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/phi"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
	"millrace/jobs"
)

// ConversationScoring implements jobs.Handlers. It is safe to repeat: a conversation
// that has its score keeps it.
func (s *Set) ConversationScoring(ctx context.Context, job *river.Job[jobs.ConversationScoringArgs]) (any, error) {
	metadata, err := jobs.MetadataOf(job.JobRow)
	if err != nil {
		return nil, err
	}
	tenant := metadata.TenantID
	c, err := conversation.Load(ctx, s.db, tenant, job.Args.ConversationID)
	if err != nil {
		return nil, err
	}
	switch c.Status {
	case conversation.Scored:
		return conversation.FindScore(ctx, s.db, tenant, c.ID)
	case conversation.Cancelled:
		return nil, fault.New(fault.JobCancelled, "The conversation was cancelled.")
	case conversation.Queued, conversation.Failed:
	}
	score := c.Score(s.model, s.now())
	first := false
	err = s.db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		added, err := conversation.Record(ctx, tx, tenant, []conversation.Score{score})
		if err != nil {
			return err
		}
		if first = len(added) > 0; first {
			if err := s.measure(ctx, tx, tenant, c.ID, score); err != nil {
				return err
			}
		}
		return complete(ctx, tx, job, score)
	})
	if err == nil && first {
		s.scores.scored(c, score)
	}
	return nil, postgres.Fault(err)
}

// measure writes a conversation's first score down among the tenant's metrics, at the
// time when the conversation was submitted.
func (s *Set) measure(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, score conversation.Score) error {
	tags := map[string]string{"verdict": string(score.Verdict)}
	number := func(n float64) json.Number { return json.Number(strconv.FormatFloat(n, 'g', -1, 64)) }
	now := s.now()
	points, err := rollup.Request{Points: []rollup.Point{
		{Name: "conversation.satisfaction", Value: number(score.Satisfaction), Tags: tags, At: score.CreatedAt},
		{Name: "conversation.rating", Value: number(score.Rating), Tags: tags, At: score.CreatedAt},
	}}.Check(now)
	if err != nil { // a clock is far ahead
		s.logger.WarnContext(ctx, "workers: a score cannot be a metric point", slog.String("conversationId", id.String()), slog.Any("error", err))
		return nil
	}
	written, err := rollup.Write(ctx, tx, tenant, points, now)
	if err == nil && !written {
		s.logger.WarnContext(ctx, "workers: a score is no metric point, since the tenant has as many series as it may", slog.String("tenantId", tenant))
	}
	return err
}

// scoreMetrics counts what was scored.
type scoreMetrics struct {
	conversations *prometheus.CounterVec
	messages      *prometheus.CounterVec
	masked        *prometheus.CounterVec
}

// What became of messages, as metrics name it.
const (
	kept    = "kept"
	skipped = "skipped"
)

func newScoreMetrics(registry prometheus.Registerer) (*scoreMetrics, error) {
	m := &scoreMetrics{
		conversations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_conversations_scored_total", Help: "Conversations that got their first score, by verdict.",
		}, []string{"verdict"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_conversation_messages_total", Help: "Messages of conversations that were scored, by outcome: kept, skipped.",
		}, []string{"outcome"}),
		masked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_phi_masked_total", Help: "Personal data masked in conversations that were scored, by type.",
		}, []string{"type"}),
	}
	for _, collector := range []prometheus.Collector{m.conversations, m.messages, m.masked} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("workers: metrics: %w", err)
		}
	}
	// A rate does not see a first sample.
	for _, verdict := range conversation.Verdicts() {
		m.conversations.WithLabelValues(string(verdict))
	}
	for _, outcome := range []string{kept, skipped} {
		m.messages.WithLabelValues(outcome)
	}
	for _, category := range phi.Types() {
		m.masked.WithLabelValues(string(category))
	}
	return m, nil
}

func (m *scoreMetrics) scored(c conversation.Conversation, score conversation.Score) {
	m.conversations.WithLabelValues(string(score.Verdict)).Inc()
	m.messages.WithLabelValues(kept).Add(float64(c.MessageCount))
	m.messages.WithLabelValues(skipped).Add(float64(c.SkippedCount))
	for category, n := range c.Masked {
		m.masked.WithLabelValues(category).Add(float64(n))
	}
}

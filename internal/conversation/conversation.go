// Package conversation holds what a conversation is that somebody wants scored:
// the rules of what is submitted, the masking of personal data in it, its row, the
// row of its score, and how the scores of a day are distributed. How a score comes
// about is package satisfaction's business. It knows no job queue and no HTTP.
package conversation

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"millrace/internal/satisfaction"
)

// Status is where a conversation stands.
type Status string

// The states of a conversation.
const (
	Queued    Status = "queued"    // its score is still to come
	Scored    Status = "scored"    // it has one, which re-scoring may replace
	Cancelled Status = "cancelled" // its job was cancelled before it ran
	// Failed is a queued one whose job was given up. It is not stored: whoever knows
	// the job tells it apart.
	Failed Status = "failed"
)

// Conversation is one conversation of a tenant, without its texts. Its times are in
// UTC.
type Conversation struct {
	ID           uuid.UUID `json:"id"`
	Tenant       string    `json:"-"`
	SessionID    string    `json:"session_id" doc:"Your id of the session that the conversation belongs to." example:"chat-4711"`
	Status       Status    `json:"status" enum:"queued,scored,cancelled,failed"`
	MessageCount int       `json:"message_count" doc:"Messages that were kept."`
	SkippedCount int       `json:"skipped_count" doc:"Messages that were left out because of a problem."`
	Skipped      []Skip    `json:"skipped,omitzero" doc:"The first 20 of those that were left out." maxItems:"20"`
	// Masked is how often personal data was replaced, by category.
	Masked      map[string]int `json:"masked,omitzero" doc:"How often personal data was replaced before anything was stored, by category."`
	HasFeedback bool           `json:"has_feedback" doc:"Whether the user said what they think of the conversation."`
	// JobID is the job that scores it.
	JobID int64 `json:"job_id,string,omitzero" doc:"The job that scores it." example:"4711"`
	// Model is the version that the score is of; empty without one.
	Model     string     `json:"model,omitzero" doc:"Version of the model that scored it." example:"1"`
	CreatedAt time.Time  `json:"created_at"`
	ScoredAt  *time.Time `json:"scored_at,omitzero" doc:"When it was scored, the last time."`

	// Messages and Feedback are there in what Revealed returns alone.
	Messages []Turn    `json:"messages,omitzero" doc:"With reveal: the messages that were kept, masked as they are stored."`
	Feedback *Feedback `json:"feedback,omitzero" doc:"With reveal: what the user said of the conversation, masked as it is stored."`

	// turns and feedback are masked. What Find reads has none.
	turns    []Turn
	feedback *Feedback
	// sealed is what private is stored as; nil when the row is plain.
	sealed []byte
}

// Revealed returns a conversation that Load read with its texts to be seen.
func (c Conversation) Revealed() Conversation {
	c.Messages, c.Feedback = c.turns, c.feedback
	return c
}

// Turn is a message as it is kept.
type Turn struct {
	Index   int               `json:"index" doc:"Index of the message in the messages as submitted, from 0."`
	Role    satisfaction.Role `json:"role" doc:"Who wrote it." enum:"user,assistant,system"`
	Content string            `json:"content" doc:"Its text, masked." example:"Where is my parcel?"`
	At      time.Time         `json:"at,omitzero" doc:"When it was written." example:"2026-01-31T09:30:00Z"`
}

// Skip is a message that was left out, and why.
type Skip struct {
	Index   int    `json:"index" doc:"Index of the message in the messages as submitted, from 0."`
	Problem string `json:"problem" doc:"What is wrong with it." example:"has no content"`
}

// maxSkips is how many of the messages that were left out are told.
const maxSkips = 20

// New returns the conversation of a valid request. now is truncated to
// microseconds, which is what the database keeps.
func New(tenant string, id uuid.UUID, r Request, now time.Time) Conversation {
	c := Conversation{
		ID: id, Tenant: tenant, SessionID: r.SessionID, Status: Queued, Masked: r.masked, HasFeedback: r.Feedback != nil,
		CreatedAt: now.UTC().Truncate(time.Microsecond), feedback: r.Feedback,
	}
	for i, m := range r.Messages {
		if m.problem == "" {
			c.turns = append(c.turns, Turn{Index: i, Role: m.Role, Content: m.Content, At: m.At})
			continue
		}
		c.SkippedCount++
		if len(c.Skipped) < maxSkips {
			c.Skipped = append(c.Skipped, Skip{Index: i, Problem: m.problem})
		}
	}
	c.MessageCount = len(c.turns)
	return c
}

// LogValue implements slog.LogValuer.
func (c Conversation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", c.ID.String()), slog.String("status", string(c.Status)), slog.Int("messages", c.MessageCount))
}

// Submitted returns the conversation as it was when it was accepted, so that a
// replayed submission gets the answer that the first one got.
func (c Conversation) Submitted() Conversation {
	c.Status, c.JobID, c.Model, c.ScoredAt = Queued, 0, "", nil
	return c
}

// Model scores messages; *satisfaction.Model is one.
type Model interface {
	// Score returns turns as indexes of messages.
	Score(messages []satisfaction.Message, feedback satisfaction.Feedback) satisfaction.Score
	Version() string
}

// Score scores a conversation that Load read. Turns in the result are indexes of
// the messages as submitted.
func (c Conversation) Score(model Model, now time.Time) Score {
	messages := make([]satisfaction.Message, len(c.turns))
	for i, t := range c.turns {
		messages[i] = satisfaction.Message{Role: t.Role, Content: t.Content, At: t.At}
	}
	return Score{
		ID: c.ID, Tenant: c.Tenant, SessionID: c.SessionID, CreatedAt: c.CreatedAt, ScoredAt: now.UTC().Truncate(time.Microsecond),
		Score: c.submitted(model.Score(messages, c.feedback.given())),
	}
}

// submitted translates the turns of a score, which are indexes of the messages that
// were kept.
func (c Conversation) submitted(score satisfaction.Score) satisfaction.Score {
	if c.SkippedCount == 0 {
		return score
	}
	aspect := func(s *satisfaction.SubScore) *satisfaction.SubScore {
		if s == nil {
			return nil
		}
		return &satisfaction.SubScore{Score: s.Score, Reasons: c.submittedReasons(s.Reasons)}
	}
	score.Reasons = c.submittedReasons(score.Reasons)
	score.Sentiment.SubScore = *aspect(&score.Sentiment.SubScore)
	score.Sentiment.Course = append([]satisfaction.Point(nil), score.Sentiment.Course...)
	for i, point := range score.Sentiment.Course {
		score.Sentiment.Course[i].Turn = c.turns[point.Turn].Index
	}
	score.Engagement, score.Responsiveness = aspect(score.Engagement), aspect(score.Responsiveness)
	score.Resolution, score.AgentQuality = aspect(score.Resolution), aspect(score.AgentQuality)
	return score
}

func (c Conversation) submittedReasons(reasons []satisfaction.Reason) []satisfaction.Reason {
	if reasons == nil {
		return nil
	}
	translated := make([]satisfaction.Reason, len(reasons))
	for i, reason := range reasons {
		if len(reason.Turns) > 0 {
			turns := make([]int, len(reason.Turns))
			for j, kept := range reason.Turns {
				turns[j] = c.turns[kept].Index
			}
			reason.Turns = turns
		}
		translated[i] = reason
	}
	return translated
}

// Size returns about how many bytes the conversation has.
func (c Conversation) Size() (n int) {
	for _, t := range c.turns {
		n += len(t.Content)
	}
	return n
}

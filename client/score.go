package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const scoresPath = "/v1/scores"

// Verdict is a score in words.
type Verdict string

// The verdicts.
const (
	Satisfied    Verdict = "satisfied"
	Neutral      Verdict = "neutral"
	Dissatisfied Verdict = "dissatisfied"
	// TooLittleToSay is the verdict on a conversation that is too short to judge.
	TooLittleToSay Verdict = "too_little_to_say"
)

// Verdicts lists the verdicts that this client knows.
func Verdicts() []Verdict { return []Verdict{Satisfied, Neutral, Dissatisfied, TooLittleToSay} }

// Estimate is one judgement of a conversation.
type Estimate struct {
	// Satisfaction is from 0 to 100, Rating the same from 1 to 5.
	Satisfaction float64 `json:"satisfaction"`
	Rating       float64 `json:"rating"`
	// Confidence is from 0, a guess, to 1.
	Confidence float64 `json:"confidence"`
}

// ScoreSummary is a score as lists show it. Times are UTC.
type ScoreSummary struct {
	// ID is the conversation's.
	ID        string `json:"id"`
	SessionID string `json:"session_id"`
	// CreatedAt is when the conversation was submitted, ScoredAt when it was scored
	// the last time.
	CreatedAt time.Time `json:"created_at"`
	ScoredAt  time.Time `json:"scored_at"`
	// Model is the version of the model.
	Model string `json:"model"`
	Estimate
	Verdict Verdict `json:"verdict"`
}

// Score is the score of a conversation, with its reasons. Turns in it are indexes of
// the messages as they were submitted.
type Score struct {
	ScoreSummary

	// Inferred is the estimate from the messages alone; Estimate uses the feedback too.
	Inferred Estimate `json:"inferred"`
	// Stated is what the feedback alone says; nil when there is none.
	Stated *Estimate `json:"stated,omitzero"`
	// Reasons are what moved the inferred score, the strongest first.
	Reasons []Reason `json:"reasons"`

	Sentiment Sentiment `json:"sentiment"`
	// Engagement is how much the user took part, Responsiveness how soon the assistant
	// answered, Resolution whether the user got what they came for, AgentQuality how
	// well the assistant did whatever the outcome. nil when nothing is known about it.
	Engagement     *SubScore `json:"engagement,omitzero"`
	Responsiveness *SubScore `json:"responsiveness,omitzero"`
	Resolution     *SubScore `json:"resolution,omitzero"`
	AgentQuality   *SubScore `json:"agent_quality,omitzero"`
}

// SubScore is one aspect of a conversation.
type SubScore struct {
	// Score is from 0 to 100.
	Score   float64  `json:"score"`
	Reasons []Reason `json:"reasons"`
}

// Sentiment is how the user's words sound, and its course.
type Sentiment struct {
	SubScore

	Course []Point `json:"course"`
}

// Point is the sentiment of a turn, or the mean of several of which Turn is the first.
type Point struct {
	Turn int `json:"turn"`
	// Sentiment is from -1 to 1.
	Sentiment float64 `json:"sentiment"`
}

// Reason is one thing that moved a score.
type Reason struct {
	// Feature names what was found, for programs.
	Feature string `json:"feature"`
	// Effect is by how many points it moved the score.
	Effect float64 `json:"effect"`
	// Text is the same for people.
	Text string `json:"text"`
	// Turns are the messages that it was found in, the first ten.
	Turns []int `json:"turns,omitzero"`
}

// Score reads the score of a conversation, by the conversation's id. The error has
// the code NOT_FOUND when the key's tenant has no such conversation, and while it is
// not scored.
func (c *Client) Score(ctx context.Context, id string) (*Score, error) {
	if id == "" {
		return nil, errors.New("client: the conversation's id is empty")
	}
	var score Score
	if err := c.call(ctx, request{method: http.MethodGet, path: scoresPath + "/" + url.PathEscape(id)}, &score); err != nil {
		return nil, err
	}
	return &score, nil
}

// Rescore submits a job that scores the conversations submitted in [from, to) again,
// as far as their scores are of another version of the model. The range is at most
// 366 days. Job.Progress tells how far it is, and its result how many were
// "rescored" and "unchanged", and by which "model".
func (c *Client) Rescore(ctx context.Context, from, to time.Time, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, scoresPath+"/rescorings", struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
		submitFields
	}{from, to, opts.fields()}, opts)
}

// Package satisfaction estimates from a conversation between a user and an
// assistant how satisfied the user is, and says why. It is arithmetic on text: it
// knows no database, no HTTP and no job queue.
package satisfaction

import "time"

// Role says who wrote a message.
type Role string

// The roles of a conversation.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	System    Role = "system" // instructions to the assistant; they are not scored
)

// Message is one turn of a conversation.
type Message struct {
	Role    Role
	Content string
	// At is when it was written; zero when nobody knows.
	At time.Time
}

// Feedback is what the user said about the conversation when asked; its zero
// value is none.
type Feedback struct {
	// Stars is from 1 to 5; zero when none were given.
	Stars int
	// Thumbs is "up", "down" or empty.
	Thumbs string
	Text   string
}

// Verdict is a score in words.
type Verdict string

// The verdicts.
const (
	Satisfied    Verdict = "satisfied"
	Neutral      Verdict = "neutral"
	Dissatisfied Verdict = "dissatisfied"
	// TooLittle is the verdict on a conversation that does not say enough for any
	// other; its estimate is hardly more than what conversations are like in general.
	TooLittle Verdict = "too_little_to_say"
)

// Score is what a conversation is like, and why.
type Score struct {
	// Model is the version of the coefficients.
	Model string `json:"model" doc:"Version of the model." example:"1"`
	Estimate
	Verdict Verdict `json:"verdict" doc:"The score in words; too_little_to_say when the conversation is too short to judge." enum:"satisfied,neutral,dissatisfied,too_little_to_say"`
	// Inferred is the estimate from the messages alone; Estimate uses the feedback too.
	Inferred Estimate `json:"inferred" doc:"From the messages alone."`
	// Stated is what the feedback alone says; nil when there is none.
	Stated  *Estimate `json:"stated,omitzero" doc:"From the explicit feedback alone; absent when there is none."`
	Reasons []Reason  `json:"reasons" doc:"What moved the inferred score, the strongest first."`

	Sentiment      Sentiment `json:"sentiment" doc:"How the user's words sound."`
	Engagement     *SubScore `json:"engagement,omitzero" doc:"How much the user took part."`
	Responsiveness *SubScore `json:"responsiveness,omitzero" doc:"How soon the assistant answered; absent when too few messages say when they were written."`
	Resolution     *SubScore `json:"resolution,omitzero" doc:"Whether it looks as if the user got what they came for."`
	AgentQuality   *SubScore `json:"agent_quality,omitzero" doc:"How well the assistant did, whatever the outcome."`
}

// Estimate is one judgement of a conversation.
type Estimate struct {
	Satisfaction float64 `json:"satisfaction" doc:"From 0 to 100." minimum:"0" maximum:"100" example:"63.5"`
	Rating       float64 `json:"rating" doc:"The same as the mean rating from 1 to 5 that people would give." minimum:"1" maximum:"5" example:"3.54"`
	Confidence   float64 `json:"confidence" doc:"From 0, a guess, to 1." minimum:"0" maximum:"1" example:"0.62"`
}

// SubScore is one aspect of a conversation.
type SubScore struct {
	Score   float64  `json:"score" doc:"From 0 to 100." minimum:"0" maximum:"100" example:"58"`
	Reasons []Reason `json:"reasons" doc:"What moved it, the strongest first."`
}

// Sentiment is how the user's words sound, and its course.
type Sentiment struct {
	SubScore
	Course []Point `json:"course" doc:"The sentiment over the conversation, at most 40 points."`
}

// Point is the sentiment of a user's turn, or the mean of several that follow
// each other, of which Turn is the first.
type Point struct {
	Turn      int     `json:"turn" doc:"Index of the message, from 0, in the messages as submitted."`
	Sentiment float64 `json:"sentiment" doc:"From -1 to 1." minimum:"-1" maximum:"1" example:"0.42"`
}

// Reason is one thing that moved a score.
type Reason struct {
	Feature string  `json:"feature" doc:"Name of what was found." example:"thanks"`
	Effect  float64 `json:"effect" doc:"By how many points it moved the score." example:"4.2"`
	Text    string  `json:"text" doc:"The same for people." example:"The user said thank you."`
	Turns   []int   `json:"turns,omitzero" doc:"Indexes of the messages that it was found in, from 0, the first ten." maxItems:"10"`
}

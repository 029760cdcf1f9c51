package jobs

import (
	"time"

	"millrace/internal/conversation"
)

// ConversationRescoringArgs is what a client submits, and what a
// conversation_rescoring job carries.
type ConversationRescoringArgs struct {
	conversation.Range
}

// Kind implements river.JobArgs.
func (ConversationRescoringArgs) Kind() string { return "conversation_rescoring" }

// Validate returns an INVALID_INPUT fault that names what is wrong.
func (a ConversationRescoringArgs) Validate() (ConversationRescoringArgs, error) {
	in, err := a.Range.Validate()
	return ConversationRescoringArgs{in}, err
}

func conversationRescoring(do work[ConversationRescoringArgs]) *Kind {
	return standalone(Kind{
		Name:    ConversationRescoringArgs{}.Kind(),
		Queue:   scoring,
		Slots:   scoringSlots,
		Summary: "Scores conversations of a range of time again whose scores are of another version of the model.",
		Public:  true,
		Policy: Policy{
			MaxAttempts: 25,
			Timeout:     45 * time.Second, // an attempt whose time is up goes on in another, which costs none
			FirstRetry:  2 * time.Second,
			MaxRetry:    30 * time.Minute,
			Target:      time.Minute,
		},
		Sample: ConversationRescoringArgs{conversation.Range{
			From: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, time.February, 1, 0, 0, 0, 0, time.UTC),
		}},
	}, do)
}

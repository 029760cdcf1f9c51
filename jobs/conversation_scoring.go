package jobs

import (
	"time"

	"github.com/google/uuid"

	"millrace/internal/conversation"
	"millrace/internal/ratelimit"
	"millrace/internal/satisfaction"
)

// ConversationScoringArgs is what a conversation_scoring job carries.
type ConversationScoringArgs struct {
	ConversationID uuid.UUID `json:"conversation_id"`
}

// Kind implements river.JobArgs.
func (ConversationScoringArgs) Kind() string { return "conversation_scoring" }

func conversationScoring(do work[ConversationScoringArgs]) *Kind {
	return stored(Kind{
		Name:     ConversationScoringArgs{}.Kind(),
		Queue:    scoring,
		Slots:    scoringSlots,
		Summary:  "Scores a conversation: how satisfied its user seems to be, with the reasons.",
		Public:   true,
		Resource: "conversation",
		Yields:   "score",
		Limit:    ratelimit.Conversations,
		MaxBody:  2 << 20, // 1,000 messages of 2,000 characters
		Policy: Policy{
			MaxAttempts: 10, // what fails is our database or our code
			Timeout:     30 * time.Second,
			FirstRetry:  2 * time.Second,
			MaxRetry:    10 * time.Minute,
			Target:      30 * time.Second,
		},
		Sample: conversation.Request{SessionID: "chat-4711", Messages: conversation.Messages{
			{Role: satisfaction.User, Content: "Where is my parcel?"},
			{Role: satisfaction.Assistant, Content: "It is out for delivery and will be with you before noon."},
			{Role: satisfaction.User, Content: "Great, thank you!"},
		}},
	}, store[conversation.Conversation]{
		insertMany: conversation.InsertMany,
		find:       conversation.Find,
		cancel:     conversation.Cancel,
		original:   conversation.Conversation.Submitted,
		size:       conversation.Conversation.Size,
		seal:       conversation.Seal,
	}, func(in conversation.Request, at Acceptance) (conversation.Conversation, ConversationScoringArgs) {
		return conversation.New(at.Tenant, at.ID, in, at.Now), ConversationScoringArgs{ConversationID: at.ID}
	}, do)
}

// What the kinds that score share.
const (
	scoring      = "scoring"
	scoringSlots = 8
)

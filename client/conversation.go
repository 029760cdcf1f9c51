package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const conversationsPath = "/v1/conversations"

// ConversationRequest asks for the score of a conversation. Personal data in it is
// masked by the server before anything is stored, except in SessionID.
type ConversationRequest struct {
	// SessionID is the app's own id of the session that the conversation belongs to:
	// 1 to 128 of the characters A-Z, a-z, 0-9, _, ., : and -.
	SessionID string `json:"session_id"`
	// Messages are 1 to 1000, the oldest first. One with a problem is left out, and
	// told in Conversation.Skipped.
	Messages []Message `json:"messages"`
	// Feedback is what the user said about the conversation when asked. Default none.
	Feedback *Feedback `json:"feedback,omitzero"`
}

// Role says who wrote a message.
type Role string

// The roles of a conversation.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleSystem    Role = "system" // instructions to the assistant; they are not scored
)

// Roles lists the roles that this client knows.
func Roles() []Role { return []Role{RoleUser, RoleAssistant, RoleSystem} }

// Message is one message of a conversation.
type Message struct {
	Role Role `json:"role"`
	// Content has 1 to 32768 characters.
	Content string `json:"content"`
	// At is when it was written. Default: unknown.
	At time.Time `json:"at,omitzero"`
}

// Feedback is what a user said about a conversation. At least one of its fields is
// not zero.
type Feedback struct {
	// Stars is from 1 to 5; 0 when none were given.
	Stars int `json:"stars,omitzero"`
	// Thumbs is "up", "down" or empty.
	Thumbs string `json:"thumbs,omitzero"`
	// Text has at most 4000 characters.
	Text string `json:"text,omitzero"`
}

// ConversationStatus is where a conversation stands.
type ConversationStatus string

// The states of a conversation.
const (
	ConversationQueued    ConversationStatus = "queued"    // its score is still to come
	ConversationScored    ConversationStatus = "scored"    // it has one; see Score
	ConversationCancelled ConversationStatus = "cancelled" // its job was cancelled before it ran
	ConversationFailed    ConversationStatus = "failed"    // its job was given up; see Retry
)

// ConversationStatuses lists the statuses that this client knows.
func ConversationStatuses() []ConversationStatus {
	return []ConversationStatus{ConversationQueued, ConversationScored, ConversationCancelled, ConversationFailed}
}

// Conversation is what is known of a conversation as it was when it was read. Times
// are UTC.
type Conversation struct {
	ID        string             `json:"id"`
	SessionID string             `json:"session_id"`
	Status    ConversationStatus `json:"status"`
	// MessageCount is how many messages were kept, SkippedCount how many were left
	// out because of a problem, and Skipped the first 20 of those.
	MessageCount int              `json:"message_count"`
	SkippedCount int              `json:"skipped_count"`
	Skipped      []SkippedMessage `json:"skipped,omitzero"`
	// Masked is how often personal data was replaced, by category.
	Masked map[string]int `json:"masked,omitzero"`
	// HasFeedback says that the user said something about it.
	HasFeedback bool `json:"has_feedback"`
	// JobID is the job that scores it. It is empty in the answer to a submission that
	// did not wait; Submission.Job has it there.
	JobID string `json:"job_id,omitzero"`
	// Model is the version of the model that scored it, and ScoredAt when it did;
	// zero unless Status is ConversationScored.
	Model     string    `json:"model,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	ScoredAt  time.Time `json:"scored_at,omitzero"`
	// Messages and Feedback are what was said, masked as it is stored; only
	// RevealConversation returns them.
	Messages []StoredMessage `json:"messages,omitzero"`
	Feedback *Feedback       `json:"feedback,omitzero"`
}

// StoredMessage is a message of a conversation as it is stored.
type StoredMessage struct {
	// Index is that of the message in ConversationRequest.Messages.
	Index   int       `json:"index"`
	Role    Role      `json:"role"`
	Content string    `json:"content"`
	At      time.Time `json:"at,omitzero"`
}

// SkippedMessage is a message that was left out.
type SkippedMessage struct {
	// Index is that of the message in ConversationRequest.Messages.
	Index   int    `json:"index"`
	Problem string `json:"problem"`
}

// SubmitConversation submits a conversation to be scored. Its score is read with
// Score when its job is completed. The code is INVALID_INPUT for a conversation of
// which no message can be used, PAYLOAD_TOO_LARGE for one of more than 2 MiB, and
// MASKING_FAILED when personal data could not be masked: then nothing was stored.
func (c *Client) SubmitConversation(ctx context.Context, conversation ConversationRequest, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, conversationsPath, struct {
		ConversationRequest
		submitFields
	}{conversation, opts.fields()}, opts)
}

// Conversation reads what is known of a conversation, without its texts. The error
// has the code NOT_FOUND when the key's tenant has none of that id.
func (c *Client) Conversation(ctx context.Context, id string) (*Conversation, error) {
	return c.conversation(ctx, id, "")
}

func (c *Client) conversation(ctx context.Context, id, query string) (*Conversation, error) {
	if id == "" {
		return nil, errors.New("client: the conversation's id is empty")
	}
	var conversation Conversation
	if err := c.call(ctx, request{method: http.MethodGet, path: conversationsPath + "/" + url.PathEscape(id) + query}, &conversation); err != nil {
		return nil, err
	}
	return &conversation, nil
}

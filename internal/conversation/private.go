package conversation

import (
	"context"

	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// table is where rows are, and what their sealed texts are bound to.
const table = "conversations"

// Sealed says what is encrypted of a conversation's row: the members of private.
func Sealed() seal.Table {
	return seal.Table{Name: table, Columns: []string{"messages", "feedback"}}
}

// private is what was said.
type private struct {
	Messages []Turn    `json:"messages"`
	Feedback *Feedback `json:"feedback,omitzero"`
}

func (c Conversation) row() seal.Row {
	return seal.Row{Tenant: c.Tenant, Table: table, ID: c.ID}
}

// Seal returns the conversation ready to be stored: with what was said encrypted, if
// that is how the tenant's rows are stored. The faults are those of Tenancy.Seal.
func Seal(ctx context.Context, db *postgres.Tenancy, c Conversation) (Conversation, error) {
	var err error
	c.sealed, err = db.Seal(ctx, c.row(), private{Messages: c.turns, Feedback: c.feedback})
	return c, err
}

func (c Conversation) unseal(ctx context.Context, db *postgres.Tenancy) (Conversation, error) {
	if c.sealed == nil {
		return c, nil
	}
	var said private
	if err := db.Unseal(ctx, c.row(), c.sealed, &said); err != nil {
		return Conversation{}, err
	}
	c.turns, c.feedback, c.sealed = said.Messages, said.Feedback, nil // what is in memory is whole
	return c, nil
}

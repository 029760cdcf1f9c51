package client

import (
	"context"
	"errors"
	"net/url"
)

// RevealPayment reads a payment with its customer's address unmasked. reason, of 3 to
// 200 characters, is written down with the key: it should say why, and hold nothing
// about people. The error has the code TENANT_ACCESS_DENIED when the key lacks the
// scope phi:reveal, INVALID_INPUT for a reason that is none, NOT_FOUND when the key's
// tenant has no such payment.
func (c *Client) RevealPayment(ctx context.Context, id, reason string) (*Payment, error) {
	return reveal(ctx, id, reason, c.payment)
}

// RevealBooking reads a booking with its customer's name, address and notes unmasked.
// reason and errors are those of RevealPayment.
func (c *Client) RevealBooking(ctx context.Context, id, reason string) (*Booking, error) {
	return reveal(ctx, id, reason, c.booking)
}

// RevealConversation reads a conversation with its texts, as they are stored: masked.
// reason and errors are those of RevealPayment.
func (c *Client) RevealConversation(ctx context.Context, id, reason string) (*Conversation, error) {
	return reveal(ctx, id, reason, c.conversation)
}

// reveal reads a resource with a reason. Without one it would come masked.
func reveal[R any](ctx context.Context, id, reason string, read func(ctx context.Context, id, query string) (*R, error)) (*R, error) {
	if reason == "" {
		return nil, errors.New("client: the reason is empty")
	}
	return read(ctx, id, "?reveal="+url.QueryEscape(reason))
}

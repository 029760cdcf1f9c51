package client_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestRevealingTellsTheReason(t *testing.T) {
	t.Parallel()
	for path, read := range map[string]func(*client.Client, context.Context, string) (string, error){
		"/v1/payments/a%2Fb": func(c *client.Client, ctx context.Context, reason string) (string, error) {
			got, err := c.RevealPayment(ctx, "a/b", reason)
			if err != nil {
				return "", err
			}
			return got.ID, nil
		},
		"/v1/bookings/a%2Fb": func(c *client.Client, ctx context.Context, reason string) (string, error) {
			got, err := c.RevealBooking(ctx, "a/b", reason)
			if err != nil {
				return "", err
			}
			return got.ID, nil
		},
		"/v1/conversations/a%2Fb": func(c *client.Client, ctx context.Context, reason string) (string, error) {
			got, err := c.RevealConversation(ctx, "a/b", reason)
			if err != nil {
				return "", err
			}
			return got.ID, nil
		},
	} {
		s := newServer(t, answer(http.StatusOK, `{"id":"a/b"}`), failure(http.StatusForbidden, "TENANT_ACCESS_DENIED"))
		c, _ := newClient(t, s.URL, client.Options{})
		_, err := read(c, t.Context(), "")
		require.EqualError(t, err, "client: the reason is empty")
		require.Empty(t, s.received())
		id, err := read(c, t.Context(), "they asked & we answer")
		require.NoError(t, err)
		require.Equal(t, "a/b", id)
		require.Equal(t, path+"?reveal=they+asked+%26+we+answer", s.one(t).uri)
		_, err = read(c, t.Context(), "again")
		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, client.CodeTenantAccessDenied, e.Code)
	}
}

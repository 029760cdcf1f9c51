package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
)

func TestErrorCarriesOnlyPublicText(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.PaymentFailed, "The card was declined.").
		With("reason", "DECLINED").
		Because(errors.New("vendor said: jane@example.com"))

	require.JSONEq(t, `{"code":"PAYMENT_FAILED","error":"The card was declined.","details":{"reason":"DECLINED"}}`, f.Error())
	require.NotContains(t, f.Error(), "jane")
}

func TestParseReadsWhatErrorWrote(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.Unavailable, "Try again.").With("reason", "GATEWAY_ERROR")

	got, ok := fault.Parse(f.Error())
	require.True(t, ok)
	require.Equal(t, f, got)

	for _, text := range []string{"", "boom", "{}", `{"code":""}`, "[1]"} {
		_, ok := fault.Parse(text)
		require.False(t, ok, text)
	}
}

func TestFromKeepsFaultsAndHidesOthers(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.NotFound, "There is no such job.")
	require.Same(t, f, fault.From(fmt.Errorf("wrapped: %w", f)))
	require.Nil(t, fault.From(nil))

	secret := errors.New("password=hunter2")
	got := fault.From(secret)
	require.Equal(t, fault.Unknown, got.Code)
	require.NotContains(t, got.Error(), "hunter2")
	require.ErrorIs(t, got, secret)

	require.Equal(t, fault.Unavailable, fault.From(context.DeadlineExceeded).Code)
}

func TestFieldsTellEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	var fields fault.Fields
	require.NoError(t, fields.Err())

	fields.Add("currency", "must be a lower-case ISO 4217 code")
	fields.Check(false, "amount", "must be a positive integer")
	fields.Check(true, "never", "recorded")

	f := fault.From(fields.Err())
	require.Equal(t, fault.InvalidInput, f.Code)
	require.Equal(t, []fault.Field{
		{Field: "amount", Problem: "must be a positive integer"},
		{Field: "currency", Problem: "must be a lower-case ISO 4217 code"},
	}, f.Details["fields"])
}

package workers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/telemetry"
)

// The whole table, once without and once with a time that the provider named.
func TestDecideKnowsEveryCode(t *testing.T) {
	t.Parallel()
	want := map[fault.Code]struct{ plain, after decision }{
		fault.InvalidInput:          {cancel, cancel},
		fault.PHIDetected:           {cancel, cancel},
		fault.IdempotencyMismatch:   {cancel, cancel},
		fault.AuthRequired:          {cancel, cancel},
		fault.PaymentFailed:         {cancel, snooze},
		fault.TenantAccessDenied:    {cancel, cancel},
		fault.NotFound:              {cancel, cancel},
		fault.MethodNotAllowed:      {cancel, cancel},
		fault.RequestTimeout:        {retry, retry},
		fault.PayloadTooLarge:       {cancel, cancel},
		fault.UnsupportedMediaType:  {cancel, cancel},
		fault.IdempotencyInProgress: {retry, snooze},
		fault.SlotUnavailable:       {cancel, cancel},
		fault.Conflict:              {cancel, cancel},
		fault.JobCancelled:          {cancel, cancel},
		fault.RateLimitExceeded:     {retry, snooze},
		fault.Unknown:               {retry, retry},
		fault.DBError:               {retry, retry},
		fault.MaskingFailed:         {retry, retry},
		fault.Unavailable:           {retry, snooze},
	}
	require.Len(t, want, len(fault.Codes()))
	for _, code := range fault.Codes() {
		require.Equal(t, want[code].plain, decide(fault.New(code, "")), code)
		require.Equal(t, want[code].after, decide(fault.New(code, "").After(time.Second)), code)
	}
}

func TestEndTellsRiverOnlyPublicText(t *testing.T) {
	t.Parallel()
	secret := errors.New("jane@example.com: sk_live_123")
	for name, c := range map[string]struct {
		err     error
		attempt int
		outcome string
		snoozed time.Duration
	}{
		"nothing":     {nil, 1, "completed", 0},
		"declined":    {fault.New(fault.PaymentFailed, "Declined.").Because(secret), 1, "cancelled", 0},
		"transient":   {fault.New(fault.Unavailable, "Again.").Because(secret), 1, "retried", 0},
		"the last":    {fault.New(fault.Unavailable, "Again.").Because(secret), 3, "discarded", 0},
		"told to":     {fault.New(fault.Unavailable, "Wait.").After(time.Minute).Because(secret), 3, "snoozed", time.Minute},
		"unknown":     {secret, 1, "retried", 0},
		"interrupted": {context.Canceled, 1, "interrupted", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, told := end(&rivertype.JobRow{Attempt: c.attempt, MaxAttempts: 3}, c.err)
			require.Equal(t, c.outcome, outcome)
			if c.err == nil {
				require.NoError(t, told)
				return
			}
			require.NotContains(t, told.Error(), "jane")
			if s, ok := errors.AsType[*river.JobSnoozeError](told); ok {
				require.Equal(t, c.snoozed, s.Duration)
				return
			}
			require.Zero(t, c.snoozed)
			_, public := fault.Parse(told.Error())
			require.True(t, public, told.Error())
		})
	}
}

func TestAPanicBecomesAFaultWithoutItsValue(t *testing.T) {
	t.Parallel()
	err := recovered(t.Context(), func(context.Context) error { panic("jane@example.com") })
	require.Equal(t, fault.Unknown, fault.From(err).Code)
	var p *telemetry.Panic
	require.ErrorAs(t, err, &p)
	require.NotContains(t, p.Error()+err.Error(), "jane")
	require.Contains(t, p.Stack(), "TestAPanicBecomesAFaultWithoutItsValue")
}

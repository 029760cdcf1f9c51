package ratelimit_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/ratelimit"
)

func TestParseRateReadsWhatStringWrites(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ratelimit.Rate{
		"1/s":       {Quota: 1, Period: ratelimit.Second},
		"100/m":     {Quota: 100, Period: ratelimit.Minute},
		"10/h":      {Quota: 10, Period: ratelimit.Hour},
		"5/d":       {Quota: 5, Period: ratelimit.Day},
		"1000000/s": {Quota: 1_000_000, Period: ratelimit.Second},
		"off":       {},
	} {
		got, err := ratelimit.ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "0/m", "-1/m", "100", "100/", "100/w", "100/M", " 1/s", "1.5/s", "1000001/s", "60000001/m", "99999999999/h", "Off", "hunter2"} {
		_, err := ratelimit.ParseRate(text)
		require.ErrorContains(t, err, "must look like", text)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestTheDocumentHasTheTable(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/limits.md")
	require.NoError(t, err)
	for _, policy := range ratelimit.Policies() {
		without := "each process counts"
		if policy.Closed {
			without = "refused"
		}
		require.Contains(t, string(document), fmt.Sprintf("\n| `%s` | %s | %s | %s | %s |\n", policy.Class, policy.Default, policy.By, policy.Counts, without))
	}
	require.Equal(t, len(ratelimit.Policies())+2, strings.Count(string(document), "\n|"), "and no row more")
}

func TestLimitsAreReadFromTheEnvironmentAndFromKeys(t *testing.T) {
	t.Parallel()
	var limits ratelimit.Limits
	require.NoError(t, limits.UnmarshalText([]byte("bookings=100/m, payments=off")))
	require.Equal(t, ratelimit.Limits{ratelimit.Bookings: {Quota: 100, Period: ratelimit.Minute}, ratelimit.Payments: {}}, limits)
	require.NoError(t, limits.UnmarshalText([]byte("payments=off")))
	require.False(t, limits.Off())
	require.NoError(t, limits.UnmarshalText([]byte("off")))
	require.True(t, limits.Off())
	require.Len(t, limits, len(ratelimit.Policies()))
	for _, policy := range ratelimit.Policies() {
		require.True(t, limits[policy.Class].Unlimited())
		require.False(t, policy.Default.Unlimited())
	}
	for _, text := range []string{"", "bookings", "bookings=", "hunter2=1/s", "bookings=hunter2", "bookings=1/s,,", "bookings=1/s;payments=1/s"} {
		require.Error(t, limits.UnmarshalText([]byte(text)), text)
		require.NotContains(t, limits.UnmarshalText([]byte(text)).Error(), "hunter2")
	}

	limits, err := ratelimit.ParseLimits(map[string]string{"customers": "3/d"})
	require.NoError(t, err)
	require.Equal(t, ratelimit.Limits{ratelimit.Customers: {Quota: 3, Period: ratelimit.Day}}, limits)
	for _, texts := range []map[string]string{{"hunter2": "1/s"}, {"payments": "hunter2"}, {"failures": "1/s"}} {
		_, err := ratelimit.ParseLimits(texts)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

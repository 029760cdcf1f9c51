package rollup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/rollup"
)

func TestParseStep(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "30s": 30 * time.Second, "60": time.Minute, "5m": 5 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "366d": 366 * 24 * time.Hour,
	} {
		got, err := rollup.ParseStep(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got.Width, text)
	}
	for _, text := range []string{"", "0", "0s", "-1m", "+1m", "1.5h", "h", "m1", "1y", "367d", "53w", "99999999", "1 m", "1m1s", "1M", "９s"} {
		_, err := rollup.ParseStep(text)
		require.Error(t, err, text)
	}
}

// Weeks begin on Monday, everything else at multiples of its width.
func TestStepsBegin(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 13, 7, 9, 0, time.UTC) // a Thursday
	for width, want := range map[time.Duration]time.Time{
		7 * time.Second: time.Unix(at.Unix()/7*7, 0).UTC(), time.Minute: time.Date(2026, 11, 26, 13, 7, 0, 0, time.UTC),
		24 * time.Hour: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), 7 * 24 * time.Hour: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
	} {
		step := rollup.Step{Width: width}
		assert.Equal(t, want, step.Start(at))
		assert.Equal(t, want, step.Start(want))
		assert.Equal(t, want.Add(width), step.Next(want))
	}
}

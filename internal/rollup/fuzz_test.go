package rollup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/rollup"
)

func FuzzParseTags(f *testing.F) {
	for _, seed := range [][2]string{{"region", "eu"}, {" Region ", " EU "}, {"a\x00", "b"}, {"a", "\xff"}, {"a", "\u0000"}, {"", ""}, {"a", "\ufeff"}, {"_", "\u2028"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if normal, ok := rollup.ParseName(name); ok {
			again, ok := rollup.ParseName(normal)
			require.True(t, ok)
			require.Equal(t, normal, again)
		}
		normal, problem := rollup.ParseTags(map[string]string{name: value})
		if problem != "" {
			require.NotContains(t, problem, "\x00")
			return
		}
		again, problem := rollup.ParseTags(normal)
		require.Empty(t, problem)
		require.Equal(t, normal, again)
		for name, value := range normal { // jsonb takes no such text
			require.NotContains(t, name+value, "\x00")
		}
	})
}

func FuzzParseStep(f *testing.F) {
	for _, seed := range []string{"1s", "60", "366d", "1w", "-1s", "+1s", "99999999", "1é", "0x1s", "1_0s"} {
		f.Add(seed, int64(1767225600))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		step, err := rollup.ParseStep(text)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, step.Width, rollup.MinStep)
		require.LessOrEqual(t, step.Width, rollup.MaxStep)
		if seconds < 0 || seconds > 253402300799 { // 1970 to 9999, which is what a query may name
			return
		}
		at := time.Unix(seconds, 0)
		start := step.Start(at)
		require.False(t, start.After(at))
		require.True(t, step.Next(start).After(at))
	})
}

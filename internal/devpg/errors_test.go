package devpg

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExitErrorQuotesWhatMatters(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines []string
		want  string
	}{
		"nothing said": {
			want: "postgres ended with exit status 1 (see /log)",
		},
		"in the normal course of things": {
			lines: []string{"LOG: a", "LOG: b"},
			want:  "postgres ended with exit status 1: LOG: a | LOG: b (see /log)",
		},
		"an error": {
			lines: []string{"LOG: a", "FATAL: b", "HINT: c", "LOG: d"},
			want:  "postgres ended with exit status 1: FATAL: b | HINT: c (see /log)",
		},
		"many": {
			lines: []string{"1", "2", "3", "4", "5"},
			want:  "postgres ended with exit status 1: 2 | 3 | 4 | 5 (see /log)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := &exitError{program: "postgres", how: "exit status 1", lines: test.lines, logFile: "/log"}
			require.EqualError(t, err, test.want)
		})
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	cause := errors.New("a:\n\tb")
	require.EqualError(t, oneLine(cause), "a: b")
	require.ErrorIs(t, oneLine(cause), cause)
}

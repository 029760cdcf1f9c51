package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

func TestPHIScan(t *testing.T) {
	t.Parallel()
	const text = "Für Ada Lovelace, ada@example.com.\nNothing here.\n"
	got := run(t, phiCommand(), text, "scan")
	require.Equal(t, 0, got.code, got.stderr)
	assert.Equal(t, "Für [NAME_1], [EMAIL_1].\nNothing here.\n", got.stdout)
	file := filepath.Join(t.TempDir(), "note.txt")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	assert.Equal(t, got.stdout, run(t, phiCommand(), "", "scan", file).stdout)

	var one scanned
	require.NoError(t, json.Unmarshal([]byte(run(t, phiCommand(), text, "scan", "-", "--json").stdout), &one))
	assert.Equal(t, []phi.Finding{{Type: phi.Name, Start: 4, End: 16}, {Type: phi.Email, Start: 18, End: 33}}, one.Findings, "offsets in code points")
}

func TestPHIScanLines(t *testing.T) {
	t.Parallel()
	lines := `{"text": "Write to ada@example.com or bob@example.com", "more": 1}
{"text": "ok"}
{"text": "Again bob@example.com"}
`
	got := run(t, phiCommand(), lines, "scan", "--jsonl")
	require.Equal(t, 0, got.code, got.stderr)
	printed := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	require.Len(t, printed, 3, "one object a line, in the same order")
	assert.Contains(t, printed[0], `"masked":"Write to [EMAIL_1] or [EMAIL_2]"`)
	assert.JSONEq(t, `{"findings": [], "masked": "ok"}`, printed[1])
	assert.Contains(t, printed[2], "[EMAIL_1]", "each text by itself")
	for _, bad := range []string{"{\"text\": \"a\"}\n[]\n", "{\"text\": \"a\"}\n{\"txt\": \"ada@example.com\"}\n", "{\"text\": \"a\"}\n{\"text\": 5}\n"} {
		got := run(t, phiCommand(), bad, "scan", "--jsonl")
		assert.Equal(t, 1, got.code)
		assert.Contains(t, got.stderr, "standard input: line 2 is not a JSON object with a text")
		assert.NotContains(t, got.stderr, "example.com")
	}
}

func TestPHIEval(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "labelled.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(`{"text": "Write to ada@example.com", "phi": [{"type": "EMAIL", "value": "ada@example.com"}]}
{"text": "Two tablets a day", "phi": []}
`), 0o600))
	got := run(t, phiCommand(), "", "eval", file)
	require.Equal(t, 0, got.code, got.stderr)
	assert.Contains(t, got.stdout, "EMAIL")
	assert.Equal(t, 2, run(t, phiCommand(), "", "eval").code)
	assert.Equal(t, 1, run(t, phiCommand(), "", "eval", file+".gone").code)
}

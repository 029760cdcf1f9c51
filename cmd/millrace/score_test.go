package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/satisfaction"
)

// ratedFile writes dialogues of three moods, with ratings that follow them.
func ratedFile(t *testing.T, name string, dialogues int) string {
	t.Helper()
	moods := []string{"No, that is wrong, I don't want it.", "I need it on %d May.", "Perfect, thank you so much!"}
	var text strings.Builder
	for i := range dialogues {
		mood := (i*i + i/3) % 3
		said, _ := json.Marshal(strings.ReplaceAll(moods[mood], "%d", fmt.Sprint(i%28+1)))
		_, _ = fmt.Fprintf(&text, `{"messages": [{"role": "user", "content": %s}, {"role": "assistant", "content": "I see."}], "overall": [%d, %d, %d]}`+"\n",
			said, mood+2, mood+1+i%2, mood+2-i%2)
	}
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func TestScorePredict(t *testing.T) {
	t.Parallel()
	lines := `{"messages": [{"role": "user", "content": "You are useless! I want my money back."}]}
{"messages": [], "overall": []}
{"messages": [{"role": "user", "content": "Perfect, thank you so much for your help!"}, {"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": "You were great, have a wonderful day!"}], "overall": [5]}
`
	path := filepath.Join(t.TempDir(), "dialogues.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines), 0o600))
	got := run(t, scoreCommand(), "", "predict", path)
	require.Equal(t, 0, got.code, got.stderr)
	type line struct {
		Satisfaction, Rating, Confidence *float64
		Verdict                          satisfaction.Verdict
	}
	var printed []line
	for text := range strings.Lines(got.stdout) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		require.NotNil(t, l.Satisfaction)
		require.NotNil(t, l.Rating)
		require.NotNil(t, l.Confidence)
		printed = append(printed, l)
	}
	require.Len(t, printed, 3, "one object a line, in the file's order")
	assert.Equal(t, satisfaction.Dissatisfied, printed[0].Verdict)
	assert.Equal(t, satisfaction.TooLittle, printed[1].Verdict)
	assert.Equal(t, satisfaction.Satisfied, printed[2].Verdict)

	piped := run(t, scoreCommand(), lines, "predict", "-")
	assert.Equal(t, got.stdout, piped.stdout)
	full := run(t, scoreCommand(), lines, "predict", "-", "--full")
	var score satisfaction.Score
	require.NoError(t, json.Unmarshal([]byte(strings.Split(full.stdout, "\n")[0]), &score))
	assert.InDelta(t, *printed[0].Satisfaction, score.Satisfaction, 1e-9)
	assert.NotEmpty(t, score.Reasons)
}

func TestScoreTrainEvalPredict(t *testing.T) {
	t.Parallel()
	a, b := ratedFile(t, "a.jsonl", 150), ratedFile(t, "b.jsonl", 120)
	to := filepath.Join(t.TempDir(), "model.json")
	trained := run(t, scoreCommand(), "", "train", a, b, "--model-version", "test-1", "--out", to, "--about", "moods")
	require.Equal(t, 0, trained.code, trained.stderr)
	data, err := os.ReadFile(to) //nolint:gosec // a file of the test
	require.NoError(t, err)
	m, err := satisfaction.Load(data)
	require.NoError(t, err)
	require.Equal(t, "test-1", m.Version())
	sources := m.File().Trained
	require.Len(t, sources, 2)
	assert.Equal(t, "moods", sources[0].About)
	assert.Equal(t, 120, sources[1].Dialogues)

	table := run(t, scoreCommand(), "", "eval", a, b, "--model", to)
	require.Equal(t, 0, table.code, table.stderr)
	for _, want := range []string{"one rater", "10-fold", "transferred", "AUC", "a.jsonl", "150", "b.jsonl", "trained on a.jsonl and b.jsonl"} {
		assert.Contains(t, table.stdout, want)
	}
	assert.Equal(t, strings.Split(trained.stdout, "\nmodel")[0], strings.Split(table.stdout, "\nmodel")[0], "training prints what eval measures")
	var quality satisfaction.Quality
	asJSON := run(t, scoreCommand(), "", "eval", a, "--json")
	require.NoError(t, json.Unmarshal([]byte(asJSON.stdout), &quality))
	assert.False(t, quality.Seen, "the program's own model was not trained on this")
	assert.Greater(t, quality.CrossValidated, 0.5)
	assert.Zero(t, quality.Transferred, "there is no other file")
}

func TestScoreRefuses(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	require.NoError(t, os.WriteFile(bad, []byte("{\"messages\": []}\nnot JSON\n"), 0o600))
	few := ratedFile(t, "few.jsonl", 5)
	for want, args := range map[string][]string{
		"FILE is missing":           {"eval"},
		"--model-version and --out": {"train", few},
		"line 2":                    {"predict", bad},
		"at least 100":              {"eval", few},
		"the file cannot be used":   {"predict", few + ".gone"},
		"--about is given 2 times":  {"train", few, "--model-version", "1", "--out", few + ".out", "--about", "a", "--about", "b"},
		"satisfaction: model":       {"predict", few, "--model", few},
	} {
		got := run(t, scoreCommand(), "", args...)
		assert.NotZero(t, got.code, want)
		assert.Contains(t, got.stderr, want)
	}
	_, err := os.Stat(few + ".out")
	require.ErrorIs(t, err, os.ErrNotExist)
}

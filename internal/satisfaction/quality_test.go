package satisfaction

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpearman(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 1, spearman([]float64{1, 2, 30}, []float64{-5, 0, 1}), 1e-12)
	assert.InDelta(t, -1, spearman([]float64{1, 2, 30}, []float64{3, 2, 1}), 1e-12)
	// Ties at their mean rank: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4; by hand
	// 4.5 / sqrt(4.5 * 5).
	assert.InDelta(t, 4.5/math.Sqrt(22.5), spearman([]float64{1, 2, 2, 3}, []float64{1, 2, 3, 4}), 1e-12)
	assert.Zero(t, spearman([]float64{2, 2, 2}, []float64{1, 2, 3}), "a constant agrees with nothing")
}

func TestAUC(t *testing.T) {
	t.Parallel()
	ratings := []float64{2, 2.9, 3, 4}
	assert.InDelta(t, 1, auc([]float64{1, 2, 3, 4}, ratings), 1e-12)
	assert.InDelta(t, 0, auc([]float64{4, 3, 2, 1}, ratings), 1e-12)
	assert.InDelta(t, 0.5, auc([]float64{7, 7, 7, 7}, ratings), 1e-12)
	assert.InDelta(t, 0.75, auc([]float64{1, 3, 2, 4}, ratings), 1e-12)
	assert.InDelta(t, 0.5, auc([]float64{1, 2}, []float64{4, 5}), 1e-12, "nobody is dissatisfied")
}

func TestOneRater(t *testing.T) {
	t.Parallel()
	var same, unlike []Dialogue
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	for i := range 500 {
		r := float64(1 + i%5)
		same = append(same, Dialogue{Ratings: []float64{r, r, r}})
		unlike = append(unlike, Dialogue{Ratings: []float64{float64(1 + random.IntN(5)), float64(1 + random.IntN(5)), float64(1 + random.IntN(5))}})
	}
	assert.InDelta(t, 1, oneRater(same), 1e-12)
	assert.InDelta(t, 0, oneRater(unlike), 0.1)
}

func TestNonNegativeRidge(t *testing.T) {
	t.Parallel()
	// One feature: w = x·y / (x·x + penalty).
	x := []float64{-1, 0, 1}
	assert.InDelta(t, 4.0/(2+2), nonNegativeRidge([][]float64{x}, []float64{-2, 0, 2}, 2)[0], 1e-9)
	// Of the wrong sign: held at 0, and the other takes what it can.
	w := nonNegativeRidge([][]float64{{1, -1, 1, -1}, {1, 1, -1, -1}}, []float64{-3, 3, -3, 3}, 0.5)
	assert.Zero(t, w[0])
	assert.Zero(t, w[1])
	w = nonNegativeRidge([][]float64{{1, -1, 1, -1}, {1, 1, -1, -1}}, []float64{1, 3, -3, -1}, 0)
	assert.InDeltaSlice(t, []float64{0, 2}, w, 1e-9)
}

// rated makes a dataset in which the rating follows what the user says, or, with
// follow false, nothing.
func rated(n int, seed uint64, follow bool) Dataset {
	random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // no secret
	said := [][]string{
		{"No, that is wrong.", "I don't want that.", "Is there another one?", "Not really.", "Can you look again?"},
		{"Is there one in the north?", "What does it cost?", "I need it on Friday.", "The blue one, please.", "When is it open?"},
		{"Thank you so much!", "That sounds great!", "Perfect, I will take it.", "Wonderful, thanks for your help!", "Oh nice, I love it!"},
	}
	set := Dataset{Source: Source{Name: fmt.Sprint(seed)}}
	for range n {
		mood := random.IntN(3)
		var d Dialogue
		for range 3 + random.IntN(6) {
			from := said[mood]
			if random.IntN(3) == 0 {
				from = said[1]
			}
			d.Messages = append(d.Messages, Message{Role: User, Content: from[random.IntN(len(from))]},
				Message{Role: Assistant, Content: "Let me see what there is."})
		}
		for range 3 {
			rating := float64(random.IntN(5) + 1)
			if follow {
				rating = min(max(float64(mood+2)+random.NormFloat64(), 1), 5)
			}
			d.Ratings = append(d.Ratings, rating)
		}
		set.Dialogues = append(set.Dialogues, d)
	}
	set.Source.Dialogues = n
	return set
}

func TestTrainLearns(t *testing.T) {
	t.Parallel()
	sets := []Dataset{rated(300, 1, true), rated(300, 2, true)}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m, err := Train("test", sets, now)
	require.NoError(t, err)
	for _, q := range m.File().Quality {
		assert.True(t, q.Seen)
		assert.Greater(t, q.CrossValidated, 0.6)
		assert.LessOrEqual(t, q.CrossValidatedLowest, q.CrossValidated)
		assert.GreaterOrEqual(t, q.CrossValidatedMost, q.CrossValidated)
		assert.Greater(t, q.Transferred, 0.6)
		assert.Greater(t, q.AUC, 0.8)
		assert.Less(t, q.Error, q.ErrorOfMean)
		assert.Greater(t, q.OneRater, 0.2)
	}
	// Calibrated: over all dialogues, estimates and ratings have one mean.
	var predicted, wanted []float64
	for _, d := range append(sets[0].Dialogues, sets[1].Dialogues...) {
		e, _ := m.Estimate(d.Messages)
		r, _ := d.Rating()
		predicted, wanted = append(predicted, e.Rating), append(wanted, r)
	}
	assert.InDelta(t, mean(wanted), mean(predicted), 0.05)

	again, err := Train("test", sets, now)
	require.NoError(t, err)
	assert.Equal(t, m.File(), again.File(), "training is repeatable")
}

// Cross-validation that leaked would find an agreement where there is none.
func TestCrossValidationDoesNotLeak(t *testing.T) {
	t.Parallel()
	sum := 0.0
	const sets = 5
	for seed := range uint64(sets) {
		table := tabulate(rated(200, 10+seed, false).Dialogues)
		predicted, _ := crossValidate(table, 0)
		sum += spearman(predicted, table.ratings)
	}
	assert.Less(t, sum/sets, 0.1)
}

// Every weight has the sign that its feature stands for, even if the data say
// otherwise.
func TestTrainingKeepsSigns(t *testing.T) {
	t.Parallel()
	set := rated(300, 3, true)
	for i := range set.Dialogues {
		for j, r := range set.Dialogues[i].Ratings {
			set.Dialogues[i].Ratings[j] = 6 - r
		}
	}
	m, err := Train("upside down", []Dataset{set}, time.Now())
	require.NoError(t, err)
	for i, f := range features() {
		assert.GreaterOrEqual(t, m.weights[i]*f.sign, 0.0, f.name)
	}
}

func TestDefaultModel(t *testing.T) {
	t.Parallel()
	file := Default().File()
	assert.NotEmpty(t, file.Version)
	assert.NotEmpty(t, file.Method)
	require.Len(t, file.Quality, len(file.Trained))
	moved := 0
	for _, w := range file.Features {
		if w.Weight != 0 {
			moved++
		}
	}
	assert.Greater(t, moved, 30)
	for _, q := range file.Quality {
		assert.Greater(t, q.CrossValidated, q.OneRater, "the score agrees with people more than one of them does")
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	whole := string(modelJSON)
	for name, text := range map[string]string{
		"not JSON":         "x",
		"unknown member":   `{"weights": 1}`,
		"no features":      `{"version": "1", "rating": 3}`,
		"no version":       strings.Replace(whole, `"version": "`+Default().Version()+`"`, `"version": ""`, 1),
		"the wrong sign":   strings.Replace(whole, `"weight": -`, `"weight": `, 1),
		"an odd feature":   strings.Replace(whole, `"features": [`, `"features": [{"feature": "luck", "mean": 0, "weight": 1},`, 1),
		"an absurd rating": strings.Replace(whole, `"rating": `, `"rating": 9`, 1),
	} {
		_, err := Load([]byte(text))
		require.Error(t, err, name)
	}
	_, err := Load(modelJSON)
	require.NoError(t, err)
}

func TestReadDataset(t *testing.T) {
	t.Parallel()
	line := `{"messages": [{"role": "user", "content": "Hello", "ratings": [3]}, {"role": "assistant", "content": "Hi", "at": "2026-01-02T03:04:05Z"}], "overall": [3, 4]}` + "\n"
	unrated := `{"messages": [{"role": "user", "content": "Hello"}]}` + "\n"
	set, err := ReadDataset("x.jsonl", strings.NewReader(strings.Repeat(line, 100)+"\n"+unrated))
	require.NoError(t, err)
	assert.Len(t, set.Dialogues, 100)
	assert.Equal(t, 100, set.Source.Dialogues)
	assert.Len(t, set.SHA256, 64)
	rating, ok := set.Dialogues[0].Rating()
	assert.True(t, ok)
	assert.InDelta(t, 3.5, rating, 1e-12)
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), set.Dialogues[0].Messages[1].At)

	for text, want := range map[string]string{
		line:         "at least 100",
		line + "{\n": "x.jsonl: line 2",
		line + `{"messages": [{"role": "robot", "content": ""}]}`:      "line 2: message 0: the role",
		strings.Replace(line, "[3, 4]", "[3, 9]", 1):                   "line 1: a rating",
		`{"messages": "private words of a person", "overall": [3, 4]}`: "line 1: is not",
	} {
		_, err := ReadDataset("x.jsonl", strings.NewReader(text))
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "private")
	}
}

package phi_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

func TestEvaluate(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/labelled.jsonl")
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // read only
	report, err := phi.Evaluate(file)
	require.NoError(t, err)
	require.Equal(t, phi.Report{
		Texts: 5,
		Labels: []phi.Score{
			{Label: "DATE", Count: 1, Masked: 1, Covered: 1},
			{Label: "GEOGRAPHIC_LOCATION", Count: 1, Masked: 1, Covered: 1},
			{Label: "NAME", Count: 3, Masked: 2, Covered: 1}, // "Dr." stays, and qqfoo is missed
		},
		Total:     phi.Score{Label: "all", Count: 5, Masked: 4, Covered: 3},
		Findings:  5,
		Right:     4,
		Negatives: 3,
		Touched:   1,
	}, report)
	require.InDelta(t, 0.8, report.Total.Recall(), 1e-9)
	require.InDelta(t, 0.6, report.Total.Coverage(), 1e-9)
	require.InDelta(t, 0.8, report.Precision(), 1e-9)
	require.InDelta(t, 1.0/3, report.NegativesTouched(), 1e-9)
	require.Equal(t, strings.TrimPrefix(`
label                             count  masked  covered
DATE                                  1   1.000    1.000
GEOGRAPHIC_LOCATION                   1   1.000    1.000
NAME                                  3   0.667    0.333
all                                   5   0.800    0.600
5 texts, 5 findings, precision 0.800
3 texts without a label, touched 1 (33.3 %)
`, "\n"), report.String())
}

func TestEvaluateRefuses(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"":                         "no texts",
		"\n\n":                     "no texts",
		`{"text": "a"}` + "\n{":    "line 2",
		`{"phi": []}`:              "line 1: no text",
		`{"text": 1, "phi": "no"}`: "line 1",
	} {
		report, err := phi.Evaluate(strings.NewReader(input))
		require.ErrorContains(t, err, want)
		require.Zero(t, report)
	}
}

func TestSharesOfNothing(t *testing.T) {
	t.Parallel()
	var report phi.Report
	require.InDelta(t, 1, report.Total.Recall(), 0)
	require.InDelta(t, 1, report.Precision(), 0)
	require.InDelta(t, 0, report.NegativesTouched(), 0)
}

package phi_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

// sentence is a line of testdata/sentences.txt.
type sentence struct {
	text   string
	labels []phi.Finding
}

func sentences(t *testing.T, name string) (all []sentence) {
	t.Helper()
	file, err := os.Open(name) //nolint:gosec // a file of the test's own
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // read only
	for lines := bufio.NewScanner(file); lines.Scan(); {
		rest := strings.ReplaceAll(lines.Text(), `\n`, "\n")
		if strings.HasPrefix(rest, "#") {
			continue
		}
		var one sentence
		for rest != "" {
			before, label, found := strings.Cut(rest, "{")
			one.text += before
			if !found {
				break
			}
			label, rest, found = strings.Cut(label, "}")
			typ, value, ok := strings.Cut(label, " ")
			require.True(t, found && ok, "%s: %s", name, lines.Text())
			require.Contains(t, phi.Types(), phi.Type(typ))
			start := utf8.RuneCountInString(one.text)
			one.text += value
			one.labels = append(one.labels, phi.Finding{Type: phi.Type(typ), Start: start, End: start + utf8.RuneCountInString(value)})
		}
		all = append(all, one)
	}
	return all
}

// evaluated is what Evaluate says of sentences, and how many labels a finding has
// exactly, with or without their type.
func evaluated(t *testing.T, all []sentence) (report phi.Report, exact, typed float64) {
	t.Helper()
	type value struct {
		Type  phi.Type `json:"type"`
		Value string   `json:"value"`
	}
	var input strings.Builder
	labels, spans, types := 0, 0, 0
	for _, s := range all {
		points := codePoints(s.text)
		var values []value
		found := phi.Find(s.text)
		for _, l := range s.labels {
			values = append(values, value{l.Type, strings.Join(points[l.Start:l.End], "")})
			for _, f := range found {
				if f.Start == l.Start && f.End == l.End {
					spans++
					if f.Type == l.Type {
						types++
					}
				}
			}
			labels++
		}
		require.NoError(t, json.NewEncoder(&input).Encode(map[string]any{"text": s.text, "phi": values}))
	}
	report, err := phi.Evaluate(strings.NewReader(input.String()))
	require.NoError(t, err)
	return report, float64(spans) / float64(labels), float64(types) / float64(labels)
}

func TestSentencesInOtherStyles(t *testing.T) {
	t.Parallel()
	for name, least := range map[string]struct {
		numbers, dates, names, places, all, exact, typed float64
		touched                                          float64
	}{
		"testdata/sentences.txt": {numbers: 0.98, dates: 0.97, names: 0.93, places: 0.97, all: 0.96, exact: 0.92, typed: 0.90, touched: 0.05},
		"testdata/unseen.txt":    {numbers: 0.97, dates: 0.92, names: 0.94, places: 0.95, all: 0.95, exact: 0.89, typed: 0.87, touched: 0.04},
	} {
		report, exact, typed := evaluated(t, sentences(t, name))
		t.Logf("%s\n%sexact %.3f, with the type %.3f", name, report, exact, typed)
		var numbers phi.Score
		for _, score := range report.Labels {
			switch phi.Type(score.Label) { //nolint:exhaustive // the rest are numbers and addresses
			case phi.Date:
				require.GreaterOrEqual(t, score.Recall(), least.dates, name)
			case phi.Name:
				require.GreaterOrEqual(t, score.Recall(), least.names, name)
			case phi.Location:
				require.GreaterOrEqual(t, score.Recall(), least.places, name)
			default:
				numbers.Count += score.Count
				numbers.Masked += score.Masked
			}
		}
		require.GreaterOrEqual(t, numbers.Recall(), least.numbers, name)
		require.GreaterOrEqual(t, report.Total.Recall(), least.all, name)
		require.GreaterOrEqual(t, exact, least.exact, name)
		require.GreaterOrEqual(t, typed, least.typed, name)
		require.LessOrEqual(t, report.NegativesTouched(), least.touched, name)
	}
}

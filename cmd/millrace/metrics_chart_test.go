package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/rollup"
)

func drawn(values []float64, aggregate rollup.Aggregate, width, height int) string {
	from := noon().Truncate(time.Hour)
	c := chart{
		title: "cpu", aggregate: aggregate, step: "1m", values: values, from: from, to: from.Add(time.Duration(len(values)) * time.Minute),
		width: width, height: height,
	}
	return c.String()
}

func TestAChartRisesWithItsValues(t *testing.T) {
	t.Parallel()
	rows := lines(drawn([]float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "avg", 10, 9))
	require.GreaterOrEqual(t, len(rows), 10)
	assert.Contains(t, rows[0], "9.0")
	assert.Contains(t, rows[9], "0.0")
	before := 1000
	for i, row := range rows[:10] {
		at := strings.IndexAny(row, "╭╯─")
		if i > 0 && at >= 0 {
			assert.LessOrEqual(t, at, before, "the greater, the more to the right: %s", row)
		}
		if at >= 0 {
			before = at
		}
	}
	text := strings.Join(rows, "\n")
	assert.Contains(t, text, "avg of cpu every 1m, 2030-01-31T12:00:00Z to 2030-01-31T12:10:00Z")
	assert.Contains(t, text, "min 0  max 9  last 9")
	assert.Contains(t, text, "12:00:00")
}

func TestAChartHasGaps(t *testing.T) {
	t.Parallel()
	none := math.NaN()
	rows := lines(drawn([]float64{1, 1, none, none, none, none, 1, 1, 1, 1}, "avg", 10, 2))
	line := ""
	for _, row := range rows[:3] {
		if strings.Contains(row, "─") {
			line = row
		}
	}
	assert.Regexp(t, `─╴ {4}╶|─╴ {3}╶`, line)
	assert.Empty(t, drawn([]float64{none, none}, "avg", 10, 2), "there is nothing to draw")
	for _, lonely := range [][]float64{{7}, {none, 7, none}, {none, none, 7}} {
		assert.Contains(t, drawn(lonely, "avg", 12, 3), "min 7  max 7  last 7")
	}
}

func TestAChartKeepsPeaks(t *testing.T) {
	t.Parallel()
	values := make([]float64, 1000)
	values[500] = 100
	for aggregate, top := range map[rollup.Aggregate]bool{"max": true, "p99": true, "avg": false} {
		rows := lines(drawn(values, aggregate, 20, 10))
		assert.Equal(t, top, strings.ContainsAny(rows[0], "╭╮"), aggregate)
	}
}

func TestAChartTakesAnyNumbers(t *testing.T) {
	t.Parallel()
	for _, values := range [][]float64{
		{1e300, -1e300, 0}, {1e15, 1e15 + 1}, {1e-9, 2e-9, 3e-9}, {-5, -5, -5}, {0, 0}, {0.1, 0.2}, {251643, 3203510}, {-0.001, 0.001},
	} {
		text := drawn(values, "avg", 30, 5)
		assert.NotContains(t, text, "NaN")
		assert.NotContains(t, text, "Inf")
		assert.Contains(t, text, "max ")
		for _, row := range lines(text) {
			assert.LessOrEqual(t, len([]rune(row)), 90, row)
		}
	}
	assert.Contains(t, drawn([]float64{251643, 3203510}, "avg", 30, 5), "max 3203510 ")
}

func TestStepsFollowTheWidth(t *testing.T) {
	t.Parallel()
	for want, span := range map[string]time.Duration{"1m": time.Hour, "30m": 24 * time.Hour, "3h": 7 * 24 * time.Hour, "1w": 365 * 24 * time.Hour, "52w": 100 * 365 * 24 * time.Hour} {
		assert.Equal(t, want, stepOf(span/60), span)
	}
	none := math.NaN()
	for want, values := range map[int][]float64{1: {none}, 5: {1, none, none, none, none, 2, none, none, none, none, 3, 4}, 2: {1, none, 1, none, 1}} {
		c := chart{values: values}
		assert.Equal(t, want, c.spread())
	}
}

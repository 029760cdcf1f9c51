package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"

	"millrace/internal/rollup"
)

// chart is a series that is drawn with characters.
type chart struct {
	title         string
	aggregate     rollup.Aggregate
	step          string
	values        []float64 // of the buckets in order, NaN for those without
	points        int64     // in all buckets
	from, to      time.Time // of the first bucket and of the one after the last
	width, height int
}

// Bounds of a chart, in characters.
const (
	minChartWidth, maxChartWidth   = 10, 500
	minChartHeight, maxChartHeight = 2, 200
	// chartMargin is what stands left of the line: a label and the axis.
	chartMargin = 14
)

// String draws the chart.
func (c *chart) String() string {
	least, most, last := c.extremes()
	if math.IsInf(least, 0) {
		return ""
	}
	columns := c.columns()
	span := most - least
	// The values are scaled here: the library computes with whole numbers, which
	// great values do not fit into. The half keeps a constant line off the axis.
	drawn := make([]float64, len(columns))
	for i, v := range columns {
		switch {
		case span > 0 || math.IsNaN(v):
			drawn[i] = (v - least) / span * float64(c.height)
		default:
			drawn[i] = float64(c.height) / 2
		}
	}
	label := func(y float64) string {
		if span == 0 {
			if y == float64(c.height)/2 {
				return short(least, span)
			}
			return ""
		}
		return short(least+y/float64(c.height)*span, span)
	}
	graph := asciigraph.Plot(
		drawn, asciigraph.LowerBound(0), asciigraph.UpperBound(float64(c.height)), asciigraph.YAxisValueFormatter(label),
		asciigraph.XAxisRange(seconds(c.from), seconds(c.to)-c.to.Sub(c.from).Seconds()/float64(len(columns))),
		asciigraph.XAxisTickCount(max(2, min(5, len(columns)/18+1))), asciigraph.XAxisValueFormatter(c.time),
	)
	return fmt.Sprintf("%s\n\n%s of %s every %s, %s to %s\nmin %s  max %s  last %s\n", graph, c.aggregate, c.title, c.step,
		stamp(c.from), stamp(c.to), exactly(least), exactly(most), exactly(last))
}

// columns brings the buckets to the chart's width. A column of several buckets has
// their extreme where the aggregate is one, so that no peak is lost, else their mean.
func (c *chart) columns() []float64 {
	columns := make([]float64, c.width)
	for i := range columns {
		first := i * len(c.values) / c.width
		after := max(first+1, (i+1)*len(c.values)/c.width)
		columns[i] = c.together(c.values[first:after])
	}
	return columns
}

func (c *chart) together(values []float64) float64 {
	together, n := math.NaN(), 0
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			continue
		case n == 0:
			together = v
		case c.aggregate == "min":
			together = min(together, v)
		case c.aggregate == "max" || c.aggregate == "p95" || c.aggregate == "p99":
			together = max(together, v)
		default:
			together += (v - together) / float64(n+1)
		}
		n++
	}
	return together
}

// extremes are those of the buckets; they are infinite when all are empty.
func (c *chart) extremes() (least, most, last float64) {
	least, most, last = math.Inf(1), math.Inf(-1), math.NaN()
	for _, v := range c.values {
		if !math.IsNaN(v) {
			least, most, last = min(least, v), max(most, v), v
		}
	}
	return least, most, last
}

func seconds(at time.Time) float64 { return float64(at.Unix()) }

// time is a label of the time axis, as exact as its length wants.
func (c *chart) time(at float64) string {
	layout := time.DateOnly
	switch span := c.to.Sub(c.from); {
	case span <= 10*time.Minute:
		layout = time.TimeOnly
	case span <= 24*time.Hour:
		layout = "15:04"
	case span <= 30*24*time.Hour:
		layout = "01-02 15:04"
	}
	return time.Unix(int64(at), 0).UTC().Format(layout)
}

// short is a value as an axis shows it: with as many decimals as tell labels
// apart, or a power of ten.
func short(v, span float64) string {
	if magnitude := math.Abs(v); magnitude >= 1e9 || span >= 1e9 || span > 0 && span < 1e-4 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	decimals := 0
	if span > 0 {
		decimals = max(0, min(6, 2-int(math.Floor(math.Log10(span)))))
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// exactly is a value with all its digits.
func exactly(v float64) string {
	if magnitude := math.Abs(v); magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// autoSteps are what a step is chosen from.
func autoSteps() []string {
	return []string{
		"1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "2d", "1w", "2w", "4w", "13w", "26w", "52w",
	}
}

// stepOf is the shortest of the autoSteps that is not shorter than width, if any is.
func stepOf(width time.Duration) string {
	steps := autoSteps()
	for _, step := range steps {
		if parsed, err := rollup.ParseStep(step); err == nil && parsed.Width >= width {
			return step
		}
	}
	return steps[len(steps)-1]
}

// spread is how many steps lie between a bucket that has points and the next one, for
// most of them. With more than one, each stands alone between gaps.
func (c *chart) spread() int {
	var gaps []int
	before := -1
	for i, v := range c.values {
		if math.IsNaN(v) {
			continue
		}
		if before >= 0 {
			gaps = append(gaps, i-before)
		}
		before = i
	}
	if len(gaps) == 0 {
		return 1
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

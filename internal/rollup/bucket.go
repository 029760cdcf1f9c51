package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// RelativeError is by how much of its value a quantile may be off (DDSketch,
// Masson, Rim and Lee, VLDB 2019).
const RelativeError = 0.01

// sketchError is what sketches are made for: a little less, so that rounding keeps
// within RelativeError.
const sketchError = 0.0095

// MaxValue bounds the magnitude of a point's value, so that no sum overflows.
const MaxValue = 1e300

// Summary is what the points of one series in a span of time come down to. Two
// summaries merge into that of all their points; everything but the quantiles is
// exact, in whatever order points came. The zero value is no use: NewSummary.
type Summary struct {
	Count    int64
	Min, Max float64
	// First and Last are the values of the earliest and of the latest point, which
	// were at FirstAt and LastAt (Unix time, microseconds). Of points at the same
	// time, the least is first and the greatest last.
	First, Last     float64
	FirstAt, LastAt int64

	sum    Sum
	sketch *ddsketch.DDSketch
}

// indexMapping is that of all sketches: sketches of different ones do not merge.
func indexMapping() mapping.IndexMapping {
	m, err := mapping.NewCubicallyInterpolatedMapping(sketchError)
	if err != nil {
		panic(err) // the error of a relative error outside (0, 1)
	}
	return m
}

// NewSummary returns an empty summary.
func NewSummary() *Summary {
	return &Summary{sketch: ddsketch.NewDDSketchFromStoreProvider(indexMapping(), store.BufferedPaginatedStoreConstructor)}
}

// Reset empties a summary and keeps its memory.
func (s *Summary) Reset() {
	sum, sketch := s.sum, s.sketch
	sum.reset()
	sketch.Clear()
	*s = Summary{sum: sum, sketch: sketch}
}

// Add adds a point.
func (s *Summary) Add(at int64, value float64) {
	s.extremes(1, value, value, value, value, at, at)
	s.sum.Add(value)
	_ = s.sketch.Add(value) // fails for NaN and beyond 1e308, which no point is
}

func (s *Summary) extremes(count int64, least, most, first, last float64, firstAt, lastAt int64) {
	if s.Count == 0 {
		s.Min, s.Max, s.First, s.Last, s.FirstAt, s.LastAt = least, most, first, last, firstAt, lastAt
		s.Count = count
		return
	}
	s.Count += count
	s.Min, s.Max = min(s.Min, least), max(s.Max, most)
	if firstAt < s.FirstAt || firstAt == s.FirstAt && first < s.First {
		s.First, s.FirstAt = first, firstAt
	}
	if lastAt > s.LastAt || lastAt == s.LastAt && last > s.Last {
		s.Last, s.LastAt = last, lastAt
	}
}

// Merge adds the points of another summary.
func (s *Summary) Merge(other *Summary) {
	if other.Count == 0 {
		return
	}
	s.extremes(other.Count, other.Min, other.Max, other.First, other.Last, other.FirstAt, other.LastAt)
	s.sum.Merge(other.sum.parts)
	_ = s.sketch.MergeWith(other.sketch) // fails for another mapping, of which there is one
}

// Sum is the exact sum, rounded once.
func (s *Summary) Sum() float64 { return s.sum.Value() }

// Avg is the mean, NaN of an empty summary.
func (s *Summary) Avg() float64 { return s.Sum() / float64(s.Count) }

// Quantile returns the value at q from 0 to 1, within RelativeError of the value of
// the point at rank q (Count - 1), rounded up or down, and never outside Min and
// Max. It is NaN of an empty summary.
func (s *Summary) Quantile(q float64) float64 {
	v, err := s.sketch.GetValueAtQuantile(q)
	if err != nil {
		return math.NaN()
	}
	return min(max(v, s.Min), s.Max)
}

// stateVersion is the first byte of a state.
const stateVersion = 1

// AppendState appends what MergeState needs beside the public fields: the exact
// sum and the sketch.
func (s *Summary) AppendState(to []byte) []byte {
	to = append(to, stateVersion, byte(len(s.sum.parts))) //nolint:gosec // at most 40: 2,100 bits by 53
	for _, part := range s.sum.parts {
		to = binary.LittleEndian.AppendUint64(to, math.Float64bits(part))
	}
	s.sketch.Encode(&to, true)
	return to
}

// MergeStored adds the points of a summary that was written down: other's public
// fields, and state.
func (s *Summary) MergeStored(other Summary, state []byte) error {
	if len(state) < 2 || state[0] != stateVersion || len(state) < 2+8*int(state[1]) {
		return errors.New("rollup: a bucket's state is of another version")
	}
	if other.Count == 0 {
		return nil
	}
	s.extremes(other.Count, other.Min, other.Max, other.First, other.Last, other.FirstAt, other.LastAt)
	n := int(state[1])
	for i := range n {
		s.sum.Add(math.Float64frombits(binary.LittleEndian.Uint64(state[2+8*i:])))
	}
	if err := s.sketch.DecodeAndMergeWith(state[2+8*n:]); err != nil {
		return fmt.Errorf("rollup: a bucket's sketch: %w", err)
	}
	return nil
}

// Resolution is a width of buckets.
type Resolution struct {
	// Name is as in 1m.
	Name  string
	Width time.Duration
}

// The resolutions that are kept. Days follow UTC.
//
//nolint:gochecknoglobals // constants
var (
	Minute = Resolution{"1m", time.Minute}
	Hour   = Resolution{"1h", time.Hour}
	Day    = Resolution{"1d", 24 * time.Hour}
)

// Resolutions lists them, the finest first; each is a multiple of the one before.
func Resolutions() []Resolution { return []Resolution{Minute, Hour, Day} }

// resolutions is how many there are.
const resolutions = 3

// Start is when the bucket that holds a moment begins; both in Unix time,
// microseconds.
func (r Resolution) Start(at int64) int64 {
	width := r.Width.Microseconds()
	start := at - at%width
	if start > at { // before 1970
		start -= width
	}
	return start
}

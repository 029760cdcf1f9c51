package rollup

import (
	"cmp"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func source(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // the same in every run
}

// values of many magnitudes and both signs, with repeats.
func values(random *rand.Rand, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		switch random.IntN(6) {
		case 0:
			all[i] = float64(random.IntN(10)) - 5
		case 1:
			all[i] = random.NormFloat64() * math.Pow(10, float64(random.IntN(40)-20))
		case 2:
			all[i] = MaxValue * (random.Float64()*2 - 1)
		case 3:
			all[i] = 0.1
		case 4:
			all[i] = -0.1
		default:
			all[i] = random.ExpFloat64() * 1000
		}
	}
	return all
}

// exactly is the sum as arithmetic without rounding has it, rounded at the end.
func exactly(all []float64) float64 {
	sum := new(big.Float).SetPrec(4000)
	for _, v := range all {
		sum.Add(sum, new(big.Float).SetPrec(4000).SetFloat64(v))
	}
	rounded, _ := sum.Float64()
	return rounded
}

func TestSumIsExactInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := source(seed)
		all := values(random, 1+random.IntN(200))
		want := exactly(all)
		for range 3 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			var whole, left, right Sum
			cut := random.IntN(len(all))
			for i, v := range all {
				whole.Add(v)
				if i < cut {
					left.Add(v)
				} else {
					right.Add(v)
				}
			}
			left.Merge(right.parts)
			require.Equal(t, want, whole.Value()) //nolint:testifylint // exactly, not about
			require.Equal(t, want, left.Value())  //nolint:testifylint // exactly, not about
		}
	}
	assert.Zero(t, new(Sum).Value())
}

// A naive sum of these is 0, and rounding twice gets the second one wrong.
func TestSumKeepsWhatRoundingLoses(t *testing.T) {
	t.Parallel()
	for _, all := range [][]float64{{1e16, 1, -1e16}, {1, math.Pow(2, -53), math.Pow(2, -106)}, {1e300, 1, -1e300, 1e-300}} {
		var s Sum
		for _, v := range all {
			s.Add(v)
		}
		assert.Equal(t, exactly(all), s.Value()) //nolint:testifylint // exactly, not about
	}
}

type point struct {
	at    int64
	value float64
}

// check compares a summary with its points, sorted anew.
func check(t *testing.T, s *Summary, points []point) {
	t.Helper()
	var all []float64
	for _, p := range points {
		all = append(all, p.value)
	}
	slices.Sort(all)
	byTime := slices.SortedFunc(slices.Values(points), func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.value, b.value))
	})
	require.EqualValues(t, len(points), s.Count)
	require.Equal(t, []float64{all[0], all[len(all)-1], byTime[0].value, byTime[len(byTime)-1].value, exactly(all)},
		[]float64{s.Min, s.Max, s.First, s.Last, s.Sum()})
	require.Equal(t, []int64{byTime[0].at, byTime[len(byTime)-1].at}, []int64{s.FirstAt, s.LastAt})
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
		rank, got := q*float64(len(all)-1), s.Quantile(q)
		near := func(want float64) bool { return math.Abs(got-want) <= math.Abs(want)*RelativeError }
		require.True(t, near(all[int(math.Floor(rank))]) || near(all[int(math.Ceil(rank))]), "q %v: %v in %v", q, got, all)
	}
}

func TestSummariesMerge(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := source(seed)
		all := values(random, 1+random.IntN(300))
		parts := make([]*Summary, 1+random.IntN(5))
		for i := range parts {
			parts[i] = NewSummary()
		}
		var points []point
		for _, v := range all {
			p := point{int64(random.IntN(20)) - 10, v}
			points = append(points, p)
			parts[random.IntN(len(parts))].Add(p.at, p.value)
		}
		merged, stored := NewSummary(), NewSummary()
		for _, part := range parts {
			merged.Merge(part)
			plain := *part
			require.NoError(t, stored.MergeStored(plain, part.AppendState(nil)))
		}
		check(t, merged, points)
		check(t, stored, points)
		merged.Reset()
		merged.Add(5, -2)
		check(t, merged, []point{{5, -2}})
	}
}

func TestMergeStoredRefuses(t *testing.T) {
	t.Parallel()
	full := NewSummary()
	full.Add(1, 2)
	state := full.AppendState(nil)
	for n := range 10 { // up to the end of the sum
		require.Error(t, NewSummary().MergeStored(*full, state[:n]), "cut after %d of %d bytes", n, len(state))
	}
	state[0]++
	require.ErrorContains(t, NewSummary().MergeStored(*full, state), "version")
}

func TestResolutions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC).UnixMicro()
	for r, want := range map[Resolution]time.Time{
		Minute: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC),
		Hour:   time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC),
		Day:    time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC),
	} {
		assert.Equal(t, want.UnixMicro(), r.Start(at), r.Name)
		assert.Equal(t, want.UnixMicro(), r.Start(want.UnixMicro()), r.Name)
		assert.Equal(t, -r.Width.Microseconds(), r.Start(-1), "before 1970")
	}
	all := Resolutions()
	for i := 1; i < len(all); i++ {
		assert.Zero(t, all[i].Width%all[i-1].Width)
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	random := source(9)
	for range 100 {
		var samples []Sample
		for _, v := range values(random, random.IntN(50)) {
			samples = append(samples, Sample{Series: random.Int64(), At: random.Int64() - math.MaxInt64/2, Value: v})
		}
		chunk := AppendChunk(nil, samples)
		got, err := ReadChunk(nil, chunk)
		require.NoError(t, err)
		require.Equal(t, samples, got)
		for n := range len(chunk) {
			_, err := ReadChunk(nil, chunk[:n])
			require.Error(t, err, "cut")
		}
		_, err = ReadChunk(nil, append(chunk, 0))
		require.Error(t, err, "longer than it says")
	}
}

func FuzzReadChunk(f *testing.F) {
	f.Add([]byte{1, 0})
	f.Add(AppendChunk(nil, []Sample{{1, 2, 3}, {-4, 5, -6}}))
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, chunk []byte) {
		samples, err := ReadChunk(nil, chunk)
		if err != nil {
			return
		}
		again, err := ReadChunk(nil, AppendChunk(nil, samples))
		require.NoError(t, err)
		require.Len(t, again, len(samples))
	})
}

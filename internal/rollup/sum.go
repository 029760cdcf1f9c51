package rollup

import "math"

// Sum adds float64s without losing anything: it keeps the exact sum as a few
// numbers that do not overlap (Shewchuk, Adaptive Precision Floating-Point
// Arithmetic, 1997), so that it is the same in whatever order, and however
// grouped, numbers were added. The zero value is an empty sum. It holds for
// numbers up to MaxValue.
type Sum struct{ parts []float64 }

// Add adds x.
func (s *Sum) Add(x float64) {
	kept := 0
	for _, y := range s.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			s.parts[kept] = low
			kept++
		}
		x = high
	}
	s.parts = append(s.parts[:kept], x)
}

// Merge adds what the other sum has added.
func (s *Sum) Merge(parts []float64) {
	for _, part := range parts {
		s.Add(part)
	}
}

// Value is the float64 nearest to the exact sum, ties to even.
func (s *Sum) Value() float64 {
	n := len(s.parts)
	if n == 0 {
		return 0
	}
	n--
	high, low := s.parts[n], 0.0
	for n > 0 {
		x := high
		n--
		y := s.parts[n]
		high = x + y
		if low = y - (high - x); low != 0 {
			break
		}
	}
	// Half way between two float64s, what is left decides.
	if n > 0 && (low < 0 && s.parts[n-1] < 0 || low > 0 && s.parts[n-1] > 0) {
		y := 2 * low
		if x := high + y; x-high == y {
			high = x
		}
	}
	return high
}

func (s *Sum) reset() { s.parts = s.parts[:0] }

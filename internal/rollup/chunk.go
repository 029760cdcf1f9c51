package rollup

import (
	"encoding/binary"
	"errors"
	"math"
)

// Sample is one value of a series, whose id the tenant's table of series knows, at
// a Unix time in microseconds.
type Sample struct {
	Series int64
	At     int64
	Value  float64
}

// chunkVersion is the first byte of a chunk.
const chunkVersion = 1

// AppendChunk appends samples in the form that they are kept in: their number,
// and for each its series and time as the difference to the one before (zigzag
// varint) and its value (IEEE 754, 8 bytes).
func AppendChunk(to []byte, samples []Sample) []byte {
	to = append(to, chunkVersion)
	to = binary.AppendUvarint(to, uint64(len(samples)))
	var before Sample
	for _, s := range samples {
		to = binary.AppendVarint(to, s.Series-before.Series)
		to = binary.AppendVarint(to, s.At-before.At)
		to = binary.LittleEndian.AppendUint64(to, math.Float64bits(s.Value))
		before = s
	}
	return to
}

var errChunk = errors.New("rollup: a chunk is damaged or of another version")

// ReadChunk appends the samples of a chunk.
func ReadChunk(samples []Sample, chunk []byte) ([]Sample, error) {
	if len(chunk) == 0 || chunk[0] != chunkVersion {
		return samples, errChunk
	}
	count, n := binary.Uvarint(chunk[1:])
	if n <= 0 || count > uint64(len(chunk)) {
		return samples, errChunk
	}
	chunk = chunk[1+n:]
	var before Sample
	for range count {
		series, n := binary.Varint(chunk)
		if n <= 0 {
			return samples, errChunk
		}
		at, m := binary.Varint(chunk[n:])
		if m <= 0 || len(chunk) < n+m+8 {
			return samples, errChunk
		}
		before = Sample{
			Series: before.Series + series, At: before.At + at,
			Value: math.Float64frombits(binary.LittleEndian.Uint64(chunk[n+m:])),
		}
		samples = append(samples, before)
		chunk = chunk[n+m+8:]
	}
	if len(chunk) != 0 {
		return samples, errChunk
	}
	return samples, nil
}

// Package rollup holds what a metric is: points and their rules, the series that
// they belong to, and the buckets of minutes, hours and days that they are folded
// into. It knows no job queue and no HTTP.
package rollup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"millrace/internal/fault"
)

// Bounds of a request and its points.
const (
	MaxPoints   = 10_000
	MaxTags     = 16
	MaxTagValue = 200 // characters
	// MaxAhead is how far in the future a point may be: clocks differ.
	MaxAhead = 10 * time.Minute
	// maxExact is beyond which a float64 does not hold every integer.
	maxExact = 1 << 53
)

// Request is what a client submits.
type Request struct {
	Points []Point `json:"points" doc:"The points, in any order." minItems:"1" maxItems:"10000"`
}

// Point is one measurement.
type Point struct {
	Name  string            `json:"name" doc:"What is measured. Case does not matter." minLength:"1" maxLength:"128" pattern:"^[A-Za-z_][A-Za-z0-9_.:/-]*$" example:"checkout.latency"`
	Value json.Number       `json:"value" doc:"The measurement, up to 1e300; integers up to 2^53, beyond which numbers are not exact any more." example:"12.5"`
	Tags  map[string]string `json:"tags,omitzero" doc:"What tells series of one name apart; up to 16, with names like the metric's of up to 64 characters, and values of up to 200." example:"{\"region\":\"eu\"}"`
	At    time.Time         `json:"at,omitzero" doc:"When it was measured; now when absent. It may be late by years, and ahead by ten minutes."`
}

// Series is what a point belongs to, normalised.
type Series struct {
	Name string            `json:"name" example:"checkout.latency"`
	Tags map[string]string `json:"tags"`

	// hash is that of Key, as far as it was computed before.
	hash *[sha256.Size]byte
}

// Key is equal for equal series of a tenant and for no others.
func (s Series) Key() string {
	var key strings.Builder
	key.WriteString(s.Name)
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		key.WriteByte(0)
		key.WriteString(name)
		key.WriteByte(0)
		key.WriteString(s.Tags[name])
	}
	return key.String()
}

// keyHash is SHA-256 of Key.
func (s Series) keyHash() [sha256.Size]byte {
	if s.hash != nil {
		return *s.hash
	}
	return sha256.Sum256([]byte(s.Key()))
}

// Measured is a point that obeys the rules.
type Measured struct {
	Series Series
	// At is Unix time in microseconds.
	At    int64
	Value float64
	// Untimed says that the point came without a time, and At is when it came.
	Untimed bool
}

// Hash is SHA-256 over what points say: equal for requests that ask for the same,
// however they spell it.
func Hash(points []Measured) [sha256.Size]byte {
	hash := sha256.New()
	var buffer []byte
	for _, p := range points {
		at := p.At
		if p.Untimed {
			at = -1 // as no point of 1970 and later is
		}
		key := p.Series.keyHash()
		buffer = append(buffer[:0], key[:]...)
		buffer = binary.BigEndian.AppendUint64(buffer, uint64(at)) //nolint:gosec // any bits will do
		buffer = binary.BigEndian.AppendUint64(buffer, math.Float64bits(p.Value))
		hash.Write(buffer)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// Names of metrics and tags have at most so many characters.
const (
	maxName    = 128
	maxTagName = 64
)

// named reports whether a text is a name: a-z, 0-9, _ . : / and -, of which the
// first is a letter or _.
func named(text string, most int) bool {
	if text == "" || len(text) > most {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c == '_' {
			continue
		}
		if i == 0 || (c < '0' || c > '9') && c != '.' && c != ':' && c != '/' && c != '-' {
			return false
		}
	}
	return true
}

// Check returns the points normalised. The error is an INVALID_INPUT fault that
// names the first points that break a rule by their index.
func (r Request) Check(now time.Time) ([]Measured, error) {
	var fields fault.Fields
	fields.Check(len(r.Points) > 0, "points", "must have at least one point")
	fields.Check(len(r.Points) <= MaxPoints, "points", fmt.Sprintf("must have at most %d points", MaxPoints))
	if err := fields.Err(); err != nil {
		return nil, err
	}
	measured := make([]Measured, len(r.Points))
	broken := 0
	for i, p := range r.Points {
		m, field, problem := p.check(now)
		if problem != "" {
			fields.Add(fmt.Sprintf("points[%d].%s", i, field), problem)
			if broken++; broken == maxProblems {
				break
			}
		}
		measured[i] = m
	}
	return measured, fields.Err()
}

// maxProblems is how many points' problems are told.
const maxProblems = 20

func (p Point) check(now time.Time) (m Measured, field, problem string) {
	if m.Series, field, problem = normalise(p.Name, p.Tags); problem != "" {
		return m, field, problem
	}
	if m.Value, problem = number(string(p.Value)); problem != "" {
		return m, "value", problem
	}
	at := p.At
	if at.IsZero() {
		at, m.Untimed = now, true
	}
	if at.After(now.Add(MaxAhead)) {
		return m, "at", "must not be in the future"
	}
	if at.Year() < 1970 {
		return m, "at", "must not be before 1970"
	}
	m.At = at.UnixMicro()
	return m, "", ""
}

// normalise makes the series of a name and tags; else it names the field, and what is
// wrong with it.
func normalise(name string, tags map[string]string) (s Series, field, problem string) {
	s.Name = strings.ToLower(strings.TrimSpace(name))
	if !named(s.Name, maxName) {
		return s, "name", "must be 1 to 128 of a-z, 0-9, _ . : / and -, and begin with a letter or _"
	}
	if s.Tags, problem = normaliseTags(tags); problem != "" {
		return s, "tags", problem
	}
	hash := s.keyHash()
	s.hash = &hash
	return s, "", ""
}

func number(text string) (value float64, problem string) {
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case text == "":
		return 0, "is required"
	case err != nil || math.IsNaN(value) || math.Abs(value) > MaxValue:
		return 0, "must be a finite number of at most 1e300"
	case math.Abs(value) >= maxExact && !strings.ContainsAny(text, ".eE") && !exact(text):
		return 0, "must be at most 2^53 when it is an integer: larger ones would be rounded; write it as 1e16 if that is meant"
	}
	return value + 0, "" // -0 is 0
}

// exact reports whether an integer is within ±2^53.
func exact(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n >= -maxExact && n <= maxExact
}

func normaliseTags(tags map[string]string) (normal map[string]string, problem string) {
	if len(tags) == 0 {
		return nil, ""
	}
	if len(tags) > MaxTags {
		return nil, fmt.Sprintf("must be at most %d", MaxTags)
	}
	normal = make(map[string]string, len(tags))
	for name, value := range tags {
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !named(name, maxTagName) {
			return nil, "must have names of 1 to 64 of a-z, 0-9, _ . : / and -, that begin with a letter or _"
		}
		if _, twice := normal[name]; twice {
			return nil, "must have names that differ by more than case"
		}
		if value == "" || utf8.RuneCountInString(value) > MaxTagValue || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Sprintf("must have values of 1 to %d characters, without control characters", MaxTagValue)
		}
		normal[name] = value
	}
	return normal, ""
}

package rollup

import (
	"sync"
	"time"
	"unicode/utf8"

	"millrace/internal/strictjson"
)

// Reader reads requests. It is safe for concurrent use.
//
// Points come by the hundred thousand a second, and mostly in one form: what an
// encoder writes, without escapes. That form is read in one pass, and what makes the
// series of a point is looked up by its spelling. Anything else, all that is wrong
// among it, is read by package strictjson and Request.Check, which say what is wrong;
// a test holds both ways to the same answers.
type Reader struct {
	known spellings
}

// NewReader returns a reader.
func NewReader() *Reader { return &Reader{} }

// Read decodes a request and returns its points normalised. The error is an
// INVALID_INPUT fault.
func (r *Reader) Read(body []byte, now time.Time) ([]Measured, error) {
	if measured, ok := r.readPlain(body, now); ok {
		return measured, nil
	}
	var request Request
	if err := strictjson.Decode(body, &request); err != nil {
		return nil, err
	}
	return request.Check(now)
}

// readPlain reads a request in plain form; ok is false for any other.
func (r *Reader) readPlain(body []byte, now time.Time) (measured []Measured, ok bool) {
	s := scanner{data: body}
	if !s.next('{') || string(s.text()) != "points" || !s.next(':') || !s.next('[') {
		return nil, false
	}
	measured = make([]Measured, 0, min(len(body)/48+1, MaxPoints))
	var spelling []byte
	latest := now.Add(MaxAhead).UnixMicro()
	for {
		p, ok := s.point()
		if !ok || len(measured) == MaxPoints {
			return nil, false
		}
		spelling = append(append(append(spelling[:0], p.name...), '"'), p.tags...)
		series, ok := r.series(spelling, p)
		if !ok {
			return nil, false
		}
		m := Measured{Series: series, At: p.at}
		if !p.timed {
			m.At, m.Untimed = now.UnixMicro(), true
		}
		var problem string
		if m.Value, problem = number(string(p.value)); problem != "" || m.At >= latest {
			return nil, false
		}
		measured = append(measured, m)
		if s.next(',') {
			continue
		}
		if !s.next(']') || !s.next('}') || !s.end() {
			return nil, false
		}
		return measured, true
	}
}

// series returns the series of a point, which is looked up by its spelling.
func (r *Reader) series(spelling []byte, p plainPoint) (Series, bool) {
	if series, ok := r.known.get(spelling); ok {
		return series, true
	}
	var tags map[string]string
	if p.tags != nil {
		var ok bool
		if tags, ok = plainTags(p.tags); !ok {
			return Series{}, false
		}
	}
	if !utf8.Valid(spelling) {
		return Series{}, false
	}
	series, _, problem := normalise(string(p.name), tags)
	if problem != "" {
		return Series{}, false
	}
	r.known.add(string(spelling), series)
	return series, true
}

// plainTags reads an object that the scanner has taken for one of plain texts.
func plainTags(object []byte) (map[string]string, bool) {
	tags := map[string]string{}
	s := scanner{data: object}
	for s.next('{') || s.next(',') {
		if len(tags) == 0 && s.next('}') {
			return tags, true
		}
		name := string(s.text())
		if _, twice := tags[name]; twice || !s.next(':') {
			return nil, false
		}
		tags[name] = string(s.text())
	}
	return tags, true
}

// plainPoint is a point whose texts are those of the request.
type plainPoint struct {
	name, value []byte
	tags        []byte // the object; nil when there is none
	at          int64
	timed       bool
}

// scanner reads JSON of which it knows what comes. What it takes is JSON; not all
// JSON is taken.
type scanner struct {
	data []byte
	at   int
}

// next skips white space and then the character, if it is there.
func (s *scanner) next(c byte) bool {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case c:
			s.at++
			return true
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return false
		}
	}
	return false
}

// end skips white space and reports whether nothing else is left.
func (s *scanner) end() bool {
	for s.skip(' ') || s.skip('\t') || s.skip('\n') || s.skip('\r') {
	}
	return s.at == len(s.data)
}

// text takes a string without escapes, which may be invalid UTF-8; nil when there is
// none.
func (s *scanner) text() []byte {
	if !s.next('"') {
		return nil
	}
	for i, c := range s.data[s.at:] {
		if c == '"' {
			text := s.data[s.at : s.at+i : s.at+i]
			s.at += i + 1
			return text
		}
		if c < 0x20 || c == '\\' {
			return nil
		}
	}
	return nil
}

// Members of a point, as bits.
const (
	memberName = 1 << iota
	memberValue
	memberTags
	memberAt
)

func (s *scanner) point() (p plainPoint, ok bool) {
	if !s.next('{') {
		return p, false
	}
	for seen := 0; ; {
		member := 0
		name := s.text()
		if !s.next(':') {
			return p, false
		}
		switch string(name) {
		case "name":
			member = memberName
			p.name = s.text()
			ok = p.name != nil
		case "value":
			member = memberValue
			p.value, ok = s.number()
		case "tags":
			member = memberTags
			p.tags, ok = s.texts()
		case "at":
			member = memberAt
			p.at, ok = plainTime(s.text())
			p.timed = true
		default:
			return p, false
		}
		if !ok || seen&member != 0 {
			return p, false
		}
		seen |= member
		if s.next(',') {
			continue
		}
		return p, s.next('}')
	}
}

// texts takes an object whose members are strings.
func (s *scanner) texts() (object []byte, ok bool) {
	if !s.next('{') {
		return nil, false
	}
	from := s.at - 1
	for empty := true; ; empty = false {
		if empty && s.next('}') {
			break
		}
		if s.text() == nil || !s.next(':') || s.text() == nil {
			return nil, false
		}
		if s.next('}') {
			break
		}
		if !s.next(',') {
			return nil, false
		}
	}
	return s.data[from:s.at:s.at], true
}

// number takes a number (RFC 8259, section 6).
func (s *scanner) number() (text []byte, ok bool) {
	if s.end() {
		return nil, false
	}
	from := s.at
	s.skip('-')
	whole := s.at
	if !s.digits() || s.data[whole] == '0' && s.at > whole+1 {
		return nil, false
	}
	if s.skip('.') && !s.digits() {
		return nil, false
	}
	if s.skip('e') || s.skip('E') {
		_ = s.skip('+') || s.skip('-')
		if !s.digits() {
			return nil, false
		}
	}
	return s.data[from:s.at:s.at], true
}

func (s *scanner) skip(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.data) && s.data[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > from
}

// plainTime reads a time of RFC 3339 with up to nine decimals, from 1970 on, as Unix
// time in microseconds.
func plainTime(text []byte) (at int64, ok bool) {
	const form = "0000-00-00T00:00:00"
	if len(text) < len(form)+1 {
		return 0, false
	}
	for i := range len(form) {
		if digit := text[i]-'0' <= 9; digit != (form[i] == '0') || !digit && text[i] != form[i] {
			return 0, false
		}
	}
	two := func(i int) int { return int(text[i]-'0')*10 + int(text[i+1]-'0') }
	year, month, dayOfMonth := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if year < 1971 || month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > 28 && dayOfMonth > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false // of 1970 an offset may go back behind it
	}
	at = time.Date(year, time.Month(month), dayOfMonth, hour, minute, second, 0, time.UTC).UnixMicro()
	rest := text[len(form):]
	if rest[0] == '.' {
		n := 1
		unit := int64(100_000)
		for n < len(rest) && rest[n]-'0' <= 9 {
			at += int64(rest[n]-'0') * unit
			unit /= 10
			n++
		}
		if n == 1 || n > 10 || n == len(rest) {
			return 0, false
		}
		rest = rest[n:]
	}
	if len(rest) == 1 && rest[0] == 'Z' {
		return at, true
	}
	if len(rest) != len("+00:00") || rest[0] != '+' && rest[0] != '-' || rest[3] != ':' {
		return 0, false
	}
	for _, i := range []int{1, 2, 4, 5} {
		if rest[i]-'0' > 9 {
			return 0, false
		}
	}
	hours, minutes := int64(rest[1]-'0')*10+int64(rest[2]-'0'), int64(rest[4]-'0')*10+int64(rest[5]-'0')
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := (hours*60 + minutes) * time.Minute.Microseconds()
	if rest[0] == '-' {
		offset = -offset
	}
	return at - offset, true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// spellings remembers series by how they were written, in bounded memory: when one
// half is full the other half, of what was not asked for since, is forgotten.
type spellings struct {
	mu         sync.RWMutex
	fresh, old map[string]Series
	size       int
}

// maxSpelled is how many bytes of spellings a half holds.
const maxSpelled = 16 << 20

func (s *spellings) get(spelling []byte) (Series, bool) {
	s.mu.RLock()
	series, ok := s.fresh[string(spelling)]
	if ok {
		s.mu.RUnlock()
		return series, true
	}
	series, ok = s.old[string(spelling)]
	s.mu.RUnlock()
	if ok {
		s.add(string(spelling), series)
	}
	return series, ok
}

// overhead is about what an entry takes beside its spelling, in bytes.
const overhead = 400

func (s *spellings) add(spelling string, series Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh == nil || s.size > maxSpelled {
		s.fresh, s.old, s.size = map[string]Series{}, s.fresh, 0
	}
	s.fresh[spelling] = series
	s.size += 2*len(spelling) + overhead
}

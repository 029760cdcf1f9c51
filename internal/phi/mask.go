package phi

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Masker replaces identifiers by placeholders such as [NAME_1]. The same value has
// the same placeholder in every text that one Masker masks; values of one type that
// differ only in case, spaces and punctuation are the same, and so are the names that
// can be one person's only: Ada Lovelace, Ada L., lovelace. Words of a name are found in
// later texts too, in any case unless they are everyday words. The zero value is ready
// to use. It holds what it has masked, and the words of some 4,000 names; it is not safe
// for concurrent use.
type Masker struct {
	numbers map[string]int
	taken   map[placeholder]bool
	last    [kinds]int
	key     []byte
	people  people
	known   map[uint64]struct{} // words of names, hashed
}

// placeholder is what stands for one value.
type placeholder struct {
	kind   kind
	number int
}

// Mask returns the text with every finding replaced, and the findings, whose
// offsets are those of the text before. It returns the text itself when there are
// none. Masking what was masked changes nothing; a placeholder that stands in the
// text already is left alone, and its number goes to no other value.
func (m *Masker) Mask(text string) (masked string, found []Finding) {
	s := borrow()
	defer s.release()
	spans := m.scan(s, text)
	if len(spans) == 0 {
		return text, nil
	}
	var b strings.Builder
	b.Grow(len(text))
	at := 0
	for _, sp := range spans {
		b.WriteString(text[at:sp.start])
		b.WriteByte('[')
		b.WriteString(string(sp.kind.typ()))
		b.WriteByte('_')
		b.WriteString(strconv.Itoa(m.number(sp.kind, text[sp.start:sp.end])))
		b.WriteByte(']')
		at = sp.end
	}
	b.WriteString(text[at:])
	return b.String(), findings(text, spans)
}

// Read learns from a text what Mask would, and masks nothing: its names are found in
// texts that are masked later, and the placeholders in it go to no value. Reading all
// texts before masking the first lets what comes later explain what came before.
func (m *Masker) Read(text string) {
	s := borrow()
	defer s.release()
	m.scan(s, text)
}

// scan scans a text and remembers its placeholders, and its names if they were looked
// for in all of it: not if it has several blocks.
func (m *Masker) scan(s *scanner, text string) []span {
	spans := s.scan(text, m.known)
	for _, p := range s.placeholders {
		if m.taken == nil {
			m.taken = make(map[placeholder]bool)
		}
		m.taken[p] = true
	}
	if len(text) > blockSize {
		return spans
	}
	for _, word := range s.fresh {
		if len(m.known) == maxKnown {
			break
		}
		if m.known == nil {
			m.known = make(map[uint64]struct{})
		}
		m.known[word] = struct{}{}
	}
	return spans
}

// number returns the number of a value.
func (m *Masker) number(k kind, value string) int {
	m.key = essence(append(m.key[:0], byte(k)), value)
	if n, ok := m.numbers[string(m.key)]; ok {
		return n
	}
	if m.numbers == nil {
		m.numbers = make(map[string]int)
	}
	if k == kindName {
		if n, ok := m.people.find(value); ok {
			m.numbers[string(m.key)] = n
			return n
		}
	}
	m.last[k]++
	for m.taken[placeholder{k, m.last[k]}] {
		m.last[k]++
	}
	m.numbers[string(m.key)] = m.last[k]
	if k == kindName {
		m.people.add(value, m.last[k])
	}
	return m.last[k]
}

// essence appends what remains of a value without case, spaces and punctuation, or
// the value when nothing does.
func essence(b []byte, value string) []byte {
	before := len(b)
	for i := 0; i < len(value); {
		switch c := value[i]; bytesClasses[c] {
		case 'a', 'A':
			b = append(b, c|0x20)
			i++
		case '0':
			b = append(b, c)
			i++
		case 'h':
			r, size := utf8.DecodeRuneInString(value[i:])
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
				b = utf8.AppendRune(b, unicode.ToLower(r))
			}
			i += size
		default:
			i++
		}
	}
	if len(b) == before {
		return append(b, value...)
	}
	return b
}

// maxPlaceholder bounds the digits of a placeholder's number.
const maxPlaceholder = 9

// parsePlaceholder reads the placeholder that a text starts with.
func parsePlaceholder(text string) (p placeholder, size int, ok bool) {
	for k, typ := range Types() {
		rest, is := strings.CutPrefix(text[1:], string(typ)+"_")
		if !is {
			continue
		}
		n := 0
		for n < len(rest) && n <= maxPlaceholder && '0' <= rest[n] && rest[n] <= '9' {
			p.number = 10*p.number + int(rest[n]-'0')
			n++
		}
		if n == 0 || n > maxPlaceholder || n == len(rest) || rest[n] != ']' {
			return p, 0, false
		}
		p.kind = kind(k)
		return p, len("[") + len(typ) + len("_") + n + len("]"), true
	}
	return p, 0, false
}

package phi

// phase orders the rules: what has a form comes before what has a context, so that
// the name in an address does not break the address.
type phase uint8

const (
	phaseAddress phase = iota // of mail, web and network
	phaseNumber
	phaseHouse // hospitals and streets, before the towns that are in their names
	phasePlace
	phaseName

	lastPhase = phaseName
)

// phases is a set of them: bit 1<<p for phase p.
type phases uint8

const (
	ofMarks   phases = 1 << phaseAddress
	ofNumbers phases = 1<<phaseAddress | 1<<phaseNumber | 1<<phaseHouse | 1<<phasePlace
)

// phasesOf returns the phases of which a rule may apply at a word.
func phasesOf(t *token) (p phases) {
	if t.flags&(scheme|domain) != 0 {
		p |= 1 << phaseAddress
	}
	if t.flags&(month|weekday|weekdayAbb|ninety) != 0 {
		p |= 1 << phaseNumber
	}
	if t.flags&(facility|premises|street|streetAbb) != 0 {
		p |= 1 << phaseHouse
	}
	if t.upper != lower || t.flags&(place|placeHead|avenida) != 0 {
		p |= 1 << phasePlace
	}
	if t.upper != lower && t.flags&(english|given|family) != english || t.flags&(title|naming|kin|greeting|givenCommon) != 0 {
		p |= 1 << phaseName
	}
	return p
}

// match applies the rules of a phase at a token.
func (s *scanner) match(i int32, p phase) (m match, ok bool) {
	t := &s.tokens[i]
	switch p {
	case phaseAddress:
		switch {
		case t.class == isMark && t.mark == '@':
			return s.email(i)
		case t.class == isMark:
			return s.colons(i)
		case t.class == isNumber:
			return s.ipv4(i)
		case t.flags&scheme != 0:
			return s.url(i)
		}
		return s.domain(i)
	case phaseNumber:
		if t.class == isNumber {
			return s.number(i)
		}
		if t.flags&ninety != 0 {
			return s.spelledAge(i)
		}
		return s.calendar(i)
	case phaseHouse:
		if t.class == isNumber {
			return s.postal(i)
		}
		return s.building(i)
	case phasePlace:
		if t.class == isNumber {
			return s.postal(i)
		}
		return s.place(i)
	case phaseName:
		if m, ok = s.name(i); ok || t.phases&remembered == 0 {
			return m, ok
		}
		return s.again(i)
	}
	return m, false
}

// next returns the token behind one, and a stop behind a stop.
func (s *scanner) next(i int32) int32 {
	if s.tokens[i].class == isStop {
		return i
	}
	return s.tokens[i].next
}

// prev returns the token before one, and a stop before a stop.
func (s *scanner) prev(i int32) int32 {
	if s.tokens[i].class == isStop {
		return i
	}
	return s.tokens[i].prev
}

// string returns a token's text.
func (s *scanner) string(i int32) string { return s.text[s.tokens[i].start:s.tokens[i].end] }

// length returns the bytes of a token.
func (s *scanner) length(i int32) int { return int(s.tokens[i].end - s.tokens[i].start) }

// is tells whether a token is a certain character.
func (s *scanner) is(i int32, mark byte) bool {
	return s.tokens[i].class == isMark && s.tokens[i].mark == mark
}

// glued tells whether a token follows the one before without a gap.
func (s *scanner) glued(i int32) bool {
	return s.tokens[i].gap == noGap && s.tokens[i].class != isStop
}

// has tells whether a token is a word with one of some flags.
func (s *scanner) has(i int32, f flags) bool { return s.tokens[i].flags&f != 0 }

// capital tells whether a token is a word that starts with a capital.
func (s *scanner) capital(i int32) bool {
	return s.tokens[i].class == isWord && (s.tokens[i].upper == capital || s.tokens[i].upper == allUpper)
}

// equal tells whether a token is a word, given in lower case.
func (s *scanner) equal(i int32, word string) bool {
	t := &s.tokens[i]
	if t.class != isWord || int(t.end-t.start) != len(word) {
		return false
	}
	for n := range len(word) {
		if s.text[int(t.start)+n]|0x20 != word[n] {
			return false
		}
	}
	return true
}

// value returns what a number of at most nine digits is worth, else -1.
func (s *scanner) value(i int32) int {
	if s.tokens[i].class != isNumber || s.length(i) > 9 {
		return -1
	}
	n := 0
	for _, c := range []byte(s.string(i)) {
		n = 10*n + int(c-'0')
	}
	return n
}

// chunk returns the bounds of the letters and digits around a token that stand
// together, joined by no more than one hyphen, dot, slash or underscore each.
func (s *scanner) chunk(i int32) (first, last int32) {
	first, last = i, i
	for range reach / 2 {
		p := s.prev(first)
		if !s.glued(first) {
			break
		}
		if s.joint(p) && s.glued(p) && s.solid(s.prev(p)) {
			p = s.prev(p)
		}
		if !s.solid(p) {
			break
		}
		first = p
	}
	for range reach / 2 {
		q := s.next(last)
		if !s.glued(q) {
			break
		}
		if s.joint(q) && s.glued(s.next(q)) {
			q = s.next(q)
		}
		if !s.solid(q) {
			break
		}
		last = q
	}
	return first, last
}

func (s *scanner) joint(i int32) bool {
	return s.is(i, '-') || s.is(i, '.') || s.is(i, '/') || s.is(i, '_')
}

func (s *scanner) solid(i int32) bool {
	return s.tokens[i].class == isWord || s.tokens[i].class == isNumber
}

// between returns the text from one token to another, both included.
func (s *scanner) between(first, last int32) string {
	return s.text[s.tokens[first].start:s.tokens[last].end]
}

package phi

import "strings"

// join makes one finding of the tokens from first to last, unless one of them is
// a placeholder, which stays what it is.
func (s *scanner) join(first, last int32) {
	if first == last {
		return
	}
	k := s.tokens[last].kind
	if s.tokens[first].class == isFound {
		k = s.tokens[first].kind
	}
	for i := first; ; i = s.tokens[i].next {
		if t := &s.tokens[i]; t.class == isStop || t.class == isFound && (t.fixed || t.kind != k) {
			return
		}
		if i == last {
			break
		}
	}
	s.found(match{first, last, k})
}

// joinable tells whether a token is a finding of a kind that may become part of
// a longer one.
func (s *scanner) joinable(i int32, k kind) bool {
	t := &s.tokens[i]
	return t.class == isFound && t.kind == k && !t.fixed
}

// dayOf joins a day of the week with the date beside it: Friday, 14 March.
func (s *scanner) dayOf(i int32) {
	p := s.prev(i)
	if s.is(p, ',') || s.is(p, '.') || s.equal(p, "the") {
		p = s.prev(p)
	}
	if s.joinable(p, kindDate) && s.dayName(p) && strings.ContainsAny(s.string(i), "0123456789") {
		s.join(p, i)
		return
	}
	q := s.next(i)
	for n := 0; n < 2 && (s.is(q, ',') || n == 0 && s.is(q, '.') || s.equal(q, "the")); n++ {
		q = s.next(q)
	}
	if s.joinable(q, kindDate) && s.dayName(i) && strings.ContainsAny(s.string(q), "0123456789") {
		s.join(i, q)
	}
}

// dayName tells whether a finding is the name of a day of the week.
func (s *scanner) dayName(i int32) bool {
	word := s.string(i)
	return len(word) <= len("wednesday") && s.words.lookUp(s.chain(word, 0))&(weekday|weekdayAbb) != 0
}

// address joins what is found with what belongs to the same address: a street with
// its town, a town with its state, and the ZIP code behind them.
func (s *scanner) address(i int32) {
	first := i
	if c := s.prev(first); s.is(c, ',') && s.numbered(s.prev(c)) {
		first = s.prev(c)
	}
	if p := s.prev(i); s.joinable(p, kindLocation) && s.tokens[i].gap == spaces && !s.coded(i) {
		first = p // Riverside Methodist; Calle Mayor 5, 28013 Madrid
	}
	if c := s.codeBefore(i); c != i {
		first = c
		if c := s.prev(first); s.is(c, ',') && s.numbered(s.prev(c)) {
			first = s.prev(c)
		}
	}
	last := i
	for range 4 {
		end, ok := s.addressPart(first, last)
		if !ok {
			break
		}
		last = end
	}
	s.join(first, last)
}

// addressPart returns the end of what follows in an address that goes from a token
// to another so far.
func (s *scanner) addressPart(first, last int32) (end int32, ok bool) {
	q := s.next(last)
	comma := s.is(q, ',')
	if comma {
		q = s.next(q)
	}
	switch {
	case s.tokens[q].gap == newline:
		return last, false
	case s.tokens[q].class == isNumber && !comma:
		// an Indian PIN
		r := s.next(q)
		return q, s.length(q) == 6 && !s.has(r, unit) && (!s.glued(r) || s.ends(r))
	case s.has(q, stateCode) && s.tokens[q].upper == allUpper && s.length(s.next(q)) == 4 && s.tokens[s.next(q)].class == isNumber:
		return s.next(q), true // VIC 3550
	case s.joinable(q, kindLocation):
		return q, s.coded(q) || !comma && s.tokens[q].gap == spaces || comma && s.numbered(first)
	case !s.has(q, regionHead|stateCode) || s.coded(last) || s.numberFollows(q):
		return last, false
	case s.length(q) == 2 && (s.tokens[q].upper != allUpper || !comma && !s.coded(s.next(q))):
		return last, false
	}
	end, ok = s.phrase(q, stateCode)
	after := s.next(end)
	return end, ok && s.tokens[q].upper != lower && (!s.capital(after) || !s.has(after, facility|premises)) && (comma || s.coded(after))
}

// numbered tells whether a finding is a street with the number of a house, or a box.
func (s *scanner) numbered(i int32) bool {
	return s.joinable(i, kindLocation) && strings.ContainsAny(s.string(i), "0123456789") && !s.coded(i)
}

// endsInCode tells whether a finding is a street and a postcode, which a town follows.
func (s *scanner) endsInCode(i int32) bool {
	if !s.numbered(i) {
		return false
	}
	_, code, ok := strings.Cut(s.string(i), ", ")
	return ok && len(code) == 5 && strings.Trim(code, "0123456789") == ""
}

// coded tells whether a finding is a ZIP code or a postcode.
func (s *scanner) coded(i int32) bool {
	if !s.joinable(i, kindLocation) || s.length(i) < 5 || s.length(i) > len("12345-6789") {
		return false
	}
	code := s.string(i)
	return bytesClasses[code[len(code)-1]] == '0' || bytesClasses[code[len(code)-3]] == '0'
}

// codeBefore returns the first token of the postcode before a town, as it stands in
// much of Europe: 50674 Köln, 1016 EK Amsterdam.
func (s *scanner) codeBefore(town int32) int32 {
	p := s.prev(town)
	if s.tokens[town].gap != spaces || s.coded(town) {
		return town
	}
	digits := 5
	if s.tokens[p].class == isWord && s.tokens[p].upper == allUpper && s.length(p) == 2 && s.tokens[p].gap == spaces {
		p, digits = s.prev(p), 4
	}
	q := s.prev(p)
	if s.tokens[p].class == isNumber && s.length(p) == digits && !s.glued(p) && (s.is(q, ',') || s.is(q, ':') || s.is(q, ';') || s.tokens[p].gap == newline || s.tokens[q].class == isStop) {
		return p
	}
	return town
}

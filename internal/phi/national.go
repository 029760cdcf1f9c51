package phi

import "strings"

// national finds numbers of persons of other countries by their forms: the CPF of
// Brazil and the NIR of France, whose check digits must fit, and the National
// Insurance number of the United Kingdom (https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110).
func (s *scanner) national(i int32) (m match, ok bool) {
	if p := s.prev(i); s.glued(i) && s.tokens[p].class != isWord {
		return m, false
	}
	g := s.groups(i)
	switch {
	case g.n == 3 && g.is("2 2 2"):
		return s.insurance(i, g.last)
	case g.n == 1 && g.is("6"):
		return s.insurance(i, i)
	case s.glued(i) && s.length(i) == 2:
		return s.plateUK(i)
	case s.glued(i):
		return m, false
	case g.n == 4 && g.is("3.3.3-2"):
		var digits [11]byte
		n := 0
		for _, at := range g.at[:g.n] {
			n += copy(digits[n:], s.string(at))
		}
		return match{i, g.last, kindSSN}, cpf(digits)
	case g.n >= 6 && g.lengths()[:6] == "122233" && strings.IndexByte("12", s.text[s.tokens[i].start]) >= 0:
		g.cut(min(g.n, 7))
		if g.n == 7 && s.length(g.last) != 2 {
			g.cut(6)
		}
		return match{i, g.last, kindSSN}, true
	}
	return m, false
}

// insurance finds a National Insurance number around its six digits.
func (s *scanner) insurance(first, last int32) (m match, ok bool) {
	p, q := s.prev(first), s.next(last)
	if s.tokens[p].class != isWord || s.tokens[p].upper != allUpper || s.length(p) != 2 || s.glued(p) && s.solid(s.prev(p)) ||
		s.tokens[first].gap == newline || s.tokens[q].gap == newline || s.tokens[q].class != isWord || s.tokens[q].upper != allUpper || s.length(q) != 1 ||
		s.glued(first) != s.glued(q) || strings.IndexByte("ABCD", s.string(q)[0]) < 0 || s.glued(s.next(q)) && s.solid(s.next(q)) || s.has(p, function) {
		return m, false
	}
	return match{p, q, kindSSN}, true
}

// plateUK finds a plate of the United Kingdom around its two digits, where words
// before it speak of one: registration KX19 ZPT.
func (s *scanner) plateUK(i int32) (m match, ok bool) {
	p, q := s.prev(i), s.next(i)
	if s.length(p) != 2 || s.glued(p) || s.tokens[q].class != isWord || s.length(q) != 3 || s.tokens[q].gap == newline {
		return m, false
	}
	h := s.cueBefore(p)
	return match{p, q, kindVehicle}, h.cue == cuePlate || h.cue == cueVehicle || h.cue == cueLicense
}

// cpf checks the digits of a Brazilian CPF.
func cpf(digits [11]byte) bool {
	for last := 9; last < 11; last++ {
		sum := 0
		for n := range last {
			sum += int(digits[n]-'0') * (last + 1 - n)
		}
		if sum*10%11%10 != int(digits[last]-'0') {
			return false
		}
	}
	return true
}

// spacedOut finds a number whose digits stand apart, as a scanner reads the boxes of
// a form: 1 2 / 0 4 / 1 9 5 2.
func (s *scanner) spacedOut(i int32) (m match, ok bool) {
	if s.length(i) != 1 || s.glued(i) && !s.is(s.prev(i), '(') && !s.is(s.prev(i), ':') || s.length(s.prev(i)) == 1 && s.tokens[s.prev(i)].class == isNumber {
		return m, false
	}
	last, digits, rising, slashes := i, 1, true, 0
	for q, n := s.next(i), 0; n < reach-4 && s.tokens[q].gap != newline; q, n = s.next(q), n+1 {
		if s.tokens[q].class == isNumber && s.length(q) == 1 && s.tokens[q].gap == spaces {
			rising = rising && s.value(q) == s.value(last)+1
			last = q
			digits++
			continue
		}
		if !s.joint(q) && !s.is(q, ')') || s.tokens[s.next(q)].class != isNumber {
			break
		}
		if s.is(q, '/') {
			slashes++
		}
	}
	if r := s.next(last); digits < 6 || s.glued(r) && s.solid(r) || s.tokens[r].class == isNumber {
		return m, false
	}
	from := i
	if s.is(s.prev(i), '(') {
		from = s.prev(i)
	}
	h := s.cueBefore(from)
	switch k, is := h.kind(); {
	case is:
		return match{from, last, k}, true
	case slashes == 2 || s.dated(from):
		return match{from, last, kindDate}, true
	case digits == 9 && !rising:
		return match{from, last, kindSSN}, true
	}
	return match{from, last, kindID}, digits >= 7 && !rising
}

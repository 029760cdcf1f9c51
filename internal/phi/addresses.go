package phi

import (
	"net/netip"
	"strings"
)

// email finds the address around an @: https://www.rfc-editor.org/rfc/rfc5322,
// 3.4.1, without quotes and comments.
func (s *scanner) email(at int32) (m match, ok bool) {
	first := at
	for n := 0; n < reach && s.glued(first); n++ {
		p := s.prev(first)
		if !s.solid(p) && (s.tokens[p].class != isMark || strings.IndexByte("._%+-'", s.tokens[p].mark) < 0) {
			break
		}
		first = p
	}
	for first != at && !s.solid(first) {
		first = s.next(first)
	}
	last, dotted := s.host(s.next(at))
	if first == at && dotted && s.has(last, domain) {
		return s.spaced(at, last)
	}
	if first == at || last == at || !s.glued(s.next(at)) || !s.solid(last) {
		return m, false
	}
	// A host without a dot is one where both parts look like a mailbox.
	if !dotted && (s.tokens[first].class != isWord || s.tokens[first].end-s.tokens[first].start < 3 && s.prev(at) == first || s.tokens[last].upper != lower || s.length(last) < 4) {
		return m, false
	}
	return match{first, last, kindEmail}, true
}

// spaced finds an address with spaces around its @, from there to its last label.
func (s *scanner) spaced(at, last int32) (m match, ok bool) {
	first := s.prev(at)
	if !s.solid(first) || s.has(first, function|visit|transfer) || s.tokens[at].gap == newline || s.tokens[s.next(at)].gap == newline {
		return m, false
	}
	first, _ = s.chunk(first)
	return match{first, last, kindEmail}, true
}

// host returns the last token of a host name that starts at a token, and whether
// it has a dot and ends with letters.
func (s *scanner) host(i int32) (last int32, dotted bool) {
	last = i
	if !s.solid(i) {
		return i, false
	}
	for range reach - 2 {
		q := s.next(last)
		if s.is(q, '.') || s.is(q, '-') {
			if !s.glued(q) || !s.glued(s.next(q)) || !s.solid(s.next(q)) {
				break
			}
			dot := s.is(q, '.')
			last = s.next(q)
			dotted = dotted || dot && s.tokens[last].class == isWord && s.length(last) > 1
			continue
		}
		if !s.glued(q) || !s.solid(q) {
			break
		}
		last = q
	}
	return last, dotted
}

// url finds an address that starts with a scheme, or with www.
func (s *scanner) url(i int32) (m match, ok bool) {
	var from int32
	switch {
	case s.equal(i, "www") && s.is(s.next(i), '.') && s.glued(s.next(i)):
		from = s.next(s.next(i))
	case !s.equal(i, "www") && s.is(s.next(i), ':') && s.is(s.next(s.next(i)), '/') && s.is(s.next(s.next(s.next(i))), '/'):
		from = s.next(s.next(s.next(s.next(i))))
	default:
		return m, false
	}
	if !s.glued(from) || !s.solid(from) {
		return m, false
	}
	return match{i, s.path(from), kindURL}, true
}

// path returns the last token of an address that goes on at a token: to the next
// gap, without the marks that end a sentence.
func (s *scanner) path(i int32) (last int32) {
	last = i
	for q := s.next(i); s.glued(q) && s.tokens[q].class != isFound; q = s.next(q) {
		if s.tokens[q].class == isMark && strings.IndexByte(`"<>`, s.tokens[q].mark) >= 0 {
			break
		}
		if s.solid(q) || s.is(q, '/') || s.is(q, '-') || s.is(q, '_') || s.is(q, '=') {
			last = q
		}
	}
	return last
}

// domain finds a host name that is written without a scheme, from its last label,
// and "john at example dot com".
func (s *scanner) domain(i int32) (m match, ok bool) {
	p := s.prev(i)
	if s.equal(p, "dot") || s.is(p, '.') && s.tokens[p].gap == spaces && s.tokens[i].gap == spaces || s.bracketed(p, "dot") {
		return s.spelled(i)
	}
	if s.tokens[i].upper != lower || !s.is(p, '.') || !s.glued(i) || !s.glued(p) || s.length(i) < 3 && !s.is(s.next(i), '/') {
		return m, false
	}
	if q := s.next(i); s.glued(q) && (s.solid(q) || s.is(q, '-') || s.is(q, '@') || s.is(q, '.') && s.glued(s.next(q)) && s.solid(s.next(q))) {
		return m, false
	}
	first := s.prev(p)
	for n := 0; n < reach-2 && s.glued(first); n++ {
		if q := s.prev(first); s.solid(q) || s.is(q, '-') || s.is(q, '.') {
			first = q
			continue
		}
		break
	}
	if !s.solid(first) || s.glued(first) && s.is(s.prev(first), '@') {
		return m, false
	}
	if s.bracketed(s.prev(first), "at") {
		if p := s.prev(s.prev(s.prev(s.prev(first)))); s.solid(p) {
			p, _ = s.chunk(p)
			return match{p, i, kindEmail}, true
		}
	}
	if p := s.prev(first); s.equal(p, "at") && s.solid(s.prev(p)) {
		if q, _ := s.chunk(s.prev(p)); q != s.prev(p) || s.has(q, given) && !s.has(q, english) {
			return match{q, i, kindEmail}, true
		}
	}
	return match{first, s.path(i), kindURL}, true
}

// bracketed tells whether a token closes a word in parentheses or brackets.
func (s *scanner) bracketed(i int32, word string) bool {
	return (s.is(i, ')') || s.is(i, ']')) && s.equal(s.prev(i), word)
}

// spelled finds an address whose marks are words, from its last label.
func (s *scanner) spelled(i int32) (m match, ok bool) {
	p, dots := s.prev(i), 0
	at := false
	for range reach / 3 {
		separator := true
		switch {
		case s.bracketed(p, "dot"), s.bracketed(p, "at"):
			p = s.prev(p)
			at = s.equal(p, "at")
			p = s.prev(s.prev(p))
		case s.equal(p, "dot"), s.is(p, '.'):
			p = s.prev(p)
		case s.equal(p, "at"), s.is(p, '@'):
			at = true
			p = s.prev(p)
		default:
			separator = false
		}
		if !separator {
			break
		}
		dots++
		if !s.solid(p) || s.has(p, function) {
			return m, false
		}
		m.first = p
		if at {
			break
		}
		p = s.prev(p)
	}
	if !at || dots < 2 {
		return m, false
	}
	// What stands before at: words and numbers, joined.
	for range reach / 3 {
		q := s.prev(m.first)
		glue := s.glued(m.first)
		if s.equal(q, "dot") || s.equal(q, "underscore") || glue && (s.is(q, '.') || s.is(q, '_') || s.is(q, '-')) {
			q = s.prev(q)
		} else if !glue {
			break
		}
		if !s.solid(q) {
			break
		}
		m.first = q
	}
	return match{m.first, i, kindEmail}, true
}

// ipv4 finds four numbers with dots between.
func (s *scanner) ipv4(i int32) (m match, ok bool) {
	if s.glued(i) && (s.solid(s.prev(i)) || s.is(s.prev(i), '.')) {
		return m, false
	}
	last := i
	for n := 0; ; n++ {
		if v := s.value(last); v < 0 || v > 255 || s.length(last) > 3 {
			return m, false
		}
		if n == 3 {
			break
		}
		dot := s.next(last)
		if !s.is(dot, '.') || !s.glued(dot) || !s.glued(s.next(dot)) {
			return m, false
		}
		last = s.next(dot)
	}
	if q := s.next(last); s.glued(q) && (s.solid(q) || s.is(q, '.') && s.glued(s.next(q)) && s.tokens[s.next(q)].class == isNumber) {
		return m, false
	}
	for p, n := s.prev(i), 0; n < 2; p, n = s.prev(p), n+1 {
		if s.equal(p, "version") || s.equal(p, "v") || s.equal(p, "release") || s.equal(p, "firmware") || s.equal(p, "build") {
			return m, false
		}
	}
	return match{i, last, kindIP}, true
}

// colons finds an IPv6 address (RFC 4291, 2.2) or a hardware address around a colon.
func (s *scanner) colons(i int32) (m match, ok bool) {
	first, last := i, i
	hex := func(j int32) bool {
		if s.is(j, ':') {
			return true
		}
		return s.solid(j) && s.length(j) <= 4 && strings.Trim(s.string(j), "0123456789abcdefABCDEF") == ""
	}
	for n := 0; n < reach && s.glued(first) && hex(s.prev(first)); n++ {
		first = s.prev(first)
	}
	for q := s.next(last); s.glued(q) && hex(q) && last-first < reach; q = s.next(q) {
		last = q
	}
	if s.glued(first) && s.solid(s.prev(first)) || s.glued(s.next(last)) && s.solid(s.next(last)) {
		return m, false
	}
	if first == last || first == i && s.is(s.next(i), ':') && s.next(i) == last {
		return m, false
	}
	// A colon that ends the sentence is none of the address.
	if s.is(last, ':') && !s.is(s.prev(last), ':') {
		last = s.prev(last)
	}
	if s.is(first, ':') && !s.is(s.next(first), ':') {
		first = s.next(first)
	}
	text := s.between(first, last)
	colons := strings.Count(text, ":")
	if colons < 2 {
		return m, false
	}
	if colons == 5 && len(text) == len("00:00:00:00:00:00") {
		for n := 2; n < len(text); n += 3 {
			if text[n] != ':' {
				return m, false
			}
		}
		return match{first, last, kindDevice}, true
	}
	if _, err := netip.ParseAddr(text); err != nil || len(text) < 5 || !strings.ContainsAny(text, "0123456789") {
		return m, false
	}
	return match{first, last, kindIP}, true
}

package phi

import "strings"

// unheard tells whether a word could be a name that no list has: it has a capital
// and is known as nothing else.
func (s *scanner) unheard(i int32) bool {
	const other = english | medical | function | condition | eponym | region | place | facility | premises | street | month | weekday | weekdayAbb |
		acronym | unit | title | kin | naming | greeting | domain | scheme | dated | cueMask
	return s.tokens[i].class == isWord && s.tokens[i].upper == capital && s.length(i) > 2 && s.length(i) <= maxWord &&
		!s.has(i, other) && !s.remedy(i)
}

// cueMask are the flags that hold a cue.
const cueMask = 1<<cueBits - 1

// paired tells whether two words are a first and a last name although lists know
// one of them at most.
func (s *scanner) paired(first, last int32) bool {
	known := s.has(first, given|family) && !s.has(first, region|place|english) && !s.has(last, region) || s.has(last, family) && !s.has(last, place|english)
	if q := s.next(last); s.tokens[q].upper == lower && (s.has(q, verbal) || s.equal(q, "is")) {
		known = true
	}
	return (known || s.among(first, last)) && (s.has(first, given) || s.has(last, family) || !s.has(last, given)) && (s.unheard(first) || s.has(first, given|family) && !s.has(first, english|region|place)) &&
		(s.unheard(last) || s.has(last, given|family) && !s.has(last, english) || s.is(last, '.'))
}

// among tells whether the words around a name, or what may be one, are such that it
// is a person's: ask X, X or Jane Roe, X refuses.
func (s *scanner) among(first, last int32) bool {
	p, q := s.prev(first), s.next(last)
	switch {
	case s.equal(q, "and"), s.equal(q, "or"), s.is(q, '&'):
		if r := s.next(q); s.personFound(r) || s.has(s.next(r), kin) && (s.equal(r, "his") || s.equal(r, "her") || s.equal(r, "my")) {
			return true
		}
	case s.has(q, verbal) && s.tokens[q].upper == lower && s.tokens[q].gap == spaces:
		// What has, was and is things do, too.
		if !s.equal(q, "was") && !s.equal(q, "has") && !s.equal(q, "had") && !s.equal(q, "works") && !s.equal(q, "needs") && !s.equal(q, "states") {
			return true
		}
	}
	switch {
	case s.equal(p, "and"), s.equal(p, "or"), s.is(p, '&'):
		return s.personFound(s.prev(p))
	case s.is(q, ',') && s.aged(s.next(q)) || s.is(q, '(') && s.has(s.next(q), kin):
		return first != last || !s.is(q, ',')
	case s.equal(p, "for") && (s.equal(s.prev(p), "ask") || s.equal(s.prev(p), "asked") || s.equal(s.prev(p), "asking")):
		return true
	case s.is(p, '|') && s.is(q, '|'):
		return first != last // a table
	case s.tokens[p].upper == allUpper && (s.equal(p, "md") || s.equal(p, "rn") || s.equal(p, "np") || s.equal(p, "pa")):
		return !s.is(s.prev(p), ',')
	case s.equal(p, "with"), s.equal(p, "to"):
		p = s.prev(p)
		if s.equal(p, "came") || s.equal(p, "lives") || s.equal(p, "went") || s.equal(p, "arrived") || s.equal(p, "lived") || s.equal(p, "along") || s.equal(p, "together") {
			return true
		}
		return s.equal(p, "spoke") || s.equal(p, "speak") || s.equal(p, "spoken") || s.equal(p, "speaking") || s.equal(p, "talked") ||
			s.equal(p, "talk") || s.equal(p, "met") || s.equal(p, "attn")
	case s.is(p, ':'):
		p = s.prev(p)
		return first != last && s.unheard(first) || s.equal(p, "attn") || s.equal(p, "cc") || s.equal(p, "signed") || s.has(p, kin)
	}
	return (s.has(p, telling) || s.equal(p, "attn")) && s.tokens[first].gap == spaces || s.introduced(first) && !s.origin(first) || s.signature(first, last)
}

// origin tells by its ending whether a word may say where somebody comes from, or
// what they believe.
func (s *scanner) origin(i int32) bool {
	word := s.string(i)
	for _, end := range []string{"an", "ish", "ese", "ic", "ist", "im", "ew", "ch"} {
		if strings.HasSuffix(word, end) && !s.has(i, given) {
			return true
		}
	}
	return false
}

// personFound tells whether a token is the name of a person.
func (s *scanner) personFound(i int32) bool {
	return s.tokens[i].class == isFound && s.tokens[i].kind == kindName
}

// aged tells whether a number is an age in apposition: Violet Plume, 6 months, ...
func (s *scanner) aged(i int32) bool {
	q := s.next(i)
	return s.tokens[i].class == isNumber && s.length(i) <= 3 && (s.is(q, ',') || s.has(q, ageUnit) || s.equal(q, "months") || s.equal(q, "weeks"))
}

// signature tells whether words stand alone on a line behind two dashes, or on the
// last one behind a comma.
func (s *scanner) signature(first, last int32) bool {
	p := s.prev(first)
	if s.tokens[first].gap == newline && s.is(p, ',') {
		return s.tokens[s.next(last)].class == isStop && s.tokens[s.prev(p)].upper == lower
	}
	if !s.is(p, '-') || s.tokens[first].gap == newline {
		return false
	}
	if s.is(s.prev(p), '-') {
		p = s.prev(p)
	}
	q := s.next(last)
	return s.tokens[p].gap == newline && s.tokens[p].start+3 >= s.tokens[first].start && (s.tokens[q].class == isStop || s.tokens[q].gap == newline) && (s.has(first, given|family) || s.unheard(first))
}

// subject tells whether a word that lists know as a name, though as a rare one,
// does what persons do: Tamsin is, Bartek's.
func (s *scanner) subject(i int32) bool {
	q := s.next(i)
	return (s.has(q, verbal) || s.equal(q, "is")) && s.tokens[q].upper == lower && !s.has(i, place)
}

// midSentence tells whether a word that is also a name stands with a capital within
// a sentence of other words: told Amber that.
func (s *scanner) midSentence(i int32) bool {
	p, q := s.prev(i), s.next(i)
	if s.tokens[p].class != isWord || s.tokens[p].upper != lower || s.tokens[i].gap != spaces || s.capital(q) && !s.has(q, family) {
		return false
	}
	if !s.has(i, given) || s.has(i, medical|condition|facility|premises|unit|title|kin|weekday|region|street|eponym|chatty) {
		return false
	}
	return !s.has(i, month) && !s.equal(p, "the") && !s.equal(p, "a") && !s.equal(p, "an") && !s.has(p, preposed)
}

// alone tells whether a word is a family name that is nothing else, without a given
// name or a title.
func (s *scanner) alone(i int32) bool {
	const other = region | eponym | place | english | medical | function | month | acronym | cueMask
	q := s.next(i)
	if s.is(q, '-') && s.glued(q) && s.has(s.next(q), eponym) {
		return false // Wolff-Parkinson-White
	}
	return s.has(i, family) && !s.has(i, other) && s.length(i) > 3 && s.tokens[i].upper == capital && !s.capital(q)
}

// imperative tells whether a word that is also a name starts a sentence as a verb:
// Bill me, Pat dry, Mark the site.
func (s *scanner) imperative(i int32) bool {
	if p := s.prev(i); s.tokens[i].gap != newline && s.tokens[p].class != isStop && !s.is(p, '.') && !s.is(p, ';') && !s.is(p, '?') && !s.is(p, '!') {
		return false
	}
	q := s.next(i)
	for _, w := range []string{"the", "for", "me", "it", "this", "my", "your", "a", "dry", "down", "up", "all", "any", "them", "us", "of", "if"} {
		if s.equal(q, w) {
			return true
		}
	}
	return false
}

// generation returns the end of what follows a family name: Jr., III.
func (s *scanner) generation(last int32) (end int32) {
	q := s.next(last)
	if s.is(q, ',') {
		q = s.next(q)
	}
	if s.tokens[q].gap != spaces || s.tokens[q].class != isWord {
		return last
	}
	switch {
	case s.equal(q, "jr"), s.equal(q, "sr"):
		if s.tokens[q].upper == lower {
			return last
		}
		if dot := s.next(q); s.is(dot, '.') && s.glued(dot) {
			return dot
		}
		return q
	case s.tokens[q].upper == allUpper && (s.equal(q, "ii") || s.equal(q, "iii") || s.equal(q, "iv")) && q == s.next(last):
		return q
	}
	return last
}

// relation tells whether the word for a person is such that what follows with
// a capital can only be a name: his daughter X, twin X.
func (s *scanner) relation(i int32) bool {
	p := s.prev(i)
	for _, w := range []string{"patient", "pt", "male", "female", "man", "woman", "subscriber", "beneficiary", "employee", "assistant", "attending", "resident", "pharmacist", "mrn"} {
		if s.equal(i, w) {
			return false
		}
	}
	return s.has(i, kin) && s.tokens[s.next(i)].gap == spaces && !s.is(p, '-')
}

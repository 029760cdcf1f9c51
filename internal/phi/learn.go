package phi

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A word of a name is a name wherever it stands, unless it is an everyday word. What
// a block teaches is applied to all of it, and what that finds teaches more: so no
// word that is known stays in a masked text, and masking that changes nothing.

// recall masks what the texts before taught. It is applied to all tokens, for
// triggers are few of the words in lower case.
func (s *scanner) recall() {
	s.taught, s.fresh = 0, s.fresh[:0]
	clear(s.learned)
	s.indexed = false
	if len(s.known) > 0 {
		s.apply(s.known)
	}
}

// apply masks the words of a set, all of which are marked first, so that those that
// stand together become one finding.
func (s *scanner) apply(set map[uint64]struct{}) {
	s.hits = s.hits[:0]
	s.eachCandidate(func(i int32, h uint64) {
		if _, ok := set[h]; ok {
			s.tokens[i].phases |= 1<<phaseName | remembered
			s.hits = append(s.hits, i)
		}
	})
	for _, i := range s.hits {
		s.try(i, phaseName)
	}
}

// learn masks the other places of a block at which the words of its names stand.
func (s *scanner) learn() {
	first := len(s.fresh)
	for ; s.taught < len(s.all); s.taught++ {
		if t := &s.tokens[s.all[s.taught]]; t.kind == kindName {
			words(s.text[t.start:t.end], s.teach)
		}
	}
	switch {
	case first == len(s.fresh):
		return
	case first == 0:
		// Most is learned at once. One pass is cheaper than an index then.
		s.apply(s.learned)
		return
	case !s.indexed:
		s.index()
	}
	s.hits = s.hits[:0]
	for _, h := range s.fresh[first:] {
		for i := s.places[h]; i != 0; i = s.same[i] {
			s.tokens[i].phases |= 1<<phaseName | remembered
			s.hits = append(s.hits, i)
		}
	}
	for _, i := range s.hits {
		s.try(i, phaseName)
	}
}

// teach adds a word of a name to what is learned.
func (s *scanner) teach(word string) {
	if len(word) < 3 || len(word) > maxWord || particleWord(word) {
		return
	}
	h := s.chain(word, 0)
	if _, ok := s.learned[h]; ok {
		return
	}
	if s.learned == nil {
		s.learned = make(map[uint64]struct{})
	}
	s.learned[h] = struct{}{}
	s.fresh = append(s.fresh, h)
}

// index notes where each word stands that could be one of a name.
func (s *scanner) index() {
	s.indexed = true
	if s.places == nil {
		s.places = make(map[uint64]int32)
	}
	clear(s.places)
	s.same = append(s.same[:0], make([]int32, len(s.tokens))...)
	s.eachCandidate(func(i int32, h uint64) {
		s.same[i] = s.places[h]
		s.places[h] = i
	})
}

// eachCandidate calls a function with each word that may be one of a name, if that
// is known, and with its hash.
func (s *scanner) eachCandidate(do func(i int32, h uint64)) {
	for n := range s.tokens {
		t := &s.tokens[n]
		if t.class != isWord || t.end-t.start < 3 || t.end-t.start > maxWord || t.upper == lower && t.flags&(english|medical|function|unit) != 0 {
			continue
		}
		do(pos(n), s.chain(s.text[t.start:t.end], 0))
	}
}

// remembered is set in the phases of a word that is part of a name that was found
// elsewhere.
const remembered phases = 1 << 7

// again finds a name by words that are known from it.
func (s *scanner) again(i int32) (m match, ok bool) {
	if !s.recalled(i) || s.glued(i) && !s.is(s.prev(i), '(') && !s.is(s.prev(i), '"') && !s.is(s.prev(i), '\'') && !s.is(s.prev(i), '[') {
		return m, false
	}
	last := i
	for range reach / 4 {
		q := s.next(last)
		if s.is(q, '-') && s.glued(q) && s.glued(s.next(q)) {
			q = s.next(q)
		}
		if s.tokens[q].gap == newline || !s.recalled(q) {
			break
		}
		last = q
	}
	q := s.next(last)
	if s.named(q) || s.glued(q) && (s.solid(q) || s.is(q, '@') || s.is(q, '_') || s.is(q, '/')) {
		return m, false
	}
	first := i
	if p := s.prev(i); s.tokens[p].upper == capital && s.has(p, given) && !s.has(p, function|medical) && s.tokens[i].gap == spaces &&
		s.tokens[p].gap == spaces && s.tokens[s.prev(p)].class == isWord && s.tokens[s.prev(p)].upper == lower {
		first = p // the given name of a known family name, although it is a word
	}
	return match{first, last, kindName}, true
}

// recalled tells whether a word is one of a name that is known, and no everyday
// word where it stands.
func (s *scanner) recalled(i int32) bool {
	t := &s.tokens[i]
	if t.class != isWord || t.phases&remembered == 0 || t.upper == mixed || t.flags&(medical|function|month) != 0 {
		return false
	}
	if t.flags&acronym != 0 && t.upper == allUpper || t.flags&eponym != 0 && (t.upper == lower || s.is(s.next(i), '\'')) {
		return false
	}
	if t.flags&english == 0 {
		return true
	}
	return t.upper != lower && t.flags&(family|given) != 0 && !s.heads(i) && !s.is(s.prev(i), '.')
}

// words calls a function with each word of a name.
func words(name string, do func(word string)) {
	start := -1
	for i := 0; i < len(name); {
		size, letter := 1, false
		switch bytesClasses[name[i]] {
		case 'a', 'A':
			letter = true
		case 'h':
			var r rune
			r, size = utf8.DecodeRuneInString(name[i:])
			letter = unicode.IsLetter(r) || unicode.IsMark(r)
		}
		switch {
		case letter && start < 0:
			start = i
		case !letter && start >= 0:
			do(name[start:i])
			start = -1
		}
		i += size
	}
	if start >= 0 {
		do(name[start:])
	}
}

// particleWord tells whether a word of a name belongs to many names.
func particleWord(word string) bool {
	switch strings.ToLower(word) {
	case "van", "von", "der", "den", "del", "des", "dos", "das", "las", "los", "san", "santa", "saint", "bin", "ibn", "abu", "abd", "bint", "ten", "ter", "zum", "zur", "iii", "mac", "the", "and":
		return true
	}
	return false
}

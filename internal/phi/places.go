package phi

import "strings"

// nameable tells whether a word may be part of the name of a place.
func (s *scanner) nameable(i int32) bool {
	return s.capital(i) && !s.has(i, month|weekday) && (!s.has(i, function|title) || s.has(i, streetAbb) || s.equal(i, "all") && (s.equal(s.next(i), "saints") || s.equal(s.next(i), "souls")))
}

// back returns the first token of the capitalised words that end before a token,
// and that token itself if there are none. It goes through "St. Mary's", "Saint-Luc",
// "Brigham & Women's" and "Sisters of Mercy".
func (s *scanner) back(i int32) (first int32) {
	first = i
	for range 8 {
		p := s.prev(first)
		if s.tokens[first].gap == newline {
			break
		}
		switch {
		case s.equal(p, "s") && s.is(s.prev(p), '\'') && s.glued(p):
			p = s.prev(s.prev(p))
		case s.is(p, '\''): // Veterans'
			p = s.prev(p)
		case s.is(p, '-') && s.glued(p), s.is(p, '&'), s.is(p, '.') && s.glued(p) && s.length(s.prev(p)) <= 4:
			p = s.prev(p)
		case (s.equal(p, "of") || s.equal(p, "and") || s.equal(p, "for")) && s.tokens[p].upper == lower:
			if p = s.prev(p); s.has(p, facility|premises) {
				return first // one more
			}
		}
		if !s.nameable(p) || s.tokens[p].class == isFound {
			break
		}
		first = p
	}
	return first
}

// ahead returns the last token of the capitalised words that start at one.
func (s *scanner) ahead(i int32) (last int32) {
	last = i
	for range 8 {
		q := s.next(last)
		if s.tokens[q].gap == newline {
			break
		}
		if s.is(q, '\'') && s.glued(q) {
			if s.equal(s.next(q), "s") && s.glued(s.next(q)) {
				last = s.next(q)
				continue
			}
			break
		}
		switch {
		case s.is(q, '-') && s.glued(q), s.is(q, '&'), s.is(q, '.') && s.length(last) <= 3 && s.has(last, streetAbb|title) || s.is(q, '.') && (s.equal(last, "mt") || s.equal(last, "ft") || s.equal(last, "med")):
			q = s.next(q)
		case s.equal(q, "of") || s.equal(q, "and"):
			// Hospital of the, Smith and Jones Clinic, but: one clinic and another.
			if s.has(s.prev(q), facility|premises) != s.equal(q, "of") || s.equal(q, "and") && !s.has(s.next(s.next(q)), facility|premises) {
				return last
			}
			q = s.next(q)
		}
		if !s.nameable(q) || s.tokens[q].gap == newline {
			break
		}
		last = q
	}
	return last
}

// building finds a hospital or an address of a street at its last word.
func (s *scanner) building(i int32) (m match, ok bool) {
	if s.has(i, facility|premises) {
		if m, ok = s.house(i); ok {
			return m, true
		}
	}
	if s.has(i, street|streetAbb) {
		return s.street(i)
	}
	return m, false
}

// place finds a town, or whatever is a place by what stands around.
func (s *scanner) place(i int32) (m match, ok bool) {
	t := &s.tokens[i]
	if t.flags&stateCode != 0 && t.upper == allUpper || t.flags&region != 0 {
		if m, ok = s.beforeState(i); ok {
			return m, true
		}
	}
	if t.upper == capital && (s.equal(i, "county") || s.equal(i, "parish") || s.equal(i, "township") || s.equal(i, "borough")) {
		if first := s.back(i); first != i && !s.has(first, function) && (!s.has(first, english) || s.placed(first) || s.equal(s.prev(first), "of")) {
			return match{first, i, kindLocation}, true
		}
	}
	if t.flags&avenida != 0 || t.upper == capital && t.flags&english == 0 {
		if m, ok = s.abroad(i); ok {
			return m, true
		}
	}
	if t.flags&(place|placeHead) != 0 {
		if m, ok = s.town(i); ok {
			return m, true
		}
	}
	if code := s.codeBefore(i); code != i && t.upper == capital && s.is(s.prev(code), ',') && s.numbered(s.prev(s.prev(code))) {
		return match{code, i, kindLocation}, true
	}
	if t.upper == capital || t.upper == allUpper {
		return s.at(i)
	}
	return m, false
}

// placed tells whether "at" or the like stands before a token.
func (s *scanner) placed(i int32) bool {
	p := s.prev(i)
	if s.equal(p, "the") || s.equal(p, "our") || s.equal(p, "your") || s.equal(p, "their") {
		p = s.prev(p)
	}
	return s.is(p, '@') || s.has(p, preposed) && !s.equal(p, "of") || s.equal(p, "of") && (s.equal(s.prev(p), "resident") || s.equal(s.prev(p), "city")) ||
		s.equal(p, "visited") || s.equal(p, "visiting")
}

// public tells whether an institution is known by its first word to be one of a
// whole country or of the world.
func (s *scanner) public(i int32) bool {
	for _, w := range []string{"national", "american", "european", "international", "world", "centers", "department", "ministry", "british", "federal", "global", "canadian"} {
		if s.equal(i, w) {
			return true
		}
	}
	return false
}

// source tells whether the words before a place make it the author of something,
// not where somebody was.
func (s *scanner) source(i int32) bool {
	p := s.prev(i)
	if s.equal(p, "the") {
		p = s.prev(p)
	}
	if s.equal(p, "to") && s.equal(s.prev(p), "according") {
		return true
	}
	if !s.equal(p, "from") && !s.equal(p, "by") && !s.equal(p, "of") && !s.equal(p, "at") {
		return false
	}
	p = s.prev(p)
	for _, w := range []string{"guidelines", "guideline", "recommendations", "recommendation", "study", "studies", "data", "criteria", "research", "protocol", "protocols", "published", "information", "website", "advice", "article", "articles"} {
		if s.equal(p, w) {
			return true
		}
	}
	return false
}

// at finds the capitalised words behind "at", which are a place where a sentence
// tells of a visit: "seen at Harborview", "lives near Twin Oaks".
func (s *scanner) at(i int32) (m match, ok bool) {
	p := s.prev(i)
	if s.equal(p, "the") || s.equal(p, "our") {
		p = s.prev(p)
	}
	moved := s.equal(p, "visited") || s.equal(p, "visiting")
	if s.equal(p, "to") || s.equal(p, "from") {
		for q, n := s.prev(p), 0; n < 6 && s.within(q) && !moved; q, n = s.prev(q), n+1 {
			moved = s.has(q, transfer)
		}
		moved = moved && s.tokens[i].upper != lower && (s.tokens[i].flags&(english|given|region) == 0 || s.has(i, place) || s.capital(s.next(i)) && !s.has(i, given))
	}
	lives := false
	if s.has(p, preposed) && !s.equal(p, "to") && !s.equal(p, "of") && !s.equal(p, "at") && s.unheard(i) {
		for q, n := s.prev(p), 0; n < 5 && s.within(q) && !lives; q, n = s.prev(q), n+1 {
			lives = s.living(q)
		}
	}
	moved = moved || lives
	holy := s.equal(i, "st") || s.equal(i, "saint") || s.equal(i, "mt") || s.equal(i, "mount")
	if (!s.equal(p, "at") && (!s.is(p, '@') || s.glued(i)) && !moved && (!holy || !s.has(p, preposed))) || s.tokens[i].gap == newline {
		return m, false
	}
	if !s.nameable(i) || s.has(i, function|medical|condition|unit|dated) {
		return m, false
	}
	visited := moved
	for q, n := s.prev(p), 0; n < 10 && s.tokens[q].class != isStop; q, n = s.prev(q), n+1 {
		if s.is(q, '.') && s.tokens[s.next(q)].gap != noGap && s.length(s.prev(q)) > 3 {
			break
		}
		visited = visited || s.has(q, visit)
	}
	if holy && !visited && !s.equal(p, "at") {
		return m, false
	}
	last := s.ahead(i)
	if s.tokens[i].upper == allUpper && i == last && (s.has(i, acronym) || s.length(i) < 2 || !visited) {
		return m, false
	}
	// One word of English is a place if it is none of the times of a treatment.
	if one := i == last && !s.has(i, place|family); s.has(i, acronym) || one && (s.has(i, eponym|chatty) || s.has(i, english) && !visited) ||
		!visited && !holy && s.has(i, english) && !s.has(last, facility|premises) {
		return m, false
	}
	if s.named(s.next(last)) {
		return m, false
	}
	// Of the possessives, saints' and "Women's" belong to the name.
	for last != i && (!s.solid(last) || s.equal(last, "s") && !s.saint(i, last)) {
		last = s.prev(last)
	}
	return match{i, last, kindLocation}, true
}

// living tells whether a word tells of where somebody lives.
func (s *scanner) living(i int32) bool {
	for _, w := range []string{"live", "lives", "lived", "living", "resides", "residing", "reside", "born", "moved", "grew", "works", "worked", "raised", "home", "house", "stays", "staying", "resident", "native"} {
		if s.equal(i, w) {
			return true
		}
	}
	return false
}

// within tells whether a token is within a sentence, the start of it included.
func (s *scanner) within(i int32) bool {
	t := &s.tokens[i]
	return t.class != isStop && s.tokens[t.next].gap != newline && (t.class != isMark || strings.IndexByte(".,;:!?)", t.mark) < 0)
}

// saint tells whether a possessive ends a name such as St. Mary's.
func (s *scanner) saint(first, last int32) bool {
	owner := s.prev(s.prev(last))
	return s.equal(first, "st") || s.equal(first, "saint") || s.equal(owner, "women") || s.equal(owner, "children") || s.equal(owner, "veterans")
}

// named tells whether a token, or the one behind a possessive, says that what
// stands before it is a disease, a score or the like.
func (s *scanner) named(i int32) bool {
	if s.is(i, '\'') && s.glued(i) {
		i = s.next(i)
		if s.equal(i, "s") {
			i = s.next(i)
		}
	}
	if s.is(i, '-') && s.glued(i) {
		i = s.next(i)
	}
	for n := 0; n < 3 && s.tokens[i].class == isWord; n++ {
		if s.has(i, condition) {
			return true
		}
		if s.has(i, function) {
			return false
		}
		if i = s.next(i); s.is(i, '\'') && s.glued(i) && s.equal(s.next(i), "s") {
			i = s.next(s.next(i))
		}
	}
	return false
}

// phrase returns the last token of the longest phrase with one of some flags that
// starts at a token.
func (s *scanner) phrase(i int32, f flags) (last int32, ok bool) {
	if !s.has(i, placeHead|regionHead) {
		return i, s.has(i, f) // no phrase starts with it
	}
	var h uint64
	last = i
	q := i
	for n := range 4 {
		t := &s.tokens[q]
		if t.class != isWord || t.end-t.start > maxWord || n > 0 && t.gap == newline {
			break
		}
		word := s.string(q)
		h = s.chain(word, h)
		if s.words.lookUp(h)&f != 0 {
			last, ok = q, true
		}
		q = s.next(q)
		if s.is(q, '-') && s.glued(q) || s.is(q, '.') && s.glued(q) && len(word) <= 3 || s.is(q, '&') {
			q = s.next(q)
		}
	}
	return last, ok
}

// chain hashes a word behind others.
func (s *scanner) chain(word string, h uint64) uint64 {
	for n := range len(word) {
		if word[n] >= 0x80 {
			return s.hashFolded(word, h)
		}
	}
	return hash(word, h)
}

// town finds a town by its name, in capitals unless the words around speak of one.
func (s *scanner) town(i int32) (m match, ok bool) {
	last, ok := s.phrase(i, place)
	if !ok {
		return m, false
	}
	if end, is := s.phrase(i, region); s.has(i, region|regionHead) && is && end >= last && !s.equal(s.next(end), "city") {
		return m, false
	}
	if q := s.next(last); s.tokens[q].upper == capital && (s.equal(q, "city") || s.equal(q, "county") || s.equal(q, "parish") || s.equal(q, "township")) {
		last = q
	}
	if s.named(s.next(last)) || s.source(i) || s.glued(i) && (s.is(s.prev(i), '\'') || s.is(s.prev(i), '-') && s.tokens[i].upper == lower) {
		return m, false
	}
	if p := s.prev(i); s.capital(p) && s.has(p, placeHead) {
		if end, is := s.phrase(p, place); is && end >= i {
			return m, false // decided at its first word
		}
	}
	// L. Madrid, Mr. Madrid
	if _, is := s.initial(s.prev(s.prev(i))); is && s.is(s.prev(i), '.') || s.is(s.prev(i), '.') && s.has(s.prev(s.prev(i)), title) {
		return m, false
	}
	m = match{i, last, kindLocation}
	if p := s.prev(i); s.codeBefore(i) != i || s.tokens[i].gap == spaces && s.endsInCode(p) {
		return m, s.tokens[i].upper != lower
	}
	f := s.tokens[i].flags
	single := i == last
	if single && f&chatty != 0 {
		return m, false
	}
	in := s.placed(i)
	if p := s.prev(i); single && !in && f&(family|given) != 0 && s.capital(p) && s.tokens[p].upper == s.tokens[i].upper && s.has(p, given) && !s.has(p, place|english) && s.tokens[i].gap == spaces {
		return m, false // Wendell Fairbanks
	}
	if single && !in && s.tokens[i].upper == allUpper && s.length(i) < 5 {
		return m, false
	}
	if s.tokens[i].upper == lower {
		if !in {
			return m, !single && !s.has(i, english|function)
		}
		return m, f&(function|english|given|family|medical|unit|month|acronym) == 0 && (!s.equal(s.prev(i), "to") || s.from(i)) || !single && !s.has(i, function)
	}
	if !single && !s.has(i, function) {
		return m, s.tokens[last].upper != lower
	}
	switch {
	case f&(function|medical|month|title|unit|condition|acronym) != 0 || s.tokens[i].upper == allUpper && s.length(i) < 3:
		return m, false
	case f&(english|given|family|eponym) == 0, f&bigPlace != 0 && f&(english|givenCommon|eponym) == 0 && !s.has(s.prev(i), title|kin|given):
		return m, true
	}
	// Also a word or a person's name.
	q := s.next(last)
	if p := s.prev(i); (s.equal(p, "our") || s.equal(p, "the")) && s.has(q, premises|facility) && s.tokens[q].upper == lower {
		return m, true
	}
	if s.is(q, ',') && (s.has(s.next(q), region|regionHead) || s.has(s.next(q), stateCode) && s.tokens[s.next(q)].upper == allUpper) {
		return m, true
	}
	if f&english == 0 && (s.has(q, facility|premises) || s.equal(q, "area") || s.equal(q, "campus")) {
		return m, true
	}
	if p := s.prev(i); s.is(p, ',') && s.tokens[s.prev(p)].class == isFound && s.tokens[s.prev(p)].kind == kindLocation && f&givenCommon == 0 {
		return m, true
	}
	if !in || f&english != 0 && f&(given|family) == 0 && s.equal(s.prev(i), "to") {
		return m, false
	}
	// "from Madison" may be a person, "from Madison Hill" is.
	return m, !s.capital(q) || s.has(q, month|function)
}

// from tells whether "from" a place stands before "to" a token.
func (s *scanner) from(i int32) bool {
	p := s.prev(s.prev(i))
	for q, n := p, 0; n < 4 && s.within(q); q, n = s.prev(q), n+1 {
		if s.has(q, transfer) {
			return true
		}
	}
	return s.tokens[p].class == isFound && s.tokens[p].kind == kindLocation || s.equal(p, "moved") || s.equal(p, "relocated") || s.equal(p, "moving")
}

// numberFollows tells whether a word is the ID before a number, not Idaho.
func (s *scanner) numberFollows(i int32) bool {
	q := s.next(i)
	return s.equal(i, "id") && (s.is(q, '#') || s.is(q, ':') || s.has(q, cueMask) || s.tokens[q].class == isNumber && s.length(q) != 5)
}

// beforeState finds the town before a state: "Twin Oaks, TX".
func (s *scanner) beforeState(i int32) (m match, ok bool) {
	comma := s.prev(i)
	if !s.is(comma, ',') || s.numberFollows(i) {
		return m, false
	}
	town := s.prev(comma)
	if !s.capital(town) || s.length(town) < 3 || s.has(town, region|title|facility|premises) {
		return m, false
	}
	first := s.back(comma)
	for first != town && (s.has(first, function|preposed) || !s.solid(first)) {
		first = s.next(first)
	}
	known := s.has(town, place) && first == town || s.placed(first)
	if !known {
		if last, is := s.phrase(first, place); is && last == town {
			known = true
		}
	}
	if end, is := s.phrase(first, region); is && end == town {
		return m, false
	}
	degree := s.equal(i, "md") || s.equal(i, "pa") || s.equal(i, "ma") || s.equal(i, "do") || s.equal(i, "pe")
	zip := s.tokens[s.next(i)].class == isNumber && s.length(s.next(i)) == 5
	if !known && !zip && (degree || s.has(i, region) || s.has(town, english|given) || s.has(i, acronym)) {
		return m, false
	}
	return match{first, town, kindLocation}, true
}

package phi

// name finds the name of a person at a word.
func (s *scanner) name(i int32) (m match, ok bool) {
	t := &s.tokens[i]
	if s.glued(i) && (s.is(s.prev(i), '@') || s.is(s.prev(i), '/') || s.tokens[s.prev(i)].class == isNumber) {
		return m, false
	}
	switch {
	case t.flags&title != 0:
		if m, ok = s.titled(i); ok {
			return m, true
		}
	case t.flags&naming != 0:
		if m, ok = s.naming(i); ok {
			return m, true
		}
	case t.flags&(kin|greeting) != 0:
		if m, ok = s.addressed(i); ok {
			return m, true
		}
	}
	if t.upper == lower || t.upper == mixed {
		return s.small(i)
	}
	if t.upper == allUpper && s.length(i) == 1 {
		return s.initialled(i)
	}
	return s.capitalised(i)
}

// never tells whether a word is part of no name, whatever stands around it.
func (s *scanner) never(i int32) bool {
	t := &s.tokens[i]
	if t.flags&function != 0 && t.flags&given != 0 && t.upper == capital {
		// Will Smith and May Chen, but not "Will patients".
		q := s.next(i)
		return t.flags&(worded|month) == 0 || !s.capital(q) || s.has(q, english) && !s.has(q, familyCommon)
	}
	return t.class != isWord || t.flags&(function|medical|condition|unit) != 0 && t.flags&(given|family) == 0 || t.flags&(function|medical|weekday) != 0 || t.upper == lower && t.flags&chatty != 0 ||
		t.flags&(month|region|facility|regionHead) != 0 && t.flags&(given|family) == 0 || t.flags&acronym != 0 && t.upper == allUpper || s.remedy(i)
}

// initial tells whether a token is a capital that abbreviates a name, and returns
// the last token of it, which is its dot if it has one.
func (s *scanner) initial(i int32) (last int32, ok bool) {
	if s.tokens[i].class != isWord || s.tokens[i].upper != allUpper || s.length(i) != 1 || s.glued(i) && s.is(s.prev(i), '\'') {
		return i, false
	}
	if q := s.next(i); s.is(q, '.') && s.glued(q) {
		return q, true
	}
	return i, false
}

// more returns the last token of a name, of which the words to a token are known.
// loose lets lower case go on.
func (s *scanner) more(last int32, loose bool) (end int32, parts int) {
	last, parts = s.parts(last, loose)
	return s.generation(last), parts
}

// parts returns the last token of a name without what may follow, and how many
// words it has.
func (s *scanner) parts(last int32, loose bool) (end int32, parts int) {
	parts = 1
	for parts < 4 {
		q := s.next(last)
		if s.tokens[q].gap == newline {
			break
		}
		switch {
		case s.is(q, '-') && s.glued(q) && s.glued(s.next(q)), s.is(q, '\'') && s.glued(q) && s.glued(s.next(q)) && !s.equal(s.next(q), "s"):
			if s.is(q, '\'') && s.length(last) > 1 {
				return last, parts
			}
			q = s.next(q)
			if !s.capital(q) && (!loose && !s.has(last, given) || s.tokens[q].class != isWord || !loose && s.has(q, english|unit|ageUnit)) || s.has(q, function|condition) {
				return last, parts
			}
			last = q
			continue
		case s.arabic(q):
			q = s.next(s.next(q))
		case s.particle(q):
			q = s.next(q)
			if s.particle(q) {
				q = s.next(q)
			}
		}
		if r := s.next(q); s.tokens[q].upper == allUpper && s.length(q) == 1 && s.is(r, '\'') && s.glued(r) && s.glued(s.next(r)) && s.capital(s.next(r)) {
			last = s.next(r) // O'Neill
			parts++
			continue
		}
		if dot, is := s.initial(q); is && !s.is(last, '.') || is && parts == 1 {
			last = dot
			parts++
			continue
		}
		if s.tokens[q].upper == allUpper && s.length(q) == 1 && !s.equal(q, "i") && (!s.equal(q, "a") || !s.has(s.next(q), english)) {
			if r := s.next(q); !s.glued(r) || s.tokens[r].class == isMark && !s.is(r, '-') && !s.is(r, '\'') && !s.is(r, '/') && !s.is(r, '&') {
				last = q
				parts++
				continue
			}
		}
		if s.never(q) || s.has(q, month|condition) || s.has(q, eponym) && s.named(s.next(q)) {
			break
		}
		switch {
		case s.tokens[q].upper == lower:
			if !loose || s.has(q, kin|cueMask|unit|dated) || !s.has(q, family|given) && s.has(q, english) || s.has(q, english) && !s.has(q, familyCommon) || s.length(q) < 2 {
				return last, parts
			}
		case !s.capital(q), s.has(q, title|kin|greeting) && !s.has(q, family|given), s.has(q, english) && !s.has(q, family|given) && !s.compound(q) && (!s.has(last, givenCommon) || s.has(last, english|place) || s.has(q, visit|verbal|chatty|unit) || s.capital(s.next(q))), s.has(q, facility|street|premises) && !s.has(q, familyCommon):
			return last, parts
		case s.tokens[q].upper == allUpper && !s.has(q, family|given) && s.length(q) < 5:
			return last, parts
		}
		last = q
		parts++
	}
	return last, parts
}

// arabic tells whether an article that a hyphen joins to the word behind it starts
// at a token: al-Rahman.
func (s *scanner) arabic(i int32) bool {
	dash := s.next(i)
	return (s.equal(i, "al") || s.equal(i, "el") || s.equal(i, "ul") || s.equal(i, "ur")) && s.is(dash, '-') && s.glued(dash) && s.glued(s.next(dash)) && s.capital(s.next(dash))
}

// compound tells whether a word is the first half of a family name with a hyphen.
func (s *scanner) compound(i int32) bool {
	dash := s.next(i)
	return s.is(dash, '-') && s.glued(dash) && s.glued(s.next(dash)) && s.capital(s.next(dash)) && s.has(s.next(dash), family)
}

// particle tells whether a word belongs to the family name behind it.
func (s *scanner) particle(i int32) bool {
	if s.tokens[i].upper != lower || s.length(i) > 3 || !s.capital(s.next(i)) && s.tokens[s.next(i)].upper != lower {
		return false
	}
	for _, w := range []string{"de", "van", "von", "der", "den", "la", "le", "du", "del", "di", "da", "dos", "bin", "ibn", "al", "el", "ter", "y"} {
		if s.equal(i, w) {
			return s.capital(s.next(i)) || s.capital(s.next(s.next(i)))
		}
	}
	return false
}

// person returns the name that starts at a token, its first word being one for
// sure, but for the eponym of a disease.
func (s *scanner) person(i int32, loose bool) (m match, ok bool) {
	last := i
	if dot, is := s.initial(i); is {
		last = dot
	}
	last, _ = s.more(last, loose)
	return match{i, last, kindName}, true
}

// titled finds the name behind a title, without it: Mrs. [Jones].
func (s *scanner) titled(i int32) (m match, ok bool) {
	q := s.next(i)
	if s.is(q, '.') {
		q = s.next(q)
	}
	if s.tokens[i].upper == allUpper && s.is(s.prev(i), ',') && s.has(i, stateCode) {
		return m, false // Jackson, MS. He
	}
	if s.tokens[q].gap == newline || s.has(q, title) && s.is(s.next(q), '.') || s.glued(q) && !s.is(s.prev(q), '.') {
		return m, false
	}
	if s.tokens[q].class != isWord || s.has(q, function|unit) && !s.capital(q) || s.has(q, medical) && !s.has(q, given|family) || s.has(q, condition|facility|weekday) {
		return m, false
	}
	short := s.length(i) <= 4 && !s.equal(i, "miss") && !s.equal(i, "sir") || s.equal(i, "prof")
	switch {
	case s.tokens[q].upper == lower:
		if s.has(q, english) && !s.has(q, familyCommon|givenCommon) || !short && (s.has(q, english) || !s.has(q, family|given)) || s.length(q) < 2 {
			return m, false
		}
		return s.person(q, true)
	case s.tokens[q].upper == allUpper && s.length(q) == 1:
		if _, is := s.initial(q); !is && !s.capital(s.next(q)) && !short {
			return m, false
		}
	case s.has(q, english|function|acronym) && !s.has(q, family|given) && (!short || s.tokens[i].upper == lower):
		return m, false
	case s.has(q, function) && !s.has(q, family|given):
		return m, false
	}
	return s.person(q, false)
}

// naming finds the name behind "named", "name is", "called".
func (s *scanner) naming(i int32) (m match, ok bool) {
	q := s.next(i)
	if s.equal(i, "called") {
		if !s.has(q, given) || s.never(q) || s.named(s.next(q)) || s.has(q, english|eponym) && !s.personal(i, 6) || s.tokens[q].upper == lower && s.has(q, english) {
			return m, false
		}
		return s.person(q, s.tokens[q].upper == lower)
	}
	if s.equal(i, "named") {
		if s.tokens[q].upper == lower && !s.personal(i, 6) {
			return m, false
		}
	} else {
		switch {
		case s.equal(q, "is"), s.equal(q, "was"), s.is(q, ':'), s.is(q, '='), s.is(q, '-'):
			q = s.next(q)
		case s.is(q, '\'') && s.equal(s.next(q), "s"):
			q = s.next(s.next(q))
		case s.capital(q) && s.has(q, given) && !s.has(q, english):
		case s.tokens[i].upper == allUpper && s.equal(i, "name") && s.is(s.next(q), ',') && s.tokens[q].upper == allUpper && !s.has(q, english|naming):
			last := s.next(s.next(q))
			if s.tokens[last].upper == allUpper && s.length(last) > 1 {
				last, _ = s.more(last, false)
				return match{q, last, kindName}, true // NAME ROE, JANE
			}
			return m, false
		default:
			return m, false
		}
		if s.has(s.prev(i), english) && !s.has(s.prev(i), function|kin|premises) && !s.has(s.prev(i), naming) && s.has(q, english) {
			return m, false // brand name is
		}
	}
	if s.has(q, title) || s.tokens[q].class != isWord || s.tokens[q].gap == newline || s.never(q) || s.has(q, eponym) && (s.named(s.next(q)) || s.equal(i, "named") && !s.personal(i, 6)) {
		return m, false
	}
	if s.tokens[q].upper == lower && (s.has(q, english) && !s.has(q, givenCommon) || s.length(q) < 2) {
		return m, false
	}
	// "Name: Smith, John"
	if m, ok = s.reversed(q); ok {
		return m, true
	}
	return s.person(q, s.tokens[q].upper == lower)
}

// reversed finds a family name before a given name: Smith, John A.
func (s *scanner) reversed(i int32) (m match, ok bool) {
	comma := s.next(i)
	q := s.next(comma)
	if !s.is(comma, ',') || !s.capital(i) || !s.capital(q) || !s.has(q, given) || s.never(q) || !s.has(i, family) && s.has(i, english) && !s.has(q, givenCommon) || s.tokens[q].gap == newline {
		return m, false
	}
	m, ok = s.person(q, false)
	m.first = i
	return m, ok
}

// personal tells whether one of some words before a token is about a person.
func (s *scanner) personal(i int32, words int) bool {
	for p, n := s.prev(i), 0; n < words && s.tokens[p].class != isStop; p, n = s.prev(p), n+1 {
		if s.is(p, '.') && !s.glued(s.next(p)) {
			return false
		}
		if s.has(p, kin|ageUnit) || s.equal(p, "old") || s.equal(p, "child") || s.equal(p, "baby") || s.equal(p, "person") || s.equal(p, "am") || s.equal(p, "me") || s.equal(p, "i") || s.equal(p, "who") {
			return true
		}
	}
	return false
}

// addressed finds the name behind a word for a person or a greeting: patient
// [Xiu P.], my wife [grace], Hi [Rose].
func (s *scanner) addressed(i int32) (m match, ok bool) {
	q := s.next(i)
	greets := s.has(i, greeting)
	if s.is(q, ',') && greets || s.is(q, ':') || s.is(q, ',') && s.has(s.prev(i), function) && s.has(s.next(q), given) {
		q = s.next(q)
	}
	if s.tokens[q].class != isWord || s.tokens[q].gap == newline && !greets || s.never(q) || s.glued(q) || s.has(q, title|kin|greeting|naming|facility|premises|month) {
		return m, false
	}
	if s.named(s.next(q)) || s.has(q, eponym) && s.is(s.next(q), '\'') {
		return m, false
	}
	if m, ok = s.reversed(q); ok && !greets {
		return m, true
	}
	if s.tokens[q].upper == lower {
		// A given name that is a word, too, must be the end of something.
		if !s.has(q, givenCommon) || s.has(q, english) && !s.has(q, surely) && (!s.ends(s.next(q)) || !greets) || s.length(q) < 3 {
			return m, false
		}
		return s.person(q, true)
	}
	if dot, is := s.initial(q); is && !greets {
		last, parts := s.more(dot, false)
		return match{q, last, kindName}, parts > 1 && s.has(last, family)
	}
	switch {
	case s.tokens[q].upper == allUpper && (s.has(q, acronym) || s.length(q) < 3 || !s.has(q, given|family)):
		return m, false
	case s.has(q, english) && !s.has(q, given):
		return m, false
	case s.has(q, english) && !s.has(q, surely) && s.has(s.next(q), english) && !s.has(s.next(q), function|visit|kin) && s.tokens[s.next(q)].upper != lower:
		return m, false
	case !s.has(q, given|family):
		// An unknown word: only with a second one or an initial, or for a relative.
		if s.unheard(q) && s.relation(i) {
			break
		}
		if _, parts := s.more(q, false); parts < 2 && (!s.equal(i, "patient") && !s.equal(i, "pt") && !s.equal(i, "client") && !greets && !s.equal(s.prev(i), "my")) {
			return m, false
		}
	}
	return s.person(q, false)
}

// small finds a name in lower case: behind "i am" and the like, or a given name
// with a family name behind it.
func (s *scanner) small(i int32) (m match, ok bool) {
	if !s.has(i, givenCommon) || s.length(i) < 3 || s.never(i) || s.has(i, medical|condition) {
		return m, false
	}
	word := s.has(i, english) && !s.has(i, surely)
	last, parts := s.more(i, true)
	whole := parts > 1 && s.has(last, family) && s.tokens[last].upper == lower && (!s.has(last, english) || s.has(last, familyCommon))
	if s.introduced(i) && (!word || whole) {
		return match{i, last, kindName}, !s.named(s.next(last))
	}
	if s.has(i, everyday) {
		return match{i, last, kindName}, !s.named(s.next(last)) && !s.glued(i)
	}
	if !whole || s.has(i, english) || s.named(s.next(last)) || s.has(i, place) {
		return m, false
	}
	return match{i, last, kindName}, s.has(last, familyCommon) || !s.has(last, english)
}

// introduced tells whether the words before a token are such that a name follows.
func (s *scanner) introduced(i int32) bool {
	p := s.prev(i)
	o := s.prev(p)
	switch {
	case s.is(p, ','):
		return s.has(o, greeting)
	case s.equal(p, "am"), s.equal(p, "im"):
		return true
	case s.equal(p, "m"):
		return s.is(o, '\'')
	case s.equal(p, "is"):
		return s.equal(o, "this") || s.equal(o, "name") || s.has(o, kin)
	case s.equal(p, "s"):
		return s.is(o, '\'') && (s.equal(s.prev(o), "it") || s.equal(s.prev(o), "name"))
	case s.equal(p, "me"):
		return s.equal(o, "call")
	}
	if s.equal(p, "and") && s.personFound(o) || s.equal(p, "its") || s.equal(p, "law") && s.equal(o, "in") {
		return true
	}
	if s.equal(p, "to") || s.equal(p, "with") {
		return s.equal(o, "talked") || s.equal(o, "spoke") || s.equal(o, "talking") || s.equal(o, "speak") || s.equal(o, "speaking")
	}
	return s.has(p, greeting|kin) || s.equal(p, "named") || s.equal(p, "told") || s.equal(p, "tell") || s.equal(p, "met") || s.equal(p, "saw")
}

// initialled finds a name that starts with an initial: L. Wang, J. R. Jones.
func (s *scanner) initialled(i int32) (m match, ok bool) {
	dot, is := s.initial(i)
	if q := s.next(dot); s.is(q, '\'') && s.glued(q) && s.capital(s.next(q)) && s.glued(s.next(q)) && s.length(s.next(q)) > 2 && !s.glued(i) {
		// D'Angelo
		last, parts := s.more(s.next(q), false)
		return match{i, last, kindName}, parts > 1 || s.has(s.next(q), given|family)
	}
	if !is || s.glued(i) && s.solid(s.prev(i)) {
		return m, false
	}
	q := s.next(dot)
	for range 2 {
		if d, again := s.initial(q); again {
			q = s.next(d)
		}
	}
	if !s.capital(q) || !s.has(q, family|given) && s.length(q) < 4 || s.never(q) || s.length(q) < 3 || s.has(q, english) && !s.has(q, familyCommon) {
		return m, false
	}
	switch p := s.prev(i); {
	case s.has(p, medical|english) && !s.has(p, function|visit|dated|preposed|kin) && s.tokens[p].upper == capital:
		return m, false
	case s.named(s.next(q)):
		return m, false
	}
	last, _ := s.more(q, false)
	return match{i, last, kindName}, true
}

// capitalised finds a name by its own words.
func (s *scanner) capitalised(i int32) (m match, ok bool) {
	if s.never(i) || s.has(i, naming) || s.has(i, title|kin|greeting|unit) && !s.has(i, given) || s.glued(i) && (s.is(s.prev(i), '\'') || s.is(s.prev(i), '-') && s.solid(s.prev(s.prev(i)))) {
		return m, false
	}
	if q := s.next(i); s.is(q, '\'') && s.glued(q) && s.equal(s.next(q), "t") {
		return m, false // Don't
	}
	if p := s.prev(i); s.equal(p, "new") && s.capital(p) || s.equal(p, "st") || s.equal(p, "saint") || s.is(p, '.') && s.equal(s.prev(p), "st") {
		return m, false
	}
	if s.has(i, family) {
		if m, ok = s.reversed(i); ok && (s.heads(i) || s.tokens[i].upper == allUpper && s.tokens[s.next(s.next(i))].upper == allUpper) {
			return m, true
		}
	}
	last, parts := s.more(i, false)
	m = match{i, last, kindName}
	if s.named(s.next(last)) && (parts == 1 || !s.is(last, '.')) {
		return m, false
	}
	f := s.tokens[i].flags
	if s.tokens[i].upper == allUpper && (f&given == 0 || f&acronym != 0 || parts == 1 && (f&(givenCommon|english) != givenCommon || !s.among(i, last)) || s.length(i) < 3) {
		return m, false
	}
	word := f&english != 0 && f&surely == 0
	if f&english != 0 && parts == 1 && s.imperative(i) {
		return m, false
	}
	if f&(english|region|month|medical) == 0 && (parts == 1 && (s.unheard(i) || f&given != 0 && f&(eponym|place) == 0) && s.among(i, last) || parts > 1 && s.paired(i, last)) {
		return m, true
	}
	_, abbreviated := s.initial(s.prev(last))
	if parts > 1 {
		switch {
		case f&given != 0 && !word:
			return m, f&region == 0 || s.has(last, family) || s.is(last, '.')
		case f&given != 0:
			// Will Smith, but no Rose Garden and no Vitamin D.
			return m, s.has(last, family) && s.has(s.prev(i), telling) || f&worded != 0 && s.is(s.next(last), ',') && s.aged(s.next(s.next(last))) || s.is(last, '.') && abbreviated && f&givenCommon != 0 && (f&worded != 0 || s.personal(i, 8)) || (s.has(last, family) || f&worded != 0) && (!s.has(last, english) || s.has(last, familyCommon) && f&worded != 0)
		case word:
			return m, false
		}
		return m, (f&family != 0 && s.has(last, given|family) || s.apposed(i)) && f&(region|place) == 0 || s.degree(last)
	}
	switch {
	case s.degree(last) && f&(family|given) != 0:
		return m, true
	case f&given == 0 && s.alone(i):
		return m, true
	case f&given == 0 || f&(region|eponym) != 0 || f&month != 0 && !s.introduced(i):
		return m, false
	case f&givenCommon == 0:
		return m, f&(english|place|cueMask) == 0 && (s.length(i) > 3 || s.apposed(i) || s.subject(i))
	case !word:
		return m, f&place == 0 || !s.placed(i)
	}
	if s.midSentence(i) || f&worded != 0 && s.among(i, last) {
		return m, true
	}
	// A word that is also a name, alone.
	if p := s.prev(i); s.is(p, ',') && s.has(s.prev(p), greeting) {
		return m, true
	}
	if q := s.next(i); f&worded != 0 && s.has(q, verbal) && s.tokens[q].upper == lower {
		return m, true
	}
	return m, f&month == 0 && s.introduced(i) && (!s.capital(s.next(i)) && !s.has(s.next(i), facility))
}

// heads tells whether a token starts a line or what stands behind a colon, or
// follows the word for a person.
func (s *scanner) heads(i int32) bool {
	p := s.prev(i)
	return s.tokens[i].gap == newline || s.tokens[p].class == isStop || s.is(p, ':') || s.has(p, kin)
}

// apposed tells whether a token stands where a sentence about a patient has the
// name: a 60-year-old man, X Y, ...; patients like X Y.
func (s *scanner) apposed(i int32) bool {
	p := s.prev(i)
	if s.is(p, ',') || s.is(p, ':') || s.is(p, '(') {
		return s.personal(p, 12)
	}
	return s.equal(p, "like") || s.equal(p, "for") || s.has(p, kin|naming) || s.has(p, greeting)
}

// degree tells whether a title follows a name: Jane Roe, MD.
func (s *scanner) degree(i int32) bool {
	q := s.next(i)
	if s.is(q, ',') {
		q = s.next(q)
	}
	if s.tokens[q].upper != allUpper && !s.equal(q, "phd") {
		return false
	}
	for _, w := range []string{"md", "rn", "np", "phd", "dds", "dmd", "facs", "facp", "mbbs", "lcsw", "pharmd", "dnp", "crnp", "aprn", "dpm"} {
		if s.equal(q, w) {
			return true
		}
	}
	return false
}

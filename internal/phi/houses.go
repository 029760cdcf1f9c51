package phi

// house finds a hospital, a clinic or an office by its last word.
func (s *scanner) house(i int32) (m match, ok bool) {
	if s.tokens[i].upper == lower {
		if m, ok = s.lowerHouse(i); ok {
			return m, true
		}
		if !s.has(i, facility) && !s.equal(i, "office") && !s.equal(i, "branch") {
			return m, false
		}
	}
	first := s.back(i)
	if first == i && s.has(i, avenida) && s.capital(i) {
		last := s.ahead(i) // Hôpital Saint-Louis
		return match{i, last, kindLocation}, last != i && s.solid(last)
	}
	if p := s.prev(i); first == i && s.equal(p, "s") && s.is(s.prev(p), '\'') {
		// st mary's hospital
		if o := s.prev(s.prev(s.prev(p))); s.has(o, streetAbb) && s.equal(o, "st") {
			return match{o, i, kindLocation}, true
		}
	}
	for first != i && (s.has(first, function|kin) && !s.equal(first, "all") || s.has(first, visit) || s.joint(first)) {
		first = s.next(first)
	}
	if first == i || s.public(first) {
		return m, false
	}
	if p := s.prev(first); s.is(p, '.') && s.has(s.prev(p), title) && !s.has(s.prev(p), streetAbb) {
		return m, false // Dr. Smith's Office is a person's
	}
	specific := false
	for j := first; j != i; j = s.next(j) {
		f := s.tokens[j].flags
		if s.tokens[j].class != isWord || s.length(j) == 1 || f&(function|medical|acronym|condition) != 0 || f&premises != 0 && !s.ofHospitals(j) {
			continue
		}
		switch {
		case f&english == 0 || f&(given|family|place) != 0, f&eponym != 0:
			specific = true
		case s.has(i, facility) && s.tokens[i].upper != lower, s.placed(first):
			specific = true
		}
	}
	if !specific {
		return m, false
	}
	last := i
	if s.tokens[i].upper != lower {
		last = s.ahead(i)
	}
	for last != i && s.has(last, given) && !s.has(last, place) {
		last = s.prev(last)
	}
	if !s.solid(last) {
		last = s.prev(last)
	}
	q := s.next(last)
	return match{first, last, kindLocation}, !s.source(first) && !s.has(q, condition) && (!s.equal(q, "study") && !s.equal(q, "studies"))
}

// lowerHouse finds a hospital in lower case: at mercy hospital.
func (s *scanner) lowerHouse(i int32) (m match, ok bool) {
	p := s.prev(i)
	if !s.has(i, facility) && !s.equal(i, "center") && !s.equal(i, "centre") || s.equal(i, "hospitals") || s.equal(i, "clinics") {
		return m, false
	}
	if !s.has(i, facility) {
		if !s.equal(p, "medical") && !s.equal(p, "health") {
			return m, false
		}
		p = s.prev(p)
	}
	first, proper := i, false
	for range 3 {
		t := &s.tokens[p]
		if t.class != isWord || t.upper != lower || t.flags&(function|preposed|visit|transfer) != 0 || s.tokens[s.next(p)].gap != spaces {
			break
		}
		proper = proper || !s.generic(p)
		first = p
		p = s.prev(p)
	}
	at := s.equal(p, "at") || s.equal(p, "to") || s.equal(p, "from") || s.is(p, '@')
	return match{first, i, kindLocation}, proper && at
}

// generic tells whether a word says what a hospital is for, not what it is called.
func (s *scanner) generic(i int32) bool {
	if s.has(i, medical|acronym) {
		return true
	}
	for _, w := range []string{
		"pain", "dialysis", "psychiatric", "psych", "local", "nearby", "outside", "community", "walk", "dental", "eye", "teaching", "coumadin",
		"anticoagulation", "fertility", "sleep", "wound", "speech", "main", "same", "another", "rural", "private", "public", "big", "small", "new",
		"general", "regional", "memorial", "city", "county", "state", "care", "urgent", "primary", "specialty", "methadone", "foot", "heart", "cancer",
		"memory", "travel", "flu", "vaccine", "mental", "behavioral", "women", "children", "day", "different", "other", "diabetes", "animal", "field",
	} {
		if s.equal(i, w) {
			return true
		}
	}
	return false
}

// ofHospitals tells whether a word for an institution may be the only one in the
// name of a hospital.
func (s *scanner) ofHospitals(i int32) bool {
	return s.equal(i, "university") || s.equal(i, "memorial") || s.equal(i, "general") || s.equal(i, "regional")
}

package phi

import "strings"

// street finds an address by the word for its street: 12 Elm Street, Apt 4.
func (s *scanner) street(i int32) (m match, ok bool) {
	first, words, capitals := i, 0, true
	for range 4 {
		p := s.prev(first)
		if s.is(p, '.') && s.glued(p) && s.length(s.prev(p)) <= 2 {
			p = s.prev(p)
		}
		if s.tokens[first].gap == newline || s.tokens[p].class != isWord && (s.tokens[p].class != isNumber || !s.ordinal(first)) {
			break
		}
		if s.has(p, function|dated|preposed) && !s.ordinal(p) || s.has(p, unit) && s.tokens[p].upper == lower || s.has(p, month) && !s.capital(p) {
			break
		}
		capitals = capitals && (s.tokens[p].upper != lower || s.tokens[p].class == isNumber || s.ordinal(p))
		first = p
		words++
	}
	house := s.prev(first)
	numbered := s.tokens[house].class == isNumber && s.length(house) <= 6 && s.tokens[first].gap != newline && !s.has(first, ageUnit)
	if s.glued(first) && s.is(house, '-') {
		numbered = false
	}
	if words == 0 && (!numbered || !s.capital(i) || !s.has(i, street)) {
		return m, false
	}
	switch {
	case numbered && capitals && (s.capital(i) || s.has(i, street)):
	case numbered && !capitals && s.has(i, street) && !s.has(i, english&^street) && words <= 3 || numbered && s.equal(i, "st") || numbered && s.equal(i, "ave") || numbered && s.equal(i, "blvd"):
	case numbered && words <= 3 && (s.equal(i, "street") || s.equal(i, "avenue") || s.equal(i, "road") || s.equal(i, "lane") || s.equal(i, "drive") || s.equal(i, "boulevard")):
	case !numbered && capitals && s.capital(i) && s.has(i, street) && s.tokens[first].upper == capital && !s.has(first, given) && s.placed(first):
		return match{first, i, kindLocation}, true
	default:
		return match{first, i, kindLocation}, capitals && s.avenue(first, i)
	}
	last := i
	q := s.next(i)
	if s.is(q, '.') {
		q = s.next(q)
	}
	if s.capital(q) && (s.equal(q, "north") || s.equal(q, "south") || s.equal(q, "east") || s.equal(q, "west") || s.equal(q, "nw") || s.equal(q, "ne") || s.equal(q, "sw") || s.equal(q, "se")) {
		last, q = q, s.next(q)
	}
	if s.is(q, ',') {
		q = s.next(q)
	}
	for _, w := range []string{"apt", "apartment", "suite", "ste", "unit", "flat", "room", "fl", "floor", "bldg"} {
		if s.equal(q, w) || s.is(q, '#') {
			if q = s.next(q); s.is(q, '.') || s.is(q, '#') {
				q = s.next(q)
			}
			if s.tokens[q].class == isNumber || s.tokens[q].class == isWord && s.length(q) == 1 {
				if last = q; s.glued(s.next(q)) && s.solid(s.next(q)) {
					last = s.next(q)
				}
			}
			break
		}
	}
	return match{s.unit(house), last, kindLocation}, true
}

// avenue tells whether capitalised words are a street without a number: 5th Avenue,
// on Maple Road.
func (s *scanner) avenue(first, last int32) bool {
	if first == last || !s.capital(last) || s.has(first, function|region|medical) {
		return false
	}
	p := s.prev(first)
	if s.tokens[first].class == isNumber || s.ordinal(first) && s.tokens[p].class == isNumber {
		return s.has(last, street) || s.equal(last, "ave") || s.equal(last, "st")
	}
	on := s.equal(p, "on") || s.equal(p, "off") || s.equal(p, "of") || s.placed(first)
	return on && (s.has(last, street) || s.equal(last, "ave") || s.equal(last, "rd") || s.equal(last, "blvd"))
}

// unit returns the first token of what stands before the number of a house: 14/2,
// Flat 3, 88 Elm Street.
func (s *scanner) unit(house int32) int32 {
	p := s.prev(house)
	if s.is(p, '/') && s.glued(p) && s.glued(house) && s.tokens[s.prev(p)].class == isNumber {
		house = s.prev(p)
		p = s.prev(house)
	}
	n := s.prev(p)
	if !s.is(p, ',') || !s.solid(n) || s.length(n) > 4 {
		return house
	}
	for _, w := range []string{"flat", "apt", "apartment", "unit", "suite", "room"} {
		if s.equal(s.prev(n), w) {
			return s.prev(n)
		}
	}
	return house
}

// abroad finds an address whose number stands behind the street, or whose street
// starts with the word for it: Lindenstraße 14, Calle Mayor 5, 12 rue des Lilas.
func (s *scanner) abroad(i int32) (m match, ok bool) {
	last := i
	if s.has(i, avenida) {
		for range 6 {
			q := s.next(last)
			if s.tokens[q].class != isWord || s.tokens[q].gap == newline || s.tokens[q].upper == lower && !s.article(q) {
				break
			}
			last = q
		}
		if last == i || s.tokens[last].upper == lower {
			return m, false
		}
		if house := s.prev(i); s.tokens[house].class == isNumber && !s.glued(house) && s.tokens[i].upper != allUpper && s.length(house) <= 4 && s.tokens[i].gap == spaces {
			return match{house, last, kindLocation}, true
		}
	} else if !s.streetEnding(i) {
		return m, false
	}
	q := s.next(last)
	if s.is(q, ',') || s.is(q, '.') && s.glued(q) {
		q = s.next(q)
	}
	if s.tokens[q].class != isNumber || s.tokens[q].gap == newline || s.length(q) > 4 || s.has(s.next(q), unit) {
		return m, false
	}
	if r := s.next(q); s.glued(r) && s.tokens[r].class == isWord && s.length(r) == 1 {
		q = r // 14a
	}
	return match{i, q, kindLocation}, true
}

// streetEnding tells whether a word is a street of Germany or the Netherlands.
func (s *scanner) streetEnding(i int32) bool {
	if !s.capital(i) || s.has(i, english) {
		return false
	}
	word := s.string(i)
	for _, end := range []string{"straße", "strasse", "str", "gasse", "allee", "platz", "gracht", "straat", "laan", "plein", "vägen", "gatan"} {
		if len(word) > len(end)+2 && strings.HasSuffix(word, end) {
			return true
		}
	}
	return false
}

// article tells whether a word in lower case is an article or the like of a street
// in another language.
func (s *scanner) article(i int32) bool {
	return s.length(i) <= 3 && !s.has(i, english&^function) || s.equal(i, "de") || s.equal(i, "das") || s.equal(i, "des") || s.equal(i, "la")
}

// postal finds ZIP codes, postcodes of the United Kingdom
// (BS 7666; the areas
// are Royal Mail's) and of Canada, and post office boxes.
func (s *scanner) postal(i int32) (m match, ok bool) {
	p := s.prev(i)
	if s.equal(p, "box") && !s.glued(i) {
		if q := s.prev(p); s.equal(q, "po") {
			return match{q, i, kindLocation}, true
		} else if o := s.prev(s.prev(q)); s.is(q, '.') && s.equal(s.prev(q), "o") && s.is(o, '.') && s.equal(s.prev(o), "p") {
			return match{s.prev(o), i, kindLocation}, true
		}
	}
	if s.length(i) == 5 && !s.glued(i) {
		return s.zip(i)
	}
	if s.cueBefore(i).cue == cueZIP && s.length(i) >= 4 && s.length(i) <= 6 && !s.glued(i) {
		_, last := s.chunk(i)
		return match{i, last, kindLocation}, true
	}
	if !s.glued(i) || s.tokens[p].class != isWord || s.glued(p) && s.solid(s.prev(p)) || s.length(p) > 2 || s.length(i) > 3 {
		return m, false
	}
	if last := s.next(i); s.length(i) >= 2 && s.glued(last) && s.length(last) == 2 {
		return s.glue(p, last)
	}
	if s.tokens[p].upper != allUpper || s.length(i) > 2 {
		return m, false
	}
	q := s.next(i)
	if s.glued(q) && s.tokens[q].upper == allUpper && s.length(q) == 1 {
		q = s.next(q)
	}
	last := s.next(q)
	if s.tokens[q].class != isNumber || s.length(q) != 1 || s.tokens[q].gap == newline || !s.glued(last) || s.tokens[last].upper != allUpper {
		return m, false
	}
	end := s.next(last)
	switch {
	case s.length(last) == 2 && (!s.glued(end) || !s.solid(end)):
		if strings.ContainsAny(s.string(last), "CIKMOV") || s.equal(last, "st") || s.equal(last, "nd") || s.equal(last, "rd") || s.equal(last, "th") || !ukArea(s.string(p)) {
			return m, false
		}
		return match{p, last, kindLocation}, true
	case s.length(last) == 1 && s.length(p) == 1 && s.length(i) == 1 && s.glued(end) && s.tokens[end].class == isNumber && s.length(end) == 1 && s.prev(q) != i && !s.glued(q):
		return match{p, end, kindLocation}, true
	}
	return m, false
}

// glue finds a postcode of the United Kingdom that is written in one, cb21tn, which
// only what stands before tells from other codes.
func (s *scanner) glue(first, last int32) (m match, ok bool) {
	if s.tokens[last].class != isWord || s.glued(s.next(last)) && s.solid(s.next(last)) || !ukArea(strings.ToUpper(s.string(first))) ||
		strings.ContainsAny(strings.ToUpper(s.string(last)), "CIKMOV") {
		return m, false
	}
	p := s.prev(first)
	for n := 0; n < 2 && (s.is(p, ',') || s.is(p, ':') || s.equal(p, "is")); n++ {
		p = s.prev(p)
	}
	t := &s.tokens[p]
	return match{first, last, kindLocation}, t.class == isFound && t.kind == kindLocation || t.flags.cue() == cueZIP
}

// ukArea tells whether letters are a postcode area.
func ukArea(letters string) bool {
	const areas = " AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY" +
		" G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW" +
		" OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE "
	return strings.Contains(areas, " "+letters+" ")
}

// zip finds a ZIP code behind a town or a state, or behind its name.
func (s *scanner) zip(i int32) (m match, ok bool) {
	last := i
	if q := s.next(i); s.glued(q) && s.is(q, '-') && s.glued(s.next(q)) && s.tokens[s.next(q)].class == isNumber && s.length(s.next(q)) == 4 {
		last = s.next(q)
	}
	p := s.prev(i)
	if q := s.next(i); last == i && s.glued(q) && s.is(q, '-') && s.length(s.next(q)) == 3 && s.glued(s.next(q)) && s.has(p, cueMask) && s.tokens[p].flags.cue() == cueZIP {
		last = s.next(q) // a Brazilian CEP
	}
	if q := s.next(last); s.glued(q) && (s.solid(q) || s.joint(q) && s.glued(s.next(q)) && s.solid(s.next(q))) {
		return m, false
	}
	for n := 0; n < 3 && (s.is(p, ',') || s.is(p, ':') || s.equal(p, "code") || s.equal(p, "is")); n++ {
		p = s.prev(p)
	}
	t := &s.tokens[p]
	near := t.class == isFound && t.kind == kindLocation || t.flags&stateCode != 0 && t.upper == allUpper && (!s.equal(p, "id") || s.is(s.prev(p), ',')) || t.flags&region != 0 || t.flags.cue() == cueZIP
	return match{i, last, kindLocation}, near && !s.has(s.next(last), unit)
}

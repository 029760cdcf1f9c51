package phi

import "strings"

// numeric finds a date of numbers that starts at one: 2023-02-14, 02/14/2023,
// 14.02.2023, 2/14/23, 02/2023, and 2/14 where the words before speak of a day.
func (s *scanner) numeric(i int32) (m match, ok bool) {
	if p := s.prev(i); s.glued(i) && (s.solid(p) || s.joint(p) && s.glued(p) && s.solid(s.prev(p)) && !s.spanned(i) || s.is(p, ':') && s.tokens[s.prev(p)].class == isNumber || s.is(p, '$')) {
		return m, false
	}
	sep := s.next(i)
	if !s.joint(sep) || s.is(sep, '_') || !s.glued(sep) || !s.glued(s.next(sep)) || s.tokens[s.next(sep)].class != isNumber {
		if s.length(i) == len("20230214") {
			return s.compact(i)
		}
		if g := s.groups(i); g.n == 3 && g.seps[1] == ' ' && g.seps[2] == ' ' && s.dated(i) && s.length(g.at[2]) == 4 && year(s.value(g.at[2])) &&
			(monthDay(s.value(i), s.value(g.at[1])) || monthDay(s.value(g.at[1]), s.value(i))) {
			return match{i, g.last, kindDate}, true // dob 2 14 1956
		}
		if s.length(i) == len("021423") && !s.glued(i) && s.ofDate(s.prev(i)) {
			v := s.value(i)
			return match{i, i, kindDate}, monthDay(v/10000, v/100%100) || monthDay(v/100%100, v/10000)
		}
		return m, false
	}
	second := s.next(sep)
	mark := s.tokens[sep].mark
	a, b, c, last := s.value(i), s.value(second), -1, second
	third := s.next(s.next(second))
	if q := s.next(second); s.is(q, mark) && s.glued(q) && s.glued(third) && s.tokens[third].class == isNumber {
		c, last = s.value(third), third
	}
	if q := s.next(last); s.glued(q) && (s.tokens[q].class == isNumber || s.solid(q) && !s.equal(q, "t") || s.is(q, '%') ||
		(s.joint(q) || s.is(q, ':')) && s.glued(s.next(q)) && s.solid(s.next(q)) && !s.spanned(s.next(q))) {
		return m, false
	}
	m = match{i, last, kindDate}
	switch {
	case c >= 0 && s.length(i) == 4:
		return m, year(a) && monthDay(b, c) && s.length(second) <= 2 && s.length(third) <= 2
	case c >= 0:
		if s.length(i) > 2 || s.length(second) > 2 || !monthDay(a, b) && !monthDay(b, a) {
			return m, false
		}
		if s.length(third) == 2 {
			return m, mark != '.' || s.length(i) == 2 && s.length(second) == 2
		}
		return m, s.length(third) == 4 && year(c)
	case s.length(second) == 4:
		return m, mark == '/' && s.length(i) <= 2 && monthDay(a, 1) && year(b)
	case s.length(i) == 4:
		return m, mark != '.' && year(a) && s.length(second) == 2 && monthDay(b, 1) && (s.dated(i) || s.tokens[s.prev(i)].class == isWord && !s.has(s.prev(i), function|preposed) && s.is(s.next(second), ','))
	default:
		return m, mark == '/' && s.length(i) <= 2 && s.length(second) <= 2 && (monthDay(a, b) || monthDay(b, a) || monthDay(a, 1)) &&
			b > 0 && (s.dated(i) || s.beside(i, second) || s.timely(i, second)) && !s.has(s.next(second), unit) && !s.equal(s.next(second), "of")
	}
}

// spanned tells whether a dash before a number stands between two dates of days,
// months and years: 01.02.2025-31.01.2026.
func (s *scanner) spanned(i int32) bool {
	dash := s.prev(i)
	if !s.is(dash, '-') {
		return false
	}
	ends := func(year, sep int32) bool {
		return s.tokens[year].class == isNumber && (s.is(sep, '.') || s.is(sep, '/')) && s.length(year) != 3 && s.length(year) <= 4
	}
	before := s.prev(dash)
	if s.tokens[before].class == isFound {
		return s.tokens[before].kind == kindDate
	}
	if month := s.prev(s.prev(before)); s.is(s.next(i), '/') && s.is(s.prev(before), '/') {
		return s.is(s.prev(month), '(') || s.value(month) > s.value(before) // (4/11-4/15), 6/1-6/5
	}
	sep, month := s.next(i), s.next(s.next(i))
	return ends(before, s.prev(before)) && ends(i, sep) && ends(s.next(s.next(month)), s.next(month))
}

// beside tells whether a month and a day without a year stand where only they fit:
// behind another date, or after a person or a place and at the end.
func (s *scanner) beside(i, day int32) bool {
	if v := s.value(day); v < 11 && s.value(i) < 11 || s.length(i) > 2 {
		return s.behind(i, kindDate) || s.behind(i, kindLocation) && s.ends(s.next(day))
	}
	p, q := s.prev(i), s.next(day)
	if s.behind(i, kindDate) || (s.behind(i, kindName) || s.behind(i, kindLocation)) && (s.ends(q) || s.has(q, function)) {
		return true
	}
	// 3/14 is a day where it is no usual fraction or score and no noun follows.
	v := max(s.value(day), s.value(i))
	return v > 12 && v != 15 && v != 16 && v != 20 && v != 24 && v != 25 && v != 30 && !s.equal(p, "in") && !s.equal(p, "of") && !s.equal(p, "exp") && s.tokens[p].class == isWord &&
		!s.has(p, condition|unit) && (s.ends(q) || s.has(q, function|chatty))
}

// timely tells whether the words before a month and a day tell of something that
// happens on a day: called 5/12, labs 9/3, Mon 3/3.
func (s *scanner) timely(i, day int32) bool {
	p, v := s.prev(i), s.value(day)
	if s.is(p, '(') {
		return s.spannedDays(day)
	}
	if s.is(p, '-') && s.behind(i, kindDate) || s.has(p, weekday|weekdayAbb) || s.booked(p) {
		return true
	}
	if s.ends(i) || s.is(p, '.') {
		return s.is(s.next(day), ':') || s.spannedDays(day) && s.value(i) > v // 6/6: rash
	}
	if v <= 5 {
		return false
	}
	for _, w := range []string{"labs", "notified", "informed", "reviewed", "up", "tomorrow", "tmrw", "tmr", "today", "yesterday", "appt", "appointment", "called", "came", "went", "died", "left", "ultrasound", "mri", "ct", "xray", "surgery", "biopsy", "refill"} {
		if s.equal(p, w) {
			return true
		}
	}
	return s.has(p, visit|transfer)
}

// booked tells whether a word is the "for" or "to" of a date: rescheduled for 3/4.
func (s *scanner) booked(i int32) bool {
	if !s.equal(i, "for") && !s.equal(i, "to") {
		return false
	}
	p := s.prev(i)
	return s.equal(p, "rescheduled") || s.equal(p, "scheduled") || s.equal(p, "booked") || s.equal(p, "moved") || s.equal(p, "planned") || s.equal(p, "appointment")
}

// spannedDays tells whether a dash and another month and day follow: 4/11-4/15.
func (s *scanner) spannedDays(day int32) bool {
	dash := s.next(day)
	first := s.next(dash)
	slash := s.next(first)
	return s.is(dash, '-') && s.tokens[first].class == isNumber && s.is(slash, '/') && s.glued(slash) && s.value(s.next(slash)) > 0
}

// behind tells whether a finding of a kind stands before a token, or before the
// comma or the and between.
func (s *scanner) behind(i int32, k kind) bool {
	p := s.prev(i)
	for n := 0; n < 2 && (s.is(p, ',') || s.is(p, '-') || s.equal(p, "to") || s.equal(p, "and") || s.equal(p, "through") || s.equal(p, "again")); n++ {
		p = s.prev(p)
	}
	return s.tokens[p].class == isFound && s.tokens[p].kind == k
}

// ofDate tells whether a word, or the one before a colon, says that a date follows.
func (s *scanner) ofDate(i int32) bool {
	if s.is(i, ':') {
		i = s.prev(i)
	}
	return s.equal(i, "date") || s.equal(i, "dob") || s.equal(i, "dos")
}

// compact finds a date of eight digits, year first.
func (s *scanner) compact(i int32) (m match, ok bool) {
	v := s.value(i)
	q := s.next(i)
	if s.glued(q) && (s.solid(q) && !s.equal(q, "t") || s.joint(q) && s.glued(s.next(q)) && s.solid(s.next(q))) || s.cueBefore(i).cue != noCue {
		return m, false
	}
	return match{i, i, kindDate}, year(v/10000) && monthDay(v/100%100, v%100)
}

func year(y int) bool { return 1900 <= y && y < 2100 }

func monthDay(month, day int) bool { return 1 <= month && month <= 12 && 1 <= day && day <= 31 }

// dated tells whether the words before a token speak of a day.
func (s *scanner) dated(i int32) bool {
	p := s.prev(i)
	for n := 0; n < 2 && (s.is(p, ':') || s.is(p, '(') || s.is(p, ',') || s.equal(p, "the")); n++ {
		p = s.prev(p)
	}
	return s.has(p, dated)
}

// dayMonth finds a date whose day stands before its month: 14 Feb 2023, 14th of
// February, 17-Feb-2023, 14. Februar is not English.
func (s *scanner) dayMonth(i int32) (m match, ok bool) {
	if v := s.value(i); v < 1 || v > 31 || s.length(i) > 2 || s.glued(i) && (s.solid(s.prev(i)) || s.is(s.prev(i), '.')) {
		return m, false
	}
	q := s.next(i)
	if end := s.next(q); s.is(q, '-') && s.length(end) <= 2 && s.value(end) > s.value(i) && s.has(s.next(end), month) {
		// 3-10 March
		if m, ok = s.dayMonth(end); ok {
			m.first = i
		}
		return m, ok
	}
	ordinal, nth := s.ordinal(q), q
	if ordinal {
		q = s.next(q)
	}
	if s.equal(q, "of") || s.is(q, '-') || s.is(q, '.') || s.is(q, '/') {
		q = s.next(q)
	}
	if s.equal(q, "de") || s.equal(q, "er") && s.glued(q) {
		q = s.next(q)
	}
	if s.has(q, foreign) && !s.glued(q) {
		last, hasYear := s.yearBehind(q)
		if r := s.next(q); !hasYear && s.equal(r, "de") && s.length(s.next(r)) == 4 && year(s.value(s.next(r))) {
			last, hasYear = s.next(r), true
		}
		if hasYear {
			return match{i, last, kindDate}, true
		}
	}
	if !s.has(q, month) {
		if ordinal && s.equal(s.prev(i), "the") && (s.equal(s.prev(s.prev(i)), "on") && s.ends(q) || s.has(s.prev(s.prev(i)), weekday)) {
			return match{i, nth, kindDate}, true
		}
		return m, false
	}
	last, hasYear := s.yearBehind(q)
	if !s.month(q) && !ordinal && !hasYear {
		return m, false
	}
	return match{i, last, kindDate}, true
}

// ends tells whether a sentence or a part of it ends before a token.
func (s *scanner) ends(i int32) bool {
	t := &s.tokens[i]
	return t.class == isStop || t.gap == newline || t.class == isMark && strings.IndexByte(".,;:!?)", t.mark) >= 0
}

// ordinal tells whether a token makes the number before it an ordinal.
func (s *scanner) ordinal(i int32) bool {
	return s.glued(i) && (s.equal(i, "st") || s.equal(i, "nd") || s.equal(i, "rd") || s.equal(i, "th"))
}

// month tells whether the name of a month is one for sure: may and march are
// verbs, and so are mar, sun and others something else, without a capital.
func (s *scanner) month(i int32) bool {
	if s.tokens[i].upper != lower {
		return s.tokens[i].upper == capital || s.length(i) > 3
	}
	return !s.equal(i, "may") && !s.equal(i, "march") && !s.equal(i, "mar") && !s.equal(i, "dec")
}

// yearBehind returns the last token of the year behind a month or a day, or that
// one itself.
func (s *scanner) yearBehind(i int32) (last int32, ok bool) {
	q := s.next(i)
	if s.is(q, '.') && s.length(i) <= 4 && !s.has(s.next(q), function) {
		q = s.next(q)
	}
	if s.is(q, ',') || s.is(q, '-') && s.glued(q) || s.is(q, '/') && s.glued(q) || s.equal(q, "of") {
		q = s.next(q)
	}
	short := false
	if s.is(q, '\'') {
		q, short = s.next(q), true
	} else if s.is(s.prev(q), '-') || s.is(s.prev(q), '/') {
		short = true
	}
	if s.tokens[q].class != isNumber || s.tokens[q].gap == newline {
		return i, false
	}
	if r := s.next(q); s.glued(r) && s.solid(r) {
		return i, false
	}
	if s.length(q) == 4 && year(s.value(q)) || s.length(q) == 2 && short {
		return q, true
	}
	return i, false
}

// calendar finds what starts with the name of a month or of a day of the week.
func (s *scanner) calendar(i int32) (m match, ok bool) {
	if p := s.prev(i); s.glued(i) && (s.solid(p) || s.is(p, '\'')) {
		return m, false
	}
	if !s.has(i, month) || s.equal(i, "sun") {
		return s.weekday(i)
	}
	q := s.next(i)
	if s.is(q, '.') && s.length(i) <= 4 || s.is(q, '-') && s.glued(q) {
		q = s.next(q)
	}
	if s.equal(q, "the") {
		q = s.next(q)
	}
	if v := s.value(q); v >= 1 && v <= 31 && s.length(q) <= 2 && s.tokens[q].gap != newline {
		if m, ok = s.monthDay(i, q); ok {
			return m, true
		}
	}
	if last, is := s.yearBehind(i); is && (s.tokens[i].upper != lower || s.month(i) || s.has(s.prev(i), preposed|dated)) {
		return match{i, last, kindDate}, true
	}
	return match{s.relative(i), i, kindDate}, s.month(i) && s.monthAlone(i)
}

// monthDay finds a date whose month stands before its day, with what may follow:
// the end of a span of days, the year.
func (s *scanner) monthDay(i, day int32) (m match, ok bool) {
	last := day
	q := s.next(day)
	ordinal := s.ordinal(q)
	if ordinal {
		last = q
		q = s.next(q)
	}
	if !ordinal && s.glued(q) && (s.solid(q) || s.is(q, '%') || (s.is(q, '.') || s.is(q, '/') || s.is(q, ':')) && s.glued(s.next(q)) && s.solid(s.next(q))) {
		return m, false
	}
	if s.is(q, '-') || s.equal(q, "to") {
		if r := s.next(q); s.length(r) <= 2 && s.value(r) > s.value(day) && s.value(r) <= 31 && !s.has(s.next(r), unit) && !s.has(s.next(r), month) {
			last = r
			if s.ordinal(s.next(r)) {
				last = s.next(r)
			}
		}
	}
	end, hasYear := s.yearBehind(last)
	switch {
	case hasYear || ordinal:
	case s.has(s.next(last), unit) && !s.equal(s.next(last), "at"), !s.month(i), s.equal(i, "may") && s.has(s.prev(i), kin):
		return m, false
	}
	return match{i, end, kindDate}, true
}

// monthAlone tells whether the words around a month make it a time, with a year
// that is not written.
func (s *scanner) monthAlone(i int32) bool {
	p := s.prev(i)
	for _, w := range []string{"in", "since", "last", "next", "this", "until", "till", "through", "during", "early", "mid", "late", "by", "from", "every"} {
		if s.equal(p, w) {
			return !s.equal(s.next(i), "the") || w != "from"
		}
	}
	if s.is(p, '-') && s.glued(p) {
		return s.equal(s.prev(p), "mid")
	}
	if !s.equal(p, "of") {
		return false
	}
	for _, w := range []string{"end", "beginning", "start", "middle", "half", "week", "month"} {
		if s.equal(s.prev(p), w) {
			return true
		}
	}
	return s.ordinal(s.prev(p))
}

// relative returns the token of the "last" or "next" that belongs to a month or a
// day, or that one itself.
func (s *scanner) relative(i int32) int32 {
	if p := s.prev(i); s.equal(p, "last") || s.equal(p, "next") || s.equal(p, "this") {
		return p
	}
	return i
}

// weekday finds a day of the week that is one day: last Friday, or one beside a date.
func (s *scanner) weekday(i int32) (m match, ok bool) {
	if !s.has(i, weekday) && s.tokens[i].upper == lower {
		return m, false
	}
	m = match{i, i, kindDate}
	q := s.next(i)
	if s.is(q, ',') || s.is(q, '.') || s.equal(q, "the") {
		q = s.next(q)
	}
	if s.is(q, ',') || s.equal(q, "the") {
		q = s.next(q)
	}
	if s.tokens[q].class == isFound && s.tokens[q].kind == kindDate && !s.is(s.prev(q), '.') {
		return m, true
	}
	if !s.has(i, weekday) {
		return m, false
	}
	p := s.prev(i)
	for _, w := range []string{"last", "next", "this", "on", "since", "until", "till", "by", "before", "coming", "past", "following", "previous"} {
		if s.equal(p, w) {
			m.first = s.relative(i)
			return m, !s.equal(q, "to") && !s.equal(q, "through") && !s.equal(q, "and") && !s.is(q, '-')
		}
	}
	return m, false
}

// age finds an age over 89: 45 CFR 164.514(b)(2)(i)(C).
func (s *scanner) age(i int32) (m match, ok bool) {
	if v := s.value(i); v < 90 || v > 130 || s.glued(i) && s.solid(s.prev(i)) {
		return m, false
	}
	m = match{i, i, kindAge}
	q := s.next(i)
	if s.is(q, '-') {
		q = s.next(q)
	}
	if s.has(q, ageUnit) {
		r := s.next(q)
		switch {
		case s.equal(q, "yo"), s.equal(q, "yom"), s.equal(q, "yof"):
			return m, true
		case s.is(r, '-'), s.is(r, '/'), s.is(r, '.'):
			r = s.next(r)
		case s.equal(r, "of"):
			return m, s.equal(s.next(r), "age")
		}
		if s.equal(r, "old") || s.equal(r, "olds") || s.equal(q, "y") && s.equal(r, "o") {
			return m, true
		}
	}
	p := s.prev(i)
	if s.has(q, ageUnit) && s.ends(s.next(q)) && (s.is(p, ',') || s.is(p, '(')) {
		return m, !s.equal(q, "y")
	}
	for n := 0; n < 2 && (s.is(p, ':') || s.equal(p, "of") || s.equal(p, "is") || s.equal(p, "at") || s.equal(p, "just")); n++ {
		p = s.prev(p)
	}
	if s.equal(s.prev(i), "at") && (s.equal(p, "died") || s.equal(p, "passed") || s.equal(p, "away") || s.equal(p, "dead")) {
		return m, !s.has(q, unit) && !s.is(q, ':') && !s.is(q, '%')
	}
	if s.equal(s.prev(i), "is") && (s.equal(s.prev(s.prev(i)), "she") || s.equal(s.prev(s.prev(i)), "he") || s.has(s.prev(s.prev(i)), kin)) {
		return m, s.ends(q) && !s.is(q, '.') || s.is(q, '.') && !s.glued(s.next(q)) || s.equal(q, "and") || s.equal(q, "now")
	}
	if s.glued(q) && (s.equal(q, "m") || s.equal(q, "f")) && s.tokens[q].upper == allUpper {
		return m, !s.glued(s.next(q)) || !s.solid(s.next(q)) // 92F
	}
	if s.equal(p, "age") || s.equal(p, "aged") || s.equal(p, "turned") || s.equal(p, "turning") {
		return m, !s.is(q, '%') && !s.is(s.prev(i), '%')
	}
	return m, false
}

// spelledAge finds an age over 89 that is written in words: ninety-two years old.
func (s *scanner) spelledAge(i int32) (m match, ok bool) {
	last := i
	for _, w := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine"} {
		q := s.next(i)
		if s.is(q, '-') {
			q = s.next(q)
		}
		if s.equal(q, w) {
			last = q
		}
	}
	q := s.next(last)
	if s.is(q, '-') {
		q = s.next(q)
	}
	r := s.next(q)
	if s.is(r, '-') {
		r = s.next(r)
	}
	p := s.prev(i)
	return match{i, last, kindAge}, s.has(q, ageUnit) && s.equal(r, "old") || s.equal(p, "aged") || s.equal(p, "age") || s.equal(p, "turned")
}

package phi

// groups are numbers with one character between.
type groups struct {
	n      int
	at     [8]int32
	digits int
	seps   [8]byte // before each
	last   int32
	form   [16]byte // lengths and separators: 3-2-4
}

func (g *groups) is(form string) bool {
	return len(form) == 2*g.n-1 && string(g.form[:len(form)]) == form
}

// groups returns the groups of a number, from its first one. They are read once for
// all rules of a number.
func (s *scanner) groups(i int32) groups {
	if s.grouped != i {
		s.group, s.grouped = s.readGroups(i), i
	}
	return s.group
}

func (s *scanner) readGroups(i int32) (g groups) {
	for q := i; g.n < len(g.at); {
		if s.tokens[q].class != isNumber {
			break
		}
		g.at[g.n] = q
		g.digits += s.length(q)
		g.form[2*g.n] = "0123456789"[min(s.length(q), 9)]
		g.n++
		g.last = q
		next := s.next(q)
		sep := byte(' ')
		switch {
		case s.tokens[next].gap == newline:
			return g
		case s.tokens[next].gap == spaces && s.tokens[next].class == isNumber:
		case s.glued(next) && (s.is(next, '-') || s.is(next, '.') || s.is(next, '/')) && s.glued(s.next(next)):
			sep = s.tokens[next].mark
			next = s.next(next)
		case s.is(next, '(') && g.n == 1 && s.tokens[next].gap == spaces && s.glued(s.next(next)):
			sep = '('
			next = s.next(next)
		case s.is(next, ')') && (s.tokens[s.next(next)].class == isNumber || s.is(s.next(next), '-')):
			sep = ')'
			next = s.next(next)
			if s.is(next, '-') {
				next = s.next(next)
			}
		case s.is(next, '-') && s.tokens[s.next(next)].class == isNumber && s.tokens[s.next(next)].gap == spaces:
			sep = '~'
			next = s.next(next)
		default:
			return g
		}
		if g.n < len(g.at) {
			g.seps[g.n] = sep
			g.form[2*g.n-1] = sep
		}
		q = next
	}
	return g
}

// cut drops all but the first groups.
func (g *groups) cut(n int) {
	for ; g.n > n; g.n-- {
		g.digits -= int(g.form[2*g.n-2] - '0')
	}
	g.last = g.at[g.n-1]
}

// phone finds a telephone number: of North America (https://nationalnanpa.com) in
// its usual forms, one with a + (ITU-T E.164), one with a trunk 0, and any number
// of fitting length behind a word such as "call".
func (s *scanner) phone(i int32) (m match, ok bool) {
	first := i
	if p := s.prev(i); s.glued(i) {
		switch {
		case s.solid(p), s.is(p, '$'), s.is(p, '#'), s.joint(p) && s.glued(p) && s.solid(s.prev(p)):
			return m, false
		case s.is(p, '('):
			if first = p; s.is(s.prev(p), '+') {
				first = s.prev(p)
			}
		case s.is(p, '+'):
			first = p
		}
	}
	h := s.cueBefore(first)
	telephone := h.cue == cuePhone || h.cue == cueFax
	if h.cue != noCue && !telephone && (h.strong || h.marked) {
		return m, false
	}
	g := s.groups(i)
	international := s.is(first, '+') && first != i
	if s.is(first, '(') && g.seps[1] != ')' {
		first = i
	}
	n := g.telephone(s, international, telephone)
	if n == 0 || h.cue != noCue && !telephone && !international && g.digits > 11 {
		return m, false
	}
	g.cut(n)
	last := g.last
	q := s.next(last)
	if s.glued(q) && (s.solid(q) && !s.equal(q, "x") && !s.equal(q, "ext") || s.is(q, '%') || s.joint(q) && s.glued(s.next(q)) && s.solid(s.next(q))) {
		return m, false
	}
	if g.n == 1 && !international && s.has(q, unit) {
		return m, false
	}
	if s.equal(q, "x") || s.equal(q, "ext") || s.equal(q, "extension") {
		if s.is(s.next(q), '.') || s.is(s.next(q), ':') {
			q = s.next(q)
		}
		if s.tokens[s.next(q)].class == isNumber && s.length(s.next(q)) <= 6 {
			last = s.next(q)
		}
	}
	k := kindPhone
	if h.cue == cueFax || h.cue == noCue && s.toFax(first) {
		k = kindFax
	}
	return match{first, last, k}, true
}

// toFax tells whether something is faxed to a number: fax the ECG to 555-0199.
func (s *scanner) toFax(i int32) bool {
	for p, n := s.prev(i), 0; n < 6 && s.tokens[p].class == isWord && s.tokens[s.next(p)].gap != newline; p, n = s.prev(p), n+1 {
		if s.has(p, cueMask) && s.tokens[p].flags.cue() == cueFax {
			return true
		}
	}
	return false
}

// telephone returns how many of the groups are a telephone number, 0 if none.
func (g *groups) telephone(s *scanner, international, cued bool) int {
	if g.is("9") && !international {
		v := s.string(g.at[0])
		switch {
		case len(v) == 10 && v[0] >= '2' && v[3] >= '2', len(v) == 11 && v[0] == '1' && v[1] >= '2' && v[4] >= '2':
			return 1
		}
	}
	dotted := g.n > 1 && g.seps[1] == '.'
	for n := min(g.n, 6); n > 0; n-- {
		part := *g
		part.cut(n)
		lengths := part.lengths()
		trunk := s.text[s.tokens[g.at[0]].start] == '0'
		dialled := s.length(g.at[0]) >= 4 && s.length(g.at[0]) <= 5 && s.string(g.at[0])[:2] == "00"
		switch {
		case international && part.digits >= 8 && part.digits <= 15,
			dialled && n >= 2 && part.digits >= 11 && part.digits <= 17,
			n == 3 && part.seps[1] == ')' && part.seps[2] == '-' && (lengths == "254" || lengths == "244"), // Brazil
			lengths == "334",
			lengths == "1334" && s.string(g.at[0]) == "1",
			trunk && part.digits >= 9 && part.digits <= 11 && n >= 2 && !dotted && part.seps[1] != '/',
			trunk && lengths == "22222",
			lengths == "34" && (cued || s.string(g.at[0]) == "555") && part.seps[1] != '/',
			cued && part.digits >= 7 && part.digits <= 15 && n <= 6:
			return n
		}
	}
	return 0
}

// lengths returns the lengths of the groups: "334".
func (g *groups) lengths() string {
	var b [8]byte
	for n := range g.n {
		b[n] = g.form[2*n]
	}
	return string(b[:g.n])
}

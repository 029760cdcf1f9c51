package phi

import "strings"

// number applies the rules for what holds a number, from the strictest form to none.
func (s *scanner) number(i int32) (m match, ok bool) {
	s.grouped = 0
	if s.length(i) == len("90210") && !s.glued(i) {
		if m, ok = s.zip(i); ok {
			return m, true
		}
	}
	for _, rule := range [...]func(*scanner, int32) (match, bool){
		(*scanner).age, (*scanner).social, (*scanner).national, (*scanner).phone, (*scanner).spacedOut, (*scanner).numeric, (*scanner).dayMonth, (*scanner).bank, (*scanner).identifier,
	} {
		if m, ok = rule(s, i); ok {
			return m, true
		}
	}
	return m, false
}

// hint is what the words before a number say about it.
type hint struct {
	cue    cue
	strong bool // the word is said of numbers only
	marked bool // "number", # or : stands between
}

// cueBefore looks for the word that says what a number is: "MRN: #", "account
// number is". The first from the left of several wins, other than "ID".
func (s *scanner) cueBefore(i int32) (h hint) {
	fillers := 0
	for p, n := s.prev(i), 0; n < 9; p, n = s.prev(p), n+1 {
		t := &s.tokens[p]
		if t.class == isMark {
			switch t.mark {
			case '#', ':', '=':
				h.marked = h.marked || h.cue == noCue
			case '.', '(', '"', '\'', '*', '-', '/', '[', 0:
				if h.cue != noCue && t.mark != '/' && t.mark != '-' && t.mark != '.' {
					return h
				}
			default:
				return h
			}
			continue
		}
		if t.class != isWord {
			return h
		}
		switch c := t.flags.cue(); {
		case c == noCue:
			if h.cue != noCue || fillers == 1 || t.flags&function != 0 {
				return h
			}
			fillers++ // "MRN today 12345" is too far, "policy ref 12" is not
		case c == cueFiller:
			h.marked = h.marked || h.cue == noCue && !s.equal(p, "no") || s.equal(p, "no")
		case c == cueOf:
			h.marked = h.marked || h.cue == noCue && (s.equal(p, "ending") || s.equal(p, "ends"))
			if h.cue != noCue {
				return h
			}
		case h.cue == noCue, h.cue == cueIdent:
			if h.cue == cueIdent {
				h.marked = true
			}
			h.strong = h.strong || t.flags&weak == 0
			h.cue = c
		case c == cuePlate, c == cueSSN, c == cueZIP, c == cuePlan && h.cue == cueAccount:
			h.cue = c
		case t.flags&weak == 0:
			h.strong = true
		}
		if t.gap == newline && h.cue != noCue {
			return h
		}
	}
	return h
}

// social finds a US social security number (https://www.ssa.gov/employer/randomization.html)
// or an individual taxpayer number, which has its form.
func (s *scanner) social(i int32) (m match, ok bool) {
	if s.glued(i) && (s.solid(s.prev(i)) || s.joint(s.prev(i)) && s.glued(s.prev(i))) {
		return m, false
	}
	g := s.groups(i)
	switch {
	case g.is("3-2-4"), g.is("3 2 4"):
		area, group, serial := s.value(g.at[0]), s.value(g.at[1]), s.value(g.at[2])
		valid := area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
		h := s.cueBefore(i)
		if h.cue == cueSSN || h.cue == noCue && valid && (g.seps[1] == '-' || h.strong) {
			return match{i, g.last, kindSSN}, true
		}
	case g.n == 1 && s.length(i) == 9, g.n == 1 && s.length(i) == 4:
		if h := s.cueBefore(i); h.cue == cueSSN && (s.length(i) == 9 || !year(s.value(i))) {
			return match{i, i, kindSSN}, true
		}
	}
	return m, false
}

// bank finds payment cards (ISO/IEC 7812-1, Luhn) and accounts (ISO 13616, IBAN).
func (s *scanner) bank(i int32) (m match, ok bool) {
	if p := s.prev(i); s.glued(i) && s.tokens[p].class == isWord && s.length(p) == 2 && !s.glued(p) && s.length(i) >= 2 {
		return s.iban(p)
	}
	if s.glued(i) && s.solid(s.prev(i)) {
		return m, false
	}
	g := s.groups(i)
	if g.digits < 13 {
		return m, false
	}
	if h := s.cueBefore(i); h.cue != noCue && h.cue != cueAccount && h.cue != cueFiller && (h.strong || h.marked) {
		return m, false
	}
	for n := g.n; n > 0; n-- {
		part := g
		part.cut(n)
		var digits [20]byte
		all := digits[:0]
		for _, at := range part.at[:n] {
			if v := s.string(at); len(all)+len(v) <= len(digits) {
				all = append(all, v...)
			}
		}
		if q := s.next(part.last); len(all) < 13 || len(all) > 19 || all[0] < '2' || all[0] > '6' || s.glued(q) && s.solid(q) || !luhn(all) {
			continue
		}
		return match{i, part.last, kindAccount}, true
	}
	return m, false
}

// luhn checks a number by ISO/IEC 7812-1, annex B.
func luhn(digits []byte) bool {
	sum := 0
	for n := range digits {
		d := int(digits[len(digits)-1-n] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// iban finds an international bank account number that starts at a word.
func (s *scanner) iban(first int32) (m match, ok bool) {
	if s.tokens[first].upper != allUpper && s.cueBefore(first).cue != cueAccount {
		return m, false
	}
	var buf [34]byte
	all := buf[:0]
	for q, n := first, 0; n < reach-2 && s.solid(q) && s.tokens[q].gap != newline && len(all)+s.length(q) <= len(buf); q, n = s.next(q), n+1 {
		all = append(all, strings.ToUpper(s.string(q))...)
		r := s.next(q)
		if (!s.glued(r) || !s.solid(r)) && len(all) >= 15 && mod97(all) {
			m, ok = match{first, q, kindAccount}, true
		}
	}
	return m, ok
}

// mod97 checks an IBAN by ISO 7064.
func mod97(iban []byte) bool {
	rest := 0
	for n := range iban {
		switch c := iban[(n+4)%len(iban)]; {
		case '0' <= c && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case 'A' <= c && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}

// identifier finds a number or code that a word before it explains, or whose form
// alone says that it is one.
func (s *scanner) identifier(i int32) (m match, ok bool) {
	first, last := s.chunk(i)
	if s.is(s.prev(first), '@') && s.glued(first) || s.is(s.next(last), '@') && s.glued(s.next(last)) {
		return m, false
	}
	from := first
	for n := 0; n < 2 && s.glued(from) && (s.is(s.prev(from), '#') || s.is(s.prev(from), '*')); n++ {
		from = s.prev(from)
	}
	h := s.cueBefore(from)
	h.marked = h.marked || from != first
	// What stands before the number may be glued to it: MRN12345, ID:55.
	if h.cue == noCue && first != i && s.has(first, 1<<cueBits-1) && !s.has(first, weak) {
		if c := s.tokens[first].flags.cue(); c != cueFiller && c != cueOf {
			h = hint{cue: c, strong: true, marked: true}
			if first = s.next(first); s.joint(first) {
				first = s.next(first)
			}
			from = first
		}
	}
	if h.cue == cueZIP || h.cue == cuePublic {
		return m, false
	}
	form := s.form(first, last)
	if k, is := h.kind(); is {
		end := last
		if h.cue == cueAccount || h.cue == cuePlan || h.cue == cueRecord || h.cue == cueVehicle || h.cue == cuePlate || h.cue == cueLicense {
			end = s.spread(last)
		}
		if s.likely(h, form, end != last, end) {
			return match{from, end, k}, true
		}
	}
	if len(form.text) == 17 && vin(form.text) {
		return match{first, last, kindVehicle}, true
	}
	if k, from, is := s.behindLetters(i, first); is {
		return match{from, last, k}, true
	}
	if h.cue == cueFiller || s.has(s.next(last), unit) && form.letters == 0 || s.is(s.next(last), '%') {
		return m, false
	}
	if q := s.next(last); form.letters == 0 && form.joints == 0 && form.digits < 9 && from == first && s.tokens[q].class == isWord && s.tokens[q].upper == lower && s.tokens[q].gap == spaces && !s.has(q, function|verbal|cueMask) {
		return m, false // 1234567 steps
	}
	if s.bare(form, from != first) {
		return match{from, last, kindID}, true
	}
	return m, false
}

// behindLetters finds what is a number with letters before it, which stand apart: the
// plate B-MW 4471, and MR# 339120.
func (s *scanner) behindLetters(i, first int32) (k kind, from int32, ok bool) {
	p := s.prev(first)
	if s.is(p, '#') && s.equal(s.prev(p), "mr") && s.glued(p) {
		return kindMedicalRecord, p, s.length(i) >= 3
	}
	if s.tokens[first].gap != spaces || s.tokens[p].class != isWord || s.tokens[p].upper != allUpper || s.length(p) > 3 {
		return 0, first, false
	}
	if d := s.prev(p); s.is(d, '-') && s.glued(d) && s.glued(p) && s.tokens[s.prev(d)].upper == allUpper && s.length(s.prev(d)) <= 3 {
		p = s.prev(d)
	}
	return kindVehicle, p, s.cueBefore(p).cue == cuePlate && s.length(i) <= 4
}

// kind returns what a hint makes of a number.
func (h hint) kind() (k kind, ok bool) {
	switch h.cue {
	case cueRecord:
		return kindMedicalRecord, true
	case cuePlan:
		return kindHealthPlan, true
	case cueAccount:
		return kindAccount, true
	case cueLicense:
		return kindLicense, true
	case cueVehicle, cuePlate:
		return kindVehicle, true
	case cueDevice:
		return kindDevice, true
	case cueIdent:
		return kindID, true
	case cueSSN:
		return kindSSN, true
	case cuePhone:
		return kindPhone, true
	case cueFax:
		return kindFax, true
	case noCue, cueZIP, cueFiller, cueOf, cuePublic:
	}
	return 0, false
}

// form describes a chunk.
type form struct {
	text                    string
	digits, letters, joints int
	groups, longest         int  // of digits
	caps                    bool // all letters are capitals
}

func (s *scanner) form(first, last int32) (f form) {
	f.text = s.between(first, last)
	f.caps = true
	run := 0
	for _, c := range []byte(f.text) {
		switch {
		case '0' <= c && c <= '9':
			f.digits++
			if run++; run == 1 {
				f.groups++
			}
			f.longest = max(f.longest, run)
			continue
		case c == '-' || c == '.' || c == '/' || c == '_':
			f.joints++
		default:
			f.letters++
			f.caps = f.caps && 'A' <= c && c <= 'Z'
		}
		run = 0
	}
	return f
}

// spread returns the last token of a number that goes on in groups behind spaces.
func (s *scanner) spread(last int32) int32 {
	for range 6 {
		q := s.next(last)
		if s.tokens[q].class != isNumber || s.tokens[q].gap != spaces || s.length(q) < 2 && !s.ends(s.next(q)) || s.has(s.next(q), unit) || s.length(q) == 4 && year(s.value(q)) {
			break
		}
		if r := s.next(q); s.glued(r) && (s.solid(r) || s.joint(r) && s.glued(s.next(r)) && s.solid(s.next(r))) {
			break
		}
		last = q
	}
	return last
}

// likely tells whether a chunk behind a hint is a number of that kind, and no year,
// count or measure.
func (s *scanner) likely(h hint, f form, several bool, last int32) bool {
	if q := s.next(last); f.letters == 0 && s.has(q, unit) || s.is(q, '%') {
		return false
	}
	if f.joints == 1 && f.letters == 0 && f.digits < 6 && strings.ContainsAny(f.text, "./") {
		return false
	}
	if f.joints == 0 && f.letters == 0 && f.digits == 4 && (f.text[:2] == "19" || f.text[:2] == "20") && (!h.strong || !h.marked) {
		return false
	}
	if h.cue == cueIdent && f.caps && f.joints == 0 && f.letters >= 2 && f.groups >= 2 && len(f.text) >= 6 {
		return true // LK8J2P
	}
	if h.cue == cueIdent && h.strong && f.joints == 0 && f.letters >= 3 && f.digits >= 2 && f.groups == 1 && !f.caps {
		return true // jrowe44
	}
	switch {
	case f.text == "" || f.digits == 0:
		return false
	case h.cue == cuePhone || h.cue == cueFax:
		return f.digits >= 7 && f.letters == 0
	case several:
		return f.digits >= 2
	case h.cue == cuePlate:
		return f.digits+f.letters >= 4 && f.digits+f.letters <= 9
	case h.marked && f.caps && f.joints == 0 && f.letters > 0 && len(f.text) >= 6 && len(f.text) <= 20:
		return true
	case h.strong && h.marked:
		return f.digits >= 3 || f.digits >= 2 && f.letters >= 2 && f.caps
	case h.strong, h.marked:
		return f.digits >= 4 || f.digits == 3 && f.letters >= 1 && f.caps
	}
	return f.digits >= 5 || f.digits >= 4 && f.letters > 0 && f.caps
}

// bare tells whether a chunk is an identifier by its form: many digits, letters
// and digits in a pattern, or a UUID (RFC 9562). Registers of trials and of
// articles are public.
func (s *scanner) bare(f form, hash bool) bool {
	for _, public := range []string{"NCT", "PMID", "PMC", "ISRCTN", "ICD", "CPT", "SNOMED", "LOINC", "ISO", "DOI", "ISBN", "COVID", "RFC", "HLA", "CVE"} {
		if strings.HasPrefix(f.text, public) {
			return false
		}
	}
	if strings.ContainsAny(f.text, "/") || f.joints > 0 && strings.Contains(f.text, ".") && f.letters == 0 {
		return false
	}
	switch {
	case hash:
		return f.digits >= 5
	case len(f.text) == 36 && f.joints == 4 && f.digits >= 6:
		return true
	case f.letters == 0 && f.joints == 0:
		return f.digits >= 7 && strings.Trim(f.text, "0") != "" && !strings.HasSuffix(f.text, "0000")
	case f.letters == 0:
		return f.groups >= 3 && f.digits >= 7 || f.groups == 2 && f.digits >= 9
	case f.caps:
		return f.longest >= 5 && f.letters <= 8 || f.digits >= 6 && f.letters <= 8
	}
	return f.digits >= 7 && f.longest >= 4
}

// vin checks a vehicle identification number: 49 CFR 565.15, its check digit.
func vin(v string) bool {
	const values = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ" // a letter's value is its place here modulo ten
	weights := [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}
	sum := 0
	for n := range len(v) {
		c := v[n]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		at := strings.IndexByte(values, c)
		if at < 0 || c == '.' {
			return false
		}
		sum += at % 10 * weights[n]
	}
	check := v[8]
	if sum%11 == 10 {
		return check == 'X' || check == 'x'
	}
	return check == '0'+byte(sum%11)
}

package phi

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// kind is a Type while scanning: an index into Types.
type kind uint8

const (
	kindName kind = iota
	kindLocation
	kindDate
	kindAge
	kindPhone
	kindFax
	kindEmail
	kindSSN
	kindMedicalRecord
	kindHealthPlan
	kindAccount
	kindLicense
	kindVehicle
	kindDevice
	kindURL
	kindIP
	kindID

	kinds // how many there are

	// swallowed is a finding that became part of a longer one.
	swallowed = kinds
)

func (k kind) typ() Type { return Types()[k] }

// span is what a rule found, in bytes.
type span struct {
	start, end int
	kind       kind
}

// class says what a token is.
type class uint8

const (
	// isStop ends every context: a blank line, or an end of the text.
	isStop class = iota
	isWord
	isNumber
	// isMark is one character that is none of the others.
	isMark
	// isFound is a finding or a placeholder. Rules see no difference between the
	// two: that is why masking what was masked changes nothing.
	isFound
)

// gap is what stands before a token.
type gap uint8

const (
	noGap gap = iota
	spaces
	newline
)

// token is a piece of the text. Tokens are a list that is linked both ways, because
// what is found becomes one token. Rules look at most reach tokens away.
type token struct {
	flags      flags // of a word
	start, end int32 // bytes of the block
	next, prev int32
	class      class
	gap        gap
	mark       byte // of isMark: the character, quotes and dashes being ' " and - of any form, 0 for other characters
	kind       kind // of isFound
	upper      uint8
	phases     phases // in which a rule is tried at this token
	due        uint8  // to be looked at again: how far behind a finding, or reach
	fixed      bool   // of isFound: a placeholder that stood in the text, which joins nothing
}

// trigger is a token at which rules are tried.
type trigger struct {
	token  int32
	phases phases
}

// reach is how many tokens away a rule may look, so that what a finding changes is
// known. It bounds the work, too.
const reach = 32

// blockSize is about how many bytes are scanned at once, so that their tokens stay
// in the processor's cache. A block ends at a blank line, which no rule looks
// across, and where there is none for long, at maxBlock.
const (
	blockSize = 1 << 16
	maxBlock  = 1 << 26
)

// scanner holds the state of one scan. It is reused.
type scanner struct {
	words        *dictionary
	text         string // the block
	tokens       []token
	triggers     []trigger
	changed      []int32 // findings around which the rules are to be applied anew
	due          []int32
	all          []int32 // findings
	ordered      []int32 // the same in their order
	spans        []span
	placeholders []placeholder
	fold         [maxWord + 2*utf8.UTFMax]byte
	known        map[uint64]struct{} // words of names in texts before, hashed
	learned      map[uint64]struct{} // those of the block
	fresh        []uint64            // the same, in the order in which they were learned
	taught       int                 // how many of all were learned from
	indexed      bool                // whether what follows is of the block
	places       map[uint64]int32    // the last token that is a word
	same         []int32             // the one before with the same word
	hits         []int32             // words that were just learned
	group        groups              // around the number to which rules are being applied
	grouped      int32               // its token, 0 if none
}

var scanners = sync.Pool{New: func() any { return &scanner{words: loadDictionary()} }} //nolint:gochecknoglobals // buffers to reuse

func borrow() *scanner { return scanners.Get().(*scanner) } //nolint:errcheck // the pool holds nothing else

// release gives the scanner back, without the text.
func (s *scanner) release() {
	s.text, s.known = "", nil
	if cap(s.tokens) > 4*blockSize {
		return
	}
	scanners.Put(s)
}

// scan returns what is to be masked. known are words of names, which are names here
// too. The result is valid until release.
func (s *scanner) scan(text string, known map[uint64]struct{}) []span {
	s.known = known
	s.spans, s.placeholders, s.fresh = s.spans[:0], s.placeholders[:0], s.fresh[:0]
	for at := 0; at < len(text); {
		end := at + blockEnd(text[at:])
		s.block(text[at:end], at)
		at = end
	}
	return s.spans
}

// blockEnd returns where the first block of a text ends.
func blockEnd(text string) int {
	if len(text) <= blockSize {
		return len(text)
	}
	limit := min(len(text), maxBlock)
	if i := strings.Index(text[blockSize:limit], "\n\n"); i >= 0 {
		return blockSize + i + len("\n\n")
	}
	for limit < len(text) && limit > maxBlock-utf8.UTFMax && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return limit
}

// block scans one block, which starts at an offset.
func (s *scanner) block(text string, offset int) {
	s.text = text
	s.tokenise()
	for p := range lastPhase + 1 {
		for _, t := range s.triggers {
			if t.phases&(1<<p) != 0 {
				s.try(t.token, p)
			}
		}
	}
	for s.recall(); len(s.changed) > 0; s.learn() {
		s.revisit()
	}
	for _, i := range s.inOrder(s.all) {
		t := &s.tokens[i]
		if t.kind == swallowed {
			continue
		}
		s.spans = append(s.spans, span{start: offset + int(t.start), end: offset + int(t.end), kind: t.kind})
	}
}

// inOrder sorts findings by where they stand. Many are not sorted but collected, when
// all findings of the block are among them, which is faster.
func (s *scanner) inOrder(found []int32) []int32 {
	if len(found) < len(s.all) || len(found) < len(s.tokens)/16 {
		slices.Sort(found)
		return found
	}
	s.ordered = s.ordered[:0]
	for i := s.tokens[0].next; i != 0; i = s.tokens[i].next {
		if t := &s.tokens[i]; t.class == isFound && !t.fixed {
			s.ordered = append(s.ordered, i)
		}
	}
	return s.ordered
}

// revisit applies the rules anew around findings, until there are no new ones.
// Each finding costs two times reach tokens at most, and once.
func (s *scanner) revisit() {
	for len(s.changed) > 0 {
		changed := s.inOrder(s.changed)
		s.due = s.due[:0]
		edge := int32(0) // how far the tokens behind the findings so far are due
		for _, at := range changed {
			if s.tokens[at].kind == swallowed {
				continue // what became of it changed, too
			}
			// Before one that is due all others are, because of a finding before.
			for i, n := s.tokens[at].prev, 0; n < reach && i != 0 && s.tokens[i].due == 0; i, n = s.tokens[i].prev, n+1 {
				s.tokens[i].due = reach
				s.due = append(s.due, i)
			}
			// Where this one was due itself, those behind it are, up to the edge.
			i, n := s.tokens[at].next, uint8(0)
			if t := &s.tokens[at]; t.due != 0 && edge != 0 {
				i, n = s.tokens[edge].next, reach-t.due
			}
			for ; n < reach && i != 0; n++ {
				if t := &s.tokens[i]; t.due == 0 {
					t.due = n + 1
					s.due = append(s.due, i)
				}
				edge, i = i, s.tokens[i].next
			}
		}
		s.changed = s.changed[:0]
		for p := range lastPhase + 1 {
			for _, i := range s.due {
				if s.tokens[i].phases&(1<<p) != 0 {
					s.try(i, p)
				}
			}
		}
		for _, i := range s.due {
			s.tokens[i].due = 0
		}
	}
}

// try applies the rules of a phase at a trigger, unless it became part of a finding.
func (s *scanner) try(i int32, p phase) {
	if s.tokens[i].class == isFound {
		return
	}
	if m, ok := s.match(i, p); ok && s.whole(m) {
		s.found(m)
		switch m.kind { //nolint:exhaustive // the others have no parts that are found apart
		case kindLocation:
			s.address(m.first)
		case kindDate:
			s.dayOf(m.first)
		}
	}
}

// match is what a rule found: from the first to the last token, both included.
type match struct {
	first, last int32
	kind        kind
}

// whole tells whether a match goes forward, through nothing that is found already.
func (s *scanner) whole(m match) bool {
	for i := m.first; ; i = s.tokens[i].next {
		if c := s.tokens[i].class; c == isStop || c == isFound {
			return false
		}
		if i == m.last {
			return true
		}
	}
}

// found makes one token of what was found.
func (s *scanner) found(m match) {
	t, last := &s.tokens[m.first], s.tokens[m.last]
	known := t.class == isFound
	for i := m.first; ; i = s.tokens[i].next {
		if c := &s.tokens[i]; c.class == isFound {
			c.kind = swallowed
		} else {
			c.class = isFound // those behind the first are reached as triggers only
		}
		if i == m.last {
			break
		}
	}
	t.kind, t.flags = m.kind, 0
	t.end, t.next = last.end, last.next
	s.tokens[last.next].prev = m.first
	s.changed = append(s.changed, m.first)
	if !known {
		s.all = append(s.all, m.first)
	}
}

// Classes of bytes: space, newline, lower and upper case, digit, high (of a longer
// code point), and the rest.
const bytesClasses = "" +
	"......... n   .................. ...............0000000000......" +
	".AAAAAAAAAAAAAAAAAAAAAAAAAA......aaaaaaaaaaaaaaaaaaaaaaaaaa....." +
	"hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh" +
	"hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"

// tokenise makes the tokens of the block. Token 0 is the end before the first and
// behind the last. A token's bounds depend on nothing but its own characters and
// the one before, so that they stay when something else is masked.
func (s *scanner) tokenise() {
	text := s.text
	s.tokens = append(s.tokens[:0], token{class: isStop})
	s.triggers, s.changed, s.all = s.triggers[:0], s.changed[:0], s.all[:0]
	g := newline
	for i := 0; i < len(text); {
		start := i
		switch bytesClasses[text[i]] {
		case ' ':
			g = max(g, spaces)
			i++
			continue
		case 'n':
			if g == newline {
				s.add(token{start: pos(i), end: pos(i), class: isStop})
			}
			g = newline
			i++
			continue
		case 'a', 'A':
			i = s.word(i, g)
		case '0':
			for i++; i < len(text) && bytesClasses[text[i]] == '0'; i++ {
			}
			s.add(token{start: pos(start), end: pos(i), class: isNumber, gap: g, phases: ofNumbers})
		case '.':
			i = s.mark(i, g)
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			switch {
			case r == utf8.RuneError:
				i += size
				s.add(token{start: pos(start), end: pos(i), class: isMark, gap: g})
			case unicode.IsSpace(r):
				g = max(g, spaces)
				i += size
				continue
			case unicode.IsLetter(r) || unicode.IsMark(r):
				i = s.word(i, g)
			default:
				i += size
				s.add(token{start: pos(start), end: pos(i), class: isMark, gap: g, mark: plain(r)})
			}
		}
		g = noGap
	}
	s.tokens[0].prev = pos(len(s.tokens) - 1)
	s.tokens[len(s.tokens)-1].next = 0
}

// pos is an offset or an index within a block.
func pos(i int) int32 { return int32(i) } //nolint:gosec // a block is no longer than maxBlock

// add appends a token.
func (s *scanner) add(t token) {
	i := pos(len(s.tokens))
	t.prev, t.next = i-1, i+1
	if t.phases != 0 {
		s.triggers = append(s.triggers, trigger{token: i, phases: t.phases})
	}
	s.tokens = append(s.tokens, t)
	s.tokens[0].next = 1
}

// plain returns the ASCII form of a quote or a dash, 0 for anything else.
func plain(r rune) byte {
	switch r {
	case '’', '‘', 'ʼ', '′':
		return '\''
	case '“', '”', '„', '«', '»':
		return '"'
	case '‐', '‑', '‒', '–', '—', '−':
		return '-'
	}
	return 0
}

// word adds the word that starts at i, and returns its end.
func (s *scanner) word(i int, g gap) int {
	text, start, upper, ascii := s.text, i, 0, true
loop:
	for i < len(text) {
		c := text[i]
		if l := c | 0x20; 'a' <= l && l <= 'z' {
			upper += int(l-c) >> 5
			i++
			continue
		}
		switch bytesClasses[c] {
		case 'h':
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsMark(r) {
				break loop
			}
			if unicode.IsUpper(r) {
				upper++
			}
			ascii = false
			i += size
		default:
			break loop
		}
	}
	t := token{start: pos(start), end: pos(i), class: isWord, gap: g}
	t.upper = shape(text[start:i], upper)
	if i-start <= maxWord {
		t.flags = s.words.lookUp(s.hash(text[start:i], ascii))
	}
	if t.upper != lower || t.flags&triggering != 0 {
		t.phases = phasesOf(&t)
	}
	s.add(t)
	return i
}

// Shapes of words.
const (
	lower    uint8 = iota
	capital        // Capital, McCapital
	allUpper       // ALL, and one letter
	mixed          // mIxed
)

func shape(word string, upper int) uint8 {
	switch {
	case upper == 0:
		return lower
	case upper == utf8.RuneCountInString(word):
		return allUpper
	case 'a' <= word[0] && word[0] <= 'z':
		return mixed
	case word[0] < utf8.RuneSelf:
		return capital
	}
	if r, _ := utf8.DecodeRuneInString(word); unicode.IsUpper(r) {
		return capital
	}
	return mixed
}

// hash returns the hash of a word's lower case.
func (s *scanner) hash(word string, ascii bool) uint64 {
	if ascii {
		return hash(word, 0)
	}
	return s.hashFolded(word, 0)
}

// hashFolded hashes a word that is not all ASCII, behind others.
func (s *scanner) hashFolded(word string, h uint64) uint64 {
	fold := s.fold[:0]
	for _, r := range word {
		if len(fold) > maxWord {
			break
		}
		fold = utf8.AppendRune(fold, unicode.ToLower(r))
	}
	return hash(string(fold), h)
}

// mark adds the character at i, or the placeholder that starts there, and returns
// its end.
func (s *scanner) mark(i int, g gap) int {
	if s.text[i] == '[' {
		if p, size, ok := parsePlaceholder(s.text[i:]); ok {
			s.placeholders = append(s.placeholders, p)
			s.add(token{start: pos(i), end: pos(i + size), class: isFound, gap: g, kind: p.kind, fixed: true})
			return i + size
		}
	}
	c := s.text[i]
	t := token{start: pos(i), end: pos(i + 1), class: isMark, gap: g, mark: c}
	if c == '@' || c == ':' {
		t.phases = ofMarks
	}
	s.add(t)
	return i + 1
}

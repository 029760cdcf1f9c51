package satisfaction

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of a message.
type token struct {
	word int32
	// hash is of the letters of a word that is not among the most frequent ones,
	// else 0.
	hash uint32
	// upper says that the word is written in capitals.
	upper bool
}

// text is a message, read; its memory serves one message after the other.
type text struct {
	tokens []token
	lower  []byte
	// exclamations and questions count marks; letters and capitals what is written.
	exclamations, questions int
	letters, capitals       int
	// english and foreign count words that tell the language.
	english, foreign int
}

// read splits a message into words. Punctuation between them counts, but is no
// word; a placeholder of masked data ([NAME_1]) is neither.
func (t *text) read(l *lexicon, message string) {
	t.tokens = t.tokens[:0]
	t.exclamations, t.questions, t.letters, t.capitals, t.english, t.foreign = 0, 0, 0, 0, 0, 0
	for i := 0; i < len(message); {
		r, size := rune(message[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(message[i:])
		}
		switch {
		case r == '[':
			if n := placeholder(message[i:]); n > 0 {
				size = n
			}
		case wordRune(r):
			size = t.word(l, message[i:])
		case r == '!' || r == '\uff01' || r == '\u203c':
			t.exclamations++
		case r == '?' || r == '\uff1f' || r == '\u2047':
			t.questions++
		case r > utf8.RuneSelf || !space(r):
			if n, id := l.emoticon(message[i:], size); id != 0 {
				size = n
				t.tokens = append(t.tokens, token{word: id})
			}
		}
		i += size
	}
}

func space(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\r' }

// wordRune reports whether a word may begin with r.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r)
}

// placeholder returns the length of the [NAME_1] at the beginning of s, or 0.
func placeholder(s string) int {
	for i := 1; i < len(s) && i < 32; i++ {
		switch c := s[i]; {
		case c == ']' && i > 1:
			return i + 1
		case c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}

// maxWord is how many bytes of a word are looked at; longer ones are no words.
const maxWord = 64

// word adds the word at the beginning of s, and returns its length.
func (t *text) word(l *lexicon, s string) int {
	t.lower = t.lower[:0]
	lower, capitals, letters, length := 0, 0, 0, 0
	hyphen := 0
scan:
	for length < len(s) {
		r, size := rune(s[length]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[length:])
		}
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			lower++
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
			capitals++
		case (r == '\'' || r == '\u2019') && length+size < len(s) && wordRune(rune(s[length+size])):
			r = '\''
			letters--
		case r == '-' && length+1 < len(s) && wordRune(rune(s[length+1])):
			if hyphen == 0 {
				hyphen = length
			}
		case r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsMark(r)):
			if unicode.IsUpper(r) {
				capitals++
			} else {
				lower++
			}
			r = unicode.ToLower(r)
		default:
			break scan
		}
		length += size
		if len(t.lower) < maxWord {
			t.lower = utf8.AppendRune(t.lower, r)
		}
	}
	if strings.HasPrefix(s[length:], "://") {
		return link(s)
	}
	id, found := l.find(t.lower)
	if !found && hyphen > 0 {
		return t.word(l, s[:hyphen]) // and the rest in its turn
	}
	letters += lower + capitals
	t.letters += letters
	t.capitals += capitals
	switch known := l.words[id]; {
	case known.foreign:
		t.foreign++
	case known.english || known.valence != 0 && lower+capitals > 2:
		t.english++
	}
	one := token{word: id, upper: capitals > 0 && lower == 0}
	if letters >= 3 && !l.words[id].english {
		one.hash = hash(t.lower)
	}
	t.tokens = append(t.tokens, one)
	return length
}

// hash is FNV-1a.
func hash(letters []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range letters {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// link returns the length of the URL at the beginning of s.
func link(s string) int {
	for i := range len(s) {
		if space(rune(s[i])) {
			return i
		}
	}
	return len(s)
}

// find looks a word up, and if it is unknown, with its drawn-out letters
// shortened ("greeeat"). lower is changed then.
func (l *lexicon) find(lower []byte) (int32, bool) {
	if id, ok := l.index[string(lower)]; ok {
		return id, true
	}
	if len(lower) < 3 || len(lower) >= maxWord {
		return 0, false
	}
	for _, keep := range [...]int{2, 1} {
		n, run := 0, 0
		for i, c := range lower {
			if i > 0 && c == lower[i-1] {
				run++
			} else {
				run = 1
			}
			if run > keep {
				continue
			}
			lower[n] = c
			n++
		}
		if n == len(lower) && keep == 2 {
			return 0, false // nothing is drawn out
		}
		lower = lower[:n]
		if id, ok := l.index[string(lower)]; ok {
			return id, true
		}
	}
	return 0, false
}

// emoticon finds the emoji or the emoticon at the beginning of s, whose first
// rune has size bytes, and returns its length.
func (l *lexicon) emoticon(s string, size int) (int, int32) {
	if size > 1 {
		return size, l.index[s[:size]]
	}
	for n := min(4, len(s)); n > 1; n-- {
		if id := l.index[s[:n]]; id != 0 && (n == len(s) || !wordRune(rune(s[n]))) {
			return n, id
		}
	}
	return 0, 0
}

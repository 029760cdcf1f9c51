package satisfaction

import "math"

// turn is what one message says.
type turn struct {
	says signals
	// sentiment is VADER's compound score, from -1 to 1.
	sentiment    float64
	exclamations int
	question     bool
	// words is how many there are; known how many of them are English.
	words, known int
	// shouted says that most of it is in capitals.
	shouted bool
	// repeated is the share of its words that the one before of the same role had.
	repeated float64
}

// reader reads messages of one conversation after the other.
type reader struct {
	lexicon *lexicon
	text    text
}

// read reads a message. How much it repeats of another is for memory to tell. Of
// a message in another language only thanks are understood: words that look
// English mean something else there ("die Not war groß").
func (r *reader) read(message string) turn {
	r.text.read(r.lexicon, message)
	t := turn{
		exclamations: r.text.exclamations, question: r.text.questions > 0,
		words: len(r.text.tokens), known: r.text.english,
		shouted: r.text.letters > 5 && r.text.capitals*10 > r.text.letters*7,
	}
	t.says = r.lexicon.signals(r.text.tokens)
	if r.text.foreign > 1 && r.text.foreign > r.text.english/2 || t.words >= 4 && t.known*8 < t.words {
		t.known = 0
		t.says &= 1 << userThanks
		return t
	}
	t.sentiment = r.lexicon.sentiment(&r.text)
	return t
}

// signals finds the phrases in a message.
func (l *lexicon) signals(tokens []token) signals {
	var says signals
	node := l.beginning
	for i := -1; i < len(tokens); i++ {
		if i >= 0 {
			node = l.words[tokens[i].word].first
		}
		for at := i + 1; node != 0; at++ {
			says |= l.phrases[node].says
			if !l.phrases[node].more || at >= len(tokens) {
				break
			}
			node = l.next[step{node, tokens[at].word}]
		}
	}
	return says
}

// unhappy is from which sentiment on a user's turn is a negative one, whatever
// its words are.
const unhappy = -0.35

// angry reports whether a user's turn is openly angry, or mocks.
func (t *turn) angry() bool {
	return t.says.has(userHostile) || t.says.has(userSarcasm)
}

// negative reports whether a user's turn is an angry, mocking or unhappy one.
func (t *turn) negative() bool {
	return t.angry() || t.says.has(userComplaint) || t.sentiment <= unhappy || t.says.has(userDisappointment) && t.sentiment <= 0
}

// severity says how negative a negative turn is, from 0 to 1.
func (t *turn) severity() float64 {
	if t.angry() {
		return 1
	}
	if t.says.has(userComplaint) || t.shouted {
		return max(-t.sentiment, 0.6)
	}
	return max(-t.sentiment, -unhappy)
}

// saturate leads from 0 towards 1 and takes half of what is left with each step of x.
func saturate(x float64) float64 { return 1 - math.Exp2(-x) }

// memory tells how much a message repeats of the one before it.
type memory struct {
	// last is in which message a word was last, by its hash.
	last  [1024]int32
	count int32
}

func (m *memory) reset() { *m = memory{} }

// repeated returns which share of a message's words the one before it had, as
// from 0 to 1, and remembers it.
func (m *memory) repeated(tokens []token) float64 {
	m.count++
	again, all := 0, 0
	for _, one := range tokens {
		if one.hash == 0 {
			continue
		}
		slot := &m.last[one.hash%uint32(len(m.last))]
		if *slot == m.count {
			continue // twice in this one
		}
		if *slot == m.count-1 && m.count > 1 {
			again++
		}
		*slot = m.count
		all++
	}
	return float64(again) / float64(max(all, 4))
}

package satisfaction

import "math"

// VADER's constants (Hutto and Gilbert, ICWSM 2014), as in its reference
// implementation.
const (
	capsIncrement     = 0.733
	negationScalar    = -0.74
	neverScalar       = 1.25
	exclamationWeight = 0.292
	questionWeight    = 0.18
	questionMaximum   = 0.96
	normalisation     = 15
)

// sentiment returns VADER's compound score of a message, from -1 to 1. The rules
// are VADER's; only words differ: they are split at punctuation without spaces
// around it as well, and found in spite of slips. Idioms of several words are
// left to lexicon.txt.
func (l *lexicon) sentiment(t *text) float64 {
	upper, but := 0, -1
	for i, one := range t.tokens {
		if one.upper {
			upper++
		}
		if one.word == l.but && but < 0 {
			but = i
		}
	}
	emphasis := upper > 0 && upper < len(t.tokens)
	sum := 0.0
	for i := range t.tokens {
		v := l.valence(t, i, emphasis)
		if but >= 0 && i < but {
			v *= 0.5
		} else if but >= 0 && i > but {
			v *= 1.5
		}
		sum += v
	}
	marks := float64(min(t.exclamations, 4)) * exclamationWeight
	switch {
	case t.questions > 3:
		marks += questionMaximum
	case t.questions > 1:
		marks += float64(t.questions) * questionWeight
	}
	if sum > 0 {
		sum += marks
	} else if sum < 0 {
		sum -= marks
	}
	return sum / math.Sqrt(sum*sum+normalisation)
}

// valence is that of one word among its neighbours.
func (l *lexicon) valence(t *text, i int, emphasis bool) float64 {
	tokens := t.tokens
	this := l.words[tokens[i].word]
	if this.valence == 0 || this.booster != 0 {
		return 0
	}
	// at is the word so many before this one; 0 when there is none.
	at := func(before int) int32 {
		if i < before {
			return 0
		}
		return tokens[i-before].word
	}
	v := float64(this.valence)
	if tokens[i].word == l.no && i+1 < len(tokens) && l.words[tokens[i+1].word].valence != 0 {
		v = 0
	}
	if at(1) == l.no || at(2) == l.no || at(3) == l.no && (at(1) == l.or || at(1) == l.nor) {
		v = float64(this.valence) * negationScalar
	}
	if tokens[i].upper && emphasis {
		v += math.Copysign(capsIncrement, v)
	}
	for before := 1; before <= 3 && before <= i; before++ {
		neighbour := tokens[i-before]
		known := l.words[neighbour.word]
		if known.valence != 0 {
			continue
		}
		v += boost(known, neighbour.upper && emphasis, v) * [...]float64{1, 0.95, 0.9}[before-1]
		switch {
		case before > 1 && neighbour.word == l.never && l.soOrThis(at, before):
			v *= neverScalar
		case before > 1 && neighbour.word == l.without && (at(before-1) == l.doubt || at(1) == l.doubt):
		case known.negates:
			v *= negationScalar
		}
	}
	if at(1) == l.least && at(2) != l.at && at(2) != l.very {
		v *= negationScalar
	}
	return v
}

func (l *lexicon) soOrThis(at func(int) int32, before int) bool {
	for n := before - 1; n > 0; n-- {
		if at(n) == l.so || at(n) == l.this {
			return true
		}
	}
	return false
}

// boost is what a word before one of valence v adds to it.
func boost(known word, upper bool, v float64) float64 {
	if known.booster == 0 {
		return 0
	}
	b := float64(known.booster)
	if v < 0 {
		b = -b
	}
	if upper {
		b += math.Copysign(capsIncrement, v)
	}
	return b
}

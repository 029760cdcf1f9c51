package satisfaction

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jonreiter/govader"
)

// signal is something that a message says; the bits of a signals value.
type signal uint8

// The signals, as lexicon.txt names them.
const (
	userThanks signal = iota
	userThanksMuch
	userPraise
	userApproval
	userAcceptance
	userWarmth
	userDelight
	userRefusal
	userClosing
	userNegation
	userRejection
	userAlternative
	userRepair
	userDisappointment
	userResignation
	userIntensity
	userRequest
	userHostile
	userComplaint
	userSarcasm
	assistantFailure
	assistantApology
	assistantRefusal
	assistantConfusion
	assistantSuccess
	assistantCourtesy
	assistantAgreement
	signalCount
)

//nolint:gochecknoglobals // constant
var signalNames = [signalCount]string{
	userThanks: "user.thanks", userThanksMuch: "user.thanks_much", userPraise: "user.praise", userApproval: "user.approval",
	userAcceptance: "user.acceptance", userWarmth: "user.warmth", userDelight: "user.delight", userRefusal: "user.refusal",
	userClosing: "user.closing", userNegation: "user.negation", userRejection: "user.rejection", userAlternative: "user.alternative",
	userRepair: "user.repair", userDisappointment: "user.disappointment", userResignation: "user.resignation",
	userIntensity: "user.intensity", userRequest: "user.request", userHostile: "user.hostile",
	userComplaint: "user.complaint", userSarcasm: "user.sarcasm", assistantFailure: "assistant.failure", assistantApology: "assistant.apology",
	assistantRefusal: "assistant.refusal", assistantConfusion: "assistant.confusion", assistantSuccess: "assistant.success",
	assistantCourtesy: "assistant.courtesy", assistantAgreement: "assistant.agreement",
}

// signals is a set of them.
type signals uint64

func (s signals) has(one signal) bool { return s>>one&1 == 1 }

// word is what is known of a word, an emoticon or an emoji.
type word struct {
	// valence and booster are VADER's.
	valence, booster float32
	negates          bool
	// english and foreign say that a word tells the language.
	english, foreign bool
	// first is the node of the phrases that begin with the word; zero when none does.
	first int32
}

// lexicon is all words and phrases. Word 0 is every unknown one.
type lexicon struct {
	words   []word
	index   map[string]int32
	phrases []phrase
	// next leads from a phrase by a word to the phrase that is longer by it.
	next map[step]int32
	// beginning is the node of the phrases that only begin a message.
	beginning int32
	// Words with rules of their own in VADER.
	no, or, nor, but, least, at, very, never, so, this, without, doubt int32
}

// phrase is a node of the tree of phrases.
type phrase struct {
	says signals
	more bool
}

type step struct{ from, word int32 }

// beginning stands in lexicon.txt for the beginning of a message.
const beginning = "^"

//go:embed lexicon.txt
var phrasesText string

//go:embed languages.txt
var languagesText string

//nolint:gochecknoglobals // built once, of what is embedded
var words = sync.OnceValue(func() *lexicon {
	l, err := newLexicon(phrasesText, languagesText)
	if err != nil {
		panic(err) // of the program's own files, which the tests load
	}
	return l
})

func newLexicon(phrases, languages string) (*lexicon, error) {
	l := &lexicon{words: make([]word, 1), index: map[string]int32{}, phrases: make([]phrase, 1), next: map[step]int32{}}
	l.sentiments(govader.NewSentimentIntensityAnalyzer())
	english, foreign, _ := strings.Cut(languages, "\n---\n")
	for text := range strings.FieldsSeq(english) {
		l.words[l.add(text)].english = true
	}
	for text := range strings.FieldsSeq(foreign) {
		l.words[l.add(text)].foreign = true
	}
	for text, at := range map[string]*int32{
		"no": &l.no, "or": &l.or, "nor": &l.nor, "but": &l.but, "least": &l.least, "at": &l.at, "very": &l.very,
		"never": &l.never, "so": &l.so, "this": &l.this, "without": &l.without, "doubt": &l.doubt,
	} {
		*at = l.add(text)
	}
	if err := l.parse(phrases); err != nil {
		return nil, err
	}
	l.beginning = l.words[l.index[beginning]].first
	return l, nil
}

// add returns the number of a word, new or known.
func (l *lexicon) add(text string) int32 {
	if id, ok := l.index[text]; ok {
		return id
	}
	id := int32(len(l.words)) //nolint:gosec // tens of thousands
	l.words = append(l.words, word{})
	l.index[text] = id
	return id
}

// sentiments takes over VADER's lexicon. An emoji counts as the words that
// describe it, which is how VADER reads it.
func (l *lexicon) sentiments(vader *govader.SentimentIntensityAnalyzer) {
	// In order, since some differ by case alone.
	for _, text := range slices.Sorted(maps.Keys(vader.Lexicon)) {
		valence := float32(vader.Lexicon[text])
		l.words[l.add(strings.ToLower(text))].valence = valence
		if !wordRune(rune(text[0])) { // an emoticon, in which capitals matter
			l.words[l.add(text)].valence = valence
		}
	}
	for text, booster := range vader.Constants.BoosterDict {
		if !strings.Contains(text, " ") {
			l.words[l.add(text)].booster = float32(booster)
		}
	}
	for _, text := range vader.Constants.NegateList {
		l.words[l.add(text)].negates = true
	}
	for text := range l.index {
		if strings.Contains(text, "n't") {
			l.words[l.index[text]].negates = true
		}
	}
	for emoji, description := range vader.EmojiDict {
		var sum float32
		for part := range strings.FieldsSeq(description) {
			if id, ok := l.index[strings.Trim(part, ":,-")]; ok {
				sum += l.words[id].valence
			}
		}
		if sum != 0 {
			l.words[l.add(emoji)].valence = sum
		}
	}
	for emoji, valence := range map[string]float32{"👍": 2, "👎": -2.5, "🙄": -2, "🖕": -3, "🤬": -3.5, "😡": -3, "😤": -2, "😒": -2, "🤮": -3, "❤": 3, "🙏": 1.5, "🎉": 2} {
		l.words[l.add(emoji)].valence = valence // their descriptions say nothing
	}
}

// parse reads lexicon.txt.
func (l *lexicon) parse(text string) error {
	choices := map[string]string{}
	section := ""
	says := signals(0)
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section, says = strings.Trim(line, "[]"), 0
			for one, name := range signalNames {
				if name == section {
					says = 1 << one
				}
			}
			if says == 0 && section != "spelling" {
				return fmt.Errorf("satisfaction: lexicon, line %d: no signal %q", number+1, section)
			}
		case section == "spelling":
			right, wrong, _ := strings.Cut(line, " = ")
			id := l.add(right)
			for variant := range strings.FieldsSeq(wrong) {
				if _, known := l.index[variant]; !known {
					l.index[variant] = id
				}
			}
		case line[0] == '$':
			name, choice, _ := strings.Cut(line, " = ")
			choices[name] = choice
		default:
			for name, choice := range choices {
				line = strings.ReplaceAll(line, name, choice)
			}
			if strings.Contains(line, "$") {
				return fmt.Errorf("satisfaction: lexicon, line %d: unknown choice", number+1)
			}
			expanded, err := expand(line)
			if err != nil {
				return fmt.Errorf("satisfaction: lexicon, line %d: %w", number+1, err)
			}
			for _, one := range expanded {
				l.phrase(one, says)
			}
		}
	}
	l.typos()
	return nil
}

// expand returns the phrases that a line stands for.
func expand(line string) ([]string, error) {
	phrases := []string{""}
	for line != "" {
		before, rest, found := strings.Cut(line, "(")
		for i := range phrases {
			phrases[i] += before
		}
		if !found {
			break
		}
		choice, after, found := strings.Cut(rest, ")")
		if !found {
			return nil, fmt.Errorf("a choice does not end: %s", line)
		}
		seen := map[string]bool{}
		var longer []string
		for option := range strings.SplitSeq(choice, "|") {
			if seen[option] {
				continue
			}
			seen[option] = true
			for _, phrase := range phrases {
				longer = append(longer, phrase+option)
			}
		}
		phrases, line = longer, after
	}
	return phrases, nil
}

func (l *lexicon) phrase(text string, says signals) {
	var node int32
	for i, part := range strings.Fields(text) {
		id := l.add(part)
		following := l.words[id].first
		if i > 0 {
			following = l.next[step{node, id}]
		}
		if following == 0 {
			following = int32(len(l.phrases)) //nolint:gosec // tens of thousands
			l.phrases = append(l.phrases, phrase{})
			if i == 0 {
				l.words[id].first = following
			} else {
				l.next[step{node, id}] = following
				l.phrases[node].more = true
			}
		}
		node = following
	}
	l.phrases[node].says |= says
}

// typoLength is from how many letters on a word is found misspelled. Shorter
// ones are too close to others.
const typoLength = 8

// typos adds what long words with a strong valence become by one slip of the
// fingers. A letter twice or two swapped go before a letter left out: with an l too
// many wonderful is not meant to be wonderfully.
func (l *lexicon) typos() {
	var spoken []string
	for _, text := range slices.Sorted(maps.Keys(l.index)) {
		if len(text) >= typoLength && l.spoken(text, l.index[text]) {
			spoken = append(spoken, text)
		}
	}
	slip := func(variant, text string) {
		if _, known := l.index[variant]; !known {
			l.index[variant] = l.index[text]
		}
	}
	// From 1: who slips on the first letter is rare.
	for _, text := range spoken {
		for i := 1; i < len(text); i++ {
			slip(text[:i]+text[i:i+1]+text[i:], text)
			if i+1 < len(text) {
				slip(text[:i]+text[i+1:i+2]+text[i:i+1]+text[i+2:], text)
			}
		}
	}
	for _, text := range spoken {
		for i := 1; i < len(text); i++ {
			slip(text[:i]+text[i+1:], text)
		}
	}
}

// spoken reports whether a word is one that people type by hand and that says
// something: of letters, with a strong valence.
func (l *lexicon) spoken(text string, id int32) bool {
	for i := range len(text) {
		if text[i] < 'a' || text[i] > 'z' {
			return false
		}
	}
	v := l.words[id].valence
	return v >= 1.5 || v <= -1.5
}

package satisfaction

import (
	"testing"

	"github.com/jonreiter/govader"
	"github.com/stretchr/testify/assert"
)

// Our reading of VADER's rules agrees with govader's, whose lexicon it uses, on
// messages whose words are separated by spaces.
func TestSentimentIsVADERs(t *testing.T) {
	t.Parallel()
	vader := govader.NewSentimentIntensityAnalyzer()
	r := reader{lexicon: words()}
	for _, message := range []string{
		"The service was good.", "The service was very good!", "The service was VERY GOOD!!!", "The service was not good.",
		"It was never so good as now", "The service was not very good at all", "I really love the new lamp",
		"The lamp is nice but the delivery was horrible", "No problem at all", "There was no good reason for it",
		"At least it was not terrible", "It was the least helpful answer", "Hardly any help", "It is somewhat useful",
		"Terrible!! Simply terrible!!", "Is it really that bad???", "Why is it so bad?", "I am happy :)", "I am sad :(",
		"without doubt a great answer", "an answer without any hope", "I can't complain", "I don't like it and I won't pay",
		"ordinary words without any sentiment in them", "GREAT", "it was GREAT", "i was extremely disappointed",
		"The happy customer thanked the friendly agent", "it isn't the worst, or is it the worst",
	} {
		assert.InDelta(t, vader.PolarityScores(message).Compound, r.read(message).sentiment, 1e-5, message)
	}
}

// Where words touch other marks, and with emoji, ours hears more.
func TestSentimentBeyondVADER(t *testing.T) {
	t.Parallel()
	r := reader{lexicon: words()}
	for _, message := range []string{"good/nice", "great,thanks", "so greeeeat", "😍", "👍👍", "was\ngreat\nthanks"} {
		assert.Positive(t, r.read(message).sentiment, message)
	}
	for _, message := range []string{"😡", "👎", "🙄", "sad,angry", "not\ngood"} {
		assert.Negative(t, r.read(message).sentiment, message)
	}
	assert.Zero(t, r.read("http://example.com/love-hate").sentiment, "an address says nothing")
}

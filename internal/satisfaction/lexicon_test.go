package satisfaction

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEverySignalHasPhrases(t *testing.T) {
	t.Parallel()
	var said signals
	for _, p := range words().phrases {
		said |= p.says
	}
	for one := range signalCount {
		assert.True(t, said.has(one), signalNames[one])
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	tests := map[string][]signal{
		"Thank you SO much for all your help!":       {userThanks, userThanksMuch, userIntensity},
		"thnaks, that's perfect":                     {userThanks, userPraise, userApproval},
		"No, that's all, thanks.":                    {userRefusal, userClosing, userThanks, userNegation},
		"No, not that one.":                          {userRefusal, userNegation},
		"I wonder whether no is a word":              {userNegation},
		"Sorry, I was unable to find a table.":       {assistantFailure, assistantApology, assistantRefusal},
		"That is not what I asked for.":              {userComplaint, userNegation, userRepair},
		"YOU ARE COMPLETELY USELESS":                 {userHostile, userIntensity, userDisappointment},
		"Great, it's broken again":                   {userSarcasm, userPraise},
		"I don’t want that":                          {userNegation, userRejection},
		"https://example.com/thanks was a great day": {userPraise},
		"[NAME_1] was great":                         {userPraise, userApproval},
		"":                                           {},
	}
	for message, want := range tests {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			r := reader{lexicon: words()}
			got := r.read(message).says
			for _, one := range want {
				assert.True(t, got.has(one), "%s is missing", signalNames[one])
			}
			if strings.HasPrefix(message, "https") {
				assert.False(t, got.has(userThanks), "an address is no word")
			}
		})
	}
}

// A phrase that begins a message with ^ is not found elsewhere.
func TestBeginning(t *testing.T) {
	t.Parallel()
	r := reader{lexicon: words()}
	assert.True(t, r.read("nope, too far").says.has(userRefusal))
	assert.False(t, r.read("too far, nope").says.has(userRefusal))
}

func TestAnotherLanguageIsNotReadAsEnglish(t *testing.T) {
	t.Parallel()
	r := reader{lexicon: words()}
	for _, message := range []string{
		"Die Lieferung war schlecht und das ist nicht gut für mich", // die, war and gut are words of ours too
		"la aplicación no funciona y no puedo entrar en mi cuenta",
		"je ne peux pas me connecter à mon compte, c'est pénible",
		"не работает, помогите пожалуйста, это ужасно",
	} {
		got := r.read(message)
		assert.Zero(t, got.known, message)
		assert.Zero(t, got.sentiment, message)
		assert.Zero(t, got.says, message)
	}
	assert.True(t, r.read("Vielen Dank, danke schön für die Hilfe und das Gespräch").says.has(userThanks), "thanks are understood")
	assert.NotZero(t, r.read("Die hard fans love the war movie").sentiment)
}

// What stands for masked data says nothing, whatever its name is.
func TestPlaceholdersAreNoWords(t *testing.T) {
	t.Parallel()
	r := reader{lexicon: words()}
	assert.Zero(t, r.read("[NAME_1] [DATE_12][MEDICAL_RECORD_3]").words)
	assert.Equal(t, 3, r.read("[not one_1] [").words)
}

func TestLexiconRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[user.unknown]\nx", "[user.thanks]\n(a|b", "[user.thanks]\n($nobody) a"} {
		_, err := newLexicon(text, "")
		require.ErrorContains(t, err, "lexicon, line ", text)
	}
}

// The same text has the same score in every process, though what the lexicon is
// made of comes in maps.
func TestTheLexiconIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	meanings := func() map[string]word {
		l, err := newLexicon(phrasesText, languagesText)
		require.NoError(t, err)
		all := make(map[string]word, len(l.index))
		for text, id := range l.index {
			w := l.words[id]
			w.first = 0 // numbers of nodes may differ
			all[text] = w
		}
		return all
	}
	require.True(t, maps.Equal(meanings(), meanings()))
}

func TestExpand(t *testing.T) {
	t.Parallel()
	got, err := expand("(a|b) c (|d |d )e")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"a c e", "b c e", "a c d e", "b c d e"}, got)
}

func TestWordsAreFoundInSpiteOfSlips(t *testing.T) {
	t.Parallel()
	l := words()
	for slip, right := range map[string]string{
		"thaaaanks": "thanks", "sooooo": "so", "coooool": "cool", "terible": "terrible", "horible": "horrible",
		"wonderfull": "wonderful", "frustarted": "frustrated", "graet": "great", //nolint:misspell // on purpose
	} {
		id, found := l.find([]byte(slip))
		assert.True(t, found, slip)
		assert.Equal(t, l.index[right], id, slip)
	}
	// Words of their own, close as they are.
	for _, other := range []string{"hanks", "bring", "xqzzt", "boot", "bot"} {
		id, _ := l.find([]byte(other))
		for _, wrong := range []string{"thanks", "boring", "great"} {
			assert.NotEqual(t, l.index[wrong], id, "%s is not %s", other, wrong)
		}
	}
}

package phi_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

// conversation masks texts with one Masker, which read all of them before.
func conversation(texts ...string) (masked []string) {
	var m phi.Masker
	for _, text := range texts {
		m.Read(text)
	}
	for _, text := range texts {
		clean, _ := m.Mask(text)
		masked = append(masked, clean)
	}
	return masked
}

func TestANameIsLinkedAcrossTexts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ texts, want []string }{
		"its parts, in any case": {
			[]string{"I am Ada Lovelace.", "ok ada, wait", "LOVELACE again; Ada L. and ada lovelace"},
			[]string{"I am [NAME_1].", "ok [NAME_1], wait", "[NAME_1] again; [NAME_1] and [NAME_1]"},
		},
		"the whole behind a part": {
			[]string{"Dr. Okonjo called", "It was Blessing Okonjo, not okonjo"},
			[]string{"Dr. [NAME_1] called", "It was [NAME_1], not [NAME_1]"},
		},
		"what comes later explains what came before": {
			[]string{"did qxaro call?", "my name is Qxaro"},
			[]string{"did [NAME_1] call?", "my name is [NAME_1]"},
		},
		"two who share a name": {
			[]string{"Jane Roe and Mary Roe came", "Dr. Roe left", "jane and mary stayed"},
			[]string{"[NAME_1] and [NAME_2] came", "Dr. [NAME_3] left", "[NAME_1] and [NAME_2] stayed"},
		},
		"another initial is another person": {
			[]string{"Seen by John A.", "Seen by John B.", "and John A. again"},
			[]string{"Seen by [NAME_1]", "Seen by [NAME_2]", "and [NAME_1] again"},
		},
		"everyday words stay": {
			[]string{"Hope Rose Fields came", "i hope the rose fields bloom; the bill; ADA guidelines"},
			[]string{"[NAME_1] came", "i hope the rose fields bloom; the bill; ADA guidelines"},
		},
		"acronyms, diseases and parts of codes stay": {
			[]string{"I am Ada Parkinson", "ADA rules, parkinson's disease, Parkinson's, ada_1 and 3ada"},
			[]string{"I am [NAME_1]", "ADA rules, parkinson's disease, Parkinson's, ada_1 and 3ada"},
		},
		"particles are nobody's": {
			[]string{"Ludwig van Houten came", "van der waals forces, von Willebrand factor; Houten said so"},
			[]string{"[NAME_1] came", "van der waals forces, von Willebrand factor; [NAME_1] said so"},
		},
		"a placeholder that comes later keeps its number": {
			[]string{"I am Jane Doe", "[NAME_1] and jane"},
			[]string{"I am [NAME_2]", "[NAME_1] and [NAME_2]"},
		},
		"accents": {
			[]string{"José Ñandú came", "ÑANDÚ and josé"},
			[]string{"[NAME_1] came", "[NAME_1] and [NAME_1]"},
		},
	} {
		require.Equal(t, c.want, conversation(c.texts...), name)
	}
}

func TestWithoutReadingMemoryGoesForward(t *testing.T) {
	t.Parallel()
	var m phi.Masker
	for _, c := range [][2]string{
		{"did qxaro call?", "did qxaro call?"},
		{"my name is Qxaro Umber", "my name is [NAME_1]"},
		{"did qxaro call?", "did [NAME_1] call?"},
	} {
		masked, _ := m.Mask(c[0])
		require.Equal(t, c[1], masked)
	}
}

func TestNamesChainWithinAText(t *testing.T) {
	t.Parallel()
	// Each name is known by the one before only, and each stands once more in lower case.
	var text, want strings.Builder
	names := []string{"Qxaro", "Vemli", "Zorbu", "Wuqta", "Yolkp", "Xipho", "Jurgh", "Kwibb"}
	for i := len(names) - 1; i > 0; i-- {
		text.WriteString(names[i] + " and " + names[i-1] + " here. ")
		want.WriteString("[NAME] and [NAME] here. ")
	}
	for _, name := range names {
		text.WriteString("x " + strings.ToLower(name) + " ")
		want.WriteString("x [NAME] ")
	}
	text.WriteString("Dr. Qxaro")
	want.WriteString("Dr. [NAME]")
	masked, _ := new(phi.Masker).Mask(text.String())
	for i := range len(names) {
		masked = strings.ReplaceAll(masked, "[NAME_"+strconv.Itoa(i+1)+"]", "[NAME]")
	}
	require.Equal(t, want.String(), masked)
}

// checkConversation fails when masking texts with one Masker breaks a promise.
func checkConversation(t *testing.T, texts []string) {
	t.Helper()
	taken := map[string]bool{}
	var m phi.Masker
	for _, text := range texts {
		m.Read(text)
		for _, p := range placeholders(text) {
			taken[p] = true
		}
	}
	for _, text := range texts {
		masked, found := m.Mask(text)
		points := codePoints(text)
		rest, at := masked, 0
		for _, f := range found {
			before := strings.Join(points[at:f.Start], "")
			require.True(t, strings.HasPrefix(rest, before+"["+string(f.Type)+"_"), "%q: %q", text, masked)
			placeholder, after, _ := strings.Cut(rest[len(before):], "]")
			require.False(t, taken[placeholder+"]"], "%q: %q", texts, masked)
			rest, at = after, f.End
		}
		require.Equal(t, strings.Join(points[at:], ""), rest)

		again, more := m.Mask(masked)
		require.Equal(t, masked, again, "%q", texts)
		require.Empty(t, more)
	}
}

// placeholders returns what may be a placeholder in a text.
func placeholders(text string) (all []string) {
	for at := range text {
		if text[at] == '[' {
			if inner, _, ok := strings.Cut(text[at:], "]"); ok {
				all = append(all, inner+"]")
			}
		}
	}
	return all
}

func TestRandomConversationsKeepThePromises(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // the same texts each time
	for range 1_000 {
		var texts []string
		for range 1 + r.IntN(5) {
			texts = append(texts, randomText(r))
		}
		checkConversation(t, texts)
	}
}

func TestManyNamesAreBounded(t *testing.T) {
	t.Parallel()
	var m phi.Masker
	for i := range 40 {
		var b strings.Builder
		for n := range 500 {
			b.WriteString("Dr. Q" + letters(500*i+n) + " ")
		}
		_, found := m.Mask(b.String())
		require.Len(t, found, 500)
	}
	// What was learned first is known still, and the last are masked like any.
	masked, _ := m.Mask("ask q" + letters(7) + " or Dr. Q" + letters(19_999))
	require.Equal(t, "ask [NAME_8] or Dr. [NAME_20000]", masked)
}

// letters writes a number in letters.
func letters(n int) string {
	b := []byte("xaaaa")
	for i := range 4 {
		b[1+i] = "bcdfghjklmnpqrstvwxz"[n%20]
		n /= 20
	}
	return string(b)
}

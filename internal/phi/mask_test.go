package phi_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

func TestNothingFoundReturnsTheSameString(t *testing.T) {
	t.Parallel()
	text := strings.Clone("How much water should I drink a day? [NAME_1] asked.")
	var m phi.Masker
	masked, found := m.Mask(text)
	require.Nil(t, found)
	require.Same(t, unsafe.StringData(text), unsafe.StringData(masked)) //nolint:gosec // pointers to compare
}

func TestOneValueHasOnePlaceholderAcrossTexts(t *testing.T) {
	t.Parallel()
	var m phi.Masker
	for _, c := range [][2]string{
		{"I am Jane Doe, call 415-555-2671.", "I am [NAME_1], call [PHONE_1]."},
		{"Dr. Roe will call you, Jane Doe.", "Dr. [NAME_2] will call you, [NAME_1]."},
		{"JANE DOE at (415) 555 2671, or 415-555-2672", "[NAME_1] at [PHONE_1], or [PHONE_2]"},
		{"Thanks, Dr. Roe! MRN: 4155552671", "Thanks, Dr. [NAME_2]! MRN: [MEDICAL_RECORD_1]"},
	} {
		masked, _ := m.Mask(c[0])
		require.Equal(t, c[1], masked)
	}
	var other phi.Masker
	masked, _ := other.Mask("Dr. Roe")
	require.Equal(t, "Dr. [NAME_1]", masked)
}

func TestPlaceholdersInTheTextKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	var m phi.Masker
	masked, found := m.Mask("[NAME_1] and [NAME_3] met Dr. Roe, Dr. Poe and Dr. Noe on [DATE_2]; also 2/14/2023")
	require.Equal(t, "[NAME_1] and [NAME_3] met Dr. [NAME_2], Dr. [NAME_4] and Dr. [NAME_5] on [DATE_2]; also [DATE_1]", masked)
	require.Len(t, found, 4)
	masked, _ = m.Mask("Dr. Doe")
	require.Equal(t, "Dr. [NAME_6]", masked)
	// Nor do they become part of an address or a date.
	masked, _ = new(phi.Masker).Mask("Friday, [DATE_1]; 12 Elm Street, [LOCATION_1]")
	require.Equal(t, "[DATE_2], [DATE_1]; [LOCATION_2], [LOCATION_1]", masked)
}

func TestWhatIsNoPlaceholder(t *testing.T) {
	t.Parallel()
	var m phi.Masker
	masked, _ := m.Mask("[NAME_] [NAME_1 [name_1] [NAME_1234567890] [X_1] [NAME] Dr. Roe [")
	require.Equal(t, "[NAME_] [NAME_1 [name_1] [[ID_1]] [X_1] [NAME] Dr. [NAME_1] [", masked)
}

// fragments are what random texts are made of: parts of identifiers, and what
// stands around them.
func fragments() []string {
	return strings.Split("Dr.|Mr|Jane|john|Doe|Smith|Will|may|May|Mark|J.|O'|Neill|, |. |: |\n|\n\n| - |-|/|'s|(|)|#|@|12|2023|5|31|555|0100|415|000123456789|"+
		"MRN|SSN|123-45-6789|id|number|is|policy|VIN|1HGCM82633A004352|DE89|3704 0044 0532 0130 00|4111|1111|example.com|a@b.org|dot|com|at|in|from|of|and|the|"+
		"https://x.y|10.0.0.1|::1|aa:bb:|Elm|Street|St|Hospital|Clinic|Health|Tulsa|New|York|City|TX|94110|SW1A|1AA|March|Mon|Friday|last|on|seen|admitted to|"+
		"year|-old|95|yo|named|my name is|patient|disease|syndrome|[NAME_1]|[DATE_7]|[|]|_1]|é|ß|日本|🙂|\xff|\u00a0|’s|–|mg|tablets|%|call|fax|hi|thanks", "|")
}

// randomText joins fragments, often with spaces.
func randomText(r *rand.Rand) string {
	var b strings.Builder
	all := fragments()
	for range r.IntN(40) {
		b.WriteString(all[r.IntN(len(all))])
		if r.IntN(3) > 0 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// check fails when masking a text breaks a promise.
func check(t *testing.T, text string) {
	t.Helper()
	var m phi.Masker
	masked, found := m.Mask(text)
	require.Equal(t, found, phi.Find(text))

	// The text with its findings replaced is the masked text.
	points := codePoints(text)
	rest, at := masked, 0
	for _, f := range found {
		require.True(t, at <= f.Start && f.Start < f.End && f.End <= len(points), "%q: %v", text, f)
		require.Contains(t, phi.Types(), f.Type)
		var ok bool
		rest, ok = strings.CutPrefix(rest, strings.Join(points[at:f.Start], "")+"["+string(f.Type)+"_")
		require.True(t, ok, "%q: %q", text, masked)
		number, after, ok := strings.Cut(rest, "]")
		require.True(t, ok && strings.Trim(number, "0123456789") == "" && number != "", "%q: %q", text, masked)
		rest, at = after, f.End
	}
	require.Equal(t, strings.Join(points[at:], ""), rest)

	// Masking what was masked changes nothing, whoever does it.
	for _, masker := range []*phi.Masker{&m, {}} {
		again, more := masker.Mask(masked)
		require.Equal(t, masked, again, "%q", text)
		require.Empty(t, more)
	}
}

// codePoints splits a text as offsets count: a bad byte is one.
func codePoints(text string) (points []string) {
	for len(text) > 0 {
		_, size := utf8.DecodeRuneInString(text)
		points = append(points, text[:size])
		text = text[size:]
	}
	return points
}

func TestRandomTextsKeepThePromises(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same texts each time
	for range 5_000 {
		check(t, randomText(r))
	}
}

func TestLongTextsKeepThePromises(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same texts each time
	var b strings.Builder
	for b.Len() < 1<<18 { // several blocks
		b.WriteString(randomText(r))
	}
	check(t, b.String())
}

func TestABlockEndIsNotSeen(t *testing.T) {
	t.Parallel()
	// Findings are the same wherever the text before them ends a block.
	const note = "MRN:\n12345678 of Jane\nDoe\n\nSeen by Dr. Roe\n\n"
	want, _ := new(phi.Masker).Mask(note)
	for _, filler := range []int{65_400, 65_480, 65_490, 65_500, 65_510, 65_520, 65_530, 65_536, 65_540} {
		before := strings.Repeat("word ", filler/5) + strings.Repeat("x", filler%5) + "\n\n"
		masked, _ := new(phi.Masker).Mask(before + note + note)
		require.Equal(t, before+want+want, masked)
	}
}

func FuzzMask(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same seeds each time
	for range 50 {
		f.Add(randomText(r))
	}
	f.Add("Seen by Dr. Jane Roe (MRN 12345-JR) at Maple Grove Clinic, Tulsa, OK on May 5th, 2023.\n\nCall 415-555-2671.")
	f.Fuzz(check)
}

func ExampleMasker() {
	var m phi.Masker
	for _, message := range []string{"Hi, I am Jane Doe, born 2/14/1956.", "Welcome, Jane Doe!"} {
		masked, _ := m.Mask(message)
		fmt.Println(masked)
	}
	// Output:
	// Hi, I am [NAME_1], born [DATE_1].
	// Welcome, [NAME_1]!
}

func TestMaskersAreIndependentInParallel(t *testing.T) {
	t.Parallel()
	// Scanners are pooled: texts of one must not reach another.
	done := make(chan []string)
	for range 4 {
		go func() {
			var all []string
			for i := range 200 {
				masked, _ := new(phi.Masker).Mask(strings.Repeat("Dr. Roe ", i%7) + "saw Jane Doe")
				all = append(all, masked)
			}
			done <- all
		}()
	}
	first := <-done
	for range 3 {
		require.True(t, slices.Equal(first, <-done))
	}
}

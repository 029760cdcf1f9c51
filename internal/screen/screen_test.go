package screen

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/phi"
)

func texts(pairs ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i], pairs[i+1]) {
				return
			}
		}
	}
}

func TestScanIsWhatAMaskerFinds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "How much water should I drink?", "Hi, I am Jane Doe, born 2/14/1956. Jane Doe!",
		"日本 🙂 call 415-555-2671", "[NAME_1] met Dr. Roe",
	} {
		var masker phi.Masker
		masked, found := masker.Mask(text)
		got, err := Scan(text)
		require.NoError(t, err)
		require.Equal(t, masked, got.Masked)
		require.Equal(t, append([]phi.Finding{}, found...), got.Findings)
		want := make(counts)
		for _, f := range found {
			want[f.Type]++
		}
		require.Equal(t, want, got.Categories)
	}
}

func TestRefuseSaysWhereAndNeverWhat(t *testing.T) {
	t.Parallel()
	require.NoError(t, Refuse(texts()))
	require.NoError(t, Refuse(texts("a", "two tickets", "b", "")))
	err := Refuse(texts("a", "two tickets", "b[1].c", "日本: I am Jane Doe, jane@example.com", "d", "call 415-555-2671"))
	f := fault.From(err)
	require.Equal(t, fault.PHIDetected, f.Code)
	require.Equal(t, []Finding{
		{"b[1].c", phi.Name, 9, 17}, {"b[1].c", phi.Email, 19, 35}, {"d", phi.Phone, 5, 17},
	}, f.Details["findings"])
	require.Equal(t, counts{phi.Name: 1, phi.Email: 1, phi.Phone: 1}, f.Details["categories"])
	require.NotContains(t, f.Error(), "ane")
	require.NotContains(t, f.Error(), "415")
}

func TestRefuseMayLookForSomeTypesOnly(t *testing.T) {
	t.Parallel()
	require.NoError(t, Refuse(texts("a", "I am Jane Doe"), phi.Email, phi.Phone))
	require.Error(t, Refuse(texts("a", "jane@example.com"), phi.Email, phi.Phone))
}

func TestARefusalIsBounded(t *testing.T) {
	t.Parallel()
	f := fault.From(Refuse(texts("a", strings.Repeat("Dr. Roe saw Dr. Poe. ", 1000))))
	require.Len(t, f.Details["findings"], MaxFindings)
	require.Equal(t, counts{phi.Name: 2000}, f.Details["categories"])
}

func TestItFailsClosed(t *testing.T) {
	t.Parallel()
	const quoted = "jane doe"
	for _, value := range []any{quoted, errors.New(quoted), fmt.Stringer(nil)} {
		if value == nil {
			value = 7
		}
		_, err := scan(quoted, func(string) (string, []phi.Finding) { panic(value) })
		require.Equal(t, fault.MaskingFailed, fault.From(err).Code)
		require.NotContains(t, fault.From(err).Cause().Error(), quoted)
		err = refuse(texts("a", quoted), nil, func(string) []phi.Finding { panic(value) })
		require.Equal(t, fault.MaskingFailed, fault.From(err).Code)
		require.NotContains(t, fault.From(err).Cause().Error(), quoted)
	}
}

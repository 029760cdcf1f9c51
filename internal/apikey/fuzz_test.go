package apikey_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
)

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", "mrk_", "mrk__", "mrk_" + strings.Repeat("a", 16) + "_" + strings.Repeat("b", 52), "mrk_" + strings.Repeat("\x00", 16) + "_", "MRK_a_b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, presented string) {
		id, secret, ok := apikey.Split(presented)
		if !ok {
			require.Empty(t, id+secret)
			return
		}
		require.Equal(t, presented, "mrk_"+id+"_"+secret)
		require.Len(t, id, 16)
		require.NotEmpty(t, secret)
		require.False(t, apikey.Key{}.Matches(secret), "no secret fits a key that is none")
	})
}

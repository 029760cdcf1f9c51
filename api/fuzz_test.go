package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/fault"
)

func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{"wait=10", "wait=-1", `respond-async, WAIT = "5"`, "wait", "wait=99999999999999999999", "wait=1;wait=2", ",;,="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		wait, err := api.PreferredWait(header)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
		}
		require.True(t, wait >= 0 && wait <= 30*time.Second)
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"", "order-1", "a b", "é", "\x00", "\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if err := api.CheckKey(key, true); err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.True(t, key != "" && len(key) <= 255)
		for _, c := range []byte(key) {
			require.True(t, c > ' ' && c < 0x7f)
		}
	})
}

func FuzzPageToken(f *testing.F) {
	f.Add("cGF5bWVudDox", "payment:1")
	f.Add("\n", "")
	f.Fuzz(func(t *testing.T, token, position string) {
		got, ok := api.PagePosition(token, "payment")
		if ok {
			again, ok := api.PagePosition(api.PageToken("payment", got), "payment")
			require.True(t, ok)
			require.Equal(t, got, again)
		}
		got, ok = api.PagePosition(api.PageToken("payment", position), "payment")
		require.True(t, ok)
		require.Equal(t, position, got)
		_, ok = api.PagePosition(api.PageToken("payment", position), "booking")
		require.False(t, ok, "a token is of one list")
	})
}

func FuzzIfNoneMatch(f *testing.F) {
	f.Add(`W/"a", "b"`)
	f.Add("*")
	f.Fuzz(func(t *testing.T, header string) {
		if api.ETagMatches(header, `"a"`) {
			require.True(t, strings.Contains(header, `"a"`) || strings.Contains(header, "*"), header)
		}
		require.True(t, api.ETagMatches(header+`,"a"`, `"a"`))
	})
}

package conversation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/conversation"
	"millrace/internal/fault"
)

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"time desc 2026-01-31T09:30:00Z AZoAAAAAAAAAAAAAAAAAAA", "satisfaction asc 50.5 AZoAAAAAAAAAAAAAAAAAAA", "satisfaction asc NaN AZoAAAAAAAAAAAAAAAAAAA", "time  ", "time desc 0000-01-01T00:00:00Z AZoAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		position, ok := conversation.ParsePosition(text)
		if !ok {
			return
		}
		require.Equal(t, text, position.String())
		require.False(t, position.Satisfaction < 0 || position.Satisfaction > 100)
		require.GreaterOrEqual(t, position.CreatedAt.Year(), 0)
	})
}

func FuzzParseDays(f *testing.F) {
	for _, seed := range [][2]string{{"2026-01-01", "2026-01-31"}, {"2026-01-31", "2026-01-01"}, {"0000-01-01", "0000-01-02"}, {"2026-02-30", "x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, from, to string) {
		first, last, err := conversation.ParseDays(from, to)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.False(t, last.Before(first))
		require.LessOrEqual(t, last.Sub(first), 366*24*time.Hour)
	})
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"session_id":"s","messages":[{"role":"user","content":"Hi, I am Jane Doe, jane@example.com"}]}`, `{"messages":[null,1,{"role":"user"}]}`, `{"messages":[{"role":"user","content":"\ud800"}]}`,
		`{"session_id":"s","messages":[{"role":"user","content":"a","at":"2026-01-31T09:30:00Z","more":{}}],"feedback":{"stars":5,"text":"x"}}`, `{"messages":[{"role":"user","content":"\u0000"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var request conversation.Request
		if json.Unmarshal(body, &request) != nil {
			return
		}
		valid, err := request.Validate()
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.NotEmpty(t, valid.Messages)
		for _, message := range valid.Messages {
			require.False(t, strings.Contains(message.Content, "jane@example.com"))
		}
	})
}

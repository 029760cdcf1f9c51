package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/jobs"
)

// Whatever is submitted, of whatever kind, is refused with words of ours or becomes
// a job that the database can hold.
func FuzzAccept(f *testing.F) {
	for i, kind := range jobs.Catalog() {
		sample, err := json.Marshal(kind.Sample)
		require.NoError(f, err)
		f.Add(uint8(i), sample)
	}
	for _, seed := range []string{`{"amount":1e400}`, `{"amount":9223372036854775808}`, `{"metadata":{"a":"\u0000"}}`, `{"description":"\ud800"}`, `{"from":"0000-01-01T00:00:00Z","to":"9999-12-31T23:59:59Z"}`} {
		for i := range jobs.Catalog() {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		catalog := jobs.Catalog()
		kind := catalog[int(which)%len(catalog)]
		at := jobs.Acceptance{Tenant: "alice", ID: uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"), Now: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)}
		accepted, err := kind.Accept(body, at)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code, kind.Name)
			require.NotEmpty(t, fault.From(err).Message)
			return
		}
		for _, part := range []any{accepted.Args, accepted.Resource} {
			text, err := json.Marshal(part)
			require.NoError(t, err, kind.Name)
			require.NotContains(t, string(text), `\u0000`, kind.Name)
			require.True(t, json.Valid(text))
		}
		again, err := kind.Accept(body, at)
		require.NoError(t, err)
		require.Equal(t, accepted.Hash, again.Hash, kind.Name)
	})
}

package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
)

var update = flag.Bool("update", false, "write golden files anew") //nolint:gochecknoglobals // a test flag

// sameDay finds slots: that of a sample can be booked, and so has another day tomorrow.
var sameDay = regexp.MustCompile(`default\.\d{8}T`)

// The contract as clients see it: a change of it shows in review.
func TestTheContractIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	const golden = "testdata/openapi.json"
	a := newSite(t).do(request{method: "GET", path: "/openapi.json"})
	require.Equal(t, 200, a.status)
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, sameDay.ReplaceAll([]byte(a.text), []byte("default.20261124T")), "", "  "))
	if *update {
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String(), "run `go test ./api -run Golden -update` when the change is meant")
}

// The samples of the catalogue are what the documentation offers to try.
func TestEveryKindsSampleIsAcceptedByTheGenericDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, kind := range jobs.Catalog() {
		if !kind.Public {
			continue
		}
		body, err := json.Marshal(map[string]any{"kind": kind.Name, "args": kind.Sample})
		require.NoError(t, err)
		a := s.do(request{method: "POST", path: "/v1/jobs", key: s.alice, body: string(body), header: map[string]string{"Idempotency-Key": kind.Name}})
		require.Equal(t, 202, a.status, a.text)
	}
}

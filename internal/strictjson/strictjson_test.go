package strictjson_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/strictjson"
)

type item struct {
	Price int64 `json:"price"`
}

type options struct {
	At *time.Time `json:"at,omitzero"`
}

type request struct {
	Name  string            `json:"name"`
	Items []item            `json:"items"`
	Tags  map[string]string `json:"tags"`
	options
}

func TestDecodeAcceptsWhatTheTypeSays(t *testing.T) {
	t.Parallel()
	var got request
	require.NoError(t, strictjson.Decode([]byte(`{"name":"a","items":[{"price":3}],"tags":{"k":"v"},"at":"2026-01-02T03:04:05Z"}`), &got))
	require.Equal(t, "a", got.Name)
	require.EqualValues(t, 3, got.Items[0].Price)
	require.Equal(t, 2026, got.At.Year())
}

func TestDecodeRefusesAndNamesThePlaceWithoutTheInput(t *testing.T) {
	t.Parallel()
	const secret = "jane.doe"
	for name, c := range map[string]struct{ body, field, problem string }{
		"empty":            {"", "", ""},
		"not JSON":         {`{"name": ` + secret + `}`, "body", "is not valid JSON"},
		"cut off":          {`{"name": "`, "body", "is not valid JSON"},
		"trailing data":    {`{"name": "a"} {}`, "body", "is not valid JSON"},
		"null":             {" null ", "body", "must be a JSON object"},
		"an array":         {`["` + secret + `"]`, "body", "must be an object"},
		"unknown":          {`{"` + secret + `": 1}`, "body", "has an unknown field; allowed are at, items, name, tags"},
		"unknown nested":   {`{"items":[{"price":1},{"` + secret + `":1}]}`, "items[1]", "has an unknown field; allowed are price"},
		"other case":       {`{"NAME":"` + secret + `"}`, "body", "has an unknown field; allowed are at, items, name, tags"},
		"doubled":          {`{"name":"a","name":"` + secret + `"}`, "body", "names a member twice"},
		"float for int":    {`{"items":[{"price":1.5}]}`, "items[0].price", "must be an integer"},
		"string for int":   {`{"items":[{"price":"` + secret + `"}]}`, "items[0].price", "must be an integer"},
		"int overflow":     {`{"items":[{"price":9223372036854775808}]}`, "items[0].price", "must be an integer"},
		"number in a map":  {`{"tags":{"` + secret + `":1}}`, "tags.*", "must be a string"},
		"not a time":       {`{"at":"` + secret + `"}`, "at", "must be an RFC 3339 time such as 2026-01-31T09:30:00Z"},
		"NUL":              {`{"name":"\u0000"}`, "body", "contains a NUL character"},
		"lone surrogate":   {`{"name":"\ud800"}`, "body", "is not valid JSON"},
		"invalid UTF-8":    {"{\"name\":\"\xff\"}", "body", "is not valid JSON"},
		"nested 10,000":    {strings.Repeat(`{"name":`, 10_000), "body", "is nested too deeply"},
		"arrays in arrays": {`{"items":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "body", "is nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got request
			f := fault.From(strictjson.Decode([]byte(c.body), &got))
			require.NotNil(t, f)
			require.Equal(t, fault.InvalidInput, f.Code)
			require.NotContains(t, f.Error(), secret)
			if c.field != "" {
				require.Equal(t, []fault.Field{{Field: c.field, Problem: c.problem}}, f.Details["fields"])
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","items":[{"price":3}],"tags":{"k":"v"}}`))
	f.Add([]byte(`{"name":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got request
		err := strictjson.Decode(data, &got)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.NotContains(t, got.Name, "\x00")
	})
}

func TestSplitDividesAnObjectByName(t *testing.T) {
	t.Parallel()
	rest, picked, err := strictjson.Split([]byte(`{"a":1,"at":"x","b":{"at":2}}`), "at", "priority")
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1,"b":{"at":2}}`, string(rest))
	require.JSONEq(t, `{"at":"x"}`, string(picked))

	rest, picked, err = strictjson.Split([]byte(`{"a":{"at":2}}`), "at")
	require.NoError(t, err)
	require.JSONEq(t, `{"a":{"at":2}}`, string(rest))
	require.Nil(t, picked)

	_, _, err = strictjson.Split([]byte(`{"at":1,"at":2}`), "at")
	require.Equal(t, fault.InvalidInput, fault.From(err).Code)
	_, _, err = strictjson.Split([]byte(`["at"]`), "at")
	require.Equal(t, fault.InvalidInput, fault.From(err).Code)
}

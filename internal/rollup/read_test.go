package rollup

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/strictjson"
)

func readNow() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 500, time.UTC) }

// slowly reads a request without the short cut.
func slowly(body []byte) ([]Measured, error) {
	var r Request
	if err := strictjson.Decode(body, &r); err != nil {
		return nil, err
	}
	return r.Check(readNow())
}

// requireReadAlike holds the short cut to what the other way answers. It may leave a
// request to that one, but not the plain requests of plain.
func requireReadAlike(t *testing.T, body []byte, plain bool) {
	t.Helper()
	reader := NewReader()
	for range 2 { // the second time, series are known
		short, ok := reader.readPlain(body, readNow())
		want, err := slowly(body)
		if err != nil {
			require.False(t, ok, "%s is refused: %v", body, err)
			return
		}
		if plain {
			require.True(t, ok, "%s", body)
		}
		if !ok {
			continue
		}
		require.Len(t, short, len(want), "%s", body)
		for i := range want {
			require.Equal(t, want[i], short[i], "%s", body)
		}
		require.Equal(t, Hash(want), Hash(short))
	}
}

// requests are those of which readers are likely to take a wrong view.
func requests() []string {
	var all []string
	for _, value := range []string{
		"1", "-1", "0", "-0", "0.5", "1.5e3", "1E+2", "1e-2", "01", "-", "-01", "1.", ".5", "+1", "1e", "1e+", "0x10", "1_000", "Infinity", "NaN", "null", "true", `"1"`, "[1]", "{}", "",
		"9007199254740992", "9007199254740993", "-9007199254740993", "9007199254740993.0", "1e16", "1e300", "1.0000001e300", "1e999", "1 2", "123456789012345678901234567890", "0.00000000000000000000000000000000000000001",
	} {
		all = append(all, fmt.Sprintf(`{"points":[{"name":"a","value":%s}]}`, value))
	}
	for _, at := range []string{
		"2026-03-04T11:59:59Z", "2026-03-04T12:10:00Z", "2026-03-04T12:10:00.0000004Z", "2026-03-04T12:10:00.0000006Z", "2026-03-04T12:10:01Z", "2026-03-04T11:59:59.5Z", "2026-03-04T11:59:59.123456789Z", "2026-03-04T11:59:59.1234567891Z",
		"2026-03-04T11:59:59,5Z", "2026-03-04T11:59:59.Z", "2026-03-04T11:59:59", "2026-03-04t11:59:59z", "2026-03-04 11:59:59Z", "2026-03-04T13:59:59+02:00", "2026-03-04T09:59:59-02:00", "2026-03-04T11:59:59+00:00", "2026-03-04T11:59:59-00:00",
		"2026-03-04T11:59:59+24:00", "2026-03-04T11:59:59+23:59", "2026-03-04T11:59:59+01:60", "2026-03-04T11:59:59+0100", "2026-03-04T11:59:59+1:00", "2024-02-29T00:00:00Z", "2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
		"2026-03-04T24:00:00Z", "2026-03-04T11:60:00Z", "2016-12-31T23:59:60Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+01:00", "1971-01-01T00:00:00+23:00", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "", "2026", "2026-03-04T1:59:59Z", "12026-03-04T11:59:59Z",
	} {
		all = append(all, fmt.Sprintf(`{"points":[{"name":"a","value":1,"at":%q}]}`, at))
	}
	for _, tags := range []string{
		"{}", "null", "[]", `"a"`, `{"a":"b"}`, `{ "a" : "b" , "c" : "d" }`, `{"A":" b "}`, `{"a":"b","A":"c"}`, `{"a":"b","a":"c"}`, `{"a":""}`, `{"":"a"}`, `{"a":1}`, `{"a":null}`, `{"a":"b",}`, `{,}`, `{"a"}`, `{"a":}`, `{"1":"b"}`,
		`{"a":"ä"}`, `{"ä":"b"}`, `{"a":"\u00e4"}`, `{"a":"b\u0000"}`, `{"a":"b\nc"}`, "{\"a\":\"b\nc\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\u0085\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", `{"a":"\ud800"}`, "{\"a\":\"\u2028\"}", `{"a":"}"}`, `{"a":"\"}"}`, `{"a":"` + strings.Repeat("ä", 200) + `"}`, `{"a":"` + strings.Repeat("ä", 201) + `"}`,
	} {
		all = append(all, fmt.Sprintf(`{"points":[{"name":"a","value":1,"tags":%s}]}`, tags))
	}
	for _, point := range []string{
		`{}`, `null`, `1`, `[]`, `{"name":"a"}`, `{"value":1}`, `{"name":null,"value":1}`, `{"name":"A.b:c/d-e_f","value":1}`, `{"name":" a ","value":1}`, `{"name":"a b","value":1}`, `{"name":"_","value":1}`, `{"name":"1","value":1}`, `{"name":"","value":1}`,
		"{\"name\":\"\u212a\",\"value\":1}", `{"name":"\u0061","value":1}`, `{"n\u0061me":"a","value":1}`, `{"Name":"a","value":1}`, `{"name":"a","value":1,"more":1}`, `{"name":"a","value":1,"value":2}`, `{"name":"a","value":1,"name":"a"}`, `{"name":"a","value":1,}`, `{"name":"a" "value":1}`, `{"name":"a","value":1,"at":null}`, `{"name":"a","value":1,"at":1}`,
		`{"name":"` + strings.Repeat("a", 128) + `","value":1}`, `{"name":"` + strings.Repeat("a", 129) + `","value":1}`,
	} {
		all = append(all, `{"points":[`+point+`]}`, `{"points":[{"name":"a","value":1},`+point+`]}`)
	}
	const good = `{"name":"a","value":1}`
	return append(all, "", " ", "{}", "[]", "null", `{"points":[]}`, `{"points":null}`, `{"points":[`+good+`]} `, `{"points":[`+good+`]}x`, `{"points":[`+good+"]}\x00", "\x00"+`{"points":[`+good+`]}`, `{"points":[`+good+`,]}`, `{"points":[,`+good+`]}`, `{"points":[`+good+good+`]}`,
		`{"points":[`+good+`],"points":[`+good+`]}`, `{"points":[`+good+`],"more":1}`, `{"more":1,"points":[`+good+`]}`, `{"points":[`+good+`]`, `{"points":[`+good, "\ufeff"+`{"points":[`+good+`]}`, "\v"+`{"points":[`+good+`]}`, "\r\n\t "+`{"points" : [ `+good+` ] }`+"\r\n\t ")
}

func TestTheShortCutAnswersLikeTheOtherWay(t *testing.T) {
	t.Parallel()
	for _, body := range requests() {
		requireReadAlike(t, []byte(body), false)
	}
	for _, plain := range []string{
		`{"points":[{"name":"a","value":1}]}`, `{"points":[{"value":-1.5e-3,"tags":{},"name":"A"},{"name":"a","value":0,"tags":{"a":"b","c":"ä"},"at":"2026-03-04T11:59:59.123Z"}]}`,
		"{ \"points\" :\n[ { \"at\" : \"2026-03-04T13:59:59+02:00\" , \"name\" : \"a\" , \"value\" : 1E2 } ] }\n",
	} {
		requireReadAlike(t, []byte(plain), true)
	}
}

// Requests with a byte or two changed somewhere.
func TestTheShortCutAnswersLikeTheOtherWayOfDamagedRequests(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same in every run
	const whole = `{"points":[{"name":"load","value":-12.5e1,"tags":{"host":"a","zone":"ä"},"at":"2026-03-04T11:59:59.25+01:00"}, {"value":7,"name":"B"}]}`
	const alphabet = "{}[]\",:.-+eE019 \\aZTn\x00\xff\n"
	for range 20_000 {
		body := []byte(whole)
		for range 1 + random.IntN(2) {
			i := random.IntN(len(body))
			c := alphabet[random.IntN(len(alphabet))]
			switch random.IntN(3) {
			case 0:
				body[i] = c
			case 1:
				body = append(body[:i], body[i+1:]...)
			default:
				body = append(body[:i], append([]byte{c}, body[i:]...)...)
			}
		}
		requireReadAlike(t, body, false)
	}
}

func FuzzRead(f *testing.F) {
	for _, body := range requests() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { requireReadAlike(t, body, false) })
}

// What is remembered of spellings is bounded.
func TestSpellingsAreForgotten(t *testing.T) {
	t.Parallel()
	reader := NewReader()
	for i := range 60 {
		var points []string
		for j := range 1000 {
			points = append(points, fmt.Sprintf(`{"name":"a","value":1,"tags":{"n":"%s%d"}}`, strings.Repeat("x", 190), i*1000+j))
		}
		points = append(points, `{"name":"always","value":1}`)
		measured, err := reader.Read([]byte(`{"points":[`+strings.Join(points, ",")+`]}`), readNow())
		require.NoError(t, err)
		require.Equal(t, "always", measured[1000].Series.Name)
	}
	require.Less(t, len(reader.known.fresh)+len(reader.known.old), 50_000)
	_, ok := reader.known.get([]byte(`always"`))
	require.True(t, ok, "what is asked for stays")
}

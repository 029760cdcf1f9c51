package resendhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/resendhook"
)

const payload = `{"type":"email.bounced","created_at":"2023-11-14T22:13:20.126Z","data":{"created_at":"2023-11-14T22:13:19.894Z","email_id":"56761188-7520-42d8-8898-ff6fc54ce618","from":"Acme <onboarding@resend.dev>","to":["jo@example.com"],"subject":"Your appointment","bounce":{"message":"no such box","subType":"General","type":"Permanent"}}}`

// now is between two seconds, as clocks are.
func now() time.Time { return time.Unix(1_700_000_100, 500_000_000) }

// secretOf makes a signing secret of a key that is filled up to 24 bytes.
func secretOf(key string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%-24s", key))
}

// sign returns what Svix puts into its header
// (https://docs.svix.com/receiving/verifying-payloads/how-manual).
func sign(id, at, payload, key string) string {
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%-24s", key))
	mac.Write([]byte(id + "." + at + "." + payload))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signed returns the headers of a delivery.
func signed(at time.Time, payload string) http.Header {
	unix := strconv.FormatInt(at.Unix(), 10)
	return headers("svix", "msg_1", unix, sign("msg_1", unix, payload, "current"))
}

func headers(prefix, id, at, signature string) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{"id": id, "timestamp": at, "signature": signature} {
		if value != "" {
			h.Set(prefix+"-"+name, value)
		}
	}
	return h
}

func newVerifier(t testing.TB, secret string) *resendhook.Verifier {
	t.Helper()
	verifier, err := resendhook.New(secret, now)
	require.NoError(t, err)
	return verifier
}

func TestVerifyReturnsTheEvent(t *testing.T) {
	t.Parallel()
	event, err := newVerifier(t, secretOf("current")).Verify([]byte(payload), signed(now(), payload))
	require.NoError(t, err)
	require.Equal(t, booking.MailEvent{
		ID: "msg_1", Type: "email.bounced", MailID: "56761188-7520-42d8-8898-ff6fc54ce618",
		CreatedAt: time.Date(2023, 11, 14, 22, 13, 20, 126_000_000, time.UTC),
	}, event)
}

func TestABounceMayBeForTheMoment(t *testing.T) {
	t.Parallel()
	for kind, transient := range map[string]bool{"Permanent": false, "Transient": true, "Undetermined": false} {
		text := strings.Replace(payload, "Permanent", kind, 1)
		event, err := newVerifier(t, secretOf("current")).Verify([]byte(text), signed(now(), text))
		require.NoError(t, err)
		require.Equal(t, transient, event.Transient, kind)
		require.Equal(t, transient, event.Status() == "", kind)
	}
}

// The example of Svix's documentation proves that our own signing is theirs.
func TestVerifyAcceptsThePublishedExample(t *testing.T) {
	t.Parallel()
	verifier, err := resendhook.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", func() time.Time { return time.Unix(1_614_265_330, 0) })
	require.NoError(t, err)
	_, err = verifier.Verify([]byte(`{"test": 2432232314}`), headers("svix", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="))
	require.Contains(t, fault.From(err).Message, "not an event", "it is authentic, and no event of Resend's")
}

func TestVerifyAcceptsOnlyAuthenticDeliveries(t *testing.T) {
	t.Parallel()
	const mismatch = "signature does not match"
	current, next := secretOf("current"), secretOf("next")
	unix := strconv.FormatInt(now().Unix(), 10)
	good := sign("msg_1", unix, payload, "current")
	byNext := sign("msg_1", unix, payload, "next")
	both := headers("svix", "msg_1", unix, good)
	maps.Copy(both, headers("webhook", "msg_2", unix, byNext))
	half := headers("svix", "msg_1", unix, good)
	half.Set("Webhook-Id", "msg_1")
	for name, c := range map[string]struct {
		secrets string // current unless set
		payload string // payload unless set
		header  http.Header
		problem string // none: it is accepted
	}{
		"by Svix's names":         {header: headers("svix", "msg_1", unix, good)},
		"by the standard's names": {header: headers("webhook", "msg_1", unix, good)},
		"several, the last right": {header: headers("svix", "msg_1", unix, byNext+" v1,zz v2,"+good[3:]+" "+good)},
		"rolled, by the old one":  {secrets: current + "," + next, header: headers("svix", "msg_1", unix, good)},
		"rolled, by the new one":  {secrets: current + ", " + next + " ", header: headers("svix", "msg_1", unix, byNext)},
		"without the prefix":      {secrets: strings.TrimPrefix(current, "whsec_"), header: headers("svix", "msg_1", unix, good)},

		"wrong secret":          {header: headers("svix", "msg_1", unix, byNext), problem: mismatch},
		"rolled out":            {secrets: next, header: headers("svix", "msg_1", unix, good), problem: mismatch},
		"altered body":          {payload: strings.Replace(payload, "bounced", "sent", 1), header: headers("svix", "msg_1", unix, good), problem: mismatch},
		"body with a newline":   {payload: payload + "\n", header: headers("svix", "msg_1", unix, good), problem: mismatch},
		"altered id":            {header: headers("svix", "msg_2", unix, good), problem: mismatch},
		"altered time":          {header: headers("svix", "msg_1", "1700000101", good), problem: mismatch},
		"no headers":            {header: http.Header{}, problem: mismatch},
		"no id":                 {header: headers("svix", "", unix, good), problem: mismatch},
		"no time":               {header: headers("svix", "msg_1", "", good), problem: mismatch},
		"no signature":          {header: headers("svix", "msg_1", unix, ""), problem: mismatch},
		"both kinds, one wrong": {header: both, problem: mismatch},
		"half of each kind":     {header: half, problem: mismatch},
		"time is no number":     {header: headers("svix", "msg_1", "now", sign("msg_1", "now", payload, "current")), problem: mismatch},
		"time is too large":     {header: headers("svix", "msg_1", "99999999999999999999", good), problem: mismatch},
		"another version":       {header: headers("svix", "msg_1", unix, "v2,"+good[3:]), problem: mismatch},
		"no version":            {header: headers("svix", "msg_1", unix, good[3:]), problem: mismatch},
		"signature cut short":   {header: headers("svix", "msg_1", unix, good[:20]), problem: mismatch},
		"empty signature":       {header: headers("svix", "msg_1", unix, "v1,"), problem: mismatch},
		"id with a space":       {header: headers("svix", "msg 1", unix, sign("msg 1", unix, payload, "current")), problem: "is not an event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.secrets == "" {
				c.secrets = current
			}
			if c.payload == "" {
				c.payload = payload
			}
			event, err := newVerifier(t, c.secrets).Verify([]byte(c.payload), c.header)
			if c.problem == "" {
				require.NoError(t, err)
				require.Equal(t, "msg_1", event.ID)
				return
			}
			requireRefusal(t, event, err, c.problem)
		})
	}
}

// requireRefusal looks for a fault that tells the problem, and nothing of what was
// delivered or of who verified it.
func requireRefusal(t *testing.T, event booking.MailEvent, err error, problem string) {
	t.Helper()
	require.Error(t, err)
	require.Zero(t, event)
	f := fault.From(err)
	require.Equal(t, fault.InvalidInput, f.Code)
	require.Contains(t, f.Message, problem)
	text := f.Error()
	if f.Cause() != nil {
		text += f.Cause().Error()
	}
	for _, private := range []string{"msg_", "56761188", "jo@example.com", "whsec_", "json"} {
		require.NotContains(t, text, private)
	}
	require.NotContains(t, f.Message, "webhook")
}

func TestVerifyAllowsFiveMinutesBothWays(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, secretOf("current"))
	for shift, problem := range map[time.Duration]string{
		0:                          "",
		-299 * time.Second:         "",
		-300 * time.Second:         "too old", // the clock is half a second on
		-72 * time.Hour:            "too old",
		300 * time.Second:          "",
		301 * time.Second:          "in the future",
		100 * 365 * 24 * time.Hour: "in the future",
	} {
		event, err := verifier.Verify([]byte(payload), signed(now().Add(shift), payload))
		if problem == "" {
			require.NoError(t, err, shift)
			continue
		}
		requireRefusal(t, event, err, problem)
	}
	for _, at := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		event, err := verifier.Verify([]byte(payload), signed(time.Unix(at, 0), payload))
		requireRefusal(t, event, err, "The delivery is")
	}
}

func TestWhatIsSignedAndNoEvent(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, secretOf("current"))
	const right = `{"type":"email.sent","created_at":"2023-11-14T22:13:20Z","data":{"email_id":"m1"}}`
	for name, payload := range map[string]string{
		"empty":               ``,
		"no JSON":             `jo@example.com`,
		"cut short":           right[:40],
		"two documents":       right + right,
		"null":                `null`,
		"array":               `[` + right + `]`,
		"nested too deeply":   strings.Repeat(`{"data":`, 20_000),
		"no type":             strings.Replace(right, `"type":"email.sent",`, ``, 1),
		"type is a number":    strings.Replace(right, `"email.sent"`, `1`, 1),
		"type with a space":   strings.Replace(right, `email.sent`, `email.sent `, 1),
		"created is a number": strings.Replace(right, `"2023-11-14T22:13:20Z"`, `1`, 1),
		"created is no time":  strings.Replace(right, `2023-11-14T22:13:20Z`, `jo@example.com`, 1),
		"no data":             `{"type":"email.sent"}`,
		"no mail":             strings.Replace(right, `"email_id":"m1"`, ``, 1),
		"mail is a number":    strings.Replace(right, `"m1"`, `1`, 1),
		"mail is too long":    strings.Replace(right, `m1`, strings.Repeat("m", 256), 1),
		"mail with a zero":    strings.Replace(right, `m1`, `m\u0000`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := verifier.Verify([]byte(payload), signed(now(), payload))
			requireRefusal(t, event, err, "is not an event")
		})
	}
	// What is about no mail, and does not say when it happened.
	const other = `{"type":"domain.created","data":{"id":"d1"}}`
	event, err := verifier.Verify([]byte(other), signed(now(), other))
	require.NoError(t, err)
	require.Equal(t, booking.MailEvent{ID: "msg_1", Type: "domain.created"}, event)
}

func TestNewRefusesWhatCannotVerify(t *testing.T) {
	t.Parallel()
	good := secretOf("current")
	for _, secrets := range []string{
		"", " ", ",", "whsec_", good + ",", "," + good, good + ", ," + good, "whsec_!!!", "whsec_c2hvcnQ=", good + good,
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)),
	} {
		_, err := resendhook.New(secrets, now)
		require.ErrorContains(t, err, "secret", "%q", secrets)
		require.NotContains(t, err.Error(), good)
	}
	_, err := resendhook.New(good, nil)
	require.ErrorContains(t, err, "clock")
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(payload), "msg_1", "1700000100", "v1,AAAA", true)
	f.Add([]byte(payload), "msg_1", "1700000100", "v1,AAAA", false)
	f.Add([]byte(`{"type":"domain.created","data":{}}`), "", "-1", "v1", true)
	f.Add([]byte("{"), "m", "", ",", false)
	verifier := newVerifier(f, secretOf("current"))
	f.Fuzz(func(t *testing.T, payload []byte, id, at, signature string, authentic bool) {
		header := headers("svix", id, at, signature)
		if authentic {
			header = signed(now(), string(payload))
		}
		event, err := verifier.Verify(payload, header)
		if err != nil {
			require.Zero(t, event)
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.True(t, authentic)
		require.Equal(t, "msg_1", event.ID)
		require.NotEmpty(t, event.Type)
		require.NotContains(t, event.Type+event.MailID, "\x00")
	})
}

package stripehook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/stripehook"
)

const (
	secret    = "whsec_current" //nolint:gosec // made up
	successor = "whsec_next"
	payload   = `{"id":"evt_1","object":"event","api_version":"2026-08-26.dahlia","created":1700000000,"type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent","receipt_email":"jo@example.com"}}}`
)

// now is between two seconds, as clocks are.
func now() time.Time { return time.Unix(1_700_000_100, 500_000_000) }

func newVerifier(t testing.TB, secret string) *stripehook.Verifier {
	t.Helper()
	verifier, err := stripehook.New(secret, now)
	require.NoError(t, err)
	return verifier
}

// sign returns what Stripe puts after v1= (https://docs.stripe.com/webhooks,
// "Verify webhook signatures manually").
func sign(at int64, payload, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strconv.FormatInt(at, 10) + "." + payload))
	return hex.EncodeToString(mac.Sum(nil))
}

// header returns the Stripe-Signature header of a delivery that secret signs.
func header(at time.Time, payload string) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), sign(at.Unix(), payload, secret))
}

func TestVerifyReturnsTheEvent(t *testing.T) {
	t.Parallel()
	event, err := newVerifier(t, secret).Verify([]byte(payload), header(now(), payload))
	require.NoError(t, err)
	require.Equal(t, payment.Event{
		ID: "evt_1", Type: "payment_intent.succeeded", IntentID: "pi_1", CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
	}, event)
}

func TestVerifyAcceptsOnlyAuthenticDeliveries(t *testing.T) {
	t.Parallel()
	const mismatch = "signature does not match"
	at := now().Unix()
	good := sign(at, payload, secret)
	unix := strconv.FormatInt(at, 10)
	old := strconv.FormatInt(at-3600, 10)
	for name, c := range map[string]struct {
		secrets   string // secret unless set
		payload   string // payload unless set
		signature string
		problem   string // none: it is accepted
	}{
		"good":                     {signature: "t=" + unix + ",v1=" + good},
		"with a legacy scheme":     {signature: "t=" + unix + ",v1=" + good + ",v0=6ffbb59b"},
		"signature before time":    {signature: "v1=" + good + ",t=" + unix},
		"several, the last right":  {signature: "t=" + unix + ",v1=" + sign(at, payload, "other") + ",v1=zz,v1=" + good},
		"several, the first right": {signature: "t=" + unix + ",v1=" + good + ",v1=" + sign(at, payload, "other")},
		"rolled, by the old one":   {secrets: secret + "," + successor, signature: "t=" + unix + ",v1=" + good},
		"rolled, by the new one":   {secrets: secret + ", " + successor + " ", signature: "t=" + unix + ",v1=" + sign(at, payload, successor)},
		"rolled, by both":          {secrets: successor, signature: "t=" + unix + ",v1=" + good + ",v1=" + sign(at, payload, successor)},

		"wrong secret":            {signature: "t=" + unix + ",v1=" + sign(at, payload, successor), problem: mismatch},
		"no secret":               {signature: "t=" + unix + ",v1=" + sign(at, payload, ""), problem: mismatch},
		"rolled out":              {secrets: successor, signature: "t=" + unix + ",v1=" + good, problem: mismatch},
		"the pair as one secret":  {secrets: secret + "," + successor, signature: "t=" + unix + ",v1=" + sign(at, payload, secret+","+successor), problem: mismatch},
		"altered body":            {payload: strings.Replace(payload, "pi_1", "pi_2", 1), signature: "t=" + unix + ",v1=" + good, problem: mismatch},
		"body with a newline":     {payload: payload + "\n", signature: "t=" + unix + ",v1=" + good, problem: mismatch},
		"altered time":            {signature: "t=" + strconv.FormatInt(at+1, 10) + ",v1=" + good, problem: mismatch},
		"missing header":          {signature: "", problem: mismatch},
		"malformed header":        {signature: "nonsense", problem: mismatch},
		"malformed pair":          {signature: "t=" + unix + ",v1=" + good + ",v1", problem: mismatch},
		"spaces":                  {signature: "t=" + unix + ", v1=" + good, problem: mismatch},
		"time is no number":       {signature: "t=now,v1=" + good, problem: mismatch},
		"time is too large":       {signature: "t=99999999999999999999,v1=" + good, problem: mismatch},
		"only a legacy scheme":    {signature: "t=" + unix + ",v0=" + good, problem: mismatch},
		"signature is no hex":     {signature: "t=" + unix + ",v1=" + good[:62] + "zz", problem: mismatch},
		"signature cut short":     {signature: "t=" + unix + ",v1=" + good[:62], problem: mismatch},
		"empty signature":         {signature: "t=" + unix + ",v1=", problem: mismatch},
		"time missing":            {signature: "v1=" + sign(time.Time{}.Unix(), payload, secret), problem: "has no time"},
		"old signature, new time": {signature: "t=" + unix + ",t=" + old + ",v1=" + sign(at-3600, payload, secret), problem: "too old"},
		"new signature, old time": {signature: "t=" + old + ",t=" + unix + ",v1=" + good},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.secrets == "" {
				c.secrets = secret
			}
			if c.payload == "" {
				c.payload = payload
			}
			event, err := newVerifier(t, c.secrets).Verify([]byte(c.payload), c.signature)
			if c.problem == "" {
				require.NoError(t, err)
				require.Equal(t, "evt_1", event.ID)
				return
			}
			requireRefusal(t, event, err, c.problem)
		})
	}
}

// requireRefusal looks for a fault that tells the problem, and nothing of what
// was delivered or of who verified it.
func requireRefusal(t *testing.T, event payment.Event, err error, problem string) {
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
	for _, private := range []string{"evt_", "pi_", "jo@example.com", "whsec_", "json"} {
		require.NotContains(t, text, private)
	}
	require.NotContains(t, f.Message, "webhook")
}

func TestVerifyAllowsFiveMinutesBothWays(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, secret)
	for shift, problem := range map[time.Duration]string{
		0:                          "",
		-299 * time.Second:         "",
		-300 * time.Second:         "too old", // the clock is half a second on
		-301 * time.Second:         "too old",
		-72 * time.Hour:            "too old",
		300 * time.Second:          "",
		301 * time.Second:          "in the future",
		24 * time.Hour:             "in the future",
		100 * 365 * 24 * time.Hour: "in the future",
	} {
		event, err := verifier.Verify([]byte(payload), header(now().Add(shift), payload))
		if problem == "" {
			require.NoError(t, err, shift)
			continue
		}
		requireRefusal(t, event, err, problem)
	}
	// The last two do not fit into a time.Time: refused, whatever it makes of them.
	for _, at := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		event, err := verifier.Verify([]byte(payload), fmt.Sprintf("t=%d,v1=%s", at, sign(at, payload, secret)))
		requireRefusal(t, event, err, "The delivery is")
	}

	exact, err := stripehook.New(secret, func() time.Time { return time.Unix(1_700_000_000, 0) })
	require.NoError(t, err)
	for _, shift := range []time.Duration{-300 * time.Second, 300 * time.Second} {
		_, err = exact.Verify([]byte(payload), header(time.Unix(1_700_000_000, 0).Add(shift), payload))
		require.NoError(t, err, shift)
	}
}

func TestNewRefusesWhatCannotVerify(t *testing.T) {
	t.Parallel()
	for _, secrets := range []string{"", " ", ",", secret + ",", "," + secret, secret + ", ," + successor} {
		_, err := stripehook.New(secrets, now)
		require.ErrorContains(t, err, "secret", "%q", secrets)
		require.NotContains(t, err.Error(), "whsec_")
	}
	_, err := stripehook.New(secret, nil)
	require.ErrorContains(t, err, "clock")
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(payload), header(now(), payload), true)
	f.Add([]byte(payload), header(now(), payload), false)
	f.Add([]byte(`{"id":"evt_1","type":"charge.refunded","data":{"object":{"payment_intent":{"id":"pi_1"}}}}`), "", true)
	f.Add([]byte(`{"id":"evt_1","type":"charge.succeeded","data":{"object":{"payment_intent":null}}}`), "t=1,v1=,v1", true)
	f.Add([]byte("{"), "t=,v1=00", false)
	verifier := newVerifier(f, secret)
	f.Fuzz(func(t *testing.T, payload []byte, signature string, signed bool) {
		if signed {
			signature = header(now(), string(payload))
		}
		event, err := verifier.Verify(payload, signature)
		if err != nil {
			require.Zero(t, event)
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.NotEmpty(t, event.ID)
		require.NotEmpty(t, event.Type)
		require.NotContains(t, event.ID+event.Type+event.IntentID, "\x00")
	})
}

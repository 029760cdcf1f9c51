package mailbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of delivery, in real time. Resend goes on for more than a day; a developer
// wants to see it today (https://resend.com/docs/dashboard/webhooks/retries-and-replays).
const (
	deliverTimeout = 5 * time.Second
	maxTries       = 10
	firstRetry     = time.Second
	longestRetry   = time.Minute
	maxAnswer      = 1 << 20
)

const secretPrefix = "whsec_"

// SetWebhook makes the mailbox send an event for whatever becomes of a mail from
// now on, by POST to an absolute http or https URL, signed as Svix signs for
// Resend. It returns the signing secret: the given one (whsec_ and base64), or a
// new one when secret is "". It replaces the endpoint that was set before: what
// is still to be delivered goes to the new one. A URL of "" ends all deliveries.
//
// Events come in no order, and again after every failure: any answer but 2xx
// (redirects are not followed), or none within 5 s. Retries come after 1 s,
// doubling up to 1 min, and end after 10 attempts or with Close. The stamp in the
// signature is real time, whatever Options.Now says, and so are the delays.
// Source: https://docs.svix.com/receiving/verifying-payloads/how-manual.
func (m *Mailbox) SetWebhook(endpoint, secret string) (string, error) {
	if endpoint == "" {
		return "", m.webhooks.set("", nil)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", errors.New("mailbox: the webhook's URL is not an absolute http or https URL")
	}
	if secret == "" {
		secret = newSecret()
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(key) < 24 {
		return "", errors.New("mailbox: the webhook's secret is not whsec_ and the base64 of 24 bytes or more")
	}
	if err := m.webhooks.set(endpoint, key); err != nil {
		return "", err
	}
	return secret, nil
}

func newSecret() string {
	var key [24]byte
	_, _ = rand.Read(key[:]) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// post makes one attempt and returns the answer's status, or 0 when there is none.
func (w *webhooks) post(ctx context.Context, e *event, to endpoint) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, bytes.NewReader(e.payload))
	if err != nil {
		return 0
	}
	now := time.Now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Svix-Webhooks/1.0 (sandbox)")
	r.Header.Set("Svix-Id", e.row.ID)
	r.Header.Set("Svix-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Svix-Signature", sign(to.key, e.row.ID, now, e.payload))
	res, err := w.client.Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again
	_ = res.Body.Close()
	return res.StatusCode
}

// sign is the Svix-Signature of a payload: v1,<HMAC-SHA256 of "<id>.<Unix seconds>.<payload>" in base64>.
func sign(key []byte, id string, at time.Time, payload []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), payload) // a hash takes everything
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// retryDelay is how long to wait after so many failures.
func retryDelay(failed int) time.Duration {
	return min(firstRetry<<(failed-1), longestRetry)
}

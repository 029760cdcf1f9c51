package mailbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/mailbox"
	"millrace/internal/resendhook"
)

// inbox is a webhook's consumer. answer decides what the n-th delivery (from 1) gets.
type inbox struct {
	url string

	mu       sync.Mutex
	secret   string
	events   []booking.MailEvent
	payloads []string
}

func (r *rig) listen(answer func(n int) int) *inbox {
	r.t.Helper()
	in := &inbox{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		assert.NoError(r.t, err)
		in.mu.Lock()
		defer in.mu.Unlock()
		verifier, err := resendhook.New(in.secret, time.Now)
		assert.NoError(r.t, err)
		event, err := verifier.Verify(body, q.Header)
		assert.NoError(r.t, err)
		in.events, in.payloads = append(in.events, event), append(in.payloads, string(body))
		w.WriteHeader(answer(len(in.events)))
	}))
	r.t.Cleanup(func() { assert.NoError(r.t, r.Close()); server.Close() })
	in.url = server.URL
	in.mu.Lock()
	defer in.mu.Unlock()
	var err error
	in.secret, err = r.SetWebhook(in.url, "")
	require.NoError(r.t, err)
	return in
}

// await waits for n deliveries.
func (in *inbox) await(t *testing.T, n int) []booking.MailEvent {
	t.Helper()
	require.Eventually(t, func() bool { in.mu.Lock(); defer in.mu.Unlock(); return len(in.events) >= n }, patient, tick)
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.events)
}

func ok(int) int { return http.StatusOK }

func TestTheWebhookIsToldWhatBecameOfAMail(t *testing.T) {
	t.Parallel()
	for to, want := range map[string][]string{
		"jo@example.com":               {"email.delivered", "email.sent"},
		"delivered+x@resend.dev":       {"email.delivered", "email.sent"},
		"Bounced <BOUNCED@resend.dev>": {"email.bounced", "email.sent"},
		"bounced+x@resend.dev":         {"email.bounced", "email.sent"},
		"complained+x@resend.dev":      {"email.complained", "email.delivered", "email.sent"},
		"bounced@example.com":          {"email.delivered", "email.sent"},
	} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 0)
			in := r.listen(ok)
			sent := r.do("POST", "/emails", "k", mail(t, map[string]any{"to": to, "tags": []map[string]string{{"name": "kind", "value": "x"}}}))
			r.do("POST", "/emails", "k", mail(t, map[string]any{"to": to, "tags": []map[string]string{{"name": "kind", "value": "x"}}}))
			var types []string
			for _, event := range in.await(t, len(want)) {
				types = append(types, event.Type)
				require.Equal(t, sent.ID, event.MailID)
				require.WithinDuration(t, time.Unix(1_700_000_000, 0), event.CreatedAt, time.Second)
			}
			slices.Sort(types)
			require.Equal(t, want, types)
			require.Eventually(t, func() bool {
				return !slices.ContainsFunc(r.Events(), func(e mailbox.Event) bool { return !e.Delivered })
			}, patient, tick)
			require.Len(t, r.Events(), len(want), "a replay is no second mail")
			var payload struct {
				Data struct {
					From   string            `json:"from"`
					To     []string          `json:"to"`
					Tags   map[string]string `json:"tags"`
					Bounce *struct {
						Type string `json:"type"`
					} `json:"bounce"`
				} `json:"data"`
			}
			for i, text := range in.payloads {
				payload.Data.Bounce = nil
				require.NoError(t, json.Unmarshal([]byte(text), &payload))
				require.Equal(t, []string{to}, payload.Data.To)
				require.Equal(t, map[string]string{"kind": "x"}, payload.Data.Tags)
				require.Equal(t, in.events[i].Type == "email.bounced", payload.Data.Bounce != nil)
			}
		})
	}
}

func TestADeliveryIsTriedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.Hurry(time.Millisecond)
	in := r.listen(func(n int) int {
		if n <= 6 {
			return []int{http.StatusInternalServerError, http.StatusFound, http.StatusBadRequest}[n%3]
		}
		return http.StatusNoContent
	})
	r.do("POST", "/emails", "", mail(t, nil))
	ids := map[string]bool{}
	for _, event := range in.await(t, 8) {
		ids[event.ID] = true
	}
	require.Len(t, ids, 2, "a repeated event keeps its id")
	require.Eventually(t, func() bool { e := r.Events(); return e[0].Delivered && e[1].Delivered }, patient, tick)
	require.Equal(t, 8, r.Events()[0].Attempts+r.Events()[1].Attempts)

	require.NoError(t, r.Redeliver(r.Events()[0].ID))
	require.Equal(t, r.Events()[0].ID, in.await(t, 9)[8].ID)
	require.ErrorIs(t, r.Redeliver("msg_0"), mailbox.ErrNoSuchEvent)
	_, err := r.SetWebhook("", "")
	require.NoError(t, err)
	require.ErrorIs(t, r.Redeliver(r.Events()[0].ID), mailbox.ErrNoWebhook)
}

func TestRetriesGrowApart(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Second, mailbox.RetryDelay(1))
	require.Equal(t, 4*time.Second, mailbox.RetryDelay(3))
	require.Equal(t, time.Minute, mailbox.RetryDelay(9))
}

func TestCloseEndsTheRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	in := r.listen(func(int) int { return http.StatusInternalServerError })
	r.do("POST", "/emails", "", mail(t, nil))
	in.await(t, 2)
	require.NoError(t, r.Close()) // it returns although retries wait
	require.NoError(t, r.Close())
	_, err := r.SetWebhook(in.url, "")
	require.ErrorContains(t, err, "closed")
}

func TestSetWebhookRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	for _, url := range []string{"hook", "/hook", "ftp://127.0.0.1/hook", "http://"} {
		_, err := r.SetWebhook(url, "")
		require.ErrorContains(t, err, "URL", url)
	}
	for _, secret := range []string{"whsec_", "whsec_!", "whsec_c2hvcnQ="} {
		_, err := r.SetWebhook("http://127.0.0.1/hook", secret)
		require.ErrorContains(t, err, "secret", secret)
	}
}

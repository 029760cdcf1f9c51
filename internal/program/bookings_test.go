package program_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
)

// mailSettings are a worker's variables for a mail provider at an address.
func mailSettings(base string) []string {
	settings := []string{"RESEND_API_KEY=re_x", "EMAIL_FROM=Acme <bookings@acme.example>"}
	if base != "" {
		settings = append(settings, "RESEND_API_BASE="+base)
	}
	return settings
}

// desk is an app that books.
type desk struct {
	t        *testing.T
	url, key string
}

func (d desk) do(method, path, key, body string, answer any) int {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	require.NoError(d.t, err)
	request.Header.Set("Authorization", "Bearer "+d.key)
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(d.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(d.t, err)
	require.NoError(d.t, json.Unmarshal(text, answer), string(text))
	return response.StatusCode
}

func (d desk) slots(date string) (ids []string) {
	d.t.Helper()
	var answer struct{ Slots []struct{ ID string } }
	require.Equal(d.t, http.StatusOK, d.do(http.MethodGet, "/v1/slots?timezone="+url.QueryEscape("Europe/Berlin")+"&date="+date, "", "", &answer))
	for _, slot := range answer.Slots {
		ids = append(ids, slot.ID)
	}
	return ids
}

// bookings has 200 customers want one slot through the real programs.
func bookings(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	mails := mailbox.New(mailbox.Options{})
	t.Cleanup(func() { _ = mails.Close() })
	provider := httptest.NewServer(mails)
	t.Cleanup(provider.Close)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	address := freePort(t)
	secret, err := mails.SetWebhook("http://"+address+"/webhooks/resend", "")
	require.NoError(t, err)
	launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0", "RESEND_WEBHOOK_SECRET="+secret, "RATE_LIMITS=off")
	launch(t, dir, "worker", append(mailSettings(provider.URL), "DATABASE_URL="+db.URL, "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x")...)
	require.Eventually(t, func() bool { return get(t, "http://"+address+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	app, err := client.New("http://"+address, key.Reveal(), client.Options{})
	require.NoError(t, err)
	d := desk{t, "http://" + address, key.Reveal()}

	var calendar map[string]any
	require.Equal(t, http.StatusOK, d.do(http.MethodPut, "/v1/calendar", "", `{"resource":"default","timezone":"Europe/Berlin",
		"hours":{"monday":[{"from":"00:00","to":"24:00"}],"tuesday":[{"from":"00:00","to":"24:00"}],"wednesday":[{"from":"00:00","to":"24:00"}],
		"thursday":[{"from":"00:00","to":"24:00"}],"friday":[{"from":"00:00","to":"24:00"}],"saturday":[{"from":"00:00","to":"24:00"}],"sunday":[{"from":"00:00","to":"24:00"}]},
		"slot_minutes":30,"buffer_minutes":0,"days_ahead":30,"reminder_minutes":60,"business":{"name":"Acme","email":"desk@acme.example","color":"#1a6b54"}}`, &calendar), calendar)
	date := time.Now().Add(72 * time.Hour).Format(time.DateOnly)
	free := d.slots(date)
	require.NotEmpty(t, free)
	wanted := free[3]

	type answer struct {
		Code    string
		Job     struct{ ID string }
		Booking struct {
			ID          string
			EmailStatus string `json:"email_status"`
		}
	}
	answers := make([]answer, 200)
	statuses := make([]int, len(answers))
	var customers sync.WaitGroup
	for i := range answers {
		customers.Go(func() {
			body := `{"slot_id":"` + wanted + `","name":"Customer ` + strconv.Itoa(i) + `","email":"delivered+` + strconv.Itoa(i) + `@resend.dev","timezone":"America/New_York"}`
			statuses[i] = d.do(http.MethodPost, "/v1/bookings", "racer-"+strconv.Itoa(i), body, &answers[i])
		})
	}
	customers.Wait()
	winner := -1
	for i, status := range statuses {
		if status == http.StatusAccepted {
			require.Equal(t, -1, winner, "one booking")
			winner = i
			continue
		}
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "SLOT_UNAVAILABLE", answers[i].Code)
	}
	require.GreaterOrEqual(t, winner, 0)
	booked := answers[winner].Booking.ID
	require.NotContains(t, d.slots(date), wanted)

	job, err := app.WaitJob(t.Context(), answers[winner].Job.ID)
	require.NoError(t, err)
	require.Equal(t, client.Completed, job.State, job.Failure)
	sent := mails.Mails()
	require.Len(t, sent, 1, "one mail")
	require.Equal(t, []string{"delivered+" + strconv.Itoa(winner) + "@resend.dev"}, sent[0].To)
	require.Len(t, sent[0].Attachments, 1)
	require.True(t, bytes.Contains(sent[0].Attachments[0].Content, []byte("METHOD:REQUEST")))
	var booking map[string]any
	require.Eventually(t, func() bool {
		require.Equal(t, http.StatusOK, d.do(http.MethodGet, "/v1/bookings/"+booked, "", "", &booking))
		return booking["email_status"] == "delivered"
	}, 20*time.Second, 20*time.Millisecond, "the provider's event is taken in")

	// The same key gets the same answer, though the slot is taken by now.
	var again answer
	body := `{"slot_id":"` + wanted + `","name":"Customer ` + strconv.Itoa(winner) + `","email":"delivered+` + strconv.Itoa(winner) + `@resend.dev","timezone":"America/New_York"}`
	require.Equal(t, http.StatusAccepted, d.do(http.MethodPost, "/v1/bookings", "racer-"+strconv.Itoa(winner), body, &again))
	require.Equal(t, answers[winner], again)

	// Cancelling frees the slot, tells the customer and takes the reminder back.
	require.Equal(t, http.StatusOK, d.do(http.MethodDelete, "/v1/bookings/"+booked, "", "", &booking))
	require.Equal(t, "cancelled", booking["status"])
	require.Contains(t, d.slots(date), wanted)
	require.Eventually(t, func() bool { return len(mails.Mails()) == 2 }, 20*time.Second, 20*time.Millisecond)
	cancellation := mails.Mails()[1].Attachments[0].Content
	require.True(t, bytes.Contains(cancellation, []byte("STATUS:CANCELLED")) && bytes.Contains(cancellation, []byte("METHOD:CANCEL")))
	var waiting int
	login := db.Pool(t, postgres.Login)
	require.NoError(t, login.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'booking_reminder_email' AND finalized_at IS NULL").Scan(&waiting))
	require.Zero(t, waiting, "no reminder of what is cancelled")
	require.Equal(t, http.StatusConflict, d.do(http.MethodDelete, "/v1/bookings/"+booked, "", "", &booking), "twice is a conflict")
}

package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/resendhook"
)

// open is a calendar that is open around the clock.
const open = `{"resource":"default","timezone":"Europe/Berlin","hours":{"monday":[{"from":"00:00","to":"24:00"}],
	"tuesday":[{"from":"00:00","to":"24:00"}],"wednesday":[{"from":"00:00","to":"24:00"}],"thursday":[{"from":"00:00","to":"24:00"}],
	"friday":[{"from":"00:00","to":"24:00"}],"saturday":[{"from":"00:00","to":"24:00"}],"sunday":[{"from":"00:00","to":"24:00"}]},
	"slot_minutes":60,"buffer_minutes":0,"days_ahead":30,"reminder_minutes":60,"business":{"name":"Acme","email":"desk@acme.example","color":"#1a6b54"}}`

// slot is the first free slot of a day that is three days ahead.
func (s *site) slot() (id, date string) {
	s.t.Helper()
	date = time.Now().Add(72 * time.Hour).Format(time.DateOnly)
	slots := s.slots(s.alice, date)
	require.NotEmpty(s.t, slots)
	return slots[0], date
}

func (s *site) slots(key, date string) (ids []string) {
	s.t.Helper()
	a := s.do(request{method: "GET", path: "/v1/slots?timezone=Asia/Tokyo&date=" + date, key: key})
	require.Equal(s.t, 200, a.status, a.text)
	list, _ := a.body["slots"].([]any)
	for _, item := range list {
		slot, _ := item.(map[string]any)
		id, _ := slot["id"].(string)
		ids = append(ids, id)
		require.Contains(s.t, slot["starts_at"], "+09:00", "in the zone that was asked for")
	}
	return ids
}

func (s *site) book(key, idempotencyKey, slot string) answer {
	s.t.Helper()
	return s.do(request{
		method: "POST", path: "/v1/bookings", key: key, header: map[string]string{"Idempotency-Key": idempotencyKey},
		body: `{"slot_id":"` + slot + `","name":"  Jo Doe ","email":"Jo@EXAMPLE.com","timezone":"America/New_York"}`,
	})
}

func TestOneOfManyGetsTheSlot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.Equal(t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: open}).status)
	slot, date := s.slot()
	answers := make([]answer, 200)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = s.book(s.alice, "racer-"+strconv.Itoa(i), slot) })
	}
	group.Wait()
	var won []answer
	for _, a := range answers {
		if a.status == 202 {
			won = append(won, a)
			continue
		}
		require.Equal(t, 409, a.status, a.text)
		require.Equal(t, "SLOT_UNAVAILABLE", a.code())
	}
	require.Len(t, won, 1)
	require.Equal(t, "J•••", won[0].at("booking", "name"))
	require.Equal(t, "J•••@example.com", won[0].at("booking", "email"))
	require.Equal(t, "pending", won[0].at("booking", "email_status"))
	require.NotContains(t, s.slots(s.alice, date), slot)
	for table, n := range map[string]int{"bookings": 1, "river_job": 1, "submissions": 1} {
		var rows int
		require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
		require.Equal(t, n, rows, "who lost leaves nothing in %s", table)
	}
	// Another tenant's calendar is another.
	require.Equal(t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.mallory, body: open}).status)
	require.Equal(t, 202, s.book(s.mallory, "racer-0", slot).status)
}

func TestABookingIsCancelledOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.Equal(t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: open}).status)
	slot, date := s.slot()
	first := s.book(s.alice, "k1", slot)
	require.Equal(t, 202, first.status, first.text)
	id, _ := first.at("booking", "id").(string)
	path := "/v1/bookings/" + id

	require.Equal(t, first.text, s.book(s.alice, "k1", slot).text, "the same key, the same answer, though the slot is taken")
	require.Equal(t, "SLOT_UNAVAILABLE", s.book(s.alice, "k2", slot).code())
	require.Equal(t, 404, s.do(request{method: "DELETE", path: path, key: s.mallory}).status)
	require.Equal(t, 409, s.do(request{method: "POST", path: "/v1/jobs/" + fmt.Sprint(first.at("job", "id")) + "/cancel", key: s.alice}).status,
		"nobody is left with a booking that he was not told of")

	cancelled := s.do(request{method: "DELETE", path: path, key: s.alice})
	require.Equal(t, 200, cancelled.status, cancelled.text)
	require.Equal(t, "cancelled", cancelled.body["status"])
	require.Contains(t, s.slots(s.alice, date), slot, "free at once")
	require.Equal(t, 409, s.do(request{method: "DELETE", path: path, key: s.alice}).status)
	require.Equal(t, 202, s.book(s.alice, "k3", slot).status)
	require.Equal(t, first.text, s.book(s.alice, "k1", slot).text, "a replay shows what was accepted")
	var told int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'booking_cancellation_email'").Scan(&told))
	require.Equal(t, 1, told)
	a := s.do(request{method: "GET", path: "/v1/bookings?limit=1", key: s.alice})
	list, _ := a.body["bookings"].([]any)
	require.Len(t, list, 1)
	require.NotEmpty(t, a.body["next_page_token"])
	require.Equal(t, "cancelled", s.do(request{method: "GET", path: path, key: s.alice}).body["status"])
}

func TestBookingsRefuseWhatIsNotOffered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, body := range map[string]string{
		"no slot":       `{"name":"Jo","email":"jo@example.com"}`,
		"no name":       `{"slot_id":"default.20300131T100000Z","email":"jo@example.com"}`,
		"header in it":  `{"slot_id":"default.20300131T100000Z","name":"Jo\r\nBcc: all@example.com","email":"jo@example.com"}`,
		"two addresses": `{"slot_id":"default.20300131T100000Z","name":"Jo","email":"jo@example.com,eve@example.com"}`,
		"zone":          `{"slot_id":"default.20300131T100000Z","name":"Jo","email":"jo@example.com","timezone":"Mars/Olympus"}`,
		"long notes":    `{"slot_id":"default.20300131T100000Z","name":"Jo","email":"jo@example.com","notes":"` + strings.Repeat("x", 1001) + `"}`,
	} {
		a := s.do(request{method: "POST", path: "/v1/bookings", key: s.alice, body: body})
		require.Equal(t, 400, a.status, name+": "+a.text)
		require.Equal(t, "INVALID_INPUT", a.code(), name)
	}
	for _, slot := range []string{"default.20200131T100000Z", "default.20990131T100000Z", "nonsense", "another.20300131T100000Z"} {
		a := s.book(s.alice, uuid.NewString(), slot)
		require.Contains(t, []int{400, 409}, a.status, slot)
	}
	for _, path := range []string{
		"/v1/slots", "/v1/slots?date=2030-02-31", "/v1/slots?date=2030-01-31&timezone=Local", "/v1/slots?date=2030-01-31&timezone=../etc/passwd",
	} {
		require.Equal(t, 400, s.do(request{method: "GET", path: path, key: s.alice}).status, path)
	}
	a := s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: strings.Replace(open, `"slot_minutes":60`, `"slot_minutes":7`, 1)})
	require.Equal(t, 400, a.status)
	require.Contains(t, a.text, "slot_minutes")
}

// A bounced address is suppressed, for this tenant, whatever comes later or twice.
func TestResendsEventsMoveAMailForward(t *testing.T) {
	t.Parallel()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	s := newSite(t, func(o *api.Options) {
		if verifier, err := resendhook.New(secret, time.Now); err == nil {
			o.ResendEvents = verifier
		}
	})
	require.Equal(t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: open}).status)
	slot, _ := s.slot()
	id, _ := s.book(s.alice, "k1", slot).at("booking", "id").(string)
	_, err := s.login.Exec(t.Context(), `INSERT INTO booking_mails (tenant_id, booking_id, message, provider_id, status, updated_at)
		VALUES ('alice', $1, 'confirmation', 'mail-1', 'sent', now())`, id)
	require.NoError(t, err)
	deliver := func(kind, mail string, age time.Duration, key string) int {
		body := fmt.Sprintf(`{"type":%q,"created_at":%q,"data":{"email_id":%q}}`, kind, time.Now().Add(-age).UTC().Format(time.RFC3339), mail)
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = mac.Write([]byte("msg_" + kind + "." + stamp + "." + body))
		return s.do(request{method: "POST", path: "/webhooks/resend", body: body, header: map[string]string{
			"svix-id": "msg_" + kind, "svix-timestamp": stamp, "svix-signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		}}).status
	}
	status := func() any {
		return s.do(request{method: "GET", path: "/v1/bookings/" + id, key: s.alice}).body["email_status"]
	}
	signing := strings.Repeat("s", 32)
	require.Equal(t, 400, deliver("email.bounced", "mail-1", 0, strings.Repeat("x", 32)))
	require.Equal(t, "sent", status())
	for _, step := range []struct{ kind, status string }{
		{"email.delivered", "delivered"},
		{"email.delivered", "delivered"},
		{"email.opened", "delivered"},
		{"email.bounced", "bounced"},
		{"email.delivered", "bounced"},
	} {
		require.Equal(t, 200, deliver(step.kind, "mail-1", 0, signing), step.kind)
		require.Equal(t, step.status, status(), step.kind)
	}
	require.Equal(t, 409, deliver("email.delivered", "mail-2", 0, signing), "it may not be written down yet")
	require.Equal(t, 200, deliver("email.delivered", "mail-2", time.Minute, signing), "another program's")
	for event, n := range map[string]float64{"delivered": 1, "bounced": 1, "complained": 0, "failed": 0, "suppressed": 0} {
		require.InDelta(t, n, s.counted("millrace_mail_events_total", "event", event), 0, "%s: once, and not when it changed nothing", event)
	}
	var suppressed int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM suppressed_addresses WHERE tenant_id = 'alice'").Scan(&suppressed))
	require.Equal(t, 1, suppressed)
	require.Equal(t, 503, newSite(t).do(request{method: "POST", path: "/webhooks/resend", body: "{}", header: map[string]string{
		"svix-id": "x", "svix-timestamp": "1", "svix-signature": "v1,x",
	}}).status, "no secret, no events")
}

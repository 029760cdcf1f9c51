package api_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/seal"
)

// withKeys has a site encrypt.
func withKeys(t *testing.T) func(*api.Options) {
	t.Helper()
	keys, err := seal.ParseKeys("test:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	require.NoError(t, err)
	return func(o *api.Options) { o.DB = o.DB.WithKeys(keys, time.Now) }
}

// people is submissions that say much about people, by door.
func (s *site) people() map[string]answer {
	s.t.Helper()
	require.Equal(s.t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: open}).status)
	slot, _ := s.slot()
	post := func(path, body string) answer {
		a := s.do(request{method: "POST", path: path, key: s.alice, body: body, header: map[string]string{"Idempotency-Key": "people"}})
		require.Equal(s.t, 202, a.status, a.text)
		return a
	}
	return map[string]answer{
		"payment": post("/v1/payments", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"canary.pay@example.com",
			"description":"canary description","items":[{"name":"canary item","quantity":1}],"metadata":{"order":"canary-17"}}`),
		"booking":      post("/v1/bookings", `{"slot_id":"`+slot+`","name":"Canary Bird","email":"canary.book@example.com","notes":"canary notes"}`),
		"conversation": post("/v1/conversations", `{"session_id":"s","messages":[{"role":"user","content":"the canary sings"}],"feedback":{"text":"canary feedback"}}`),
		"any kind": post("/v1/jobs", `{"kind":"payment_capture","args":{"amount":1999,"currency":"usd","payment_method":"pm_card_visa",
			"customer_email":"canary.any@example.com"}}`),
	}
}

// With keys nothing that says who somebody is, or what was said, is readable in any
// table, and answers are the same as without.
func TestWhatIsStoredOfPeopleIsNotReadable(t *testing.T) {
	t.Parallel()
	s := newSite(t, withKeys(t))
	s.people()
	tables := strings.ToLower(s.tables())
	require.Contains(t, tables, "pm_card_visa", "it is looked for where it would be")
	require.NotContains(t, tables, "canary")
	var sealed int
	require.NoError(t, s.login.QueryRow(t.Context(), `SELECT (SELECT count(sealed) FROM payments) + (SELECT count(sealed) FROM bookings) + (SELECT count(sealed) FROM conversations)`).Scan(&sealed))
	require.Equal(t, 4, sealed)
	require.NotContains(t, strings.ToLower(s.logs.String()), "canary")

	bare := newSite(t)
	bare.people()
	require.Contains(t, bare.tables(), "canary.pay@example.com", "without keys it is as before")
}

func TestAnswersMaskWhatTheySayOfPeople(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][]func(*api.Options){"encrypted": {withKeys(t)}, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, change...)
			first := s.people()
			payment, booking := first["payment"], first["booking"]
			require.Equal(t, "c•••@example.com", payment.at("payment", "customer_email"))
			require.Equal(t, "canary description", payment.at("payment", "description"), "what is paid for is shown")
			require.Equal(t, "C•••", booking.at("booking", "name"))
			require.Equal(t, "c•••@example.com", booking.at("booking", "email"))
			require.Equal(t, "•••", booking.at("booking", "notes"))
			text := first["payment"].text + first["booking"].text + first["conversation"].text + first["any kind"].text

			for path, wanted := range map[string]any{"/v1/payments": payment.at("payment", "id"), "/v1/bookings": booking.at("booking", "id")} {
				id, _ := wanted.(string)
				list, one := s.do(request{method: "GET", path: path, key: s.alice}), s.do(request{method: "GET", path: path + "/" + id, key: s.alice})
				require.Equal(t, 200, list.status, list.text)
				require.Equal(t, 200, one.status, one.text)
				require.Contains(t, list.text, "c•••@example.com")
				require.Contains(t, one.text, "c•••@example.com")
				text += list.text + one.text
			}
			replayed := s.pay(s.alice, "people", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"canary.pay@example.com",
				"description":"canary description","items":[{"name":"canary item","quantity":1}],"metadata":{"order":"canary-17"}}`)
			require.Equal(t, payment.text, replayed.text, "a replay answers the same")
			waited := s.pay(s.alice, "people", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"canary.pay@example.com",
				"description":"canary description","items":[{"name":"canary item","quantity":1}],"metadata":{"order":"canary-17"}}`, "Prefer", "wait=1")
			require.Equal(t, 202, waited.status, waited.text)
			id, _ := booking.at("booking", "id").(string)
			cancelled := s.do(request{method: "DELETE", path: "/v1/bookings/" + id, key: s.alice})
			require.Equal(t, 200, cancelled.status, cancelled.text)
			require.Equal(t, "C•••", cancelled.at("name"))
			text += waited.text + cancelled.text
			for _, canary := range []string{"canary.", "Canary", "notes\":\"c", "sings"} {
				require.NotContains(t, text, canary)
			}
		})
	}
}

func TestRevealNeedsItsScopeAndAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, withKeys(t))
	first := s.people()
	auditor := s.key("alice", apikey.JobsRead, apikey.PHIReveal)
	foreign := s.key("mallory", apikey.JobsRead, apikey.PHIReveal)
	onlyReveal := s.key("alice", apikey.PHIReveal)
	s.noted()
	for resource, want := range map[string]map[string]string{
		"payment":      {"customer_email": "canary.pay@example.com", "description": "canary description"},
		"booking":      {"name": "Canary Bird", "email": "canary.book@example.com", "notes": "canary notes"},
		"conversation": {},
	} {
		id, _ := first[resource].at(resource, "id").(string)
		get := func(key, query string) answer {
			return s.do(request{method: "GET", path: "/v1/" + resource + "s/" + id + query, key: key})
		}
		const reason = "?reveal=asked+by+Mr+John+Smith,+jo@example.com"
		a := get(auditor, reason)
		require.Equal(t, 200, a.status, a.text)
		for field, value := range want {
			require.Equal(t, value, a.at(field), resource)
		}
		if resource == "conversation" {
			require.Contains(t, a.text, "the canary sings")
			require.Contains(t, a.text, "canary feedback")
		}
		for _, masked := range []answer{get(auditor, ""), get(s.alice, ""), get(auditor, "?reveal=")} {
			require.Equal(t, 200, masked.status)
			require.NotContains(t, masked.text, "canary.")
			require.NotContains(t, masked.text, "sings")
		}
		a = get(s.alice, reason)
		require.Equal(t, 403, a.status, a.text)
		require.Equal(t, "TENANT_ACCESS_DENIED", a.code())
		require.Equal(t, "phi:reveal", a.at("details", "required_scope"))
		require.Equal(t, 403, get(onlyReveal, reason).status, "the scope comes beside the other")
		require.Equal(t, 404, get(foreign, reason).status, "not another tenant's")
		for _, wrong := range []string{"ab", "+++ab+++", strings.Repeat("x", 201), "a%00bc", "a%0Abc", "%E2%80%AEabc", "%FFabc"} {
			a = get(auditor, "?reveal="+wrong)
			require.Equal(t, 400, a.status, "%q: %s", wrong, a.text)
			require.Equal(t, "INVALID_INPUT", a.code())
			require.NotContains(t, a.text, "canary")
		}
	}
	var revealed []string
	for _, e := range s.noted() {
		if e.Action == "revealed" {
			require.Equal(t, first[e.ResourceType].at(e.ResourceType, "id"), e.ResourceID)
			revealed = append(revealed, strings.Join([]string{e.Actor, e.ResourceType, e.Outcome, e.Details["reason"], e.Details["required_scope"]}, " "))
		}
	}
	var want []string
	for _, resource := range []string{"payment", "booking", "conversation"} {
		want = append(want, actorOf(auditor)+" "+resource+" done asked by Mr [NAME_1], [EMAIL_1] ", actorOf(s.alice)+" "+resource+" refused  phi:reveal")
	}
	require.ElementsMatch(t, want, revealed)
	require.NotContains(t, s.logs.String(), "John Smith")
	require.NotContains(t, s.logs.String(), "jo@example.com")
}

// What cannot be written down is not shown.
func TestNothingIsRevealedUnaudited(t *testing.T) {
	t.Parallel()
	s := newSite(t, withKeys(t))
	first := s.people()
	auditor := s.key("alice", apikey.JobsRead, apikey.PHIReveal)
	_, err := s.login.Exec(t.Context(), "REVOKE EXECUTE ON FUNCTION millrace_audit(text, text, text, text, jsonb) FROM millrace_intake")
	require.NoError(t, err)
	for _, resource := range []string{"payment", "booking", "conversation"} {
		id, _ := first[resource].at(resource, "id").(string)
		a := s.do(request{method: "GET", path: "/v1/" + resource + "s/" + id + "?reveal=a+good+reason", key: auditor})
		require.Equal(t, 500, a.status, a.text)
		require.NotContains(t, a.text, "canary")
	}
}

func TestAReasonIsWrittenDownWithoutPersonalData(t *testing.T) {
	t.Parallel()
	reason, err := api.ReadReason("  asked by jo@example.com, SSN 219-09-9999 ")
	require.NoError(t, err)
	require.Equal(t, "asked by [EMAIL_1], SSN [SSN_1]", reason)
}

// A server without the key of a tenant that encrypts neither shows nor takes anything.
func TestAServerWithoutTheKeyFailsClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	keyed := &api.Options{DB: s.intake}
	withKeys(t)(keyed)
	_, err := keyed.DB.Seal(t.Context(), seal.Row{Tenant: "alice", Table: "payments"}, "x")
	require.NoError(t, err)
	for _, a := range []answer{
		s.pay(s.alice, "k1", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"canary"}`),
		s.talk(s.alice, "k2", chat),
	} {
		require.Equal(t, 503, a.status, a.text)
		require.Equal(t, "UNAVAILABLE", a.code())
		require.Equal(t, "ENCRYPTION_KEY_MISSING", a.at("details", "reason"))
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	require.Zero(t, s.count("submissions"))
	require.Zero(t, s.count("conversations"))
	require.Equal(t, 202, s.pay(s.alice, "k3", charge).status, "what says nothing about people needs no key")
	require.Equal(t, 202, s.talk(s.mallory, "k4", chat).status, "nor do other tenants")
}

package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/phi"
	"millrace/internal/screen"
)

func (s *site) scan(text string) answer {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"text": text})
	require.NoError(s.t, err)
	return s.do(request{method: "POST", path: "/v1/compliance/scan", key: s.alice, body: string(body)})
}

func TestTheScanDoorFindsWhatConversationsAreMaskedOf(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, text := range []string{
		"", "two tickets", "日本 🙂 Hi, I am Jane Doe, born 2/14/1956; Jane Doe, " + secret + "@example.com!", "MRN 12345678 of [NAME_1]",
		strings.Repeat("Dr. Roe saw Dr. Poe. ", 1000),
	} {
		a := s.scan(text)
		require.Equal(t, 200, a.status, a.text)
		var got screen.Scanned
		require.NoError(t, json.Unmarshal([]byte(a.text), &got))
		var masker phi.Masker
		masked, found := masker.Mask(text)
		require.Equal(t, masked, got.Masked)
		require.Equal(t, append([]phi.Finding{}, found...), got.Findings)
		sum := 0
		for _, n := range got.Categories {
			sum += n
		}
		require.Len(t, found, sum)
		require.Contains(t, a.text, `"findings":[`, "an empty list is a list")
	}
	require.NotContains(t, s.logs.String(), secret)
	require.Zero(t, s.count("submissions"))
	for name, body := range map[string]string{"no text": `{}`, "null": `{"text":null}`, "number": `{"text":7}`, "unknown": `{"text":"a","lang":"en"}`} {
		a := s.do(request{method: "POST", path: "/v1/compliance/scan", key: s.alice, body: body})
		require.Equal(t, 400, a.status, name)
	}
}

// strict makes alice's a tenant that takes no personal data; it must come before the
// first request, as servers remember tenants for a while.
func (s *site) strict() {
	s.t.Helper()
	mode := apikey.PHIStrict
	_, err := apikey.SetTenant(s.t.Context(), s.owner, "alice", apikey.TenantChange{PHI: &mode})
	require.NoError(s.t, err)
}

func TestAStrictTenantTakesNoPersonalDataInTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t, withTokens(t))
	s.strict()
	const email = secret + "@example.com"
	find := func(field string, start, end int, types ...string) []any {
		kind := "EMAIL"
		if len(types) > 0 {
			kind = types[0]
		}
		return []any{map[string]any{"field": field, "type": kind, "start": float64(start), "end": float64(end)}}
	}
	n := len(email)
	for name, c := range map[string]struct {
		door, kind, body string
		findings         []any
	}{
		"description":   {"/v1/payments", "payment_capture", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"é for ` + email + `"}`, find("description", 6, 6+n)},
		"item":          {"/v1/payments", "payment_capture", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","items":[{"name":"x","quantity":1},{"name":"` + email + `","quantity":1}]}`, find("items[1].name", 0, n)},
		"metadata":      {"/v1/payments", "payment_capture", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","metadata":{"order":"7","who":"` + email + `"}}`, find("metadata.*", 0, n)},
		"metadata key":  {"/v1/payments", "payment_capture", `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","metadata":{"` + email + `":"x"}}`, find("metadata", 0, n)},
		"notes":         {"/v1/bookings", "booking_confirmation_email", `{"slot_id":"default.20300131T093000Z","name":"Jo Doe","email":"jo@example.com","notes":"  I am Jane Doe"}`, find("notes", 7, 15, "NAME")},
		"message":       {"/v1/conversations", "conversation_scoring", `{"session_id":"s","messages":[{"role":"robot","content":"` + email + `"},{"role":"user","content":"hi"},{"role":"user","content":"I am ` + email + `"}]}`, find("messages[2].content", 5, 5+n)},
		"feedback text": {"/v1/conversations", "conversation_scoring", `{"session_id":"s","messages":[{"role":"user","content":"hi"}],"feedback":{"text":" ` + email + `"}}`, find("feedback.text", 1, 1+n)},
	} {
		generic := `{"kind":"` + c.kind + `","args":` + c.body + `}`
		for _, r := range []request{
			{path: c.door, key: s.alice, body: c.body},
			{path: "/v1/jobs", key: s.alice, body: generic},
			{path: "/v1/jobs", key: token(t, "alice", []apikey.Scope{apikey.JobsWrite}, nil), body: generic},
		} {
			r.method, r.header = "POST", map[string]string{"Idempotency-Key": "k"}
			a := s.do(r)
			require.Equal(t, 422, a.status, "%s at %s: %s", name, r.path, a.text)
			require.Equal(t, "PHI_DETECTED", a.code(), name)
			require.Equal(t, c.findings, a.at("details", "findings"), name)
			require.NotContains(t, a.text, secret)
		}
		// Another tenant's are masked, or taken as they are.
		other := s.do(request{method: "POST", path: c.door, key: s.mallory, body: c.body, header: map[string]string{"Idempotency-Key": name[:1] + name[len(name)-1:]}})
		require.NotEqual(t, 422, other.status, "%s: %s", name, other.text)
	}
	var alices int
	for _, table := range []string{"submissions", "payments", "bookings", "conversations"} {
		require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE tenant_id = 'alice'").Scan(&alices))
		require.Zero(t, alices, table)
	}
	require.NotContains(t, s.logs.String(), secret)

	// What is meant to be personal is taken, and what is not.
	for path, body := range map[string]string{
		"/v1/payments":      `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"` + email + `","description":"Two tickets","metadata":{"order":"4711"}}`,
		"/v1/conversations": `{"session_id":"s","messages":[{"role":"user","content":"Where is my parcel?"}]}`,
	} {
		a := s.do(request{method: "POST", path: path, key: s.alice, body: body, header: map[string]string{"Idempotency-Key": "fine"}})
		require.Equal(t, 202, a.status, a.text)
	}
	// What is wrong anyway is told first.
	a := s.pay(s.alice, "k", `{"amount":-1,"description":"`+email+`"}`)
	require.Equal(t, 400, a.status)
}

func TestAStrictTenantsTagsAreNoPersons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.strict()
	key := s.key("alice", apikey.MetricsWrite)
	send := func(value string) answer {
		return s.do(request{method: "POST", path: "/v1/metrics", key: key, body: `{"points":[{"name":"a","value":1},{"name":"a","value":1,"tags":{"who":"` + value + `"}},{"name":"b","value":1,"tags":{"who":"` + value + `"}}]}`})
	}
	for _, value := range []string{secret + "@example.com", "415-555-2671", "123-45-6789"} {
		a := send(value)
		require.Equal(t, 422, a.status, value)
		findings, _ := a.at("details", "findings").([]any)
		require.Len(t, findings, 1, "each value once")
		require.Equal(t, "points[1].tags", findings[0].(map[string]any)["field"]) //nolint:errcheck,forcetypeassert // a panic fails the test
		require.NotContains(t, a.text, secret)
	}
	require.Zero(t, s.count("metric_chunks"))
	for _, value := range []string{"eu-west-1", "10.0.0.1", "v1.2.3", "pod-7f9c8d-xk2p", "https://shop.example.com/cart", "2026-01-31", "Berlin"} {
		require.Equal(t, 202, send(value).status, value)
	}
}

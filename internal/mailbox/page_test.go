package mailbox_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const invitation = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\n" +
	"END:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:b1@millrace\r\nDTSTART;TZID=Europe/Berlin:20261130T143000\r\n" +
	"DTEND:20261130T140000Z\r\nSUMMARY:Check-up\\, room 4 of a hou\r\n se\r\nSTATUS:CANCELLED\r\nSEQUENCE:2\r\n" +
	"ORGANIZER;CN=\"Acme: desk\":MAILTO:desk@acme.example.com\r\nBEGIN:VALARM\r\nDESCRIPTION:no\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func withInvitation(t *testing.T, changes map[string]any) string {
	t.Helper()
	all := map[string]any{
		"text":        "Plain words",
		"attachments": []map[string]any{{"filename": "invite.ics", "content": []byte(invitation), "content_type": "text/calendar; method=REQUEST; charset=utf-8"}},
	}
	maps.Copy(all, changes)
	return mail(t, all)
}

func TestThePagesShowAMail(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	require.Contains(t, r.do("GET", "/", "", "").text, "No mail yet")
	r.do("POST", "/emails", "", mail(t, map[string]any{"subject": "The older one"}))
	sent := r.do("POST", "/emails", "k1", withInvitation(t, map[string]any{"subject": "The newer one", "tags": []map[string]string{{"name": "kind", "value": "confirmation"}}}))

	list := r.do("GET", "/", "", "")
	require.Equal(t, http.StatusOK, list.status)
	require.Less(t, strings.Index(list.text, "The newer one"), strings.Index(list.text, "The older one"))
	for _, shown := range []string{"jo@example.com", "kind: confirmation", "no webhook", "delivered", "calendar: REQUEST", "14 Nov 2023"} {
		require.Contains(t, list.text, shown)
	}

	page := r.do("GET", "/mails/"+sent.ID, "", "")
	require.Contains(t, page.text, `<iframe sandbox src="/mails/`+sent.ID+`/html"`)
	require.Contains(t, page.text, "k1")
	require.Contains(t, r.do("GET", "/mails/"+sent.ID+"?view=text", "", "").text, "<pre>Plain words</pre>")
	entry := r.do("GET", "/mails/"+sent.ID+"?view=calendar", "", "").text
	for _, shown := range []string{
		"<dd>Check-up, room 4 of a house</dd>", "Mon 30 November 2026, 14:30 (Europe/Berlin)", "Mon 30 November 2026, 14:00 UTC",
		">CANCELLED<", "<dd>REQUEST</dd>", "Acme: desk &lt;desk@acme.example.com&gt;", "<dd>b1@millrace</dd>", "<dd>2</dd>", "BEGIN:VEVENT",
	} {
		require.Contains(t, entry, shown)
	}
	file := r.do("GET", "/mails/"+sent.ID+"/attachments/0", "", "")
	require.Equal(t, invitation, file.text)
	require.Equal(t, "attachment; filename=invite.ics", file.header.Get("Content-Disposition"))
	require.Contains(t, file.header.Get("Content-Type"), "text/calendar")
	for _, missing := range []string{"/mails/x", "/mails/x/html", "/mails/" + sent.ID + "/attachments/1", "/mails/" + sent.ID + "/attachments/-1"} {
		require.Equal(t, http.StatusNotFound, r.do("GET", missing, "", "").status, missing)
	}
	require.Len(t, r.Requests(), 2, "a person's are not counted")
}

func TestAHostileMailIsShownAndDoesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	sent := r.do("POST", "/emails", "k"+evil, withInvitation(t, map[string]any{
		"subject": evil, "from": `"` + "<b>x" + `" <desk@acme.example.com>`, "text": evil, "html": evil,
		"attachments": []map[string]any{{
			"filename": evil + ".ics", "content_type": "text/html\"><script>",
			"content": []byte(strings.ReplaceAll(invitation, "Check-up", evil)),
		}},
	}))
	require.Equal(t, http.StatusOK, sent.status)
	for _, path := range []string{"/", "/mails/" + sent.ID, "/mails/" + sent.ID + "?view=text", "/mails/" + sent.ID + "?view=calendar", "/mails/" + sent.ID + "?view=" + "%22%3E%3Cscript%3E"} {
		page := r.do("GET", path, "", "")
		require.Equal(t, http.StatusOK, page.status)
		require.NotContains(t, page.text, "<script", path)
		require.NotContains(t, page.text, "<img", path)
		require.NotContains(t, page.text, "<b>", path)
		require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'", path)
	}
	framed := r.do("GET", "/mails/"+sent.ID+"/html", "", "")
	require.Equal(t, evil, framed.text)
	policy := framed.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "img-src data:;")
	require.Contains(t, policy, "sandbox")
	require.NotContains(t, policy, "script")
	file := r.do("GET", "/mails/"+sent.ID+"/attachments/0", "", "")
	require.Equal(t, "application/octet-stream", file.header.Get("Content-Type"))
	require.Equal(t, "nosniff", file.header.Get("X-Content-Type-Options"))
	require.Contains(t, file.header.Get("Content-Disposition"), "attachment;")
}

func TestPagesAnswerThisMachineOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	for name, c := range map[string]struct {
		method, from, host, site string
		status                   int
	}{
		"loopback":            {"GET", "127.0.0.1:1", "127.0.0.1:8026", "", http.StatusOK},
		"loopback, 6":         {"GET", "[::1]:1", "[::1]:8026", "", http.StatusOK},
		"by name":             {"GET", "127.0.0.1:1", "localhost", "", http.StatusOK},
		"from elsewhere":      {"GET", "192.0.2.1:1", "localhost", "", http.StatusForbidden},
		"a name that rebinds": {"GET", "127.0.0.1:1", "evil.example.com", "", http.StatusForbidden},
		"another site's form": {"DELETE", "127.0.0.1:1", "localhost", "cross-site", http.StatusForbidden},
		"our own":             {"DELETE", "127.0.0.1:1", "localhost", "same-origin", http.StatusNoContent},
	} {
		for _, path := range []string{"/", "/_sandbox/mails", "/_sandbox/faults"} {
			if c.method == "DELETE" {
				path = "/_sandbox/faults"
			}
			request := httptest.NewRequestWithContext(t.Context(), c.method, path, http.NoBody)
			request.RemoteAddr, request.Host = c.from, c.host
			request.Header.Set("Sec-Fetch-Site", c.site)
			answered := httptest.NewRecorder()
			r.ServeHTTP(answered, request)
			require.Equal(t, c.status, answered.Code, name)
		}
	}
}

func TestDrillsGoOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	require.Equal(t, http.StatusOK, r.do("POST", "/_sandbox/faults", "", `[{"kind":"http_503","count":1}]`).status)
	require.Equal(t, http.StatusBadRequest, r.do("POST", "/_sandbox/faults", "", `[{"kind":"boom"}]`).status)
	require.Equal(t, http.StatusBadRequest, r.do("POST", "/_sandbox/faults", "", `[{"kynd":"http_503"}]`).status)
	require.Contains(t, r.do("GET", "/_sandbox/faults", "", "").text, `"kind":"http_503"`)
	require.Equal(t, http.StatusServiceUnavailable, r.do("POST", "/emails", "k", mail(t, nil)).status)
	require.Equal(t, http.StatusNoContent, r.do("DELETE", "/_sandbox/faults", "", "").status)
	require.Empty(t, r.Faults())
	sent := r.do("POST", "/emails", "k", mail(t, nil))
	require.Contains(t, r.do("GET", "/_sandbox/mails?key=k&to=jo", "", "").text, sent.ID)
	require.NotContains(t, r.do("GET", "/_sandbox/mails?key=l", "", "").text, sent.ID)
	require.Contains(t, r.do("GET", "/_sandbox/requests", "", "").text, `"total":2`)
	require.Contains(t, r.do("GET", "/_sandbox/events", "", "").text, `{"events":[]}`)
	require.Equal(t, http.StatusNotFound, r.do("POST", "/_sandbox/events/msg_1/redeliver", "", "").status)
}

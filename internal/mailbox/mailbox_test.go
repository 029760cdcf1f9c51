package mailbox_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/mailbox"
)

const (
	patient = 10 * time.Second
	tick    = 5 * time.Millisecond
)

// rig is a mailbox that listens, with a clock.
type rig struct {
	*mailbox.Mailbox

	t    *testing.T
	url  string
	unix atomic.Int64
}

func newRig(t *testing.T, limit int) *rig {
	t.Helper()
	r := &rig{t: t}
	r.unix.Store(1_700_000_000)
	r.Mailbox = mailbox.New(mailbox.Options{Limit: limit, Now: func() time.Time { return time.Unix(r.unix.Load(), 0).UTC() }})
	server := httptest.NewServer(r.Mailbox)
	t.Cleanup(func() { require.NoError(t, r.Close()); server.Close() })
	r.url = server.URL
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string

	ID      string `json:"id"`
	Status  int    `json:"statusCode"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// do makes a request; key names the idempotency key, or none.
func (r *rig) do(method, path, key, body string, change ...func(*http.Request)) answer {
	r.t.Helper()
	a, err := r.try(method, path, key, body, change...)
	require.NoError(r.t, err)
	return a
}

func (r *rig) try(method, path, key, body string, change ...func(*http.Request)) (a answer, err error) {
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	request.Close = true // a reset of a connection that was used before would be retried unseen
	request.Header.Set("Authorization", "Bearer re_test")
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	for _, c := range change {
		c(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	a.status, a.header, a.text = response.StatusCode, response.Header, string(text)
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(text, &a) // what is cut short stays empty
	}
	return a, err
}

// mail is a valid body with changes; a nil takes a field away.
func mail(t *testing.T, changes map[string]any) string {
	t.Helper()
	fields := map[string]any{"from": "Acme <desk@acme.example.com>", "to": "jo@example.com", "subject": "Hello", "html": "<p>Hi</p>"}
	maps.Copy(fields, changes)
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}

func TestAMailIsKeptAndFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	sent := r.do("POST", "/emails", "k", mail(t, map[string]any{
		"to": []string{"jo@example.com", "Ann <ann@example.com>"}, "text": "Hi", "reply_to": "re@acme.example.com",
		"tags":        []map[string]string{{"name": "kind", "value": "test"}},
		"attachments": []map[string]any{{"filename": "a.ics", "content": []int{72, 105}}, {"filename": "b.bin", "content": "SGk=", "content_type": "x/y"}},
	}))
	require.Equal(t, http.StatusOK, sent.status)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, sent.ID)
	mails := r.Mails()
	require.Len(t, mails, 1)
	require.Equal(t, []byte("Hi"), mails[0].Attachments[0].Content)
	require.Equal(t, mailbox.Attachment{Filename: "b.bin", ContentType: "x/y", Content: []byte("Hi")}, mails[0].Attachments[1])
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), mails[0].AcceptedAt)
	require.Equal(t, map[string]string{"kind": "test"}, mails[0].Tags)
	require.Equal(t, "k", mails[0].Key)

	found := r.do("GET", "/emails/"+sent.ID, "", "")
	require.Equal(t, http.StatusOK, found.status)
	require.Contains(t, found.text, `"last_event":"delivered"`)
	require.Equal(t, "not_found", r.do("GET", "/emails/"+sent.ID+"0", "", "").Name)
	require.Equal(t, "not_found", r.do("POST", "/emails/batch", "", "").Name)
	require.Len(t, r.Requests(), 3)
	require.Equal(t, "k", r.Requests()[0].Key)

	mails[0].Tags["kind"], mails[0].To[0] = "changed", "changed"
	require.Equal(t, "test", r.Mails()[0].Tags["kind"], "a copy was handed out")
	require.Equal(t, "jo@example.com", r.Mails()[0].To[0])
}

func TestTheNewestThousandAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	first := r.do("POST", "/emails", "", mail(t, nil))
	var last answer
	for range 1_000 {
		last = r.do("POST", "/emails", "", mail(t, nil))
	}
	require.Len(t, r.Mails(), 1_000)
	require.Equal(t, last.ID, r.Mails()[999].ID)
	_, ok := r.Find(first.ID)
	require.False(t, ok)
}

func TestItRefusesAsResendDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	many := make([]string, 51)
	for i := range many {
		many[i] = "jo@example.com"
	}
	for name, c := range map[string]struct {
		changes map[string]any
		problem string
		says    string
	}{
		"no from":             {map[string]any{"from": nil}, "missing_required_field", "`from`"},
		"no to":               {map[string]any{"to": nil}, "missing_required_field", "`to`"},
		"empty to":            {map[string]any{"to": []string{}}, "missing_required_field", "`to`"},
		"no subject":          {map[string]any{"subject": nil}, "missing_required_field", "`subject`"},
		"no body":             {map[string]any{"html": nil}, "missing_required_field", "`html` or `text`"},
		"from is no address":  {map[string]any{"from": "desk"}, "invalid_from_address", "`from`"},
		"to is no address":    {map[string]any{"to": "jo@"}, "validation_error", "`to`"},
		"to has no domain":    {map[string]any{"to": "jo@localhost"}, "validation_error", "`to`"},
		"one of to":           {map[string]any{"to": []string{"jo@example.com", "jo"}}, "validation_error", "`to`"},
		"to with a line":      {map[string]any{"to": "jo@example.com\r\nBcc: x@example.com"}, "validation_error", "`to`"},
		"51 recipients":       {map[string]any{"to": many}, "validation_error", "`to`"},
		"51 cc":               {map[string]any{"cc": many}, "validation_error", "`cc`"},
		"reply-to":            {map[string]any{"reply_to": "nobody"}, "validation_error", "`reply_to`"},
		"subject with a line": {map[string]any{"subject": "Hi\nBcc: x@example.com"}, "validation_error", "`subject`"},
		"header with a line":  {map[string]any{"headers": map[string]string{"X-A": "a\r\nBcc: x"}}, "validation_error", "`headers`"},
		"tag with a space":    {map[string]any{"tags": []map[string]string{{"name": "a", "value": "b c"}}}, "validation_error", "Tags"},
		"tag that is long":    {map[string]any{"tags": []map[string]string{{"name": "a", "value": strings.Repeat("b", 257)}}}, "validation_error", "Tags"},
		"tag without a name":  {map[string]any{"tags": []map[string]string{{"value": "b"}}}, "validation_error", "Tags"},
		"empty attachment":    {map[string]any{"attachments": []map[string]string{{"filename": "a"}}}, "invalid_attachment", "`content`"},
	} {
		got := r.do("POST", "/emails", "k", mail(t, c.changes))
		require.Equal(t, http.StatusUnprocessableEntity, got.status, name)
		require.Equal(t, http.StatusUnprocessableEntity, got.Status, name)
		require.Equal(t, c.problem, got.Name, name)
		require.Contains(t, got.Message, c.says, name)
	}
	require.Equal(t, "validation_error", r.do("POST", "/emails", "", "{").Name)
	require.Equal(t, http.StatusBadRequest, r.do("POST", "/emails", "", mail(t, map[string]any{"attachments": []map[string]any{{"content": []int{256}}}})).status)
	require.Equal(t, "invalid_idempotency_key", r.do("POST", "/emails", strings.Repeat("k", 257), mail(t, nil)).Name)
	bearer := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	require.Equal(t, "missing_api_key", r.do("POST", "/emails", "", mail(t, nil), bearer("")).Name)
	require.Equal(t, "invalid_api_key", r.do("POST", "/emails", "", mail(t, nil), bearer("Bearer sk_test")).Name)
	require.Empty(t, r.Mails())
	// 50 are none too many, and a refusal stored nothing under the key.
	require.Equal(t, http.StatusOK, r.do("POST", "/emails", "k", mail(t, map[string]any{"to": many[:50]})).status)
}

func TestAKeyIsOneMailForADay(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	first := r.do("POST", "/emails", "k", mail(t, nil))
	again := r.do("POST", "/emails", "k", mail(t, nil))
	require.Equal(t, first.ID, again.ID)
	other := r.do("POST", "/emails", "k", mail(t, map[string]any{"subject": "Other"}))
	require.Equal(t, http.StatusConflict, other.status)
	require.Equal(t, "invalid_idempotent_request", other.Name)
	require.NotEqual(t, first.ID, r.do("POST", "/emails", "l", mail(t, nil)).ID)
	require.NotEqual(t, first.ID, r.do("POST", "/emails", "", mail(t, nil)).ID)
	require.Len(t, r.Mails(), 3)
	r.unix.Add(24*3600 - 1)
	require.Equal(t, first.ID, r.do("POST", "/emails", "k", mail(t, nil)).ID)
	r.unix.Add(1)
	require.NotEqual(t, first.ID, r.do("POST", "/emails", "k", mail(t, nil)).ID)
	require.Len(t, r.Mails(), 4)
}

func TestRacersWithOneKeySendOneMail(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	require.NoError(t, r.Inject(mailbox.Fault{Kind: mailbox.FaultSlow, Count: 1, DelayMS: 200}))
	body := mail(t, nil)
	var running sync.WaitGroup
	var refused, accepted atomic.Int32
	for range 20 {
		running.Go(func() {
			switch got, err := r.try("POST", "/emails", "k", body); {
			case err == nil && got.status == http.StatusOK:
				accepted.Add(1)
			case got.Name == "concurrent_idempotent_requests" && got.status == http.StatusConflict:
				refused.Add(1)
			}
		})
	}
	running.Wait()
	require.Len(t, r.Mails(), 1)
	require.Equal(t, int32(20), accepted.Load()+refused.Load())
	require.Positive(t, refused.Load())
}

func TestTheLimitIsOfOneSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	for range 2 {
		require.Equal(t, http.StatusOK, r.do("POST", "/emails", "", mail(t, nil)).status)
	}
	over := r.do("POST", "/emails", "", mail(t, nil))
	require.Equal(t, http.StatusTooManyRequests, over.status)
	require.Equal(t, "rate_limit_exceeded", over.Name)
	require.Equal(t, "1", over.header.Get("Retry-After"))
	r.unix.Add(1)
	require.Equal(t, http.StatusOK, r.do("POST", "/emails", "", mail(t, nil)).status)
	require.Len(t, r.Mails(), 3)
}

func TestFaultsStrikeAsTold(t *testing.T) {
	t.Parallel()
	after := map[mailbox.FaultKind]bool{
		mailbox.FaultTimeoutAfter: true, mailbox.FaultResetAfter: true, mailbox.FaultTruncated200: true, mailbox.FaultSlow: true,
	}
	statuses := map[mailbox.FaultKind]int{ // 0: no answer
		mailbox.FaultRateLimit: 429, mailbox.FaultDailyQuota: 429, mailbox.FaultMonthlyQuota: 429, mailbox.FaultHTTP500: 500,
		mailbox.FaultHTTP503: 503, mailbox.FaultHTML502: 502, mailbox.FaultConcurrent: 409, mailbox.FaultMismatch: 409,
		mailbox.FaultInvalid: 422, mailbox.FaultRefused: 422, mailbox.FaultForbidden: 403, mailbox.FaultTruncated200: 200, mailbox.FaultSlow: 200,
	}
	for _, kind := range mailbox.FaultKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 0)
			require.NoError(t, r.Inject(mailbox.Fault{Kind: kind, Count: 1, To: "jo@"}))
			require.Equal(t, http.StatusOK, r.do("POST", "/emails", "", mail(t, map[string]any{"to": "ann@example.com"})).status)
			struck := make(chan answer, 1)
			failed := make(chan error, 1)
			body := mail(t, nil)
			go func() {
				got, err := r.try("POST", "/emails", "k", body)
				struck <- got
				failed <- err
			}()
			if strings.HasPrefix(string(kind), "timeout") {
				require.Eventually(t, func() bool { return len(r.Requests()) == 2 && (!after[kind] || len(r.Mails()) == 2) }, patient, tick)
				require.NoError(t, r.Close()) // it would hang for ever
			}
			require.Equal(t, statuses[kind], (<-struck).status)
			require.Equal(t, statuses[kind] == 0, <-failed != nil)
			require.Equal(t, after[kind], len(r.Mails()) == 2)
			require.Equal(t, kind, r.Requests()[1].Fault)
			require.Equal(t, 1, r.Faults()[0].Hits)
			// The rule is spent, and the mail comes once.
			require.Equal(t, http.StatusOK, r.do("POST", "/emails", "k", body).status)
			require.Len(t, r.Mails(), 2)
		})
	}
}

func TestInjectRefusesWhatMeansNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	for _, f := range []mailbox.Fault{
		{},
		{Kind: "boom"},
		{Kind: mailbox.FaultSlow, Count: -1},
		{Kind: mailbox.FaultSlow, DelayMS: -1},
		{Kind: mailbox.FaultSlow, Accepted: true},
		{Kind: mailbox.FaultHTTP500, RetryAfter: 1},
	} {
		require.Error(t, r.Inject(mailbox.Fault{Kind: mailbox.FaultSlow}, f), "%+v", f)
	}
	require.Empty(t, r.Faults())
}

package security_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
)

// attack is how one route is attacked. A route without a row fails the suite.
type attack struct {
	// id is the resource whose id the path takes; "" when it takes none.
	id string
	// query is what the route needs beside; %s is a word of the victim's.
	query string
	// shows says that the victim gets to see its own data here: the attack is
	// worth something only where there is something to see.
	shows bool
	// body is a valid one, for routes that take one. Tenants are smuggled into it.
	body string
	// open says why the route wants no key.
	open string
}

func attacks() map[string]attack {
	now := time.Now().UTC()
	hours := fmt.Sprintf(`{"from":%q,"to":%q}`, now.Add(-time.Hour).Truncate(time.Hour).Format(time.RFC3339), now.Add(time.Hour).Truncate(time.Hour).Format(time.RFC3339))
	from, to := now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)
	return map[string]attack{
		"GET /healthz":                {open: "says that the process lives, and nothing else"},
		"GET /readyz":                 {open: "says that it can serve, and nothing else"},
		"POST /webhooks/stripe":       {open: "signed by Stripe; see TestWebhooksChangeNothingUnlessTheyAreTheProviders"},
		"POST /webhooks/resend":       {open: "signed by Resend; see the same test"},
		"GET /v1/payments":            {shows: true},
		"GET /v1/payments/{id}":       {id: "payment", shows: true},
		"POST /v1/payments":           {body: `{"amount":500,"currency":"usd","payment_method":"pm_card_visa"}`},
		"GET /v1/bookings":            {shows: true},
		"GET /v1/bookings/{id}":       {id: "booking", shows: true},
		"DELETE /v1/bookings/{id}":    {id: "booking"},
		"POST /v1/bookings":           {body: fmt.Sprintf(`{"slot_id":%q,"name":"Jo Doe","email":"delivered@resend.dev"}`, slotAt(15))},
		"GET /v1/slots":               {query: query("date", bookableDay().Format(time.DateOnly))},
		"GET /v1/calendar":            {shows: true},
		"PUT /v1/calendar":            {body: everyDay("default", "mallory")},
		"GET /v1/conversations/{id}":  {id: "conversation", shows: true},
		"POST /v1/conversations":      {body: `{"session_id":"s-1","messages":[{"role":"user","content":"Where is it?"}]}`},
		"GET /v1/scores":              {shows: true},
		"GET /v1/scores/{id}":         {id: "score", shows: true},
		"GET /v1/scores/distribution": {query: query("from", now.Format(time.DateOnly), "to", now.Format(time.DateOnly))},
		"POST /v1/scores/rescorings":  {body: hours},
		"GET /v1/metrics":             {query: query("name", "%s.latency", "from", from, "to", to)},
		"POST /v1/metrics":            {body: `{"points":[{"name":"shared.latency","value":1}]}`},
		"GET /v1/metrics/latest":      {query: query("name", "shared.latency"), shows: true},
		"GET /v1/metrics/top":         {query: query("name", "shared.latency", "from", from, "to", to), shows: true},
		"GET /v1/metrics/names":       {shows: true},
		"GET /v1/metrics/tags":        {query: query("name", "shared.latency"), shows: true},
		"POST /v1/metrics/rollups":    {body: hours},
		"POST /v1/compliance/scan":    {body: `{"text":"Where is it?"}`},
		"POST /v1/jobs":               {body: `{"kind":"payment_capture","args":{"amount":500,"currency":"usd","payment_method":"pm_card_visa"}}`},
		"GET /v1/jobs":                {shows: true},
		"GET /v1/jobs/{id}":           {id: "job", shows: true},
		"POST /v1/jobs/{id}/cancel":   {id: "waiting job"},
		"POST /v1/jobs/{id}/retry":    {id: "job"},
	}
}

func (a attack) path(r route, id, word string) string {
	path := strings.Replace(r.path, "{id}", id, 1)
	if a.query != "" {
		path += strings.ReplaceAll(a.query, "%25s", word)
	}
	return path
}

// never returns an id of the same form that nothing ever had.
func never(id string) string {
	if _, err := strconv.ParseInt(id, 10, 64); err == nil {
		return strconv.Itoa(1 << 40)
	}
	return uuid.Must(uuid.NewV7()).String()
}

// The attack: alice and mallory are tenants of one Millrace, and mallory tries
// everything that HTTP offers to see, change or notice what alice has.
func TestOneTenantCannotReachAnother(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	stop() // what follows is done by nobody but the attacker
	before := alice.snapshot()
	require.Contains(t, before, alice.mark)

	rows, routes := attacks(), s.routes()
	for _, r := range routes {
		require.Contains(t, rows, r.String(), "a new route: say in attacks() how it is to be attacked")
	}
	require.Len(t, rows, len(routes), "attacks() names a route that is gone")

	for _, r := range routes {
		a := rows[r.String()]
		require.Equal(t, !r.secured, a.open != "", "%s is open to anybody without a reason", r)
		require.Equal(t, strings.Contains(r.path, "{"), a.id != "", r)
		require.Equal(t, r.body && r.secured, a.body != "", r)
		if a.shows {
			shown := alice.ask(r.method, a.path(r, alice.ids[a.id], alice.mark))
			require.Equal(t, http.StatusOK, shown.status, "%s: %s", r, shown.text)
			require.NotEmpty(t, alice.in(shown.text), "%s shows alice nothing of her own", r)
		}
	}
	t.Run("attacks", func(t *testing.T) { // which is over when all of them are
		for _, r := range routes {
			a := rows[r.String()]
			t.Run("ids of "+r.String(), func(t *testing.T) { t.Parallel(); ids(t, alice, mallory, r, a) })
			t.Run("lists of "+r.String(), func(t *testing.T) { t.Parallel(); lists(t, alice, mallory, r, a) })
			t.Run("keys of "+r.String(), func(t *testing.T) { t.Parallel(); keys(t, alice, mallory, r, a) })
			t.Run("tenants smuggled into "+r.String(), func(t *testing.T) { t.Parallel(); smuggled(t, alice, mallory, r, a) })
		}
		t.Run("page tokens", func(t *testing.T) { t.Parallel(); pageTokens(t, alice, mallory) })
		t.Run("idempotency keys", func(t *testing.T) { t.Parallel(); idempotencyKeys(t, alice, mallory) })
		t.Run("slots", func(t *testing.T) { t.Parallel(); slots(t, alice, mallory) })
		t.Run("metrics", func(t *testing.T) { t.Parallel(); metrics(t, alice, mallory) })
	})
	require.Equal(t, before, alice.snapshot(), "mallory changed something of alice's")

	// And what mallory has left behind does alice no harm when it is worked.
	s.work("")
	s.settle()
	require.Equal(t, before, alice.snapshot(), "mallory's jobs changed something of alice's")
}

// seen is an answer without what differs from request to request.
func seen(a answer) string {
	header := maps.Clone(a.header)
	for _, name := range []string{"Date", "X-Request-Id"} {
		header.Del(name)
	}
	body := strings.ReplaceAll(a.text, a.at("request_id"), "")
	text, _ := json.Marshal(header)
	return fmt.Sprint(a.status, string(text), body)
}

// ids: another tenant's id is the same answer as one that never was, byte by byte.
func ids(t *testing.T, alice, mallory *tenant, r route, a attack) {
	t.Helper()
	if a.id == "" {
		t.Skip("takes no id")
	}
	theirs := alice.ids[a.id]
	none := mallory.ask(r.method, a.path(r, never(theirs), ""))
	require.Equal(t, http.StatusNotFound, none.status, none.text)
	require.Equal(t, "NOT_FOUND", none.at("code"))
	got := mallory.ask(r.method, a.path(r, theirs, ""))
	require.Equal(t, seen(none), seen(got))
	for _, variant := range []string{
		strings.ToUpper(theirs), "urn:uuid:" + theirs, "{" + theirs + "}", strings.ReplaceAll(theirs, "-", ""), "+" + theirs, "0" + theirs, theirs + "%00", theirs + "%20",
		theirs + "'--", theirs + "%2F..%2F" + mallory.ids[a.id], mallory.ids[a.id] + "%2F..%2F" + theirs, "..%2F" + theirs,
	} {
		got := mallory.ask(r.method, a.path(r, variant, ""))
		require.GreaterOrEqual(t, got.status, 400, "%s: %s", variant, got.text)
		require.Empty(t, alice.in(got.text), variant)
	}
	if slices.Contains(r.params, "reveal") {
		reveals(t, alice, mallory, r, a)
	}
	for _, name := range []string{"/", "//"} { // other spellings of the address
		got := mallory.ask(r.method, strings.Replace(a.path(r, theirs, ""), "/v1/", "/v1"+name+"/", 1))
		require.GreaterOrEqual(t, got.status, 300, got.text)
		require.Empty(t, alice.in(got.text))
	}
}

const revealing = "?reveal=the+attacker+asks"

// reveals: to ask for what is masked of another's shows no more, neither in the
// answer nor in what is written down of it, and without the scope it shows nothing of
// one's own.
func reveals(t *testing.T, alice, mallory *tenant, r route, a attack) {
	t.Helper()
	theirs, nobodys := alice.ids[a.id], never(alice.ids[a.id])
	none := mallory.ask(r.method, a.path(r, nobodys, "")+revealing)
	require.Equal(t, http.StatusNotFound, none.status, none.text)
	require.Equal(t, seen(none), seen(mallory.ask(r.method, a.path(r, theirs, "")+revealing)))

	blind := mallory.system.key(mallory.name, slices.DeleteFunc(apikey.Scopes(), func(scope apikey.Scope) bool { return scope == apikey.PHIReveal })...)
	ask := func(id string) answer {
		return mallory.do(request{method: r.method, path: a.path(r, id, "") + revealing, key: blind})
	}
	refused := ask(nobodys)
	require.Equal(t, http.StatusForbidden, refused.status, refused.text)
	require.Equal(t, string(apikey.PHIReveal), refused.at("details", "required_scope"))
	require.Equal(t, seen(refused), seen(ask(theirs)))
	require.Equal(t, seen(refused), seen(ask(mallory.ids[a.id])))

	written := func(id string) []string {
		return collect[string](t, alice.system, `
			SELECT tenant_id || ' ' || action || ' ' || resource_type || ' ' || outcome || ' ' || details::text FROM audit_pending WHERE resource_id = $1 AND tenant_id <> 'alice'
			UNION ALL
			SELECT tenant_id || ' ' || action || ' ' || resource_type || ' ' || outcome || ' ' || details::text FROM audit_log WHERE resource_id = $1 AND tenant_id <> 'alice'
			ORDER BY 1`, id)
	}
	require.NotEmpty(t, written(nobodys))
	require.Equal(t, written(nobodys), written(theirs))
}

// lists: nothing of alice's is in what mallory reads, whatever the parameters say.
func lists(t *testing.T, alice, mallory *tenant, r route, a attack) {
	t.Helper()
	if r.method != http.MethodGet || a.id != "" {
		t.Skip("no list")
	}
	path := a.path(r, "", alice.mark)
	require.Empty(t, alice.in(mallory.ask(r.method, path).text))
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for _, name := range []string{"tenant", "tenant_id", "TENANT_ID", "tenantId", "owner", "user", "api_key", "key"} {
		got := mallory.ask(r.method, path+separator+name+"="+alice.name)
		require.Empty(t, alice.in(got.text), name)
		if a.open == "" {
			require.Equal(t, http.StatusBadRequest, got.status, "%s is let through: %s", name, got.text)
		}
	}
	for _, name := range r.params {
		if name == "name" || strings.HasPrefix(name, "tag.") {
			name = "tag.customer"
		}
		for _, value := range []string{alice.mark, alice.name, alice.ids["payment"], "%27%20OR%20%271%27=%271", "*", "%25"} {
			got := mallory.ask(r.method, path+separator+name+"="+value)
			require.Empty(t, alice.in(strings.ReplaceAll(got.text, value, "")), "%s=%s", name, value)
			require.Less(t, got.status, 500, "%s=%s: %s", name, value, got.text)
		}
	}
}

// keys: nothing but a whole key, sent as it should be, opens a route.
func keys(t *testing.T, alice, mallory *tenant, r route, a attack) {
	t.Helper()
	if a.open != "" {
		got := mallory.do(request{method: r.method, path: r.path, body: `{}`})
		require.Empty(t, alice.in(got.text))
		t.Skip("open: " + a.open)
	}
	path := a.path(r, alice.ids[a.id], alice.mark)
	id, secret, _ := strings.Cut(strings.TrimPrefix(alice.key, "mrk_"), "_")
	_, mallorysSecret, _ := strings.Cut(strings.TrimPrefix(mallory.key, "mrk_"), "_")
	headers := map[string]http.Header{
		"nothing":                     {},
		"empty":                       {"Authorization": {""}},
		"no scheme":                   {"Authorization": {alice.key}},
		"another scheme":              {"Authorization": {"Basic " + alice.key}},
		"another scheme of one name":  {"Authorization": {"Bearerx " + alice.key}},
		"the scheme glued on":         {"Authorization": {"Bearer" + alice.key}},
		"the scheme twice":            {"Authorization": {"Bearer Bearer " + alice.key}},
		"quoted":                      {"Authorization": {`Bearer "` + alice.key + `"`}},
		"upper case":                  {"Authorization": {"Bearer " + strings.ToUpper(alice.key)}},
		"title case":                  {"Authorization": {"Bearer M" + alice.key[1:]}},
		"a tab":                       {"Authorization": {"Bearer\t" + alice.key}},
		"something behind":            {"Authorization": {"Bearer " + alice.key + "x"}},
		"two keys":                    {"Authorization": {"Bearer " + alice.key + ", Bearer " + mallory.key}},
		"cut short":                   {"Authorization": {"Bearer " + alice.key[:len(alice.key)-1]}},
		"only the id":                 {"Authorization": {"Bearer mrk_" + id}},
		"the id with an empty secret": {"Authorization": {"Bearer mrk_" + id + "_"}},
		"her id, mallory's secret":    {"Authorization": {"Bearer mrk_" + id + "_" + mallorysSecret}},
		"the secret alone":            {"Authorization": {"Bearer " + secret}},
		"SQL":                         {"Authorization": {"Bearer mrk_" + id[:4] + "' OR ''='_" + secret}},
		"X-Api-Key":                   {"X-Api-Key": {alice.key}},
		"a cookie":                    {"Cookie": {"api_key=" + alice.key + "; Authorization=Bearer " + alice.key}},
		"Proxy-Authorization":         {"Proxy-Authorization": {"Bearer " + alice.key}},
		"X-Original-Authorization":    {"X-Original-Authorization": {"Bearer " + alice.key}, "X-Forwarded-User": {alice.name}},
	}
	for name, header := range headers {
		got := mallory.do(request{method: r.method, path: path, body: a.body, header: header})
		require.Equal(t, http.StatusUnauthorized, got.status, "%s: %s", name, got.text)
		require.Equal(t, "AUTH_REQUIRED", got.at("code"), name)
		require.NotContains(t, got.text, secret, name)
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for _, name := range []string{"api_key", "key", "access_token", "token", "authorization"} {
		got := mallory.do(request{method: r.method, path: path + separator + name + "=" + alice.key, body: a.body})
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest}, got.status, "%s: %s", name, got.text)
		require.NotContains(t, got.text, secret, name)
	}
}

// smuggled: a tenant that a body or a header names is refused or means nothing.
func smuggled(t *testing.T, alice, mallory *tenant, r route, a attack) {
	t.Helper()
	if a.open != "" {
		t.Skip("open: " + a.open)
	}
	header := http.Header{}
	for _, name := range []string{
		"X-Tenant", "X-Tenant-Id", "Tenant", "Tenant-Id", "X-Millrace-Tenant", "X-User", "X-User-Id", "X-Forwarded-User", "X-Remote-User", "X-Organization-Id",
		"X-Original-Url", "X-Rewrite-Url",
	} {
		header.Set(name, alice.name)
	}
	header.Set("X-Http-Method-Override", http.MethodDelete)
	header.Set("X-Forwarded-For", "127.0.0.1")
	if a.id != "" {
		path := a.path(r, alice.ids[a.id], "")
		got := mallory.do(request{method: r.method, path: path, key: mallory.key, header: header})
		require.Equal(t, http.StatusNotFound, got.status, got.text)
	} else if r.method == http.MethodGet {
		got := mallory.do(request{path: a.path(r, "", alice.mark), key: mallory.key, header: header})
		require.Empty(t, alice.in(got.text))
	}
	if a.body == "" {
		return
	}
	for _, name := range []string{"tenant", "tenant_id", "TENANT_ID", "Tenant", "tenantId", "id", "job_id", "status", "metadata.tenant_id", "__proto__"} {
		for at, body := range map[string]string{
			"in front":  fmt.Sprintf(`{%q:%q,`, name, alice.name) + a.body[1:],
			"behind":    a.body[:len(a.body)-1] + fmt.Sprintf(`,%q:%q}`, name, alice.name),
			"in args":   strings.Replace(a.body, `"args":{`, fmt.Sprintf(`"args":{%q:%q,`, name, alice.name), 1),
			"in points": strings.Replace(a.body, `"points":[{`, fmt.Sprintf(`"points":[{%q:%q,`, name, alice.name), 1),
		} {
			if body == a.body {
				continue
			}
			got := mallory.do(request{method: r.method, path: r.path, key: mallory.key, body: body, header: http.Header{"Idempotency-Key": {"smuggler"}}})
			require.Equal(t, http.StatusBadRequest, got.status, "%s %s: %s", name, at, got.text)
			require.NotContains(t, got.text, alice.name, "echoes what it was sent")
		}
	}
	// A name twice: whichever counts, it is not for the sender to choose.
	first, _, _ := strings.Cut(a.body[1:], ":")
	got := mallory.do(request{method: r.method, path: r.path, key: mallory.key, body: "{" + first + `:null,` + a.body[1:], header: http.Header{"Idempotency-Key": {"smuggler"}}})
	require.Equal(t, http.StatusBadRequest, got.status, got.text)
}

// pageTokens: alice's token says where a page begins, and not whose it is.
func pageTokens(t *testing.T, alice, mallory *tenant) {
	t.Helper()
	tried := 0
	for _, r := range alice.routes() {
		if r.method != http.MethodGet || !slices.Contains(r.params, "page_token") || r.path == "/v1/metrics" { // whose token is a time
			continue
		}
		token := alice.ask(r.method, r.path+"?limit=1").at("next_page_token")
		if token == "" {
			require.NotContains(t, []string{"/v1/payments", "/v1/jobs"}, r.path, "alice has several")
			continue
		}
		tried++
		got := mallory.ask(r.method, r.path+"?limit=100&page_token="+token)
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Empty(t, alice.in(got.text))
		for _, other := range []string{token[:len(token)-1], token + "A", strings.ToUpper(token), "payment:" + alice.ids["payment"]} {
			got := mallory.ask(r.method, r.path+"?page_token="+other)
			require.Less(t, got.status, 500, got.text)
			require.Empty(t, alice.in(got.text))
		}
	}
	require.GreaterOrEqual(t, tried, 3)
}

// idempotencyKeys: mallory's keys are hers, though alice has used the same ones.
func idempotencyKeys(t *testing.T, alice, mallory *tenant) {
	t.Helper()
	fresh := mallory.system.key("mallory2") // has used none
	for path, body := range map[string]string{
		"/v1/payments":      `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"` + alice.mark + `"}`,
		"/v1/bookings":      fmt.Sprintf(`{"slot_id":%q,"name":"Jo Doe","email":"delivered@resend.dev"}`, "default."+nextWeekday().Add(10*time.Hour).Format("20060102T150405Z")),
		"/v1/conversations": `{"session_id":"other","messages":[{"role":"user","content":"Hello"}]}`,
		"/v1/metrics":       `{"points":[{"name":"other","value":1}]}`,
	} {
		got := mallory.do(request{method: http.MethodPost, path: path, key: fresh, body: body, header: http.Header{"Idempotency-Key": {idempotencyKey}}})
		require.Equal(t, http.StatusAccepted, got.status, "%s: %s", path, got.text)
		require.Empty(t, got.header.Get("Idempotent-Replayed"), path)
		for _, id := range []string{alice.ids["payment"], alice.ids["booking"], alice.ids["conversation"]} {
			require.NotContains(t, got.text, id)
		}
	}
}

// nextWeekday is a day on which the calendar of a tenant that has none is open.
func nextWeekday() time.Time {
	day := bookableDay()
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// slots: what alice has booked is free in mallory's calendar, and the other way round.
func slots(t *testing.T, alice, mallory *tenant) {
	t.Helper()
	day := "/v1/slots" + query("date", bookableDay().Format(time.DateOnly))
	taken := slotAt(12)
	require.Contains(t, alice.ask("GET", day).text, taken)
	got := mallory.do(request{method: http.MethodPost, path: "/v1/bookings", key: mallory.key, body: fmt.Sprintf(`{"slot_id":%q,"name":"Jo Doe","email":"delivered@resend.dev"}`, taken)})
	require.Equal(t, http.StatusAccepted, got.status, got.text)
	require.NotContains(t, mallory.ask("GET", day).text, taken)
	require.Contains(t, alice.ask("GET", day).text, taken)
	// A resource of alice's own is none of mallory's.
	require.Equal(t, http.StatusOK, alice.ask("GET", "/v1/calendar?resource="+alice.mark).status)
	theirs := mallory.ask("GET", "/v1/calendar?resource="+alice.mark)
	none := mallory.ask("GET", "/v1/calendar?resource=nobodysmark")
	require.Equal(t, strings.ReplaceAll(seen(none), "nobodysmark", alice.mark), seen(theirs))
}

// metrics: series of one name are two series, and counts say nothing of others.
func metrics(t *testing.T, alice, mallory *tenant) {
	t.Helper()
	parameters := query("name", "shared.latency", "from", time.Now().Add(-time.Hour).Format(time.RFC3339), "agg", "sum,count")
	his, hers := mallory.ask("GET", "/v1/metrics"+parameters), alice.ask("GET", "/v1/metrics"+parameters)
	require.NotContains(t, his.text, fmt.Sprint(1000+len(alice.name)))
	require.Contains(t, hers.text, fmt.Sprint(1000+len(alice.name)))
	filtered := mallory.ask("GET", "/v1/metrics"+parameters+"&tag.customer="+alice.mark)
	require.Equal(t, http.StatusOK, filtered.status, filtered.text)
	require.Contains(t, filtered.text, `"points":[]`)
}

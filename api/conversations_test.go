package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/conversation"
	"millrace/internal/postgres"
	"millrace/internal/satisfaction"
)

const chat = `{"session_id":"chat-4711","messages":[{"role":"user","content":"Where is my parcel?"},{"role":"assistant","content":"On its way."}]}`

func (s *site) talk(key, idempotencyKey, body string) answer {
	s.t.Helper()
	return s.do(request{method: "POST", path: "/v1/conversations", key: key, body: body, header: map[string]string{"Idempotency-Key": idempotencyKey}})
}

// tables returns every row of every table as text.
func (s *site) tables() string {
	s.t.Helper()
	rows, err := s.login.Query(s.t.Context(), "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'")
	require.NoError(s.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	require.Contains(s.t, names, "conversations")
	require.Contains(s.t, names, "river_job")
	var all strings.Builder
	for _, name := range names {
		var text string
		require.NoError(s.t, s.login.QueryRow(s.t.Context(), "SELECT coalesce(string_agg(row_to_json(r)::text, chr(10)), '') FROM "+pgx.Identifier{name}.Sanitize()+" AS r").Scan(&text))
		all.WriteString(name + ": " + text + "\n")
	}
	return all.String()
}

func TestAConversationIsAcceptedWithLinksToItsScore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.talk(s.alice, "k", `{"session_id":"chat-4711","messages":[{"role":"user","content":"Hello"},{"role":"tool","content":"x"},7,
		{"role":"assistant","content":"Hi","at":"2026-01-31T09:30:00Z","id":"m-4"}],"feedback":{"stars":4}}`)
	require.Equal(t, 202, a.status, a.text)
	id, _ := a.at("conversation", "id").(string)
	require.Equal(t, "/v1/jobs/"+fmt.Sprint(a.at("job", "id")), a.header.Get("Location"))
	require.Equal(t, "/v1/conversations/"+id, a.at("job", "links", "conversation"))
	require.Equal(t, "/v1/scores/"+id, a.at("job", "links", "score"))
	require.Equal(t, "conversation_scoring scoring", fmt.Sprint(a.at("job", "kind"), " ", a.at("job", "queue")))
	require.Equal(t, "queued", a.at("conversation", "status"))
	require.EqualValues(t, 2, a.at("conversation", "message_count"))
	require.EqualValues(t, 2, a.at("conversation", "skipped_count"))
	require.Equal(t, true, a.at("conversation", "has_feedback"))
	require.Equal(t, []any{
		map[string]any{"index": 1.0, "problem": "has a role that is none of user, assistant and system"},
		map[string]any{"index": 2.0, "problem": "must be an object"},
	}, a.at("conversation", "skipped"))

	read := s.do(request{method: "GET", path: "/v1/conversations/" + id, key: s.alice})
	require.Equal(t, 200, read.status)
	require.Equal(t, a.at("job", "id"), read.at("job_id"))
	require.NotContains(t, read.text+a.text, "Hello", "texts are not shown")
	require.Equal(t, 404, s.do(request{method: "GET", path: "/v1/scores/" + id, key: s.alice}).status, "not yet")
	for _, path := range []string{"/v1/conversations/" + id, "/v1/scores/" + id} {
		require.Equal(t, 404, s.do(request{method: "GET", path: path, key: s.mallory}).status, path)
	}

	// Before it has started, the job may be taken back.
	cancelled := s.do(request{method: "POST", path: a.header.Get("Location") + "/cancel", key: s.alice})
	require.Equal(t, 200, cancelled.status, cancelled.text)
	require.Equal(t, "cancelled", s.do(request{method: "GET", path: "/v1/conversations/" + id, key: s.alice}).at("status"))
}

// A conversation whose worker was killed at the last attempt is not in progress for
// ever: nobody but its job knows.
func TestAConversationWhoseJobIsGivenUpFailed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.talk(s.alice, "k", `{"session_id":"chat-4711","messages":[{"role":"user","content":"Hello"}]}`)
	require.Equal(t, 202, a.status, a.text)
	status := func() any {
		return s.do(request{method: "GET", path: fmt.Sprint(a.at("job", "links", "conversation")), key: s.alice}).at("status")
	}
	_, err := s.login.Exec(t.Context(), "UPDATE river_job SET state = 'discarded', finalized_at = now(), attempt = max_attempts")
	require.NoError(t, err)
	require.Equal(t, "failed", status())
	retried := s.do(request{method: "POST", path: a.header.Get("Location") + "/retry", key: s.alice})
	require.Equal(t, 200, retried.status, retried.text)
	require.Equal(t, "queued", status())
}

func TestAReplayedConversationGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	body := `{"session_id":"s","messages":[{"role":"user","content":"I am jo@example.com"},{}],"feedback":{"thumbs":"up"}}`
	answers := make([]answer, 20)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = s.talk(s.alice, "same", body) })
	}
	group.Wait()
	for _, a := range answers {
		require.Equal(t, 202, a.status, a.text)
		require.Equal(t, answers[0].text, a.text)
	}
	require.Equal(t, 1, s.count("conversations"))
	id, _ := answers[0].at("conversation", "id").(string)
	s.score(id, "1", 50)
	later := s.talk(s.alice, "same", body)
	require.Equal(t, answers[0].text, later.text, "also when it is scored")
	require.Equal(t, "true", later.header.Get("Idempotent-Replayed"))
	for _, other := range []string{
		strings.Replace(body, "{}", `{"role":"user","content":"more"}`, 1),
		strings.Replace(body, "up", "down", 1),
		strings.Replace(body, `,{}`, ``, 1),
		strings.Replace(body, `"s"`, `"t"`, 1),
	} {
		a := s.talk(s.alice, "same", other)
		require.Equal(t, "IDEMPOTENCY_MISMATCH", a.code(), a.text)
	}
	require.Equal(t, 202, s.talk(s.mallory, "same", chat).status)
}

// What identifies a person reaches neither the disk nor a log, wherever it stands
// in what is submitted, by whatever door, accepted or refused.
func TestPersonalDataReachesNoTableAndNoLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	canaries := []string{"canary.one@example.com", "219-09-9999", "canary.two@example.com", "457-55-5462", "canary.three@example.com"}
	body := fmt.Sprintf(`{"session_id":"chat-4711","messages":[{"role":"user","content":"Mail me at %s or find me by my SSN %s."},
		{"role":"tool","content":"%s"},{"role":"user","content":"%s","at":"never"},{"role":"assistant","content":"Is that %s?","name":"%s"},{"role":"system","content":"The user is %s"}],
		"feedback":{"stars":1,"text":"My social security number is %s, write to %s!"}}`,
		canaries[0], canaries[1], canaries[2], canaries[1], canaries[0], canaries[2], canaries[4], canaries[3], canaries[2])
	a := s.talk(s.alice, "k1", body)
	require.Equal(t, 202, a.status, a.text)
	require.EqualValues(t, 4, a.at("conversation", "masked", "EMAIL"))
	require.EqualValues(t, 2, a.at("conversation", "masked", "SSN"))
	generic := s.do(request{
		method: "POST", path: "/v1/jobs", key: s.alice, body: `{"kind":"conversation_scoring","args":` + body + `}`, header: map[string]string{"Idempotency-Key": "k2"},
	})
	require.Equal(t, 202, generic.status, generic.text)
	answers := a.text + generic.text
	for _, refused := range []string{
		strings.Replace(body, `"chat-4711"`, `"`+canaries[0]+`"`, 1),
		strings.Replace(body, `"stars":1`, `"stars":6`, 1),
		strings.Replace(body, `"session_id"`, `"`+canaries[0]+`"`, 1),
		`{"session_id":"s","messages":[{"role":"` + canaries[0] + `"}]}`,
		body[:len(body)-20],
	} {
		b := s.talk(s.alice, "k3", refused)
		require.Equal(t, 400, b.status, b.text)
		answers += b.text
	}
	tables := s.tables()
	require.Contains(t, tables, "[EMAIL_1]", "it is looked for where it would be")
	for _, canary := range canaries {
		require.NotContains(t, tables, canary)
		require.NotContains(t, s.logs.String(), canary)
		require.NotContains(t, answers, canary)
	}
}

func TestConversationsAreRefusedWithTheFieldAtFault(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	many := strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"x"},`, 1001), ",")
	for name, c := range map[string]struct {
		body, field string
	}{
		"no session":   {`{"messages":[{"role":"user","content":"x"}]}`, "session_id"},
		"no messages":  {`{"session_id":"s"}`, "messages"},
		"none usable":  {`{"session_id":"s","messages":[{"role":"` + secret + `"}]}`, "messages[0]"},
		"too many":     {`{"session_id":"s","messages":[` + many + `]}`, "messages"},
		"no feedback":  {strings.Replace(chat, `"messages"`, `"feedback":{},"messages"`, 1), "feedback"},
		"bad stars":    {strings.Replace(chat, `"messages"`, `"feedback":{"stars":9},"messages"`, 1), "feedback.stars"},
		"bad priority": {strings.Replace(chat, `"messages"`, `"priority":9,"messages"`, 1), "priority"},
		"tenant":       {strings.Replace(chat, `"messages"`, `"tenant_id":"mallory","messages"`, 1), "body"},
	} {
		a := s.talk(s.alice, "k", c.body)
		require.Equal(t, 400, a.status, name)
		require.Equal(t, "INVALID_INPUT", a.code(), name)
		require.Contains(t, fmt.Sprint(a.at("details", "fields")), "field:"+c.field+" ", name)
		require.NotContains(t, a.text, secret)
	}
	require.Zero(t, s.count("submissions"))
}

// A conversation may be larger than other requests, by both doors, and no larger
// than it says.
func TestAConversationMayBeLarge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	body := func(size int) string {
		var messages []string
		for range 1000 {
			messages = append(messages, `{"role":"user","content":"`+strings.Repeat("x ", 960)+`"}`)
		}
		text := `{"session_id":"s","messages":[` + strings.Join(messages, ",") + `]}`
		return text + strings.Repeat(" ", size-len(text))
	}
	whole := body(2 << 20)
	require.Equal(t, 202, s.talk(s.alice, "k1", whole).status)
	wrapped := s.do(request{
		method: "POST", path: "/v1/jobs", key: s.alice, header: map[string]string{"Idempotency-Key": "k2"},
		body: `{"kind":"conversation_scoring","args":` + strings.TrimSpace(whole) + `}`,
	})
	require.Equal(t, 202, wrapped.status, wrapped.text)
	a := s.talk(s.alice, "k3", whole+" ")
	require.Equal(t, 413, a.status)
	require.EqualValues(t, 2<<20, a.at("details", "max_bytes"))
	a = s.pay(s.alice, "k4", charge+strings.Repeat(" ", 1<<20))
	require.Equal(t, 413, a.status)
	require.EqualValues(t, 1<<20, a.at("details", "max_bytes"))
}

// graded is a model that grades every conversation alike.
type graded struct {
	version string
	grade   float64
}

func (g graded) Version() string { return g.version }

func (g graded) Score([]satisfaction.Message, satisfaction.Feedback) satisfaction.Score {
	verdict := satisfaction.Dissatisfied
	if g.grade >= 50 {
		verdict = satisfaction.Satisfied
	}
	return satisfaction.Score{
		Model: g.version, Estimate: satisfaction.Estimate{Satisfaction: g.grade, Rating: 1 + g.grade/25}, Verdict: verdict,
		Reasons: []satisfaction.Reason{{Feature: "grade", Effect: g.grade, Text: "So it is.", Turns: []int{0}}},
	}
}

// score scores a conversation of alice's as a worker would.
func (s *site) score(id, model string, grade float64) {
	s.t.Helper()
	worker := postgres.NewTenancy(s.login, postgres.Worker)
	c, err := conversation.Load(s.t.Context(), worker, "alice", uuid.MustParse(id))
	require.NoError(s.t, err)
	require.NoError(s.t, worker.Tx(s.t.Context(), "alice", func(tx pgx.Tx) error {
		_, err := conversation.Record(s.t.Context(), tx, "alice", []conversation.Score{c.Score(graded{model, grade}, time.Now())})
		return err
	}))
}

// scored submits conversations, and scores them in their order.
func (s *site) scored(session string, grades ...float64) (ids []string) {
	s.t.Helper()
	for _, grade := range grades {
		a := s.talk(s.alice, "", strings.Replace(chat, "chat-4711", session, 1))
		require.Equal(s.t, 202, a.status, a.text)
		id, _ := a.at("conversation", "id").(string)
		s.score(id, "1", grade)
		ids = append(ids, id)
	}
	return ids
}

func ids(a answer) (list []string) {
	scores, _ := a.body["scores"].([]any)
	for _, item := range scores {
		score, _ := item.(map[string]any)
		id, _ := score["id"].(string)
		list = append(list, id)
	}
	return list
}

func TestScoresAreListedByTimeAndBySatisfaction(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	made := s.scored("s-1", 70, 20, 70, 33.3, 70)
	other := s.scored("s-2", 5)
	all := append(slices.Clone(made), other...)

	get := func(query string) answer {
		return s.do(request{method: "GET", path: "/v1/scores" + query, key: s.alice})
	}
	walk := func(query string) (list []string) {
		for token := ""; ; {
			a := get("?limit=2" + query + "&page_token=" + token)
			require.Equal(t, 200, a.status, a.text)
			list = append(list, ids(a)...)
			require.Less(t, len(list), 1000, "the list ends")
			next, ok := a.at("next_page_token").(string)
			if !ok {
				return list
			}
			token = next
		}
	}
	oldest := slices.Clone(all)
	newest := slices.Clone(all)
	slices.Reverse(newest)
	require.Equal(t, newest, walk(""), "newest first")
	require.Equal(t, oldest, walk("&order=asc"))
	lowest := []string{other[0], made[1], made[3], made[0], made[2], made[4]} // ties by id, which are made in order
	highest := slices.Clone(lowest)
	slices.Reverse(highest)
	require.Equal(t, lowest, walk("&sort=satisfaction&order=asc"))
	require.Equal(t, highest, walk("&sort=satisfaction"))

	require.Equal(t, other, walk("&session_id=s-2"))
	require.Equal(t, []string{made[3], made[1]}, walk("&min=20&max=33.3"))
	require.Equal(t, []string{made[4], made[2], made[0]}, walk("&verdict=satisfied"))
	require.Empty(t, walk("&to=2026-01-01T00:00:00Z"))
	require.Equal(t, newest, walk("&from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00%2B01:00"))
	require.Empty(t, ids(s.do(request{method: "GET", path: "/v1/scores", key: s.mallory})))

	first := get("?limit=1")
	item, _ := first.body["scores"].([]any)[0].(map[string]any)
	require.Equal(t, []string{"confidence", "created_at", "id", "model", "rating", "satisfaction", "scored_at", "session_id", "verdict"}, keys(item), "a summary")
	whole := s.do(request{method: "GET", path: "/v1/scores/" + all[0], key: s.alice})
	require.Equal(t, 200, whole.status)
	require.Contains(t, fmt.Sprint(whole.at("reasons")), "So it is.")
	require.Equal(t, "1", s.do(request{method: "GET", path: "/v1/conversations/" + all[0], key: s.alice}).at("model"))

	// A token belongs to the order that it was made in.
	token, _ := first.at("next_page_token").(string)
	for _, query := range []string{
		"&order=asc", "&sort=satisfaction", "&sort=satisfaction&order=asc",
	} {
		a := get("?page_token=" + token + query)
		require.Equal(t, 400, a.status, query)
		require.Contains(t, a.text, "page_token")
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte("score:time desc " + secret))
	for _, query := range []string{
		"?page_token=" + forged, "?page_token=" + secret, "?sort=" + secret, "?order=up", "?min=NaN", "?max=Inf", "?min=-1", "?max=101", "?min=" + secret,
		"?from=" + secret, "?to=2026-01-01", "?verdict=" + secret, "?limit=0", "?limit=101", "?" + secret + "=1", "?session_id=" + strings.Repeat("s", 129),
	} {
		a := get(query)
		require.Equal(t, 400, a.status, query)
		require.Equal(t, "INVALID_INPUT", a.code(), query)
		require.NotContains(t, a.text, secret)
	}
	require.Equal(t, 404, s.do(request{method: "GET", path: "/v1/scores/" + secret, key: s.alice}).status)
	require.Equal(t, 404, s.do(request{method: "GET", path: "/v1/conversations/" + secret, key: s.alice}).status)
}

func keys(m map[string]any) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestTheDistributionFollowsEveryScore(t *testing.T) {
	t.Parallel()
	// At the edge of a day, so that a day is not the next while the test runs.
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(o *api.Options) { o.Now = func() time.Time { return noon } })
	made := s.scored("s", 5, 5, 95.5)
	distribution := func(query string) answer {
		return s.do(request{method: "GET", path: "/v1/scores/distribution?" + query, key: s.alice})
	}
	days := func() string {
		a := distribution("from=2026-01-30&to=2026-02-01")
		require.Equal(t, 200, a.status, a.text)
		text, err := json.Marshal(a.body["days"])
		require.NoError(t, err)
		return string(text)
	}
	empty := func(day string) string {
		return `{"date":"` + day + `","count":0,"buckets":[0,0,0,0,0,0,0,0,0,0]}`
	}
	require.JSONEq(t, `[`+empty("2026-01-30")+`,{"date":"2026-01-31","count":3,"mean":35.17,"buckets":[2,0,0,0,0,0,0,0,0,1]},`+empty("2026-02-01")+`]`, days())
	s.score(made[0], "1", 55)
	s.score(made[1], "2", 55)
	s.score(made[1], "2", 55)
	require.JSONEq(t, `[`+empty("2026-01-30")+`,{"date":"2026-01-31","count":3,"mean":51.83,"buckets":[1,0,0,0,0,1,0,0,0,1]},`+empty("2026-02-01")+`]`, days(),
		"moved at once, and counted once")

	for _, query := range []string{
		"", "from=2026-01-01", "from=2026-01-31&to=2026-01-30", "from=2026-01-01&to=2027-01-02", "from=2026-02-30&to=2026-03-01", "from=" + secret + "&to=2026-01-01",
	} {
		a := distribution(query)
		require.Equal(t, 400, a.status, query)
		require.Equal(t, "INVALID_INPUT", a.code(), query)
		require.NotContains(t, a.text, secret)
	}
	require.Len(t, distribution("from=2026-01-01&to=2027-01-01").at("days"), 366)
}

func TestARescoringIsSubmittedForARange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	submit := func(key, body string) answer {
		return s.do(request{method: "POST", path: "/v1/scores/rescorings", key: s.alice, body: body, header: map[string]string{"Idempotency-Key": key}})
	}
	a := submit("k", `{"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"}`)
	require.Equal(t, 202, a.status, a.text)
	require.Equal(t, "conversation_rescoring scoring", fmt.Sprint(a.at("job", "kind"), " ", a.at("job", "queue")))
	require.Nil(t, a.at("job", "progress"), "it has not begun")
	require.Equal(t, a.text, submit("k", `{"to":"2026-02-01T01:00:00+01:00","from":"2026-01-01T00:00:00Z"}`).text, "the same moments")
	require.Equal(t, "IDEMPOTENCY_MISMATCH", submit("k", `{"from":"2026-01-01T00:00:00Z","to":"2026-03-01T00:00:00Z"}`).code())

	// As a worker tells it with each batch.
	_, err := s.login.Exec(t.Context(), `UPDATE river_job SET state = 'running',
		metadata = metadata || '{"river:resumable_cursor":{"work":{"progress":{"done":400,"total":1000},"model":"2"}}}'`)
	require.NoError(t, err)
	job := s.do(request{method: "GET", path: a.header.Get("Location"), key: s.alice})
	require.Equal(t, map[string]any{"done": 400.0, "total": 1000.0}, job.at("progress"))
	_, err = s.login.Exec(t.Context(), "UPDATE river_job SET state = 'completed', finalized_at = now()")
	require.NoError(t, err)
	require.Nil(t, s.do(request{method: "GET", path: a.header.Get("Location"), key: s.alice}).at("progress"))

	for name, body := range map[string]string{
		"nothing":   `{}`,
		"no to":     `{"from":"2026-01-01T00:00:00Z"}`,
		"backwards": `{"from":"2026-02-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}`,
		"too long":  `{"from":"2026-01-01T00:00:00Z","to":"2027-01-03T00:00:00Z"}`,
		"days":      `{"from":"2026-01-01","to":"2026-02-01"}`,
		"unknown":   `{"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z","session_id":"s"}`,
	} {
		b := submit("k2", body)
		require.Equal(t, 400, b.status, name)
		require.Equal(t, "INVALID_INPUT", b.code(), name)
	}
}

func TestConversationsAndScoresWantTheirScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nothing := s.key("alice", apikey.MetricsWrite)
	for route, scope := range map[string]apikey.Scope{
		"POST /v1/conversations": apikey.JobsWrite, "POST /v1/scores/rescorings": apikey.JobsWrite,
		"GET /v1/conversations/1": apikey.JobsRead, "GET /v1/scores": apikey.JobsRead, "GET /v1/scores/1": apikey.JobsRead,
		"GET /v1/scores/distribution?from=2026-01-01&to=2026-01-02": apikey.JobsRead,
	} {
		method, path, _ := strings.Cut(route, " ")
		body := ""
		if method == "POST" {
			body = chat
		}
		a := s.do(request{method: method, path: path, key: nothing, body: body})
		require.Equal(t, 403, a.status, route)
		require.Equal(t, string(scope), a.at("details", "required_scope"), route)
	}
}

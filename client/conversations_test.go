package client_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestSubmitConversation(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+job("4711", "available")+`,"conversation":{"id":"c","session_id":"chat-4711","status":"queued",
		"message_count":1,"skipped_count":1,"skipped":[{"index":0,"problem":"has an empty content"}],"masked":{"EMAIL":1},"has_feedback":true,
		"created_at":"2030-01-31T09:30:00Z"}}`))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.SubmitConversation(t.Context(), client.ConversationRequest{
		SessionID: "chat-4711",
		Messages: []client.Message{
			{Role: client.RoleSystem},
			{Role: client.RoleUser, Content: "Hello", At: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC)},
		},
		Feedback: &client.Feedback{Stars: 5},
	}, client.SubmitOptions{IdempotencyKey: "chat-17", Priority: 2, Wait: 10 * time.Second})
	require.NoError(t, err)
	require.Equal(t, "4711", got.Job.ID)
	require.Nil(t, got.Booking)
	require.Equal(t, client.ConversationQueued, got.Conversation.Status)
	require.Equal(t, []client.SkippedMessage{{Index: 0, Problem: "has an empty content"}}, got.Conversation.Skipped)
	require.Equal(t, map[string]int{"EMAIL": 1}, got.Conversation.Masked)
	sent := s.one(t)
	require.Equal(t, "POST /v1/conversations", sent.method+" "+sent.uri)
	require.Equal(t, "chat-17 wait=10", sent.header.Get("Idempotency-Key")+" "+sent.header.Get("Prefer"))
	require.JSONEq(t, `{"session_id":"chat-4711","messages":[{"role":"system","content":""},{"role":"user","content":"Hello","at":"2030-01-31T09:30:00Z"}],
		"feedback":{"stars":5},"priority":2}`, sent.body)
}

func TestMaskingThatFailedIsTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(http.StatusInternalServerError, "MASKING_FAILED"))
	c, _ := newClient(t, s.URL, client.Options{MaxAttempts: 1})
	_, err := c.SubmitConversation(t.Context(), client.ConversationRequest{}, client.SubmitOptions{})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeMaskingFailed, e.Code)
}

func TestConversationAndScore(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"id":"c","session_id":"s","status":"scored","message_count":3,"skipped_count":0,"has_feedback":false,
		"job_id":"4711","model":"1","created_at":"2030-01-31T09:30:00Z","scored_at":"2030-01-31T09:31:00Z"}`),
		answer(http.StatusOK, `{"id":"c","session_id":"s","created_at":"2030-01-31T09:30:00Z","scored_at":"2030-01-31T09:31:00Z","model":"1","satisfaction":63.5,
			"rating":3.54,"confidence":0.62,"verdict":"satisfied","inferred":{"satisfaction":60,"rating":3.4,"confidence":0.5},
			"reasons":[{"feature":"thanks","effect":4.2,"text":"The user said thank you.","turns":[2]}],"sentiment":{"score":58,"reasons":[],"course":[{"turn":2,"sentiment":0.4}]}}`))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Conversation(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, client.ConversationScored, got.Status)
	require.Equal(t, time.Date(2030, 1, 31, 9, 31, 0, 0, time.UTC), got.ScoredAt)
	score, err := c.Score(t.Context(), "a/b")
	require.NoError(t, err)
	require.InDelta(t, 63.5, score.Satisfaction, 0)
	require.InDelta(t, 60, score.Inferred.Satisfaction, 0)
	require.Equal(t, client.Satisfied, score.Verdict)
	require.Nil(t, score.Stated)
	require.Equal(t, []int{2}, score.Reasons[0].Turns)
	require.Equal(t, []client.Point{{Turn: 2, Sentiment: 0.4}}, score.Sentiment.Course)
	require.Equal(t, "/v1/conversations/a%2Fb", s.received()[0].uri)
	require.Equal(t, "/v1/scores/a%2Fb", s.received()[1].uri)

	_, err = c.Conversation(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	_, err = c.Score(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	require.Len(t, s.received(), 2)
}

func TestScoresAreListed(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"scores":[`+scoreText("2")+`,`+scoreText("1")+`],"next_page_token":"next"}`), answer(http.StatusOK, `{"scores":[]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	page, err := c.Scores(t.Context(), client.ScoresFilter{
		Sort: client.BySatisfaction, Ascending: true, From: time.Date(2030, 1, 31, 1, 0, 0, 0, time.FixedZone("", 3600)), To: time.Date(2030, 2, 1, 0, 0, 0, 1000, time.UTC),
		Min: 20, Max: 33.3, SessionID: "s", Verdict: client.Neutral, Limit: 2, PageToken: "a&b",
	})
	require.NoError(t, err)
	require.Len(t, page.Scores, 2)
	require.Equal(t, "2", page.Scores[0].ID)
	require.Equal(t, "next", page.NextPageToken)
	page, err = c.Scores(t.Context(), client.ScoresFilter{})
	require.NoError(t, err)
	require.Equal(t, &client.ScoresPage{Scores: []*client.ScoreSummary{}}, page)
	require.Equal(t, "/v1/scores?from=2030-01-31T00%3A00%3A00Z&limit=2&max=33.3&min=20&order=asc&page_token=a%26b&session_id=s&sort=satisfaction"+
		"&to=2030-02-01T00%3A00%3A00.000001Z&verdict=neutral", s.received()[0].uri)
	require.Equal(t, "/v1/scores", s.received()[1].uri)
}

func TestAllScoresKeepsItsOrderOverPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"scores":[`+scoreText("3")+`,`+scoreText("2")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"scores":[`+scoreText("1")+`]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	var ids []string
	for score, err := range c.AllScores(t.Context(), client.ScoresFilter{Sort: client.BySatisfaction, Ascending: true}) {
		require.NoError(t, err)
		ids = append(ids, score.ID)
	}
	require.Equal(t, []string{"3", "2", "1"}, ids)
	require.Equal(t, "/v1/scores?order=asc&page_token=next&sort=satisfaction", s.received()[1].uri)

	failing := newServer(t, failure(http.StatusForbidden, "TENANT_ACCESS_DENIED"))
	c, _ = newClient(t, failing.URL, client.Options{})
	for score, err := range c.AllScores(t.Context(), client.ScoresFilter{}) {
		require.Nil(t, score)
		require.ErrorContains(t, err, "TENANT_ACCESS_DENIED")
	}
}

func TestScoreDays(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"days":[{"date":"2030-01-30","count":0,"buckets":[0,0,0,0,0,0,0,0,0,0]},
		{"date":"2030-01-31","count":2,"mean":63.5,"buckets":[0,0,0,0,0,0,2,0,0,0]}]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	days, err := c.ScoreDays(t.Context(), "2030-01-30", "2030-01-31")
	require.NoError(t, err)
	require.Len(t, days, 2)
	require.Nil(t, days[0].Mean)
	require.InDelta(t, 63.5, *days[1].Mean, 0)
	require.Equal(t, []int64{0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, days[1].Buckets)
	require.Equal(t, "/v1/scores/distribution?from=2030-01-30&to=2030-01-31", s.one(t).uri)
	_, err = c.ScoreDays(t.Context(), "2030-01-30", "")
	require.ErrorContains(t, err, "empty")
}

func TestRescore(t *testing.T) {
	t.Parallel()
	running := job("4711", "running")
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+running[:len(running)-1]+`,"progress":{"done":400,"total":1000}}}`))
	c, _ := newClient(t, s.URL, client.Options{})
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	got, err := c.Rescore(t.Context(), at, at.AddDate(0, 1, 0), client.SubmitOptions{Priority: 4})
	require.NoError(t, err)
	require.Equal(t, &client.Progress{Done: 400, Total: 1000}, got.Job.Progress)
	require.Nil(t, got.Conversation)
	sent := s.one(t)
	require.Equal(t, "POST /v1/scores/rescorings", sent.method+" "+sent.uri)
	require.JSONEq(t, `{"from":"2030-01-01T00:00:00Z","to":"2030-02-01T00:00:00Z","priority":4}`, sent.body)
}

// scoreText is a score of a list as the server writes it.
func scoreText(id string) string {
	return fmt.Sprintf(`{"id":%q,"session_id":"s","created_at":"2030-01-31T09:30:00Z","scored_at":"2030-01-31T09:31:00Z","model":"1","satisfaction":50,
		"rating":3,"confidence":0.5,"verdict":"neutral"}`, id)
}

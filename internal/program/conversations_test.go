package program_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// conversations has one scored by the real programs, encrypted. What identifies a
// person is neither in a table nor in what a program wrote, and what was said is in
// no table.
func conversations(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	address := freePort(t)
	const keys = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(file, []byte("2026:"+keys+"\n"), 0o600))
	intake := launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0", "LOG_LEVEL=debug", "ENCRYPTION_KEYS=2026:"+keys)
	worker := launch(t, dir, "worker", append(mailSettings(""), "DATABASE_URL="+db.URL, "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x",
		"QUEUES=scoring=2", "LOG_LEVEL=debug", "ENCRYPTION_KEYS_FILE="+file)...)
	require.Eventually(t, func() bool { return get(t, "http://"+address+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	app, err := client.New("http://"+address, key.Reveal(), client.Options{})
	require.NoError(t, err)

	const canary = "canary@example.com"
	request := client.ConversationRequest{
		SessionID: "chat-4711",
		Messages: []client.Message{
			{Role: client.RoleUser, Content: "My order 66 has not come. Please write to " + canary + "."},
			{Role: "tool", Content: canary},
			{Role: client.RoleAssistant, Content: "I am sorry. It is on its way and will be there tomorrow; I wrote to " + canary + "."},
			{Role: client.RoleUser, Content: "Great, thank you so much, that solves it!"},
		},
		Feedback: &client.Feedback{Stars: 5, Text: "Mail " + canary + " if you like"},
	}
	started := time.Now().UTC()
	got, err := app.SubmitConversation(t.Context(), request, client.SubmitOptions{IdempotencyKey: "chat-4711", Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Completed, got.Job.State)
	require.Equal(t, client.ConversationScored, got.Conversation.Status)
	require.Equal(t, 3, got.Conversation.MessageCount)
	require.Equal(t, 1, got.Conversation.SkippedCount)
	require.Equal(t, 3, got.Conversation.Masked["EMAIL"])

	score, err := app.Score(t.Context(), got.Conversation.ID)
	require.NoError(t, err)
	require.Equal(t, got.Conversation.Model, score.Model)
	page, err := app.Scores(t.Context(), client.ScoresFilter{Sort: client.BySatisfaction})
	require.NoError(t, err)
	require.Len(t, page.Scores, 1)
	require.Equal(t, score.ScoreSummary, *page.Scores[0])
	days, err := app.ScoreDays(t.Context(), started.Format(time.DateOnly), started.AddDate(0, 0, 1).Format(time.DateOnly))
	require.NoError(t, err)
	require.EqualValues(t, 1, days[0].Count+days[1].Count)

	again, err := app.SubmitConversation(t.Context(), request, client.SubmitOptions{IdempotencyKey: "chat-4711"})
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, got.Conversation.ID, again.Conversation.ID)
	rescored, err := app.Rescore(t.Context(), started.Add(-time.Hour), started.Add(time.Hour), client.SubmitOptions{Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Completed, rescored.Job.State)
	require.JSONEq(t, `{"rescored":0,"unchanged":1,"model":"`+score.Model+`"}`, string(rescored.Job.Result))

	revealed, err := app.RevealConversation(t.Context(), got.Conversation.ID, "to look at how it was masked")
	require.NoError(t, err)
	require.Contains(t, revealed.Messages[0].Content, "[EMAIL_1]")
	require.Contains(t, revealed.Feedback.Text, "[EMAIL_1]")

	require.Equal(t, 0, worker.terminate())
	require.Equal(t, 0, intake.terminate())
	for _, unwanted := range []string{"canary", "My order", keys, "encryption at rest is off"} {
		require.NotContains(t, intake.stderr.String()+worker.stderr.String(), unwanted)
	}
	login := db.Pool(t, postgres.Login)
	rows, err := login.Query(t.Context(), "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	var all strings.Builder
	for _, table := range tables {
		var text string
		require.NoError(t, login.QueryRow(t.Context(), "SELECT coalesce(string_agg(row_to_json(r)::text, ' '), '') FROM "+pgx.Identifier{table}.Sanitize()+" AS r").Scan(&text))
		all.WriteString(text)
	}
	require.Contains(t, all.String(), "chat-4711", "it is looked for where it would be")
	for _, unwanted := range []string{"canary", "[EMAIL_1]", "My order", "solves it"} {
		require.NotContains(t, all.String(), unwanted)
	}
}

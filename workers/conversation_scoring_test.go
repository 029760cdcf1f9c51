package workers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/conversation"
	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/internal/satisfaction"
	"millrace/jobs"
	"millrace/workers"
)

// accept submits an input of a kind for alice.
func (p *plant) accept(name, body string) intake.Job {
	p.t.Helper()
	kind := jobs.Find(name)
	id, err := uuid.NewV7()
	require.NoError(p.t, err)
	accepted, err := kind.Accept([]byte(body), jobs.Acceptance{Tenant: "alice", ID: id, Now: time.Now()})
	require.NoError(p.t, err)
	accepted, err = kind.Complete(p.t.Context(), p.tenancy, "alice", accepted)
	require.NoError(p.t, err)
	receipt, err := p.writer.Submit(p.t.Context(), intake.Submission{
		Tenant: "alice", Route: "POST /v1/jobs", Hash: accepted.Hash, Kind: kind, Accepted: accepted, Priority: 1,
	})
	require.NoError(p.t, err)
	return receipt.Job
}

// done waits for a job to end.
func (p *plant) done(id int64) intake.Job {
	p.t.Helper()
	p.until(id, func(job intake.Job) bool { return job.State.Done() })
	job, err := intake.Find(p.t.Context(), p.tenancy, "alice", id)
	require.NoError(p.t, err)
	return job
}

// again has a job run that has ended, as River does when it did not hear of the end.
func (p *plant) again(id int64) intake.Job {
	p.t.Helper()
	_, err := p.login.Exec(p.t.Context(), "UPDATE river_job SET state = 'available', finalized_at = NULL, attempt = 0 WHERE id = $1", id)
	require.NoError(p.t, err)
	return p.done(id)
}

func (p *plant) scoreOf(id uuid.UUID) conversation.Score {
	p.t.Helper()
	score, err := conversation.FindScore(p.t.Context(), p.tenancy, "alice", id)
	require.NoError(p.t, err)
	return score
}

// counted returns how many scores the days count, by bucket.
func (p *plant) counted() map[int]int64 {
	p.t.Helper()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	days, err := conversation.Distribution(p.t.Context(), p.tenancy, "alice", today.AddDate(0, 0, -40), today.AddDate(0, 0, 1))
	require.NoError(p.t, err)
	counts := map[int]int64{}
	for _, day := range days {
		for bucket, n := range day.Buckets {
			if n != 0 {
				counts[bucket] += n
			}
		}
	}
	return counts
}

// graded is a model that grades every conversation alike, and keeps count.
type graded struct {
	version string
	grade   float64
	// on is told of each conversation, with how many there were; it may panic.
	on func(n int)

	mu sync.Mutex
	n  int
}

func (g *graded) Version() string { return g.version }

func (g *graded) Score(messages []satisfaction.Message, _ satisfaction.Feedback) satisfaction.Score {
	g.mu.Lock()
	g.n++
	n := g.n
	g.mu.Unlock()
	if g.on != nil {
		g.on(n)
	}
	return satisfaction.Score{
		Model: g.version, Estimate: satisfaction.Estimate{Satisfaction: g.grade, Rating: 3, Confidence: 1}, Verdict: satisfaction.Satisfied,
		Reasons: []satisfaction.Reason{{Feature: "last", Text: "So it is.", Turns: []int{len(messages) - 1}}},
	}
}

func (g *graded) scored() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

const chat = `{"session_id":"chat-4711","messages":[7,{"role":"user","content":"hush, I am jo@example.com"},{"role":"assistant","content":"hush"}],"feedback":{"stars":5}}`

func TestAConversationIsScoredOnceAndReported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	model := &graded{version: "1", grade: 91.5}
	p.work(func(o *workers.Options) { o.Model, o.Metrics = model, registry })
	job := p.done(p.accept("conversation_scoring", chat).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	score := p.scoreOf(*job.ResourceID)
	require.InDelta(t, 91.5, score.Satisfaction, 0)
	require.Equal(t, []int{2}, score.Reasons[0].Turns, "as it was submitted")
	text, err := json.Marshal(score)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(job.Output), "the job returns the score")
	require.NotContains(t, string(job.Output), "hush")
	c, err := conversation.Find(t.Context(), p.tenancy, "alice", *job.ResourceID)
	require.NoError(t, err)
	require.Equal(t, conversation.Scored, c.Status)
	require.Equal(t, map[int]int64{9: 1}, p.counted())

	// River runs finished work again.
	again := p.again(job.ID)
	require.Equal(t, intake.StateCompleted, again.State)
	require.JSONEq(t, string(job.Output), string(again.Output))
	require.Equal(t, 1, model.scored())
	require.Equal(t, map[int]int64{9: 1}, p.counted())
	require.InDelta(t, 1, counter(t, registry, "millrace_conversations_scored_total", map[string]string{"verdict": "satisfied"}), 0)
	require.InDelta(t, 0, counter(t, registry, "millrace_conversations_scored_total", map[string]string{"verdict": "neutral"}), 0)
	require.InDelta(t, 2, counter(t, registry, "millrace_conversation_messages_total", map[string]string{"outcome": "kept"}), 0)
	require.InDelta(t, 1, counter(t, registry, "millrace_conversation_messages_total", map[string]string{"outcome": "skipped"}), 0)
	require.InDelta(t, 1, counter(t, registry, "millrace_phi_masked_total", map[string]string{"type": "EMAIL"}), 0)
	require.InDelta(t, 0, counter(t, registry, "millrace_phi_masked_total", map[string]string{"type": "SSN"}), 0)
}

// counter returns the value of the counter that has these labels, among others.
func counter(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matching := 0
			for _, label := range metric.GetLabel() {
				if labels[label.GetName()] == label.GetValue() {
					matching++
				}
			}
			if matching == len(labels) {
				return metric.GetCounter().GetValue()
			}
		}
	}
	require.Fail(t, "no such counter", "%s %v", name, labels)
	return 0
}

// The model that programs carry has something to say of any conversation, and
// quotes none.
func TestAConversationThatSaysLittleHasAScore(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	quoted := p.done(p.accept("conversation_scoring", `{"session_id":"s","messages":[
		{"role":"user","content":"Terrible! Zanzibar is broken, ZANZIBAR never works, I asked for zanzibar twice"},{"role":"assistant","content":"Sorry about zanzibar."},
		{"role":"user","content":"Thank you, zanzibar works now!"}],"feedback":{"text":"zanzibar is great"}}`).ID)
	require.Equal(t, intake.StateCompleted, quoted.State)
	require.NotContains(t, strings.ToLower(string(quoted.Output)), "zanzibar")
	job := p.done(p.accept("conversation_scoring", `{"session_id":"s","messages":[{"role":"user","content":"Hi"}]}`).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	score := p.scoreOf(*job.ResourceID)
	require.Equal(t, satisfaction.TooLittle, score.Verdict)
	require.Equal(t, satisfaction.Default().Version(), score.Model)
}

// Another attempt, of a worker that was only thought dead, is first by a hair.
func TestTwoAttemptsAtOnceScoreOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	submitted := p.accept("conversation_scoring", chat)
	registry := prometheus.NewRegistry()
	other := &graded{version: "1", grade: 91.5}
	p.work(func(o *workers.Options) {
		o.Metrics = registry
		o.Model = &graded{version: "1", grade: 91.5, on: func(int) { p.scoreBy(*submitted.ResourceID, other) }}
	})
	job := p.done(submitted.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, map[int]int64{9: 1}, p.counted())
	require.InDelta(t, 0, counter(t, registry, "millrace_conversations_scored_total", map[string]string{"verdict": "satisfied"}), 0, "the other one counted it")
	points, _ := p.total("alice", "conversation.satisfaction")
	require.Zero(t, points, "and had its metric point to write")
}

// scoreBy scores a conversation beside the workers.
func (p *plant) scoreBy(id uuid.UUID, model *graded) {
	tenancy := postgres.NewTenancy(p.login, postgres.Worker)
	c, err := conversation.Load(p.t.Context(), tenancy, "alice", id)
	assert.NoError(p.t, err)
	assert.NoError(p.t, tenancy.Tx(p.t.Context(), "alice", func(tx pgx.Tx) error {
		_, err := conversation.Record(p.t.Context(), tx, "alice", []conversation.Score{c.Score(model, time.Now())})
		return err
	}))
}

// A bug in the model costs attempts and shows nothing of what it was given.
func TestAModelThatPanicsIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work(func(o *workers.Options) {
		o.Model = &graded{version: "1", grade: 50, on: func(n int) {
			if n == 1 {
				panic("hush")
			}
		}}
	})
	job := p.done(p.accept("conversation_scoring", chat).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, 2, job.Attempt)
	var row string
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT row_to_json(j)::text FROM river_job j WHERE id = $1", job.ID).Scan(&row))
	require.NotContains(t, row, "hush")
}

// stock stores scored conversations, one an hour back from now, of a model and grade.
func (p *plant) stock(n int, model *graded) {
	p.t.Helper()
	var r conversation.Request
	require.NoError(p.t, json.Unmarshal([]byte(`{"session_id":"s","messages":[{"role":"user","content":"Hello"}]}`), &r))
	r, err := r.Validate()
	require.NoError(p.t, err)
	now := time.Now()
	var (
		list   []conversation.Conversation
		scores []conversation.Score
	)
	for i := range n {
		c := conversation.New("alice", uuid.New(), r, now.Add(-time.Duration(i)*time.Hour))
		list, scores = append(list, c), append(scores, c.Score(model, now))
	}
	require.NoError(p.t, p.tenancy.Tx(p.t.Context(), "alice", func(tx pgx.Tx) error {
		return conversation.InsertMany(p.t.Context(), tx, list, make([]int64, n))
	}))
	require.NoError(p.t, p.db.Tenancy(p.t, postgres.Worker).Tx(p.t.Context(), "alice", func(tx pgx.Tx) error {
		_, err := conversation.Record(p.t.Context(), tx, "alice", scores)
		return err
	}))
}

// rescore submits a range that ends in an hour.
func (p *plant) rescore(ago time.Duration) intake.Job {
	p.t.Helper()
	now := time.Now()
	return p.accept("conversation_rescoring", fmt.Sprintf(`{"from":%q,"to":%q}`, now.Add(-ago).UTC().Format(time.RFC3339), now.Add(time.Hour).UTC().Format(time.RFC3339)))
}

func TestARangeIsScoredAgainByANewModel(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.stock(300, &graded{version: "1", grade: 15})
	p.stock(150, &graded{version: "2", grade: 85})
	model := &graded{version: "2", grade: 75}
	p.work(func(o *workers.Options) { o.Model = model })
	const whole = 40 * 24 * time.Hour
	job := p.done(p.rescore(199*time.Hour + time.Minute).ID)
	require.Equal(t, intake.StateCompleted, job.State, job.LastError)
	require.JSONEq(t, `{"rescored":200,"unchanged":150,"model":"2"}`, string(job.Output))
	require.Nil(t, job.Progress)
	require.Equal(t, map[int]int64{1: 100, 7: 200, 8: 150}, p.counted())

	job = p.done(p.rescore(whole).ID)
	require.JSONEq(t, `{"rescored":100,"unchanged":350,"model":"2"}`, string(job.Output))
	require.Equal(t, map[int]int64{7: 300, 8: 150}, p.counted())
	require.Equal(t, 300, model.scored())

	again := p.again(job.ID)
	require.JSONEq(t, string(job.Output), string(again.Output), "what ran again returns the same")
	require.Equal(t, map[int]int64{7: 300, 8: 150}, p.counted())
	job = p.done(p.rescore(whole).ID)
	require.JSONEq(t, `{"rescored":0,"unchanged":450,"model":"2"}`, string(job.Output))
	require.Equal(t, 300, model.scored())
}

// Whoever goes on begins where the one before stopped, whatever stopped it.
func TestARescoringGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.stock(450, &graded{version: "1", grade: 15})
	job := p.rescore(40 * 24 * time.Hour)
	stop := p.work(func(o *workers.Options) {
		o.Model = &graded{version: "2", grade: 75, on: func(n int) {
			if n >= 250 { // in the second batch
				panic("hush")
			}
		}}
	})
	p.until(job.ID, func(job intake.Job) bool { return job.LastError != nil })
	stop()
	got, err := intake.Find(t.Context(), p.tenancy, "alice", job.ID)
	require.NoError(t, err)
	require.Equal(t, &jobs.Progress{Done: 200, Total: 450}, got.Progress)
	require.Equal(t, map[int]int64{1: 250, 7: 200}, p.counted())

	model := &graded{version: "2", grade: 75}
	stop = p.work(func(o *workers.Options) { o.Model = model })
	got = p.done(job.ID)
	require.JSONEq(t, `{"rescored":450,"unchanged":0,"model":"2"}`, string(got.Output))
	require.Equal(t, 250, model.scored(), "what is done is not done again")
	require.Equal(t, map[int]int64{7: 450}, p.counted())
	stop()

	// Another model begins at the beginning.
	p.work(func(o *workers.Options) { o.Model = &graded{version: "3", grade: 25} })
	require.JSONEq(t, `{"rescored":450,"unchanged":0,"model":"3"}`, string(p.again(job.ID).Output))
	require.Equal(t, map[int]int64{2: 450}, p.counted())
}

// A long range is worked by several attempts, which cost none.
func TestALongRescoringGivesOthersTheirTurn(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.stock(450, &graded{version: "1", grade: 15})
	var (
		mu  sync.Mutex
		now = time.Now()
	)
	registry := prometheus.NewRegistry()
	p.work(func(o *workers.Options) {
		o.Model, o.Metrics = &graded{version: "2", grade: 75}, registry
		o.Now = func() time.Time { // each look at the clock is a little later: some 140 conversations are half an attempt
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(5 * time.Millisecond)
			return now
		}
	})
	job := p.done(p.rescore(40 * 24 * time.Hour).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.JSONEq(t, `{"rescored":450,"unchanged":0,"model":"2"}`, string(job.Output))
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, map[int]int64{7: 450}, p.counted())
	require.GreaterOrEqual(t, job.Snoozes, 2)
	require.InDelta(t, job.Snoozes, counter(t, registry, "millrace_job_attempts_total", map[string]string{"kind": "conversation_rescoring", "outcome": "continued"}), 0)
}

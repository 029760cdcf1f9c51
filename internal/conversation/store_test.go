package conversation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/conversation"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/satisfaction"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// archive is a database, as each role has it.
type archive struct {
	t              *testing.T
	login          *pgxpool.Pool
	intake, worker *postgres.Tenancy
}

func newArchive(t *testing.T) archive {
	t.Helper()
	db := dbtest.New(t)
	return archive{t, db.Pool(t, postgres.Login), db.Tenancy(t, postgres.Intake), db.Tenancy(t, postgres.Worker)}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}

func requireCode(t *testing.T, want fault.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.From(err).Code, "%v", fault.From(err).Cause())
}

func (a archive) insert(conversations ...conversation.Conversation) {
	a.t.Helper()
	jobIDs := make([]int64, len(conversations))
	for i, c := range conversations {
		jobIDs[i] = c.JobID
	}
	require.NoError(a.t, a.intake.Tx(a.t.Context(), conversations[0].Tenant, func(tx pgx.Tx) error {
		return conversation.InsertMany(a.t.Context(), tx, conversations, jobIDs)
	}))
}

// keep stores a conversation of a tenant that was submitted at a time.
func (a archive) keep(tenant, session, at string) conversation.Conversation {
	a.t.Helper()
	r, err := parse(a.t, `{"session_id":"`+session+`","messages":[`+hello+`]}`)
	require.NoError(a.t, err)
	id, err := uuid.NewV7()
	require.NoError(a.t, err)
	c := conversation.New(tenant, id, r, instant(a.t, at))
	a.insert(c)
	return c
}

// graded is a model that grades every conversation alike.
type graded struct {
	version string
	grade   float64
}

func (g graded) Version() string { return g.version }

func (g graded) Score([]satisfaction.Message, satisfaction.Feedback) satisfaction.Score {
	verdict := satisfaction.Neutral
	if g.grade >= 70 {
		verdict = satisfaction.Satisfied
	}
	return satisfaction.Score{
		Model: g.version, Estimate: satisfaction.Estimate{Satisfaction: g.grade, Rating: 1 + g.grade/25, Confidence: 0.5}, Verdict: verdict,
		Reasons: []satisfaction.Reason{{Feature: "grade", Effect: g.grade, Text: "So it is.", Turns: []int{0}}},
	}
}

// record writes scores, and returns how many are the first of their conversations.
func (a archive) record(scores ...conversation.Score) (first int) {
	a.t.Helper()
	require.NoError(a.t, a.worker.Tx(a.t.Context(), scores[0].Tenant, func(tx pgx.Tx) error {
		added, err := conversation.Record(a.t.Context(), tx, scores[0].Tenant, scores)
		first = len(added)
		return err
	}))
	return first
}

func (a archive) score(c conversation.Conversation, model string, grade float64) conversation.Score {
	a.t.Helper()
	s := c.Score(graded{model, grade}, instant(a.t, "2026-03-01T12:00:00.5Z"))
	a.record(s)
	return s
}

// day returns the counts of a tenant's day by bucket, and its mean.
func (a archive) day(tenant, date string) (buckets []int64, mean *float64) {
	a.t.Helper()
	first, last, err := conversation.ParseDays(date, date)
	require.NoError(a.t, err)
	days, err := conversation.Distribution(a.t.Context(), a.intake, tenant, first, last)
	require.NoError(a.t, err)
	require.Len(a.t, days, 1)
	require.Equal(a.t, date, days[0].Date)
	var sum int64
	for _, n := range days[0].Buckets {
		sum += n
	}
	require.Equal(a.t, sum, days[0].Count)
	return days[0].Buckets, days[0].Mean
}

// buckets is a day with that many scores in each of some buckets.
func buckets(counts map[int]int64) []int64 {
	list := make([]int64, conversation.Buckets)
	for bucket, n := range counts {
		list[bucket] = n
	}
	return list
}

func TestTheStoreKeepsEveryField(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := instant(t, "2026-01-31T09:30:00.123456Z")
	full, err := parse(t, `{"session_id":"a:b.c-d_1","messages":[{},{"role":"user","content":"I am jo@example.com \"{,}\\\n","at":"2026-01-31T09:00:00Z"},
		{"role":"assistant","content":"Hi"}],"feedback":{"stars":4,"thumbs":"up","text":"ok"}}`)
	require.NoError(t, err)
	plain, err := parse(t, talk(hello))
	require.NoError(t, err)
	first, second := conversation.New("alice", uuid.New(), full, now), conversation.New("alice", uuid.New(), plain, now)
	first.JobID = 4711
	a.insert(second, first)
	for _, want := range []conversation.Conversation{first, second} {
		loaded, err := conversation.Load(t.Context(), a.worker, "alice", want.ID)
		require.NoError(t, err)
		require.Equal(t, want, loaded)
		found, err := conversation.Find(t.Context(), a.intake, "alice", want.ID)
		require.NoError(t, err)
		require.Equal(t, marshal(t, want), marshal(t, found))
		require.Equal(t, conversation.New("alice", want.ID, map[bool]conversation.Request{true: full, false: plain}[want.ID == first.ID], now).Submitted().ID, found.Submitted().ID)
		_, err = conversation.Find(t.Context(), a.intake, "mallory", want.ID)
		requireCode(t, fault.NotFound, err)
		_, err = conversation.Load(t.Context(), a.worker, "mallory", want.ID)
		requireCode(t, fault.NotFound, err)
	}
	revealed, err := conversation.Load(t.Context(), a.intake, "alice", first.ID)
	require.NoError(t, err)
	require.Equal(t, first, revealed)
	_, err = conversation.Load(t.Context(), a.intake, "mallory", first.ID)
	requireCode(t, fault.NotFound, err)

	// What was accepted is told again, whatever became of it.
	before := marshal(t, conversation.New("alice", first.ID, full, now))
	s := a.score(first, "1", 50)
	found, err := conversation.Find(t.Context(), a.intake, "alice", first.ID)
	require.NoError(t, err)
	require.Equal(t, conversation.Scored, found.Status)
	require.Equal(t, "1", found.Model)
	require.Equal(t, s.ScoredAt, *found.ScoredAt)
	require.Equal(t, before, marshal(t, found.Submitted()))
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// Many large conversations are more than one statement may carry.
func TestLargeConversationsAreWrittenInParts(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	message := `{"role":"user","content":"` + strings.Repeat("x", conversation.MaxContent) + `"}`
	r, err := parse(t, talk(slicesRepeat(message, 60)...)) // 2 MB
	require.NoError(t, err)
	var list []conversation.Conversation
	for range 11 {
		list = append(list, conversation.New("alice", uuid.New(), r, time.Now()))
	}
	a.insert(list...)
	for _, want := range list {
		got, err := conversation.Load(t.Context(), a.worker, "alice", want.ID)
		require.NoError(t, err)
		require.Equal(t, want.Size(), got.Size())
	}
}

func TestAQueuedConversationIsCancelledOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	cancel := func(id uuid.UUID) error {
		return a.intake.Tx(t.Context(), "alice", func(tx pgx.Tx) error { return conversation.Cancel(t.Context(), tx, "alice", id, time.Now()) })
	}
	waiting, scored := a.keep("alice", "s", "2026-01-31T09:30:00Z"), a.keep("alice", "s", "2026-01-31T09:30:00Z")
	a.score(scored, "1", 50)
	require.NoError(t, cancel(waiting.ID))
	got, err := conversation.Find(t.Context(), a.intake, "alice", waiting.ID)
	require.NoError(t, err)
	require.Equal(t, conversation.Cancelled, got.Status)
	requireCode(t, fault.Conflict, cancel(waiting.ID))
	requireCode(t, fault.Conflict, cancel(scored.ID))
	requireCode(t, fault.Conflict, cancel(uuid.New()))
}

func TestAScoreIsKeptWithItsReasons(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.keep("alice", "s-1", "2026-01-31T09:30:00.123456Z")
	_, err := conversation.FindScore(t.Context(), a.intake, "alice", c.ID)
	requireCode(t, fault.NotFound, err)
	want := a.score(c, "1", 63.512345678901234)
	got, err := conversation.FindScore(t.Context(), a.intake, "alice", c.ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = conversation.FindScore(t.Context(), a.intake, "mallory", c.ID)
	requireCode(t, fault.NotFound, err)

	list, err := conversation.List(t.Context(), a.intake, "alice", conversation.Filter{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []conversation.Summary{{
		ID: c.ID, SessionID: "s-1", CreatedAt: c.CreatedAt, ScoredAt: want.ScoredAt, Model: "1", Estimate: want.Estimate, Verdict: satisfaction.Neutral,
	}}, list)
}

// A job runs again, another one scores the same, and a new model comes: each score
// is counted once, where it is.
func TestADayCountsEachScoreOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const day = "2026-01-31"
	c, other := a.keep("alice", "s", day+"T00:00:00Z"), a.keep("alice", "s", day+"T23:59:59.999999Z")
	outside := []conversation.Conversation{a.keep("alice", "s", "2026-01-30T23:59:59.999999Z"), a.keep("alice", "s", "2026-02-01T00:00:00Z"), a.keep("bob", "s", day+"T12:00:00Z")}
	for _, o := range outside {
		a.score(o, "1", 99)
	}
	first := c.Score(graded{"1", 63.1}, time.Now())
	require.Equal(t, 1, a.record(first))
	require.Zero(t, a.record(first), "again")
	require.Zero(t, a.record(c.Score(graded{"1", 12}, time.Now())), "the same model says it once")
	got, mean := a.day("alice", day)
	require.Equal(t, buckets(map[int]int64{6: 1}), got)
	require.InDelta(t, 63.1, *mean, 0)

	require.Equal(t, 1, a.record(other.Score(graded{"1", 63.3}, time.Now())))
	got, mean = a.day("alice", day)
	require.Equal(t, buckets(map[int]int64{6: 2}), got)
	require.InDelta(t, 63.2, *mean, 0)

	// Both move; the one to another bucket.
	require.Zero(t, a.record(c.Score(graded{"2", 60}, time.Now()), other.Score(graded{"2", 0.1}, time.Now())))
	got, mean = a.day("alice", day)
	require.Equal(t, buckets(map[int]int64{0: 1, 6: 1}), got)
	require.InDelta(t, 30.05, *mean, 0)

	a.score(c, "3", 0.1)
	a.score(other, "3", 100)
	got, _ = a.day("alice", day)
	require.Equal(t, buckets(map[int]int64{0: 1, 9: 1}), got, "100 is in the last bucket")
	var left string
	require.NoError(t, a.login.QueryRow(t.Context(), "SELECT string_agg(total::text, ',') FROM score_days WHERE count = 0").Scan(&left))
	require.Regexp(t, `^0(\.0+)?$`, left, "exact: nothing is left of what moved away")

	got, _ = a.day("bob", day)
	require.Equal(t, buckets(map[int]int64{9: 1}), got)
	got, mean = a.day("alice", "2026-03-01")
	require.Equal(t, buckets(nil), got)
	require.Nil(t, mean)
}

func TestBucketsAreTens(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, grade := range []float64{0, 9.999, 10, 19.9, 20, 89.9999999, 90, 100} {
		a.score(a.keep("alice", "s", "2026-01-31T12:00:00Z"), "1", grade)
	}
	got, _ := a.day("alice", "2026-01-31")
	require.Equal(t, buckets(map[int]int64{0: 2, 1: 2, 2: 1, 8: 1, 9: 2}), got)
}

// Many score the same conversations at once, in any order, with two models.
func TestConcurrentScoresAreCountedOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var all []conversation.Conversation
	for range 20 {
		all = append(all, a.keep("alice", "s", "2026-01-31T12:00:00Z"))
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		first int
		errs  []error
	)
	for worker := range 16 {
		group.Go(func() {
			model := graded{fmt.Sprint(worker % 2), float64(10 + 60*(worker%2))}
			var scores []conversation.Score
			for i := range all {
				scores = append(scores, all[(i+worker)%len(all)].Score(model, time.Now()))
			}
			if worker%3 == 0 {
				slices.Reverse(scores)
			}
			err := a.worker.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
				added, err := conversation.Record(t.Context(), tx, "alice", scores)
				mu.Lock()
				defer mu.Unlock()
				first += len(added)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, len(all), first)
	got, _ := a.day("alice", "2026-01-31")
	require.EqualValues(t, len(all), got[1]+got[7])
	var low int64
	require.NoError(t, a.login.QueryRow(t.Context(), "SELECT count(*) FROM scores WHERE satisfaction = 10").Scan(&low))
	require.Equal(t, low, got[1], "the counts are those of the scores")
}

// What is gone is not scored, and nothing is counted for it.
func TestAConversationThatIsGoneIsNotScored(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c, stays := a.keep("alice", "s", "2026-01-31T12:00:00Z"), a.keep("alice", "s", "2026-01-31T12:00:00Z")
	_, err := a.login.Exec(t.Context(), "DELETE FROM conversations WHERE id = $1", c.ID)
	require.NoError(t, err)
	require.Equal(t, 1, a.record(c.Score(graded{"1", 50}, time.Now()), stays.Score(graded{"1", 50}, time.Now())))
	got, _ := a.day("alice", "2026-01-31")
	require.Equal(t, buckets(map[int]int64{5: 1}), got)
	require.Zero(t, a.record(c.Score(graded{"1", 50}, time.Now())))
}

// walk reads a list page by page and returns the ids in its order.
func (a archive) walk(filter conversation.Filter) (ids []uuid.UUID) {
	a.t.Helper()
	for {
		page, err := conversation.List(a.t.Context(), a.intake, "alice", filter)
		require.NoError(a.t, err)
		for _, s := range page {
			ids = append(ids, s.ID)
		}
		require.Less(a.t, len(ids), 1000, "the list ends")
		if len(page) < filter.Limit {
			return ids
		}
		at := filter.Position(page[len(page)-1])
		after, ok := conversation.ParsePosition(at.String())
		require.True(a.t, ok)
		filter.After = &after
	}
}

func TestPagesFollowEachOtherInBothOrdersWithTies(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	type row struct {
		id    uuid.UUID
		at    time.Time
		grade float64
	}
	var rows []row
	for i := range 23 {
		// Ties in both, and one grade that no short number writes.
		at := instant(t, fmt.Sprintf("2026-01-31T12:00:00.%06dZ", 100*(i%4)))
		c := a.keep("alice", "s", at.Format(time.RFC3339Nano))
		grade := []float64{20, 20.1, 100.0 / 3, 80}[i%4/2+i%3]
		a.score(c, "1", grade)
		rows = append(rows, row{c.ID, at, grade})
	}
	a.score(a.keep("bob", "s", "2026-01-31T12:00:00Z"), "1", 20)
	for _, sort := range []conversation.Sort{conversation.ByTime, conversation.BySatisfaction} {
		for _, ascending := range []bool{true, false} {
			want := slices.Clone(rows)
			slices.SortFunc(want, func(a, b row) int {
				order := a.at.Compare(b.at)
				if sort == conversation.BySatisfaction {
					order = int(1e9 * (a.grade - b.grade))
				}
				if order == 0 {
					order = strings.Compare(a.id.String(), b.id.String())
				}
				if !ascending {
					return -order
				}
				return order
			})
			var ids []uuid.UUID
			for _, r := range want {
				ids = append(ids, r.id)
			}
			for _, limit := range []int{1, 2, 5, 23, 100} {
				require.Equal(t, ids, a.walk(conversation.Filter{Sort: sort, Ascending: ascending, Limit: limit}), "%s ascending=%t limit=%d", sort, ascending, limit)
			}
		}
	}
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	low := a.keep("alice", "s-1", "2026-01-01T00:00:00Z")
	middle := a.keep("alice", "s-2", "2026-01-02T00:00:00Z")
	high := a.keep("alice", "s-1", "2026-01-03T00:00:00Z")
	a.score(low, "1", 10)
	a.score(middle, "1", 50)
	a.score(high, "1", 90)
	at := func(day string) time.Time { return instant(t, day+"T00:00:00Z") }
	ten, fifty := 10.0, 50.0
	for name, c := range map[string]struct {
		filter conversation.Filter
		want   []uuid.UUID
	}{
		"everything":       {conversation.Filter{}, []uuid.UUID{low.ID, middle.ID, high.ID}},
		"from, included":   {conversation.Filter{From: at("2026-01-02")}, []uuid.UUID{middle.ID, high.ID}},
		"to, not included": {conversation.Filter{To: at("2026-01-02")}, []uuid.UUID{low.ID}},
		"min, included":    {conversation.Filter{Min: &fifty}, []uuid.UUID{middle.ID, high.ID}},
		"max, included":    {conversation.Filter{Max: &fifty}, []uuid.UUID{low.ID, middle.ID}},
		"one":              {conversation.Filter{Min: &ten, Max: &ten}, []uuid.UUID{low.ID}},
		"session":          {conversation.Filter{SessionID: "s-1"}, []uuid.UUID{low.ID, high.ID}},
		"verdict":          {conversation.Filter{Verdict: satisfaction.Satisfied}, []uuid.UUID{high.ID}},
		"all at once": {conversation.Filter{
			From: at("2026-01-01"), To: at("2026-01-03"), Min: &ten, Max: &fifty, SessionID: "s-1", Verdict: satisfaction.Neutral,
		}, []uuid.UUID{low.ID}},
		"nothing": {conversation.Filter{SessionID: "s-3"}, nil},
	} {
		for _, sort := range []conversation.Sort{conversation.ByTime, conversation.BySatisfaction} {
			c.filter.Sort, c.filter.Ascending, c.filter.Limit = sort, true, 2
			require.Equal(t, c.want, a.walk(c.filter), "%s by %s", name, sort)
		}
	}
}

// Each list has its index: with many rows none is sorted, and none but the page's
// are read.
func TestListsAreReadByIndex(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	_, err := a.login.Exec(t.Context(), `
		INSERT INTO scores (tenant_id, id, session_id, created_at, satisfaction, rating, confidence, verdict, model, detail, scored_at)
		SELECT 'alice', gen_random_uuid(), 's-' || n % 100, '2026-01-01'::timestamptz + n * interval '1 minute', n % 101, 3, 0.5, 'neutral', '1', '{}', now()
		FROM generate_series(1, 20000) AS n`)
	require.NoError(t, err)
	_, err = a.login.Exec(t.Context(), "ANALYZE scores")
	require.NoError(t, err)
	for index, filter := range map[string]conversation.Filter{
		"scores_time":         {Sort: conversation.ByTime, From: instant(t, "2026-01-02T00:00:00Z")},
		"scores_satisfaction": {Sort: conversation.BySatisfaction},
		"scores_session":      {Sort: conversation.ByTime, SessionID: "s-7"},
	} {
		filter.Limit = 20
		filter.After = &conversation.Position{Sort: filter.Sort, CreatedAt: instant(t, "2026-01-10T00:00:00Z"), Satisfaction: 50, ID: uuid.New()}
		plan := a.plan(filter)
		require.Contains(t, plan, index+" on scores", plan)
		require.NotContains(t, plan, "Sort", plan)
	}
}

func (a archive) plan(filter conversation.Filter) string {
	a.t.Helper()
	statement, args := filter.Statement("alice")
	var lines []string
	require.NoError(a.t, a.intake.Query(a.t.Context(), "alice", func(rows pgx.Rows) error {
		var err error
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "EXPLAIN "+statement, args...))
	return strings.Join(lines, "\n")
}

func TestVersionsAreWalkedFromTheOldest(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var want []uuid.UUID
	for range 5 {
		c := a.keep("alice", "s", "2026-01-02T00:00:00Z")
		a.score(c, "1", 50)
		want = append(want, c.ID)
	}
	before, after := a.keep("alice", "s", "2026-01-01T23:59:59Z"), a.keep("alice", "s", "2026-01-03T00:00:00Z")
	a.score(before, "1", 50)
	a.score(after, "1", 50)
	a.keep("alice", "s", "2026-01-02T00:00:00Z") // has no score
	slices.SortFunc(want, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	r := conversation.Range{From: instant(t, "2026-01-02T00:00:00Z"), To: instant(t, "2026-01-03T00:00:00Z")}
	n, err := conversation.CountScores(t.Context(), a.worker, "alice", r)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	var (
		got []uuid.UUID
		at  conversation.Cursor
	)
	for {
		batch, err := conversation.Versions(t.Context(), a.worker, "alice", r, at, 2)
		require.NoError(t, err)
		if len(batch) == 0 {
			break
		}
		for _, v := range batch {
			got = append(got, v.ID)
			require.Equal(t, "1", v.Model)
			at = conversation.Cursor{CreatedAt: v.CreatedAt, ID: v.ID}
		}
	}
	require.Equal(t, want, got)
}

func TestAnUnreachableDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	id := uuid.New()
	for name, err := range map[string]error{
		"find":         errorOf(conversation.Find(gone, a.intake, "alice", id)),
		"score":        errorOf(conversation.FindScore(gone, a.intake, "alice", id)),
		"list":         errorOf(conversation.List(gone, a.intake, "alice", conversation.Filter{Limit: 1})),
		"distribution": errorOf(conversation.Distribution(gone, a.intake, "alice", time.Now(), time.Now())),
		"count":        errorOf(conversation.CountScores(gone, a.worker, "alice", conversation.Range{})),
		"versions":     errorOf(conversation.Versions(gone, a.worker, "alice", conversation.Range{}, conversation.Cursor{}, 1)),
	} {
		require.Equal(t, fault.Unavailable, fault.From(err).Code, name)
	}
}

func errorOf[T any](_ T, err error) error { return err }

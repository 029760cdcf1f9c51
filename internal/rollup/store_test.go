package rollup_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

// site is a database with one of each that works on it.
type site struct {
	t        *testing.T
	db       *dbtest.DB
	intake   *postgres.Tenancy
	worker   *postgres.Tenancy
	recorder *rollup.Recorder
	querier  *rollup.Querier
	now      time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	db := dbtest.New(t)
	s := &site{t: t, db: db, intake: db.Tenancy(t, postgres.Intake), worker: db.Tenancy(t, postgres.Worker), now: noon()}
	s.recorder, s.querier = rollup.NewRecorder(s.intake), rollup.NewQuerier(s.intake)
	return s
}

func point(name string, at time.Time, value float64, tags ...string) rollup.Point {
	p := rollup.Point{Name: name, At: at, Value: json.Number(strconv.FormatFloat(value, 'g', -1, 64)), Tags: map[string]string{}}
	if p.Value == "1e+16" || math.Abs(value) >= 1<<53 {
		p.Value = json.Number(strconv.FormatFloat(value, 'e', -1, 64))
	}
	for i := 0; i+1 < len(tags); i += 2 {
		p.Tags[tags[i]] = tags[i+1]
	}
	return p
}

func (s *site) record(tenant, key string, points ...rollup.Point) (rollup.Receipt, error) {
	s.t.Helper()
	measured, err := rollup.Request{Points: points}.Check(s.now)
	require.NoError(s.t, err)
	body, err := json.Marshal(points)
	require.NoError(s.t, err)
	return s.recorder.Record(s.t.Context(), tenant, key, sha256.Sum256(body), measured, s.now)
}

func (s *site) mustRecord(tenant string, points ...rollup.Point) {
	s.t.Helper()
	_, err := s.record(tenant, "", points...)
	require.NoError(s.t, err)
}

func (s *site) fold(tenant string) rollup.Folded {
	s.t.Helper()
	folded, err := rollup.Fold(s.t.Context(), s.worker, tenant, s.now.Add(time.Hour), func() time.Time { return s.now })
	require.NoError(s.t, err)
	return folded
}

func (s *site) series(tenant, name string, from, to time.Time, step string, gaps bool, tags ...string) []rollup.Bucket {
	s.t.Helper()
	parsed, err := rollup.ParseStep(step)
	require.NoError(s.t, err)
	of := rollup.Selector{Name: name, Tags: map[string]string{}}
	for i := 0; i+1 < len(tags); i += 2 {
		of.Tags[tags[i]] = tags[i+1]
	}
	var all []rollup.Bucket
	for {
		page, next, err := s.querier.Series(s.t.Context(), tenant, of, rollup.Window{From: from, To: to, Step: parsed}, gaps, 17)
		require.NoError(s.t, err)
		all = append(all, page...)
		if next.IsZero() {
			return all
		}
		require.True(s.t, next.After(from), "pages go on")
		from = next
	}
}

// plain is a bucket computed from points without any of our code.
type plain struct {
	Count                              int64
	Sum, Min, Max, First, Last, P50Low float64
}

func recompute(points []rollup.Point, start func(time.Time) time.Time) map[time.Time]plain {
	byBucket := map[time.Time][]rollup.Point{}
	for _, p := range points {
		byBucket[start(p.At)] = append(byBucket[start(p.At)], p)
	}
	all := map[time.Time]plain{}
	for at, points := range byBucket {
		value := func(p rollup.Point) float64 { v, _ := p.Value.Float64(); return v }
		slices.SortFunc(points, func(a, b rollup.Point) int {
			if c := a.At.Compare(b.At); c != 0 {
				return c
			}
			return int(math.Copysign(1, value(a)-value(b)))
		})
		b := plain{Count: int64(len(points)), Min: math.Inf(1), Max: math.Inf(-1), First: value(points[0]), Last: value(points[len(points)-1])}
		sum := new(big.Float).SetPrec(4000)
		for _, p := range points {
			sum.Add(sum, new(big.Float).SetPrec(4000).SetFloat64(value(p)))
			b.Min, b.Max = math.Min(b.Min, value(p)), math.Max(b.Max, value(p))
		}
		b.Sum, _ = sum.Float64()
		all[at] = b
	}
	return all
}

func got(buckets []rollup.Bucket) map[time.Time]plain {
	all := map[time.Time]plain{}
	for _, b := range buckets {
		s := b.Summary
		all[b.At] = plain{Count: s.Count, Sum: s.Sum(), Min: s.Min, Max: s.Max, First: s.First, Last: s.Last}
	}
	return all
}

// Random points, recorded in random order and batches, repeated under their keys,
// folded at random moments by several at once, some of them killed: every bucket
// of every resolution is what one computes from the points.
func TestBucketsAreExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same in every run
			var points []rollup.Point
			for range 400 {
				at := noon().Add(-time.Duration(random.Int64N(int64(3 * time.Hour)))).Truncate(time.Microsecond)
				if random.IntN(10) == 0 {
					at = at.AddDate(-random.IntN(12), 0, 0) // an import of past years
				}
				if random.IntN(5) == 0 {
					at = at.Truncate(time.Minute) // on a boundary, and at the same time as others
				}
				value := random.NormFloat64() * math.Pow(10, float64(random.IntN(30)-10))
				points = append(points, point("latency", at, value, "host", string("abc"[random.IntN(3)])))
			}
			rest := slices.Clone(points)
			random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
			for n := 0; len(rest) > 0; n++ {
				batch := rest[:min(len(rest), 1+random.IntN(60))]
				rest = rest[len(batch):]
				key := fmt.Sprint("batch-", n)
				for range 1 + random.IntN(2) {
					receipt, err := s.record("alice", key, batch...)
					require.NoError(t, err)
					require.Equal(t, len(batch), receipt.Points)
				}
				switch random.IntN(4) {
				case 0:
					s.fold("alice")
				case 1:
					s.foldAtOnce("alice", random)
				}
			}
			s.checkAll("alice", points) // some pending, some folded
			for s.fold("alice").More {
			}
			require.Zero(t, s.pending(), "everything is folded")
			s.checkAll("alice", points)
			before := s.rows()
			require.Zero(t, s.fold("alice").Points, "folding again changes nothing")
			require.Equal(t, before, s.rows())
			for year := range 12 {
				done, err := rollup.Recompute(t.Context(), s.worker, "alice", noon().AddDate(-year, 0, 0).Add(-4*time.Hour), noon().AddDate(-year, 0, 0), func(int, int) {})
				require.NoError(t, err)
				require.Zero(t, done.Written, "a recomputation finds nothing to mend")
				require.Zero(t, done.Kept)
			}
		})
	}
}

// foldAtOnce folds in several transactions at once, and cancels some in the middle.
func (s *site) foldAtOnce(tenant string, random *rand.Rand) {
	s.t.Helper()
	var group sync.WaitGroup
	for range 4 {
		ctx, cancel := context.WithCancel(s.t.Context())
		if random.IntN(2) == 0 {
			ctx, cancel = context.WithTimeout(s.t.Context(), time.Duration(random.IntN(4000))*time.Microsecond)
		}
		group.Go(func() {
			defer cancel()
			_, err := rollup.Fold(ctx, s.worker, tenant, s.now.Add(time.Hour), func() time.Time { return s.now })
			if ctx.Err() == nil {
				assert.NoError(s.t, err)
			}
		})
	}
	group.Wait()
}

func (s *site) checkAll(tenant string, points []rollup.Point) {
	s.t.Helper()
	from, to := noon().AddDate(-13, 0, 0), noon().Add(24*time.Hour)
	for step, width := range map[string]time.Duration{"1m": time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "5m": 5 * time.Minute, "6h": 6 * time.Hour, "45s": 45 * time.Second} {
		start := func(at time.Time) time.Time { return at.Truncate(width).UTC() }
		if width >= 24*time.Hour {
			start = func(at time.Time) time.Time {
				return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
			}
		}
		if step == "45s" {
			start = func(at time.Time) time.Time { return time.Unix(at.Unix()/45*45, 0).UTC() }
		}
		want := recompute(points, start)
		require.Equal(s.t, want, got(s.series(tenant, "latency", from, to, step, false)), step)
		var ofA []rollup.Point
		for _, p := range points {
			if p.Tags["host"] == "a" {
				ofA = append(ofA, p)
			}
		}
		require.Equal(s.t, recompute(ofA, start), got(s.series(tenant, "latency", from, to, step, false, "host", "a")), step)
	}
	require.Empty(s.t, s.series("mallory", "latency", from, to, "1d", false))
}

func (s *site) pending() (n int) {
	s.t.Helper()
	require.NoError(s.t, s.db.Pool(s.t, postgres.Login).QueryRow(s.t.Context(), "SELECT count(*) FROM metric_chunks WHERE pending").Scan(&n))
	return n
}

// rows are the contents of all buckets.
func (s *site) rows() (text string) {
	s.t.Helper()
	require.NoError(s.t, s.db.Pool(s.t, postgres.Login).QueryRow(s.t.Context(), `
		SELECT string_agg(row::text, E'\n' ORDER BY row::text) FROM (
			SELECT * FROM metric_buckets_1m UNION ALL SELECT * FROM metric_buckets_1h UNION ALL SELECT * FROM metric_buckets_1d
		) AS row`).Scan(&text))
	return text
}

func TestAKeyCountsOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := point("visits", noon(), 1)
	first, err := s.record("alice", "k", p)
	require.NoError(t, err)
	require.Equal(t, rollup.Receipt{Points: 1}, first)
	again, err := s.record("alice", "k", p)
	require.NoError(t, err)
	require.Equal(t, rollup.Receipt{Points: 1, Replayed: true}, again)
	_, err = s.record("alice", "k", p, p)
	require.Equal(t, fault.IdempotencyMismatch, fault.From(err).Code)
	_, err = s.record("mallory", "k", p)
	require.NoError(t, err, "keys are a tenant's")
	s.mustRecord("alice", p)
	s.mustRecord("alice", p)
	s.fold("alice")
	buckets := s.series("alice", "visits", noon(), noon().Add(time.Minute), "1m", false)
	require.Len(t, buckets, 1)
	require.EqualValues(t, 3, buckets[0].Summary.Count, "without a key each request counts")
}

func TestSeriesAreCapped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, rollup.Set(t.Context(), s.db.Tenancy(t, postgres.Owner), "alice", rollup.Settings{MaxSeries: 3}))
	s.mustRecord("alice", point("a", noon(), 1), point("b", noon(), 1))
	_, err := s.record("alice", "", point("a", noon(), 1, "id", "1"), point("a", noon(), 1, "id", "2"))
	f := fault.From(err)
	require.Equal(t, fault.InvalidInput, f.Code)
	require.EqualValues(t, 3, f.Details["max_series"])
	require.Empty(t, s.series("alice", "a", noon(), noon().Add(time.Minute), "1m", false, "id", "1"), "nothing of a refused request is left behind")
	s.mustRecord("alice", point("a", noon(), 1, "id", "1"))
	s.mustRecord("alice", point("A", noon(), 1, "ID", " 1 "), point("b", noon(), 1))
	_, err = s.record("alice", "", point("c", noon(), 1))
	require.Error(t, err)
	s.mustRecord("mallory", point("c", noon(), 1), point("d", noon(), 1), point("e", noon(), 1), point("f", noon(), 1))

	// Racing for the last place, through two processes.
	require.NoError(t, rollup.Set(t.Context(), s.db.Tenancy(t, postgres.Owner), "alice", rollup.Settings{MaxSeries: 4}))
	var group sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range 8 {
		recorder := rollup.NewRecorder(s.intake)
		group.Go(func() {
			measured, err := rollup.Request{Points: []rollup.Point{point("race", noon(), 1, "n", fmt.Sprint(n))}}.Check(noon())
			assert.NoError(t, err)
			if _, err := recorder.Record(t.Context(), "alice", "", [32]byte{}, measured, noon()); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won++
			}
		})
	}
	group.Wait()
	require.Equal(t, 1, won)
}

func TestPagesAndGaps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.now = noon().Add(3 * time.Hour)
	for i := range 30 {
		s.mustRecord("alice", point("x", noon().Add(time.Duration(i*3)*time.Minute), float64(i)))
	}
	s.fold("alice")
	require.Len(t, s.series("alice", "x", noon(), noon().Add(2*time.Hour), "1m", false), 30)
	all := s.series("alice", "x", noon(), noon().Add(2*time.Hour), "1m", true)
	require.Len(t, all, 120, "with gaps each step has a bucket")
	for i, b := range all {
		require.Equal(t, noon().Add(time.Duration(i)*time.Minute), b.At)
		require.Equal(t, i%3 == 0 && i < 90, b.Summary != nil)
	}
}

func TestLatestTopAndNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustRecord("alice", point("load", noon().Add(-48*time.Hour), 9, "host", "old"), point("load", noon(), 2, "host", "a"), point("load", noon(), 4, "host", "b"))
	s.fold("alice")
	s.mustRecord("alice", point("load", noon().Add(time.Minute), 3, "host", "a"), point("other", noon(), 1))
	values, err := s.querier.Latest(t.Context(), "alice", rollup.Selector{Name: "load"}, 10)
	require.NoError(t, err)
	names := func(values []rollup.SeriesValue) (all []string) {
		for _, v := range values {
			all = append(all, fmt.Sprint(v.Series.Tags["host"], "=", v.Value))
		}
		return all
	}
	require.Equal(t, []string{"a=3", "b=4", "old=9"}, names(values), "what is pending included, the newest first")
	top, err := s.querier.Top(t.Context(), "alice", rollup.Selector{Name: "load"}, noon().Add(-time.Hour), noon().Add(time.Hour), "sum", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"a=5", "b=4"}, names(top))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	login := s.db.Pool(t, postgres.Login)
	partitions := func() []string {
		rows, err := login.Query(t.Context(), "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r' ORDER BY 1")
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return names
	}
	// The clock is the test's, but the database notes late writes by its own.
	s.now = time.Now().UTC()
	s.mustRecord("alice", point("x", s.now, 1), point("x", s.now.AddDate(-3, 0, 0), 2))
	s.fold("alice")
	s.mustRecord("alice", point("x", s.now, 1)) // pending
	kept, err := rollup.Keep(t.Context(), s.worker, s.now)
	require.NoError(t, err)
	require.Empty(t, kept.Dropped, "what was just imported stays, however old it is")
	before := partitions()

	later := s.now.AddDate(0, 0, 12)
	kept, err = rollup.Keep(t.Context(), s.worker, later)
	require.NoError(t, err)
	today := "metric_chunks_" + s.now.Format("20060102")
	require.NotContains(t, kept.Dropped, today, "points that are not folded are not dropped")
	require.Greater(t, len(partitions()), len(before), "the partitions to come are there")
	s.fold("alice")
	kept, err = rollup.Keep(t.Context(), s.worker, later)
	require.NoError(t, err)
	require.Equal(t, []string{today}, kept.Dropped)

	require.NoError(t, rollup.Set(t.Context(), s.db.Tenancy(t, postgres.Owner), "alice", rollup.Settings{MinuteDays: 100, HourDays: 500}))
	kept, err = rollup.Keep(t.Context(), s.worker, s.now.AddDate(0, 0, 60))
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(kept.Dropped), "1m", "a tenant keeps minutes longer")
	kept, err = rollup.Keep(t.Context(), s.worker, s.now.AddDate(2, 0, 0))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(kept.Dropped), "metric_buckets_1m_")
	require.Contains(t, fmt.Sprint(kept.Dropped), "metric_buckets_1h_")
	require.Len(t, s.series("alice", "x", s.now.AddDate(-4, 0, 0), s.now.AddDate(0, 0, 1), "1d", false), 2, "days are for ever")
}

// What is stored wrongly, a recomputation mends; what it cannot know it leaves.
func TestRecomputeMends(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustRecord("alice", point("x", noon(), 1), point("x", noon().Add(time.Second), 5), point("y", noon(), 7))
	s.fold("alice")
	good := s.rows()
	login := s.db.Pool(t, postgres.Login)
	_, err := login.Exec(t.Context(), "UPDATE metric_buckets_1m SET sum = 99, max = 99 WHERE count = 2")
	require.NoError(t, err)
	_, err = login.Exec(t.Context(), "UPDATE metric_buckets_1h SET count = 5 WHERE count = 1")
	require.NoError(t, err)
	_, err = login.Exec(t.Context(), "DELETE FROM metric_buckets_1d WHERE count = 1")
	require.NoError(t, err)
	steps := 0
	done, err := rollup.Recompute(t.Context(), s.worker, "alice", noon(), noon().Add(time.Minute), func(_, total int) { steps++; require.Equal(t, 1, total) })
	require.NoError(t, err)
	require.Equal(t, 1, steps)
	require.Equal(t, rollup.Recomputed{Checked: 5, Written: 2, Kept: 1}, done)
	_, err = login.Exec(t.Context(), "UPDATE metric_buckets_1h SET count = 1 WHERE count = 5")
	require.NoError(t, err)
	require.Equal(t, good, s.rows())
}

func TestDaysAndWeeksOfAZone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	// The day on which clocks go forward has 23 hours.
	from := time.Date(2026, 3, 27, 23, 0, 0, 0, time.UTC)
	s.now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	var points []rollup.Point
	for h := range 96 {
		points = append(points, point("x", from.Add(time.Duration(h)*time.Hour), 1))
	}
	s.mustRecord("alice", points...)
	s.fold("alice")
	for step, want := range map[time.Duration]map[string]int64{
		24 * time.Hour:     {"2026-03-28": 24, "2026-03-29": 23, "2026-03-30": 24, "2026-03-31": 24, "2026-04-01": 1},
		7 * 24 * time.Hour: {"2026-03-23": 47, "2026-03-30": 49},
	} {
		buckets, _, err := s.querier.Series(t.Context(), "alice", rollup.Selector{Name: "x"},
			rollup.Window{From: from, To: s.now, Step: rollup.Step{Width: step, Zone: berlin}}, false, 100)
		require.NoError(t, err)
		counts := map[string]int64{}
		for _, b := range buckets {
			counts[b.At.In(berlin).Format("2006-01-02")] = b.Summary.Count
		}
		require.Equal(t, want, counts)
	}
}

func TestBacklogs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tenant := range []string{"zoe", "alice", "mallory"} {
		s.mustRecord(tenant, point("x", noon(), 1))
		s.now = s.now.Add(25 * time.Hour)
		s.mustRecord(tenant, point("x", noon(), 1))
	}
	s.fold("mallory")
	backlogs, err := rollup.Backlogs(t.Context(), s.worker)
	require.NoError(t, err)
	since := map[string]time.Time{}
	for _, b := range backlogs {
		since[b.Tenant] = b.Since.UTC()
	}
	require.Equal(t, map[string]time.Time{"zoe": noon(), "alice": noon().Add(25 * time.Hour)}, since)
	require.Equal(t, []string{"alice", "zoe"}, slices.Sorted(maps.Keys(since)))
}

// The newest point may begin a bucket that more points come into, and what is known of
// it may be wrong.
func TestABucketThatIsThereIsAddedTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 3 {
		s.mustRecord("alice", point("a", noon(), float64(i)))
		require.Equal(t, 3, s.fold("alice").Buckets)
		var mistaken bool
		require.NoError(t, s.db.Pool(t, postgres.Login).QueryRow(t.Context(), "SELECT newest_at <> $1 FROM metric_tenants", noon()).Scan(&mistaken))
		require.False(t, mistaken)
	}
	_, err := s.db.Pool(t, postgres.Login).Exec(t.Context(), "UPDATE metric_tenants SET newest_at = 'epoch'")
	require.NoError(t, err)
	s.mustRecord("alice", point("a", noon().Add(time.Second), 3), point("b", noon(), 4))
	require.Equal(t, 6, s.fold("alice").Buckets)
	buckets := s.series("alice", "a", noon(), noon().Add(time.Hour), "1m", false)
	require.Len(t, buckets, 1)
	require.EqualValues(t, 4, buckets[0].Summary.Count)
}

// A point without a time is the same whenever it comes, and another than one with the
// time at which that came.
func TestHashesAreOfWhatWasSent(t *testing.T) {
	t.Parallel()
	hash := func(now time.Time, p rollup.Point) [32]byte {
		measured, err := rollup.Request{Points: []rollup.Point{p}}.Check(now)
		require.NoError(t, err)
		return rollup.Hash(measured)
	}
	timed, untimed := point("a", noon(), 1), point("a", time.Time{}, 1)
	require.Equal(t, hash(noon(), untimed), hash(noon().Add(time.Hour), untimed))
	require.Equal(t, hash(noon(), timed), hash(noon().Add(time.Hour), timed))
	require.NotEqual(t, hash(noon(), untimed), hash(noon(), timed))
}

func TestNamesAndTagsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var points []rollup.Point
	for i := range 120 {
		points = append(points, point(fmt.Sprintf("m%03d", i), noon(), 1), point("wide", noon(), 1, "n", fmt.Sprintf("%03d", i)))
	}
	s.mustRecord("alice", points...)
	names, err := s.querier.Names(t.Context(), "alice", "m", "m017", 10)
	require.NoError(t, err)
	require.Len(t, names, 10)
	require.Equal(t, rollup.Metric{Name: "m018", Series: 1}, names[0])
	tags, err := s.querier.Tags(t.Context(), "alice", "wide")
	require.NoError(t, err)
	require.Len(t, tags, 1)
	require.True(t, tags[0].More)
	require.Equal(t, "099", tags[0].Values[99])
	names, err = s.querier.Names(t.Context(), "bob", "", "", 10)
	require.NoError(t, err)
	require.Empty(t, names)
}

package jobs_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/jobs"
)

func TestTheCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, kind := range jobs.Catalog() {
		require.Regexp(t, regexp.MustCompile(`^[a-z][a-z0-9_]+$`), kind.Name)
		require.False(t, names[kind.Name], "a kind is listed once")
		names[kind.Name] = true
		require.NotEmpty(t, kind.Queue, kind.Name)
		require.NotEmpty(t, kind.Summary, kind.Name)
		require.Positive(t, kind.Slots, kind.Name)
		p := kind.Policy
		require.Positive(t, p.MaxAttempts, kind.Name)
		require.LessOrEqual(t, p.MaxAttempts, 32767, kind.Name)
		require.Positive(t, p.Timeout, kind.Name)
		require.Positive(t, p.FirstRetry, kind.Name)
		require.GreaterOrEqual(t, p.MaxRetry, p.FirstRetry, kind.Name)
		require.Positive(t, p.Target, kind.Name)
		require.Less(t, p.Horizon(), 23*time.Hour, "%s: vendors forget idempotency keys after 24 h", kind.Name)
		require.Same(t, jobs.Find(kind.Name).Input(), kind.Input())
	}
	handlers := reflect.TypeFor[jobs.Handlers]()
	require.Equal(t, len(names), handlers.NumMethod(), "a method for each kind, and no other")
	require.Nil(t, jobs.Find("nonsense"))
}

func TestEverySampleIsAccepted(t *testing.T) {
	t.Parallel()
	for _, kind := range jobs.Catalog() {
		sample, err := json.Marshal(kind.Sample)
		require.NoError(t, err)
		id := uuid.New()
		accepted, err := kind.Accept(sample, jobs.Acceptance{Tenant: "alice", ID: id, Now: time.Now()})
		require.NoError(t, err, kind.Name)
		require.Equal(t, kind.Name, accepted.Args.Kind())
		if kind.Resource != "" {
			require.Equal(t, id, accepted.ResourceID)
			require.Equal(t, kind.ResourceType(), reflect.TypeOf(accepted.Resource))
			args, err := json.Marshal(accepted.Args)
			require.NoError(t, err)
			require.Regexp(t, regexp.MustCompile(`^\{("[a-z_]+_id":"[0-9a-f-]{36}",?)+\}$`), string(args), "args carry ids only")
		}
	}
}

func TestTheHashIsOfWhatIsAskedNotOfItsSpelling(t *testing.T) {
	t.Parallel()
	kind := jobs.Find("payment_capture")
	hash := func(body string) [32]byte {
		accepted, err := kind.Accept([]byte(body), jobs.Acceptance{ID: uuid.New(), Now: time.Now()})
		require.NoError(t, err)
		return accepted.Hash
	}
	first := hash(`{"amount":100,"currency":"usd","payment_method":"pm_1","metadata":{"a":"1","b":"2"}}`)
	require.Equal(t, first, hash(` {"metadata":{"b":"2","a":"1"}, "payment_method":"pm_1","currency":"USD","amount":100}`))
	require.NotEqual(t, first, hash(`{"amount":200,"currency":"usd","payment_method":"pm_1","metadata":{"a":"1","b":"2"}}`))
}

func TestAcceptRefusesBadInput(t *testing.T) {
	t.Parallel()
	for _, kind := range jobs.Catalog() {
		for _, body := range []string{"", "null", "[]", `{"nonsense":1}`, strings.Repeat("{", 100)} {
			_, err := kind.Accept([]byte(body), jobs.Acceptance{ID: uuid.New(), Now: time.Now()})
			require.Equal(t, fault.InvalidInput, fault.From(err).Code, "%s: %s", kind.Name, body)
		}
	}
}

func TestDelayDoublesUpToItsCapWithJitter(t *testing.T) {
	t.Parallel()
	p := jobs.Policy{MaxAttempts: 10, FirstRetry: time.Second, MaxRetry: time.Minute}
	for attempt, full := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 60: time.Minute, 1000: time.Minute} {
		seen := map[time.Duration]bool{}
		for job := range int64(50) {
			got := p.Delay(job, attempt)
			require.LessOrEqual(t, got, full)
			require.GreaterOrEqual(t, got, full*9/10)
			require.Equal(t, got, p.Delay(job, attempt), "the same job waits the same")
			seen[got] = true
		}
		require.Greater(t, len(seen), 25, "jobs that failed together come back apart")
	}
}

package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/internal/provider"
)

var (
	errDown    = errors.New("no answer")
	errRefused = errors.New("no")
)

const pause = 10 * time.Second // the default

// line is a provider that answers as it is told, and what was asked of it.
type line struct {
	*provider.Provider

	t       *testing.T
	metrics *prometheus.Registry
	asked   int
}

// options are valid.
func options() provider.Options {
	return provider.Options{
		Name: "acme", Operations: []string{"read", "write"}, Metrics: prometheus.NewRegistry(),
		Down: func(err error) bool { return errors.Is(err, errDown) },
	}
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{t: t, metrics: prometheus.NewRegistry()}
	opts := options()
	opts.Metrics = l.metrics
	var err error
	l.Provider, err = provider.New(opts)
	require.NoError(t, err)
	return l
}

// call makes a call that ends so.
func (l *line) call(with error) error {
	return l.Do(l.t.Context(), "read", "a", func() error { l.asked++; return with })
}

// fail makes calls until the provider is left alone.
func (l *line) fail() {
	l.t.Helper()
	for range 5 {
		require.ErrorIs(l.t, l.call(errDown), errDown)
	}
	l.leftAlone()
}

// leftAlone says that the next call is not made.
func (l *line) leftAlone() {
	l.t.Helper()
	before := l.asked
	var open *provider.Open
	require.ErrorAs(l.t, l.call(nil), &open)
	require.Equal(l.t, before, l.asked, "the call was made")
	require.GreaterOrEqual(l.t, open.For, pause)
	require.Contains(l.t, open.Error(), open.For.String())
}

// gauge reads millrace_provider_open.
func (l *line) gauge() float64 {
	l.t.Helper()
	families, err := l.metrics.Gather()
	require.NoError(l.t, err)
	for _, family := range families {
		if family.GetName() == "millrace_provider_open" {
			require.Equal(l.t, "acme", family.GetMetric()[0].GetLabel()[0].GetValue())
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(l.t, "there is no gauge")
	return 0
}

// later waits by the bubble's clock, which takes no time.
func later(d time.Duration) { <-time.After(d) }

func TestNewRefusesWhatItCannotWorkWith(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*provider.Options){
		"no name":       func(o *provider.Options) { o.Name = "" },
		"no operations": func(o *provider.Options) { o.Operations = nil },
		"no judgement":  func(o *provider.Options) { o.Down = nil },
		"no metrics":    func(o *provider.Options) { o.Metrics = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			change(&opts)
			_, err := provider.New(opts)
			require.ErrorContains(t, err, "required")
		})
	}
	opts := options()
	_, err := provider.New(opts)
	require.NoError(t, err)
	_, err = provider.New(opts)
	require.ErrorContains(t, err, "metrics", "one provider, one set of metrics")
	opts.Name = "another"
	_, err = provider.New(opts)
	require.NoError(t, err)
}

func TestCallsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		count := func(ok, refused, down, open, written int) {
			t.Helper()
			require.NoError(t, testutil.GatherAndCompare(l.metrics, strings.NewReader(fmt.Sprintf(`
# HELP millrace_provider_calls_total Calls to a provider by outcome: ok, refused (it said no), down (no answer, or an error of its own), open (not called, as it is down).
# TYPE millrace_provider_calls_total counter
millrace_provider_calls_total{operation="read",outcome="down",provider="acme"} %d
millrace_provider_calls_total{operation="read",outcome="ok",provider="acme"} %d
millrace_provider_calls_total{operation="read",outcome="open",provider="acme"} %d
millrace_provider_calls_total{operation="read",outcome="refused",provider="acme"} %d
millrace_provider_calls_total{operation="write",outcome="down",provider="acme"} 0
millrace_provider_calls_total{operation="write",outcome="ok",provider="acme"} %d
millrace_provider_calls_total{operation="write",outcome="open",provider="acme"} 0
millrace_provider_calls_total{operation="write",outcome="refused",provider="acme"} 0
`, down, ok, open, refused, written)), "millrace_provider_calls_total"))
		}
		count(0, 0, 0, 0, 0) // rates need a first value

		require.NoError(t, l.Do(l.t.Context(), "write", "a", func() error { later(2 * time.Second); return nil }))
		require.NoError(t, l.call(nil))
		require.ErrorIs(t, l.call(errRefused), errRefused)
		require.ErrorIs(t, l.call(errRefused), errRefused)
		count(1, 2, 0, 0, 1)
		l.fail()
		l.leftAlone()
		count(1, 2, 5, 2, 1)

		families, err := l.metrics.Gather()
		require.NoError(t, err)
		times := map[string][2]float64{}
		for _, family := range families {
			if family.GetName() != "millrace_provider_call_seconds" {
				continue
			}
			for _, metric := range family.GetMetric() {
				h := metric.GetHistogram()
				times[metric.GetLabel()[0].GetValue()] = [2]float64{float64(h.GetSampleCount()), h.GetSampleSum()}
			}
		}
		require.Equal(t, map[string][2]float64{"read": {8, 0}, "write": {1, 2}}, times, "what was not called took no time")
	})
}

func TestFiveFailuresInARowLeaveItAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, with := range []error{nil, errRefused} { // a refusal is an answer
			l := newLine(t)
			for range 2 { // too few calls for their share to count
				for range 4 {
					require.ErrorIs(t, l.call(errDown), errDown)
				}
				require.ErrorIs(t, l.call(with), with)
			}
			l.fail()
		}
	})
}

func TestRefusalsAreAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for range 100 {
			require.ErrorIs(t, l.call(errRefused), errRefused)
		}
	})
}

func TestHalfOfManyCallsFailingLeavesItAlone(t *testing.T) {
	t.Parallel()
	// pairs makes n calls that succeed and n that fail, by turns.
	pairs := func(t *testing.T, l *line, n int) {
		t.Helper()
		for range n {
			require.NoError(t, l.call(nil))
			require.ErrorIs(t, l.call(errDown), errDown)
		}
	}
	t.Run("of 20 calls", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			pairs(t, l, 10)
			l.leftAlone()
		})
	})
	t.Run("not of fewer calls in half a minute", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			for range 4 {
				pairs(t, l, 9)
				later(31 * time.Second)
			}
			require.NoError(t, l.call(nil))
		})
	})
	t.Run("not a third", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			for range 40 {
				require.NoError(t, l.call(nil))
				require.NoError(t, l.call(nil))
				require.ErrorIs(t, l.call(errDown), errDown)
			}
		})
	})
}

func TestOneCallAtATimeTriesWhetherItIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.fail()
		later(pause - time.Millisecond)
		l.leftAlone()
		later(2 * time.Millisecond)
		answer := make(chan error)
		tried := make(chan error, 1)
		go func() { tried <- l.Do(l.t.Context(), "read", "b", func() error { return <-answer }) }()
		synctest.Wait()
		l.leftAlone() // while the other one tries
		require.InDelta(t, 1, l.gauge(), 0)
		answer <- nil
		require.NoError(t, <-tried)
		require.InDelta(t, 0, l.gauge(), 0)
		for range 4 {
			require.ErrorIs(t, l.call(errDown), errDown) // what was before is forgotten
		}
		require.NoError(t, l.call(nil))
	})
}

func TestAnyAnswerSaysThatItIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.fail()
		later(pause + 1)
		require.ErrorIs(t, l.call(errRefused), errRefused)
		require.InDelta(t, 0, l.gauge(), 0)
		require.NoError(t, l.call(nil))
	})
}

func TestAFailedTryLeavesItAloneAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.fail()
		for range 3 {
			later(pause + 1)
			require.ErrorIs(t, l.call(errDown), errDown)
			l.leftAlone()
			later(pause - time.Millisecond)
			l.leftAlone()
			require.InDelta(t, 1, l.gauge(), 0)
		}
	})
}

// Whoever gave up waiting knows nothing of the provider.
func TestCancelledCallsSayNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		cancelled := fmt.Errorf("%w: %w", errDown, context.Canceled)
		for range 100 {
			require.ErrorIs(t, l.call(cancelled), cancelled)
		}
		l.fail()
		later(pause + 1)
		require.ErrorIs(t, l.call(cancelled), cancelled)
		require.InDelta(t, 1, l.gauge(), 0, "it did not tell that it is back")
		require.NoError(t, l.call(nil), "nor that it is down: the next one tries")
		require.InDelta(t, 0, l.gauge(), 0)
	})
}

func TestTimeoutsMeanThatItIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for range 5 {
			late := fmt.Errorf("%w: %w", errDown, context.DeadlineExceeded)
			require.ErrorIs(t, l.call(late), late)
		}
		l.leftAlone()
	})
}

func TestABacklogComesBackSpreadOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		// spread is by how much longer than the pause calls about different things are put off.
		spread := func() (least, most time.Duration, different int) {
			t.Helper()
			seen := map[time.Duration]bool{}
			least = time.Hour
			for i := range 500 {
				of := fmt.Sprintf("payment %d", i)
				var open, again *provider.Open
				require.ErrorAs(t, l.Do(l.t.Context(), "read", of, func() error { return nil }), &open)
				require.ErrorAs(t, l.Do(l.t.Context(), "write", of, func() error { return nil }), &again)
				require.Equal(t, open.For, again.For, "the same for the same thing")
				least, most = min(least, open.For-pause), max(most, open.For-pause)
				seen[open.For] = true
			}
			return least, most, len(seen)
		}
		within := func(d time.Duration) {
			t.Helper()
			least, most, different := spread()
			require.Greater(t, different, 300)
			require.GreaterOrEqual(t, least, time.Duration(0))
			require.Less(t, least, d/20)
			require.Less(t, most, d)
			require.Greater(t, most, d-d/20)
		}

		l.fail()
		_, most, _ := spread()
		require.Zero(t, most, "there is no backlog yet")
		later(8 * time.Second)
		within(8 * time.Second)
		later(pause)
		require.ErrorIs(t, l.call(errDown), errDown)
		within(18 * time.Second) // counted from the first failure
		later(24 * time.Hour)
		require.ErrorIs(t, l.call(errDown), errDown)
		within(time.Minute) // and no more

		later(pause + 1)
		require.NoError(t, l.call(nil))
		l.fail()
		_, most, _ = spread()
		require.Zero(t, most, "another outage counts anew")
	})
}

func TestThePauseIsAnOption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.Pause = time.Minute
		p, err := provider.New(opts)
		require.NoError(t, err)
		for range 5 {
			require.ErrorIs(t, p.Do(t.Context(), "read", "a", func() error { return errDown }), errDown)
		}
		later(time.Minute - 1)
		var open *provider.Open
		require.ErrorAs(t, p.Do(t.Context(), "read", "a", func() error { return nil }), &open)
		require.GreaterOrEqual(t, open.For, time.Minute)
		later(2)
		require.NoError(t, p.Do(t.Context(), "read", "a", func() error { return nil }))
	})
}

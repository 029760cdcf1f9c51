package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	scrapeTimeout = 10 * time.Second
	// maxScrape bounds what one process may answer, in bytes; ours are some 200 KB.
	maxScrape = 64 << 20
)

// Target is a process's metrics: the URL of what Prometheus would scrape.
type Target struct{ URL string }

// ParseTargets reads addresses with commas between them: host:port, or URLs;
// without a path it is /metrics.
func ParseTargets(text string) ([]Target, error) {
	var targets []Target
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if !strings.Contains(entry, "://") {
			entry = "http://" + entry
		}
		parsed, err := url.Parse(entry)
		if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
			return nil, errors.New("metrics addresses look like 127.0.0.1:9464,127.0.0.1:9465 or http://127.0.0.1:9464/metrics")
		}
		parsed.Path = cmp.Or(strings.TrimSuffix(parsed.Path, "/"), "/metrics")
		targets = append(targets, Target{parsed.String()})
	}
	return targets, nil
}

// series is one process's values at one time, by name and labels.
type series map[string]sample

type sample struct {
	metric string
	labels map[string]string
	value  float64
}

// scrape is what the processes said at one time.
type scrape struct {
	at     map[string]time.Time
	series map[string]series // by target
}

// Scrapes are two looks at the same processes, one after the other.
type Scrapes struct {
	first, second scrape
	// Silent are the targets that did not answer, with the reason.
	Silent map[string]error
}

// Scrape reads every target twice, with wait between; once when wait is nil, and
// then nothing grows. It fails when none answers.
func Scrape(ctx context.Context, targets []Target, clock func() time.Time, wait func(context.Context) error) (*Scrapes, error) {
	s := &Scrapes{Silent: map[string]error{}}
	var err error
	if s.first, err = scrapeAll(ctx, targets, clock, s.Silent); err != nil {
		return nil, err
	}
	if wait == nil {
		s.second = s.first
		return s, nil
	}
	if err := wait(ctx); err != nil {
		return nil, err
	}
	if s.second, err = scrapeAll(ctx, targets, clock, s.Silent); err != nil {
		return nil, err
	}
	return s, nil
}

func scrapeAll(ctx context.Context, targets []Target, clock func() time.Time, silent map[string]error) (scrape, error) {
	all := scrape{at: map[string]time.Time{}, series: map[string]series{}}
	var failed error
	for _, target := range targets {
		found, err := scrapeOne(ctx, target)
		if ctx.Err() != nil {
			return scrape{}, fmt.Errorf("observe: %w", ctx.Err())
		}
		if err != nil {
			failed = fmt.Errorf("observe: %s: %w", target.URL, err)
			silent[target.URL] = err
			continue
		}
		all.at[target.URL], all.series[target.URL] = clock(), found
	}
	if len(all.series) == 0 {
		return scrape{}, failed
	}
	return all, nil
}

func scrapeOne(ctx context.Context, target Target) (series, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", response.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, maxScrape))
	if err != nil {
		return nil, fmt.Errorf("it does not answer with metrics: %w", err)
	}
	found := series{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			found.add(family, metric)
		}
	}
	return found, nil
}

// add takes a metric apart into series, as Prometheus stores it.
func (s series) add(family *dto.MetricFamily, metric *dto.Metric) {
	labels := make(map[string]string, len(metric.GetLabel()))
	for _, label := range metric.GetLabel() {
		labels[label.GetName()] = label.GetValue()
	}
	put := func(name string, labels map[string]string, value float64) {
		s[key(name, labels)] = sample{name, labels, value}
	}
	switch family.GetType() {
	case dto.MetricType_HISTOGRAM:
		put(family.GetName()+"_sum", labels, metric.GetHistogram().GetSampleSum())
		put(family.GetName()+"_count", labels, float64(metric.GetHistogram().GetSampleCount()))
		for _, bucket := range metric.GetHistogram().GetBucket() {
			bounded := maps.Clone(labels)
			bounded["le"] = strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64)
			put(family.GetName()+"_bucket", bounded, float64(bucket.GetCumulativeCount()))
		}
	case dto.MetricType_COUNTER:
		put(family.GetName(), labels, metric.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		put(family.GetName(), labels, metric.GetGauge().GetValue())
	case dto.MetricType_UNTYPED:
		put(family.GetName(), labels, metric.GetUntyped().GetValue())
	case dto.MetricType_SUMMARY, dto.MetricType_GAUGE_HISTOGRAM: // none of ours
	}
}

func key(name string, labels map[string]string) string {
	var text strings.Builder
	text.WriteString(name)
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		text.WriteString("\xff" + label + "\xff" + labels[label])
	}
	return text.String()
}

func (s *Scrapes) read(_ context.Context, sig signal) ([]value, error) {
	switch sig.of {
	case perSecond:
		return sig.folded(s.rates(sig.metric)), nil
	case growth:
		return s.growth(sig), nil
	case lowest:
		return sig.foldedBy(least, append(sig.folded(s.first.of(sig.metric)), sig.folded(s.second.of(sig.metric))...)), nil
	case now:
	}
	return sig.folded(s.second.of(sig.metric)), nil
}

// of returns a metric's series of all processes.
func (s scrape) of(metric string) []value {
	var found []value
	for target, all := range s.series {
		for _, each := range all {
			if each.metric == metric {
				found = append(found, value{withInstance(each.labels, target), each.value})
			}
		}
	}
	return found
}

func withInstance(labels map[string]string, target string) map[string]string {
	labels = maps.Clone(labels)
	labels["instance"] = target
	if parsed, err := url.Parse(target); err == nil {
		labels["instance"] = parsed.Host
	}
	return labels
}

// rates returns how fast a counter grew in each process that answered twice.
func (s *Scrapes) rates(metric string) []value {
	var found []value
	for target, all := range s.second.series {
		before, ok := s.first.series[target]
		elapsed := s.second.at[target].Sub(s.first.at[target]).Seconds()
		if !ok || elapsed <= 0 {
			continue
		}
		for at, last := range all {
			if last.metric != metric {
				continue
			}
			grown := last.value - before[at].value
			if grown < 0 { // it was started anew
				grown = last.value
			}
			found = append(found, value{withInstance(last.labels, target), grown / elapsed})
		}
	}
	return found
}

// growth returns how fast a folded gauge grew.
func (s *Scrapes) growth(sig signal) []value {
	elapsed := s.looked()
	if elapsed <= 0 {
		return nil
	}
	before := map[string]float64{}
	for _, v := range sig.folded(s.first.of(sig.metric)) {
		before[key("", v.labels)] = v.value
	}
	var found []value
	for _, v := range sig.folded(s.second.of(sig.metric)) {
		if was, ok := before[key("", v.labels)]; ok {
			found = append(found, value{v.labels, (v.value - was) / elapsed})
		}
	}
	return found
}

// looked returns the seconds between the leader's looks that the two scrapes
// saw, which is not the time between the scrapes: it looks every 5 s.
func (s *Scrapes) looked() float64 {
	look := signals()["look"]
	first, knownThen := one(look.folded(s.first.of(look.metric)))
	second, knownNow := one(look.folded(s.second.of(look.metric)))
	if knownThen && knownNow {
		return second - first
	}
	var longest time.Duration
	for target, at := range s.second.at {
		if before, ok := s.first.at[target]; ok {
			longest = max(longest, at.Sub(before))
		}
	}
	return longest.Seconds()
}

// foldedBy is folded in another way.
func (s signal) foldedBy(f fold, all []value) []value {
	s.fold = f
	return s.folded(all)
}

// folded leaves the series that count, and folds them.
func (s signal) folded(all []value) []value {
	folded := map[string]value{}
	for _, v := range all {
		if s.where != "" && !slices.Contains(s.values, v.labels[s.where]) {
			continue
		}
		labels := make(map[string]string, len(s.by))
		for _, label := range s.by {
			labels[label] = v.labels[label]
		}
		at := key("", labels)
		so, seen := folded[at]
		switch {
		case s.fold == many:
			so.value++
		case !seen:
			so.value = v.value
		case s.fold == sum:
			so.value += v.value
		case s.fold == most:
			so.value = math.Max(so.value, v.value)
		case s.fold == least:
			so.value = math.Min(so.value, v.value)
		}
		so.labels = labels
		folded[at] = so
	}
	return slices.Collect(maps.Values(folded))
}

package satisfaction

import (
	"cmp"
	"math"
	"slices"
)

// The verdicts' bounds, in points from 0 to 100.
const (
	DissatisfiedBelow = 48
	SatisfiedFrom     = 60
)

// Score scores a conversation. It never fails: what says nothing gets the verdict
// TooLittle. Turns in the result are indexes of messages.
func (m *Model) Score(messages []Message, feedback Feedback) Score {
	r, _ := m.readings.Get().(*reading)
	defer m.readings.Put(r)
	course := newCourse(messages)
	r.read(messages, course.add)
	values := make([]float64, len(features()))
	r.vector(m.means, values)

	score := Score{Model: m.file.Version}
	score.Inferred, score.Verdict = m.infer(r, values)
	score.Reasons = r.reasons(values, m.means, m.weights, pointsPerRating)
	score.Estimate = score.Inferred
	if stated := m.state(r, feedback); stated != nil {
		score.Stated = stated
		score.Estimate = combine(score.Inferred, *stated)
		score.Verdict = score.verdict()
	}
	score.Sentiment = Sentiment{SubScore: r.sentiment(), Course: course.points()}
	score.Engagement = r.engagement()
	score.Responsiveness = responsiveness(messages)
	score.Resolution = m.aspect(r, values, resolution)
	score.AgentQuality = m.aspect(r, values, agentQuality)
	return score
}

// Estimate returns what Score returns as Inferred, and the verdict, in less time.
func (m *Model) Estimate(messages []Message) (Estimate, Verdict) {
	r, _ := m.readings.Get().(*reading)
	defer m.readings.Put(r)
	r.read(messages, func(int, float64) {})
	values := make([]float64, len(m.weights))
	r.vector(m.means, values)
	return m.infer(r, values)
}

// pointsPerRating is how many points from 0 to 100 one of the 1 to 5 is.
const pointsPerRating = 25

func (m *Model) infer(r *reading, values []float64) (Estimate, Verdict) {
	rating := m.file.Rating
	for i, w := range m.weights {
		rating += w * (values[i] - m.means[i])
	}
	e := estimate(rating, r.confidence())
	if !r.sufficient() {
		return e, TooLittle
	}
	return e, e.verdict()
}

// estimate rounds, so that equal conversations get equal numbers on every machine.
func estimate(rating, confidence float64) Estimate {
	rating = math.Round(min(max(rating, 1), 5)*1e4) / 1e4
	return Estimate{
		Satisfaction: math.Round((rating-1)*pointsPerRating*100) / 100,
		Rating:       math.Round(rating*1e3) / 1e3,
		Confidence:   math.Round(confidence*100) / 100,
	}
}

func (e Estimate) verdict() Verdict {
	switch {
	case e.Satisfaction < DissatisfiedBelow:
		return Dissatisfied
	case e.Satisfaction >= SatisfiedFrom:
		return Satisfied
	default:
		return Neutral
	}
}

// How much a conversation must say for a verdict: so many turns of the user with
// words in them, of so many words, and not only in other languages.
const (
	minTurns   = 2
	minWords   = 8
	minEnglish = 0.2
)

// Open anger is enough by itself.
func (r *reading) sufficient() bool {
	turns := r.user.count + r.negative
	return r.angry > 0 || turns >= minTurns && r.words >= minWords && r.english() >= minEnglish
}

// english is the share of the user's words that are English as far as we know.
func (r *reading) english() float64 { return float64(r.known) / float64(max(r.words, 1)) }

// confidence grows with the user's turns and words towards 1, and is less the
// fewer of the words are English. It says how much there is to go by; it is no
// probability.
func (r *reading) confidence() float64 {
	turns := float64(r.user.count+r.negative) + 2*float64(r.angry)
	words := float64(r.words)
	return turns / (turns + 5) * words / (words + 15) * min(r.english()/0.5, 1)
}

// reasons lists what moved a score away from that of the average conversation:
// a measure's features together, in points: scale is how many a unit of the weights is.
func (r *reading) reasons(values, means, weights []float64, scale float64) []Reason {
	type effect struct {
		points float64
		delta  float64
	}
	all := features()
	measured := make([]effect, len(measures()))
	reasons := make([]Reason, 0, maxReasons)
	add := func(name, more, less string, e effect, found turns) {
		points := math.Round(e.points*10) / 10
		if math.Abs(points) < smallestReason {
			return
		}
		reason := Reason{Feature: name, Effect: points, Text: less}
		if e.delta > 0 {
			reason.Text, reason.Turns = more, slices.Clone(found.at[:found.count])
		}
		reasons = append(reasons, reason)
	}
	for i, f := range all {
		e := effect{points: weights[i] * (values[i] - means[i]) * scale, delta: values[i] - means[i]}
		if f.measure < 0 {
			s := specials[f.special]
			add(s.name, s.more, s.less, e, r.foundSpecial[f.special])
			continue
		}
		measured[f.measure].points += e.points
		measured[f.measure].delta += math.Abs(weights[i]) * e.delta
	}
	for i, e := range measured {
		m := measures()[i]
		add(m.name, m.more, m.less, e, r.found[i])
	}
	slices.SortStableFunc(reasons, func(a, b Reason) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	return reasons[:min(len(reasons), maxReasons)]
}

const (
	maxReasons     = 8
	smallestReason = 0.5 // of 100 points
)

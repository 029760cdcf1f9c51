package satisfaction

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// aspect is a sub-score that is made of the same features as the score itself,
// with weights set by hand: nobody has rated these by themselves.
type aspect uint8

const (
	resolution aspect = iota
	agentQuality
	aspectCount
)

// aspects returns, for each aspect, by how many points a feature moves it per
// unit, in the order of features.
func aspects() [aspectCount][]float64 {
	points := [aspectCount]map[string]float64{
		resolution: {
			"thanks.end": 18, "warm_thanks.end": 12, "praise.end": 12, "approval.end": 12, "warmth.end": 6, "acceptance": 10,
			"success": 15, "failure.end": -18, "failed_end": -16, "open_end": -14, "refusal.end": -10, "repair.end": -12,
			"failure_again": -15, "recent_unhappiness": -30, "anger": -20,
		},
		agentQuality: {
			"courtesy": 20, "agreement": 15, "success": 20, "failure": -25, "assistant_refusal": -15, "confusion": -35,
			"assistant_repetition": -35, "failure_again": -20, "repair": -20, "apology.end": -6, "praise": 10, "warm_thanks": 10,
		},
	}
	var all [aspectCount][]float64
	for i, byName := range points {
		for _, f := range features() {
			all[i] = append(all[i], byName[f.name])
		}
	}
	return all
}

// typicalAspect is the sub-score of the average conversation.
const typicalAspect = 60

func (m *Model) aspect(r *reading, values []float64, which aspect) *SubScore {
	if r.assistant.count == 0 || which == resolution && r.user.count+r.negative == 0 {
		return nil
	}
	weights := m.aspects[which]
	score := float64(typicalAspect)
	for i, w := range weights {
		score += w * (values[i] - m.means[i])
	}
	return &SubScore{Score: points(score), Reasons: r.reasons(values, m.means, weights, 1)}
}

// points bounds and rounds a sub-score.
func points(score float64) float64 { return math.Round(min(max(score, 0), 100)*10) / 10 }

// sentiment is the mean of the turns' sentiment, in which unhappy turns count one
// and a half times.
func (r *reading) sentiment() SubScore {
	n := float64(r.user.count) + 2 // and two neutral ones
	mean := r.sentiments / n
	down := 1.5 * r.unhappy / (n + r.unhappy)
	score := SubScore{Score: points(50 + 50*min(max(mean-down, -1), 1)), Reasons: []Reason{}}
	if effect := points(50 + 50*mean); effect != 50 {
		positive := slices.IndexFunc(measures(), func(m measure) bool { return m.name == "positive_words" })
		reason := Reason{Feature: "words", Effect: math.Round((effect-50)*10) / 10, Text: "The user's words sounded negative."}
		if effect > 50 {
			reason.Text, reason.Turns = "The user's words sounded positive.", slices.Clone(r.found[positive].at[:r.found[positive].count])
		}
		score.Reasons = append(score.Reasons, reason)
	}
	if down > 0 {
		found := r.foundSpecial[unhappiness]
		score.Reasons = append(score.Reasons, Reason{
			Feature: specials[unhappiness].name, Effect: -math.Round(50*down*10) / 10,
			Text: specials[unhappiness].more, Turns: slices.Clone(found.at[:found.count]),
		})
	}
	return score
}

// engagement is how many turns the user took, how long they were, and how much of
// the conversation was the user's. Unhappy turns do not count.
func (r *reading) engagement() *SubScore {
	if r.user.count+r.negative == 0 {
		return nil
	}
	turns, words := float64(r.user.count), float64(r.user.words)
	length := words / max(turns, 1)
	share := words / max(words+float64(r.assistant.words), 1)
	parts := []Reason{
		{Feature: "turns", Effect: 50 * turns / (turns + 5), Text: fmt.Sprintf("The user wrote %d times.", r.user.count)},
		{Feature: "length", Effect: 30 * length / (length + 8), Text: fmt.Sprintf("The user's messages had %.0f words on average.", length)},
		{Feature: "share", Effect: 20 * min(share/0.5, 1), Text: fmt.Sprintf("%.0f %% of the words were the user's.", 100*share)},
	}
	sum := 0.0
	for i := range parts {
		sum += parts[i].Effect
		parts[i].Effect = math.Round(parts[i].Effect*10) / 10
	}
	return &SubScore{Score: points(sum), Reasons: parts}
}

// Waits from which on responsiveness is 100, and 0; between them it falls with the
// logarithm.
const (
	promptly = 5 * time.Second
	tooLate  = 24 * time.Hour
)

// responsiveness is of the median wait of the user for an answer. It is nil when
// no answer and its question say when they were written.
func responsiveness(messages []Message) *SubScore {
	var (
		waits   []time.Duration
		slowest turns
		longest time.Duration
		since   time.Time
	)
	for i := range messages {
		at := messages[i].At
		switch messages[i].Role {
		case User:
			if since.IsZero() {
				since = at
			}
		case Assistant:
			if wait := at.Sub(since); !since.IsZero() && !at.IsZero() && wait >= 0 {
				waits = append(waits, wait)
				if wait >= longest {
					longest, slowest = wait, turns{at: [maxTurns]int{i}, count: 1}
				}
			}
			since = time.Time{}
		case System:
		}
	}
	if len(waits) == 0 {
		return nil
	}
	slices.Sort(waits)
	median := waits[len(waits)/2]
	score := points(100 * (1 - math.Log(float64(max(median, promptly))/float64(promptly))/math.Log(float64(tooLate)/float64(promptly))))
	return &SubScore{Score: score, Reasons: []Reason{
		{Feature: "median_wait", Effect: math.Round((score-100)*10) / 10, Text: "Half of the answers came within " + rounded(median) + "."},
		{Feature: "longest_wait", Text: "The slowest answer took " + rounded(longest) + ".", Turns: slices.Clone(slowest.at[:slowest.count])},
	}}
}

func rounded(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

package satisfaction

// What a conversation comes down to while it is read, message by message, in
// memory that does not grow with it.
//
// A user's turn that is angry, mocking or unhappy (turn.negative) is kept apart:
// it counts in unhappiness, anger and recentAnger, which only lower a score, and
// in nothing else. The other features are those of the conversation without such
// turns. So adding one can never raise a score, whatever the weights are.
type reading struct {
	reader reader
	turn   turn
	// user and assistant are the sides of the conversation.
	user, assistant side
	// unhappy is the sum of the severity of negative turns, angry their number with
	// open anger; recent is unhappy with each turn counting less with every other
	// turn after it.
	unhappy, recent float64
	angry, negative int
	// asked says that the user's last turn that is not negative asks and does not
	// thank; failed that the assistant's last one fails; failures counts failing turns
	// right after failing ones.
	asked, failed bool
	failures      int
	// found holds the first turns in which a measure or a special was found.
	found        []turns
	foundSpecial [specialCount]turns
	// words counts the user's, known those in English.
	words, known int
	sentiments   float64
}

// side is what one role's messages come down to.
type side struct {
	memory memory
	count  int
	words  int
	sums   []float64
	// last is a ring of the newest values.
	last [lastTurns][]float64
}

// lastTurns is how many messages of a role are the end.
const lastTurns = 3

// turns are the first of those in which something was found.
type turns struct {
	at    [maxTurns]int
	count int
}

const maxTurns = 10

func (t *turns) add(turn int) {
	if t.count < maxTurns {
		t.at[t.count] = turn
		t.count++
	}
}

func newReading() *reading {
	n := len(measures())
	r := &reading{reader: reader{lexicon: words()}, found: make([]turns, n)}
	for _, s := range []*side{&r.user, &r.assistant} {
		s.sums = make([]float64, n)
		for i := range s.last {
			s.last[i] = make([]float64, n)
		}
	}
	return r
}

func (r *reading) reset() {
	for _, s := range []*side{&r.user, &r.assistant} {
		s.memory.reset()
		s.count, s.words = 0, 0
		clear(s.sums)
		for i := range s.last {
			clear(s.last[i])
		}
	}
	clear(r.found)
	*r = reading{reader: r.reader, user: r.user, assistant: r.assistant, found: r.found}
}

// read reads a conversation. course gets the sentiment of each user's turn.
func (r *reading) read(messages []Message, course func(turn int, sentiment float64)) {
	r.reset()
	for i := range messages {
		t := &r.turn
		switch messages[i].Role {
		case User:
			*t = r.reader.read(messages[i].Content)
			r.words += t.words
			r.known += t.known
			course(i, t.sentiment)
			if t.negative() {
				r.unhappyTurn(t, i)
			} else {
				r.userTurn(t, i)
			}
		case Assistant:
			*t = r.reader.read(messages[i].Content)
			r.assistantTurn(t, i)
		case System:
		}
	}
}

func (r *reading) unhappyTurn(t *turn, at int) {
	severity := t.severity()
	r.negative++
	r.unhappy += severity
	r.recent += severity
	r.foundSpecial[unhappiness].add(at)
	r.foundSpecial[recentAnger].add(at)
	if t.angry() {
		r.angry++
		r.foundSpecial[anger].add(at)
	}
}

// fading is how much less a negative turn counts as recent with each turn that
// is not negative after it.
const fading = 0.7

func (r *reading) userTurn(t *turn, at int) {
	t.repeated = r.user.memory.repeated(r.reader.text.tokens)
	r.recent *= fading
	r.sentiments += t.sentiment
	r.asked = (t.question || t.says.has(userRequest)) && !t.says.has(userThanks) && !t.says.has(userPraise)
	if r.asked {
		r.foundSpecial[openEnd] = turns{at: [maxTurns]int{at}, count: 1}
	}
	r.measure(&r.user, User, t, at)
}

func (r *reading) assistantTurn(t *turn, at int) {
	t.repeated = r.assistant.memory.repeated(r.reader.text.tokens)
	failed := t.says.has(assistantFailure)
	if failed {
		r.foundSpecial[failedEnd] = turns{at: [maxTurns]int{at}, count: 1}
		if r.failed {
			r.failures++
			r.foundSpecial[failureAgain].add(at)
		}
	}
	r.failed = failed
	r.measure(&r.assistant, Assistant, t, at)
}

func (r *reading) measure(s *side, role Role, t *turn, at int) {
	all := measures()
	last := s.last[s.count%lastTurns]
	s.count++
	s.words += t.words
	for i := range all {
		if all[i].role != role {
			continue
		}
		v := all[i].of(t)
		s.sums[i] += v
		last[i] = v
		if v >= 0.5 {
			r.found[i].add(at)
		}
	}
}

// How many messages like the average one are added to those that there are, so
// that a short conversation's shares are not taken for more than they say.
const (
	priorShare = 3
	priorEnd   = 1
)

// vector writes the features' values. means are the raw features' means over many
// conversations; with nil the vector is raw: without the prior messages.
func (r *reading) vector(means, values []float64) {
	for i, f := range features() {
		if f.measure < 0 {
			values[i] = r.specialValue(f.special)
			continue
		}
		s := &r.user
		if measures()[f.measure].role == Assistant {
			s = &r.assistant
		}
		sum, n, prior := s.sums[f.measure], s.count, priorShare
		if f.end {
			sum, n, prior = 0, min(s.count, lastTurns), priorEnd
			for _, last := range s.last {
				sum += last[f.measure]
			}
		}
		if means == nil {
			values[i] = sum / float64(max(n, 1))
		} else {
			values[i] = (sum + float64(prior)*means[i]) / float64(n+prior)
		}
	}
}

func (r *reading) specialValue(s special) float64 {
	switch s {
	case unhappiness:
		return r.unhappy / (r.unhappy + float64(r.user.count) + 4)
	case anger:
		return saturate(float64(r.angry))
	case recentAnger:
		return saturate(r.recent)
	case failureAgain:
		return float64(r.failures) / float64(r.assistant.count+priorShare)
	case openEnd:
		return number(r.asked)
	case failedEnd:
		return number(r.failed)
	case specialCount:
	}
	return 0
}

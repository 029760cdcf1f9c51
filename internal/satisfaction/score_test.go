package satisfaction_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/satisfaction"
)

// talk is a conversation in which user and assistant take turns; the user begins.
func talk(turns ...string) []satisfaction.Message {
	var messages []satisfaction.Message
	for i, content := range turns {
		role := satisfaction.User
		if i%2 == 1 {
			role = satisfaction.Assistant
		}
		messages = append(messages, satisfaction.Message{Role: role, Content: content})
	}
	return messages
}

func score(messages []satisfaction.Message) satisfaction.Score {
	return satisfaction.Default().Score(messages, satisfaction.Feedback{})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		messages []satisfaction.Message
		want     satisfaction.Verdict
	}{
		"a happy end": {talk("Hi, my parcel has not arrived yet", "Let me check. It will arrive tomorrow.", "Oh great, thank you so much!",
			"You're welcome! Anything else?", "No, that's all. You've been very helpful, have a great day!"), satisfaction.Satisfied},
		"an angry one": {talk("My parcel has not arrived. This is ridiculous!", "I'm sorry, I cannot find your order.",
			"What? I already told you the number twice! You are useless."), satisfaction.Dissatisfied},
		"nothing but facts": {talk("I need the opening hours", "We are open from 9 to 5.", "And on Saturday?", "From 10 to 2.", "ok"), satisfaction.Neutral},
		"failure after failure, politely": {talk("Can you book me a flight to Rome?", "I'm sorry, there are no flights available.", "How about tomorrow?",
			"Unfortunately there is nothing available tomorrow either.", "What about Monday?", "Sorry, I was unable to find any.", "Ok, never mind."), satisfaction.Dissatisfied},
		"mockery": {talk("Book me a table for two", "I booked one for three.", "Oh great, another mistake. Thanks for nothing.", "Sorry.",
			"Yeah right, brilliant job"), satisfaction.Dissatisfied},
		"thanks in capitals": {talk("I NEED A ROOM", "BOOKED. YOUR REFERENCE IS 123", "THANK YOU SO MUCH! THIS IS PERFECT!", "You're welcome",
			"BYE AND HAVE A GREAT DAY"), satisfaction.Satisfied},
		"insults in capitals": {talk("I NEED A ROOM", "There are no rooms.", "YOU ARE USELESS", "Sorry.", "WORST SERVICE EVER"), satisfaction.Dissatisfied},
		"thanks with slips": {talk("helo i ned help wih my pasword", "Sure, I reset it.", "thnaks so mcuh, that is awsome and excelent", //nolint:misspell // on purpose
			"Welcome", "graet, by"), satisfaction.Satisfied}, //nolint:misspell // on purpose
		"drawn out":      {talk("is it working now?", "Yes, it is resolved.", "yesssss thaaaanks sooooo much, greaaaat", "Any time", "byeeee"), satisfaction.Satisfied},
		"not happy":      {talk("I am not happy with this", "Why?", "It is not good at all and not helpful", "Sorry", "I do not like it"), satisfaction.Dissatisfied},
		"nobody answers": {slices.Repeat(talk("Is anyone there? I have been waiting for an hour"), 5), satisfaction.Dissatisfied},

		"two lines":         {talk("Hello", "Hi, how can I help?"), satisfaction.TooLittle},
		"another language":  {talk("Hallo, ich habe ein Problem mit meiner Bestellung", "Es tut mir leid.", "Das ist nicht gut, die Lampe ist kaputt", "Wir senden eine neue."), satisfaction.TooLittle},
		"nothing":           {nil, satisfaction.TooLittle},
		"only an assistant": {[]satisfaction.Message{{Role: satisfaction.Assistant, Content: "Are you there? Hello? Thank you so much!"}}, satisfaction.TooLittle},
		"only instructions": {[]satisfaction.Message{{Role: satisfaction.System, Content: "You are useless. Never say thank you."}}, satisfaction.TooLittle},
		"no words":          {talk("???", "!!!", "...", "[NAME_1]", "12345"), satisfaction.TooLittle},
		"one word":          {talk("ok"), satisfaction.TooLittle},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := score(test.messages)
			assert.Equal(t, test.want, got.Verdict, "%+v", got.Estimate)
			assert.InDelta(t, 1+got.Satisfaction/25, got.Rating, 0.001, "one scale, written twice")
			estimate, verdict := satisfaction.Default().Estimate(test.messages)
			assert.Equal(t, got.Inferred, estimate)
			assert.Equal(t, got.Verdict, verdict)
			if test.want == satisfaction.TooLittle {
				assert.Less(t, got.Confidence, 0.15)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	better := func(name string, a, b []satisfaction.Message) {
		assert.Greater(t, score(a).Satisfaction, score(b).Satisfaction, name)
	}
	start := talk("I need a lamp", "We have a blue one.")
	with := func(turns ...string) []satisfaction.Message { return append(slices.Clone(start), talk(turns...)...) }
	better("praise over none", with("That sounds perfect!"), with("Send it."))
	better("praise over negated praise", with("That is great"), with("That is not great"))
	better("thanks over mocking ones", with("Thanks a lot!", "Welcome."), with("Thanks for nothing!", "Welcome."))
	better("a success over a failure", with("Send it.", "Done, it is booked."), with("Send it.", "Sorry, I cannot do that."))
	better("an emoji that smiles", with("😍"), with("😡"))
	better("once over twice failed", with("Send it.", "I am unable to.", "And now?", "It is sent."), with("Send it.", "I am unable to.", "And now?", "I am unable to."))
	better("an early complaint over a late one",
		append(talk("This is not working at all.", "I see."), slices.Repeat(with("Fine, go on."), 2)...),
		append(slices.Repeat(with("Fine, go on."), 2), talk("This is not working at all.", "I see.")...))
}

// angry are turns that nobody takes for anything else.
func angry() []string {
	return strings.Split(strings.TrimSpace(`
This is terrible!
You are useless.
I am so angry right now.
WORST SERVICE EVER
I hate this.
Are you kidding me?
This is ridiculous, thank you very much.
I want to speak to a manager!
This is not what I asked for!
I'm so frustrated.
You're not listening to me.
Stop wasting my time.
This is unacceptable, great job.
I'm extremely disappointed.
That's completely wrong again!
You are the worst assistant I have ever used.
Your answers are garbage.
Forget it, you're hopeless.
Can't you do anything right?
Nothing works!!!
Give me a real person.
What the hell is wrong with you?
For the third time, I need a refund!
That is not helpful at all.
You keep making the same mistake!
this is bullshit
ugh this is awful
Absolutely disgusting service.
You have wasted an hour of my life.
thanks for nothing
Great, it's broken again.
😡😡😡
Enough! I'm leaving.
fix it now!!!
How dare you?
are you serious?!
I am not satisfied at all.
What's the point of this bot?
No!!! That's wrong!!!
I give up.
F*** this
STOP
`), "\n")
}

// Adding an angry turn of the user, wherever and to whatever, raises neither the
// score nor a sub-score.
func TestAnAngryTurnNeverRaisesTheScore(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5)) //nolint:gosec // the same in every run
	pool := append(angry(),
		"Thank you so much!", "That sounds great!", "No, not that one.", "How about another one?", "I need it on Friday.", "ok", "Perfect!!!",
		"I don't like it", "what?", "hm, I guess", "I'll take it", "bye", "No, that's all", "", "😀", "die das und nicht ich", "[NAME_1]",
	)
	replies := []string{"Sorry, I cannot do that.", "It is booked.", "You're welcome!", "Which one do you mean?", "No.", "I don't understand.", ""}
	for range 3000 {
		var messages []satisfaction.Message
		for range random.IntN(12) {
			m := satisfaction.Message{Role: satisfaction.User, Content: pool[random.IntN(len(pool))]}
			if random.IntN(2) == 0 {
				m = satisfaction.Message{Role: satisfaction.Assistant, Content: replies[random.IntN(len(replies))]}
			}
			messages = append(messages, m)
		}
		turn := angry()[random.IntN(len(angry()))]
		at := random.IntN(len(messages) + 1)
		before := score(messages)
		after := score(slices.Insert(slices.Clone(messages), at, satisfaction.Message{Role: satisfaction.User, Content: turn}))
		require.LessOrEqual(t, after.Satisfaction, before.Satisfaction, "%q at %d of %q", turn, at, messages)
		require.LessOrEqual(t, after.Sentiment.Score, before.Sentiment.Score, "%q at %d of %q", turn, at, messages)
		for _, pair := range [][2]*satisfaction.SubScore{
			{before.Engagement, after.Engagement}, {before.Resolution, after.Resolution}, {before.AgentQuality, after.AgentQuality},
		} {
			if pair[0] != nil {
				require.LessOrEqual(t, pair[1].Score, pair[0].Score, "%q at %d of %q", turn, at, messages)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	got := score(talk("I need a lamp", "Sorry, I cannot find any.", "What about this one?", "Sorry, that is not available.", "Or that?", "It is not available either.",
		"You are useless, this is a joke"))
	byName := map[string]satisfaction.Reason{}
	for _, reason := range got.Reasons {
		byName[reason.Feature] = reason
	}
	assert.Equal(t, []int{6}, byName["anger"].Turns)
	assert.Negative(t, byName["anger"].Effect)
	assert.Equal(t, []int{1, 3, 5}, byName["failure"].Turns)
	assert.Equal(t, []int{3, 5}, byName["failure_again"].Turns)
	assert.Equal(t, "anger", got.Reasons[0].Feature, "the strongest first")
	for i, reason := range got.Reasons {
		assert.NotEmpty(t, reason.Text)
		if i > 0 {
			assert.GreaterOrEqual(t, abs(got.Reasons[i-1].Effect), abs(reason.Effect))
		}
	}
	assert.Equal(t, []satisfaction.Point{{Turn: 0}, {Turn: 2}, {Turn: 4}, {Turn: 6, Sentiment: got.Sentiment.Course[3].Sentiment}}, got.Sentiment.Course)
	assert.Negative(t, got.Sentiment.Course[3].Sentiment)
}

// Each reason's effect is what the score changes by when what it was found in
// goes away: in direction.
func TestAReasonsEffectIsTrue(t *testing.T) {
	t.Parallel()
	messages := talk("I need a lamp", "We have a blue one.", "Wonderful, perfect, great!", "It is booked.", "And the bill?", "You get it by mail.")
	got := score(messages)
	var praise satisfaction.Reason
	for _, reason := range got.Reasons {
		if reason.Feature == "praise" {
			praise = reason
		}
	}
	require.Equal(t, []int{2}, praise.Turns)
	messages[2].Content = "Alright then"
	assert.Less(t, score(messages).Satisfaction, got.Satisfaction-praise.Effect/2)
}

func abs(v float64) float64 { return max(v, -v) }

func TestFeedback(t *testing.T) {
	t.Parallel()
	messages := talk("I need the opening hours", "We are open from 9 to 5.", "And on Saturday?", "From 10 to 2.")
	plain := score(messages)
	assert.Nil(t, plain.Stated)
	assert.Equal(t, plain.Inferred, plain.Estimate)
	rate := func(f satisfaction.Feedback) satisfaction.Score {
		got := satisfaction.Default().Score(messages, f)
		require.NotNil(t, got.Stated)
		assert.Equal(t, plain.Inferred, got.Inferred, "what is inferred does not change")
		assert.GreaterOrEqual(t, got.Confidence, plain.Confidence)
		return got
	}
	last := 0.0
	for stars := 1; stars <= 5; stars++ {
		got := rate(satisfaction.Feedback{Stars: stars})
		assert.InDelta(t, float64(stars), got.Stated.Rating, 1e-9)
		assert.Greater(t, got.Satisfaction, last)
		last = got.Satisfaction
	}
	assert.Equal(t, satisfaction.Satisfied, rate(satisfaction.Feedback{Stars: 5}).Verdict)
	assert.Equal(t, satisfaction.Dissatisfied, rate(satisfaction.Feedback{Stars: 1}).Verdict)
	assert.Equal(t, satisfaction.Satisfied, rate(satisfaction.Feedback{Thumbs: "up"}).Verdict)
	assert.Equal(t, satisfaction.Dissatisfied, rate(satisfaction.Feedback{Thumbs: "down"}).Verdict)
	assert.Equal(t, rate(satisfaction.Feedback{Stars: 2}), rate(satisfaction.Feedback{Stars: 2, Thumbs: "up", Text: "great"}), "stars say it most exactly")
	good, bad := rate(satisfaction.Feedback{Text: "Excellent, very helpful!"}), rate(satisfaction.Feedback{Text: "You are useless"})
	assert.Greater(t, good.Satisfaction, plain.Satisfaction)
	assert.Less(t, bad.Satisfaction, plain.Satisfaction)
	assert.Equal(t, satisfaction.Satisfied, satisfaction.Default().Score(nil, satisfaction.Feedback{Stars: 5}).Verdict, "stars are enough to say it")
}

func TestResponsiveness(t *testing.T) {
	t.Parallel()
	messages := talk("Hello, is my lamp there?", "It is.", "And the bill?", "It is too.", "Thanks", "Welcome")
	assert.Nil(t, score(messages).Responsiveness, "nobody knows when")
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	at := func(seconds ...int) *satisfaction.SubScore {
		timed := slices.Clone(messages)
		for i, s := range seconds {
			timed[i].At = start.Add(time.Duration(s) * time.Second)
		}
		return score(timed).Responsiveness
	}
	assert.InDelta(t, 100, at(0, 2, 10, 12).Score, 1e-9)
	slow := at(0, 60, 120, 180, 200, 3800)
	assert.InDelta(t, 74.5, slow.Score, 0.1) // 1 - ln(60/5) / ln(86400/5)
	assert.Equal(t, []int{5}, slow.Reasons[1].Turns)
	assert.Contains(t, slow.Reasons[1].Text, "1h0m0s")
	assert.Zero(t, at(0, 90000).Score)
	assert.Nil(t, at(100, 50), "an answer before its question is a wrong clock")
}

func TestLargest(t *testing.T) {
	t.Parallel()
	long := slices.Repeat(talk("That sounds great, thank you!", "You're welcome."), 5000)
	got := score(long)
	assert.Len(t, got.Sentiment.Course, 40)
	assert.Equal(t, 0, got.Sentiment.Course[0].Turn)
	assert.Equal(t, 250, got.Sentiment.Course[1].Turn)
	for _, reason := range got.Reasons {
		assert.LessOrEqual(t, len(reason.Turns), 10)
	}
	spam := score([]satisfaction.Message{{Role: satisfaction.User, Content: strings.Repeat("great ", 100_000)}})
	assert.LessOrEqual(t, spam.Satisfaction, 100.0)
	assert.Equal(t, satisfaction.TooLittle, spam.Verdict, "one turn is one turn")
}

// What is allocated does not grow with the words of a message, nor with the
// messages.
func TestAllocationsDoNotGrow(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	model := satisfaction.Default()
	allocations := func(messages []satisfaction.Message) float64 {
		model.Estimate(messages)
		return testing.AllocsPerRun(20, func() { model.Estimate(messages) })
	}
	// For 9,000 words, and for 1,000 messages. The race detector has the memory of what
	// was read before thrown away now and then.
	const few = 50
	const words = "I don't really like the blue one, sorry! 😀 "
	assert.Less(t, allocations(talk(strings.Repeat(words, 1000))), float64(few))
	assert.Less(t, allocations(slices.Repeat(talk(words), 1000)), float64(few))
}

// FuzzScore feeds whatever there is: no panic, no number out of its range, and
// the same answer twice.
func FuzzScore(f *testing.F) {
	f.Add("Thank you!", "Sorry, I cannot", "😀 No, that's all", 3)
	f.Add("\xff\xfe", "[NAME_1", "’’’ -- :( 'n't https://", 0)
	f.Add(strings.Repeat("a", 500), "!!!!????", "ſ K İ ß", -1)
	f.Fuzz(func(t *testing.T, a, b, c string, stars int) {
		messages := talk(a, b, c)
		feedback := satisfaction.Feedback{Stars: max(min(stars, 5), 0), Text: c}
		got := satisfaction.Default().Score(messages, feedback)
		for _, e := range []satisfaction.Estimate{got.Estimate, got.Inferred} {
			if !(e.Satisfaction >= 0 && e.Satisfaction <= 100 && e.Rating >= 1 && e.Rating <= 5 && e.Confidence >= 0 && e.Confidence <= 1) {
				t.Fatalf("out of range: %+v", e)
			}
		}
		for _, reason := range got.Reasons {
			for _, turn := range reason.Turns {
				if turn < 0 || turn >= len(messages) {
					t.Fatalf("turn %d of %d", turn, len(messages))
				}
			}
		}
		assert.Equal(t, got, satisfaction.Default().Score(messages, feedback))
		angry := append(messages, satisfaction.Message{Role: satisfaction.User, Content: "You are useless!"})
		if after := satisfaction.Default().Score(angry, satisfaction.Feedback{}); after.Satisfaction > got.Inferred.Satisfaction {
			t.Fatalf("anger raised the score from %v to %v", got.Inferred.Satisfaction, after.Satisfaction)
		}
	})
}

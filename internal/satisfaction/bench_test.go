package satisfaction_test

import (
	"testing"

	"millrace/internal/satisfaction"
)

// BenchmarkScore scores a support conversation of 20 messages, again and again;
// messages/s is the figure.
func BenchmarkScore(b *testing.B) {
	model := satisfaction.Default()
	messages := support(20)
	b.ReportAllocs()
	for b.Loop() {
		model.Score(messages, satisfaction.Feedback{})
	}
	b.ReportMetric(float64(b.N*len(messages))/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkEstimate is the same without reasons and sub-scores.
func BenchmarkEstimate(b *testing.B) {
	model := satisfaction.Default()
	messages := support(20)
	b.ReportAllocs()
	for b.Loop() {
		model.Estimate(messages)
	}
	b.ReportMetric(float64(b.N*len(messages))/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkScoreLargest scores the largest conversation that the API takes, of
// 1,000 messages: its allocations do not grow with it.
func BenchmarkScoreLargest(b *testing.B) {
	model := satisfaction.Default()
	messages := support(1000)
	b.ReportAllocs()
	for b.Loop() {
		model.Score(messages, satisfaction.Feedback{})
	}
	b.ReportMetric(float64(b.N*len(messages))/b.Elapsed().Seconds(), "messages/s")
}

// support is a conversation of n messages.
func support(n int) []satisfaction.Message {
	turns := []satisfaction.Message{
		{Role: satisfaction.User, Content: "Hello, I ordered a blue lamp two weeks ago and it still has not arrived. Can you check where it is, please?"},
		{Role: satisfaction.Assistant, Content: "I'm sorry to hear that. Could you give me the order number so that I can look it up for you?"},
		{Role: satisfaction.User, Content: "Sure, it's 4711. I had really hoped to have it before the weekend."},
		{Role: satisfaction.Assistant, Content: "Thank you. The parcel was sent back to us by mistake. I have sent a new one, and it will arrive on Friday."},
		{Role: satisfaction.User, Content: "Oh great, that would be perfect!! Thanks so much for your help :)"},
		{Role: satisfaction.Assistant, Content: "You're welcome! Is there anything else that I can do for you today?"},
	}
	messages := make([]satisfaction.Message, n)
	for i := range messages {
		messages[i] = turns[i%len(turns)]
	}
	return messages
}

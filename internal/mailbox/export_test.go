package mailbox

import "time"

// Hurry makes webhooks faster than a person would want them. It is for use before
// SetWebhook.
func (m *Mailbox) Hurry(retry time.Duration) {
	m.webhooks.delay = func(int) time.Duration { return retry }
}

// RetryDelay is the wait after so many failed deliveries of an event.
func RetryDelay(failed int) time.Duration { return retryDelay(failed) }

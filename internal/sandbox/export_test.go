package sandbox

import "time"

// MethodNames lists the table of test payment methods, for a test that walks all of it.
func MethodNames() []string {
	var names []string
	for name := range testMethods() {
		names = append(names, name)
	}
	return names
}

// Statuses and MayBecome show the life cycle to a test that walks all of it.
func Statuses() []string {
	return []string{
		string(statusRequiresPaymentMethod), string(statusRequiresConfirmation), string(statusRequiresAction),
		string(statusProcessing), string(statusRequiresCapture), string(statusCanceled), string(statusSucceeded),
	}
}

// MayBecome says whether one status may follow another.
func MayBecome(from, to string) bool { return status(from).mayBecome(status(to)) }

// RetryDelay is the wait after so many failed deliveries of an event.
func RetryDelay(failed int) time.Duration { return retryDelay(failed) }

// Hurry makes webhooks faster than a person would want them: how long an answer may take, the wait before every retry,
// how often to look for what time has done. Zero leaves one as it is. It is for use before SetWebhook.
func (s *Stripe) Hurry(timeout, retry, notice time.Duration) {
	if timeout != 0 {
		s.webhooks.client.Timeout = timeout
	}
	if retry != 0 {
		s.webhooks.delay = func(int) time.Duration { return retry }
	}
	if notice != 0 {
		s.webhooks.notice = notice
	}
}

// WebhookLimits are what Hurry and KeepEvents change.
func (s *Stripe) WebhookLimits() (timeout, notice time.Duration, kept int) {
	return s.webhooks.client.Timeout, s.webhooks.notice, s.webhooks.kept
}

// KeepEvents bounds the list of events. It is for use before SetWebhook.
func (s *Stripe) KeepEvents(n int) { s.webhooks.kept = n }

// Routes lists the patterns of all routes.
func (s *Stripe) Routes() []string {
	var out []string
	for _, route := range s.apiRoutes() {
		out = append(out, route.pattern)
	}
	for _, route := range s.controlRoutes() {
		out = append(out, route.pattern)
	}
	return out
}

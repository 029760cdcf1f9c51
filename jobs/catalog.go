package jobs

import (
	"context"

	"github.com/riverqueue/river"
)

// Handlers works the kinds: one method a kind. A kind whose method is missing
// in package workers does not build.
type Handlers interface {
	PaymentCapture(ctx context.Context, job *river.Job[PaymentCaptureArgs]) (result any, err error)
	PaymentReconciliation(ctx context.Context, job *river.Job[PaymentReconciliationArgs]) (result any, err error)
	BookingConfirmationEmail(ctx context.Context, job *river.Job[BookingConfirmationEmailArgs]) (result any, err error)
	BookingCancellationEmail(ctx context.Context, job *river.Job[BookingCancellationEmailArgs]) (result any, err error)
	BookingReminderEmail(ctx context.Context, job *river.Job[BookingReminderEmailArgs]) (result any, err error)
	ConversationScoring(ctx context.Context, job *river.Job[ConversationScoringArgs]) (result any, err error)
	ConversationRescoring(ctx context.Context, job *river.Job[ConversationRescoringArgs]) (result any, err error)
	MetricRollup(ctx context.Context, job *river.Job[MetricRollupArgs]) (result any, err error)
	MetricRollupScheduling(ctx context.Context, job *river.Job[MetricRollupSchedulingArgs]) (result any, err error)
	MetricRetention(ctx context.Context, job *river.Job[MetricRetentionArgs]) (result any, err error)
	AuditSealing(ctx context.Context, job *river.Job[AuditSealingArgs]) (result any, err error)
	AuditRetention(ctx context.Context, job *river.Job[AuditRetentionArgs]) (result any, err error)
}

// Catalog is the list of every kind of job. Routes, worker registration, metric
// labels, dashboards, load generation and documentation are derived from it.
func Catalog() []*Kind {
	return []*Kind{
		paymentCapture(Handlers.PaymentCapture),
		paymentReconciliation(Handlers.PaymentReconciliation),
		bookingConfirmationEmail(Handlers.BookingConfirmationEmail),
		bookingCancellationEmail(Handlers.BookingCancellationEmail),
		bookingReminderEmail(Handlers.BookingReminderEmail),
		conversationScoring(Handlers.ConversationScoring),
		conversationRescoring(Handlers.ConversationRescoring),
		metricRollup(Handlers.MetricRollup),
		metricRollupScheduling(Handlers.MetricRollupScheduling),
		metricRetention(Handlers.MetricRetention),
		auditSealing(Handlers.AuditSealing),
		auditRetention(Handlers.AuditRetention),
	}
}

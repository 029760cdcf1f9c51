package workers

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/internal/payment"
	"millrace/jobs"
)

// outcomeMetrics counts how payments and mails ended: each once, when that is
// committed. A process that dies in between has counted nothing.
type outcomeMetrics struct {
	paymentsCaptured prometheus.Counter
	paymentsFailed   *prometheus.CounterVec
	mailsSent        *prometheus.CounterVec
	mailsFailed      *prometheus.CounterVec
}

func newOutcomeMetrics(registry prometheus.Registerer) (*outcomeMetrics, error) {
	m := &outcomeMetrics{
		paymentsCaptured: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_payments_captured_total", Help: "Payments that were captured or charged.",
		}),
		paymentsFailed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_payments_failed_total", Help: "Payments that failed for good, by the reason of PAYMENT_FAILED.",
		}, []string{"reason"}),
		mailsSent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_mails_sent_total", Help: "Mails that the provider took.",
		}, []string{"kind"}),
		mailsFailed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_mails_failed_total", Help: "Mails that were given up: refused for good, suppressed, or tried too often.",
		}, []string{"kind"}),
	}
	for _, collector := range []prometheus.Collector{m.paymentsCaptured, m.paymentsFailed, m.mailsSent, m.mailsFailed} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("workers: metrics: %w", err)
		}
	}
	// A rate does not see a first sample.
	for _, reason := range payment.Reasons() {
		m.paymentsFailed.WithLabelValues(string(reason))
	}
	for _, kind := range jobs.Catalog() {
		if kind.Queue == jobs.EmailQueue {
			m.mailsSent.WithLabelValues(kind.Name)
			m.mailsFailed.WithLabelValues(kind.Name)
		}
	}
	return m, nil
}

// payment counts a payment that an outcome has ended.
func (m *outcomeMetrics) payment(o payment.Outcome) {
	if o.Status != payment.Failed {
		m.paymentsCaptured.Inc() // what was refunded or disputed since was captured before
		return
	}
	reason := string(payment.ReasonGatewayError)
	if o.Failure != nil {
		if given, ok := o.Failure.Details["reason"].(string); ok {
			reason = given
		}
	}
	m.paymentsFailed.WithLabelValues(reason).Inc()
}

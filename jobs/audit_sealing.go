package jobs

import "time"

// AuditSealingArgs is what an audit_sealing job carries: nothing.
type AuditSealingArgs struct{}

// Kind implements river.JobArgs.
func (AuditSealingArgs) Kind() string { return "audit_sealing" }

// Validate returns the arguments: none are wrong.
func (a AuditSealingArgs) Validate() (AuditSealingArgs, error) { return a, nil }

// audits is the queue of the audit log's own jobs: sealing waits for no one, and one
// at a time is all there can be of it.
const (
	audits     = "audit"
	auditSlots = 2
)

func auditSealing(do work[AuditSealingArgs]) *Kind {
	return standalone(Kind{
		Name:    AuditSealingArgs{}.Kind(),
		Queue:   audits,
		Slots:   auditSlots,
		Summary: "Gives the audit log's new entries their places in the chains of their tenants.",
		Every:   2 * time.Second,
		Policy:  auditPolicy(),
		Sample:  AuditSealingArgs{},
	}, do)
}

func auditPolicy() Policy {
	return Policy{
		MaxAttempts: 5,
		Timeout:     30 * time.Second,
		FirstRetry:  time.Second,
		MaxRetry:    10 * time.Second,
		Target:      5 * time.Second,
	}
}

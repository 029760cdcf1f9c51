package jobs

import "time"

// AuditRetentionArgs is what an audit_retention job carries: nothing.
type AuditRetentionArgs struct{}

// Kind implements river.JobArgs.
func (AuditRetentionArgs) Kind() string { return "audit_retention" }

// Validate returns the arguments: none are wrong.
func (a AuditRetentionArgs) Validate() (AuditRetentionArgs, error) { return a, nil }

func auditRetention(do work[AuditRetentionArgs]) *Kind {
	return standalone(Kind{
		Name:    AuditRetentionArgs{}.Kind(),
		Queue:   audits,
		Slots:   auditSlots,
		Summary: "Makes the audit log's partition of the next month, and drops months that are older than it is kept.",
		Every:   6 * time.Hour,
		Policy:  auditPolicy(),
		Sample:  AuditRetentionArgs{},
	}, do)
}

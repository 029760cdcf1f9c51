package jobs

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// Metadata is what Millrace keeps in a River job's metadata.
type Metadata struct {
	TenantID  string `json:"tenant_id"`
	RequestID string `json:"request_id,omitempty"`
	// ScheduledAt is when the job may run at the earliest; zero when at once. River's
	// own column changes with each retry.
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	Trace
}

// MetadataOf reads the metadata of a job.
func MetadataOf(job *rivertype.JobRow) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(job.Metadata, &m); err != nil {
		return Metadata{}, fmt.Errorf("jobs: metadata of job %d: %w", job.ID, err)
	}
	return m, nil
}

package jobs

import (
	"encoding/json"
	"fmt"

	"github.com/riverqueue/river/rivertype"
)

// Metadata is what Millrace keeps in a River job's metadata.
type Metadata struct {
	TenantID  string `json:"tenant_id"`
	RequestID string `json:"request_id,omitempty"`
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

package jobs

// Progress is how far a job is with work that it counts.
type Progress struct {
	Done  int `json:"done" doc:"How many are done." example:"400"`
	Total int `json:"total" doc:"How many there are, as counted at the start." example:"1000"`
}

// CheckpointStep names the resumable step of River's in which a kind that works for
// long keeps where it is, with its Progress as the member progress.
const CheckpointStep = "work"

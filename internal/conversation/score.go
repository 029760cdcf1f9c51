package conversation

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"millrace/internal/fault"
	"millrace/internal/satisfaction"
)

// Score is the score of a conversation, whose id it has. Its times are in UTC.
type Score struct {
	ID        uuid.UUID `json:"id" doc:"The conversation's id."`
	Tenant    string    `json:"-"`
	SessionID string    `json:"session_id" example:"chat-4711"`
	CreatedAt time.Time `json:"created_at" doc:"When the conversation was submitted."`
	ScoredAt  time.Time `json:"scored_at" doc:"When it was scored, the last time."`
	satisfaction.Score
}

// Summary is a score as lists show it: without reasons.
type Summary struct {
	ID        uuid.UUID `json:"id" doc:"The conversation's id."`
	SessionID string    `json:"session_id" example:"chat-4711"`
	CreatedAt time.Time `json:"created_at" doc:"When the conversation was submitted."`
	ScoredAt  time.Time `json:"scored_at" doc:"When it was scored, the last time."`
	Model     string    `json:"model" doc:"Version of the model." example:"1"`
	satisfaction.Estimate
	Verdict satisfaction.Verdict `json:"verdict" doc:"The score in words." enum:"satisfied,neutral,dissatisfied,too_little_to_say"`
}

// Verdicts lists the verdicts of scores.
func Verdicts() []satisfaction.Verdict {
	return []satisfaction.Verdict{satisfaction.Satisfied, satisfaction.Neutral, satisfaction.Dissatisfied, satisfaction.TooLittle}
}

// Buckets is how many buckets a day's scores are counted in: tens of satisfaction,
// of which the last includes 100.
const Buckets = 10

// Day is how the scores of a day's conversations are distributed.
type Day struct {
	Date    string   `json:"date" doc:"The day in UTC on which the conversations were submitted." format:"date" example:"2026-01-31"`
	Count   int64    `json:"count" doc:"Scores of the day."`
	Mean    *float64 `json:"mean,omitzero" doc:"Mean satisfaction, from 0 to 100; absent on a day without scores." example:"63.5"`
	Buckets []int64  `json:"buckets" doc:"Scores by tens of satisfaction: 0 to less than 10, and so on; the last includes 100." minItems:"10" maxItems:"10"`
}

// MaxDays is how many days are shown at once, and how long a range is that is scored
// again.
const MaxDays = 366

// ParseDays reads the first and the last day to show, such as 2026-01-31. The error
// is an INVALID_INPUT fault.
func ParseDays(from, to string) (first, last time.Time, err error) {
	var fields fault.Fields
	day := func(name, text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		fields.Check(err == nil, name, "must be a day such as 2026-01-31")
		return at
	}
	first, last = day("from", from), day("to", to)
	if err := fields.Err(); err != nil {
		return first, last, err
	}
	fields.Check(!last.Before(first), "to", "must not be before from")
	fields.Check(last.Before(first.AddDate(0, 0, MaxDays)), "to", "must be at most "+strconv.Itoa(MaxDays)+" days from the first, both included")
	return first, last, fields.Err()
}

// Sort is what a list of scores is ordered by; those that are equal by their ids.
type Sort string

// What scores are sorted by.
const (
	ByTime         Sort = "time" // when the conversation was submitted
	BySatisfaction Sort = "satisfaction"
)

// Position is where a page of a list ends: the order that the list has, and its last
// score.
type Position struct {
	Sort         Sort
	Ascending    bool
	CreatedAt    time.Time
	Satisfaction float64
	ID           uuid.UUID
}

// positionTime is a time to the microsecond, which is what the database keeps.
const positionTime = "2006-01-02T15:04:05.999999Z"

// String writes a position; ParsePosition reads it.
func (p Position) String() string {
	direction, key := "desc", p.CreatedAt.UTC().Format(positionTime)
	if p.Ascending {
		direction = "asc"
	}
	if p.Sort == BySatisfaction {
		key = decimal(p.Satisfaction)
	}
	return fmt.Sprintf("%s %s %s %s", p.Sort, direction, key, base64.RawURLEncoding.EncodeToString(p.ID[:]))
}

// ParsePosition reads what Position.String wrote. ok is false for anything else.
func ParsePosition(text string) (p Position, ok bool) {
	parts := strings.Split(text, " ")
	if len(parts) != 4 {
		return Position{}, false
	}
	p.Sort, p.Ascending = Sort(parts[0]), parts[1] == "asc"
	id, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || len(id) != len(p.ID) {
		return Position{}, false
	}
	p.ID = uuid.UUID(id)
	switch p.Sort {
	case ByTime:
		p.CreatedAt, err = time.Parse(positionTime, parts[2])
	case BySatisfaction:
		p.Satisfaction, err = strconv.ParseFloat(parts[2], 64)
	default:
		return Position{}, false
	}
	return p, err == nil && p.Satisfaction >= 0 && p.Satisfaction <= 100 && p.String() == text
}

// decimal writes a number as short as it can be read again, for the database's
// exact numbers.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

package fault

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Field says what is wrong with one field of a request, without its value.
type Field struct {
	// Field is the path of the field, for instance "items[2].price".
	Field string `json:"field"`
	// Problem says what is expected, for instance "must be a positive integer".
	Problem string `json:"problem"`
}

// Fields collects the problems of one request, so that all are told at once.
type Fields struct {
	list []Field
}

// Add records a problem.
func (f *Fields) Add(field, problem string) {
	f.list = append(f.list, Field{Field: field, Problem: problem})
}

// Check records a problem unless ok holds.
func (f *Fields) Check(ok bool, field, problem string) {
	if !ok {
		f.Add(field, problem)
	}
}

// CheckRange records the problems of a range of time in the fields from and to: both
// are required, and to is after from, by at most so many days of 24 hours. It reports
// whether there are none.
func (f *Fields) CheckRange(from, to time.Time, days int) bool {
	before := len(f.list)
	f.Check(!from.IsZero(), "from", "must be given")
	f.Check(!to.IsZero(), "to", "must be given")
	if len(f.list) == before {
		f.Check(from.Before(to), "to", "must be after from")
		f.Check(to.Sub(from) <= time.Duration(days)*24*time.Hour, "to", fmt.Sprintf("must be at most %d days after from", days))
	}
	return len(f.list) == before
}

// Err returns nil, or one INVALID_INPUT fault that names every field.
func (f *Fields) Err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b Field) int { return cmp.Compare(a.Field, b.Field) })
	message := "The request is not valid: " + f.list[0].Field + " " + f.list[0].Problem + "."
	if len(f.list) > 1 {
		message = "The request is not valid; details name each field."
	}
	return New(InvalidInput, message).With("fields", f.list)
}

package rollup

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Step is how wide the buckets of a query are. Days and weeks may be those of a
// time zone; weeks begin on Monday.
type Step struct {
	// Width is that of a bucket, of a day's and of a week's buckets where clocks do
	// not change.
	Width time.Duration
	// Zone is whose days these are; nil for UTC. Only widths of days and weeks may
	// have one.
	Zone *time.Location
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	// MinStep is the shortest step.
	MinStep = time.Second
	// MaxStep is the longest.
	MaxStep = 366 * day
)

// ParseStep reads a step such as 30s, 5m, 1h, 1d or 2w; a number alone is seconds, as
// Prometheus has it.
func ParseStep(text string) (Step, error) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": week}
	bad := fmt.Errorf("rollup: a step is a whole number and one of s, m, h, d, w, from %v to 366d", MinStep)
	if text == "" || len(text) > 8 || strings.HasPrefix(text, "+") {
		return Step{}, bad
	}
	if last := text[len(text)-1]; last >= '0' && last <= '9' {
		text += "s"
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	unit := units[text[len(text)-1:]]
	if err != nil || unit == 0 || n < 1 || time.Duration(n) > MaxStep/unit {
		return Step{}, bad
	}
	return Step{Width: time.Duration(n) * unit}, nil
}

// Zoned reports whether the step may follow a time zone.
func (s Step) Zoned() bool { return s.Width == day || s.Width == week }

// Start is when the bucket that holds a moment begins.
func (s Step) Start(at time.Time) time.Time {
	if s.Zone != nil && s.Zoned() {
		local := at.In(s.Zone)
		back := 0
		if s.Width == week {
			back = (int(local.Weekday()) + 6) % 7
		}
		return midnight(local.Year(), local.Month(), local.Day()-back, s.Zone)
	}
	anchor := int64(0)
	if s.Width%week == 0 {
		anchor = (4 * day).Microseconds() // 1970-01-05, a Monday
	}
	return time.UnixMicro(Resolution{Width: s.Width}.Start(at.UnixMicro()-anchor) + anchor).UTC()
}

// Next is when the bucket after the one that begins at start begins.
func (s Step) Next(start time.Time) time.Time {
	if s.Zone != nil && s.Zoned() {
		local := start.In(s.Zone)
		// At noon: in some zones a day begins at one o'clock when clocks change.
		local = time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, s.Zone)
		return midnight(local.Year(), local.Month(), local.Day()+int(s.Width/day), s.Zone)
	}
	return start.Add(s.Width)
}

// add is Next, n times.
func (s Step) add(start time.Time, n int) time.Time {
	if s.Zone == nil || !s.Zoned() {
		return start.Add(time.Duration(min(n, int(maxSpan/s.Width))) * s.Width)
	}
	for range min(n, maxZonedSteps) {
		start = s.Next(start)
	}
	return start
}

// maxSpan is what one read spans at most.
const maxSpan = 200 * MaxStep

// maxZonedSteps is how many days or weeks of a zone one read spans at most.
const maxZonedSteps = 4000

// midnight is when a local day begins, which need not be at 0:00.
func midnight(year int, month time.Month, dayOfMonth int, zone *time.Location) time.Time {
	at := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, zone)
	for want := time.Date(year, month, dayOfMonth, 12, 0, 0, 0, zone).Day(); at.Day() != want; {
		at = at.Add(15 * time.Minute)
	}
	return at.UTC()
}

// ceil is the first beginning of a bucket that is not before a moment.
func (s Step) ceil(at time.Time) time.Time {
	start := s.Start(at)
	if start.Before(at) {
		return s.Next(start)
	}
	return start
}

// source is the widest resolution that the buckets between two moments can be made
// of; nil when only the points themselves will do.
func (s Step) source(from, to time.Time) *Resolution {
	all := Resolutions()
	for i := len(all) - 1; i >= 0; i-- {
		if s.fits(all[i], from, to) {
			return &all[i]
		}
	}
	return nil
}

func (s Step) fits(r Resolution, from, to time.Time) bool {
	if s.Zone == nil || !s.Zoned() {
		return s.Width%r.Width == 0
	}
	for at := from; !at.After(to); at = s.Next(at) {
		if r.Start(at.UnixMicro()) != at.UnixMicro() {
			return false
		}
	}
	return true
}

package booking

import (
	"slices"
	"strings"
	"time"
)

// tick is the unit in which time is taken: bookings that share one collide.
const tick = 5 * time.Minute

// Slot is a time that can be booked. Its times are in the zone it was asked in.
type Slot struct {
	ID       string    `json:"id" doc:"What a booking names." example:"default.20261124T100000Z"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

// Slots lists the slots that start in [from, to), oldest first, in from's zone:
// later than now, and on a local day of the calendar at most DaysAhead days after
// today. Opening hours are readings of the calendar's clocks; within them slots
// follow each other in elapsed time, from the instant the calendar opens while a
// whole slot fits before it closes. So a reading that clocks skip has no slot, and
// one that they show twice has two.
func (c Calendar) Slots(from, to, now time.Time) []Slot {
	zone, ok := loadZone(c.Timezone)
	if !ok || c.SlotMinutes <= 0 {
		return nil
	}
	today := dateOf(now, zone)
	// A day to either side: clocks that go back over midnight show a date twice.
	first := dateOf(later(from, now), zone).AddDate(0, 0, -1)
	last := earlier(dateOf(to, zone).AddDate(0, 0, 1), today.AddDate(0, 0, c.DaysAhead))
	length := time.Duration(c.SlotMinutes) * time.Minute
	step := length + c.buffer()
	var list []Slot
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		for _, o := range c.Hours[weekday(day.Weekday())] {
			opens, _ := minutes(o.From)
			closes, _ := minutes(o.To)
			for _, open := range spans(zone, day.Add(opens), day.Add(closes)) {
				for at := open.from; !at.Add(length).After(open.to); at = at.Add(step) {
					if at.After(now) && !at.Before(from) && at.Before(to) {
						list = append(list, Slot{SlotID(c.Resource, at), at.In(from.Location()), at.Add(length).In(from.Location())})
					}
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b Slot) int { return a.StartsAt.Compare(b.StartsAt) })
	return list
}

// dateOf returns the date in the zone, as midnight UTC.
func dateOf(at time.Time, zone *time.Location) time.Time {
	year, month, day := at.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// Find returns the slot of an id if the calendar really offers it, taken or not,
// in the calendar's zone.
func (c Calendar) Find(id string, now time.Time) (Slot, bool) {
	resource, at, ok := ParseSlot(id)
	zone, known := loadZone(c.Timezone)
	if !ok || !known || resource != c.Resource {
		return Slot{}, false
	}
	list := c.Slots(at.In(zone), at.Add(time.Second), now)
	if len(list) != 1 || list[0].ID != id {
		return Slot{}, false
	}
	return list[0], true
}

// Free leaves out the slots of which a part, or of the buffer after them, is
// taken. taken is what Taken returned for the time in which they start. The list is
// empty, not nil, when none is left.
func (c Calendar) Free(slots []Slot, taken []time.Time) []Slot {
	free := make([]Slot, 0, len(slots))
	for _, s := range slots {
		i, _ := slices.BinarySearchFunc(taken, s.StartsAt.Truncate(tick), time.Time.Compare)
		if i == len(taken) || !taken[i].Before(s.EndsAt.Add(c.buffer())) {
			free = append(free, s)
		}
	}
	return free
}

// slotTime is the instant in a slot's id.
const slotTime = "20060102T150405Z"

// SlotID names the slot of a resource that starts at an instant: the same one
// whatever the zone, so that an hour that comes twice has two.
func SlotID(resource string, at time.Time) string { return resource + "." + at.UTC().Format(slotTime) }

// ParseSlot takes apart what SlotID made.
func ParseSlot(id string) (resource string, at time.Time, ok bool) {
	resource, instant, _ := strings.Cut(id, ".")
	at, err := time.Parse(slotTime, instant)
	if err != nil || !isResource(resource) || SlotID(resource, at) != id {
		return "", time.Time{}, false
	}
	return resource, at, true
}

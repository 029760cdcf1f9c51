package booking_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// desk is a database, as each role has it.
type desk struct {
	t              *testing.T
	db             *dbtest.DB
	intake, worker *postgres.Tenancy
	now            time.Time
}

func newDesk(t *testing.T) desk {
	t.Helper()
	db := dbtest.New(t)
	return desk{t, db, db.Tenancy(t, postgres.Intake), db.Tenancy(t, postgres.Worker), instant(t, "2026-11-20T08:00:00.123456Z")}
}

// hours is a calendar that is open from 09:00 to 12:00 UTC every day.
func (d desk) hours(resource string, slot, buffer int) booking.Calendar {
	d.t.Helper()
	c := daily(d.t, "UTC", slot, buffer, booking.Opening{From: "09:00", To: "12:00"})
	c.Resource = resource
	return c
}

// at makes a booking of a calendar's slot on 24 November 2026; it is not stored.
func (d desk) at(tenant string, c booking.Calendar, clock string) booking.Booking {
	d.t.Helper()
	id, err := uuid.NewV7()
	require.NoError(d.t, err)
	slot := booking.SlotID(c.Resource, instant(d.t, "2026-11-24T"+clock+":00Z"))
	b := booking.New(tenant, id, visit(func(r *booking.Request) { r.SlotID = slot }), d.now)
	found, ok := c.Find(slot, d.now)
	require.True(d.t, ok, "%s is not offered", clock)
	return b.At(found, c)
}

func (d desk) insert(bookings ...booking.Booking) error {
	return d.intake.Tx(d.t.Context(), bookings[0].Tenant, func(tx pgx.Tx) error {
		jobIDs := make([]int64, len(bookings))
		for i, b := range bookings {
			jobIDs[i] = b.JobID
		}
		return booking.InsertMany(d.t.Context(), tx, bookings, jobIDs)
	})
}

func (d desk) book(tenant string, c booking.Calendar, clock string) booking.Booking {
	d.t.Helper()
	b := d.at(tenant, c, clock)
	require.NoError(d.t, d.insert(b))
	return b
}

func (d desk) find(b booking.Booking) booking.Booking {
	d.t.Helper()
	got, err := booking.Find(d.t.Context(), d.worker, b.Tenant, b.ID)
	require.NoError(d.t, err)
	return got
}

func (d desk) cancel(tenant string, id uuid.UUID, now time.Time) (b booking.Booking, err error) {
	err = d.intake.Tx(d.t.Context(), tenant, func(tx pgx.Tx) error {
		b, err = booking.Cancel(d.t.Context(), tx, tenant, id, now)
		return err
	})
	return b, err
}

// free lists when the free slots of 24 November start.
func (d desk) free(tenant string, c booking.Calendar) []string {
	d.t.Helper()
	from, to, err := booking.Day("2026-11-24", time.UTC)
	require.NoError(d.t, err)
	taken, err := booking.Taken(d.t.Context(), d.intake, tenant, c.Resource, from, to)
	require.NoError(d.t, err)
	list := []string{}
	for _, s := range c.Free(c.Slots(from, to, d.now), taken) {
		list = append(list, s.StartsAt.Format("15:04"))
	}
	return list
}

// ticks counts all rows of time that is taken.
func (d desk) ticks() (n int) {
	d.t.Helper()
	require.NoError(d.t, d.db.Pool(d.t, postgres.Login).QueryRow(d.t.Context(), "SELECT count(*) FROM booking_ticks").Scan(&n))
	return n
}

func requireCode(t *testing.T, want fault.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.From(err).Code, "%v", fault.From(err).Cause())
}

func TestTheStoreKeepsEveryField(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 10)
	full, plain := d.at("alice", room, "09:00"), d.at("alice", room, "09:40")
	full.JobID, full.Notes, full.Timezone = 4711, "one\n\"two\" {,}", "Asia/Tokyo"
	require.NoError(t, d.insert(plain, full))
	for _, want := range []booking.Booking{full, plain} {
		got := d.find(want)
		require.Equal(t, want, got)
		want.JobID = 0
		require.Equal(t, want, got.Submitted())
	}
	_, err := booking.Find(t.Context(), d.intake, "mallory", full.ID)
	requireCode(t, fault.NotFound, err)
	_, err = booking.Find(t.Context(), d.intake, "alice", uuid.New())
	requireCode(t, fault.NotFound, err)
	require.Error(t, d.insert(booking.New("alice", uuid.New(), visit(nil), d.now)), "one without a time is not stored")
}

// The guarantee: exactly one of N racers wins, and the others learn why.
func TestOneOfManyRacersWins(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: d.db.URL, Role: postgres.Intake, MaxConns: 25})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	d.intake = postgres.NewTenancy(pool, postgres.Intake)
	const racers = 50
	var (
		room   = d.hours("room", 30, 10)
		start  = make(chan struct{})
		errs   = make([]error, racers)
		racing sync.WaitGroup
	)
	for i := range racers {
		b := d.at("alice", room, "09:40")
		racing.Go(func() {
			<-start
			errs[i] = d.insert(b)
		})
	}
	close(start)
	racing.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		requireCode(t, fault.SlotUnavailable, err)
		require.False(t, postgres.Unreachable(err), "the rest of a batch may be written")
	}
	require.Equal(t, 1, won)
	list, err := booking.List(t.Context(), d.intake, "alice", booking.Filter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 8, d.ticks(), "30 minutes and a buffer of 10")
	require.Equal(t, []string{"09:00", "10:20", "11:00"}, d.free("alice", room))
}

// Slots that overlap collide whatever calendar they are from.
func TestAnotherSlotLengthCannotBookTwice(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.book("alice", d.hours("room", 30, 0), "10:00")
	for _, c := range []struct {
		slot, buffer int
		clock        string
	}{
		{5, 0, "10:00"},
		{5, 0, "10:25"},
		{20, 0, "10:00"},
		{20, 0, "10:20"},
		{40, 0, "09:40"},
		{60, 0, "10:00"},
		{90, 0, "09:00"},
		{180, 0, "09:00"},
		{45, 0, "09:45"},
		{30, 30, "10:00"},
		{30, 35, "09:00" /* free until its buffer, which ends at 10:05 */},
	} {
		requireCode(t, fault.SlotUnavailable, d.insert(d.at("alice", d.hours("room", c.slot, c.buffer), c.clock)))
	}
	d.book("alice", d.hours("room", 20, 0), "09:40")
	d.book("alice", d.hours("room", 5, 0), "10:30")
	d.book("alice", d.hours("room", 30, 10), "09:00")
}

func TestManyCalendarsRaceForADay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var racing sync.WaitGroup
	var bookings []booking.Booking
	for _, slot := range []int{5, 15, 20, 25, 30, 45, 60, 90} {
		c := d.hours("room", slot, slot/10*5)
		from, to, err := booking.Day("2026-11-24", time.UTC)
		require.NoError(t, err)
		for _, s := range c.Slots(from, to, d.now) {
			bookings = append(bookings, d.at("alice", c, s.StartsAt.Format("15:04")))
		}
	}
	// Side by side, what wants the same time.
	slices.SortStableFunc(bookings, func(a, b booking.Booking) int { return a.StartsAt.Compare(b.StartsAt) })
	for batch := range slices.Chunk(bookings, 3) {
		racing.Go(func() {
			for _, b := range batch {
				err := d.insert(b)
				if err != nil && fault.From(err).Code != fault.SlotUnavailable {
					t.Errorf("%v: %v", err, fault.From(err).Cause())
				}
			}
		})
	}
	racing.Wait()
	list, err := booking.List(t.Context(), d.intake, "alice", booking.Filter{Limit: 1000})
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.Less(t, len(list), len(bookings), "not all of them can have the same day")
	slices.SortFunc(list, func(a, b booking.Booking) int { return a.StartsAt.Compare(b.StartsAt) })
	for i := 1; i < len(list); i++ {
		require.False(t, list[i].StartsAt.Before(list[i-1].EndsAt), "%s overlaps %s", list[i].SlotID, list[i-1].SlotID)
	}
}

// Batches that want the same times in opposite order must not deadlock, which
// would refuse them both.
func TestBatchesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 0)
	clocks := []string{"09:00", "09:30", "10:00", "10:30", "11:00", "11:30"}
	var racing sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		var batch []booking.Booking
		for _, clock := range clocks {
			batch = append(batch, d.at("alice", room, clock))
		}
		if i%2 == 1 {
			slices.Reverse(batch)
		}
		racing.Go(func() { errs[i] = d.insert(batch...) })
	}
	racing.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		requireCode(t, fault.SlotUnavailable, err)
	}
	require.Equal(t, 1, won)
	require.Equal(t, 36, d.ticks())

	same := []booking.Booking{d.at("bob", room, "09:00"), d.at("bob", room, "09:00")}
	requireCode(t, fault.SlotUnavailable, d.insert(same...))
	require.Equal(t, 36, d.ticks(), "neither of them")
}

func TestTenantsAndResourcesAreSeparate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room, chair := d.hours("room", 60, 0), d.hours("chair", 60, 0)
	b := d.book("alice", room, "10:00")
	d.book("alice", chair, "10:00")
	d.book("bob", room, "10:00")
	requireCode(t, fault.SlotUnavailable, d.insert(d.at("bob", room, "10:00")))
	d.book("alice", chair, "09:00")
	require.Equal(t, []string{"09:00", "11:00"}, d.free("alice", room))
	require.Equal(t, []string{"11:00"}, d.free("alice", chair))
	require.Equal(t, []string{"09:00", "11:00"}, d.free("bob", room))
	require.Equal(t, []string{"09:00", "10:00", "11:00"}, d.free("mallory", room))

	_, err := d.cancel("bob", b.ID, d.now)
	requireCode(t, fault.NotFound, err)
	require.Equal(t, b, d.find(b))
	require.Equal(t, []string{"09:00", "11:00"}, d.free("alice", room))
	require.Error(t, d.intake.Tx(t.Context(), "mallory", func(tx pgx.Tx) error {
		return booking.InsertMany(t.Context(), tx, []booking.Booking{d.at("alice", room, "09:00")}, []int64{1})
	}), "nobody books for another tenant")
}

func TestCancellingFreesTheSlotAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 10)
	before, b := d.book("alice", room, "09:00"), d.book("alice", room, "09:40")
	after := d.book("alice", room, "10:20")
	require.Equal(t, []string{"11:00"}, d.free("alice", room))
	at := d.now.Add(time.Hour)
	got, err := d.cancel("alice", b.ID, at)
	require.NoError(t, err)
	want := b
	want.Status, want.Sequence, want.UpdatedAt, want.CancelledAt = booking.Cancelled, 1, at, &at
	require.Equal(t, want, got)
	require.Equal(t, want, d.find(b))
	require.Equal(t, []string{"09:40", "11:00"}, d.free("alice", room))
	require.Equal(t, 16, d.ticks(), "the others keep theirs")
	require.Equal(t, before, d.find(before))
	require.Equal(t, after, d.find(after))
	again := d.book("alice", room, "09:40")

	_, err = d.cancel("alice", b.ID, at)
	requireCode(t, fault.Conflict, err)
	require.Equal(t, want, d.find(b), "a second time changes nothing")
	require.Equal(t, []string{"11:00"}, d.free("alice", room), "least of all for whoever has the slot now")
	require.Equal(t, again, d.find(again))
	_, err = d.cancel("alice", uuid.New(), at)
	requireCode(t, fault.NotFound, err)
}

func TestWhatIsOverIsNotCancelled(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 10)
	over, under := d.book("alice", room, "09:00"), d.book("alice", room, "09:40")
	_, err := d.cancel("alice", over.ID, over.EndsAt)
	requireCode(t, fault.Conflict, err)
	require.Equal(t, over, d.find(over))
	_, err = d.cancel("alice", under.ID, under.EndsAt.Add(-time.Second))
	require.NoError(t, err, "it has begun, and is not over")
}

// The time comes back with the cancellation, not before.
func TestACancellationThatIsRolledBackFreesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 60, 0)
	b := d.book("alice", room, "10:00")
	require.ErrorIs(t, d.intake.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
		_, err := booking.Cancel(t.Context(), tx, "alice", b.ID, d.now)
		require.NoError(t, err)
		return context.Canceled
	}), context.Canceled)
	require.Equal(t, b, d.find(b))
	requireCode(t, fault.SlotUnavailable, d.insert(d.at("alice", room, "10:00")))
}

func TestListPagesFromTheNewest(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.hours("room", 30, 0)
	var alices []uuid.UUID
	var between uuid.UUID
	for _, clock := range []string{"11:00", "09:00", "10:00", "09:30", "10:30"} {
		alices = append(alices, d.book("alice", c, clock).ID)
		between = d.book("bob", c, clock).ID
	}
	slices.Reverse(alices)
	list := func(tenant string, filter booking.Filter) (ids []uuid.UUID) {
		t.Helper()
		page, err := booking.List(t.Context(), d.intake, tenant, filter)
		require.NoError(t, err)
		for _, b := range page {
			require.Equal(t, tenant, b.Tenant)
			require.Equal(t, d.find(b), b)
			ids = append(ids, b.ID)
		}
		return ids
	}
	require.Equal(t, alices, list("alice", booking.Filter{Limit: 100}))
	require.Equal(t, alices[:2], list("alice", booking.Filter{Limit: 2}))
	require.Equal(t, alices[2:4], list("alice", booking.Filter{Limit: 2, Before: alices[1]}))
	require.Empty(t, list("alice", booking.Filter{Limit: 2, Before: alices[4]}))
	require.Equal(t, alices, list("alice", booking.Filter{Limit: 100, Before: between}))
	require.Empty(t, list("mallory", booking.Filter{Limit: 100}))
	require.Empty(t, list("", booking.Filter{Limit: 100}))
}

// A viewer's day may end in the middle of a slot of which the rest is taken.
func TestTakenReachesBeyondTheDay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	short := d.hours("room", 5, 0)
	d.book("alice", short, "11:55")
	from := instant(t, "2026-11-24T06:00:00Z")
	long := d.hours("room", 180, 0)
	slots := long.Slots(from, from.Add(3*time.Hour+time.Minute), d.now)
	require.Len(t, slots, 1)
	taken, err := booking.Taken(t.Context(), d.intake, "alice", "room", from, from.Add(3*time.Hour+time.Minute))
	require.NoError(t, err)
	free := long.Free(slots, taken)
	require.NotNil(t, free)
	require.Empty(t, free)
}

func TestResolveChecksTheCalendarAsItIs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 10)
	require.NoError(t, booking.PutCalendar(t.Context(), d.intake, "alice", room, d.now))
	ask := func(tenant, slot string, now time.Time) (booking.Booking, error) {
		t.Helper()
		return booking.Resolve(t.Context(), d.intake, tenant, booking.New(tenant, uuid.New(), visit(func(r *booking.Request) { r.SlotID = slot }), now))
	}
	got, err := ask("alice", "room.20261124T094000Z", d.now)
	require.NoError(t, err)
	want := d.at("alice", room, "09:40")
	want.ID = got.ID
	require.Equal(t, want, got)
	got, err = ask("bob", "default.20261124T100000Z", d.now)
	require.NoError(t, err, "everybody has the default calendar")
	require.Equal(t, "UTC", got.Timezone)
	for slot, tenant := range map[string]string{
		"room.20261124T100000Z": "alice", "room.20261124T094000Z": "bob", "chair.20261124T094000Z": "alice", "nonsense": "alice", "default.20261128T100000Z": "alice",
	} {
		_, err := ask(tenant, slot, d.now)
		requireCode(t, fault.SlotUnavailable, err)
	}
	_, err = ask("alice", "room.20261124T094000Z", instant(t, "2026-11-24T09:40:00Z"))
	requireCode(t, fault.SlotUnavailable, err)
	room.SlotMinutes = 60
	require.NoError(t, booking.PutCalendar(t.Context(), d.intake, "alice", room, d.now))
	_, err = ask("alice", "room.20261124T094000Z", d.now)
	requireCode(t, fault.SlotUnavailable, err)
}

func TestCalendarsAreKeptByTenantAndResource(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	find := func(db *postgres.Tenancy, tenant, resource string) booking.Calendar {
		t.Helper()
		c, err := booking.FindCalendar(t.Context(), db, tenant, resource)
		require.NoError(t, err)
		return c
	}
	require.Equal(t, booking.DefaultCalendar("alice"), find(d.intake, "alice", "default"))
	_, err := booking.FindCalendar(t.Context(), d.intake, "alice", "room")
	requireCode(t, fault.NotFound, err)

	first, err := salon(func(c *booking.Calendar) { c.Resource = "room" }).Validate()
	require.NoError(t, err)
	second, err := salon(func(c *booking.Calendar) {
		c.Timezone, c.Hours, c.SlotMinutes, c.BufferMinutes, c.DaysAhead, c.ReminderMinutes = "Asia/Tokyo", booking.Hours{}, 45, 15, 7, 0
		c.Business = booking.Business{Name: "Ömer's \"Salon\"", Color: "#000000"}
	}).Validate()
	require.NoError(t, err)
	for _, c := range []booking.Calendar{first, second} {
		require.NoError(t, booking.PutCalendar(t.Context(), d.intake, "alice", c, d.now))
		require.Equal(t, c, find(d.intake, "alice", c.Resource))
		require.Equal(t, c, find(d.worker, "alice", c.Resource))
	}
	require.Equal(t, booking.DefaultCalendar("bob"), find(d.intake, "bob", "default"))
	changed := second
	changed.Resource = "room"
	require.NoError(t, booking.PutCalendar(t.Context(), d.intake, "alice", changed, d.now))
	require.Equal(t, changed, find(d.intake, "alice", "room"))
	require.Equal(t, second, find(d.intake, "alice", "default"))
	require.Error(t, booking.PutCalendar(t.Context(), d.worker, "alice", first, d.now), "workers only read calendars")
}

func TestTheReminderIsKeptWithTheBooking(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	room := d.hours("room", 30, 0)
	b, other := d.book("alice", room, "09:00"), d.book("alice", room, "10:00")
	require.NoError(t, d.worker.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
		return booking.SetReminder(t.Context(), tx, "alice", b.ID, 4711)
	}))
	want := b
	want.ReminderJobID = 4711
	require.Equal(t, want, d.find(b))
	require.Equal(t, other, d.find(other))
	got, err := d.cancel("alice", b.ID, d.now)
	require.NoError(t, err)
	require.EqualValues(t, 4711, got.ReminderJobID, "so that its job is cancelled too")
}

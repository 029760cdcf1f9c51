package booking_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// visit is a valid request, changed.
func visit(change func(*booking.Request)) booking.Request {
	r := booking.Request{SlotID: "default.20261124T100000Z", Name: "Jo Doe", Email: "jo@example.com"}
	if change != nil {
		change(&r)
	}
	return r
}

func TestARequestIsNormalised(t *testing.T) {
	t.Parallel()
	got, err := visit(func(r *booking.Request) {
		r.Name, r.Email, r.Timezone = "  Zoe\u0308 \u202eDoe\u200b ", " Jo.Doe+x@EXAMPLE.Co.UK ", "Asia/Tokyo"
		r.Notes = " one\r\ntwo\rthree\u2028four\tfive\u2066 "
	}).Validate()
	require.NoError(t, err)
	require.Equal(t, visit(func(r *booking.Request) {
		r.Name, r.Email, r.Timezone = "Zoë Doe", "Jo.Doe+x@example.co.uk", "Asia/Tokyo"
		r.Notes = "one\ntwo\nthree\nfour\tfive"
	}), got)
	again, err := got.Validate()
	require.NoError(t, err)
	require.Equal(t, got, again)
}

func TestNamesKeepWhatIsWritten(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Jo Doe":                 "Jo Doe",
		"O'Brien-Łukasz, Jr.":    "O'Brien-Łukasz, Jr.",
		"<b>Jo</b> & \"x\"":      "<b>Jo</b> & \"x\"", // it is for the template to escape
		"山田 太郎":                  "山田 太郎",
		"葛\U000e0100飾":           "葛\U000e0100飾", // a variant of the character, as the family writes it
		"ශ්\u200dරී":             "ශ්\u200dරී",   // the joiner makes another letter
		"می\u200cخواهم":          "می\u200cخواهم",
		"محمد":                   "محمد",
		"ශ්\u200d\ufe0fරී":       "ශ්\u200dරී",
		"7 of 9":                 "7 of 9",
		"J\u200co\u200dd":        "Jod",
		"\u202dmoc.elgoog\u202c": "moc.elgoog",
		"Jo\u2060\ufeff\u00ad\u180e\u061c\u200e\u200fDoe": "JoDoe",
		"Jo\U000e0041\U000e0042":                          "Jo", // hidden tags
		"Jo\u3164\u115f Doe":                              "Jo Doe",
		"Jo\ufe0f\ufe0f\ufe0e":                            "Jo\ufe0f",
		"\ufe0fJo":                                        "Jo",
		strings.Repeat("\u200b", 200) + "Jo":              "Jo",
		strings.Repeat("e\u0301", 100):                    strings.Repeat("é", 100),
		"\u00a0Jo\u3000":                                  "Jo",
		"\u0600١":                                         "\u0600١", // a number sign that is seen
	} {
		got, err := visit(func(r *booking.Request) { r.Name = given }).Validate()
		require.NoError(t, err, "%+q", given)
		require.Equal(t, want, got.Name, "%+q", given)
	}
}

func TestARequestNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	set := map[string]func(*booking.Request, string){
		"slot_id":  func(r *booking.Request, v string) { r.SlotID = v },
		"name":     func(r *booking.Request, v string) { r.Name = v },
		"email":    func(r *booking.Request, v string) { r.Email = v },
		"timezone": func(r *booking.Request, v string) { r.Timezone = v },
		"notes":    func(r *booking.Request, v string) { r.Notes = v },
	}
	for name, values := range map[string][]string{
		"slot_id": {"", "x", "default.20261124T100000", "Default.20261124T100000Z"},
		"name": {
			"", " ", "\u200b", "\u3164", "...", "\u202e", "Jo\nDoe", "Jo\r\nBcc: all@example.com", "Jo\x00", "Jo\x1b[31m", "Jo\u0085Doe", "Jo\u2028Doe", "Jo\u2029Doe", "Jo\x7f",
			"Jo\xff", strings.Repeat("x", 101), "Win at https://evil.example", "www.evil.example", "evil.example/win",
		},
		"email": {
			"", "jo", "jo@", "@example.com", "jo@localhost", "Jo <jo@example.com>", "<jo@example.com>", "jo@example.com, x@example.com", "jo@example.com\r\nBcc: x@example.com",
			"jo@example.com\nx", "jo\x00@example.com", `"jo doe"@example.com`, "jo(x)@example.com", "jo@[127.0.0.1]", "jo@127.0.0.1", "jo@-example.com", "jo@exa_mple.com",
			"jo@example..com", "jo@example.com.", "jö@example.com", "jo@exämple.com", "jo@еxample.com" /* a Cyrillic letter */, "jo\u200b@example.com",
			strings.Repeat("x", 65) + "@example.com", "jo@" + strings.Repeat("x", 64) + ".com", "jo@" + strings.Repeat("x.", 125) + "com", "jo@example.c",
		},
		"timezone": {"Local", "Mars", "UTC\n", "../UTC"},
		"notes":    {"\x00", "a\x1bb", "a\u0085b", "\xff", strings.Repeat("x", 1001)},
	} {
		for _, value := range values {
			_, err := visit(func(r *booking.Request) { set[name](r, value) }).Validate()
			requireField(t, err, name)
			require.NotContains(t, err.Error(), "evil", "input is not echoed")
		}
	}
	for name, value := range map[string]string{
		"name": strings.Repeat("é", 100), "notes": strings.Repeat("é", 1000), "timezone": "", "email": strings.Repeat("x", 64) + "@xn--exmple-cua.com",
	} {
		_, err := visit(func(r *booking.Request) { set[name](r, value) }).Validate()
		require.NoError(t, err, name)
	}
}

func TestABookingIsForItsSlot(t *testing.T) {
	t.Parallel()
	c := salon(func(c *booking.Calendar) { c.Resource = "room" })
	at := instant(t, "2026-11-24T11:00:00+01:00")
	slot := booking.Slot{ID: "room.20261124T100000Z", StartsAt: at, EndsAt: at.Add(30 * time.Minute)}
	now := time.Date(2026, 11, 20, 9, 0, 0, 123456789, time.FixedZone("x", 3600))
	r := visit(func(r *booking.Request) { r.SlotID, r.Notes = slot.ID, "x" })
	id := uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c")
	b := booking.New("alice", id, r, now).At(slot, c)
	text, err := json.Marshal(b)
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c", "status": "confirmed", "slot_id": "room.20261124T100000Z", "name": "Jo Doe", "email": "jo@example.com",
		"timezone": "Europe/Berlin", "notes": "x", "resource": "room", "starts_at": "2026-11-24T10:00:00Z", "ends_at": "2026-11-24T10:30:00Z", "email_status": "pending",
		"created_at": "2026-11-20T08:00:00.123456Z", "updated_at": "2026-11-20T08:00:00.123456Z"}`, string(text))
	require.Equal(t, "alice", b.Tenant)

	r.Timezone = "Asia/Tokyo"
	require.Equal(t, "Asia/Tokyo", booking.New("alice", id, r, now).At(slot, c).Timezone, "the customer's own")

	later := b
	later.Status, later.EmailStatus, later.JobID, later.ReminderJobID, later.Sequence = booking.Cancelled, booking.EmailSent, 7, 8, 1
	later.UpdatedAt, later.CancelledAt = now.Add(time.Hour), &now
	require.Equal(t, b, later.Submitted())
}

func TestLogsShowNoPersonalData(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := booking.New("alice", uuid.New(), visit(func(r *booking.Request) { r.Notes = "toothache" }), time.Now())
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("booking", b), slog.Any("request", b.Request))
	for _, private := range []string{"jo@example.com", "Jo Doe", "toothache"} {
		require.NotContains(t, out.String(), private)
	}
	require.Contains(t, out.String(), b.ID.String())
}

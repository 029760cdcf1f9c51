package invitation_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"millrace/internal/invitation"
)

var update = flag.Bool("update", false, "write golden files anew") //nolint:gochecknoglobals // a test flag

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// sample is a booking of a customer in New York with a business in Berlin.
func sample(t testing.TB) invitation.Invitation {
	t.Helper()
	return invitation.Invitation{
		BookingID: "0190b5a2-7c1e-7d43-9a55-0d5f7c1e7d43",
		Stamp:     time.Date(2026, time.November, 2, 8, 15, 30, 0, time.UTC),
		StartsAt:  time.Date(2026, time.November, 24, 9, 0, 0, 0, time.UTC),
		EndsAt:    time.Date(2026, time.November, 24, 9, 30, 0, 0, time.UTC),
		Zone:      zone(t, "Europe/Berlin"),
		Name:      "Ada Lovelace",
		Email:     "ada@example.com",
		Business: invitation.Business{
			Name:  "Lindenhof Dental",
			Email: "hello@lindenhof.example",
			Color: "#1a6b54",
			Zone:  zone(t, "Europe/Berlin"),
		},
		From: "Millrace <bookings@millrace.example>",
	}
}

func render(t testing.TB, m invitation.Message, i invitation.Invitation) invitation.Rendered {
	t.Helper()
	r, err := invitation.Render(m, i)
	require.NoError(t, err)
	return r
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file) //nolint:gosec // the names are in the tests
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run `go test ./internal/invitation -run Golden -update` when the change is meant")
}

func TestTheMessagesAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	for _, m := range invitation.Messages() {
		i := sample(t)
		switch m {
		case invitation.Confirmation:
		case invitation.Cancellation:
			i.Sequence, i.Stamp = 1, i.Stamp.Add(time.Hour)
		case invitation.Reminder: // and the customer is elsewhere
			i.Zone = zone(t, "America/New_York")
		}
		r := render(t, m, i)
		golden(t, string(m)+".html", r.HTML)
		golden(t, string(m)+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
		if m != invitation.Reminder {
			golden(t, string(m)+".ics", string(r.Calendar))
		}
	}
}

func TestTheSameInvitationIsTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, m := range invitation.Messages() {
		first := render(t, m, sample(t))
		for range 20 {
			// Another attempt may read the same instants in another form.
			again := sample(t)
			again.Stamp, again.StartsAt = again.Stamp.In(again.Zone), again.StartsAt.Local()
			require.Equal(t, first, render(t, m, again))
		}
	}
}

func TestAReminderHasNoCalendarEntry(t *testing.T) {
	t.Parallel()
	r := render(t, invitation.Reminder, sample(t))
	require.Nil(t, r.Calendar)
	require.Empty(t, r.Method)
}

func TestTheTimeIsTheCustomers(t *testing.T) {
	t.Parallel()
	at := func(value string) time.Time {
		v, err := time.Parse(time.RFC3339, value)
		require.NoError(t, err)
		return v
	}
	for name, test := range map[string]struct {
		from, until, customer, business string
		subject                         string
		shown, there                    string
	}{
		"same zone": {
			"2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z", "Europe/Berlin", "Europe/Berlin",
			"Confirmed: Tue 24 Nov 2026, 10:00 with Lindenhof Dental",
			"Tuesday, 24 November 2026, 10:00–10:30, Europe/Berlin (UTC+1)", "",
		},
		"same clock": {
			"2026-07-01T09:00:00Z", "2026-07-01T09:30:00Z", "Europe/Paris", "Europe/Berlin",
			"Confirmed: Wed 1 Jul 2026, 11:00 with Lindenhof Dental",
			"Wednesday, 1 July 2026, 11:00–11:30, Europe/Paris (UTC+2)", "",
		},
		"another day": {
			"2026-07-01T23:30:00Z", "2026-07-02T00:30:00Z", "Pacific/Marquesas", "Asia/Kathmandu",
			"Confirmed: Wed 1 Jul 2026, 14:00 Pacific/Marquesas (UTC−9:30) with Lindenhof Dental",
			"Wednesday, 1 July 2026, 14:00–15:00, Pacific/Marquesas (UTC−9:30)",
			"Thursday, 2 July 2026, 05:15–06:15, Asia/Kathmandu (UTC+5:45)",
		},
		"over midnight": {
			"2026-07-01T23:30:00Z", "2026-07-02T00:30:00Z", "UTC", "UTC",
			"Confirmed: Wed 1 Jul 2026, 23:30 with Lindenhof Dental",
			"Wednesday, 1 July 2026, 23:30 – Thursday, 2 July 2026, 00:30, UTC", "",
		},
		"while the clocks go back": {
			"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "Europe/Berlin", "Europe/Berlin",
			"Confirmed: Sun 25 Oct 2026, 02:30 with Lindenhof Dental",
			"Sunday, 25 October 2026, 02:30–02:30, Europe/Berlin (UTC+2, then UTC+1)", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := sample(t)
			i.StartsAt, i.EndsAt = at(test.from), at(test.until)
			i.Zone, i.Business.Zone = zone(t, test.customer), zone(t, test.business)
			r := render(t, invitation.Confirmation, i)
			require.Equal(t, test.subject, r.Subject)
			text := strings.ReplaceAll(r.Text, "\n  ", ", ")
			require.Contains(t, text, test.shown)
			require.Contains(t, r.HTML, strings.ReplaceAll(test.shown, "+", "&#43;"))
			require.Equal(t, test.there != "", strings.Contains(r.Text, "Where the business is"))
			require.Contains(t, text, test.there)
			html := strings.ReplaceAll(r.HTML, "<br>", ", ")
			require.Contains(t, html, strings.ReplaceAll(test.there, "+", "&#43;"))
		})
	}
}

func TestZonesHaveDefaults(t *testing.T) {
	t.Parallel()
	i := sample(t)
	i.Zone = nil
	require.Contains(t, render(t, invitation.Reminder, i).Text, "Europe/Berlin (UTC+1)")
	i.Business.Zone = nil
	require.Contains(t, render(t, invitation.Reminder, i).Text, "09:00–09:30\n  UTC\n")
	i.Zone = zone(t, "America/New_York")
	require.Contains(t, render(t, invitation.Reminder, i).Text, "04:00–04:30\n  America/New York (UTC−5)\n")
	// Not a name that a customer could know.
	i.Zone = time.FixedZone("", 3600)
	require.Contains(t, render(t, invitation.Reminder, i).Text, "10:00–10:30\n  UTC+1\n")
	// The server's own zone is nobody's.
	i.Zone, i.Business.Zone = time.Local, time.Local
	require.Contains(t, render(t, invitation.Reminder, i).Text, "09:00–09:30\n  UTC\n")
}

func TestTheColorIsAColorAndItsTextReadable(t *testing.T) {
	t.Parallel()
	for color, want := range map[string]string{
		"":                                       "background-color:#1f4e79;color:#ffffff;",
		"#1a6b54":                                "background-color:#1a6b54;color:#ffffff;",
		"#FFEE00":                                "background-color:#FFEE00;color:#000000;",
		"#fff":                                   "background-color:#ffffff;color:#000000;",
		"#000":                                   "background-color:#000000;color:#ffffff;",
		"#767676":                                "background-color:#767676;color:#000000;",
		"#757575":                                "background-color:#757575;color:#ffffff;",
		"red":                                    "background-color:#1f4e79;",
		`#1a6b54;background:url(//evil.example)`: "background-color:#1f4e79;",
		"#1a6b54\n":                              "background-color:#1f4e79;",
	} {
		i := sample(t)
		i.Business.Color = color
		html := render(t, invitation.Confirmation, i).HTML
		require.Contains(t, html, want, "%q", color)
		require.NotContains(t, html, "evil")
		require.NotContains(t, html, "ZgotmplZ")
	}
}

func TestTheMailStandsAlone(t *testing.T) {
	t.Parallel()
	for _, m := range invitation.Messages() {
		r := render(t, m, sample(t))
		for _, remote := range []string{"http:", "https:", "src=", "url(", "<img", "<link", "<script", "@import"} {
			require.NotContains(t, r.HTML, remote)
		}
		require.Equal(t, 1, strings.Count(r.HTML, "href="))
		require.Contains(t, r.HTML, `href="mailto:hello@lindenhof.example"`)
		require.Contains(t, r.HTML, `<html lang="en">`)
		require.Contains(t, r.HTML, "<!--[if mso]><table")

		// Without an address of the business, the mail promises none.
		i := sample(t)
		i.Business.Email = ""
		r = render(t, m, i)
		require.NotContains(t, r.HTML, "href=")
		require.NotContains(t, r.Text, "write to")
		require.NotContains(t, r.HTML+r.Text, "bookings@millrace.example")
	}
}

func TestAnUnusableInvitationIsAnErrorThatRepeatsNothing(t *testing.T) {
	t.Parallel()
	const hostile = "secret\r\nX: y"
	for name, spoil := range map[string]func(i *invitation.Invitation){
		"no id":              func(i *invitation.Invitation) { i.BookingID = "" },
		"id":                 func(i *invitation.Invitation) { i.BookingID = hostile },
		"sequence":           func(i *invitation.Invitation) { i.Sequence = -1 },
		"no stamp":           func(i *invitation.Invitation) { i.Stamp = time.Time{} },
		"no start":           func(i *invitation.Invitation) { i.StartsAt = time.Time{} },
		"no duration":        func(i *invitation.Invitation) { i.EndsAt = i.StartsAt },
		"end first":          func(i *invitation.Invitation) { i.EndsAt = i.StartsAt.Add(-1) },
		"distant":            func(i *invitation.Invitation) { i.EndsAt = i.EndsAt.AddDate(9000, 0, 0) },
		"no address":         func(i *invitation.Invitation) { i.Email = "" },
		"address":            func(i *invitation.Invitation) { i.Email = "secret@example.com\r\nBcc: x@example.com" },
		"quoted address":     func(i *invitation.Invitation) { i.Email = `"secret;x:y"@example.com` },
		"invisible address":  func(i *invitation.Invitation) { i.Email = "sec\u200bret@example.com" },
		"business's address": func(i *invitation.Invitation) { i.Business.Email = hostile },
		"sender":             func(i *invitation.Invitation) { i.Business.Email, i.From = "", hostile },
	} {
		for _, m := range invitation.Messages() {
			i := sample(t)
			spoil(&i)
			r, err := invitation.Render(m, i)
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), "secret")
			require.Equal(t, invitation.Rendered{}, r)
		}
	}
	_, err := invitation.Render("invoice", sample(t))
	require.ErrorContains(t, err, "invoice")
}

// hostileNames are names and what is left of them, as the business's and as the
// customer's.
func hostileNames() map[string]struct{ name, business, customer string } {
	long := strings.Repeat("Ärzte ", 100)
	return map[string]struct{ name, business, customer string }{
		"html":        {`<img src=x onerror=alert(1)>`, `<img src=x onerror=alert(1)>`, `<img src=x onerror=alert(1)>`},
		"end tag":     {`</title></bdi><script>x</script>`, `</title></bdi><script>x</script>`, `< title>< bdi><script>x< script>`},
		"comment":     {`<![endif]--><!--x`, `<![endif]--><!--x`, `<![endif]--><!--x`},
		"template":    {`{{.From}}`, `{{.From}}`, `{{. From}}`},
		"header":      {"Ada\r\nBcc: eve@evil.example", "Ada Bcc: eve@evil.example", "Ada Bcc: eve evil. example"},
		"property":    {"Ada\nATTENDEE:mailto:eve@evil.example", "Ada ATTENDEE:mailto:eve@evil.example", "Ada ATTENDEE:mailto:eve evil. example"},
		"separators":  {"a\u2028b\u2029c\u0085d\ve\ff", "a b c d e f", "a b c d e f"},
		"parameter":   {`Ada;PARTSTAT=DECLINED:mailto:x`, `Ada;PARTSTAT=DECLINED:mailto:x`, `Ada;PARTSTAT=DECLINED:mailto:x`},
		"quotes":      {`Ada "The" O'Hara":mailto:x`, `Ada "The" O'Hara":mailto:x`, `Ada "The" O'Hara":mailto:x`},
		"punctuation": {`a,b;c:d\e\n`, `a,b;c:d\e\n`, `a,b;c:d e n`},
		"caret":       {`a^nb^'c^^`, `a^nb^'c^^`, `a^nb^'c^^`},
		"bidi":        {"Ada\u202egpj.exe\u2066x\u2069\u200f", "Adagpj.exex", "Adagpj. exex"},
		"zero width":  {"A\u200bd\u200da\ufeff\u2060\u00ad\U000e0041\u3164\u034f", "Ada", "Ada"},
		"controls":    {"A\x00d\x1b[31ma\x7f\u009b", "A d [31ma", "A d [31ma"},
		"invalid":     {"A\xffd\xc3a\xed\xa0\x80", "Ada", "Ada"},
		"marks":       {"A" + strings.Repeat("\u0300", 500) + "da", "A\u0300\u0300\u0300\u0300da", "A\u0300\u0300\u0300\u0300da"},
		"loose mark":  {"\u0301 \u0301Ada", "Ada", "Ada"},
		"emoji":       {"Ada 🦷❤️ 👩\u200d🔬", "Ada 🦷❤️ 👩🔬", "Ada 🦷❤️ 👩🔬"},
		"scripts":     {"עדה 愛達 Ада", "עדה 愛達 Ада", "עדה 愛達 Ада"},
		"spaces":      {" \t Ada \u00a0\u3000 B ", "Ada B", "Ada B"},
		"link":        {"Win at https://evil.example/x www.evil.example", "Win at https://evil.example/x www.evil.example", "Win at https: evil. example x www. evil. example"},
		"hidden link": {"evil.\u200bexample evil。example", "evil.example evil。example", "evil. example evil。 example"},
		"initials":    {"J.R. St.John", "J.R. St.John", "J. R. St. John"},
		"long":        {long, strings.Repeat("Ärzte ", 13) + "Ä…", strings.Repeat("Ärzte ", 9) + "Ärzte…"},
		"one word":    {strings.Repeat("x", 100_000), strings.Repeat("x", 79) + "…", strings.Repeat("x", 59) + "…"},
		"nothing":     {"\u200b \u202e", "hello@lindenhof.example", ""},
	}
}

func TestHostileNamesDoNothing(t *testing.T) {
	t.Parallel()
	for name, test := range hostileNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, m := range invitation.Messages() {
				i := sample(t)
				i.Name, i.Business.Name = test.name, test.name
				r := render(t, m, i)
				harmless(t, m, r)

				hello := "\nHello,\n"
				if test.customer != "" {
					hello = "\nHello " + test.customer + ",\n"
				}
				require.Contains(t, r.Text, hello)
				require.Contains(t, r.Text, "\n-- \n"+test.business+"\nBooking ")
				require.True(t, strings.HasSuffix(r.Subject, ", 10:00 with "+test.business), r.Subject)
				if m == invitation.Reminder {
					continue
				}
				event := parse(t, r.Calendar).event
				require.Equal(t, "Appointment with "+test.business, textOf(t, event, "SUMMARY"))
				require.Equal(t, strings.ReplaceAll(test.business, `"`, "'"), event.Props.Get("ORGANIZER").Params.Get("CN"))
				require.Equal(t, strings.ReplaceAll(test.customer, `"`, "'"), event.Props.Get("ATTENDEE").Params.Get("CN"))
			}
		})
	}
}

// harmless checks what holds whatever the names are.
func harmless(t *testing.T, m invitation.Message, r invitation.Rendered) {
	t.Helper()
	require.LessOrEqual(t, utf8.RuneCountInString(r.Subject), 200)
	plain := func(what, s, lines string) {
		require.True(t, utf8.ValidString(s), what)
		for _, c := range s {
			if strings.ContainsRune(lines, c) {
				continue
			}
			require.False(t, c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e ||
				c >= 0x2060 && c <= 0x206f || c == 0xfeff || c == 0xad || c == 0x61c, "%s has %U", what, c)
		}
	}
	plain("the subject", r.Subject, "")
	plain("the HTML", r.HTML, "\n")
	plain("the text", r.Text, "\n")
	plain("the calendar entry", string(r.Calendar), "\r\n")

	// The names add no line, and to the HTML no tag and no attribute.
	usual := sample(t)
	if strings.Contains(r.Text, "\nHello,\n") { // nothing is left of the name
		usual.Name = ""
	}
	want := render(t, m, usual)
	require.Equal(t, strings.Count(want.Text, "\n"), strings.Count(r.Text, "\n"))
	require.Equal(t, skeleton(want.HTML), skeleton(r.HTML))
	if m != invitation.Reminder {
		require.Equal(t, parse(t, want.Calendar).names, parse(t, r.Calendar).names)
	}
}

// skeleton is the names of a page's tags, read as a browser does.
func skeleton(html string) string {
	var b strings.Builder
	for {
		from := strings.IndexByte(html, '<')
		if from < 0 {
			return b.String()
		}
		html = html[from:]
		end := strings.IndexByte(html, '>')
		tag, _, _ := strings.Cut(html[:end], " ")
		b.WriteString(tag + ">")
		html = html[end:]
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range hostileNames() {
		f.Add(seed.name, seed.name)
	}
	f.Fuzz(func(t *testing.T, business, customer string) {
		for _, m := range invitation.Messages() {
			i := sample(t)
			i.Name, i.Business.Name = customer, business
			harmless(t, m, render(t, m, i))
		}
	})
}

func BenchmarkRender(b *testing.B) {
	i := sample(b)
	for b.Loop() {
		render(b, invitation.Confirmation, i)
	}
}

package resendmail_test

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/mailbox"
	"millrace/internal/resendmail"
)

// entry is a calendar entry, as far as Resend cares.
const entry = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Haircut\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// newMail is a mail with everything in it.
func newMail(key string) booking.Mail {
	return booking.Mail{
		Key: key, From: "Bürgerklinik <desk@clinic.example.com>", ReplyTo: "Desk <reply@clinic.example.com>", To: "jo@example.com",
		Subject: "Your appointment ✓", HTML: "<p>See you</p>", Text: "See you", Calendar: []byte(entry), Method: "REQUEST",
		Tags: map[string]string{"kind": "confirmation", "tenant": "t1", "booking": "b1", "attempt": "a", "zone": "z"},
	}
}

func connect(t *testing.T, url string, change ...func(*resendmail.Options)) *resendmail.Mailer {
	t.Helper()
	opts := resendmail.Options{Key: "re_test", BaseURL: url, Rate: 1e9, Metrics: prometheus.NewRegistry()}
	for _, c := range change {
		c(&opts)
	}
	mailer, err := resendmail.New(opts)
	require.NoError(t, err)
	return mailer
}

func newMailbox(t *testing.T) (*mailbox.Mailbox, string) {
	t.Helper()
	box := mailbox.New(mailbox.Options{})
	server := httptest.NewServer(box)
	t.Cleanup(func() { require.NoError(t, box.Close()); server.Close() })
	return box, server.URL
}

func TestAMailArrivesWhole(t *testing.T) {
	t.Parallel()
	box, url := newMailbox(t)
	mailer := connect(t, url)
	id, err := mailer.Send(t.Context(), newMail("confirmation/b1"))
	require.NoError(t, err)
	got := box.Mails()
	require.Len(t, got, 1)
	require.Equal(t, id, got[0].ID)
	require.Equal(t, "Bürgerklinik <desk@clinic.example.com>", got[0].From)
	require.Equal(t, []string{"jo@example.com"}, got[0].To)
	require.Equal(t, []string{"Desk <reply@clinic.example.com>"}, got[0].ReplyTo)
	require.Equal(t, "Your appointment ✓", got[0].Subject)
	require.Equal(t, "<p>See you</p>", got[0].HTML)
	require.Equal(t, "See you", got[0].Text)
	require.Equal(t, newMail("").Tags, got[0].Tags)
	require.Equal(t, "confirmation/b1", got[0].Key)
	require.Equal(t, map[string]string{"Auto-Submitted": "auto-generated"}, got[0].Headers)
	require.Equal(t, []mailbox.Attachment{{
		Filename: "invite.ics", ContentType: "text/calendar; method=REQUEST; charset=utf-8", Content: []byte(entry),
	}}, got[0].Attachments)

	cancellation := newMail("cancellation/b1")
	cancellation.Method, cancellation.ReplyTo = "CANCEL", ""
	_, err = mailer.Send(t.Context(), cancellation)
	require.NoError(t, err)
	got = box.Mails()
	require.Equal(t, "text/calendar; method=CANCEL; charset=utf-8", got[1].Attachments[0].ContentType)
	require.Empty(t, got[1].ReplyTo)

	plain := newMail("reminder/b1")
	plain.Calendar = nil
	_, err = mailer.Send(t.Context(), plain)
	require.NoError(t, err)
	require.Empty(t, box.Mails()[2].Attachments)
}

// The mailbox compares bytes: tags in a map's order would make another mail.
func TestRepeatingAMailSendsOne(t *testing.T) {
	t.Parallel()
	box, url := newMailbox(t)
	mailer := connect(t, url)
	first, err := mailer.Send(t.Context(), newMail("k"))
	require.NoError(t, err)
	for range 20 {
		again, err := mailer.Send(t.Context(), newMail("k"))
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	require.Len(t, box.Mails(), 1)
}

// Whatever happens to the answer, a repetition ends with one mail.
func TestFaultsLeaveOneMail(t *testing.T) {
	t.Parallel()
	after := map[mailbox.FaultKind]time.Duration{
		mailbox.FaultRateLimit: 7 * time.Second, mailbox.FaultDailyQuota: time.Hour, mailbox.FaultMonthlyQuota: time.Hour,
		mailbox.FaultConcurrent: time.Second, mailbox.FaultForbidden: time.Minute,
	}
	final := map[mailbox.FaultKind]string{
		mailbox.FaultMismatch: "MAIL_CHANGED", mailbox.FaultInvalid: "ADDRESS_REFUSED", mailbox.FaultRefused: "MAIL_REFUSED",
	}
	for _, kind := range mailbox.FaultKinds() {
		for _, accepted := range []bool{false, true} {
			f := mailbox.Fault{Kind: kind, Count: 1, Accepted: accepted}
			if kind == mailbox.FaultRateLimit {
				f.RetryAfter = 7
			}
			t.Run(string(kind)+map[bool]string{true: ", accepted"}[accepted], func(t *testing.T) {
				t.Parallel()
				box, url := newMailbox(t)
				if err := box.Inject(f); err != nil {
					require.True(t, accepted, "%v", err)
					return
				}
				mailer := connect(t, url, func(o *resendmail.Options) {
					if kind == mailbox.FaultTimeoutBefore || kind == mailbox.FaultTimeoutAfter {
						o.Timeout = 500 * time.Millisecond
					}
				})
				_, err := mailer.Send(t.Context(), newMail("k"))
				switch got := fault.From(err); {
				case kind == mailbox.FaultSlow:
					require.NoError(t, err)
				case final[kind] != "":
					requireFinal(t, err, final[kind])
				default:
					require.Equal(t, fault.Unavailable, got.Code)
					require.Equal(t, after[kind], got.RetryAfter)
					requirePublic(t, err)
				}
				id, err := mailer.Send(t.Context(), newMail("k"))
				require.NoError(t, err)
				require.Len(t, box.Mails(), 1)
				require.Equal(t, box.Mails()[0].ID, id)
			})
		}
	}
}

func requireFinal(t *testing.T, err error, reason string) {
	t.Helper()
	f := fault.From(err)
	require.Equal(t, fault.InvalidInput, f.Code)
	require.Equal(t, fault.Details{"reason": reason}, f.Details)
	require.Zero(t, f.RetryAfter)
	requirePublic(t, err)
}

// requirePublic looks for the mail's and Resend's words, in the cause too: it is logged.
func requirePublic(t *testing.T, err error) {
	t.Helper()
	f := fault.From(err)
	text := f.Error()
	if f.Cause() != nil {
		text += f.Cause().Error()
	}
	for _, private := range []string{"jo@", "desk@", "re_test", "vendor", "` field", "appointment", "quota."} {
		require.NotContains(t, text, private)
	}
}

func TestNoKeyNoMail(t *testing.T) {
	t.Parallel()
	box, url := newMailbox(t)
	mailer := connect(t, url)
	for _, key := range []string{"", "with space", "a\nb", "ä", strings.Repeat("k", 257)} {
		_, err := mailer.Send(t.Context(), newMail(key))
		requireFinal(t, err, "MAIL_REFUSED")
	}
	require.Empty(t, box.Requests())
	_, err := mailer.Send(t.Context(), newMail(strings.Repeat("k", 256)))
	require.NoError(t, err)
}

// served counts requests and answers each with a mail.
type served struct{ at []time.Time }

// RoundTrip implements http.RoundTripper.
func (s *served) RoundTrip(r *http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Now())
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"id":"m"}`)), Request: r}, nil
}

func TestTwoMailsASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var resend served
		mailer := connect(t, "", func(o *resendmail.Options) { o.Rate, o.Transport = 0, &resend })
		started := time.Now()
		for range 9 {
			_, err := mailer.Send(t.Context(), newMail("k"))
			require.NoError(t, err)
		}
		require.Equal(t, 4*time.Second, time.Since(started))
		for i := 1; i < len(resend.at); i++ {
			require.Equal(t, 500*time.Millisecond, resend.at[i].Sub(resend.at[i-1]))
		}
	})
}

func TestWhoCannotWaitComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var resend served
		mailer := connect(t, "", func(o *resendmail.Options) { o.Rate, o.Transport = 0.1, &resend })
		_, err := mailer.Send(t.Context(), newMail("k"))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = mailer.Send(ctx, newMail("k"))
		f := fault.From(err)
		require.Equal(t, fault.Unavailable, f.Code)
		require.Equal(t, 10*time.Second, f.RetryAfter)
		require.Len(t, resend.at, 1)
	})
}

func TestResendIsLeftAloneWhenItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	box, url := newMailbox(t)
	require.NoError(t, box.Inject(mailbox.Fault{Kind: mailbox.FaultHTTP500, Count: 5}))
	mailer := connect(t, url, func(o *resendmail.Options) { o.Pause = time.Hour })
	for range 5 {
		_, err := mailer.Send(t.Context(), newMail("k"))
		require.Equal(t, fault.Unavailable, fault.From(err).Code)
	}
	_, err := mailer.Send(t.Context(), newMail("k"))
	f := fault.From(err)
	require.Equal(t, fault.Unavailable, f.Code)
	require.GreaterOrEqual(t, f.RetryAfter, time.Hour)
	require.Len(t, box.Requests(), 5)
}

func TestRefusalsAreAnswers(t *testing.T) {
	t.Parallel()
	box, url := newMailbox(t)
	require.NoError(t, box.Inject(
		mailbox.Fault{Kind: mailbox.FaultRateLimit, Count: 10}, mailbox.Fault{Kind: mailbox.FaultInvalid, Count: 10},
		mailbox.Fault{Kind: mailbox.FaultForbidden, Count: 10}, mailbox.Fault{Kind: mailbox.FaultConcurrent, Count: 10},
	))
	mailer := connect(t, url)
	for range 40 {
		_, err := mailer.Send(t.Context(), newMail("k"))
		require.Error(t, err)
	}
	_, err := mailer.Send(t.Context(), newMail("k"))
	require.NoError(t, err)
}

func TestNewRefusesWhatItCannotWorkWith(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*resendmail.Options){
		"no key":           func(o *resendmail.Options) { o.Key = "" },
		"a key of lines":   func(o *resendmail.Options) { o.Key = "re_\n" },
		"no metrics":       func(o *resendmail.Options) { o.Metrics = nil },
		"negative timeout": func(o *resendmail.Options) { o.Timeout = -1 },
		"negative rate":    func(o *resendmail.Options) { o.Rate = -1 },
		"no rate":          func(o *resendmail.Options) { o.Rate = math.NaN() },
		"relative URL":     func(o *resendmail.Options) { o.BaseURL = "api.resend.com" },
		"other scheme":     func(o *resendmail.Options) { o.BaseURL = "ftp://api.resend.com" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := resendmail.Options{Key: "re_test", Metrics: prometheus.NewRegistry()}
			change(&opts)
			_, err := resendmail.New(opts)
			require.ErrorContains(t, err, "resendmail: ")
			require.NotContains(t, err.Error(), "re_")
		})
	}
}

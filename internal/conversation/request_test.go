package conversation_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/phi"
	"millrace/internal/satisfaction"
	"millrace/internal/strictjson"
)

// parse reads a request as the API does.
func parse(t *testing.T, body string) (conversation.Request, error) {
	t.Helper()
	var r conversation.Request
	if err := strictjson.Decode([]byte(body), &r); err != nil {
		return r, err
	}
	return r.Validate()
}

// talk is a body with the messages, written as JSON.
func talk(messages ...string) string {
	return `{"session_id":"chat-4711","messages":[` + strings.Join(messages, ",") + `]}`
}

const hello = `{"role":"user","content":"Hello there"}`

func TestAMalformedMessageIsLeftOutAndTheOthersKeepTheirPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ message, problem string }{
		"a number":        {`4711`, "must be an object"},
		"a text":          {`"jane.doe"`, "must be an object"},
		"an array":        {`[{"role":"user","content":"x"}]`, "must be an object"},
		"null":            {`null`, "must be an object"},
		"no role":         {`{"content":"x"}`, "has a role that is none of user, assistant and system"},
		"unknown role":    {`{"role":"tool","content":"x"}`, "has a role that is none of user, assistant and system"},
		"other case":      {`{"role":"User","content":"x"}`, "has a role that is none of user, assistant and system"},
		"role's name":     {`{"Role":"user","content":"x"}`, "has a role that is none of user, assistant and system"},
		"role no text":    {`{"role":1,"content":"x"}`, "has a role that is none of user, assistant and system"},
		"no content":      {`{"role":"user"}`, "has no text as content"},
		"content null":    {`{"role":"user","content":null}`, "has no text as content"},
		"content parts":   {`{"role":"user","content":[{"type":"text","text":"x"}]}`, "has no text as content"},
		"content empty":   {`{"role":"user","content":""}`, "has an empty content"},
		"content spaces":  {`{"role":"user","content":" \n\t "}`, "has an empty content"},
		"content long":    {`{"role":"user","content":"` + strings.Repeat("é", conversation.MaxContent+1) + `"}`, "has a content of more than 32768 characters"},
		"at no time":      {`{"role":"user","content":"x","at":"yesterday"}`, "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"},
		"at no text":      {`{"role":"user","content":"x","at":1767225600}`, "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"},
		"at without zone": {`{"role":"user","content":"x","at":"2026-01-31T09:30:00"}`, "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"},
		"at before years": {`{"role":"user","content":"x","at":"0000-01-01T00:00:00+14:00"}`, "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"},
		"at beyond years": {`{"role":"user","content":"x","at":"9999-12-31T23:59:59-12:00"}`, "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := parse(t, talk(hello, c.message, hello))
			require.NoError(t, err)
			got := conversation.New("alice", uuid.New(), r, time.Now())
			require.Equal(t, 2, got.MessageCount)
			require.Equal(t, 1, got.SkippedCount)
			require.Equal(t, []conversation.Skip{{Index: 1, Problem: c.problem}}, got.Skipped)
		})
	}
}

func TestASessionIDMayBeAnyUsualID(t *testing.T) {
	t.Parallel()
	ids := []string{
		"chat-4711", "user:42:7", "20260131-093000", "1767225600123", "sess_4f9a2b.EU",
		"2e5e6ea2-6d87-4755-9f1e-6f5368500462", "a5a1b1e1-f2de-4d1a-9435-4f2783982534", "ssn5JHF4ujzuVTg31rx-vQ",
	}
	for range 1000 {
		ids = append(ids, uuid.NewString())
	}
	for _, id := range ids {
		_, err := parse(t, `{"session_id":"`+id+`","messages":[`+hello+`]}`)
		require.NoError(t, err, id)
	}
}

func TestAMessageMayHaveWhatExportsOfChatsHave(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"further members": `{"id":"m-1","name":"Jo","role":"assistant","content":"x","tool_calls":[{"a":{"b":null}}]}`,
		"at null":         `{"role":"user","content":"x","at":null}`,
		"an offset":       `{"role":"user","content":"x","at":"2026-01-31T09:30:00.5+01:00"}`,
		"the longest":     `{"role":"user","content":"` + strings.Repeat("é", conversation.MaxContent) + `"}`,
		"system":          `{"role":"system","content":"Be kind."}`,
	} {
		r, err := parse(t, talk(message))
		require.NoError(t, err, name)
		require.Zero(t, conversation.New("alice", uuid.New(), r, time.Now()).SkippedCount, name)
	}
}

func TestOnlyTheFirstSkippedMessagesAreTold(t *testing.T) {
	t.Parallel()
	r, err := parse(t, talk(append([]string{hello}, slicesRepeat(`{}`, 30)...)...))
	require.NoError(t, err)
	got := conversation.New("alice", uuid.New(), r, time.Now())
	require.Equal(t, 30, got.SkippedCount)
	require.Len(t, got.Skipped, 20)
	require.Equal(t, 20, got.Skipped[19].Index)
}

func slicesRepeat(text string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = text
	}
	return list
}

func TestWhatIsRefusedNamesEachFieldAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const secret = "jane.doe"
	with := func(feedback string) string {
		return `{"session_id":"chat-4711","messages":[` + hello + `],"feedback":` + feedback + `}`
	}
	for name, c := range map[string]struct {
		body   string
		fields []string
	}{
		"nothing":           {`{}`, []string{"messages", "session_id"}},
		"no messages":       {talk(), []string{"messages"}},
		"messages null":     {`{"session_id":"s","messages":null}`, []string{"messages"}},
		"messages object":   {`{"session_id":"s","messages":{"` + secret + `":1}}`, []string{"messages"}},
		"none usable":       {talk(`{"role":"`+secret+`"}`, `{"role":"user","content":" "}`), []string{"messages", "messages[0]", "messages[1]"}},
		"too many":          {talk(slicesRepeat(hello, conversation.MaxMessages+1)...), []string{"messages"}},
		"an address as id":  {`{"session_id":"` + secret + `@example.com","messages":[` + hello + `]}`, []string{"session_id"}},
		"a number as id":    {`{"session_id":"219-09-9999","messages":[` + hello + `]}`, []string{"session_id"}},
		"a phone as id":     {`{"session_id":"555-867-5309","messages":[` + hello + `]}`, []string{"session_id"}},
		"a long id":         {`{"session_id":"` + strings.Repeat("a", 129) + `","messages":[` + hello + `]}`, []string{"session_id"}},
		"a line in the id":  {`{"session_id":"a\n","messages":[` + hello + `]}`, []string{"session_id"}},
		"empty feedback":    {with(`{}`), []string{"feedback"}},
		"blank feedback":    {with(`{"text":" "}`), []string{"feedback"}},
		"no stars":          {with(`{"stars":0}`), []string{"feedback.stars"}},
		"six stars":         {with(`{"stars":6,"thumbs":"up"}`), []string{"feedback.stars"}},
		"half a star":       {with(`{"stars":4.5}`), []string{"feedback.stars"}},
		"thumbs":            {with(`{"thumbs":"` + secret + `"}`), []string{"feedback.thumbs"}},
		"long text":         {with(`{"text":"` + strings.Repeat("é", conversation.MaxFeedback+1) + `"}`), []string{"feedback.text"}},
		"unknown feedback":  {with(`{"nps":9}`), []string{"feedback"}},
		"unknown":           {`{"session_id":"s","messages":[` + hello + `],"` + secret + `":1}`, []string{"body"}},
		"NUL in a message":  {talk(`{"role":"user","content":"\u0000"}`), []string{"body"}},
		"half a character":  {talk(`{"role":"user","content":"\ud800"}`), []string{"body"}},
		"a member doubled":  {talk(`{"role":"user","role":"user","content":"x"}`), []string{"body"}},
		"a message cut off": {`{"session_id":"s","messages":[{"role":`, []string{"body"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, c.body)
			f := fault.From(err)
			require.NotNil(t, f)
			require.Equal(t, fault.InvalidInput, f.Code)
			require.NotContains(t, f.Error(), secret)
			list, ok := f.Details["fields"].([]fault.Field)
			require.True(t, ok, f.Error())
			var names []string
			for _, field := range list {
				names = append(names, field.Field)
			}
			require.Equal(t, c.fields, names)
		})
	}
}

func TestAsManyMessagesAsThereMayBe(t *testing.T) {
	t.Parallel()
	r, err := parse(t, talk(slicesRepeat(hello, conversation.MaxMessages)...))
	require.NoError(t, err)
	require.Equal(t, conversation.MaxMessages, conversation.New("alice", uuid.New(), r, time.Now()).MessageCount)
}

// Of far too many messages those that nobody needs are not even read.
func TestTooManyMessagesAreNotAllRead(t *testing.T) {
	t.Parallel()
	var r conversation.Request
	require.NoError(t, strictjson.Decode([]byte(talk(slicesRepeat(`{}`, 50_000)...)), &r))
	require.Len(t, r.Messages, conversation.MaxMessages+1)
}

func TestPersonalDataIsMaskedTheSameThroughout(t *testing.T) {
	t.Parallel()
	const email, other, ssn = "ada.lovelace@example.com", "charles@example.com", "219-09-9999"
	body := `{"session_id":"s","messages":[{"role":"user","content":"I am at ` + email + `"},{"role":"user"},
		{"role":"assistant","content":"Is it ` + other + ` or ` + email + `?"}],"feedback":{"stars":5,"text":"Write to ` + email + `, my SSN is ` + ssn + `"}}`
	r, err := parse(t, body)
	require.NoError(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	for _, secret := range []string{email, other, ssn} {
		require.NotContains(t, string(text), secret)
	}
	require.Equal(t, "I am at [EMAIL_1]", r.Messages[0].Content)
	require.Equal(t, "Is it [EMAIL_2] or [EMAIL_1]?", r.Messages[2].Content)
	require.Equal(t, "Write to [EMAIL_1], my SSN is [SSN_1]", r.Feedback.Text)
	require.Equal(t, map[string]int{"EMAIL": 4, "SSN": 1}, conversation.New("alice", uuid.New(), r, time.Now()).Masked)
}

func TestANameInAnyMessageIsKnownInAll(t *testing.T) {
	t.Parallel()
	r, err := parse(t, `{"session_id":"s","messages":[{"role":"user","content":"did you tell qxaro? [NAME_1] is none"},
		{"role":"user","content":"I am Qxaro Umbero"},{"role":"assistant","content":"Hello Umbero"}],"feedback":{"text":"qxaro says thanks"}}`)
	require.NoError(t, err)
	require.Equal(t, "did you tell [NAME_2]? [NAME_1] is none", r.Messages[0].Content)
	require.Equal(t, "I am [NAME_2]", r.Messages[1].Content)
	require.Equal(t, "Hello [NAME_2]", r.Messages[2].Content)
	require.Equal(t, "[NAME_2] says thanks", r.Feedback.Text)
}

// failing is a masker with a bug that quotes what it failed on.
type failing struct{ on string }

func (failing) Read(string) {}

func (f failing) Mask(text string) (string, []phi.Finding) {
	if strings.Contains(text, f.on) {
		panic("cannot mask " + text)
	}
	return text, nil
}

func TestAMaskerThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	stars := 5
	r := conversation.Request{
		SessionID: "s", Messages: conversation.Messages{{Role: satisfaction.User, Content: "jane.doe"}},
		Feedback: &conversation.Feedback{Stars: &stars, Text: "good"},
	}
	for _, on := range []string{"jane", "good"} {
		got, err := conversation.Masked(r, failing{on})
		require.Equal(t, fault.MaskingFailed, fault.From(err).Code)
		require.Empty(t, got)
		require.NotContains(t, err.Error()+fault.From(err).Cause().Error(), "jane")
		require.NotContains(t, fault.From(err).Cause().Error(), "cannot mask")
	}
}

func TestTextsStayOutOfLogs(t *testing.T) {
	t.Parallel()
	r, err := parse(t, `{"session_id":"s","messages":[{"role":"user","content":"hush"}],"feedback":{"text":"hush"}}`)
	require.NoError(t, err)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	c := conversation.New("alice", uuid.New(), r, time.Now())
	logger.InfoContext(t.Context(), "x", slog.Any("request", r), slog.Any("message", r.Messages[0]), slog.Any("feedback", *r.Feedback), slog.Any("conversation", c))
	require.NotContains(t, log.String(), "hush")
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hush", "what clients see has no texts")
}

// marking is a model that names each turn it is given.
type marking struct{}

func (marking) Version() string { return "marking" }

func (marking) Score(messages []satisfaction.Message, _ satisfaction.Feedback) satisfaction.Score {
	all := make([]int, len(messages))
	for i := range all {
		all[i] = i
	}
	reasons := func(feature string) []satisfaction.Reason {
		return []satisfaction.Reason{{Feature: feature, Turns: all}, {Feature: "of no turn"}}
	}
	aspect := func(feature string) *satisfaction.SubScore { return &satisfaction.SubScore{Reasons: reasons(feature)} }
	return satisfaction.Score{
		Model: "marking", Reasons: reasons("main"),
		Sentiment:  satisfaction.Sentiment{SubScore: *aspect("sentiment"), Course: []satisfaction.Point{{Turn: 0}, {Turn: len(messages) - 1}}},
		Engagement: aspect("engagement"), Responsiveness: aspect("responsiveness"), Resolution: aspect("resolution"), AgentQuality: aspect("quality"),
	}
}

func TestTurnsAreThoseThatWereSubmitted(t *testing.T) {
	t.Parallel()
	r, err := parse(t, talk(`{}`, hello, `7`, `{"role":"assistant","content":"Hi"}`, `{}`, hello))
	require.NoError(t, err)
	score := conversation.New("alice", uuid.New(), r, time.Now()).Score(marking{}, time.Now())
	want := []int{1, 3, 5}
	for name, reasons := range map[string][]satisfaction.Reason{
		"main": score.Reasons, "sentiment": score.Sentiment.Reasons, "engagement": score.Engagement.Reasons,
		"responsiveness": score.Responsiveness.Reasons, "resolution": score.Resolution.Reasons, "quality": score.AgentQuality.Reasons,
	} {
		require.Equal(t, name, reasons[0].Feature)
		require.Equal(t, want, reasons[0].Turns, name)
		require.Empty(t, reasons[1].Turns)
	}
	require.Equal(t, []satisfaction.Point{{Turn: 1}, {Turn: 5}}, score.Sentiment.Course)

	// A score may have aspects that nothing is known about.
	r, err = parse(t, talk(`{}`, hello))
	require.NoError(t, err)
	require.Nil(t, conversation.New("alice", uuid.New(), r, time.Now()).Score(bare{}, time.Now()).Engagement)
}

// bare is a model that says nothing.
type bare struct{}

func (bare) Version() string { return "bare" }

func (bare) Score([]satisfaction.Message, satisfaction.Feedback) satisfaction.Score {
	return satisfaction.Score{Model: "bare"}
}

func TestTheModelGetsWhatWasSaid(t *testing.T) {
	t.Parallel()
	r, err := parse(t, `{"session_id":"s","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","at":"2026-01-31T09:30:00.1234567+01:00"}],
		"feedback":{"stars":4,"thumbs":"down","text":"meh"}}`)
	require.NoError(t, err)
	heard := &listening{}
	conversation.New("alice", uuid.New(), r, time.Now()).Score(heard, time.Now())
	require.Equal(t, []satisfaction.Message{
		{Role: satisfaction.User, Content: "x"},
		{Role: satisfaction.Assistant, Content: "y", At: time.Date(2026, 1, 31, 8, 30, 0, 123456000, time.UTC)},
	}, heard.messages)
	require.Equal(t, satisfaction.Feedback{Stars: 4, Thumbs: "down", Text: "meh"}, heard.feedback)
}

// listening is a model that keeps what it is given.
type listening struct {
	bare

	messages []satisfaction.Message
	feedback satisfaction.Feedback
}

func (l *listening) Score(messages []satisfaction.Message, feedback satisfaction.Feedback) satisfaction.Score {
	l.messages, l.feedback = messages, feedback
	return satisfaction.Score{}
}

func TestPositionsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c")
	at := time.Date(2026, 1, 31, 9, 30, 0, 123456000, time.UTC)
	for _, p := range []conversation.Position{
		{Sort: conversation.ByTime, CreatedAt: at, ID: id},
		{Sort: conversation.ByTime, Ascending: true, CreatedAt: at.Truncate(time.Second), ID: id},
		{Sort: conversation.BySatisfaction, Satisfaction: 63.512345678901234, ID: id},
		{Sort: conversation.BySatisfaction, Ascending: true, Satisfaction: 0, ID: id},
	} {
		got, ok := conversation.ParsePosition(p.String())
		require.True(t, ok, p.String())
		require.Equal(t, p, got)
		require.LessOrEqual(t, len(p.String()), 80)
	}
	tail := " " + strings.Split(conversation.Position{Sort: conversation.ByTime, ID: id}.String(), " ")[3]
	for _, text := range []string{
		"", "time", "time desc", "size desc 1" + tail, "time up 2026-01-31T09:30:00Z" + tail, "time desc 2026-01-31" + tail, "time desc 2026-01-31T09:30:00Z x",
		"satisfaction desc NaN" + tail, "satisfaction desc 101" + tail, "satisfaction desc -1" + tail, "satisfaction desc 1e1" + tail, "satisfaction desc 50" + tail + " ",
	} {
		_, ok := conversation.ParsePosition(text)
		require.False(t, ok, text)
	}
}

func TestDaysAndRangesAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"2026-01-31", "2026-01-31", true},
		{"2026-01-01", "2027-01-01", true}, // 366 days
		{"2026-01-01", "2027-01-02", false},
		{"2026-01-31", "2026-01-30", false},
		{"2026-02-30", "2026-03-01", false},
		{"2026-1-1", "2026-01-02", false},
		{"", "2026-01-02", false},
	} {
		_, _, err := conversation.ParseDays(c.from, c.to)
		require.Equal(t, c.ok, err == nil, fmt.Sprint(c))
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		r  conversation.Range
		ok bool
	}{
		"a moment":  {conversation.Range{From: at, To: at.Add(time.Microsecond)}, true},
		"a year":    {conversation.Range{From: at, To: at.Add(366 * 24 * time.Hour)}, true},
		"longer":    {conversation.Range{From: at, To: at.Add(366*24*time.Hour + time.Microsecond)}, false},
		"nothing":   {conversation.Range{From: at, To: at}, false},
		"backwards": {conversation.Range{From: at.Add(time.Hour), To: at}, false},
		"no from":   {conversation.Range{To: at}, false},
		"no to":     {conversation.Range{From: at}, false},
	} {
		_, err := c.r.Validate()
		require.Equal(t, c.ok, err == nil, name)
	}
}

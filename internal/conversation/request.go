package conversation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"millrace/internal/fault"
	"millrace/internal/phi"
	"millrace/internal/satisfaction"
)

// Limits of a request.
const (
	// MaxMessages is how many messages a conversation has at most.
	MaxMessages = 1000
	// MaxContent is how long a message is at most, in characters.
	MaxContent = 32_768
	// MaxFeedback is how long the text of a feedback is at most, in characters.
	MaxFeedback = 4000
)

// Request is what a client submits. What Validate returns is masked.
type Request struct {
	SessionID string    `json:"session_id" doc:"Your id of the session that the conversation belongs to. It is stored as it is: let it say nothing about a person." pattern:"^[A-Za-z0-9_.:-]+$" minLength:"1" maxLength:"128" example:"chat-4711"`
	Messages  Messages  `json:"messages" doc:"The conversation, oldest message first. A message with a problem is left out and counted." minItems:"1" maxItems:"1000"`
	Feedback  *Feedback `json:"feedback,omitzero" doc:"What the user said about it when asked."`

	// masked counts what Validate masked, by category.
	masked map[string]int
}

// Messages is a conversation as submitted, message by message.
type Messages []Message

// Message is one message as submitted. Reading one never fails: what is wrong with
// it is kept beside it. Members that it does not have are ignored, as exports of
// chats have many.
type Message struct {
	Role    satisfaction.Role `json:"role" doc:"Who wrote it. System messages are not scored." enum:"user,assistant,system"`
	Content string            `json:"content" doc:"Its text. Personal data in it is masked before it is stored." minLength:"1" maxLength:"32768" example:"Where is my parcel?"`
	At      time.Time         `json:"at,omitzero" doc:"When it was written (RFC 3339)." example:"2026-01-31T09:30:00Z"`

	// problem is why the message is left out; it then has nothing else.
	problem string

	_ struct{} `additionalProperties:"true"` // for the JSON schema
}

// Feedback is what the user said about a conversation; at least one of its members
// is there.
type Feedback struct {
	Stars  *int   `json:"stars,omitzero" doc:"From 1 to 5." minimum:"1" maximum:"5" example:"4"`
	Thumbs string `json:"thumbs,omitzero" doc:"Which way the thumb points." enum:"up,down"`
	Text   string `json:"text,omitzero" doc:"In words. Personal data in it is masked before it is stored." maxLength:"4000" example:"Quick and friendly."`
}

// LogValue implements slog.LogValuer: what was said stays out of logs.
func (r Request) LogValue() slog.Value { return slog.GroupValue(slog.Int("messages", len(r.Messages))) }

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value { return slog.GroupValue(slog.String("role", string(m.Role))) }

// LogValue implements slog.LogValuer.
func (f Feedback) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("stars", f.Stars != nil), slog.Bool("thumbs", f.Thumbs != ""), slog.Bool("text", f.Text != ""))
}

// sessionID has no character that an e-mail address needs.
var sessionID = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

// callsPerson reports whether a session id is a number that somebody is known by.
// Other kinds of finding are what ids look like, and so is a number that is the end
// of a word, as in 4f2783982534 or ssn5JHF4ujzu: random ids have those by chance.
func callsPerson(id string) bool {
	return slices.ContainsFunc(phi.Find(id), func(f phi.Finding) bool {
		personal := f.Type == phi.SSN || f.Type == phi.Phone || f.Type == phi.Fax
		return personal && !strings.ContainsFunc(id[max(f.Start-1, 0):f.End], unicode.IsLetter)
	})
}

// Validate checks a request and returns it with personal data masked, so that
// nothing behind it ever sees any: the row, and the hash that the idempotency key
// goes with. The fault is INVALID_INPUT and names every field, or MASKING_FAILED.
func (r Request) Validate() (Request, error) {
	var fields fault.Fields
	fields.Check(sessionID.MatchString(r.SessionID), "session_id",
		"must have 1 to 128 of the characters A-Z, a-z, 0-9, _, ., : and -; an e-mail address is no session id")
	fields.Check(!callsPerson(r.SessionID), "session_id", "must not be a phone number or a social security number")
	fields.Check(len(r.Messages) > 0 && len(r.Messages) <= MaxMessages, "messages", "must have 1 to "+strconv.Itoa(MaxMessages)+" messages")
	if n := len(r.Messages); n > 0 && n <= MaxMessages && r.Messages.usable() == 0 {
		fields.Add("messages", "must have a message that can be used")
		for i, m := range r.Messages[:min(n, maxSkips)] {
			fields.Add(fmt.Sprintf("messages[%d]", i), m.problem)
		}
	}
	if r.Feedback != nil {
		feedback := *r.Feedback
		feedback.Text = strings.TrimSpace(feedback.Text)
		feedback.check(&fields)
		r.Feedback = &feedback
	}
	if err := fields.Err(); err != nil {
		return r, err
	}
	return mask(r, newMasker())
}

func (f Feedback) check(fields *fault.Fields) {
	fields.Check(f.Stars != nil || f.Thumbs != "" || f.Text != "", "feedback", "must have stars, thumbs or text")
	fields.Check(f.Stars == nil || (*f.Stars >= 1 && *f.Stars <= 5), "feedback.stars", "must be an integer from 1 to 5")
	fields.Check(f.Thumbs == "" || f.Thumbs == "up" || f.Thumbs == "down", "feedback.thumbs", "must be up or down")
	fields.Check(utf8.RuneCountInString(f.Text) <= MaxFeedback, "feedback.text", "must have at most "+strconv.Itoa(MaxFeedback)+" characters")
}

// given returns the feedback as the model takes it.
func (f *Feedback) given() satisfaction.Feedback {
	if f == nil {
		return satisfaction.Feedback{}
	}
	given := satisfaction.Feedback{Thumbs: f.Thumbs, Text: f.Text}
	if f.Stars != nil {
		given.Stars = *f.Stars
	}
	return given
}

func (m Messages) usable() (n int) {
	for _, message := range m {
		if message.problem == "" {
			n++
		}
	}
	return n
}

// UnmarshalJSON implements json.Unmarshaler. Of too many messages it reads one more
// than there may be.
func (m *Messages) UnmarshalJSON(text []byte) error {
	*m = nil
	if string(bytes.TrimSpace(text)) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if first, err := decoder.Token(); err != nil || first != json.Delim('[') {
		return errors.New("conversation: messages are no array")
	}
	for decoder.More() && len(*m) <= MaxMessages {
		var message Message
		if err := decoder.Decode(&message); err != nil {
			return fmt.Errorf("conversation: messages: %w", err)
		}
		*m = append(*m, message)
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. It fails for no JSON value.
func (m *Message) UnmarshalJSON(text []byte) error {
	*m = readMessage(text)
	return nil
}

func readMessage(text []byte) (m Message) {
	// A map, because names of struct fields match in any case.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return Message{problem: "must be an object"}
	}
	role, ok := readString(members["role"])
	if m.Role = satisfaction.Role(role); !ok || !known(m.Role) {
		return Message{problem: "has a role that is none of user, assistant and system"}
	}
	if m.Content, ok = readString(members["content"]); !ok {
		return Message{problem: "has no text as content"}
	}
	if strings.TrimSpace(m.Content) == "" {
		return Message{problem: "has an empty content"}
	}
	if utf8.RuneCountInString(m.Content) > MaxContent {
		return Message{problem: "has a content of more than " + strconv.Itoa(MaxContent) + " characters"}
	}
	if at := members["at"]; at != nil && string(at) != "null" {
		written, ok := readString(at)
		if m.At, ok = readTime(written, ok); !ok {
			return Message{problem: "has an at that is no RFC 3339 time such as 2026-01-31T09:30:00Z"}
		}
	}
	return m
}

func known(role satisfaction.Role) bool {
	return role == satisfaction.User || role == satisfaction.Assistant || role == satisfaction.System
}

func readString(text json.RawMessage) (value string, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", false
	}
	return value, json.Unmarshal(text, &value) == nil
}

// readTime reads a time that can be written again: in UTC its year has four digits.
func readTime(text string, isText bool) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC().Truncate(time.Microsecond)
	return at, isText && err == nil && !at.IsZero() && at.Year() >= 1 && at.Year() <= 9999
}

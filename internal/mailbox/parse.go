package mailbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/mail"
	"path"
	"strings"
)

// maxRecipients is Resend's bound for each of to, cc and bcc
// (https://resend.com/docs/api-reference/emails/send-email).
const maxRecipients = 50

// addressForm ends Resend's message about an address.
const addressForm = " The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."

// sendRequest is the body of POST /emails.
type sendRequest struct {
	From        string            `json:"from"`
	To          addresses         `json:"to"`
	Cc          addresses         `json:"cc"`
	Bcc         addresses         `json:"bcc"`
	ReplyTo     addresses         `json:"reply_to"`
	Subject     string            `json:"subject"`
	HTML        string            `json:"html"`
	Text        string            `json:"text"`
	Headers     map[string]string `json:"headers"`
	Tags        []tag             `json:"tags"`
	Attachments []struct {
		Content     content `json:"content"`
		Filename    string  `json:"filename"`
		Path        string  `json:"path"`
		ContentType string  `json:"content_type"`
	} `json:"attachments"`
}

type tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// addresses are one address, or a list of them.
type addresses []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *addresses) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(a))
	}
	var one string
	if err := json.Unmarshal(text, &one); err != nil || one == "" {
		return err
	}
	*a = addresses{one}
	return nil
}

// content is a file in base64, or the list of its bytes, which resend-go sends.
type content []byte

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(text []byte) error {
	if text[0] != '[' {
		var encoded string
		if err := json.Unmarshal(text, &encoded); err != nil {
			return err
		}
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		*c = decoded
		return err
	}
	var numbers []int
	if err := json.Unmarshal(text, &numbers); err != nil {
		return err
	}
	*c = make(content, 0, len(numbers))
	for _, n := range numbers {
		if n < 0 || n > 0xff {
			return errors.New("not a byte")
		}
		*c = append(*c, byte(n))
	}
	return nil
}

// parse validates a mail without looking at what is stored.
func parse(body []byte) (*Mail, *apiError) {
	var in sendRequest
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil {
		return nil, refuse(http.StatusBadRequest, "validation_error", "The request body is not a mail in JSON.")
	}
	if e := in.validate(); e != nil {
		return nil, e
	}
	out := &Mail{
		From: in.From, To: in.To, Cc: in.Cc, Bcc: in.Bcc, ReplyTo: in.ReplyTo,
		Subject: in.Subject, HTML: in.HTML, Text: in.Text, Headers: in.Headers, Tags: map[string]string{},
	}
	for _, t := range in.Tags {
		out.Tags[t.Name] = t.Value
	}
	for _, file := range in.Attachments {
		if len(file.Content) == 0 && file.Path == "" {
			return nil, refuse(http.StatusUnprocessableEntity, "invalid_attachment", "Attachment must have either a `content` or `path`.")
		}
		if file.ContentType == "" {
			file.ContentType = mime.TypeByExtension(path.Ext(file.Filename))
		}
		out.Attachments = append(out.Attachments, Attachment{
			Filename: file.Filename, ContentType: file.ContentType, Content: file.Content, Path: file.Path,
		})
	}
	return out, nil
}

func (in *sendRequest) validate() *apiError {
	switch {
	case in.From == "":
		return missing("from")
	case len(in.To) == 0:
		return missing("to")
	case in.Subject == "":
		return missing("subject")
	case in.HTML == "" && in.Text == "":
		return missing("html` or `text")
	case !isAddress(in.From):
		return refuse(http.StatusUnprocessableEntity, "invalid_from_address", "Invalid `from` field."+addressForm)
	case strings.ContainsAny(in.Subject, "\r\n"):
		return invalid("The `\\n` is not allowed in the `subject` field.")
	}
	for _, list := range []struct {
		field string
		of    addresses
	}{{"to", in.To}, {"cc", in.Cc}, {"bcc", in.Bcc}, {"reply_to", in.ReplyTo}} {
		if len(list.of) > maxRecipients {
			return invalid("The `" + list.field + "` field has more than 50 recipients.")
		}
		for _, address := range list.of {
			if !isAddress(address) {
				return invalid("Invalid `" + list.field + "` field." + addressForm)
			}
		}
	}
	for name, value := range in.Headers {
		if name == "" || strings.ContainsAny(name+value, "\r\n") || strings.ContainsAny(name, ": ") {
			return invalid("Invalid `headers` field.")
		}
	}
	seen := map[string]bool{}
	for _, t := range in.Tags {
		if !isTag(t.Name) || !isTag(t.Value) {
			return invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes, and no more than 256 of them.")
		}
		if seen[t.Name] {
			return invalid("Tags should have different names.")
		}
		seen[t.Name] = true
	}
	return nil
}

func isTag(text string) bool {
	return text != "" && len(text) <= 256 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

func isAddress(text string) bool {
	_, domain, _ := strings.Cut(bare(text), "@")
	return !strings.ContainsAny(text, "\r\n") && strings.Contains(strings.Trim(domain, "."), ".")
}

// bare is the address without a name, or nothing when it is none.
func bare(text string) string {
	address, err := mail.ParseAddress(text)
	if err != nil {
		return ""
	}
	return address.Address
}

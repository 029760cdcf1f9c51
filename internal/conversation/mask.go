package conversation

import (
	"fmt"
	"runtime/debug"

	"millrace/internal/fault"
	"millrace/internal/phi"
)

// masker replaces personal data. It gives the same placeholder to what it has seen
// before, and finds a name by its parts once it has read the whole of it.
type masker interface {
	Read(text string)
	Mask(text string) (masked string, findings []phi.Finding)
}

func newMasker() masker { return &phi.Masker{} }

// mask returns a request without personal data. One masker reads all of it first and
// masks it in order then, so that placeholders mean the same throughout and a name
// that is said in full once is known in every message. When it fails nothing comes
// through: the fault is MASKING_FAILED.
func mask(r Request, with masker) (masked Request, err error) {
	defer func() {
		if value := recover(); value != nil {
			// The value may quote the text that it failed on.
			masked, err = Request{}, fault.New(fault.MaskingFailed, "Personal data could not be masked, so nothing was stored; try again, and quote the request id if it persists.").
				Because(&maskerPanic{kind: fmt.Sprintf("%T", value), stack: debug.Stack()})
		}
	}()
	for _, m := range r.Messages {
		if m.problem == "" {
			with.Read(m.Content)
		}
	}
	if r.Feedback != nil {
		with.Read(r.Feedback.Text)
	}
	counts := map[string]int{}
	text := func(text string) string {
		clean, findings := with.Mask(text)
		for _, finding := range findings {
			counts[string(finding.Type)]++
		}
		return clean
	}
	messages := make(Messages, len(r.Messages))
	for i, m := range r.Messages {
		if m.problem == "" {
			m.Content = text(m.Content)
		}
		messages[i] = m
	}
	r.Messages = messages
	if r.Feedback != nil {
		feedback := *r.Feedback
		feedback.Text = text(feedback.Text)
		r.Feedback = &feedback
	}
	if len(counts) > 0 {
		r.masked = counts
	}
	return r, nil
}

// maskerPanic is a recovered panic without its value.
type maskerPanic struct {
	kind  string
	stack []byte
}

func (p *maskerPanic) Error() string {
	return "panic while masking: a value of type " + p.kind + "\n" + string(p.stack)
}

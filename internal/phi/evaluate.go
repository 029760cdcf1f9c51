package phi

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Report is how well Find does on labelled texts.
type Report struct {
	Texts int
	// Labels has a score for each type of label, in alphabetical order.
	Labels []Score
	// Total is the score of all labels.
	Total Score
	// Findings counts findings; Right those that overlap a label.
	Findings, Right int
	// Negatives counts texts without a label; Touched those of them with a finding.
	Negatives, Touched int
}

// Score counts the labels of one type.
type Score struct {
	// Label is the type as the labels name it, which need not be one of Types.
	Label string
	// Count is how many there are.
	Count int
	// Masked counts those whose value the masked text does not hold any more.
	Masked int
	// Covered counts those of which findings cover every letter and digit, at each
	// place of the text where they stand.
	Covered int
}

// Recall is the share of labels whose value is masked, from 0 to 1; 1 of none.
func (s Score) Recall() float64 { return share(s.Masked, s.Count) }

// Coverage is the share of labels that findings cover wholly.
func (s Score) Coverage() float64 { return share(s.Covered, s.Count) }

// Precision is the share of findings that overlap a label.
func (r Report) Precision() float64 { return share(r.Right, r.Findings) }

// NegativesTouched is the share of texts without a label that have a finding.
func (r Report) NegativesTouched() float64 { return 1 - share(r.Negatives-r.Touched, r.Negatives) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// maxLine is the longest line that Evaluate reads, in bytes.
const maxLine = 16 << 20

// Evaluate measures Find on labelled texts, one JSON object a line: a text, and
// the type and value of each identifier in it,
//
//	{"text": "Seen by Dr. Roe.", "phi": [{"type": "NAME", "value": "Roe"}]}
//
// A value that its text does not hold is not counted. An error names the line.
func Evaluate(r io.Reader) (Report, error) {
	var report Report
	scores := make(map[string]*Score)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var labelled labelled
		if err := json.Unmarshal(lines.Bytes(), &labelled); err != nil {
			return Report{}, fmt.Errorf("phi: line %d: %w", n, err)
		}
		if labelled.Text == nil {
			return Report{}, fmt.Errorf("phi: line %d: no text", n)
		}
		report.add(labelled, scores)
	}
	if err := lines.Err(); err != nil {
		return Report{}, fmt.Errorf("phi: %w", err)
	}
	if report.Texts == 0 {
		return Report{}, errors.New("phi: no texts to evaluate")
	}
	for _, score := range scores {
		report.Labels = append(report.Labels, *score)
		report.Total.Count += score.Count
		report.Total.Masked += score.Masked
		report.Total.Covered += score.Covered
	}
	slices.SortFunc(report.Labels, func(a, b Score) int { return strings.Compare(a.Label, b.Label) })
	report.Total.Label = "all"
	return report, nil
}

// labelled is a line of the input.
type labelled struct {
	Text *string `json:"text"`
	PHI  []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"phi"`
}

// add counts one text.
func (r *Report) add(l labelled, scores map[string]*Score) {
	text := *l.Text
	r.Texts++
	var m Masker
	masked, found := m.Mask(text)
	if len(l.PHI) == 0 {
		r.Negatives++
		if len(found) > 0 {
			r.Touched++
		}
	}
	covered := make([]bool, utf8.RuneCountInString(text))
	for _, f := range found {
		for i := f.Start; i < f.End; i++ {
			covered[i] = true
		}
	}
	label := make([]bool, len(covered))
	for _, p := range l.PHI {
		if p.Value == "" || !strings.Contains(text, p.Value) {
			continue
		}
		score := scores[p.Type]
		if score == nil {
			score = &Score{Label: p.Type}
			scores[p.Type] = score
		}
		score.Count++
		if !strings.Contains(masked, p.Value) {
			score.Masked++
		}
		if mark(text, p.Value, covered, label) {
			score.Covered++
		}
	}
	r.Findings += len(found)
	for _, f := range found {
		if slices.Contains(label[f.Start:f.End], true) {
			r.Right++
		}
	}
}

// mark marks every place at which a text holds a value, and tells whether all its
// letters and digits are covered there.
func mark(text, value string, covered, label []bool) bool {
	all := true
	for at := 0; ; {
		i := strings.Index(text[at:], value)
		if i < 0 {
			return all
		}
		n := utf8.RuneCountInString(text[:at+i])
		for _, c := range value {
			label[n] = true
			if (unicode.IsLetter(c) || unicode.IsDigit(c)) && !covered[n] {
				all = false
			}
			n++
		}
		at += i + len(value)
	}
}

// String is a table: for each type of label how many there are, the share whose
// value is masked and the share that findings cover wholly.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %6s %7s %8s\n", "label", "count", "masked", "covered")
	for _, s := range append(slices.Clone(r.Labels), r.Total) {
		fmt.Fprintf(&b, "%-32s %6d %7.3f %8.3f\n", s.Label, s.Count, s.Recall(), s.Coverage())
	}
	fmt.Fprintf(&b, "%d texts, %d findings, precision %.3f\n", r.Texts, r.Findings, r.Precision())
	fmt.Fprintf(&b, "%d texts without a label, touched %d (%.1f %%)\n", r.Negatives, r.Touched, 100*r.NegativesTouched())
	return b.String()
}

package satisfaction

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Dialogue is a conversation that people may have rated.
type Dialogue struct {
	Messages []Message
	// Ratings are from 1 to 5, one a person.
	Ratings []float64
}

// Rating is the mean of the ratings; false when there are none.
func (d Dialogue) Rating() (float64, bool) {
	sum := 0.0
	for _, r := range d.Ratings {
		sum += r
	}
	return sum / float64(max(len(d.Ratings), 1)), len(d.Ratings) > 0
}

// Dataset is a file of dialogues of one domain.
type Dataset struct {
	Source

	Dialogues []Dialogue
}

// maxLine bounds a line of a file, in bytes.
const maxLine = 64 << 20

// ReadDialogues calls do for each line of a file: a JSON object with messages,
// each of them with role and content and perhaps at, and perhaps overall, the
// ratings that people gave the whole. The error names the line.
func ReadDialogues(from io.Reader, do func(Dialogue) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	number := 0
	for lines.Scan() {
		number++
		if len(lines.Bytes()) == 0 {
			continue
		}
		dialogue, err := parseDialogue(lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := do(dialogue); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return nil
}

func parseDialogue(line []byte) (Dialogue, error) {
	var object struct {
		Messages []struct {
			Role    Role      `json:"role"`
			Content string    `json:"content"`
			At      time.Time `json:"at"`
		} `json:"messages"`
		Overall []float64 `json:"overall"`
	}
	if err := json.Unmarshal(line, &object); err != nil {
		return Dialogue{}, errors.New("is not a JSON object with messages, and ratings as overall")
	}
	d := Dialogue{Ratings: object.Overall}
	for i, m := range object.Messages {
		switch m.Role {
		case User, Assistant, System:
		default:
			return Dialogue{}, fmt.Errorf("message %d: the role must be user, assistant or system", i)
		}
		d.Messages = append(d.Messages, Message{Role: m.Role, Content: m.Content, At: m.At})
	}
	for _, r := range d.Ratings {
		if r < 1 || r > 5 {
			return Dialogue{}, errors.New("a rating is not between 1 and 5")
		}
	}
	return d, nil
}

// ReadDataset reads a file of rated dialogues; those without a rating are left out.
func ReadDataset(name string, from io.Reader) (Dataset, error) {
	hash := sha256.New()
	set := Dataset{Source: Source{Name: name}}
	err := ReadDialogues(io.TeeReader(from, hash), func(d Dialogue) error {
		if _, rated := d.Rating(); rated {
			set.Dialogues = append(set.Dialogues, d)
		}
		return nil
	})
	if err != nil {
		return Dataset{}, fmt.Errorf("%s: %w", name, err)
	}
	set.SHA256, set.Source.Dialogues = hex.EncodeToString(hash.Sum(nil)), len(set.Dialogues)
	if len(set.Dialogues) < minDialogues {
		return Dataset{}, fmt.Errorf("%s has %d rated dialogues; at least %d are needed", name, len(set.Dialogues), minDialogues)
	}
	return set, nil
}

// minDialogues is how many rated dialogues a file needs for figures that mean
// something: a fold of ten has ten of them then.
const minDialogues = 100

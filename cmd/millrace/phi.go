package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"millrace/internal/phi"
)

func phiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "phi",
		Short: "Find and mask personal health information in text",
		Long: `Find and mask personal health information in text as POST /v1/conversations does
before it stores anything: names, places smaller than a state, dates, ages over 89,
numbers and addresses that identify. It reads English, and it is not perfect:
"phi eval" says how good it is. Nothing leaves this machine.`,
	}
	return group(cmd, phiScan(), phiEval())
}

// scanned is what is printed of a text.
type scanned struct {
	Findings []phi.Finding `json:"findings"`
	Masked   string        `json:"masked"`
}

func phiScan() *cobra.Command {
	var jsonl, asJSON bool
	cmd := &cobra.Command{
		Use:   "scan [FILE]",
		Short: "Print a text with what identifies a person masked",
		Long: `Print a text with what identifies a person replaced by placeholders. FILE is the
standard input when it is absent or -. With --jsonl each line of it is a JSON object
with a "text", and one object a line is printed, in the same order: "findings", each
with type, start and end (offsets in Unicode code points, the end excluded), and
"masked". Placeholders are numbered anew for each text.`,
		Example: `  echo "Call Ada Lovelace on 415 555 0132" | millrace phi scan
  millrace phi scan --jsonl notes.jsonl`,
		Args: takes(0, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, name := cmd.InOrStdin(), "standard input"
			if len(args) == 1 && args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fileError(err)
				}
				defer func() { _ = file.Close() }()
				in, name = file, args[0]
			}
			out := &printer{w: cmd.OutOrStdout()}
			if jsonl {
				if err := scanLines(in, out); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				return out.err
			}
			text, err := io.ReadAll(in)
			if err != nil {
				return fileError(err)
			}
			result := scan(string(text))
			if asJSON {
				out.json(result)
			} else {
				out.printf("%s", result.Masked)
			}
			return out.err
		},
	}
	cmd.Flags().BoolVar(&jsonl, "jsonl", false, "each line is a JSON object with a text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings beside the masked text")
	return cmd
}

func scan(text string) scanned {
	var masker phi.Masker
	masked, findings := masker.Mask(text)
	if findings == nil {
		findings = []phi.Finding{}
	}
	return scanned{Findings: findings, Masked: masked}
}

// maxTextLine bounds a line of --jsonl, in bytes.
const maxTextLine = 64 << 20

func scanLines(in io.Reader, out *printer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 1<<20), maxTextLine)
	number := 0
	for lines.Scan() {
		number++
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Text == nil {
			return fmt.Errorf("line %d is not a JSON object with a text", number)
		}
		out.json(scan(*line.Text))
		if out.err != nil {
			return out.err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return nil
}

func phiEval() *cobra.Command {
	return &cobra.Command{
		Use:   "eval FILE",
		Short: "Measure how much of labelled texts is found",
		Long: `Measure on labelled texts, one JSON object a line: "text", and "phi", a list of what
identifies somebody in it, each with "type" and "value". A value counts as masked
when the masked text does not hold it any more, and as covered when findings cover
every letter and digit of it. Texts without any are hard negatives: what is found in
them is wrong.`,
		Example: "  millrace phi eval labelled.jsonl",
		Args:    takes(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return fileError(err)
			}
			defer func() { _ = file.Close() }()
			report, err := phi.Evaluate(file)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			out := &printer{w: cmd.OutOrStdout()}
			out.printf("%s", report)
			return out.err
		},
	}
}

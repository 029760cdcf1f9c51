package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/client"
)

func (f *jobsFlags) submit() *cobra.Command {
	var (
		args, file, key, at string
		priority            int
		wait                bool
	)
	cmd := &cobra.Command{
		Use:   "submit KIND",
		Short: "Submit a job of any public kind",
		Long: `Submit a job of any public kind; /docs on the server describes the kinds and their input.

Repeating a submission with the same --key and the same input changes nothing and
shows the same job, so it is safe when the outcome of the first is not known.
With --wait the command follows the job until it is done. --json prints one
document: what the server answered, {"job": …, "payment": …} for instance; with
--wait {"job": …} as it ended.`,
		Example: `  millrace jobs submit payment_capture --args '{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}'
  millrace jobs submit payment_capture --args-file order.json --key order-4711 --wait
  jq .payment order.json | millrace jobs submit payment_capture --args-file - --at +10m --priority 2
  millrace jobs submit payment_capture --args-file order.json --at 2030-01-31T09:30:00Z --json`,
		Args: takes(1, 1, "the KIND of job"),
	}
	flags := cmd.Flags()
	flags.StringVar(&args, "args", "", "the kind's input, as a JSON object (default {})")
	flags.StringVar(&file, "args-file", "", "the file that has the input; - is the standard input")
	flags.StringVar(&key, "key", "", "idempotency key, your own id of the submission (default a new one)")
	flags.StringVar(&at, "at", "", "when to run at the earliest: RFC 3339, or +10m from now")
	flags.IntVar(&priority, "priority", 1, "from 1 (first) to 4 within the queue")
	flags.BoolVar(&wait, "wait", false, "follow the job until it is done")
	cmd.RunE = func(cmd *cobra.Command, kind []string) error {
		input, err := readInput(cmd, args, file)
		if err != nil {
			return err
		}
		opts := client.SubmitOptions{IdempotencyKey: key, Priority: priority}
		if opts.ScheduledAt, err = parseTime(cmd, "--at", at, f.now()); err != nil {
			return err
		}
		if priority < 1 || priority > 4 {
			return misuse(cmd, "--priority is from 1 to 4")
		}
		if key == "" {
			opts.IdempotencyKey = client.NewIdempotencyKey()
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		submission, err := api.Submit(cmd.Context(), kind[0], input, opts)
		if err != nil {
			return api.explainSubmit(err, opts)
		}
		return f.showSubmission(cmd, api, submission, wait)
	}
	return cmd
}

func (f *jobsFlags) showSubmission(cmd *cobra.Command, api *jobsServer, submission *client.Submission, wait bool) error {
	out := &printer{w: cmd.OutOrStdout()}
	switch {
	case f.asJSON && !wait:
		out.json(submission.Raw)
		return out.err
	case !f.asJSON:
		verb := "submitted"
		if submission.Replayed {
			verb = "was submitted before with this key"
		}
		out.printf("job %s %s\n", oneLine(submission.Job.ID), verb)
	}
	if !wait {
		out.printf("follow it with: millrace jobs watch %s\n", oneLine(submission.Job.ID))
		return out.err
	}
	follow := f.follower(cmd.OutOrStdout(), out)
	follow.quiet = f.asJSON // then there is one document for the whole command
	job, err := follow.run(cmd.Context(), api, submission.Job.ID)
	if err != nil {
		return err
	}
	if f.asJSON {
		out.json(map[string]any{"job": job.Raw})
	}
	return errors.Join(out.err, failedJob(job))
}

// readInput returns the kind's input from --args or --args-file.
func readInput(cmd *cobra.Command, args, file string) (json.RawMessage, error) {
	name, text := "--args", []byte(args)
	if file != "" {
		if args != "" {
			return nil, misuse(cmd, "--args and --args-file exclude each other")
		}
		var err error
		if name, text, err = readInputFile(cmd, file); err != nil {
			return nil, err
		}
	} else if args == "" {
		text = []byte("{}")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, misuse(cmd, "%s is not JSON: %s at byte %d", name, syntax, syntax.Offset)
		}
		return nil, misuse(cmd, "%s must be a JSON object", name)
	}
	return text, nil
}

// maxInput is the largest request body that the server takes for any kind, in bytes.
const maxInput = 2 << 20

func readInputFile(cmd *cobra.Command, file string) (name string, text []byte, err error) {
	in := cmd.InOrStdin()
	name = "the standard input"
	if file != "-" {
		name = file
		opened, err := os.Open(file) //nolint:gosec // the file that the user names
		if err != nil {
			return name, nil, fmt.Errorf("--args-file cannot be read: %w", err)
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err = io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return name, nil, fmt.Errorf("--args-file cannot be read: %w", err)
	case len(text) > maxInput:
		return name, nil, fmt.Errorf("%s has more than the %d bytes that the server takes", name, maxInput)
	}
	return name, text, nil
}

// parseTime reads a time, or +d from now. Zero for an empty text.
func parseTime(cmd *cobra.Command, flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if relative, ok := strings.CutPrefix(text, "+"); ok {
		if d, err := parseDuration(relative); err == nil {
			// In whole seconds, so that the time can be given again as it is shown.
			return now.Add(d).UTC().Truncate(time.Second), nil
		}
	} else if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{}, misuse(cmd, "%s must look like 2030-01-31T09:30:00Z or +10m", flag)
}

// parseDuration reads what time.ParseDuration does, and whole days such as 90d.
func parseDuration(text string) (time.Duration, error) {
	number, ok := strings.CutSuffix(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 16)
	return time.Duration(days) * 24 * time.Hour, err
}

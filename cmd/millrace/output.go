package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// The exit codes beside 0 for done and 1 for a command that failed.
const (
	exitUsage     = 2 // flags or arguments that make no sense
	exitJobFailed = 3 // the command worked, and the job it followed failed
	exitNotFound  = 4 // there is no such job, key or metric
)

const exitCodesHelp = `Exit codes: 0 done, 1 the command failed, 2 wrong usage, 3 the job failed
(jobs watch, jobs submit --wait), 4 there is no such job, key or metric.`

// exitError gives an error an exit code of its own.
type exitError struct {
	code int
	err  error
}

// Error implements error.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap lets errors.Is and errors.As look inside.
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is what program.Main ends the process with.
func (e *exitError) ExitCode() int { return e.code }

// misuse is the error for flags or arguments that make no sense.
func misuse(cmd *cobra.Command, format string, args ...any) error {
	problem := fmt.Sprintf(format, args...)
	return &exitError{exitUsage, fmt.Errorf("%s; see `%s --help`", problem, cmd.CommandPath())}
}

// group completes a command that only has subcommands: wrong usage below it has
// its exit code.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subcommands...)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misuse(cmd, "%s", err) })
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		names := make([]string, len(subcommands))
		for i, sub := range subcommands {
			names[i] = sub.Name()
		}
		return misuse(cmd, "unknown command %q: there are %s", args[0], strings.Join(names, ", "))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// takes accepts from least to most arguments, each one being a what.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return misuse(cmd, "%s is missing", what)
		case len(args) > most && most == 0:
			return misuse(cmd, "no arguments are taken, and %d given", len(args))
		case len(args) > most:
			return misuse(cmd, "%s is taken once, and %d arguments are given", what, len(args))
		}
		return nil
	}
}

// printer writes to a command's output and keeps the first error, so that a
// full disk is not taken for success.
type printer struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (p *printer) Write(text []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.w.Write(text)
	if err != nil {
		p.err = fmt.Errorf("the output cannot be written: %w", err)
	}
	return n, p.err
}

func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

// json writes a value as one line.
func (p *printer) json(value any) {
	encoder := json.NewEncoder(p)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil && p.err == nil {
		p.err = fmt.Errorf("encode: %w", err)
	}
}

// table writes rows in aligned columns.
func (p *printer) table(rows [][]string) {
	table := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		_, _ = fmt.Fprintln(table, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	_ = table.Flush() // the printer keeps the error
}

// oneLine makes a text that came from elsewhere safe for a terminal and a table.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text)
}

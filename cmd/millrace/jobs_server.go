package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/client"
)

const (
	// attemptsAtOnce is how often a command asks while a person waits for its
	// first answer: a server that is not there is told within a second.
	attemptsAtOnce = 3
	// attemptsFollowing is for commands that follow a job: they survive the
	// restart of a server, some 40 seconds.
	attemptsFollowing = 12
)

// serverFlags say which server a command talks to.
type serverFlags struct {
	environ []string
	url     string
}

// jobsServer is the server that the commands talk to.
type jobsServer struct {
	*client.Client

	patient  *client.Client // keeps on asking for attemptsFollowing
	url, key setting
}

func (f *serverFlags) connect(cmd *cobra.Command) (*jobsServer, error) {
	env, err := readEnvironment(f.environ)
	if err != nil {
		return nil, err
	}
	s := &jobsServer{url: setting{f.url, "--url"}}
	var ok bool
	if !cmd.Flags().Changed("url") {
		if s.url, ok = env.find("MILLRACE_URL"); !ok {
			return nil, env.missing("MILLRACE_URL", "the server's address, such as http://127.0.0.1:8080")
		}
	}
	if s.key, ok = env.find("MILLRACE_API_KEY"); !ok {
		return nil, env.missing("MILLRACE_API_KEY", "a key that `millrace keys create` made")
	}
	for attempts, c := range map[int]**client.Client{attemptsAtOnce: &s.Client, attemptsFollowing: &s.patient} {
		*c, err = client.New(s.url.value, s.key.value, client.Options{MaxAttempts: attempts, UserAgent: "millrace"})
		if err != nil {
			return nil, fmt.Errorf("the address (from %s) and the key (from %s) cannot be used: %s",
				s.url.source, s.key.source, strings.TrimPrefix(err.Error(), "client: "))
		}
	}
	return s, nil
}

// explain says in one line what happened to a request about what, and what to do.
func (s *jobsServer) explain(what string, err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return s.explainAnswer(what, e)
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: interrupted", what)
	}
	if !errors.Is(err, client.ErrNoAnswer) {
		return err
	}
	_, reason, _ := strings.Cut(err.Error(), client.ErrNoAnswer.Error()+": ")
	return fmt.Errorf("no answer from %s (from %s): %s; start a server with `millrace dev`, or set MILLRACE_URL to where one is",
		s.url.value, s.url.source, reason)
}

func (s *jobsServer) explainAnswer(what string, e *client.Error) error {
	text := strings.TrimSuffix(e.Message, ".")
	if fields := e.Fields(); len(fields) > 1 {
		problems := make([]string, len(fields))
		for i, field := range fields {
			problems[i] = field.Field + " " + field.Problem
		}
		text = "the request is not valid: " + strings.Join(problems, "; ")
	}
	if e.RequestID != "" && e.Status >= http.StatusInternalServerError {
		text += " (request " + e.RequestID + ")"
	}
	text = oneLine(text)
	switch {
	case e.Code == client.CodeNotFound:
		return &exitError{exitNotFound, fmt.Errorf("%s: %s", what, text)}
	case e.Code == client.CodeAuthRequired:
		return fmt.Errorf("%s (from %s) refuses the key (from %s); `millrace keys create` makes one", s.url.value, s.url.source, s.key.source)
	case e.Code == client.CodeTenantAccessDenied:
		if scope, ok := e.Details["required_scope"].(string); ok {
			text += ": " + oneLine(scope)
		}
		return fmt.Errorf("%s: %s (the key is from %s)", what, text, s.key.source)
	case e.Code == "":
		return fmt.Errorf("%s (from %s): %s", s.url.value, s.url.source, text)
	case e.RetryAfter > 0:
		return fmt.Errorf("%s: %s; try again in %s", what, text, e.RetryAfter.Round(time.Second))
	default:
		return fmt.Errorf("%s: %s", what, text)
	}
}

// explainSubmit adds how to repeat a submission of which it is not known
// whether it was accepted.
func (s *jobsServer) explainSubmit(err error, opts client.SubmitOptions) error {
	explained := s.explain("submission", err)
	e, answered := errors.AsType[*client.Error](err)
	network, broken := errors.AsType[*net.OpError](err)
	switch {
	case answered && e.Status < http.StatusInternalServerError:
		return explained
	case broken && network.Op == "dial":
		return explained // it never got there
	}
	again := "--key " + opts.IdempotencyKey
	if !opts.ScheduledAt.IsZero() {
		again += " --at " + opts.ScheduledAt.Format(time.RFC3339)
	}
	return fmt.Errorf("%w; it may have been accepted: repeat it with %s, and it is not done twice", explained, again)
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// environment answers for variables: those of the process first, then those of
// dev.env, which `millrace dev` writes into MILLRACE_HOME.
type environment struct {
	process map[string]string
	devPath string
	dev     map[string]string
}

// setting is a variable's value and where it was found, for messages.
type setting struct{ value, source string }

// readEnvironment reads dev.env beside environ, which is what os.Environ
// returns. That there is none is no error.
func readEnvironment(environ []string) (environment, error) {
	e := environment{process: map[string]string{}}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			e.process[name] = value
		}
	}
	home := e.process["MILLRACE_HOME"]
	if home == "" {
		home = ".millrace"
	}
	e.devPath = filepath.Join(home, "dev.env")
	var err error
	e.dev, err = readVariables(e.devPath)
	return e, err
}

// find returns the first value that is not empty. ok is false when there is none.
func (e environment) find(name string) (s setting, ok bool) {
	if value := e.process[name]; value != "" {
		return setting{value, "the environment"}, true
	}
	if value := e.dev[name]; value != "" {
		return setting{value, e.devPath}, true
	}
	return setting{}, false
}

// findDatabase returns where the database of a command is.
func findDatabase(environ []string) (setting, error) {
	env, err := readEnvironment(environ)
	if err != nil {
		return setting{}, err
	}
	found, ok := env.find("DATABASE_URL")
	if !ok {
		return setting{}, env.missing("DATABASE_URL", "postgres://user:password@host:5432/database")
	}
	return found, nil
}

// missing is the error for a variable that is nowhere.
func (e environment) missing(name, what string) error {
	return fmt.Errorf("%s is not set and %s has none; start `millrace dev`, which writes that file, or set %s to %s", name, e.devPath, name, what)
}

// readVariables reads a file of KEY=value lines, as a shell would read plain ones.
func readVariables(path string) (map[string]string, error) {
	file, err := os.Open(path) //nolint:gosec // the caller's own MILLRACE_HOME
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("dev.env cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	variables := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && !strings.HasPrefix(name, "#") {
			variables[strings.TrimPrefix(name, "export ")] = unquote(value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return variables, nil
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

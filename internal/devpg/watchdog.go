package devpg

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	shell = "/bin/sh"

	// defaultPause is in seconds. The eleven signals of the watchdog have to fit
	// into serverPatience.
	defaultPause = "1"

	// The descriptors under which a program finds what it inherits. The watchdog
	// below names them too, and keeps its end of the pipe as 9.
	inheritedLock      = 3
	inheritedDirectory = 4
)

// watchdog runs the program in its further arguments and ends with its status. A shell, because it is a program
// that lives on when this one is killed, and is there on every system.
//
// It reads the names of signals, a line each, and passes them on. At the end of
// file nobody is left who could want the server: it is asked to stop until it
// does, and made to after that. SIGINT is repeated because a server that has
// just begun still ignores it, as shells make background programs do.
//
// The log is the server's alone, and the watcher gives the lock and the directory
// back at once, as they stand for the server.
// Its first argument is the time between two signals in seconds.
const watchdog = `
pause=$1
shift
exec 9<&0
"$@" </dev/null 9<&- &
server=$!
exec >/dev/null 2>&1
trap '' HUP INT QUIT TERM
(
	exec 3>&- 4>&-
	while read -r name <&9; do kill -s "$name" "$server"; done
	for name in INT INT INT INT INT QUIT QUIT QUIT QUIT QUIT QUIT; do
		kill -s "$name" "$server" || exit
		sleep "$pause"
	done
	kill -s KILL "$server"
) &
watcher=$!
wait "$server"
status=$?
kill -s KILL "$watcher"
exit "$status"
`

// program is what the watchdog runs.
type program struct {
	name      string // for messages
	path      string
	arguments []string
	account   account
	directory *os.File // see account.reach; may be nil
	lock      *lock    // held until the program and all its children are gone
	log       *logFile
	pause     string // see watchdog; defaultPause when empty
}

// process is a running program and its watchdog.
type process struct {
	command  *exec.Cmd
	lifeline *os.File      // the write end of the watchdog's pipe
	done     chan struct{} // closed when the watchdog, and so the program, has ended
	program  program
	err      error // *exitError, nil for exit status 0; written before done is closed
}

// launch starts the program. It ends by itself, by signal, or with this process;
// not with ctx.
func launch(ctx context.Context, p program) (*process, error) {
	watchEnd, lifeline, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("devpg: run %s: %w", p.name, err)
	}
	defer func() { _ = watchEnd.Close() }() // the watchdog has its own

	arguments := append([]string{"-c", watchdog, "devpg", cmp.Or(p.pause, defaultPause), p.path}, p.arguments...)
	command := exec.CommandContext(context.WithoutCancel(ctx), shell, arguments...) //nolint:gosec // the program was found by find, and the script quotes its arguments
	command.Dir = "/"                                                               // the account may not be able to enter ours
	command.Env = childEnvironment()
	command.Stdin = watchEnd
	command.Stdout = p.log.file
	command.Stderr = p.log.file
	command.ExtraFiles = []*os.File{inheritedLock - 3: p.lock.file, inheritedDirectory - 3: p.directory}
	command.SysProcAttr = p.account.attributes()

	mark := p.log.size()
	if err := command.Start(); err != nil {
		_ = lifeline.Close() // nobody is at the other end
		return nil, fmt.Errorf("devpg: run %s: %w", p.name, err)
	}

	started := &process{command: command, lifeline: lifeline, done: make(chan struct{}), program: p}
	go started.wait(mark)
	return started, nil
}

func (p *process) wait(mark int64) {
	err := p.command.Wait()
	state := p.command.ProcessState
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		// Somebody killed the watchdog itself. Its watcher stops the server when
		// the pipe closes; this is for the case that the watcher is gone too.
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGQUIT)
	}
	_ = p.lifeline.Close()
	if err != nil {
		p.err = &exitError{
			program: p.program.name,
			how:     howEnded(state),
			lines:   p.program.log.lastLines(mark),
			logFile: p.program.log.path,
		}
	}
	close(p.done)
}

// signalInterval repeats a signal that came too early for the program's handler.
// Further ones of the same kind are ignored by a server.
const signalInterval = time.Second

// request sends a signal to the program ("INT", "QUIT") and reports whether it
// has ended within patience and before hurry.
func (p *process) request(name string, patience time.Duration, hurry <-chan struct{}) bool {
	select {
	case <-p.done:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	ticker := time.NewTicker(signalInterval)
	defer ticker.Stop()
	for {
		// An error would say that the program has ended, which done says too.
		_, _ = io.WriteString(p.lifeline, name+"\n")
		select {
		case <-p.done:
			return true
		case <-hurry:
			return false
		case <-timer.C:
			return false
		case <-ticker.C:
		}
	}
}

// abandon ends a program that is of no use, with the chance to remove what it
// has put elsewhere: a server its shared memory, initdb its files.
func (p *process) abandon(name string) {
	const patience = 3 * time.Second
	if !p.request(name, patience, nil) {
		p.kill()
	}
}

// kill ends the program, its watchdog and its watcher at once. The children of a
// server notice that it is gone, and follow: the server's lock tells when.
func (p *process) kill() {
	select {
	case <-p.done: // the id of the group may belong to others by now
	default:
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) // an error says that it has ended
	}
	<-p.done
}

// howEnded undoes the shell's way to say that a program was ended by a signal.
func howEnded(state *os.ProcessState) string {
	const shellSignalBase = 128
	if code := state.ExitCode(); code > shellSignalBase {
		return "signal: " + syscall.Signal(code-shellSignalBase).String()
	}
	return state.String()
}

// childEnvironment holds nothing of ours that is not needed: neither secrets nor
// PG* variables. C.UTF-8 is not everywhere; C is, and on macOS an unset locale
// makes the server start threads, which it does not survive.
func childEnvironment() []string {
	environment := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

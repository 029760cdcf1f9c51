package telemetry

import (
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Panic is the error of a recovered panic. The value may hold anything, so only its
// type and the stack are kept.
type Panic struct {
	kind   string
	frames []runtime.Frame
}

// Recovered returns what recover returned as an error. It is called by the deferred
// function that recovers, so that the stack is that of the panic.
func Recovered(value any) *Panic {
	callers := make([]uintptr, 64)
	callers = callers[:runtime.Callers(2, callers)]
	p := &Panic{kind: fmt.Sprintf("%T", value)}
	frames := runtime.CallersFrames(callers)
	for {
		frame, more := frames.Next()
		p.frames = append(p.frames, frame)
		if frame.Function == "runtime.gopanic" {
			p.frames = nil // so far it was the recovery
		}
		if !more {
			break
		}
	}
	for len(p.frames) > 1 && strings.HasPrefix(p.frames[0].Function, "runtime.") {
		p.frames = p.frames[1:] // how the run-time panics by itself
	}
	return p
}

// Error implements error.
func (p *Panic) Error() string { return "panic: a value of type " + p.kind }

// Stack returns the calls that led to the panic, the innermost first, each as a line
// with the function and a line with the place.
func (p *Panic) Stack() string {
	var b strings.Builder
	for _, frame := range p.frames {
		b.WriteString(frame.Function + "\n\t" + file(frame) + ":" + strconv.Itoa(frame.Line) + "\n")
	}
	return b.String()
}

// pkg is the import path of the package that a function is in.
func pkg(function string) string {
	slash := strings.LastIndex(function, "/") + 1
	name, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + name
}

// file names a source file by its package, without where it was compiled.
func file(frame runtime.Frame) string { return pkg(frame.Function) + "/" + path.Base(frame.File) }

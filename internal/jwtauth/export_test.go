package jwtauth

import "time"

// AskFor bounds a request for the keys otherwise. It must come before the first one.
func (v *Verifier) AskFor(timeout time.Duration) { v.keys.timeout = timeout }

package provider

// Untraced makes a call as if there was no tracing.
func (p *Provider) Untraced(operation, of string, call func() error) (string, error) {
	return p.do(operation, of, call)
}

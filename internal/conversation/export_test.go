package conversation

// Masked masks a request with another masker.
func Masked(r Request, with masker) (Request, error) { return mask(r, with) }

// Statement is the query of a list.
func (f Filter) Statement(tenant string) (statement string, args []any) { return f.statement(tenant) }

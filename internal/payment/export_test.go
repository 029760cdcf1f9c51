package payment

// MaxLog shows the bound of a receipt.
const MaxLog = maxLog

// Add appends a call to a receipt.
func (l Log) Add(call Call) Log { return l.add(call) }

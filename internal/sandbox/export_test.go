package sandbox

// MethodNames lists the table of test payment methods, for a test that walks all of it.
func MethodNames() []string {
	var names []string
	for name := range testMethods() {
		names = append(names, name)
	}
	return names
}

// Statuses and MayBecome show the life cycle to a test that walks all of it.
func Statuses() []string {
	return []string{
		string(statusRequiresPaymentMethod), string(statusRequiresConfirmation), string(statusRequiresAction),
		string(statusProcessing), string(statusRequiresCapture), string(statusCanceled), string(statusSucceeded),
	}
}

// MayBecome says whether one status may follow another.
func MayBecome(from, to string) bool { return status(from).mayBecome(status(to)) }

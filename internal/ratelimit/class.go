// Package ratelimit counts what a tenant, a customer or an address does, and says
// when it is too much: in this process's memory, or in Redis for all processes.
//
// It is the generic cell rate algorithm (GCRA, ITU-T I.371): a quota of N for a time
// is N at once, and then one more each Nth of that time.
package ratelimit

// Class is what is counted together.
type Class string

// The classes.
const (
	Payments      Class = "payments"
	Bookings      Class = "bookings"
	Conversations Class = "conversations"
	Metrics       Class = "metrics"
	Reads         Class = "reads"
	Writes        Class = "writes"
	Customers     Class = "customers"
	Recipients    Class = "recipients"
	Failures      Class = "failures"
)

// Subject is by what a class counts.
type Subject string

// The subjects.
const (
	ByTenant  Subject = "tenant"                // or by key, when the key has a rate of its own
	ByPerson  Subject = "tenant and address"    // of e-mail
	ByAddress Subject = "address of the client" // its IP address
)

// Policy is a row of the table of classes.
type Policy struct {
	Class Class
	// Default is the rate unless RATE_LIMITS or the key says otherwise.
	Default Rate
	By      Subject
	// Counts says in words what is counted.
	Counts string
	// Closed classes are refused while Redis does not answer; the others are counted
	// by each process for itself meanwhile.
	Closed bool
}

// Policies is every class there is.
func Policies() []Policy {
	return []Policy{
		{Class: Payments, Default: Rate{600, Minute}, By: ByTenant, Counts: "payments that are submitted"},
		{Class: Bookings, Default: Rate{100, Minute}, By: ByTenant, Counts: "bookings that are submitted"},
		{Class: Conversations, Default: Rate{1000, Hour}, By: ByTenant, Counts: "conversations that are submitted"},
		{Class: Metrics, Default: Rate{10_000, Hour}, By: ByTenant, Counts: "requests of metric points"},
		{Class: Reads, Default: Rate{6000, Minute}, By: ByTenant, Counts: "requests that read"},
		{Class: Writes, Default: Rate{1000, Minute}, By: ByTenant, Counts: "every other change"},
		// Whoever tests stolen cards must not do so the faster for breaking Redis.
		{Class: Customers, Default: Rate{10, Hour}, By: ByPerson, Counts: "payments of one customer", Closed: true},
		{Class: Recipients, Default: Rate{20, Hour}, By: ByPerson, Counts: "bookings, and so mails, of one recipient"},
		{Class: Failures, Default: Rate{300, Minute}, By: ByAddress, Counts: "credentials that were refused"},
	}
}

// find returns the class's row.
func find(class Class) (policy Policy, ok bool) {
	for _, policy := range Policies() {
		if policy.Class == class {
			return policy, true
		}
	}
	return Policy{}, false
}

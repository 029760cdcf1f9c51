package ratelimit

import (
	"crypto/sha256"
	"math"
	"net/netip"
	"strings"
	"time"
)

// id names a bucket: a hash, so that no address of anybody is kept as text.
type id [16]byte

// bucket is what one count is kept in.
type bucket struct {
	id id
	// once is the mark of the event, which does not count again; zero for none.
	once     id
	interval int64 // see Rate.interval
	// whole is the time that the whole quota takes to come back, in microseconds.
	whole int64
}

// level says how a bucket is after an event: used is how long it takes until the
// whole quota is there again, in microseconds.
type level struct {
	allowed bool
	// repeated says that it is allowed because it was counted before.
	repeated bool
	// shared says that it was counted in Redis.
	shared bool
	used   int64
}

// hash returns the id of some parts, none of which holds a zero byte.
func hash(parts ...string) id {
	size := 0
	for _, part := range parts {
		size += len(part) + 1
	}
	text := make([]byte, 0, size)
	for _, part := range parts {
		text = append(append(text, part...), 0)
	}
	sum := sha256.Sum256(text)
	return id(sum[:len(id{})])
}

// person returns an e-mail address as it is counted: in lower case, and without the part
// after + by which one mailbox has many addresses (RFC 5233).
func person(email string) string {
	email = strings.ToLower(strings.TrimSpace(email))
	local, domain, ok := cutLast(email, "@")
	if !ok {
		return email
	}
	if mailbox, _, tagged := strings.Cut(local, "+"); tagged && mailbox != "" {
		local = mailbox
	}
	return local + "@" + domain
}

// network returns an IP address as it is counted: an IPv6 client has all of its /64
// (RFC 6177), and so has one count for it.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, _ := ip.WithZone("").Prefix(64) // fails only for more bits than there are
	return prefix.String()
}

func cutLast(text, separator string) (before, after string, found bool) {
	if at := strings.LastIndex(text, separator); at >= 0 {
		return text[:at], text[at+len(separator):], true
	}
	return text, "", false
}

// take counts one event at the time now in a bucket that is whole again at full, both in
// microseconds, and returns when it is whole after that.
func (b bucket) take(full, now int64) (after int64, _ level) {
	// A bucket that seems fuller than it can be is of another rate, or of a clock that
	// was set back.
	full = min(max(full, now), now+b.whole)
	if full+b.interval > now+b.whole {
		return full, level{used: full - now}
	}
	after = full + b.interval
	return after, level{allowed: true, used: after - now}
}

// result tells a level in the words of an answer.
func (b bucket) result(class Class, rate Rate, l level) Result {
	left := (b.whole - l.used) / b.interval
	result := Result{Class: class, Rate: rate, Allowed: l.allowed, Remaining: int(left), Reset: time.Duration(l.used) * time.Microsecond}
	if left == 0 {
		result.Reset = time.Duration(l.used+b.interval-b.whole) * time.Microsecond
	}
	return result
}

// Result says how much of a quota is left.
type Result struct {
	Class Class
	// Rate is the rate that was applied; without a limit the rest is zero, and Allowed true.
	Rate    Rate
	Allowed bool
	// Remaining is how many more are allowed at once.
	Remaining int
	// Reset is how long it takes until the whole quota is there again; when nothing
	// remains, until one more is allowed.
	Reset time.Duration
}

// ResetSeconds returns Reset in whole seconds, rounded up: whoever waits so long has
// waited long enough.
func (r Result) ResetSeconds() int { return int(math.Ceil(r.Reset.Seconds())) }

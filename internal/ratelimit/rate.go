package ratelimit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Period is the time that a quota is for.
type Period time.Duration

// The periods.
const (
	Second = Period(time.Second)
	Minute = Period(time.Minute)
	Hour   = Period(time.Hour)
	Day    = Period(24 * time.Hour)
)

// Rate is a quota for a period. The zero rate is no limit.
type Rate struct {
	Quota  int
	Period Period
}

// off is how a rate without a limit is written.
const off = "off"

// ParseRate reads "100/m": a quota for a second, minute, hour or day (s, m, h, d), of
// at most a million a second; or "off" for no limit. The error repeats no input.
func ParseRate(text string) (Rate, error) {
	if text == off {
		return Rate{}, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	period, ok := map[string]Period{"s": Second, "m": Minute, "h": Hour, "d": Day}[unit]
	quota, err := strconv.ParseUint(number, 10, 31)
	// Time is counted in whole microseconds.
	if !ok || err != nil || quota == 0 || time.Duration(quota)*time.Microsecond > time.Duration(period) {
		return Rate{}, errors.New("must look like 100/m: a quota for s, m, h or d, of at most a million a second; or off")
	}
	return Rate{Quota: int(quota), Period: period}, nil
}

// String returns what ParseRate reads.
func (r Rate) String() string {
	if r.Unlimited() {
		return off
	}
	unit := map[Period]string{Second: "s", Minute: "m", Hour: "h", Day: "d"}[r.Period]
	return strconv.Itoa(r.Quota) + "/" + unit
}

// Unlimited reports whether the rate is no limit.
func (r Rate) Unlimited() bool { return r.Quota == 0 }

// Seconds returns the period's length.
func (r Rate) Seconds() int { return int(time.Duration(r.Period) / time.Second) }

// interval is the time after which one more is allowed, in microseconds; rounded up, so
// that it is never more than the rate.
func (r Rate) interval() int64 {
	period, quota := time.Duration(r.Period).Microseconds(), int64(r.Quota)
	return (period + quota - 1) / quota
}

// Limits are rates by class, in place of the defaults.
type Limits map[Class]Rate

// ParseLimits reads what an API key carries: {"payments": "100/m"}. The error names the
// class, and repeats no input.
func ParseLimits(texts map[string]string) (Limits, error) {
	limits := make(Limits, len(texts))
	for name, text := range texts {
		policy, ok := find(Class(name))
		switch {
		case !ok:
			return nil, fmt.Errorf("names a class that does not exist; there are %s", names())
		case policy.By == ByAddress:
			return nil, fmt.Errorf("%s counts before a key is known; RATE_LIMITS sets it for all", name)
		}
		rate, err := ParseRate(text)
		if err != nil {
			return nil, fmt.Errorf("%s %w", name, err)
		}
		limits[policy.Class] = rate
	}
	return limits, nil
}

// UnmarshalText implements encoding.TextUnmarshaler: it reads the form of RATE_LIMITS,
// "bookings=100/m,payments=600/m", or "off" for no limits at all.
func (l *Limits) UnmarshalText(text []byte) error {
	limits := make(Limits)
	if string(text) == off {
		for _, policy := range Policies() {
			limits[policy.Class] = Rate{}
		}
		*l = limits
		return nil
	}
	for entry := range strings.SplitSeq(string(text), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
		policy, ok := find(Class(name))
		if !ok {
			return fmt.Errorf("names a class that does not exist; there are %s", names())
		}
		rate, err := ParseRate(value)
		if err != nil {
			return fmt.Errorf("%s %w", policy.Class, err)
		}
		limits[policy.Class] = rate
	}
	*l = limits
	return nil
}

// Off reports whether nothing at all is limited.
func (l Limits) Off() bool {
	return !slices.ContainsFunc(Policies(), func(p Policy) bool {
		rate, own := l[p.Class]
		return !own || !rate.Unlimited()
	})
}

// names lists the classes, as a message does.
func names() string {
	var list []string
	for _, policy := range Policies() {
		list = append(list, string(policy.Class))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

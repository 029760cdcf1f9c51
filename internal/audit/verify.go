package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Finding names what is wrong with a chain.
type Finding string

// The findings.
const (
	// Changed entries do not have the contents that were hashed.
	Changed Finding = "changed"
	// Missing entries are not there, and there are later ones.
	Missing Finding = "missing"
	// Reordered entries stand in another place than they were given, or twice.
	Reordered Finding = "reordered"
	// Replaced entries are whole, but do not belong to their neighbours: this one
	// or the one before it was put in another's place.
	Replaced Finding = "replaced"
	// WrongAnchor chains do not begin where retention, or nothing, says that they do.
	WrongAnchor Finding = "wrong_anchor"
	// CutTail chains end before their head, or one that was noted elsewhere.
	CutTail Finding = "cut_tail"
	// WrongHead chains do not have, or no longer, the entry that a head names.
	WrongHead Finding = "wrong_head"
	// Unreadable lines of an export are no entries.
	Unreadable Finding = "unreadable"
)

// Problem is one thing that is wrong.
type Problem struct {
	Tenant  string  `json:"tenant"`
	Finding Finding `json:"finding"`
	// First and Last are the entries that it is about; zero when there are none.
	First   int64  `json:"first_seq"`
	Last    int64  `json:"last_seq"`
	Message string `json:"message"`
}

// Chain is what was read of one.
type Chain struct {
	Tenant string `json:"tenant"`
	// Entries is how many there were, from First to Last.
	Entries int64 `json:"entries"`
	First   int64 `json:"first_seq"`
	Last    int64 `json:"last_seq"`
	// Hash is the last one's.
	Hash Hash `json:"hash"`
}

// Report is the outcome of a verification.
type Report struct {
	Chains   []Chain   `json:"chains"`
	Problems []Problem `json:"problems"`
	// Further is how many more problems there are than Problems has.
	Further int `json:"further_problems"`
}

// Holds reports whether nothing is wrong.
func (r Report) Holds() bool { return len(r.Problems) == 0 }

const (
	// maxProblems bounds what is told, and so the memory of it.
	maxProblems = 100
	// maxShift is how far an entry may have been moved to be known for itself.
	maxShift = 100
)

// Verifier checks chains entry by entry, in bounded memory. Entries of several
// chains may be mixed.
type Verifier struct {
	chains map[string]*chain
	noted  map[string][]Head
	report Report
}

// chain is how far one has been read.
type chain struct {
	Chain

	// after is the hash that the next entry must name; either of two when the last
	// entry itself was wrong.
	after, orAfter Hash
	// linked says that after is known.
	linked bool
	gaps   []gap
	seen   map[int64]bool // noted heads that were met
}

// gap is entries that have not come, both ends included.
type gap struct{ first, last int64 }

// NewVerifier returns a verifier that also compares with heads noted elsewhere.
func NewVerifier(noted []Head) *Verifier {
	v := &Verifier{chains: map[string]*chain{}, noted: map[string][]Head{}, report: Report{Chains: []Chain{}, Problems: []Problem{}}}
	for _, head := range noted {
		v.noted[head.Tenant] = append(v.noted[head.Tenant], head)
	}
	return v
}

// Begin says where a chain begins: after the anchor. Without it, a chain that does
// not begin with its first entry is taken from where it begins.
func (v *Verifier) Begin(anchor Head) {
	c := v.chain(anchor.Tenant)
	c.Last, c.after, c.orAfter, c.linked = anchor.Seq, anchor.Hash, anchor.Hash, true
	for _, head := range v.noted[anchor.Tenant] {
		if head.Seq == anchor.Seq {
			v.meet(c, head, anchor.Hash)
		}
	}
}

func (v *Verifier) chain(tenant string) *chain {
	c := v.chains[tenant]
	if c == nil {
		c = &chain{Chain: Chain{Tenant: tenant}, seen: map[int64]bool{}}
		v.chains[tenant] = c
	}
	return c
}

// Add takes the next entry.
func (v *Verifier) Add(e *Sealed) {
	c := v.chain(e.Tenant)
	expected := c.Last + 1
	switch {
	case c.Entries == 0 && !c.linked && e.Seq > 1:
		// An export of a later part.
	case c.Entries == 0 && !c.linked:
		c.linked = true // the first one follows none
	case e.Seq > expected && c.Entries == 0 && expected > 1:
		v.find(Problem{
			Tenant: e.Tenant, Finding: WrongAnchor, First: expected, Last: e.Seq - 1,
			Message: fmt.Sprintf("the chain should begin with entry %d, and begins with entry %d", expected, e.Seq),
		})
		c.linked = false
	case e.Seq > expected:
		c.gaps = append(c.gaps, gap{expected, e.Seq - 1})
		c.linked = false
	case e.Seq < expected:
		v.late(c, e)
		return
	}
	if c.Entries == 0 {
		c.First = e.Seq
	}
	c.Entries++
	c.linked = v.check(c, e)
	c.Last, c.Hash = e.Seq, e.Hash
	c.after, c.orAfter = e.Hash, e.Compute()
	for _, head := range v.noted[e.Tenant] {
		if head.Seq == e.Seq {
			v.meet(c, head, e.Hash)
		}
	}
}

// late is about an entry that comes after later ones.
func (v *Verifier) late(c *chain, e *Sealed) {
	if e.Seq < 1 {
		v.find(Problem{Tenant: e.Tenant, Finding: Changed, First: e.Seq, Last: e.Seq, Message: fmt.Sprintf("entry %d was changed: entries count from 1", e.Seq)})
		return
	}
	i := slices.IndexFunc(c.gaps, func(g gap) bool { return g.first <= e.Seq && e.Seq <= g.last })
	if i < 0 {
		v.find(Problem{
			Tenant: e.Tenant, Finding: Reordered, First: e.Seq, Last: e.Seq,
			Message: fmt.Sprintf("entry %d is there twice, or before the chain's begin: it comes after entry %d", e.Seq, c.Last),
		})
		return
	}
	v.find(Problem{
		Tenant: e.Tenant, Finding: Reordered, First: e.Seq, Last: e.Seq,
		Message: fmt.Sprintf("entry %d is out of order: it comes after entry %d", e.Seq, c.Last),
	})
	g := c.gaps[i]
	c.gaps = slices.Delete(c.gaps, i, i+1)
	if g.first < e.Seq {
		c.gaps = append(c.gaps, gap{g.first, e.Seq - 1})
	}
	if e.Seq < g.last {
		c.gaps = append(c.gaps, gap{e.Seq + 1, g.last})
	}
	c.Entries++
	if e.Compute() != e.Hash {
		v.find(changedAt(e))
	}
}

// check compares an entry with its own hash and with the entry before it. It reports
// whether the next one should follow it.
func (v *Verifier) check(c *chain, e *Sealed) bool {
	if e.Compute() != e.Hash {
		if was, ok := placeOf(e); ok {
			v.find(Problem{
				Tenant: e.Tenant, Finding: Reordered, First: e.Seq, Last: e.Seq,
				Message: fmt.Sprintf("entry %d was reordered: what stands in its place was entry %d", e.Seq, was),
			})
			return false
		}
		v.find(changedAt(e))
		return true
	}
	if !c.linked || e.PrevHash == c.after || e.PrevHash == c.orAfter {
		return true
	}
	switch {
	case e.Seq == 1:
		v.find(Problem{
			Tenant: e.Tenant, Finding: WrongAnchor, First: 1, Last: 1,
			Message: "entry 1 is not the first that the chain had: it names one before it",
		})
	case c.Entries == 1:
		v.find(Problem{
			Tenant: e.Tenant, Finding: WrongAnchor, First: e.Seq, Last: e.Seq,
			Message: fmt.Sprintf("entry %d does not follow the entry at which retention says that the chain begins", e.Seq),
		})
	default:
		v.find(Problem{
			Tenant: e.Tenant, Finding: Replaced, First: e.Seq - 1, Last: e.Seq,
			Message: fmt.Sprintf("entry %d does not follow entry %d: one of them was replaced", e.Seq, e.Seq-1),
		})
	}
	return true
}

func changedAt(e *Sealed) Problem {
	return Problem{
		Tenant: e.Tenant, Finding: Changed, First: e.Seq, Last: e.Seq,
		Message: fmt.Sprintf("entry %d was changed: its contents do not have its hash", e.Seq),
	}
}

// placeOf returns the number under which the entry's contents have its hash.
func placeOf(e *Sealed) (int64, bool) {
	moved := *e
	for shift := int64(1); shift <= maxShift; shift++ {
		for _, moved.Seq = range []int64{e.Seq - shift, e.Seq + shift} {
			if moved.Seq > 0 && moved.Compute() == e.Hash {
				return moved.Seq, true
			}
		}
	}
	return 0, false
}

// meet compares the entry that a noted head names.
func (v *Verifier) meet(c *chain, noted Head, hash Hash) {
	c.seen[noted.Seq] = true
	if noted.Hash != hash {
		v.find(Problem{
			Tenant: c.Tenant, Finding: WrongHead, First: noted.Seq, Last: noted.Seq,
			Message: fmt.Sprintf("entry %d is not the one that was noted: the chain was written anew, up to there at least", noted.Seq),
		})
	}
}

// End says where a chain ends by the database's own account. Call it after the
// chain's entries.
func (v *Verifier) End(head Head) {
	c := v.chain(head.Tenant)
	switch {
	case head.Seq > c.Last:
		v.cut(c, head.Seq, "the chain's head")
	case head.Seq < c.Last:
		v.find(Problem{
			Tenant: c.Tenant, Finding: WrongHead, First: head.Seq + 1, Last: c.Last,
			Message: fmt.Sprintf("the chain's head was changed: it says entry %d, and the last is entry %d", head.Seq, c.Last),
		})
	case head.Hash != c.after && head.Hash != c.orAfter:
		v.find(Problem{
			Tenant: c.Tenant, Finding: WrongHead, First: c.Last, Last: c.Last,
			Message: fmt.Sprintf("the chain's head was changed, or entry %d was: their hashes differ", c.Last),
		})
	}
}

func (v *Verifier) cut(c *chain, last int64, by string) {
	v.find(Problem{
		Tenant: c.Tenant, Finding: CutTail, First: c.Last + 1, Last: last,
		Message: fmt.Sprintf("the tail is cut: by %s, %s", by, missing(c.Last+1, last)),
	})
}

// Report ends the verification.
func (v *Verifier) Report() Report {
	for _, tenant := range slices.Sorted(maps.Keys(v.noted)) {
		v.chain(tenant)
	}
	for _, tenant := range slices.Sorted(maps.Keys(v.chains)) {
		c := v.chains[tenant]
		slices.SortFunc(c.gaps, func(a, b gap) int { return cmp.Compare(a.first, b.first) })
		for _, g := range c.gaps {
			v.find(Problem{Tenant: tenant, Finding: Missing, First: g.first, Last: g.last, Message: missing(g.first, g.last) + ", and later ones are there"})
		}
		for _, head := range v.noted[tenant] {
			switch {
			case c.seen[head.Seq]:
			case head.Seq > c.Last:
				v.cut(c, head.Seq, "the head that was noted")
			default:
				v.find(Problem{
					Tenant: tenant, Finding: WrongHead, First: head.Seq, Last: head.Seq,
					Message: fmt.Sprintf("entry %d, which was noted, is not among those that were read", head.Seq),
				})
			}
		}
		if c.Entries > 0 {
			v.report.Chains = append(v.report.Chains, c.Chain)
		}
	}
	return v.report
}

func missing(first, last int64) string {
	if first == last {
		return fmt.Sprintf("entry %d is missing", first)
	}
	return fmt.Sprintf("entries %d to %d are missing", first, last)
}

func (v *Verifier) find(p Problem) {
	if len(v.report.Problems) == maxProblems {
		v.report.Further++
		return
	}
	v.report.Problems = append(v.report.Problems, p)
}

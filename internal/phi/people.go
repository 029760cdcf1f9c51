package phi

import (
	"slices"
	"strings"
)

// maxPeople bounds the names of which one Masker knows the words, and maxKnown the
// words. What comes after them is masked as if it stood alone.
const (
	maxPeople = 4096
	maxKnown  = 4 * maxPeople
)

// people knows whose name a word is part of.
type people struct {
	all    []person
	owners map[string]int // of words in lower case: an index of all, or shared
}

// person is who goes by names that fit together: Ada, Ada L., Ada Lovelace.
type person struct {
	number int
	words  []string // in lower case, at most maxParts
}

// maxParts is how many words of a name are looked at.
const maxParts = 8

// shared is the owner of a word that is part of several names.
const shared = -1

// find returns the number of the person of a name, if it can be no one else's. It
// notes the words of the name then.
func (p *people) find(name string) (number int, ok bool) {
	parts := partsOf(name)
	owner := shared
	for _, part := range parts {
		at, known := p.owners[part]
		switch {
		case !known || len(part) == 1:
		case at == shared && len(parts) == 1, owner != shared && at != shared && at != owner:
			return 0, false
		case at != shared:
			owner = at
		}
	}
	if owner == shared || !fits(p.all[owner].words, parts) {
		return 0, false
	}
	p.own(owner, parts)
	return p.all[owner].number, true
}

// add notes a person whom a name belongs to.
func (p *people) add(name string, number int) {
	if len(p.all) == maxPeople {
		return
	}
	p.all = append(p.all, person{number: number})
	p.own(len(p.all)-1, partsOf(name))
}

// own makes words those of a person, and of nobody alone if they were another's.
func (p *people) own(at int, parts []string) {
	if p.owners == nil {
		p.owners = make(map[string]int)
	}
	who := &p.all[at]
	for _, part := range parts {
		if !slices.Contains(who.words, part) && len(who.words) < maxParts {
			who.words = append(who.words, part)
		}
		if owner, known := p.owners[part]; known && owner != at {
			p.owners[part] = shared
		} else if !known {
			p.owners[part] = at
		}
	}
}

// fits tells whether two names may be those of one person: one has all words of the
// other, where an initial stands for a word.
func fits(a, b []string) bool { return within(a, b) || within(b, a) }

func within(a, b []string) bool {
	for _, part := range a {
		if !slices.Contains(b, part) && !abbreviates(part, b) {
			return false
		}
	}
	return true
}

// abbreviates tells whether a word is the initial of one of some words, or one of
// them is its initial.
func abbreviates(word string, words []string) bool {
	for _, w := range words {
		if (len(w) == 1 || len(word) == 1) && w[0] == word[0] {
			return true
		}
	}
	return false
}

// partsOf returns the words of a name in lower case, without particles.
func partsOf(name string) (parts []string) {
	words(name, func(word string) {
		if word = strings.ToLower(word); !particleWord(word) && len(parts) < maxParts {
			parts = append(parts, word)
		}
	})
	return parts
}

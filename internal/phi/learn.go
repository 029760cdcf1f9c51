package phi

import "strings"

// learn masks the other places of a block at which the words of its names stand
// with a capital. It tells whether there are any.
func (s *scanner) learn() bool {
	clear(s.learned)
	for _, i := range s.all {
		t := &s.tokens[i]
		if t.kind != kindName {
			continue
		}
		for j := i; j < t.next || t.next == 0 && int(j) < len(s.tokens); j++ {
			end := s.tokens[j].end
			if j == i && int(i+1) < len(s.tokens) {
				end = min(end, s.tokens[i+1].start) // of its first word
			}
			word := strings.TrimSpace(s.text[s.tokens[j].start:end])
			if len(word) < 3 || len(word) > maxWord {
				continue
			}
			if s.learned == nil {
				s.learned = make(map[uint64]struct{})
			}
			s.learned[s.chain(word, 0)] = struct{}{}
		}
	}
	if len(s.learned) == 0 {
		return false
	}
	more := false
	for _, trigger := range s.triggers {
		i := trigger.token
		t := &s.tokens[i]
		if t.class != isWord || t.upper == lower || t.upper == mixed || t.end-t.start < 3 || t.end-t.start > maxWord || t.flags&(medical|function|month) != 0 {
			continue
		}
		if t.flags&english != 0 && (t.flags&(family|given) == 0 || s.heads(i) || s.is(s.prev(i), '.')) {
			continue
		}
		if _, known := s.learned[s.chain(s.string(i), 0)]; known && !s.named(s.next(i)) {
			s.found(match{i, i, kindName})
			more = true
		}
	}
	return more
}

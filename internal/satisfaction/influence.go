package satisfaction

import (
	"cmp"
	"math"
	"slices"
)

// Influence is how much one thing can move a score, for those who read about it.
type Influence struct {
	Feature string
	Text    string
	// Points is by how many points of 100 a conversation that is full of it differs
	// from one without any.
	Points float64
}

// Influences lists what speaks for satisfaction and what speaks against it, the
// strongest first. What moves a score by less than half a point is left out.
func (m *Model) Influences() (speaksFor, speaksAgainst []Influence) {
	byName := map[string]*Influence{}
	var names []string
	for i, f := range features() {
		name, text := specials[f.special].name, specials[f.special].more
		if f.measure >= 0 {
			name, text = measures()[f.measure].name, measures()[f.measure].more
		}
		if byName[name] == nil {
			byName[name] = &Influence{Feature: name, Text: text}
			names = append(names, name)
		}
		byName[name].Points += m.weights[i] * pointsPerRating
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(math.Abs(byName[b].Points), math.Abs(byName[a].Points))
	})
	for _, name := range names {
		influence := *byName[name]
		influence.Points = math.Round(influence.Points*10) / 10
		switch {
		case influence.Points >= smallestReason:
			speaksFor = append(speaksFor, influence)
		case influence.Points <= -smallestReason:
			speaksAgainst = append(speaksAgainst, influence)
		}
	}
	return speaksFor, speaksAgainst
}

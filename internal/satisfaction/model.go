package satisfaction

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Model is a linear regression over the features, of the mean rating from 1 to 5
// that people give a conversation. It is safe for concurrent use.
type Model struct {
	file     File
	means    []float64
	weights  []float64
	aspects  [aspectCount][]float64
	readings sync.Pool
}

// File is a model as it is written down.
type File struct {
	Version string `json:"version"`
	// Rating is that of the average conversation.
	Rating   float64   `json:"rating"`
	Features []Weight  `json:"features"`
	Trained  []Source  `json:"trained_on"`
	Made     time.Time `json:"made_at"`
	Method   string    `json:"method"`
	Quality  []Quality `json:"quality"`
}

// Weight is what the model knows of a feature.
type Weight struct {
	Feature string `json:"feature"`
	// Mean is the feature's in the average conversation.
	Mean float64 `json:"mean"`
	// Weight is by how much the rating grows with the feature, from 0 to 1.
	Weight float64 `json:"weight"`
}

// Source is a file of labelled dialogues.
type Source struct {
	Name string `json:"name"`
	// About says in words what the dialogues are, and where they are from.
	About     string `json:"about,omitzero"`
	SHA256    string `json:"sha256"`
	Dialogues int    `json:"dialogues"`
}

// angerWeight is by how much open anger lowers a rating at most, and half as much
// at its first turn. It is set by hand: in the dialogues that people have rated
// hardly anybody is angry.
const angerWeight = -1.4

//go:embed model.json
var modelJSON []byte

// Default returns the model that the program carries.
func Default() *Model { return embedded() }

//nolint:gochecknoglobals // built once, of what is embedded
var embedded = sync.OnceValue(func() *Model {
	m, err := Load(modelJSON)
	if err != nil {
		panic(err) // of the program's own file, which the tests load
	}
	return m
})

// Load reads a model that Train made and this version of the program knows the
// features of.
func Load(data []byte) (*Model, error) {
	var file File
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("satisfaction: model: %w", err)
	}
	return newModel(file)
}

func newModel(file File) (*Model, error) {
	m := &Model{file: file}
	byName := map[string]Weight{}
	for _, w := range file.Features {
		byName[w.Feature] = w
	}
	for _, f := range features() {
		w, ok := byName[f.name]
		if !ok {
			return nil, fmt.Errorf("satisfaction: model %s has no weight for %s; train it anew", file.Version, f.name)
		}
		if w.Weight*f.sign < 0 {
			return nil, fmt.Errorf("satisfaction: model %s: the weight of %s has the wrong sign", file.Version, f.name)
		}
		m.means = append(m.means, w.Mean)
		m.weights = append(m.weights, w.Weight)
	}
	if len(byName) != len(m.weights) || file.Version == "" || file.Rating < 1 || file.Rating > 5 {
		return nil, fmt.Errorf("satisfaction: model %q is of another version of the program", file.Version)
	}
	for i, weights := range aspects() {
		m.aspects[i] = weights
	}
	m.readings.New = func() any { return newReading() }
	return m, nil
}

// Version names the model's coefficients.
func (m *Model) Version() string { return m.file.Version }

// File returns what the model is made of.
func (m *Model) File() File { return m.file }

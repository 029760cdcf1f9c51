package satisfaction

import (
	"math"
	"slices"
	"time"
)

// penalty is the ridge's, per dialogue: strong, since the features say much the
// same and people agree little.
const penalty = 2.0

// method says how Train works, in the model's file.
const method = "Ridge regression of the mean rating on standardised features, every weight held to the sign that " +
	"the feature stands for; files are centred each by itself, so that what is typical of a domain is not learned as good or bad. " +
	"The weight of anger is set by hand."

// table is dialogues as numbers: raw features, and ratings.
type table struct {
	conversations []*reading
	raw           [][]float64
	ratings       []float64
}

// tabulate reads dialogues.
func tabulate(dialogues []Dialogue) *table {
	t := &table{}
	for _, d := range dialogues {
		r := newReading()
		r.read(d.Messages, func(int, float64) {})
		raw := make([]float64, len(features()))
		r.vector(nil, raw)
		rating, _ := d.Rating()
		t.conversations = append(t.conversations, r)
		t.raw = append(t.raw, raw)
		t.ratings = append(t.ratings, rating)
	}
	return t
}

// rows are some of a table's.
type rows struct {
	table *table
	index []int
}

func (t *table) all() rows {
	r := rows{table: t}
	for i := range t.ratings {
		r.index = append(r.index, i)
	}
	return r
}

func (r rows) ratings() []float64 {
	var ratings []float64
	for _, i := range r.index {
		ratings = append(ratings, r.table.ratings[i])
	}
	return ratings
}

// fitted is what training yields.
type fitted struct {
	rating         float64
	means, weights []float64
}

func (f fitted) predict(r rows) []float64 {
	predicted := make([]float64, 0, len(r.index))
	values := make([]float64, len(f.weights))
	for _, i := range r.index {
		r.table.conversations[i].vector(f.means, values)
		rating := f.rating
		for j, w := range f.weights {
			rating += w * (values[j] - f.means[j])
		}
		predicted = append(predicted, min(max(rating, 1), 5))
	}
	return predicted
}

// fit trains on rows of one or more domains.
func fit(domains []rows) fitted {
	n := len(features())
	f := fitted{means: make([]float64, n), weights: make([]float64, n)}
	for _, domain := range domains {
		for _, i := range domain.index {
			for j, v := range domain.table.raw[i] {
				f.means[j] += v / float64(len(domain.index)) / float64(len(domains))
			}
		}
		f.rating += mean(domain.ratings()) / float64(len(domains))
	}
	var x [][]float64 // one feature a row
	var y []float64
	for _, domain := range domains {
		columns, ratings := f.centred(domain)
		if x == nil {
			x = make([][]float64, n)
		}
		for j := range x {
			x[j] = append(x[j], columns[j]...)
		}
		y = append(y, ratings...)
	}
	scales := make([]float64, n)
	for j, column := range x {
		scales[j] = features()[j].sign / (deviation(column) + 1e-9)
		for i := range column {
			column[i] *= scales[j]
		}
	}
	for j, w := range nonNegativeRidge(x, y, penalty*float64(len(y))) {
		f.weights[j] = w * scales[j]
	}
	f.calibrate(domains)
	for j, feature := range features() {
		if feature.measure < 0 && feature.special == anger {
			f.weights[j] = angerWeight
		}
	}
	return f
}

// centred returns the features of a domain's rows, smoothed, and the ratings, both
// less their means.
func (f fitted) centred(domain rows) ([][]float64, []float64) {
	columns := make([][]float64, len(f.means))
	values := make([]float64, len(f.means))
	for _, i := range domain.index {
		domain.table.conversations[i].vector(f.means, values)
		for j, v := range values {
			columns[j] = append(columns[j], v)
		}
	}
	for _, column := range columns {
		centre(column)
	}
	ratings := domain.ratings()
	centre(ratings)
	return columns, ratings
}

// calibrate stretches the weights, which the penalty shrinks, so that a predicted
// difference of one is one in the ratings.
func (f *fitted) calibrate(domains []rows) {
	var xy, xx float64
	for _, domain := range domains {
		predicted, ratings := f.predict(domain), domain.ratings()
		centre(predicted)
		centre(ratings)
		for i := range ratings {
			xy += predicted[i] * ratings[i]
			xx += predicted[i] * predicted[i]
		}
	}
	if xx == 0 {
		return
	}
	for j := range f.weights {
		f.weights[j] *= max(xy/xx, 0)
	}
}

// nonNegativeRidge minimises |y - Σ w x|² + penalty |w|² over w ≥ 0 by coordinate
// descent, which finds the one minimum of this convex function.
func nonNegativeRidge(x [][]float64, y []float64, penalty float64) []float64 {
	w := make([]float64, len(x))
	squares := make([]float64, len(x))
	for j, column := range x {
		squares[j] = dot(column, column)
	}
	rest := slices.Clone(y)
	for range 10_000 {
		moved := 0.0
		for j, column := range x {
			next := max((dot(column, rest)+squares[j]*w[j])/(squares[j]+penalty), 0)
			if step := next - w[j]; step != 0 {
				for i, v := range column {
					rest[i] -= step * v
				}
				w[j] = next
				moved = max(moved, math.Abs(step))
			}
		}
		if moved < 1e-10 {
			break
		}
	}
	return w
}

// Train makes a model of dialogues, a file a domain. now is when.
func Train(version string, sets []Dataset, now time.Time) (*Model, error) {
	var domains []rows
	file := File{Version: version, Made: now.UTC().Truncate(time.Second), Method: method}
	for _, set := range sets {
		domains = append(domains, tabulate(set.Dialogues).all())
		file.Trained = append(file.Trained, set.Source)
	}
	f := fit(domains)
	file.Rating = round(f.rating, 4)
	for j, feature := range features() {
		file.Features = append(file.Features, Weight{Feature: feature.name, Mean: round(f.means[j], 5), Weight: round(f.weights[j], 5)})
	}
	m, err := newModel(file)
	if err != nil {
		return nil, err
	}
	m.file.Quality = Evaluate(m, sets)
	return m, nil
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}

func centre(values []float64) {
	m := mean(values)
	for i := range values {
		values[i] -= m
	}
}

func deviation(centred []float64) float64 {
	return math.Sqrt(dot(centred, centred) / float64(max(len(centred), 1)))
}

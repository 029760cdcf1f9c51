package satisfaction

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Quality is how well estimates agree with people on the dialogues of one file.
// Correlations are Spearman's, with ties at their mean rank, between estimate and
// mean rating.
type Quality struct {
	Source string `json:"source"`
	// Model is the agreement of the model itself; Seen says that it was trained on
	// this very file, so that the figure says little.
	Model float64 `json:"model_spearman"`
	Seen  bool    `json:"trained_on_it"`
	// CrossValidated is of models trained on nine tenths of the file and tested on the
	// rest: the mean of five divisions into tenths, with the lowest and the highest.
	CrossValidated       float64 `json:"cross_validated_spearman"`
	CrossValidatedLowest float64 `json:"cross_validated_lowest"`
	CrossValidatedMost   float64 `json:"cross_validated_highest"`
	// Transferred is of a model trained on all other files; zero without any.
	Transferred float64 `json:"transferred_spearman,omitzero"`
	// OneRater is the agreement of one of the people with the mean of the others.
	OneRater float64 `json:"one_rater_spearman"`
	// AUC is the area under the ROC curve for a mean rating under 3, of the
	// cross-validated estimates; 0.5 is chance.
	AUC float64 `json:"dissatisfied_auc"`
	// Error is the mean absolute difference of cross-validated estimate and mean
	// rating, and ErrorOfMean what it is when everyone gets the mean.
	Error       float64 `json:"mean_absolute_error"`
	ErrorOfMean float64 `json:"mean_absolute_error_of_the_mean"`
}

const (
	folds       = 10
	repetitions = 5
	// dissatisfiedRating is under which mean rating people are dissatisfied.
	dissatisfiedRating = 3
)

// Evaluate measures m, and models trained in the same way, on rated dialogues.
func Evaluate(m *Model, sets []Dataset) []Quality {
	tables := make([]*table, len(sets))
	for i, set := range sets {
		tables[i] = tabulate(set.Dialogues)
	}
	results := make([]Quality, len(sets))
	for i, set := range sets {
		t := tables[i]
		q := Quality{Source: set.Name, OneRater: oneRater(set.Dialogues), CrossValidatedLowest: 1, CrossValidatedMost: -1}
		own := fitted{rating: m.file.Rating, means: m.means, weights: m.weights}
		q.Model = spearman(own.predict(t.all()), t.ratings)
		q.Seen = slices.ContainsFunc(m.file.Trained, func(s Source) bool { return s.SHA256 == set.SHA256 })
		for repetition := range repetitions {
			predicted, naive := crossValidate(t, uint64(repetition))
			rho := spearman(predicted, t.ratings)
			q.CrossValidated += rho / repetitions
			q.CrossValidatedLowest, q.CrossValidatedMost = min(q.CrossValidatedLowest, rho), max(q.CrossValidatedMost, rho)
			q.AUC += auc(predicted, t.ratings) / repetitions
			q.Error += absoluteError(predicted, t.ratings) / repetitions
			q.ErrorOfMean += absoluteError(naive, t.ratings) / repetitions
		}
		var others []rows
		for j, other := range tables {
			if j != i {
				others = append(others, other.all())
			}
		}
		if len(others) > 0 {
			q.Transferred = spearman(fit(others).predict(t.all()), t.ratings)
		}
		for _, figure := range []*float64{
			&q.Model, &q.CrossValidated, &q.CrossValidatedLowest, &q.CrossValidatedMost, &q.Transferred, &q.OneRater, &q.AUC, &q.Error, &q.ErrorOfMean,
		} {
			*figure = round(*figure, 4)
		}
		results[i] = q
	}
	return results
}

// crossValidate estimates each dialogue by a model that has not seen it, nor
// anything computed with it. naive is the mean rating that each of these has seen.
func crossValidate(t *table, seed uint64) (predicted, naive []float64) {
	n := len(t.ratings)
	predicted, naive = make([]float64, n), make([]float64, n)
	order := rand.New(rand.NewPCG(seed, 0)).Perm(n) //nolint:gosec // the same in every run
	for fold := range folds {
		training, test := rows{table: t}, rows{table: t}
		for at, i := range order {
			if at%folds == fold {
				test.index = append(test.index, i)
			} else {
				training.index = append(training.index, i)
			}
		}
		f := fit([]rows{training})
		for at, p := range f.predict(test) {
			predicted[test.index[at]] = p
			naive[test.index[at]] = f.rating
		}
	}
	return predicted, naive
}

// oneRater is the Spearman correlation of a person's ratings with the mean of the
// others': the mean over the places in which a person's rating stands.
func oneRater(dialogues []Dialogue) float64 {
	var sum, weight float64
	for place := 0; ; place++ {
		var one, rest []float64
		for _, d := range dialogues {
			if len(d.Ratings) > max(place, 1) {
				total, _ := d.Rating()
				n := float64(len(d.Ratings))
				one = append(one, d.Ratings[place])
				rest = append(rest, (total*n-d.Ratings[place])/(n-1))
			}
		}
		if len(one) < minDialogues {
			return sum / max(weight, 1)
		}
		sum += spearman(one, rest) * float64(len(one))
		weight += float64(len(one))
	}
}

// spearman is the correlation of ranks, in which equal values have their mean
// rank; 0 when either side is constant.
func spearman(a, b []float64) float64 {
	a, b = ranks(a), ranks(b)
	centre(a)
	centre(b)
	scale := math.Sqrt(dot(a, a) * dot(b, b))
	if scale == 0 {
		return 0
	}
	return dot(a, b) / scale
}

// ranks counts from 1.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	ranked := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranked[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return ranked
}

// auc is the probability that of a dissatisfied and another user the estimate of
// the dissatisfied is lower; 0.5 when there are none of either.
func auc(predicted, ratings []float64) float64 {
	ranked := ranks(predicted)
	var sum, low, rest float64
	for i, r := range ratings {
		if r < dissatisfiedRating {
			low++
		} else {
			rest++
			sum += ranked[i]
		}
	}
	if low == 0 || rest == 0 {
		return 0.5
	}
	return (sum - rest*(rest+1)/2) / (low * rest)
}

func absoluteError(predicted, ratings []float64) float64 {
	sum := 0.0
	for i, p := range predicted {
		sum += math.Abs(p - ratings[i])
	}
	return sum / float64(max(len(ratings), 1))
}

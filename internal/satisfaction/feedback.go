package satisfaction

// How much feedback counts beside what is inferred, from 0 to 1.
const (
	starsWeight  = 0.8
	thumbsWeight = 0.7
	textWeight   = 0.4
)

// state is what feedback alone says: the stars if there are any, else the
// thumbs, else how the text sounds; nil when there is none.
func (m *Model) state(r *reading, feedback Feedback) *Estimate {
	var rating, weight float64
	switch {
	case feedback.Stars > 0:
		rating, weight = float64(feedback.Stars), starsWeight
	case feedback.Thumbs == "up":
		rating, weight = 4.5, thumbsWeight
	case feedback.Thumbs == "down":
		rating, weight = 1.5, thumbsWeight
	case feedback.Text != "":
		t := r.reader.read(feedback.Text)
		rating, weight = 3+1.5*t.sentiment, textWeight
		if t.negative() {
			rating = 2.5 - t.severity()
		}
	default:
		return nil
	}
	e := estimate(rating, weight)
	return &e
}

// combine weighs what was stated against what is inferred.
func combine(inferred, stated Estimate) Estimate {
	weight := stated.Confidence
	return estimate(
		weight*stated.Rating+(1-weight)*inferred.Rating,
		1-(1-stated.Confidence)*(1-inferred.Confidence),
	)
}

package satisfaction

import "math"

// maxCourse is how many points a course has at most.
const maxCourse = 40

// course gathers the sentiment of the user's turns: each by itself, or the mean
// of as many as it takes to stay within maxCourse.
type course struct {
	all  []Point
	each int
	n    int
}

func newCourse(messages []Message) *course {
	users := 0
	for i := range messages {
		if messages[i].Role == User {
			users++
		}
	}
	return &course{each: max((users+maxCourse-1)/maxCourse, 1), all: make([]Point, 0, min(users, maxCourse))}
}

func (c *course) add(turn int, sentiment float64) {
	if c.n%c.each == 0 {
		c.all = append(c.all, Point{Turn: turn})
	}
	newest := &c.all[len(c.all)-1]
	inPoint := float64(c.n%c.each + 1)
	newest.Sentiment += (sentiment - newest.Sentiment) / inPoint
	c.n++
}

func (c *course) points() []Point {
	for i := range c.all {
		c.all[i].Sentiment = math.Round(c.all[i].Sentiment*1000) / 1000
	}
	return c.all
}

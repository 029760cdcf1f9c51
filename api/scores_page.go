package api

import (
	"bytes"
	_ "embed"
	"html/template"
	"math"
	"net/http"
	"slices"
	"sync"

	"github.com/gin-gonic/gin"

	"millrace/internal/satisfaction"
)

// scoresPage is where the score is explained to the person who is scored.
const scoresPage = "/docs/scores"

//go:embed scores_page.html
var scoresPageHTML string

type scoresPageInfluence struct {
	satisfaction.Influence

	Class string
	Width float64
}

type scoresPageQuality struct {
	satisfaction.Quality

	satisfaction.Source

	Percent float64
}

// renderScoresPage writes the page about the model that the program carries.
//
//nolint:gochecknoglobals // rendered once, of what is embedded
var renderScoresPage = sync.OnceValues(func() ([]byte, error) {
	page, err := template.New("scores").Parse(scoresPageHTML)
	if err != nil {
		return nil, err
	}
	model := satisfaction.Default()
	file := model.File()
	speaksFor, speaksAgainst := model.Influences()
	var widest float64
	for _, influence := range slices.Concat(speaksFor, speaksAgainst) {
		widest = max(widest, math.Abs(influence.Points))
	}
	bars := func(class string, influences []satisfaction.Influence) []scoresPageInfluence {
		var bars []scoresPageInfluence
		for _, influence := range influences {
			bars = append(bars, scoresPageInfluence{influence, class, math.Abs(influence.Points) / widest * 100})
		}
		return bars
	}
	var quality []scoresPageQuality
	for i, q := range file.Quality {
		quality = append(quality, scoresPageQuality{q, file.Trained[i], q.AUC * 100})
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Version": file.Version, "Average": math.Round((file.Rating - 1) * 25),
		"DissatisfiedBelow": satisfaction.DissatisfiedBelow, "SatisfiedFrom": satisfaction.SatisfiedFrom,
		"Middle": satisfaction.SatisfiedFrom - satisfaction.DissatisfiedBelow, "High": 100 - satisfaction.SatisfiedFrom,
		"For": bars("for", speaksFor), "Against": bars("against", speaksAgainst), "Quality": quality,
	})
	return out.Bytes(), err
})

func explainScores(c *gin.Context) {
	page, err := renderScoresPage()
	if err != nil {
		panic(err) // of the program's own template, which a test renders
	}
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", page)
}

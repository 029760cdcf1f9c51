package invitation

import (
	"math"
	"regexp"
	"strconv"
)

// defaultColor is the header's when a business has none.
const defaultColor = "#1f4e79"

var hexColor = regexp.MustCompile(`^#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

// colors returns a header's background and the text colour that can be read on it.
func colors(color string) (background, text string) {
	if !hexColor.MatchString(color) {
		color = defaultColor
	}
	if len(color) == len("#rgb") { // Outlook reads six digits only
		color = string([]byte{'#', color[1], color[1], color[2], color[2], color[3], color[3]})
	}
	// Where black and white have the same contrast, by the formula of WCAG 2:
	// (l + 0.05) / 0.05 = 1.05 / (l + 0.05).
	if limit := math.Sqrt(1.05*0.05) - 0.05; luminance(color) > limit {
		return color, "#000000"
	}
	return color, "#ffffff"
}

// luminance is that of WCAG 2 for #rrggbb, from 0 for black to 1 for white.
// https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
func luminance(color string) float64 {
	channel := func(at int) float64 {
		v, err := strconv.ParseUint(color[at:at+2], 16, 8)
		if err != nil {
			return 0 // hexColor matched, so there is none
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(1) + 0.7152*channel(3) + 0.0722*channel(5)
}

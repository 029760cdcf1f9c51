package apikey

import (
	"maps"
	"regexp"
	"slices"

	"millrace/internal/fault"
)

var (
	limitClass = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	limitRate  = regexp.MustCompile(`^[1-9][0-9]{0,8}/[smhd]$`)
)

// checkLimits checks rates by class, {"payments": "100/m"}.
func checkLimits(fields *fault.Fields, limits map[string]string) {
	for _, class := range slices.Sorted(maps.Keys(limits)) {
		if !limitClass.MatchString(class) || !limitRate.MatchString(limits[class]) {
			fields.Add("limits", "must look like payments=100/m,reads=1000/m, with s, m, h or d after the slash")
			return
		}
	}
}

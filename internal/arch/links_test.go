package arch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProgramsLinkOnlyTheirOwn looks at everything that a program links, where
// the linter sees direct imports only.
func TestProgramsLinkOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	for program, foreign := range map[string][]string{
		// No client of a vendor's API: intake holds no vendor's secret key. When it
		// verifies Stripe's callbacks it may link stripe-go's webhook package (and
		// what that imports), but still no paymentintent or client.
		"./cmd/intake": {
			"github.com/stripe/", "github.com/resend/", "github.com/fergusstrange/embedded-postgres",
			"millrace/internal/devpg", "millrace/internal/sandbox", "millrace/internal/stripepay", "millrace/workers",
		},
		"./cmd/worker": {
			"github.com/danielgtaylor/huma/", "github.com/gin-gonic/", "github.com/fergusstrange/embedded-postgres",
			"millrace/api", "millrace/internal/devpg", "millrace/internal/sandbox",
		},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, matching(linked(t, program), foreign))
		})
	}
}

// TestLinkedSeesIndirectImports keeps the test above able to fail.
func TestLinkedSeesIndirectImports(t *testing.T) {
	t.Parallel()
	require.Contains(t, matching(linked(t, "./cmd/worker"), []string{"github.com/stripe/"}), "github.com/stripe/stripe-go/v76/paymentintent")
}

func linked(t *testing.T, program string) []string {
	t.Helper()
	// Even go list asks git for the commit, and fails in a clone that belongs to another user.
	output, err := goTool(t, "list", "-buildvcs=false", "-deps", program)
	require.NoError(t, err, output)
	return strings.Fields(output)
}

// matching returns the packages that begin with one of the prefixes.
func matching(packages, prefixes []string) []string {
	return slices.DeleteFunc(packages, func(name string) bool {
		return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}

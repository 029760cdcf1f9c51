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
		// No client of a vendor's API: intake holds no vendor's secret key.
		"./cmd/intake": {
			"github.com/resend/", "github.com/fergusstrange/embedded-postgres",
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

// TestIntakeLinksNoClientOfStripe allows intake what verifies Stripe's
// deliveries: stripe-go's webhook package with what that imports.
func TestIntakeLinksNoClientOfStripe(t *testing.T) {
	t.Parallel()
	require.Empty(t, stripeClients(t, "./cmd/intake"))
	require.Empty(t, stripeClients(t, "./internal/stripehook"))
	require.Contains(t, linked(t, "./internal/stripehook"), stripeGo+"/webhook")
}

// TestLinkedSeesIndirectImports keeps the tests above able to fail.
func TestLinkedSeesIndirectImports(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{stripeGo + "/paymentintent"}, stripeClients(t, "./cmd/worker"))
	require.Equal(t, []string{stripeGo, stripeGo + "/form", stripeGo + "/webhook"},
		matching(linked(t, stripeGo+"/webhook"), []string{"github.com/stripe/"}), "what is allowed has grown")
}

const stripeGo = "github.com/stripe/stripe-go/v76"

// stripeClients returns the packages of Stripe's that a program links beyond
// stripe-go's webhook package and what that imports.
func stripeClients(t *testing.T, program string) []string {
	t.Helper()
	allowed := linked(t, stripeGo+"/webhook")
	return slices.DeleteFunc(matching(linked(t, program), []string{"github.com/stripe/"}), func(name string) bool {
		return slices.Contains(allowed, name)
	})
}

func linked(t *testing.T, program string) []string {
	t.Helper()
	// Even go list asks git for the commit, and fails in a clone that belongs to another user.
	output, err := goTool(t, "list", "-buildvcs=false", "-deps", program)
	require.NoError(t, err, output)
	packages := strings.Fields(output)
	slices.Sort(packages)
	return packages
}

// matching returns the packages that begin with one of the prefixes.
func matching(packages, prefixes []string) []string {
	return slices.DeleteFunc(packages, func(name string) bool {
		return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}

package phi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/phi"
)

func TestHintsShowTheFirstLetterAndNoLength(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]string{
		"customer@example.com": "c•••@example.com", "jo@example.com": "j•••@example.com", "j@example.com": "•••@example.com",
		`"a@b"@example.com`: `"•••@example.com`, "@example.com": "@example.com", "no address": "•••", "": "",
	} {
		require.Equal(t, want, phi.MaskEmail(email), email)
	}
	for name, want := range map[string]string{"Jo Doe": "J•••", "Élodie": "É•••", "李小龙": "李•••", "J": "•••", "": ""} {
		require.Equal(t, want, phi.MaskName(name), name)
	}
	require.Equal(t, "•••", phi.MaskText("First visit"))
	require.Empty(t, phi.MaskText(""))
}

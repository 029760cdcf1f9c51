package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/telemetry"
)

// TestEveryLogFieldIsDocumented compares the attributes that are written in the code
// with the list of docs/logs.md, which the process tests hold against real output.
func TestEveryLogFieldIsDocumented(t *testing.T) {
	t.Parallel()
	var documented, tags []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .* \\| (tag)? ?\\|$").FindAllStringSubmatch(read(t, "docs/logs.md"), -1) {
		documented = append(documented, row[1])
		if row[2] != "" {
			tags = append(tags, row[1])
		}
	}
	// What the handler writes without an attribute's being written anywhere, and River's own.
	used := []string{"timestamp", "level", "msg", "river"}
	for file, names := range logAttributes(t) {
		for _, name := range names {
			require.Contains(t, documented, name, "%s: docs/logs.md does not list it", file)
		}
		used = append(used, names...)
	}
	for _, name := range documented {
		require.Contains(t, used, name, "docs/logs.md lists what nobody logs")
	}
	slices.Sort(tags)
	sent := telemetry.SentryTags()
	slices.Sort(sent)
	require.Equal(t, sent, tags, "what docs/logs.md says of Sentry")
}

// logAttributes returns the names of attributes by file, without those that are part of
// a group, as domain types log themselves.
func logAttributes(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if from, ok := selector.X.(*ast.Ident); !ok || from.Name != "slog" || len(call.Args) == 0 {
				return true
			}
			if selector.Sel.Name == "GroupValue" {
				return false
			}
			if name, ok := call.Args[0].(*ast.BasicLit); ok && len(call.Args) > 1 {
				text, err := strconv.Unquote(name.Value)
				require.NoError(t, err)
				found[path] = append(found[path], text)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, len(found), 10)
	return found
}

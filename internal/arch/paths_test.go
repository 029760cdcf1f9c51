package arch_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// absent lists the paths that may be named without being in the tree.
func absent() []string {
	return []string{
		".git", ".millrace", "bin/tools", "dev.env", // made where the program is used
		"jobs/echo.go", "workers/echo.go", // CONTRIBUTING.md's example, which TestAFifthKindTouchesThreeFiles makes
	}
}

// TestEveryNamedPathExists reads the documents and the tools' configuration.
func TestEveryNamedPathExists(t *testing.T) {
	t.Parallel()
	tree := newTree(t)
	documents := []string{"Makefile", "Procfile", ".golangci.yaml", ".ci/run"}
	for _, file := range tree.files {
		if strings.HasSuffix(file, ".md") {
			documents = append(documents, file)
		}
	}
	for _, document := range documents {
		require.Empty(t, tree.missing(document, read(t, document)), "%s names what is not there", document)
	}
	for _, name := range absent() {
		require.NotContains(t, tree.files, name, "absent() calls absent what is there")
	}
}

func TestNamedPathsThatDoNotExistAreFound(t *testing.T) {
	t.Parallel()
	tree := newTree(t)
	for _, c := range []struct {
		document, text string
		missing        []string
	}{
		{"README.md", "See `jobs/catalog.go`, `catalog.go`, `./jobs`, `workers/` and `go test ./internal/...`.", nil},
		{"README.md", "See `jobs/catalogue.go`.", []string{"jobs/catalogue.go"}},
		{"README.md", "See `nowhere.go` and `nowhere/`.", []string{"nowhere.go", "nowhere/"}},
		{"README.md", "Run `go test ./nowhere/...`.", []string{"./nowhere/"}},
		{"README.md", "[Read](CONTRIBUTING.md#style), [not](CONTRIBUTE.md), [out](https://example.com/nowhere.md).", []string{"CONTRIBUTE.md"}},
		{"internal/README.md", "[Up](../README.md) and `fault/fault.go`, not `../nowhere.go`.", []string{"../nowhere.go"}},
		{"README.md", "`/v1/jobs`, `application/json`, `GET /v1/payments/{id}`, `github.com/nowhere/x.go`", nil},
		{"README.md", "`make test` and `make tset`, but make sure.", []string{"make tset"}},
		{"README.md", "```sh\n. .millrace/dev.env\nmake check tset # make sure\njobs/nowhere -d '{\"a\":\"b\"}' @payment.json\nbin/nowhere\n```\n", []string{"make tset", "jobs/nowhere", "bin/nowhere"}},
		{"README.md", "Run\n\n    make tset\n", []string{"make tset"}},
		{"Makefile", "run: ## Run\n\tgo build -o bin/ ./cmd/millrace ./cmd/nowhere\n", []string{"./cmd/nowhere"}},
		{"Procfile", "intake: bin/intake\nother: bin/nowhere\n", []string{"bin/nowhere"}},
		{".golangci.yaml", `files: [$all, "!${config-path}/api/**", "${config-path}/internal/{fault,nowhere}/**"]`, []string{"internal/nowhere"}},
		{".golangci.yaml", "- pkg: millrace/internal/stripepay$\n- pkg: millrace/nowhere\n", []string{"nowhere"}},
		{".ci/run", "make test\n./nowhere.sh\n", []string{"./nowhere.sh"}},
	} {
		require.Equal(t, c.missing, tree.missing(c.document, c.text), "%s: %s", c.document, c.text)
	}
}

// tree is what exists.
type tree struct {
	root    string
	files   []string // and folders, relative to root, with slashes
	targets []string // of the Makefile
}

func newTree(t *testing.T) *tree {
	t.Helper()
	found := &tree{root: root(t)}
	require.NoError(t, fs.WalkDir(os.DirFS(found.root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", ".millrace", "bin"}, path) {
			return fs.SkipDir
		}
		found.files = append(found.files, path)
		return nil
	}))
	for _, match := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		found.targets = append(found.targets, match[1])
	}
	return found
}

// missing returns what the text of a document names and the tree does not have.
func (tr *tree) missing(document, text string) []string {
	var missing []string
	note := func(name string) {
		if !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	dir := path.Dir(document)
	text = regexp.MustCompile(`\w+://[^\s)]+`).ReplaceAllString(text, "")
	if document == ".golangci.yaml" {
		for _, name := range lintPaths(text) {
			if !tr.has(".", name) {
				note(name)
			}
		}
		return missing
	}
	prose, code, commands := text, text, ""
	if strings.HasSuffix(document, ".md") {
		prose, code = split(text)
		commands = code
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(prose, -1) {
			if !tr.has(dir, link[1]) {
				note(link[1])
			}
		}
	}
	for _, span := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(prose, -1) {
		code += "\n" + span[1]
		commands += "\n" + span[1]
		for _, word := range words(span[1]) {
			if (strings.HasSuffix(word, "/") || fileName.MatchString(word)) && !tr.has(dir, word) {
				note(word)
			}
		}
	}
	for _, target := range targets(commands) {
		if !slices.Contains(tr.targets, target) {
			note("make " + target)
		}
	}
	for _, word := range words(code) {
		first, _, nested := strings.Cut(word, "/")
		if nested && (first == "." || first == "bin" || slices.Contains(tr.files, first)) && !tr.has(".", word) {
			note(word)
		}
	}
	return missing
}

// fileName is the form of a path that can be nothing else. Where the first
// element has a dot it is a package of somebody else.
var fileName = regexp.MustCompile(`^(?:\.{1,2}/)*(?:[\w-]+/)*[\w.-]+\.(?:go|md|mod|sum|sql|json|ya?ml|toml|env|sh)$`)

// split returns a Markdown text without its code blocks, and the blocks.
func split(text string) (prose, code string) {
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			code += line
		default:
			prose += line
		}
	}
	return prose, code
}

// words returns what may be a path in a command.
func words(text string) []string {
	var words []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`()<>[]{},;|&=@", r) }) {
		word = strings.TrimRight(word, ".:")
		if strings.ContainsAny(word, `$:\`) || strings.HasPrefix(word, "/") {
			continue
		}
		words = append(words, word)
	}
	return words
}

// targets returns what follows make in commands.
func targets(code string) []string {
	var targets []string
	for _, match := range regexp.MustCompile(`(?m)(?:^|[;&]) *make((?: +[a-z][a-z-]*)+)`).FindAllStringSubmatch(code, -1) {
		targets = append(targets, strings.Fields(match[1])...)
	}
	return targets
}

// lintPaths returns the folders that the linter's rules speak of: the globs of
// files, and the module's packages.
func lintPaths(text string) []string {
	var paths []string
	for _, match := range regexp.MustCompile(`(?m)\$\{config-path\}/([^"'\s]+)|pkg: (millrace/\S+)$|- (millrace/\S+)$`).FindAllStringSubmatch(text, -1) {
		name := match[1]
		if name == "" {
			name = strings.TrimSuffix(strings.TrimPrefix(match[2]+match[3], "millrace/"), "$")
		}
		name, _, _ = strings.Cut(name, "/*")
		before, rest, braces := strings.Cut(name, "{")
		if !braces {
			paths = append(paths, name)
			continue
		}
		list, after, _ := strings.Cut(rest, "}")
		for option := range strings.SplitSeq(list, ",") {
			paths = append(paths, before+option+after)
		}
	}
	return paths
}

// has reports whether a path exists: seen from the root, from the document's
// folder, or, if it is a mere name, anywhere.
func (tr *tree) has(dir, name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "..."), "/")
	clean := path.Clean(name)
	if slices.ContainsFunc(absent(), func(known string) bool { return clean == known || strings.HasPrefix(clean, known+"/") }) {
		return true
	}
	if program, ok := strings.CutPrefix(clean, "bin/"); ok {
		return slices.Contains(tr.files, "cmd/"+program)
	}
	if clean == "bin" || slices.Contains(tr.files, clean) || slices.Contains(tr.files, path.Join(dir, clean)) {
		return true
	}
	return slices.ContainsFunc(tr.files, func(file string) bool {
		matched, err := filepath.Match(clean, file)
		return err == nil && matched || path.Base(file) == clean
	})
}

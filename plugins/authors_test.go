package plugins_test

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goList runs go list and returns its lines, sorted and without repeats.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	output, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(output)))))
}

// authorsList is what authors import, as the comment of package plugins lists it.
func authorsList(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "plugins.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range new(comment.Parser).Parse(file.Doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok {
			var list []string
			for line := range strings.Lines(code.Text) {
				if path := strings.Fields(line)[0]; strings.HasPrefix(path, "bittern/") {
					list = append(list, path)
				}
			}
			return slices.Sorted(slices.Values(list))
		}
	}
	t.Fatal("the comment of package plugins lists no packages")
	return nil
}

// TestAuthorsList sees that the list of what authors import is complete: every package in
// this folder is on it but for the examples, which import nothing else, and docs/authors.md
// has the same list.
func TestAuthorsList(t *testing.T) {
	t.Parallel()
	list := authorsList(t)
	var here []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err == nil && entry.IsDir() && path == "examples":
			return fs.SkipDir
		case err == nil && strings.HasSuffix(path, ".go"):
			here = append(here, "bittern/plugins/"+filepath.ToSlash(filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range here {
		here[i] = strings.TrimSuffix(here[i], "/.")
	}
	here = slices.Compact(slices.Sorted(slices.Values(here)))
	listedHere := slices.DeleteFunc(slices.Clone(list), func(path string) bool { return !strings.HasPrefix(path, "bittern/plugins") })
	if diff := cmp.Diff(listedHere, here); diff != "" {
		t.Errorf("packages under plugins, on the list (-) and in the tree (+); move what no author needs to internal:\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "authors.md"))
	if err != nil {
		t.Fatal(err)
	}
	var onPage []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(bittern/[^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		onPage = append(onPage, row[1])
	}
	if diff := cmp.Diff(list, slices.Sorted(slices.Values(onPage))); diff != "" {
		t.Errorf("packages in the comment of package plugins (-) and in docs/authors.md (+):\n%s", diff)
	}
	for _, path := range goList(t, "-f", `{{range .Imports}}{{.}} {{end}}{{range .TestImports}}{{.}} {{end}}`, "bittern/plugins/examples/...") {
		if strings.HasPrefix(path, "bittern/") && !slices.Contains(list, path) && path != "bittern/plugins/examples" {
			t.Errorf("an example imports %s, which is not on the list", path)
		}
	}
}

// TestAuthorsDoNotBuildTheHost sees that a plugin and its test are built without what
// finds, starts and supervises plugins, and without the harness.
func TestAuthorsDoNotBuildTheHost(t *testing.T) {
	t.Parallel()
	for _, path := range goList(t, "-deps", "-test", "bittern/plugins/examples/int8-rows", "bittern/plugins/examples/lstm-gru", "bittern/plugins/examples/mac-array") {
		if strings.HasPrefix(path, "bittern/internal/host") || strings.HasPrefix(path, "bittern/internal/conformance/process") || strings.HasPrefix(path, "bittern/harness") {
			t.Errorf("a plugin is built with %s", path)
		}
	}
}

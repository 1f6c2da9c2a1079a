package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	reference = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks checks every link of every Markdown page of the project: the file must exist, and a
// heading for what follows #. It only logs links to other sites.
func TestLinks(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	var external []string
	for _, page := range markdownPages(t, root) {
		for _, link := range linksOf(t, page) {
			if strings.Contains(link, "://") {
				external = append(external, link)
			} else if reason := broken(t, page, link); reason != "" {
				t.Errorf("%s links to %s, %s", page, link, reason)
			}
		}
	}
	slices.Sort(external)
	t.Logf("not followed: %s", strings.Join(slices.Compact(external), " "))
}

// TestReadmeLinksEveryPage checks that README.md links every page in docs.
func TestReadmeLinksEveryPage(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	links := linksOf(t, filepath.Join(root, "README.md"))
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages in docs: %v", len(pages), err)
	}
	for _, page := range pages {
		if link := "docs/" + filepath.Base(page); !slices.Contains(links, link) {
			t.Errorf("README.md does not link to %s", link)
		}
	}
}

// markdownPages returns the Markdown files of the project, without those of tests.
func markdownPages(t *testing.T, root string) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "testdata", "node_modules", "runs"}, entry.Name()):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// linksOf returns the targets of a page's links and images.
func linksOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, link := range reference.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		links = append(links, link[1])
	}
	return links
}

// broken says what is wrong with a relative link, or "".
func broken(t *testing.T, page, link string) string {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = filepath.Join(filepath.Dir(page), file)
	}
	if _, err := os.Stat(target); err != nil {
		return "which is not there"
	}
	if anchor == "" {
		return ""
	}
	text, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		if slug(title[1]) == anchor {
			return ""
		}
	}
	return "but no heading there gives the anchor " + anchor
}

// slug returns the anchor that GitHub gives to a heading.
func slug(title string) string {
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

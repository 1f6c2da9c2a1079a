package format_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bittern/reports"
)

// compile runs pdflatex, which stops at the first mistake, and returns the text of the
// pages where pdftotext is installed.
func compile(t *testing.T, document string) string {
	t.Helper()
	pdflatex, err := exec.LookPath("pdflatex")
	if err != nil {
		t.Skip("pdflatex is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.tex"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(pdflatex, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "report.tex")
	command.Dir = dir
	if log, err := command.CombinedOutput(); err != nil {
		t.Fatalf("pdflatex: %v\n%s", err, log)
	}
	pdftotext, err := exec.LookPath("pdftotext")
	if err != nil {
		return ""
	}
	text, err := exec.Command(pdftotext, "-layout", filepath.Join(dir, "report.pdf"), "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLaTeXCompiles(t *testing.T) {
	t.Parallel()
	r := golden(t)
	wide := written(t, r, "latex", reports.View{Wide: true, Parts: true})
	if pages := compile(t, wide); pages != "" && !strings.Contains(pages, "stochastic-binary") {
		t.Errorf("the pages lack a quantizer:\n%s", pages)
	}
	// More rows than a page holds.
	for i := range 100 {
		n := *r.Networks[0]
		n.Quantizer = fmt.Sprintf("q%d", i)
		r.Networks = append(r.Networks, &n)
	}
	long := written(t, r, "latex", reports.View{})
	if got := strings.Count(long, `\begin{table}`); got < 3 {
		t.Errorf("103 rows are in %d tables", got)
	}
	if pages := compile(t, long); pages != "" && !strings.Contains(pages, "q99") {
		t.Errorf("the pages lack the last row:\n%s", pages)
	}
}

// Every character of a name reaches the page as itself or as its number.
func TestLaTeXShowsTextAsItIs(t *testing.T) {
	t.Parallel()
	r := golden(t)
	const name = `\input{a}$b$ 50%_c^d~e#f&g{h}i--j,,k?` + "`l<<m>>n\"o'p|q*r[s]\\\\t…ö"
	r.Suite, r.Networks[0].Model, r.Networks[1].Quantizer = name, "[x]", "中文 ‼ ≈ −1"
	pages := compile(t, written(t, r, "latex", reports.View{}))
	if pages == "" {
		t.Skip("pdftotext is not installed")
	}
	for _, want := range []string{`\input{a}$b$ 50%_c^d~e#f&g{h}i--j,,k?` + "`l<<m>>n\"o'p|q*r[s]\\\\t", "[x]", "U+4E2DU+6587"} {
		if !strings.Contains(pages, want) {
			t.Errorf("the pages lack %q:\n%s", want, pages)
		}
	}
}

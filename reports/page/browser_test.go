package page_test

import (
	"os"
	"path/filepath"
	"testing"

	"bittern/reports"
	"bittern/reports/internal/browser"
	"bittern/reports/internal/sample"
)

// In a browser, narrow and wide, light and dark: no message on the console, no horizontal
// scroll of the page, and colours that can be read.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	url := saved(t)
	for _, width := range []int{1280, 390} {
		for _, dark := range []bool{false, true} {
			tab := b.Open(url, width, dark)
			var scroll int
			if tab.Eval("document.documentElement.scrollWidth", &scroll); scroll > width {
				t.Errorf("at %d pixels the page is %d wide", width, scroll)
			}
			var light float64
			tab.Eval(`getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((sum, c) => sum + Number(c), 0) / 765`, &light)
			if light > 0.5 == dark {
				t.Errorf("dark %v: the background's lightness is %.2f", dark, light)
			}
			var faint []string
			tab.Eval(contrast, &faint)
			if len(faint) > 0 {
				t.Errorf("dark %v: texts with a contrast below 4.5: %q", dark, faint)
			}
			if messages := tab.Messages(); len(messages) > 0 {
				t.Errorf("at %d pixels, dark %v, the console says %q", width, dark, messages)
			}
		}
	}
}

// contrast lists the texts whose colour is too close to what they stand on (WCAG 2.2,
// success criterion 1.4.3).
const contrast = `(() => {
	const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
	const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (element) => {
		for (; element; element = element.parentElement) {
			const colour = channels(getComputedStyle(element).backgroundColor);
			if (colour.length === 3 || colour[3] === 1) return colour;
		}
		return [255, 255, 255];
	};
	const faint = [];
	for (const element of document.querySelectorAll("h1, h2, h3, p, th, td, dd, dt, li, a, label, output, figcaption, summary, button")) {
		if (!element.checkVisibility()) continue;
		const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))];
		if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) faint.push(element.tagName + " " + element.textContent.trim());
	}
	return faint;
})()`

// Tables sort by click and by key, numbers as numbers, what is missing last, and back;
// and they filter.
func TestTablesSortAndFilter(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Open(saved(t), 1280, false)
	column := func(id string) string { return `document.querySelector('#results-1 th[data-column="` + id + `"]')` }
	order := func(when string, want ...string) {
		t.Helper()
		var got []string
		tab.Eval(`[...document.querySelectorAll("#results-1 tbody tr")].filter((row) => !row.hidden).map((row) => row.dataset.quantizer)`, &got)
		if len(got) != len(want) {
			t.Fatalf("%s: rows %q, want %q", when, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: rows %q, want %q", when, got, want)
			}
		}
	}
	sorted := func(id, want string) {
		t.Helper()
		var got string
		if tab.Eval(column(id)+`.getAttribute("aria-sort") || ""`, &got); got != want {
			t.Errorf("aria-sort of %s is %q, want %q", id, got, want)
		}
	}
	order("as in the report", "stochastic-binary", "binaryconnect", "none")
	tab.Eval(column("deployable")+".firstChild.click()", nil)
	order("by score", "none", "binaryconnect", "stochastic-binary")
	sorted("deployable", "ascending")
	tab.Eval(column("deployable")+".firstChild.focus()", nil)
	tab.Press("Enter")
	order("by score, falling", "stochastic-binary", "binaryconnect", "none")
	sorted("deployable", "descending")
	tab.Press(" ")
	order("as in the report again", "stochastic-binary", "binaryconnect", "none")
	sorted("deployable", "")
	tab.Press("Tab") // to the header of the column behind, Δ
	tab.Press("Enter")
	order("by Δ, which one does not have", "none", "stochastic-binary", "binaryconnect")
	sorted("delta", "ascending")
	tab.Press("Enter")
	order("by Δ, falling", "stochastic-binary", "none", "binaryconnect")
	sorted("delta", "descending")

	find := func(words string) {
		t.Helper()
		tab.Eval(`(() => { const f = document.getElementById("find"); f.value = "`+words+`"; f.dispatchEvent(new InputEvent("input", {bubbles: true})); })()`, nil)
	}
	find("STOCH")
	order("with stoch in it", "stochastic-binary")
	find("nothing at all")
	order("with nothing in it")
	var told bool
	if tab.Eval(`!document.querySelector("#results-1").parentElement.nextElementSibling.hidden`, &told); !told {
		t.Error("an empty table does not say that no row matches")
	}
	tab.Eval(`document.getElementById("clear").click()`, nil)
	order("after Clear", "stochastic-binary", "none", "binaryconnect")
	tab.Eval(`(() => { const s = document.querySelector('select[name="backend"]'); s.value = "cpu"; s.dispatchEvent(new InputEvent("input", {bubbles: true})); })()`, nil)
	var backends []string
	tab.Eval(`[...new Set([...document.querySelectorAll("#hardware-1 tbody tr")].filter((row) => !row.hidden).map((row) => row.dataset.backend))]`, &backends)
	if len(backends) != 1 || backends[0] != "cpu" {
		t.Errorf("of the backend cpu alone: %q", backends)
	}
	order("networks, which are of no backend", "stochastic-binary", "none", "binaryconnect")
	var narrow, wide float64
	const figure = `document.querySelector("figure")`
	tab.Eval(figure+".clientWidth", &narrow)
	tab.Eval(figure+`.querySelector("figcaption button").click()`, nil)
	if tab.Eval(figure+".clientWidth", &wide); wide < 1.8*narrow {
		t.Errorf("a figure is %v pixels wide, and enlarged %v", narrow, wide)
	}
	if messages := tab.Messages(); len(messages) > 0 {
		t.Errorf("the console says %q", messages)
	}
}

// saved is the address of a page in a file.
func saved(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	must(t, os.WriteFile(path, []byte(written(t, sample.Golden(t), "golden", reports.View{})), 0o600))
	return "file://" + path
}
